// What is kept of a machine that was suspended: the folder with its saved state (run/suspended), and beside it this small file, which is
// written last, when the disks are closed, and says how those were left. So what a killed process left of a suspension that did not come
// about is no machine's state, and a disk that was written since, or is an older copy, is not the one that the state fits.
using Lamina.Host;

namespace Lamina.Hypervisor.Stored;

/// <summary>A suspended machine.</summary>
/// <param name="Taken">When it was.</param>
/// <param name="Folder">The machine's folder then: it may have another name now.</param>
/// <param name="Disks">How the disks that it writes were left, by their paths then.</param>
public sealed record SuspendRecord(DateTimeOffset Taken, string Folder, IReadOnlyDictionary<string, DiskStamp> Disks)
{
    /// <summary>The snapshot whose state it is, which stays there; null for its own, which is used up.</summary>
    public string? Snapshot { get; init; }

    /// <summary>Whether it is a copy of another machine, which goes on as well.</summary>
    public bool IsFork { get; init; }

    /// <summary>The devices that lead elsewhere than they did then: where is what the machine was started with (<see cref="MachineHome.Started"/>).</summary>
    public IReadOnlyList<string> Placed { get; init; } = [];

    /// <summary>The folder of the state.</summary>
    internal string StateOf(MachineHome home) => IsFork ? home.Forked : Snapshot is null ? home.Suspended : Path.Combine(home.Snapshots, Snapshot);

    /// <summary>The definition of a suspended machine as it was, with its files where they are now, and its disk based on the layers that there are by now.</summary>
    internal MachineDefinition Moved(MachineDefinition saved, MachineHome home)
    {
        var moved = Elsewhere(saved.MapPaths(path => Moved(path, home)), home);
        if (IsFork) moved = MachineCopy.Forked(moved, home);
        return moved with
        {
            CodeArchive = saved.CodeArchive is { } archive ? Moved(archive, home) : null,
            Devices =
            [
                .. moved.Devices.Select(device => device switch
                {
                    DiskDevice disk when disk.Path == home.Disk => disk with { Backing = MachineDisks.DiskOf(home)?.Backing ?? disk.Backing },
                    _ => device,
                }),
            ],
        };
    }

    private MachineDefinition Elsewhere(MachineDefinition moved, MachineHome home)
    {
        if (Placed.Count == 0) return moved;
        var started = MachineFile.ReadStarted(home).Complete().Devices.Where(device => Placed.Contains(device.Name)).ToDictionary(device => device.Name, StringComparer.Ordinal);
        return moved with { Devices = [.. moved.Devices.Select(device => started.GetValueOrDefault(device.Name) is { } here ? PlacedDevice.Here(device, here) : device)] };
    }

    /// <summary>Refuses to go on where a disk that the machine writes is not the one of that moment.</summary>
    /// <exception cref="MachineException">One was written since, or is gone.</exception>
    internal void CheckDisks(MachineHome home, MachineDefinition definition)
    {
        var left = Disks.ToDictionary(disk => Moved(disk.Key, home), disk => disk.Value, StringComparer.Ordinal);
        foreach (var disk in Written(definition))
        {
            if (DiskStamp.Of(disk.Path) is not { } now) throw new MachineException(MachineError.File, $"the machine {home.Name} was suspended with the disk {disk.Path}, which is gone; put it back, or let the machine begin anew with 'lamina start --cold {home.Name}'");
            if (left.GetValueOrDefault(disk.Path) != now)
                throw new MachineException(MachineError.File, $"the disk {disk.Path} was written since the machine {home.Name} was suspended, or is another one, and what the machine remembers of it is wrong; 'lamina start --cold {home.Name}' drops that and lets the machine begin anew");
        }
    }

