// What people do with images apart from running machines on them: make, look at, check, resize, convert, take snapshots.
// Every operation takes the image's locks, so that none disturbs a machine that runs.
using Lamina.Backends.Disk.Qcow2;
using Lamina.Backends.Nbd;
using Lamina.Core.Block;
using Lamina.Core.Logging;
using Lamina.Host.Io;

namespace Lamina.Backends.Disk;

/// <summary>Operations on images.</summary>
public static class DiskTools
{
    private const int CopyLength = 2 << 20;
    private const int ZeroUnit = 4096;
    private const ulong MostCleared = 1 << 30;

    /// <summary>Makes an image.</summary>
    /// <exception cref="IOException">It cannot be made; nothing is left behind.</exception>
    public static void Create(DiskCreation creation)
    {
        if (creation.Format == DiskFormat.Raw && creation.Backing is not null) throw new DiskImageException("a raw image has no backing file; make a qcow2 image");
        var (size, format) = creation.Backing is { } backing ? SizeAndFormat(creation, backing) : (creation.Size, null);
        if (size is not { } length) throw new DiskImageException($"say how large the disk of {creation.Path} is to be");
        length = Qcow2Spec.RoundUp(length, IBlockBackend.SectorSize);
        if (length > Qcow2Spec.LargestDisk) throw new DiskImageException($"a disk of {length} bytes is too large");
        Make(creation.Path, file =>
        {
            if (creation.Format == DiskFormat.Raw) file.SetLength(length);
            else Qcow2Editor.Create(file, HeaderFor(creation, length, format));
            file.Sync();
        });
    }

    /// <summary>Looks at an image. Backing files are not opened.</summary>
    /// <param name="path">The image.</param>
    /// <param name="format">What it is; null for what it seems to be.</param>
    /// <param name="tlsFolder">For an NBD export by TLS: see <see cref="DiskOptions.TlsFolder"/>.</param>
    /// <exception cref="IOException">It cannot be read or is none.</exception>
    public static DiskInfo Inspect(string path, DiskFormat? format = null, string? tlsFolder = null)
    {
        if (NbdUri.Is(path)) return InspectExport(path, tlsFolder);
        if (tlsFolder is not null) throw new DiskImageException($"{path} is a file, which is reached without certificates; leave them out");
        using var file = DiskFile.Open(path, DiskFileMode.Read);
        using var image = new HostImageFile(file);
        if ((format ?? DiskImages.FormatOf(image)) == DiskFormat.Raw) return new DiskInfo { Path = path, Format = DiskFormat.Raw, Size = image.Length, FileLength = image.Length };
        var header = Qcow2Header.Read(image);
        return new DiskInfo
        {
            Path = path,
            Format = DiskFormat.Qcow2,
            Size = header.Size,
            FileLength = image.Length,
            BackingFile = header.BackingFile,
            Properties =
            [
                ("version", $"{header.Version}"),
                ("cluster size", $"{header.ClusterSize}"),
                ("refcount bits", $"{1 << header.RefcountOrder}"),
                ("compression", header.CompressionType == Qcow2Spec.CompressionZstd ? "zstd" : "deflate"),
                ("lazy refcounts", header.HasLazyRefcounts ? "yes" : "no"),
                ("state", header.IsCorrupt ? "marked as damaged" : header.IsDirty ? "not closed" : "closed"),
                .. header.BackingFormat is null ? Array.Empty<(string, string)>() : [("backing format", header.BackingFormat)],
                ("snapshots", $"{header.SnapshotCount}"),
            ],
        };
    }

    /// <summary>Checks a qcow2 image, and makes it right where that is asked for and needed.</summary>
    /// <returns>What was found first, and what is found after the repair, if there was one.</returns>
    /// <exception cref="IOException">It cannot be read, is none, or cannot be repaired.</exception>
    public static (CheckResult Found, CheckResult? AfterRepair) Check(string path, bool repair) => Edit(path, write: repair, (file, header) =>
    {
        var found = Qcow2Checker.Check(file, header);
        if (!repair || (found.IsClean && !header.IsDirty && !header.IsCorrupt)) return (found, null);
        return (found, (CheckResult?)Qcow2Checker.Check(file, Qcow2Checker.Repair(file, header)));
    });

