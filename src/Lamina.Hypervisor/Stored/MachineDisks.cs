// The disk of a machine's own as a chain of files: what it writes (disk.qcow2) over what stood on it when it was copied (layer-N.qcow2, which
// nobody writes) over what it was made of (base.qcow2). A copy of a machine has the same files below its own disk, by second names where
// the file system has them; whoever is removed takes only its names away. The machine must not run.
using Lamina.Backends.Disk;
using Lamina.Host;
using Lamina.Host.Io;

namespace Lamina.Hypervisor.Stored;

/// <summary>Copies machines' disks.</summary>
internal static class MachineDisks
{
    // Each layer is one more file to look through at every read of what is old.
    internal const int MostLayers = 48;

    private const UnixFileMode OwnerReads = UnixFileMode.UserRead;

    /// <summary>The definition of the disk of a machine's own; null where it has none.</summary>
    internal static DiskDevice? DiskOf(MachineHome home) => File.Exists(home.Disk) ? new DiskDevice { Name = MachineStore.RootName, Path = home.Disk, Backing = [home.Base, .. home.Layers] } : null;

    /// <summary>A definition with what the machine has from its folder: what it boots, and the disk that is its own.</summary>
    internal static MachineDefinition Whole(MachineHome home, MachineDefinition definition) => definition with
    {
        Boot = File.Exists(home.Kernel) ? definition.Boot with { KernelPath = home.Kernel, InitrdPath = File.Exists(home.Initrd) ? home.Initrd : null } : definition.Boot,
        Devices = [.. DiskOf(home) is { } disk ? [disk] : Array.Empty<DeviceDefinition>(), .. definition.Devices],
    };

    /// <summary>Copies a disk into one qcow2 image. One that would be made at the machine's next start is empty.</summary>
    /// <exception cref="IOException">It cannot be copied; the message is a sentence.</exception>
    internal static void Copy(DiskDevice disk, string path, CancellationToken cancellationToken)
    {
        var copy = new DiskCreation { Path = path };
        if (disk is { Size: { } size, IsRemote: false } && HostPath.IsGone(disk.Path)) DiskTools.Create(copy with { Size = size });
        else DiskTools.Convert(OptionsOf(disk), copy, null, cancellationToken);
    }

    // A disk as it is opened to be copied.
    private static DiskOptions OptionsOf(DiskDevice disk) => new()
    {
        Path = disk.Path,
        Backing = disk.Backing,
        TrustsBacking = disk.TrustsBacking,
        Format = disk.Format switch { ImageFormat.Raw => DiskFormat.Raw, ImageFormat.Qcow2 => DiskFormat.Qcow2, _ => null },
        ReadOnly = true,
        TlsFolder = disk.Tls,
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
        Mend(disk.Path);
        if (DiskTools.Snapshots(disk.Path).Count > 0 || Chain(from, from.Disk).Count > MostLayers)
        {
            // Its snapshots stay its own, and a chain does not become longer without end.
            DiskTools.Convert(options, new DiskCreation { Path = to.Base }, null, CancellationToken.None);
            DiskTools.Create(new DiskCreation { Path = to.Disk, Backing = Path.GetFileName(to.Base) });
            return;
        }
        RemoveUnused(from);
        _ = FrozenLayer(from);
        foreach (var file in Chain(from, from.Disk)) LinkOrCopy(file, Path.Combine(to.Folder, Path.GetFileName(file)));
        CreateOver(to, to.Disk, DiskTools.Inspect(from.Disk));
    }

    /// <summary>Has what stands on a machine's disk stay as it is: in a file below it, to which nobody writes. The machine is off.</summary>
    /// <returns>The file's name.</returns>
    /// <exception cref="IOException">It cannot be done; all is as it was.</exception>
    internal static string FrozenLayer(MachineHome home)
    {
        Mend(home.Disk);
        File.Delete(Fresh(home));
        if (!IsUnwritten(home, Fresh(home))) Freeze(home);
        return Path.GetFileName(DiskTools.Inspect(home.Disk).BackingFile ?? throw new DiskImageException($"{home.Disk} is based on nothing"));
    }

    /// <summary>The name of the next layer of a machine.</summary>
    /// <exception cref="MachineException">Its disk has as many as there can be.</exception>
    internal static string NextLayer(MachineHome home)
    {
        if (Chain(home, home.Disk).Count > MostLayers) throw new MachineException(MachineError.State, $"the disk of {home.Name} consists of {MostLayers} layers, which is as many as there can be; 'lamina clone' makes a machine of it whose disk is one, once its snapshots are removed");
        return Path.GetFileName(FreeLayer(home));
    }

    /// <summary>Puts the disk of a machine that stands still below the image that takes what is written from now on: by one rename, before which nothing has changed.</summary>
    /// <param name="home">The machine.</param>
    /// <param name="layer">The name that its disk gets.</param>
    /// <param name="next">The new image.</param>
    /// <exception cref="IOException">It cannot be done; all is as it was.</exception>
    internal static void Exchange(MachineHome home, string layer, string next)
    {
        var place = Path.Combine(home.Folder, layer);
        if (!HostFiles.TryLink(home.Disk, place)) throw new IOException($"the file system of {home.Folder} gives no second names to files; stop the machine first, then take the snapshot");
        try
        {
            File.Move(next, home.Disk, overwrite: true);
        }
        catch
        {
            File.Delete(place);
            throw;
        }
        if (!HostPath.IsRegular(home.Disk))
        {
            // The machine's process made it, which its guest may have taken over: another's file is not to become its disk.
            File.Move(place, home.Disk, overwrite: true);
            throw new MachineException(MachineError.Host, $"the process of the machine {home.Name} made no image for what its guest writes from now on; it does what no machine does, and 'lamina kill {home.Name}' ends it");
        }
        HostFiles.SyncDirectory(home.Folder);
        File.SetUnixFileMode(place, OwnerReads);
    }

