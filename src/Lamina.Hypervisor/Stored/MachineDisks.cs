// The disk of a machine's own as a chain of files: what it writes (disk.qcow2) over what stood on it when it was copied (layer-N.qcow2, which
// nobody writes) over what it was made of (base.qcow2). A copy of a machine has the same files below its own disk, by second names where
// the file system has them; whoever is removed takes only its names away. The machine must not run.
using Lamina.Backends.Disk;
using Lamina.Host;

namespace Lamina.Hypervisor.Stored;

/// <summary>Copies machines' disks.</summary>
internal static class MachineDisks
{
    // Each layer is one more file to look through at every read of what is old.
    private const int MostLayers = 16;

    private const UnixFileMode OwnerReads = UnixFileMode.UserRead;

    /// <summary>The definition of the disk of a machine's own; null where it has none.</summary>
    internal static DiskDevice? DiskOf(MachineHome home) => File.Exists(home.Disk) ? new DiskDevice { Name = MachineStore.RootName, Path = home.Disk, Backing = [home.Base, .. home.Layers] } : null;

    /// <summary>A disk as it is opened to be copied.</summary>
    internal static DiskOptions OptionsOf(DiskDevice disk) => new()
    {
        Path = disk.Path,
        Backing = disk.Backing,
        TrustsBacking = disk.TrustsBacking,
        Format = disk.Format switch { ImageFormat.Raw => DiskFormat.Raw, ImageFormat.Qcow2 => DiskFormat.Qcow2, _ => null },
        ReadOnly = true,
    };

    /// <summary>What is wrong with the files that a machine's disk needs; null where nothing is.</summary>
    internal static string? Missing(MachineHome home)
    {
        // One that was made without a disk has none of them.
        if (!((string[])[home.Disk, home.Base, home.Seed]).Any(File.Exists)) return null;
        return ((string[])[home.Disk, home.Base]).FirstOrDefault(path => new FileInfo(path) is not { Exists: true, Length: > 0 });
    }

    /// <summary>Gives a machine the disk of another: what stands on it, as a layer that both have.</summary>
    /// <param name="from">Whose; it has the same on its disk afterwards as before.</param>
    /// <param name="to">Who gets it; there is none in its folder.</param>
    /// <exception cref="IOException">It cannot be done; the first machine is as it was.</exception>
    internal static void Share(MachineHome from, MachineHome to)
    {
        if (DiskOf(from) is not { } disk) return;
        var options = new DiskOptions { Path = disk.Path, Backing = disk.Backing };
        // One that a crash left open is made right first.
        if (DiskTools.Inspect(disk.Path).Properties.Contains(("state", "not closed"))) _ = DiskTools.Check(disk.Path, repair: true);
        if (DiskTools.Snapshots(disk.Path).Count > 0 || from.Layers.Count >= MostLayers)
        {
            // Its snapshots stay its own, and a chain does not become longer without end.
            DiskTools.Convert(options, new DiskCreation { Path = to.Base }, null, CancellationToken.None);
            DiskTools.Create(new DiskCreation { Path = to.Disk, Backing = Path.GetFileName(to.Base) });
            return;
        }
        RemoveUnused(from);
        if (!IsUnwritten(from, to.Disk)) Freeze(from);
        foreach (var file in (IEnumerable<string>)[from.Base, .. from.Layers]) LinkOrCopy(file, Path.Combine(to.Folder, Path.GetFileName(file)));
        CreateOver(to, to.Disk, DiskTools.Inspect(from.Disk));
    }

    /// <summary>Gives a file a second name, or copies it where that cannot be.</summary>
    internal static void LinkOrCopy(string source, string target)
    {
        if (!HostFiles.TryLink(source, target)) File.Copy(source, target);
    }

    // What the disk is based on, from the top down.
    private static List<string> Chain(MachineHome home)
    {
        var chain = new List<string>();
        for (var at = home.Disk; chain.Count <= MostLayers + 1 && DiskTools.Inspect(at).BackingFile is { } name; chain.Add(at)) at = Path.Combine(home.Folder, Path.GetFileName(name));
        return chain;
    }

    // What a killed program left of a layer that never came to be.
    private static void RemoveUnused(MachineHome home)
    {
        var used = Chain(home);
        foreach (var layer in home.Layers.Except(used)) File.Delete(layer);
        File.Delete(Fresh(home));
    }

    // A disk that was just made over what it is based on is as long as this one: nothing was written to it since.
    private static bool IsUnwritten(MachineHome home, string trial)
    {
        var disk = DiskTools.Inspect(home.Disk);
        CreateOver(home, trial, disk, Path.Combine(home.Folder, disk.BackingFile ?? ""));
        var length = new FileInfo(trial).Length;
        File.Delete(trial);
        return length == (long)disk.FileLength;
    }

    // The machine's disk becomes a layer, and a new one over it takes its place by one rename: killed before it, the machine has its old
    // disk and a second name for that; behind it, the new one.
    private static void Freeze(MachineHome home)
    {
        var layer = home.Layer(home.Layers.Select(MachineHome.LayerNumber).DefaultIfEmpty(0).Max() + 1);
        LinkOrCopy(home.Disk, layer);
        CreateOver(home, Fresh(home), DiskTools.Inspect(home.Disk), layer);
        File.Move(Fresh(home), home.Disk, overwrite: true);
        HostFiles.SyncDirectory(home.Folder);
        File.SetUnixFileMode(layer, OwnerReads);
    }

    private static string Fresh(MachineHome home) => home.Disk + ".new";

    private static void CreateOver(MachineHome home, string path, DiskInfo like, string? over = null) => DiskTools.Create(new DiskCreation
    {
        Path = path,
        // A name that counts from the folder, so that a machine can be renamed.
        Backing = over is null ? like.BackingFile : Path.GetDirectoryName(path) == home.Folder ? Path.GetFileName(over) : over,
        Size = like.Size,
    });
}