    /// <summary>Makes a disk longer or shorter.</summary>
    /// <param name="options">The image, and its backing files where it has some.</param>
    /// <param name="size">The new length in bytes.</param>
    /// <param name="shrink">Whether it may become shorter, which loses what lies behind the new end.</param>
    /// <exception cref="IOException">It cannot be done.</exception>
    public static void Resize(DiskOptions options, ulong size, bool shrink)
    {
        size = Qcow2Spec.RoundUp(size, IBlockBackend.SectorSize);
        var (old, format, hasBacking) = ResizeRaw(options, size, shrink);
        if (format == DiskFormat.Raw) return;
        // Nothing of what was behind the end may come back when the disk grows again.
        if (size < old) Forget(options, size);
        Edit(options.Path, write: true, (file, header) => Qcow2Editor.SetSize(file, header, size));
        // What a longer backing file has there was never part of this disk.
        if (size > old && hasBacking) Forget(options, old);
    }

    /// <summary>The snapshots in an image.</summary>
    /// <exception cref="IOException">It cannot be read or is none.</exception>
    public static IReadOnlyList<DiskSnapshot> Snapshots(string path) => Edit(path, write: false, (file, header) =>
        SnapshotTable.Read(file, header).Select(entry => new DiskSnapshot(entry.Id, entry.Name,
            DateTimeOffset.FromUnixTimeSeconds(entry.Seconds).AddTicks(entry.Nanoseconds / 100), entry.DiskSize, entry.VmStateSize)).ToArray());

    /// <summary>Takes a snapshot.</summary>
    /// <exception cref="IOException">It cannot be done; the image is what it was.</exception>
    public static void CreateSnapshot(string path, string name, DateTimeOffset now) => Edit(path, write: true, (file, _) => Qcow2Editor.CreateSnapshot(file, Closed(file), name, now));

    /// <summary>Deletes a snapshot, by its name or number.</summary>
    /// <exception cref="IOException">It cannot be done; the image is what it was.</exception>
    public static void DeleteSnapshot(string path, string name) => Edit(path, write: true, (file, _) => Qcow2Editor.DeleteSnapshot(file, Closed(file), name));

    /// <summary>Goes back to a snapshot, by its name or number.</summary>
    /// <exception cref="IOException">It cannot be done; the image is what it was.</exception>
    public static void ApplySnapshot(string path, string name) => Edit(path, write: true, (file, _) => Qcow2Editor.ApplySnapshot(file, Closed(file), name));

    /// <summary>Copies a disk into a new image: without the holes, the zeros and the snapshots, and on its own.</summary>
    /// <param name="source">What to copy; its backing files too.</param>
    /// <param name="creation">What to make; its size is the source's.</param>
    /// <param name="progress">Told how many bytes of the disk are done.</param>
    /// <param name="cancellationToken">Stops it; nothing is left behind.</param>
    /// <exception cref="IOException">It cannot be done; nothing is left behind.</exception>
    public static void Convert(DiskOptions source, DiskCreation creation, IProgress<ulong>? progress, CancellationToken cancellationToken)
    {
        if (NbdUri.Is(creation.Path)) throw new DiskImageException($"{creation.Path} is there already, and its server alone can make it; copy into it as it is (raw)");
        if (creation.Compressed && creation.Format == DiskFormat.Raw) throw new DiskImageException("a raw image cannot be compressed; make a qcow2 image");
        using var from = DiskImages.Open(source with { ReadOnly = true });
        Make(creation.Path, file =>
        {
            if (creation.Compressed)
            {
                Compress(from, new CompressedImage(file, HeaderFor(creation, from.Length, null)), creation.ClusterSize, progress, cancellationToken);
                return;
            }
            if (creation.Format == DiskFormat.Raw) file.SetLength(from.Length);
            else Qcow2Editor.Create(file, HeaderFor(creation, from.Length, null));
            using IBlockBackend to = creation.Format == DiskFormat.Raw
                ? new RawDisk(file, readOnly: false)
                : new Qcow2Disk(file, Qcow2Header.Read(file), null, readOnly: false, s_strict);
            Copy(from, to, progress, cancellationToken);
            to.Flush();
        });
    }

