// Opens disk images for machines: looks for the format, takes the locks, puts the chain of backing files together. A
// backing file is opened only where the user named it: an image is data from somewhere, and must not choose which files of
// the host its guest may read.
using System.Runtime.InteropServices;
using Lamina.Backends.Disk.Qcow2;
using Lamina.Backends.Nbd;
using Lamina.Backends.Nbd.Client;
using Lamina.Core.Block;
using Lamina.Core.Logging;
using Lamina.Host.Io;

namespace Lamina.Backends.Disk;

/// <summary>Opens images.</summary>
public static class DiskImages
{
    // More than anybody stacks; each costs a file and a lock.
    private const int LongestChain = 64;

    /// <summary>The most bytes that one image keeps in memory, of whatever format: its tables, and a piece past the page cache.</summary>
    public const long MostBytes = ClusterMap.CacheCapacity + Refcounts.CacheCapacity + DirectImageFile.BounceLength;

    /// <summary>The most connections to an NBD export, a socket and a thread each.</summary>
    public const int MostConnections = NbdClient.MostConnections;

    /// <summary>Opens an image and its backing files. A qcow2 image that was not closed is repaired first, where it may be written.</summary>
    /// <exception cref="IOException">It cannot be used; the message is a sentence that says why and what to do.</exception>
    public static IBlockBackend Open(DiskOptions options) => Open(options, []);

    /// <summary>Opens an image to be written, without changing it: what is written goes into a file that nobody else sees.</summary>
    /// <exception cref="IOException">It cannot be used; the message is a sentence that says why and what to do.</exception>
    public static IBlockBackend OpenTemporary(DiskOptions options)
    {
        if (options.Aio == DiskAio.IoUring) throw new DiskImageException($"io_uring cannot serve what is temporary, which lies in a qcow2 image over {options.Path}; leave out aio=io_uring");
        var backing = Open(options with { ReadOnly = true });
        var path = Path.Combine(Path.GetTempPath(), $"lamina-{Guid.NewGuid():N}.qcow2");
        try
        {
            // Until its name is gone it can be found, and who had opened it by then could go on reading.
            var file = new HostImageFile(DiskFile.Open(path, DiskFileMode.CreatePrivate), syncs: false);
            try
            {
                File.Delete(path);
                Qcow2Editor.Create(file, new Qcow2Header { Size = backing.Length });
                return new Qcow2Disk(file, Qcow2Header.Read(file), backing, readOnly: false, options.Log);
            }
            catch
            {
                file.Dispose();
                throw;
            }
        }
        catch
        {
            backing.Dispose();
            throw;
        }
    }

    /// <summary>Opens the file of an image and takes its locks.</summary>
    internal static IImageFile OpenFile(DiskOptions options)
    {
        if (NbdUri.Is(options.Path)) throw new DiskImageException($"{options.Path} is another program's to look into and to change; ask that one, or work on the image itself");
        var mode = (options.ReadOnly ? DiskFileMode.Read : DiskFileMode.Write) | (options.Direct ? DiskFileMode.Direct : 0);
        var disk = DiskFile.Open(options.Path, mode);
        try
        {
            ImageLock.Take(disk, !options.ReadOnly);
        }
        catch
        {
            disk.Dispose();
            throw;
        }
        // In the host's page cache there is little to wait for, and what there is threads do as well.
        var aio = options is { Aio: DiskAio.Auto, Direct: false } ? DiskAio.Threads : options.Aio;
        var file = new HostImageFile(disk, syncs: options.Cache != DiskCache.Unsafe, aio);
        return options.Direct ? new DirectImageFile(file) : file;
    }

    /// <summary>A raw image that is only read, of a file that somebody else opened.</summary>
    /// <param name="file">It; closed with the disk, or where it can be none.</param>
    /// <param name="path">What it is called in sentences.</param>
    /// <exception cref="IOException">It can be no disk.</exception>
    public static IBlockBackend OpenRaw(SafeHandle file, string path)
    {
        var disk = DiskFile.Take(file, path);
        try
        {
            return new RawDisk(new HostImageFile(disk), readOnly: true);
        }
        catch
        {
            disk.Dispose();
            throw;
        }
    }

    /// <summary>The format that a file seems to have.</summary>
    internal static DiskFormat FormatOf(IImageFile file) => Qcow2Header.IsQcow2(file) ? DiskFormat.Qcow2 : DiskFormat.Raw;

    /// <summary>Where an image's backing file lies: its name counts from the image's folder.</summary>
    internal static string BackingPath(string image, string name) =>
        Path.GetFullPath(name, Path.GetDirectoryName(Path.GetFullPath(image)) ?? "/");