    /// <summary>What is kept of a machine; null where it is not suspended.</summary>
    internal static SuspendRecord? Read(MachineHome home) => RecordFile.Read(home.SuspendedRecord, root =>
    {
        if (!root.TryGetProperty("taken", out var at) || !at.TryGetDateTimeOffset(out var taken) || !root.TryGetProperty("folder", out var folder) || folder.GetString() is not { } from) return null;
        if (!root.TryGetProperty("disks", out var list)) return null;
        var disks = new Dictionary<string, DiskStamp>(StringComparer.Ordinal);
        foreach (var disk in list.EnumerateObject())
        {
            if (!disk.Value.TryGetProperty("bytes", out var bytes) || !bytes.TryGetInt64(out var length) || !disk.Value.TryGetProperty("written", out var written) || !written.TryGetDateTimeOffset(out var time)) return null;
            disks[disk.Name] = new DiskStamp(length, time.UtcDateTime);
        }
        var record = new SuspendRecord(taken, from, disks) { Snapshot = root.TryGetProperty("snapshot", out var snapshot) ? snapshot.GetString() : null, IsFork = root.TryGetProperty("fork", out var fork) && fork.GetBoolean(), Placed = root.TryGetProperty("placed", out var placed) ? [.. placed.EnumerateArray().Select(name => name.GetString() ?? "")] : [] };
        if (record.Snapshot is { } name && !MachineStore.IsHostName(name)) return null;
        return Directory.Exists(record.StateOf(home)) ? record : null;
    });

    /// <summary>Says that a machine is suspended whose state lies in its folder and whose disks are closed.</summary>
    internal static void Write(MachineHome home, HeldDisks disks) =>
        new SuspendRecord(DateTimeOffset.UtcNow, home.Folder, disks.Stamps.ToDictionary(disk => disk.Path, disk => disk.Stamp, StringComparer.Ordinal)).Write(home);

    /// <summary>Says that a machine is suspended whose state lies where this says, and whose disks are closed. It is on the disk when this returns.</summary>
    internal void Write(MachineHome home)
    {
        Directory.CreateDirectory(home.Work, MachineStore.Private);
        RecordFile.Write(home.SuspendedRecord, json =>
        {
            json.WriteString("taken", Taken);
            json.WriteString("folder", Folder);
            if (Snapshot is not null) json.WriteString("snapshot", Snapshot);
            if (IsFork) json.WriteBoolean("fork", true);
            if (Placed.Count > 0)
            {
                json.WriteStartArray("placed");
                foreach (var name in Placed) json.WriteStringValue(name);
                json.WriteEndArray();
            }
            json.WriteStartObject("disks");
            foreach (var (path, stamp) in Disks)
            {
                json.WriteStartObject(path);
                json.WriteNumber("bytes", stamp.Bytes);
                json.WriteString("written", stamp.Written);
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }, durable: true);
    }

    /// <summary>The state is of no more use from here on: the guest goes on, and writes to its disks. What was opened of it stays open.</summary>
    /// <exception cref="IOException">The host refuses.</exception>
    internal static void Use(MachineHome home)
    {
        File.Delete(home.SuspendedRecord);
        HostFiles.SyncDirectory(home.Work);
    }

    /// <summary>Removes the state of another machine that one went on from.</summary>
    internal static void DropForked(MachineHome home)
    {
        if (Directory.Exists(home.Forked)) Directory.Delete(home.Forked, recursive: true);
    }

    /// <summary>Removes a machine's state, and what there is of one that never was.</summary>
    internal static void Drop(MachineHome home)
    {
        if (!Directory.Exists(home.Work)) return;
        File.Delete(home.SuspendedRecord);
        foreach (var folder in (string[])[home.Suspended, home.Suspended + ".new"])
            if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
    }

    /// <summary>The disks whose files a machine writes. What another program serves is not known to have been left as it was.</summary>
    internal static IEnumerable<DiskDevice> Written(MachineDefinition definition) => definition.DevicesOf<DiskDevice>().Where(disk => !disk.ReadOnly && !disk.Temporary && !disk.IsRemote);

    private string Moved(string path, MachineHome home) => path.StartsWith(Folder + "/", StringComparison.Ordinal) ? home.Folder + path[Folder.Length..] : path;
}

/// <summary>What tells a disk's file that was written from one that was not.</summary>
/// <param name="Bytes">Its length.</param>
/// <param name="Written">When it was last written (UTC).</param>
public readonly record struct DiskStamp(long Bytes, DateTime Written)
{
    /// <summary>A file's; null where there is none.</summary>
    internal static DiskStamp? Of(string path)
    {
        var file = new FileInfo(path);
        return file.Exists ? new DiskStamp(file.Length, file.LastWriteTimeUtc) : null;
    }
}
