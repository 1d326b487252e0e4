// The memory of one block request: pieces of guest RAM in order, ready for a backend. Kept and filled again by whoever
// carries requests, so that a request allocates nothing.
using Lamina.Core.Memory;
using Lamina.Host;
using Lamina.Host.Io;

namespace Lamina.Core.Block;

/// <summary>A list of pieces of guest memory.</summary>
public sealed class BlockBuffer
{
    private IoVector[] _vectors = new IoVector[16];
    private int _count;

    /// <summary>The pieces.</summary>
    public ReadOnlySpan<IoVector> Vectors => _vectors.AsSpan(0, _count);

    /// <summary>The sum of their lengths in bytes.</summary>
    public ulong Length { get; private set; }

    /// <summary>Forgets all pieces.</summary>
    public void Clear() => (_count, Length) = (0, 0);

    /// <summary>Adds a piece behind the others. False, with nothing added, where it is not RAM.</summary>
    public bool TryAdd(GuestMemory memory, ulong address, int length)
    {
        if (!memory.TryVector(address, length, out var vector)) return false;
        if (_count == _vectors.Length) Array.Resize(ref _vectors, _count * 2);
        _vectors[_count++] = vector;
        Length += (uint)length;
        return true;
    }

    /// <summary>Adds a piece of a device's own memory, which lives as long as the request.</summary>
    public void Add(BlockMemory memory, int offset, int length)
    {
        ArgumentNullException.ThrowIfNull(memory);
        if (_count == _vectors.Length) Array.Resize(ref _vectors, _count * 2);
        _vectors[_count++] = memory.Slice(offset, length);
        Length += (uint)length;
    }

    /// <summary>Bytes go to the pieces, one behind the other, as far as there are both.</summary>
    public void CopyFrom(ReadOnlySpan<byte> bytes)
    {
        foreach (var vector in Vectors)
        {
            var part = bytes[..Math.Min(bytes.Length, vector.Length)];
            part.CopyTo(vector.Span);
            bytes = bytes[part.Length..];
        }
    }

    /// <summary>Bytes come from the pieces likewise.</summary>
    public void CopyTo(Span<byte> bytes)
    {
        foreach (var vector in Vectors)
        {
            var length = Math.Min(bytes.Length, vector.Length);
            vector.Span[..length].CopyTo(bytes);
            bytes = bytes[length..];
        }
    }
}

/// <summary>Requests whose memory is a <see cref="BlockBuffer"/>.</summary>
public static class BlockBackendExtensions
{
    /// <summary>Prepares a request as long as the buffer; see <see cref="IBlockRing"/>.</summary>
    public static bool TryBegin(this IBlockRing ring, bool isWrite, ulong offset, BlockBuffer memory, object request) => ring.TryBegin(isWrite, offset, memory.Vectors, request);

    /// <summary>Reads as much as the buffer is long.</summary>
    /// <exception cref="IOException">The host or the image fails; the memory's content is not defined.</exception>
    public static void Read(this IBlockBackend disk, ulong offset, BlockBuffer into) => disk.Read(offset, into.Vectors);

    /// <summary>The same where it needs no wait; false where it would.</summary>
    /// <exception cref="IOException">The host or the image fails; the memory's content is not defined.</exception>
    public static bool TryReadCached(this IBlockBackend disk, ulong offset, BlockBuffer into) => disk.TryReadCached(offset, into.Vectors);

    /// <summary>
    /// Whether a request failed because the host has no space. What was written before is not affected, and the same request,
    /// made again when there is space, succeeds.
    /// </summary>
    public static bool IsDiskFull(this IOException failure) => failure is HostException { IsDiskFull: true };

    /// <summary>Writes as much as the buffer is long.</summary>
    /// <exception cref="IOException">The host or the image fails; a part may be written.</exception>
    public static void Write(this IBlockBackend disk, ulong offset, BlockBuffer from) => disk.Write(offset, from.Vectors);
}