    /// <summary>Refuses what no NBD export can be opened with, before anything is.</summary>
    /// <exception cref="IOException">It cannot be; the message is a sentence.</exception>
    public static void CheckExport(DiskOptions options)
    {
        var uri = NbdUri.Parse(options.Path);
        if (uri.IsSecure && options.TlsFolder is null) throw new DiskImageException($"nothing says who the server of {uri} must be; name a folder with ca.pem (tls=FOLDER with --disk, --tls FOLDER with lamina disk)");
        if (!uri.IsSecure && options.TlsFolder is not null) throw new DiskImageException($"{uri} is reached without TLS, and certificates are given for it; write nbds instead of nbd, or leave the certificates out");
        if (options.Format == DiskFormat.Qcow2) throw new DiskImageException($"{options.Path} is taken for the disk as it is; leave out format=qcow2, and have its server open the image in it");
        if (options.Direct || options.Aio == DiskAio.IoUring) throw new DiskImageException($"{options.Path} is no file of this host's; leave out {(options.Direct ? "direct" : "aio=io_uring")}");
        if (options.Backing.Count > 0 || options.TrustsBacking) throw new DiskImageException($"{options.Path} has no backing file; leave that out");
    }

    private static RawDisk OpenExport(DiskOptions options)
    {
        CheckExport(options);
        var export = NbdImageFile.Open(options);
        // What is no whole block of the server's is put together here.
        return new RawDisk(export.SectorSize > IBlockBackend.SectorSize ? new DirectImageFile(export) : export, options.ReadOnly);
    }

    private static IBlockBackend Open(DiskOptions options, List<string> chain)
    {
        if (NbdUri.Is(options.Path)) return OpenExport(options);
        if (options.TlsFolder is not null || options.Patience is not null) throw new DiskImageException($"{options.Path} is a file, which has no connection; leave out {(options.TlsFolder is not null ? "tls" : "reconnect")}");
        // Looked at before it is opened: the chain's own locks would be in the way.
        if (HostPath.Identity(options.Path) is { } identity && chain.Contains(identity))
            throw new DiskImageException($"{options.Path} is its own backing file, by way of {chain.Count} images; the chain must end");
        var file = OpenFile(options);
        try
        {
            if (chain.Count == LongestChain) throw new DiskImageException($"there are more than {LongestChain} backing files below {options.Path}; put some of them together with lamina disk convert");
            chain.Add(file.Identity);
            var format = options.Format ?? FormatOf(file);
            if (options is { Format: null, ReadOnly: false } && format == DiskFormat.Raw)
                options.Log.Warn(LogEvent.DiskImage, $"{options.Path} is taken for a raw image; say so with format=raw, or what the guest writes at its beginning may have it taken for another kind next time");
            return format == DiskFormat.Qcow2 ? OpenQcow2(file, options, chain) : new RawDisk(file, options.ReadOnly);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    private static Qcow2Disk OpenQcow2(IImageFile file, DiskOptions options, List<string> chain)
    {
        if (options.Aio == DiskAio.IoUring) throw new DiskImageException($"io_uring serves raw images, and {file.Name} is a qcow2 image; leave out aio=io_uring");
        var header = Qcow2Header.Read(file);
        if (!options.ReadOnly && header.IsCorrupt) throw new DiskImageException($"{file.Name} is marked as damaged; look at it with lamina disk check, then use --repair, or open it for reading only");
        if (!options.ReadOnly && header.IsDirty)
        {
            options.Log.Warn(LogEvent.DiskImage, $"{file.Name} was not closed; its refcounts are being made anew");
            header = Qcow2Checker.Repair(file, header);
        }
        var backing = header.BackingFile is { } name ? OpenBacking(options, header, name, chain) : null;
        try
        {
            return new Qcow2Disk(file, header, backing, options.ReadOnly, options.Log);
        }
        catch
        {
            backing?.Dispose();
            throw;
        }
    }

    private static IBlockBackend OpenBacking(DiskOptions options, Qcow2Header header, string name, List<string> chain)
    {
        var path = BackingPath(options.Path, name);
        var identity = HostPath.Identity(path) ?? throw new DiskImageException($"the backing file {path} of {options.Path} is missing");
        if (!options.TrustsBacking)
        {
            // What is opened is the file by the name that the user gave.
            path = options.Backing.FirstOrDefault(allowed => HostPath.Identity(allowed) == identity)
                ?? throw new DiskImageException($"{options.Path} has the backing file {path}; name that as its backing file if it may be read (backing={path} with --disk, --backing {path} with lamina disk)");
        }
        DiskFormat? format = header.BackingFormat switch
        {
            null => null,
            "raw" => DiskFormat.Raw,
            "qcow2" => DiskFormat.Qcow2,
            var other => throw new DiskImageException($"the backing file {path} of {options.Path} is said to be of the format \"{other}\", which is not known here; convert it with qemu-img first"),
        };
        return Open(options with { Path = path, Format = format, ReadOnly = true, Direct = false, Aio = DiskAio.Threads }, chain);
    }
}
