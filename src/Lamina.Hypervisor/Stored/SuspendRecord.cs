// What is kept of a machine that was suspended: the folder with its saved state (run/suspended), and beside it this small file, which is
// written last, when the disks are closed. So what a killed process left of a suspension that did not come about is no machine's state,
// and a disk that was written later than this file is not the one that the state fits.
using Lamina.Host;

namespace Lamina.Hypervisor.Stored;

/// <summary>A suspended machine.</summary>
/// <param name="Taken">When it was.</param>
/// <param name="Folder">The machine's folder then: it may have another name now.</param>
public sealed record SuspendRecord(DateTimeOffset Taken, string Folder)
{
    /// <summary>The definition of a suspended machine as it was, with its files where they are now.</summary>
    internal MachineDefinition Moved(MachineDefinition saved, MachineHome home) =>
        saved.MapPaths(path => Moved(path, home)) with { CodeArchive = saved.CodeArchive is { } archive ? Moved(archive, home) : null };

    /// <summary>Refuses to go on where a disk that the machine writes is not the one of that moment.</summary>
    /// <exception cref="MachineException">One was written since, or is gone.</exception>
    internal void CheckDisks(MachineHome home, MachineDefinition definition)
    {
        var closed = File.GetLastWriteTimeUtc(home.SuspendedRecord);
        foreach (var disk in definition.DevicesOf<DiskDevice>().Where(disk => !disk.ReadOnly && !disk.Temporary))
        {
            if (!File.Exists(disk.Path)) throw new MachineException(MachineError.File, $"the machine {home.Name} was suspended with the disk {disk.Path}, which is gone; put it back, or let the machine begin anew with 'lamina start --cold {home.Name}'");
            if (File.GetLastWriteTimeUtc(disk.Path) > closed)
                throw new MachineException(MachineError.File, $"the disk {disk.Path} was written since the machine {home.Name} was suspended, and what the machine remembers of it is wrong; 'lamina start --cold {home.Name}' drops that and lets the machine begin anew");
        }
    }

    /// <summary>What is kept of a machine; null where it is not suspended.</summary>
    internal static SuspendRecord? Read(MachineHome home) => !Directory.Exists(home.Suspended) ? null : RecordFile.Read(home.SuspendedRecord, root =>
        root.TryGetProperty("taken", out var at) && at.TryGetDateTimeOffset(out var taken) && root.TryGetProperty("folder", out var folder) && folder.GetString() is { } from ? new SuspendRecord(taken, from) : null);

    /// <summary>Says that a machine is suspended whose state lies in its folder and whose disks are closed.</summary>
    internal static void Write(MachineHome home) => RecordFile.Write(home.SuspendedRecord, json =>
    {
        json.WriteString("taken", DateTimeOffset.UtcNow);
        json.WriteString("folder", home.Folder);
    });

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

    private string Moved(string path, MachineHome home) => path.StartsWith(Folder + "/", StringComparison.Ordinal) ? home.Folder + path[Folder.Length..] : path;
}
