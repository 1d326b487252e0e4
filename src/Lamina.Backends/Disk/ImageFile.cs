// The file under an image format: what formats ask of it. The host's files implement it, and tests do, to lose power at
// any moment. Reads behind the end give zeros, as a disk that was never written does.
using Lamina.Core.Block;
using Lamina.Host;
using Lamina.Host.Io;
using Lamina.Host.Io.Ring;

namespace Lamina.Backends.Disk;

/// <summary>A file that holds an image. Any thread may call; calls may overlap.</summary>
internal interface IImageFile : IDisposable
{
    /// <summary>Its name, for messages.</summary>
    string Name { get; }

    /// <summary>Equal for two names of one file.</summary>
    string Identity { get; }

    /// <summary>The length in bytes.</summary>
    ulong Length { get; }

    /// <summary>Bytes of a sector that must be written whole: 512 or 4096.</summary>
    int SectorSize { get; }

    /// <summary>Reads; zeros behind the end.</summary>
    void Read(ulong offset, Span<byte> into);

    /// <summary>Reads; zeros behind the end.</summary>
    void Read(ulong offset, ReadOnlySpan<IoVector> into);

    /// <summary>Reads where that needs no wait for the disk; false, with nothing said of the memory, where it would.</summary>
    bool TryReadCached(ulong offset, ReadOnlySpan<IoVector> into);

    /// <summary>Writes; the file grows where needed.</summary>
    void Write(ulong offset, ReadOnlySpan<byte> from);

    /// <summary>Writes; the file grows where needed.</summary>
    void Write(ulong offset, ReadOnlySpan<IoVector> from);

    /// <summary>Returns when all that was written before is durable. No write is durable for sure before.</summary>
    void Sync();

    /// <summary>Sets the length; what is new reads as zeros.</summary>
    void SetLength(ulong length);

    /// <summary>Makes a range within the file read as zeros. False where the host cannot; nothing was changed then.</summary>
    bool TryZero(ulong offset, ulong length, bool release);

    /// <summary>Gives a range's space back; what it reads as afterwards is not said.</summary>
    void Discard(ulong offset, ulong length);

    /// <summary>Whether a place below the length lies in a hole, and where what is there ends.</summary>
    (bool IsHole, ulong End) Extent(ulong offset);

    /// <summary>Makes a ring for requests under way; null where there is none. Disposed before this.</summary>
    IBlockRing? OpenRing() => null;
}

/// <summary>A file of the host's.</summary>
/// <param name="file">The file.</param>
/// <param name="syncs">Whether syncs are carried out; the user may have chosen speed instead.</param>
/// <param name="aio">Whether rings are given out; <see cref="DiskAio.Auto"/>: where the host has them.</param>
internal sealed class HostImageFile(DiskFile file, bool syncs = true, DiskAio aio = DiskAio.Threads) : IImageFile
{
    /// <inheritdoc/>
    public string Name => file.Path;

    /// <inheritdoc/>
    public string Identity => file.Identity;

    /// <inheritdoc/>
    public ulong Length => file.Length;

    /// <inheritdoc/>
    public int SectorSize => file.SectorSize;

    /// <inheritdoc/>
    public void Read(ulong offset, Span<byte> into) => into[file.Read(offset, into)..].Clear();

    /// <inheritdoc/>
    public void Read(ulong offset, ReadOnlySpan<IoVector> into) => IoVectors.ClearFrom(into, file.Read(offset, into));

    /// <inheritdoc/>
    public bool TryReadCached(ulong offset, ReadOnlySpan<IoVector> into) => file.TryReadCached(offset, into);

    /// <inheritdoc/>
    public void Write(ulong offset, ReadOnlySpan<byte> from) => file.Write(offset, from);

    /// <inheritdoc/>
    public void Write(ulong offset, ReadOnlySpan<IoVector> from) => file.Write(offset, from);

    /// <inheritdoc/>
    public void Sync()
    {
        if (syncs) file.Sync();
    }

    /// <inheritdoc/>
    public void SetLength(ulong length) => file.SetLength(length);

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
}
