// A raw image: the file is the disk, byte for byte, and what was never written are holes in it.
using Lamina.Core.Block;
using Lamina.Core.Inspection;
using Lamina.Host.Io;

namespace Lamina.Backends.Disk;

/// <summary>A raw disk on a file or block device.</summary>
internal sealed class RawDisk : IBlockBackend, IInspected
{
    private const int PageSize = 4096;
    private const int ZeroPiece = 1 << 20;

    private readonly IImageFile _file;
    private readonly Lazy<HostBuffer> _zeroes = new(() => new HostBuffer(ZeroPiece));

    /// <summary>Takes a file over.</summary>
    internal RawDisk(IImageFile file, bool readOnly)
    {
        (_file, IsReadOnly) = (file, readOnly);
        // A file that does not end with a sector is read as if it did; the last one becomes whole when it is written.
        Length = (file.Length + IBlockBackend.SectorSize - 1) & ~(ulong)(IBlockBackend.SectorSize - 1);
        Limits = new BlockLimits(file.SectorSize, Math.Max(PageSize, file.SectorSize), 0, PageSize);
    }

    /// <inheritdoc/>
    public ulong Length { get; }

    /// <inheritdoc/>
    public BlockLimits Limits { get; }

    /// <inheritdoc/>
    public bool IsReadOnly { get; }

    /// <inheritdoc/>
    public void Inspect(InspectNode node)
    {
        node.Kind = "raw disk image";
        node.Say("file", _file.Name);
        node.Say("bytes", Length);
        node.Say("read only", IsReadOnly);
        if (_file is IInspected more) more.Inspect(node);
    }

    /// <inheritdoc/>
    public void Read(ulong offset, ReadOnlySpan<IoVector> into) => _file.Read(offset, into);

    /// <inheritdoc/>
    public bool TryReadCached(ulong offset, ReadOnlySpan<IoVector> into) => _file.TryReadCached(offset, into);

    /// <inheritdoc/>
    public void Write(ulong offset, ReadOnlySpan<IoVector> from) => _file.Write(offset, from);

    /// <inheritdoc/>
    public void Flush() => _file.Sync();

    /// <inheritdoc/>
    public void Discard(ulong offset, ulong length) => _file.Discard(offset, length);

    /// <inheritdoc/>
    public void WriteZeroes(ulong offset, ulong length, bool mayUnmap)
    {
        if (_file.TryZero(offset, length, mayUnmap) || (mayUnmap && _file.TryZero(offset, length, release: false))) return;
        for (ulong done = 0; done < length;)
        {
            var piece = (int)Math.Min(length - done, ZeroPiece);
            _file.Write(offset + done, [IoVector.Of(_zeroes.Value, 0, piece)]);
            done += (uint)piece;
        }
    }

    /// <inheritdoc/>
    public BlockExtent Extent(ulong offset)
    {
        var (isHole, end) = _file.Extent(offset);
        // Behind a file that does not end with a sector there is the rest of that sector.
        return end <= offset ? new BlockExtent(true, Length - offset) : new BlockExtent(isHole, Math.Min(end, Length) - offset);
    }

    /// <inheritdoc/>
    public IBlockRing? OpenRing() => _file.OpenRing();

    /// <inheritdoc/>
    public void Dispose()
    {
        _file.Dispose();
        if (_zeroes.IsValueCreated) _zeroes.Value.Dispose();
    }
}