    /// <summary>Copies a disk into one that there is, such as an NBD export, which is at least as long. What is behind the copy stays as it is.</summary>
    /// <param name="source">What to copy; its backing files too.</param>
    /// <param name="target">What to write.</param>
    /// <param name="progress">Told how many bytes of the disk are done.</param>
    /// <param name="cancellationToken">Stops it; a part is copied then.</param>
    /// <exception cref="IOException">It cannot be done; a part may be copied.</exception>
    public static void CopyInto(DiskOptions source, DiskOptions target, IProgress<ulong>? progress, CancellationToken cancellationToken)
    {
        using var from = DiskImages.Open(source with { ReadOnly = true });
        using var to = DiskImages.Open(target with { ReadOnly = false });
        if (to.Length < from.Length) throw new DiskImageException($"{target.Path} has {to.Length} bytes, and the disk to copy has {from.Length}; have a larger one served");
        using var buffer = new HostBuffer(CopyLength);
        for (ulong at = 0; at < from.Length; progress?.Report(at))
        {
            cancellationToken.ThrowIfCancellationRequested();
            var extent = from.Extent(at);
            var length = Math.Min(Math.Min(extent.Length, MostCleared), from.Length - at);
            if (extent.IsZero) to.WriteZeroes(at, length, mayUnmap: true);
            else
            {
                length = Math.Min(length, CopyLength - at % CopyLength);
                from.Read(at, [IoVector.Of(buffer, 0, (int)length)]);
                to.Write(at, [IoVector.Of(buffer, 0, (int)length)]);
            }
            at += length;
        }
        to.Flush();
    }

    private static void Copy(IBlockBackend from, IBlockBackend to, IProgress<ulong>? progress, CancellationToken cancellationToken)
    {
        using var buffer = new HostBuffer(CopyLength);
        for (ulong at = 0; at < from.Length; progress?.Report(at))
        {
            cancellationToken.ThrowIfCancellationRequested();
            var extent = from.Extent(at);
            if (extent.IsZero)
            {
                at += extent.Length;
                continue;
            }
            var length = (int)Math.Min(CopyLength - at % CopyLength, from.Length - at);
            from.Read(at, [IoVector.Of(buffer, 0, length)]);
            WriteData(to, at, buffer, length);
            at += (uint)length;
        }
    }

    private static void Compress(IBlockBackend from, CompressedImage to, ulong clusterSize, IProgress<ulong>? progress, CancellationToken cancellationToken)
    {
        using var buffer = new HostBuffer((int)clusterSize);
        for (ulong at = 0; at < from.Length; progress?.Report(at))
        {
            cancellationToken.ThrowIfCancellationRequested();
            var length = Math.Min(clusterSize, from.Length - at);
            var extent = from.Extent(at);
            if (!extent.IsZero || extent.Length < length)
            {
                // The last cluster may reach behind the disk's end.
                buffer.Span.Clear();
                from.Read(at, [IoVector.Of(buffer, 0, (int)length)]);
                if (buffer.Span.IndexOfAnyExcept((byte)0) >= 0) to.Add(at / clusterSize, buffer.Span);
            }
            at += length;
        }
        to.Finish();
    }

    // Writes what is not zero.
    private static void WriteData(IBlockBackend to, ulong at, HostBuffer buffer, int length)
    {
        for (var start = 0; start < length;)
        {
            var end = start;
            while (end < length && !IsZero(end)) end = Math.Min(length, end + ZeroUnit);
            if (end > start) to.Write(at + (uint)start, [IoVector.Of(buffer, start, end - start)]);
            start = Math.Min(length, end + ZeroUnit);
        }

        bool IsZero(int from) => buffer.Span[from..Math.Min(length, from + ZeroUnit)].IndexOfAnyExcept((byte)0) < 0;
    }

