// The contract between a block device (virtio-blk, later a disk controller) and the disk behind it. The device knows no
// file and no image format; the disk knows no guest. Calls do their work before they return; several threads may call at
// once, and then the requests may be carried out in any order, as on a real disk.
using Lamina.Host.Io;

namespace Lamina.Core.Block;

/// <summary>What a disk likes.</summary>
/// <param name="LogicalBlockSize">The smallest unit that can be addressed, in bytes: 512 or 4096.</param>
/// <param name="PhysicalBlockSize">The smallest unit that is written without reading first, in bytes.</param>
/// <param name="OptimalSize">A good length for large requests in bytes; 0 where there is none.</param>
/// <param name="DiscardGranularity">What a discard should be aligned to, in bytes.</param>
public readonly record struct BlockLimits(int LogicalBlockSize, int PhysicalBlockSize, int OptimalSize, int DiscardGranularity);

/// <summary>What a part of a disk holds.</summary>
/// <param name="IsZero">Whether it is known to read as zeros.</param>
/// <param name="Length">How far the same can be said, in bytes.</param>
public readonly record struct BlockExtent(bool IsZero, ulong Length);

/// <summary>
/// A disk: a row of bytes that are read and written in whole sectors of 512 bytes. Ranges lie within <see cref="Length"/>;
/// who calls makes sure of it.
/// </summary>
public interface IBlockBackend : IDisposable
{
    /// <summary>The unit of every offset and length, in bytes.</summary>
    const int SectorSize = 512;

    /// <summary>The disk's length in bytes, a multiple of the sector size.</summary>
    ulong Length { get; }

    /// <summary>What it likes.</summary>
    BlockLimits Limits { get; }

    /// <summary>Whether writes are refused.</summary>
    bool IsReadOnly { get; }

    /// <summary>Reads. What somebody writes there meanwhile may be seen in part.</summary>
    /// <exception cref="IOException">The host or the image fails; the memory's content is not defined.</exception>
    void Read(ulong offset, ReadOnlySpan<IoVector> into);

    /// <summary>Reads where that needs no wait for the host's disk, as far as the host can tell.</summary>
    /// <returns>False where it would have to wait; the memory's content is not defined then.</returns>
    /// <exception cref="IOException">The host or the image fails; the memory's content is not defined.</exception>
    bool TryReadCached(ulong offset, ReadOnlySpan<IoVector> into);

    /// <summary>Writes. Durable after the next <see cref="Flush"/> that begins afterwards.</summary>
    /// <exception cref="IOException">The host or the image fails; a part may be written.</exception>
    void Write(ulong offset, ReadOnlySpan<IoVector> from);

    /// <summary>Returns when all that was written before is durable.</summary>
    /// <exception cref="IOException">The host fails: what was written since the last flush may be lost.</exception>
    void Flush();

    /// <summary>Says that a range is not needed any more; what it reads as afterwards is not said. A hint, which may do nothing.</summary>
    /// <exception cref="IOException">The host or the image fails.</exception>
    void Discard(ulong offset, ulong length);

    /// <summary>Makes a range read as zeros.</summary>
    /// <param name="offset">Where.</param>
    /// <param name="length">How many bytes.</param>
    /// <param name="mayUnmap">Whether the host's space may be given back.</param>
    /// <exception cref="IOException">The host or the image fails; a part may be done.</exception>
    void WriteZeroes(ulong offset, ulong length, bool mayUnmap);

    /// <summary>Makes a ring for one queue of requests; null where requests go by the calls above only. Disposed before this.</summary>
    IBlockRing? OpenRing() => null;

    /// <summary>What lies at an offset below <see cref="Length"/>; at least one byte of it.</summary>
    /// <exception cref="IOException">The host or the image fails.</exception>
    BlockExtent Extent(ulong offset);
}
