// The disks that a machine writes, each held by a descriptor that gives no right but to look at it: how they were left is asked when they are
// closed, and by then a process that is locked finds no file by its path.
using System.Text;
using Lamina.Host;
using Lamina.Host.Io;

namespace Lamina.Hypervisor.Stored;

/// <summary>Disks, by their paths.</summary>
internal sealed class HeldDisks : IDisposable
{
    private readonly Dictionary<string, HostNode> _disks = new(StringComparer.Ordinal);

    /// <summary>Holds the disks that a machine writes. One that cannot be found is left out: who opens it says what is wrong.</summary>
    internal HeldDisks(MachineDefinition definition)
    {
        foreach (var path in SuspendRecord.Written(definition).Select(disk => disk.Path))
            if (!_disks.ContainsKey(path) && Hold(path) is { } disk) _disks.Add(path, disk);
    }

    /// <summary>A disk is another file from now on.</summary>
    /// <param name="path">The disk's path.</param>
    /// <param name="disk">The file, which is this one's from now on.</param>
    internal void Exchange(string path, HostNode disk)
    {
        if (_disks.Remove(path, out var former)) former.Dispose();
        _disks.Add(path, disk);
    }

    /// <summary>Holds a file; null where there is none.</summary>
    internal static HostNode? Hold(string path)
    {
        if (HostFiles.RealPath(path) is not { } real) return null;
        using var folder = HostNode.OpenFolder(Path.GetDirectoryName(real) ?? "/");
        return folder.Find(Encoding.UTF8.GetBytes(Path.GetFileName(real)), out var disk, out _) >= 0 ? disk : null;
    }

    /// <summary>How they are left by now.</summary>
    internal IEnumerable<(string Path, DiskStamp Stamp)> Stamps
    {
        get
        {
            foreach (var (path, disk) in _disks)
                if (disk.Status(out var status) >= 0) yield return (path, new DiskStamp((long)status.Size, DateTime.UnixEpoch.AddTicks(status.Times.Change.Seconds * TimeSpan.TicksPerSecond + status.Times.Change.Nanoseconds / TimeSpan.NanosecondsPerTick)));
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var disk in _disks.Values) disk.Dispose();
    }
}
