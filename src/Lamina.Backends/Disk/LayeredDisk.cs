// A disk of a running machine whose image can become what another one is based on: from one moment between two requests on, what is written goes
// to the new image, and the former is only read. So a disk is copied in no time, whatever its length.
using Lamina.Backends.Disk.Qcow2;
using Lamina.Core.Block;
using Lamina.Core.Inspection;
using Lamina.Host.Io;

namespace Lamina.Backends.Disk;

/// <summary>A disk that can get a layer.</summary>
public sealed class LayeredDisk : IBlockBackend, IInspected
{
    private readonly DiskOptions _options;
    private volatile Qcow2Disk _top;
    private volatile BlockChanges? _changes;

    private LayeredDisk(Qcow2Disk top, DiskOptions options) => (_top, _options) = (top, options);

    /// <inheritdoc/>
    public ulong Length => _top.Length;

    /// <inheritdoc/>
    public BlockLimits Limits => _top.Limits;

    /// <inheritdoc/>
    public bool IsReadOnly => _top.IsReadOnly;

    /// <summary>Opens an image as <see cref="DiskImages.Open(DiskOptions)"/> does; one in qcow2 that may be written can get layers.</summary>
    /// <exception cref="IOException">It cannot be used; the message is a sentence that says why and what to do.</exception>
    public static IBlockBackend Open(DiskOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        var disk = DiskImages.Open(options);
        return disk is Qcow2Disk { IsReadOnly: false } image ? new LayeredDisk(image, options) : disk;
    }

    /// <summary>Begins to note what is written, for one who copies the disk meanwhile; null ends it.</summary>
    public BlockChanges? Changes { get => _changes; set => _changes = value; }

    /// <summary>Makes an empty image that is based on this disk, which goes on as it is until <see cref="DiskLayer.Use"/>. No request may be under way until then.</summary>
    /// <param name="path">The new image; there is none.</param>
    /// <param name="below">What the present image will be called, as the new one says it: a name that counts from the new one's folder.</param>
    /// <exception cref="IOException">It cannot be made; nothing is left of it.</exception>
    public DiskLayer Add(string path, string below)
    {
        var top = _top;
        top.Settle();
        var file = new HostImageFile(DiskFile.Open(path, DiskFileMode.CreatePrivate), syncs: _options.Cache != DiskCache.Unsafe);
        try
        {
            Qcow2Editor.Create(file, new Qcow2Header { Size = top.Length, BackingFile = below, BackingFormat = "qcow2" });
            file.TakeLock();
            return new DiskLayer(path, file, () =>
            {
                var next = new Qcow2Disk(file, Qcow2Header.Read(file), top, readOnly: false, _options.Log);
                top.Freeze();
                _top = next;
            });
        }
        catch
        {
            file.Dispose();
            File.Delete(path);
            throw;
        }
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node) => _top.Inspect(node);

    /// <inheritdoc/>
    public void Read(ulong offset, ReadOnlySpan<IoVector> into) => _top.Read(offset, into);

    /// <inheritdoc/>
    public bool TryReadCached(ulong offset, ReadOnlySpan<IoVector> into) => _top.TryReadCached(offset, into);

    /// <inheritdoc/>
    public void Write(ulong offset, ReadOnlySpan<IoVector> from)
    {
        try
        {
            _top.Write(offset, from);
        }
        finally
        {
            // A part may be written where it failed.
            ulong length = 0;
            foreach (var vector in from) length += (uint)vector.Length;
            Note(offset, length);
        }
    }

    /// <inheritdoc/>
    public void Flush() => _top.Flush();

    /// <inheritdoc/>
    public void Discard(ulong offset, ulong length)
    {
        try
        {
            _top.Discard(offset, length);
        }
        finally
        {
            Note(offset, length);
        }
    }

    /// <inheritdoc/>
    public void WriteZeroes(ulong offset, ulong length, bool mayUnmap)
    {
        try
        {
            _top.WriteZeroes(offset, length, mayUnmap);
        }
        finally
        {
            Note(offset, length);
        }
    }

    /// <inheritdoc/>
    public BlockExtent Extent(ulong offset) => _top.Extent(offset);

    /// <inheritdoc/>
    public void Dispose() => _top.Dispose();

    private void Note(ulong offset, ulong length) => _changes?.Mark(offset, length);
}

/// <summary>An image that is ready to take what is written to a disk. Disposed before it is used, it is removed.</summary>
public sealed class DiskLayer : IDisposable
{
    private readonly HostImageFile _file;
    private readonly Action _use;
    private bool _isDone;

    internal DiskLayer(string path, HostImageFile file, Action use) => (Path, _file, _use) = (path, file, use);

    /// <summary>Where it was made. It may have another name by now.</summary>
    public string Path { get; }

    /// <summary>What is written to the disk goes to it from now on.</summary>
    /// <exception cref="IOException">The host fails; the disk is as it was.</exception>
    public void Use()
    {
        _use();
        _isDone = true;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_isDone) return;
        _isDone = true;
        _file.Dispose();
        File.Delete(Path);
    }
}
