// What is kept of a machine that was suspended: the folder with its saved state (run/suspended), and beside it this small file, which is
// written last, so that what a killed process left of a suspension that did not come about is no machine's state. It says how the disks
// were that the machine writes: a state fits the disks of its moment alone.
using System.Text.Json;
using Lamina.Host;

namespace Lamina.Hypervisor.Stored;

/// <summary>A suspended machine.</summary>
/// <param name="Taken">When it was.</param>
/// <param name="Folder">The machine's folder then: it may have another name now.</param>
/// <param name="Disks">The disks that it writes.</param>
public sealed record SuspendRecord(DateTimeOffset Taken, string Folder, IReadOnlyList<SuspendRecord.Disk> Disks)
{
    /// <summary>A disk's file as it was.</summary>
    /// <param name="Path">Where it lay.</param>
    /// <param name="Length">How long it was, in bytes.</param>
    /// <param name="Written">When it was last written.</param>
    public sealed record Disk(string Path, long Length, DateTime Written);

    /// <summary>The definition of a suspended machine as it was, with its files where they are now.</summary>
    internal MachineDefinition Moved(MachineDefinition saved, MachineHome home) =>
        saved.MapPaths(path => Moved(path, home)) with { CodeArchive = saved.CodeArchive is { } archive ? Moved(archive, home) : null };

    /// <summary>Refuses to go on where a disk is not the one of that moment.</summary>
    /// <exception cref="MachineException">One was written since, or is gone.</exception>
    internal void CheckDisks(MachineHome home)
    {
        foreach (var disk in Disks)
        {
            var path = Moved(disk.Path, home);
            if (Of(path) is not { } now) throw new MachineException(MachineError.File, $"the machine {home.Name} was suspended with the disk {path}, which is gone; put it back, or let the machine begin anew with 'lamina start --cold {home.Name}'");
            if (now.Length != disk.Length || now.Written != disk.Written)
                throw new MachineException(MachineError.File, $"the disk {path} was written since the machine {home.Name} was suspended, and what the machine remembers of it is wrong; 'lamina start --cold {home.Name}' drops that and lets the machine begin anew");
        }
    }

    /// <summary>What is kept of a machine; null where it is not suspended.</summary>
    internal static SuspendRecord? Read(MachineHome home) => !Directory.Exists(home.Suspended) ? null : RecordFile.Read(home.SuspendedRecord, root =>
        root.TryGetProperty("taken", out var at) && at.TryGetDateTimeOffset(out var taken) && root.TryGetProperty("folder", out var folder) && folder.GetString() is { } from
        && root.TryGetProperty("disks", out var disks) && disks.ValueKind == JsonValueKind.Array && disks.EnumerateArray().Select(ReadDisk).ToList() is var list && !list.Contains(null)
            ? new SuspendRecord(taken, from, list!)
            : null);

    /// <summary>Says that a machine is suspended whose state lies in its folder and whose disks are closed.</summary>
    internal static void Write(MachineHome home, MachineDefinition definition)
    {
        var disks = definition.DevicesOf<DiskDevice>().Where(disk => !disk.ReadOnly && !disk.Temporary).Select(disk => Of(disk.Path)).OfType<Disk>().ToList();
        RecordFile.Write(home.SuspendedRecord, json =>
        {
            json.WriteString("taken", DateTimeOffset.UtcNow);
            json.WriteString("folder", home.Folder);
            json.WriteStartArray("disks");
            foreach (var disk in disks)
            {
                json.WriteStartObject();
                json.WriteString("path", disk.Path);
                json.WriteNumber("length", disk.Length);
                json.WriteString("written", disk.Written);
                json.WriteEndObject();
            }
            json.WriteEndArray();
        });
    }

    /// <summary>The state is of no more use from here on: the guest goes on, and writes to its disks. What was opened of it stays open.</summary>
    /// <exception cref="IOException">The host refuses.</exception>
    internal static void Use(MachineHome home)
    {
        File.Delete(home.SuspendedRecord);
        HostFiles.SyncDirectory(home.Work);
    }

    /// <summary>Removes a machine's state, and what there is of one that never was.</summary>
    internal static void Drop(MachineHome home)
    {
        File.Delete(home.SuspendedRecord);
        foreach (var folder in (string[])[home.Suspended, home.Suspended + ".new"])
            if (Directory.Exists(folder)) Directory.Delete(folder, recursive: true);
    }

    private static Disk? ReadDisk(JsonElement disk) =>
        disk.ValueKind == JsonValueKind.Object && disk.TryGetProperty("path", out var path) && path.GetString() is { } name && disk.TryGetProperty("length", out var bytes) && bytes.TryGetInt64(out var length)
        && disk.TryGetProperty("written", out var at) && at.TryGetDateTime(out var written)
            ? new Disk(name, length, written.ToUniversalTime())
            : null;

    private static Disk? Of(string path) => new FileInfo(path) is { Exists: true } file ? new Disk(path, file.Length, file.LastWriteTimeUtc) : null;

    private string Moved(string path, MachineHome home) => path.StartsWith(Folder + "/", StringComparison.Ordinal) ? home.Folder + path[Folder.Length..] : path;
}