    /// <summary>Has a machine, which is off, have on its disk what stands in a layer. What stood on it and is in no layer is gone.</summary>
    /// <exception cref="IOException">It cannot be done; all is as it was.</exception>
    internal static void PutBack(MachineHome home, string layer)
    {
        var below = Path.Combine(home.Folder, layer);
        if (!File.Exists(below)) throw new MachineException(MachineError.File, $"{below} is gone, and with it what stood on the disk of {home.Name} then");
        File.Delete(Fresh(home));
        CreateOver(home, Fresh(home), DiskTools.Inspect(below), below);
        File.Move(Fresh(home), home.Disk, overwrite: true);
        HostFiles.SyncDirectory(home.Folder);
    }

    /// <summary>Gives a new machine a disk of its own on a layer of another one's, which both have from then on.</summary>
    /// <exception cref="IOException">It cannot be done.</exception>
    internal static void LayOver(MachineHome from, string layer, MachineHome to)
    {
        foreach (var file in LayersOf(from, layer)) LinkOrCopy(Path.Combine(from.Folder, file), Path.Combine(to.Folder, file));
        var below = Path.Combine(to.Folder, layer);
        if (!File.Exists(to.Disk))
        {
            CreateOver(to, to.Disk, DiskTools.Inspect(below), below);
            return;
        }
        // The file stays the one that its process may write.
        CreateOver(to, Fresh(to), DiskTools.Inspect(below), below);
        File.WriteAllBytes(to.Disk, File.ReadAllBytes(Fresh(to)));
        File.Delete(Fresh(to));
    }

    /// <summary>Removes the layers that neither a machine's disk nor one of its snapshots is based on; none as long as there is a snapshot of which that is not known.</summary>
    internal static void RemoveUnused(MachineHome home)
    {
        if (!File.Exists(home.Disk)) return;
        File.Delete(Fresh(home));
        if (TryFindUsed(home) is not { } used) return;
        foreach (var layer in home.Layers.Where(layer => !used.Contains(layer))) File.Delete(layer);
    }

    /// <summary>Gives a file a second name, or copies it where that cannot be.</summary>
    /// <exception cref="HostException">It is no ordinary file.</exception>
    internal static void LinkOrCopy(string source, string target)
    {
        if (NamedFile.KindOf(source, followsLink: false) is { } kind and not NamedKind.File) throw new HostException($"{source} is {NamedFile.Describe(kind)}, and no file");
        if (!HostFiles.TryLink(source, target)) File.Copy(source, target);
    }

    /// <summary>A layer and what it is based on, by their files' names; none where there is no layer.</summary>
    internal static IReadOnlyList<string> LayersOf(MachineHome home, string? layer)
    {
        if (layer is null) return [];
        var top = Path.Combine(home.Folder, layer);
        return File.Exists(top) ? [layer, .. Chain(home, top).Select(path => Path.GetFileName(path))] : throw new MachineException(MachineError.File, $"{top} is gone");
    }

    // An image that a crash left open is made right, before it is the base of others.
    private static void Mend(string image)
    {
        if (DiskTools.Inspect(image).Properties.Contains(("state", "not closed"))) _ = DiskTools.Check(image, repair: true);
    }

    // What an image is based on, from the top down.
    private static List<string> Chain(MachineHome home, string image)
    {
        var chain = new List<string>();
        for (var at = image; chain.Count <= MostLayers + 1 && BaseOf(at) is { } name; chain.Add(at)) at = Path.Combine(home.Folder, Path.GetFileName(name));
        return chain;

        static string? BaseOf(string path)
        {
            var isLayer = MachineHome.LayerNumber(path) > 0;
            if (isLayer && !File.Exists(path)) throw new DiskImageException($"{path} is gone, and what is based on it cannot be read");
            var info = DiskTools.Inspect(path);
            // What has lost its header would pass for an image that is based on nothing.
            return isLayer && info.Format != DiskFormat.Qcow2 ? throw new DiskImageException($"{path} is no image of a disk any more") : info.BackingFile;
        }
    }

    // Null where a snapshot, or an image, does not say what it is based on.
    private static HashSet<string>? TryFindUsed(MachineHome home)
    {
        try
        {
            var used = Chain(home, home.Disk).ToHashSet(StringComparer.Ordinal);
            foreach (var folder in Snapshot.FoldersOf(home))
            {
                if (Snapshot.TryRead(folder) is not { } snapshot) return null;
                if (snapshot.Layer is null) continue;
                var layer = Path.Combine(home.Folder, snapshot.Layer);
                used.UnionWith([layer, .. Chain(home, layer)]);
            }
            return used;
        }
        catch (Exception unreadable) when (unreadable is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    // Behind those that snapshots name, too: a layer that was lost must not become another one of the same name.
    private static string FreeLayer(MachineHome home) =>
        home.Layer(home.Layers.Concat(Snapshot.FoldersOf(home).Select(Snapshot.TryRead).Select(snapshot => snapshot?.Layer).OfType<string>()).Select(MachineHome.LayerNumber).DefaultIfEmpty(0).Max() + 1);

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
        var layer = FreeLayer(home);
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