    private static DiskInfo InspectExport(string path, string? tlsFolder)
    {
        var options = new DiskOptions { Path = path, ReadOnly = true, TlsFolder = tlsFolder };
        DiskImages.CheckExport(options);
        using var export = NbdImageFile.Open(options, connections: 1);
        return new DiskInfo { Path = path, Format = DiskFormat.Raw, Size = export.Length, FileLength = export.Length, Properties = export.Properties };
    }

    private static (ulong? Size, string? Format) SizeAndFormat(DiskCreation creation, string backing)
    {
        var path = DiskImages.BackingPath(creation.Path, backing);
        var info = Inspect(path);
        return (creation.Size ?? info.Size, info.Format == DiskFormat.Qcow2 ? "qcow2" : "raw");
    }

    private static Qcow2Header HeaderFor(DiskCreation creation, ulong size, string? backingFormat)
    {
        var bits = System.Numerics.BitOperations.Log2(creation.ClusterSize);
        if (!System.Numerics.BitOperations.IsPow2(creation.ClusterSize) || bits is < Qcow2Spec.MinimumClusterBits or > Qcow2Spec.MaximumClusterBits)
            throw new DiskImageException($"clusters cannot have {creation.ClusterSize} bytes; use a power of two from 512 to 2M");
        if (creation.Version is not (2 or 3)) throw new DiskImageException($"there is no version {creation.Version} of qcow2; use 2 or 3");
        if (creation.LazyRefcounts && creation.Version == 2) throw new DiskImageException("lazy refcounts need version 3");
        return new Qcow2Header
        {
            Version = creation.Version,
            ClusterBits = bits,
            Size = size,
            Compatible = creation.LazyRefcounts ? Qcow2Spec.CompatibleLazyRefcounts : 0,
            BackingFile = creation.Backing,
            BackingFormat = backingFormat,
        };
    }

    private static void Make(string path, Action<IImageFile> fill)
    {
        using var disk = DiskFile.Open(path, DiskFileMode.CreateNew);
        try
        {
            ImageLock.Take(disk, write: true);
            fill(new HostImageFile(disk));
        }
        catch
        {
            File.Delete(path);
            throw;
        }
    }

    private static T Edit<T>(string path, bool write, Func<IImageFile, Qcow2Header, T> work)
    {
        using var file = DiskImages.OpenFile(new DiskOptions { Path = path, ReadOnly = !write });
        if (DiskImages.FormatOf(file) != DiskFormat.Qcow2) throw new DiskImageException($"{path} is a raw image, which has no tables and no snapshots");
        return work(file, Qcow2Header.Read(file));
    }

    // Does it all for a raw image; for another one, only makes sure that it can be done.
    private static (ulong Old, DiskFormat Format, bool HasBacking) ResizeRaw(DiskOptions options, ulong size, bool shrink)
    {
        using var file = DiskImages.OpenFile(options);
        var format = options.Format ?? DiskImages.FormatOf(file);
        var header = format == DiskFormat.Raw ? null : Closed(file);
        var old = header?.Size ?? file.Length;
        if (size < old && !shrink) throw new DiskImageException($"{options.Path} would lose what lies behind its new end; say --shrink if that is meant");
        if (header is { SnapshotCount: > 0 } && size < old) throw new DiskImageException($"{options.Path} has snapshots, which would not fit any more; delete them first");
        if (header is null)
        {
            file.SetLength(size);
            file.Sync();
        }
        return (old, format, header?.BackingFile is not null);
    }

    // An image that is about to be changed as a whole must be closed and sound first.
    private static Qcow2Header Closed(IImageFile file)
    {
        var header = Qcow2Header.Read(file);
        return header.IsDirty || header.IsCorrupt
            ? throw new DiskImageException($"{file.Name} {(header.IsCorrupt ? "is marked as damaged" : "was not closed")}; use lamina disk check --repair first")
            : header;
    }

    private static void Forget(DiskOptions options, ulong from)
    {
        using var disk = DiskImages.Open(options with { Log = s_strict });
        if (from < disk.Length) disk.WriteZeroes(from, disk.Length - from, mayUnmap: true);
        disk.Flush();
    }

    // What would only be told of a machine's disk ends a tool.
    private static readonly ILog s_strict = Log.To(static line => throw new DiskImageException(line.Message), LogLevel.Warning).CreateLog("disk");
}
