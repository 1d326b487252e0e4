// The host's file under an image. It knows how long the file was and became by what is written here, so that a file that somebody else
// cuts while it is in use is an error and no disk of zeros: a read of what is gone fails at once, a write at the next sync at the latest.
using Lamina.Core.Block;
using Lamina.Host;
using Lamina.Host.Io;
using Lamina.Host.Io.Ring;

namespace Lamina.Backends.Disk;

/// <summary>A file of the host's.</summary>
/// <param name="file">The file.</param>
/// <param name="syncs">Whether syncs are carried out; the user may have chosen speed instead.</param>
/// <param name="aio">Whether rings are given out; <see cref="DiskAio.Auto"/>: where the host has them.</param>
internal sealed class HostImageFile(DiskFile file, bool syncs = true, DiskAio aio = DiskAio.Threads) : IImageFile
{
    // The file is this long unless somebody else cuts it. Grows behind a write, and shrinks before the file does.
    private ulong _least = file.Length;
    private volatile bool _isCut;

    /// <inheritdoc/>
    public string Name => file.Path;

    /// <inheritdoc/>
    public string Identity => file.Identity;

    /// <inheritdoc/>
    public ulong Length => file.Length;

    /// <inheritdoc/>
    public int SectorSize => file.SectorSize;

    /// <inheritdoc/>
    public void Read(ulong offset, Span<byte> into)
    {
        var least = Volatile.Read(ref _least);
        var count = file.Read(offset, into);
        if (count < into.Length && offset + (uint)count < least) throw Cut();
        into[count..].Clear();
    }

    /// <inheritdoc/>
    public void Read(ulong offset, ReadOnlySpan<IoVector> into)
    {
        var least = Volatile.Read(ref _least);
        var count = file.Read(offset, into);
        if (offset + count < least && count < IoVectors.Length(into)) throw Cut();
        IoVectors.ClearFrom(into, count);
    }

    /// <inheritdoc/>
    public bool TryReadCached(ulong offset, ReadOnlySpan<IoVector> into) => file.TryReadCached(offset, into);

    /// <inheritdoc/>
    public void Write(ulong offset, ReadOnlySpan<byte> from)
    {
        CheckBefore(offset + (uint)from.Length);
        file.Write(offset, from);
        Grow(offset + (uint)from.Length);
    }

    /// <inheritdoc/>
    public void Write(ulong offset, ReadOnlySpan<IoVector> from)
    {
        var end = offset + IoVectors.Length(from);
        CheckBefore(end);
        file.Write(offset, from);
        Grow(end);
    }

    /// <summary>Takes the locks of a writer.</summary>
    /// <exception cref="HostException">Somebody uses the image, or the file system has no locks.</exception>
    internal void TakeLock() => ImageLock.Take(file, write: true);

    /// <inheritdoc/>
    public void EndWriting() => ImageLock.Share(file);

    /// <inheritdoc/>
    public void Sync()
    {
        CheckLength();
        if (syncs) file.Sync();
    }

    /// <inheritdoc/>
    public void SetLength(ulong length)
    {
        if (length < Volatile.Read(ref _least)) Volatile.Write(ref _least, length);
        file.SetLength(length);
        Grow(length);
    }

    /// <inheritdoc/>
    public bool TryZero(ulong offset, ulong length, bool release) => file.TryZero(offset, length, release);

    /// <inheritdoc/>
    public void Discard(ulong offset, ulong length) => file.Discard(offset, length);

    /// <inheritdoc/>
    public (bool IsHole, ulong End) Extent(ulong offset) => file.Extent(offset);

    /// <inheritdoc/>
    public IBlockRing? OpenRing()
    {
        if (aio == DiskAio.Threads) return null;
        try
        {
            // Of a file in a file system the kernel hands writes to threads of its own where they change more than data, a
            // time stamp at the least, and those are fewer and slower than ours.
            return new FileRing(this, DiskRing.Open(file, FileRing.Depth), takesWrites: aio == DiskAio.IoUring || file.IsBlockDevice);
        }
        catch (HostException refused) when (aio == DiskAio.IoUring)
        {
            throw new DiskImageException($"io_uring cannot be used for {Name}: {refused.Message}; leave out aio=io_uring");
        }
        catch (HostException)
        {
            return null;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => file.Dispose();

    // A write that ends where the file does would make a file that was cut as long as it was. Any other leaves it for the next sync to find.
    private void CheckBefore(ulong end)
    {
        if (_isCut || end >= Volatile.Read(ref _least)) CheckLength();
    }

    private void CheckLength()
    {
        var least = Volatile.Read(ref _least);
        if (_isCut || file.Length < least) throw Cut();
    }

    private void Grow(ulong end)
    {
        for (var least = Volatile.Read(ref _least); end > least;)
        {
            var found = Interlocked.CompareExchange(ref _least, end, least);
            if (found == least) return;
            least = found;
        }
    }

    private DiskImageException Cut()
    {
        _isCut = true;
        return new DiskImageException($"{Name} became shorter while it was in use, and what lay behind its end is lost; end the machine, and restore the image");
    }
}
