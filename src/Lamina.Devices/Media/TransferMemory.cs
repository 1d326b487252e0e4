// Guest memory that a transfer goes to or comes from, in the pieces that a table of the guest's names: made anew for each part of a transfer, and
// kept so that nothing is allocated then.
using Lamina.Core.Block;
using Lamina.Core.Memory;

namespace Lamina.Devices.Media;

/// <summary>Pieces of guest memory, in order.</summary>
/// <param name="memory">The guest's memory.</param>
internal sealed class TransferMemory(GuestMemory memory)
{
    private readonly BlockBuffer _buffer = new();
    private readonly List<(ulong Address, int Length)> _pieces = [];

    /// <summary>The sum of their lengths in bytes.</summary>
    internal int Length => (int)_buffer.Length;

    /// <summary>How many there are.</summary>
    internal int Pieces => _pieces.Count;

    /// <summary>Them, for a request.</summary>
    internal BlockBuffer Buffer => _buffer;

    internal void Clear()
    {
        _buffer.Clear();
        _pieces.Clear();
    }

    /// <summary>Adds a piece; false, with nothing added, where it is not RAM.</summary>
    internal bool TryAdd(ulong address, int length)
    {
        if (!_buffer.TryAdd(memory, address, length)) return false;
        _pieces.Add((address, length));
        return true;
    }

    /// <summary>Bytes go to the pieces, and who wants to know of that is told.</summary>
    internal void CopyFrom(ReadOnlySpan<byte> bytes)
    {
        foreach (var (address, length) in _pieces)
        {
            var part = Math.Min(bytes.Length, length);
            memory.TryWrite(address, bytes[..part]);
            bytes = bytes[part..];
        }
    }

    /// <summary>Bytes come from the pieces.</summary>
    internal void CopyTo(Span<byte> bytes)
    {
        foreach (var (address, length) in _pieces)
        {
            var part = Math.Min(bytes.Length, length);
            memory.TryRead(address, bytes[..part]);
            bytes = bytes[part..];
        }
    }

    /// <summary>Tells who wants to know that the pieces were written.</summary>
    internal void NotifyWritten()
    {
        foreach (var (address, length) in _pieces) memory.NotifyWritten(address, (ulong)length);
    }
}
