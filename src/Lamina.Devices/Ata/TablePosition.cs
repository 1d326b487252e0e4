// How far a transfer is along the table of memory regions that software prepared for it.
using Lamina.Core.State;

namespace Lamina.Devices.Ata;

/// <summary>How far along a table a transfer is.</summary>
internal struct TablePosition
{
    /// <summary>Which entry, and how many of its bytes are used.</summary>
    internal int Entry, Used;

    /// <summary>Whether the last entry is used up.</summary>
    internal bool AtEnd;

    internal static void Exchange(SavedFields fields, ref TablePosition at)
    {
        fields.Value(1, ref at.Entry);
        fields.Value(2, ref at.Used);
        fields.Value(3, ref at.AtEnd);
        if (fields.IsLoading) SavedFields.Require(at.Entry is >= 0 and <= ushort.MaxValue && at.Used is >= 0 and < 1 << 22, $"entry {at.Entry}, {at.Used} bytes used");
    }
}
