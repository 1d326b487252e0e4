// Opens the images of a machine's disks.
using Lamina.Backends.Disk;
using Lamina.Core.Block;
using Lamina.Core.Logging;
using Lamina.Host.Io;

namespace Lamina.Disks;

/// <summary>Opens disks.</summary>
internal static class DiskBackends
{
    /// <summary>Refuses an image that there is not, or that can be no disk, and one that a machine would share with itself, before anything is opened or fetched.</summary>
    /// <exception cref="MachineException">One is missing, can be no disk, or is given twice.</exception>
    /// <exception cref="IOException">One cannot be read; the message is a sentence.</exception>
    internal static void Check(IReadOnlyList<DiskDevice> disks)
    {
        foreach (var disk in disks.Where(disk => disk.IsRemote))
        {
            if (disk.Size is not null) throw new MachineException(MachineError.Definition, $"{disk.Path} is as long as its server says; leave size= out");
            DiskImages.CheckExport(OptionsOf(disk, null));
        }
        var files = disks.Where(disk => !disk.IsRemote).ToList();
        foreach (var disk in files)
            if (HostPath.IsGone(disk.Path) && disk.Size is null) throw new MachineException(MachineError.File, $"there is no disk image {disk.Path}; make one with 'lamina disk create', or by size=SIZE");
        foreach (var disk in files)
            if ((HostPath.IsGone(disk.Path) ? WhyNotMade(disk) ?? WhyUnfit(disk, disk.Size!.Value) : WhyUnfit(disk, DiskTools.Inspect(disk.Path, FormatOf(disk)).Size)) is { } reason) throw new MachineException(MachineError.File, $"the disk {disk.Path} {reason}");
        var twice = files.Where(disk => !disk.ReadOnly && !disk.Temporary)
            .FirstOrDefault(disk => files.Any(other => !ReferenceEquals(disk, other) && HostPath.Identity(disk.Path) is { } identity && identity == HostPath.Identity(other.Path)));
        if (twice is not null) throw new MachineException($"the disk {twice.Path} is given twice; a machine can share an image with itself only where both are read only");
    }

    /// <summary>Makes a disk's image where there is none and the disk has a size.</summary>
    /// <exception cref="IOException">It cannot be made; the message is a sentence.</exception>
    /// <exception cref="MachineException">It is none that is made.</exception>
    internal static void Make(DiskDevice disk)
    {
        if (disk is not { Size: { } size, IsRemote: false } || !HostPath.IsGone(disk.Path)) return;
        if (WhyNotMade(disk) is { } not) throw new MachineException(MachineError.File, $"the disk {disk.Path} {not}");
        DiskTools.Create(new DiskCreation { Path = disk.Path, Size = size, Format = FormatOf(disk) ?? DiskFormat.Qcow2 });
    }

    /// <summary>Opens a disk's image.</summary>
    /// <param name="disk">What to open.</param>
    /// <param name="log">Told of what goes wrong later; or null.</param>
    /// <exception cref="IOException">It cannot be used; the message is a sentence.</exception>
    /// <exception cref="MachineException">It is no disk.</exception>
    internal static IBlockBackend Open(DiskDevice disk, ILog? log)
    {
        Make(disk);
        var options = OptionsOf(disk, log);
        var backend = disk.Temporary ? DiskImages.OpenTemporary(options) : LayeredDisk.Open(options);
        if (WhyUnfit(disk, backend.Length) is not { } reason) return backend;
        backend.Dispose();
        throw new MachineException(MachineError.File, $"the disk {disk.Path} {reason}");
    }

    private static DiskOptions OptionsOf(DiskDevice disk, ILog? log) => new()
    {
        Path = disk.Path,
        Format = FormatOf(disk),
        ReadOnly = disk.ReadOnly,
        Direct = disk.Direct,
        Aio = disk.Aio switch
        {
            AioMode.IoUring => DiskAio.IoUring,
            AioMode.Threads => DiskAio.Threads,
            _ => DiskAio.Auto,
        },
        Cache = disk.Cache switch
        {
            CacheMode.WriteThrough => DiskCache.WriteThrough,
            CacheMode.Unsafe => DiskCache.Unsafe,
            _ => DiskCache.WriteBack,
        },
        Backing = disk.Backing,
        TrustsBacking = disk.TrustsBacking,
        TlsFolder = disk.Tls,
        Patience = disk.Reconnect,
        Log = log,
    };

    // One that is made by its size alone is raw by its name, then as later.
    private static DiskFormat? FormatOf(DiskDevice disk) => disk.Format switch
    {
        ImageFormat.Raw => DiskFormat.Raw,
        ImageFormat.Qcow2 => DiskFormat.Qcow2,
        _ => disk.Size is not null && Path.GetExtension(disk.Path) is (".raw" or ".img") ? DiskFormat.Raw : null,
    };

    private static string? WhyNotMade(DiskDevice disk) => disk.ReadOnly || disk.Temporary
        ? $"is not there, and to be made it must be one that is written to; leave {(disk.ReadOnly ? "ro" : "temporary")} out, or name an image"
        : null;

    private static string? WhyUnfit(DiskDevice disk, ulong length)
    {
        if (length == 0) return "has 0 bytes; make it larger with 'lamina disk resize', or name another image";
        if (disk.BlockSize is { } size && length % (ulong)size != 0)
            return $"has {length} bytes, which are no whole number of blocks of {size} bytes; make it {(length / (ulong)size + 1) * (ulong)size} bytes with 'lamina disk resize', or leave block-size={size} out";
        return null;
    }
}
