// Which clusters of an image hold its tables. An image that maps a guest's data onto one of them is damaged or hostile: a
// guest that could write there would choose what the image says the next time it is opened.
namespace Lamina.Backends.Disk.Qcow2;

/// <summary>The clusters that hold tables. Several threads may ask; changes are made alone.</summary>
internal sealed class MetadataClusters(int clusterBits)
{
    private readonly HashSet<ulong> _tables = [];
    private readonly Dictionary<string, (ulong First, ulong End)> _areas = [];

    /// <summary>Sets where one of the areas that exist once lies, in bytes.</summary>
    internal void SetArea(string name, ulong offset, ulong length) =>
        _areas[name] = (offset >> clusterBits, Qcow2Spec.RoundUp(offset + length, 1ul << clusterBits) >> clusterBits);

    /// <summary>Adds a table of one cluster. False where something else lies there.</summary>
    internal bool TryAdd(ulong offset) => !InArea(offset >> clusterBits) && _tables.Add(offset >> clusterBits);

    /// <summary>Removes a table that was given up.</summary>
    internal void Remove(ulong offset) => _tables.Remove(offset >> clusterBits);

    /// <summary>Whether a cluster holds a table.</summary>
    /// <param name="offset">Any byte of it.</param>
    internal bool Contains(ulong offset) => _tables.Contains(offset >> clusterBits) || InArea(offset >> clusterBits);

    private bool InArea(ulong cluster)
    {
        foreach (var area in _areas.Values)
            if (cluster >= area.First && cluster < area.End) return true;
        return false;
    }
}
