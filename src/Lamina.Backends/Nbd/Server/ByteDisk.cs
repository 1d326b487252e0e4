// A disk by the byte: its sectors are read and written whole, what a client asks for may begin and end anywhere. What is no whole sector is put together with what is
// there, while nobody else writes.
using Lamina.Core.Block;
using Lamina.Host.Io;

namespace Lamina.Backends.Nbd.Server;

/// <summary>A disk by the byte. Any thread.</summary>
/// <param name="disk">Its sectors; another's to close.</param>
internal sealed class ByteDisk(IBlockBackend disk) : IDisposable
{
    /// <summary>The most bytes that are read or written at once.</summary>
    internal const int Piece = 1 << 20;

    /// <summary>The length of a buffer that holds them, with the rest of the sectors at both ends.</summary>
    internal const int BufferLength = Piece + 2 * Sector;

    private const int Sector = IBlockBackend.SectorSize;

    private readonly ReaderWriterLockSlim _order = new();

    /// <summary>The length in bytes.</summary>
    internal ulong Length => disk.Length;

    /// <summary>Whether writes are refused.</summary>
    internal bool IsReadOnly => disk.IsReadOnly;

    /// <summary>The unit that goes fast, in bytes.</summary>
    internal int Preferred => Math.Max(disk.Limits.PhysicalBlockSize, 4096);

    /// <summary>Where in a buffer the bytes from an offset on lie.</summary>
    internal static int PlaceOf(ulong offset) => (int)(offset % Sector);

    /// <summary>Reads into a buffer, from <see cref="PlaceOf"/> on.</summary>
    /// <param name="offset">Where, in bytes.</param>
    /// <param name="length">How many bytes, <see cref="Piece"/> at most; within the disk.</param>
    /// <param name="buffer">Of <see cref="BufferLength"/>.</param>
    /// <exception cref="IOException">The host or the image fails.</exception>
    internal void Read(ulong offset, int length, HostBuffer buffer)
    {
        var skip = PlaceOf(offset);
        disk.Read(offset - (uint)skip, [IoVector.Of(buffer, 0, Whole(skip + length))]);
    }

    /// <summary>Reads as <see cref="Read"/> where that needs no wait for the host's disk; false where it would, or fails.</summary>
    internal bool TryReadCached(ulong offset, int length, HostBuffer buffer)
    {
        var skip = PlaceOf(offset);
        try
        {
            return disk.TryReadCached(offset - (uint)skip, [IoVector.Of(buffer, 0, Whole(skip + length))]);
        }
        catch (IOException)
        {
            return false;
        }
    }

    /// <summary>Writes from a buffer, from <see cref="PlaceOf"/> on; what is around it in the buffer is overwritten.</summary>
    /// <param name="offset">Where, in bytes.</param>
    /// <param name="length">How many bytes, <see cref="Piece"/> at most; within the disk.</param>
    /// <param name="buffer">Of <see cref="BufferLength"/>.</param>
    /// <exception cref="IOException">The host or the image fails; a part may be written.</exception>
    internal void Write(ulong offset, int length, HostBuffer buffer)
    {
        var skip = PlaceOf(offset);
        var end = skip + length;
        if (skip == 0 && end == Whole(end))
        {
            Beside(() => disk.Write(offset, [IoVector.Of(buffer, 0, length)]));
            return;
        }
        Alone(() =>
        {
            using var edge = new HostBuffer(Sector);
            if (skip != 0) Fill(offset - (uint)skip, 0, skip);
            if (end != Whole(end)) Fill(offset - (uint)skip + (uint)(Whole(end) - Sector), end, Whole(end));
            disk.Write(offset - (uint)skip, [IoVector.Of(buffer, 0, Whole(end))]);

            // The part of a sector that is the disk's own goes into the buffer.
            void Fill(ulong sector, int from, int to)
            {
                disk.Read(sector, [edge.Vector]);
                edge.Span.Slice(from % Sector, to - from).CopyTo(buffer.Span[from..]);
            }
        });
    }

    /// <summary>Makes a range read as zeros.</summary>
    /// <exception cref="IOException">The host or the image fails; a part may be done.</exception>
    internal void WriteZeroes(ulong offset, ulong length, bool mayUnmap)
    {
        var (from, to) = Inside(offset, length);
        if (from < to) Beside(() => disk.WriteZeroes(from, to - from, mayUnmap));
        if (from >= to) (from, to) = (offset + length, offset + length);
        if (from > offset) Clear(offset, from - offset);
        if (offset + length > to) Clear(to, offset + length - to);
    }

    /// <summary>Says that a range is not needed any more.</summary>
    /// <exception cref="IOException">The host or the image fails.</exception>
    internal void Discard(ulong offset, ulong length)
    {
        var (from, to) = Inside(offset, length);
        if (from < to) Beside(() => disk.Discard(from, to - from));
    }

    /// <summary>Returns when all that was written before is durable.</summary>
    /// <exception cref="IOException">The host fails.</exception>
    internal void Flush() => disk.Flush();

    /// <summary>What lies at an offset below <see cref="Length"/>.</summary>
    /// <exception cref="IOException">The host or the image fails.</exception>
    internal BlockExtent Extent(ulong offset)
    {
        var skip = (uint)PlaceOf(offset);
        var extent = disk.Extent(offset - skip);
        // There is a whole sector of it at least.
        return extent with { Length = extent.Length > skip ? extent.Length - skip : 1 };
    }

    /// <inheritdoc/>
    public void Dispose() => _order.Dispose();

    private void Clear(ulong offset, ulong length)
    {
        using var zeroes = new HostBuffer(3 * Sector);
        Write(offset, (int)length, zeroes);
    }

    private static (ulong From, ulong To) Inside(ulong offset, ulong length) => ((offset + Sector - 1) / Sector * Sector, (offset + length) / Sector * Sector);

    private static int Whole(int length) => (length + Sector - 1) / Sector * Sector;

    private void Beside(Action work)
    {
        _order.EnterReadLock();
        try
        {
            work();
        }
        finally
        {
            _order.ExitReadLock();
        }
    }

    private void Alone(Action work)
    {
        _order.EnterWriteLock();
        try
        {
            work();
        }
        finally
        {
            _order.ExitWriteLock();
        }
    }
}
