// One buffer that the driver made available: its segments, copied out of guest memory once and checked, so that nothing
// the guest changes afterwards can move them. The bytes they point to stay the guest's and may change at any time.
// Virtqueues make and recycle these; devices only read from and write to them.
using Lamina.Core.Block;
using Lamina.Core.Memory;
using Lamina.Core.State;

namespace Lamina.Devices.Virtio.Rings;

/// <summary>A piece of guest RAM that belongs to a buffer; the whole of it, if it is not empty, is known to be RAM.</summary>
/// <param name="Address">Guest-physical address.</param>
/// <param name="Length">Length in bytes; may be 0.</param>
public readonly record struct BufferSegment(ulong Address, uint Length);

/// <summary>A chain of descriptors: a part that the device reads, followed by a part that it writes. virtio 1.2, 2.7.4.</summary>
public sealed class DescriptorChain
{
    // Spans are handed out in pieces, since a segment may be longer than an int can say.
    private const int LongestSpan = 1 << 30;

    private readonly GuestMemory _memory;
    private BufferSegment[] _segments = new BufferSegment[8];
    private int _count;
    private int _readable;

    internal DescriptorChain(GuestMemory memory) => _memory = memory;

    /// <summary>The segments that the device reads.</summary>
    public ReadOnlySpan<BufferSegment> Readable => _segments.AsSpan(0, _readable);

    /// <summary>The segments that the device writes.</summary>
    public ReadOnlySpan<BufferSegment> Writable => _segments.AsSpan(_readable, _count - _readable);

    /// <summary>The sum of the readable segments' lengths in bytes.</summary>
    public uint ReadableLength { get; private set; }

    /// <summary>The sum of the writable segments' lengths in bytes.</summary>
    public uint WritableLength { get; private set; }

    /// <summary>What the driver knows the buffer by: the head's index in a split ring, the buffer ID in a packed one.</summary>
    internal ushort Id { get; set; }

    /// <summary>How many of the ring's descriptors it occupies (packed rings only).</summary>
    internal int RingDescriptors { get; set; }

    /// <summary>The life of the queue that it was taken in; completions that outlive it are dropped.</summary>
    internal int Epoch { get; private set; }

    /// <summary>Its neighbours among the buffers of its queue that are in a device's hands, in the order in which they were taken.</summary>
    internal DescriptorChain? Earlier { get; set; }

    /// <summary>See <see cref="Earlier"/>.</summary>
    internal DescriptorChain? Later { get; set; }

    /// <summary>The number of segments, both kinds.</summary>
    internal int Count => _count;

    /// <summary>Copies from the readable part.</summary>
    /// <param name="offset">Offset in bytes in the readable part.</param>
    /// <param name="destination">Filled from its start.</param>
    /// <returns>How many bytes were copied; fewer than asked for where the part ends.</returns>
    public int Read(ulong offset, Span<byte> destination)
    {
        var done = 0;
        while (done < destination.Length && TryGetReadable(offset + (ulong)done, destination.Length - done, out var source))
        {
            source.CopyTo(destination[done..]);
            done += source.Length;
        }
        return done;
    }

    /// <summary>Copies into the writable part.</summary>
    /// <param name="offset">Offset in bytes in the writable part.</param>
    /// <param name="source">What to write.</param>
    /// <returns>How many bytes were copied; fewer than given where the part ends.</returns>
    public int Write(ulong offset, ReadOnlySpan<byte> source)
    {
        var done = 0;
        while (done < source.Length && TryLocate(Writable, offset + (ulong)done, out var address, out var left))
        {
            var length = (int)Math.Min(left, (uint)(source.Length - done));
            if (!_memory.TryWrite(address, source.Slice(done, length))) break;
            done += length;
        }
        return done;
    }

    /// <summary>A view of the next readable bytes, as many as lie in one piece, for backends that need no copy.</summary>
    /// <param name="offset">Offset in bytes in the readable part.</param>
    /// <param name="limit">The most bytes wanted.</param>
    /// <param name="span">Bytes of guest memory, which the guest may change at any time; at least one.</param>
    /// <returns>False at the part's end.</returns>
    public bool TryGetReadable(ulong offset, int limit, out ReadOnlySpan<byte> span)
    {
        span = default;
        if (!TryLocate(Readable, offset, out var address, out var left)) return false;
        if (!_memory.TrySlice(address, (int)Math.Min(left, (uint)Math.Min(limit, LongestSpan)), out var bytes)) return false;
        span = bytes;
        return true;
    }

    /// <summary>Collects a range of the readable part for a backend that needs no copy.</summary>
    /// <param name="offset">Offset in bytes in the readable part.</param>
    /// <param name="length">How many bytes.</param>
    /// <param name="buffer">Gets the pieces; the guest may change their bytes at any time.</param>
    /// <returns>False where the part ends before.</returns>
    public bool TryCollectReadable(ulong offset, ulong length, BlockBuffer buffer) => TryCollect(Readable, offset, length, buffer);

    /// <summary>The same for the writable part; afterwards call <see cref="NotifyWritten"/>.</summary>
    public bool TryCollectWritable(ulong offset, ulong length, BlockBuffer buffer) => TryCollect(Writable, offset, length, buffer);

    /// <summary>Says that bytes of the writable part were written by way of <see cref="TryCollectWritable"/>.</summary>
    public void NotifyWritten(ulong offset, ulong length)
    {
        while (length > 0 && TryLocate(Writable, offset, out var address, out var left))
        {
            var piece = Math.Min(left, length);
            _memory.NotifyWritten(address, piece);
            offset += piece;
            length -= piece;
        }
    }

    internal void Begin(int epoch)
    {
        Epoch = epoch;
        _count = _readable = RingDescriptors = 0;
        ReadableLength = WritableLength = 0;
    }

    /// <summary>Adds a descriptor's buffer after checking it. The reason where the driver broke a rule, else null.</summary>
    internal string? Add(ulong address, uint length, bool writable)
    {
        // 2.7.4.2: device-readable elements come first.
        if (!writable && _count != _readable) return "a device-readable descriptor follows a device-writable one";
        if (length != 0 && !_memory.IsRam(address, length)) return $"a buffer at 0x{address:x}+0x{length:x} is not RAM";
        // 2.7.5.2: a chain is at most 2^32 bytes long; the used length has 32 bits.
        if (ReadableLength + (ulong)WritableLength + length > uint.MaxValue) return "a descriptor chain is longer than 4 GiB";
        if (_count == _segments.Length) Array.Resize(ref _segments, _count * 2);
        _segments[_count++] = new BufferSegment(address, length);
        if (writable) WritableLength += length;
        else
        {
            ReadableLength += length;
            _readable = _count;
        }
        return null;
    }

    /// <summary>
    /// Writes the buffer with its segments, or reads it into a fresh chain: the driver may overwrite the descriptors of a buffer that was
    /// taken, and does in a packed ring.
    /// </summary>
    internal static void Exchange(SavedFields fields, ref SavedChain saved)
    {
        fields.Value(1, ref saved.Id);
        fields.Value(2, ref saved.RingDescriptors);
        fields.List(3, ref saved.Readable, RingSpec.MaximumSize, ExchangeSegment);
        fields.List(4, ref saved.Writable, RingSpec.MaximumSize, ExchangeSegment);
    }

    /// <summary>What is written of it.</summary>
    internal SavedChain ToSaved() => new() { Id = Id, RingDescriptors = RingDescriptors, Readable = Readable.ToArray(), Writable = Writable.ToArray() };

    /// <summary>Fills a fresh chain with what was written.</summary>
    /// <exception cref="StateException">No driver could have offered it.</exception>
    internal void Take(in SavedChain saved)
    {
        (Id, RingDescriptors) = (saved.Id, saved.RingDescriptors);
        foreach (var (segments, writable) in ((IReadOnlyList<BufferSegment>, bool)[])[(saved.Readable, false), (saved.Writable, true)])
            foreach (var segment in segments)
                if (Add(segment.Address, segment.Length, writable) is { } wrong) throw new StateException($"has a buffer in hand that cannot be: {wrong}");
    }

    private static void ExchangeSegment(SavedFields fields, ref BufferSegment segment)
    {
        var (address, length) = segment;
        fields.Value(1, ref address);
        fields.Value(2, ref length);
        segment = new BufferSegment(address, length);
    }

    private bool TryCollect(ReadOnlySpan<BufferSegment> segments, ulong offset, ulong length, BlockBuffer buffer)
    {
        buffer.Clear();
        foreach (var segment in segments)
        {
            if (offset >= segment.Length)
            {
                offset -= segment.Length;
                continue;
            }
            for (; offset < segment.Length && length > 0;)
            {
                var piece = (int)Math.Min(Math.Min(segment.Length - offset, length), LongestSpan);
                if (!buffer.TryAdd(_memory, segment.Address + offset, piece)) return false;
                offset += (uint)piece;
                length -= (uint)piece;
            }
            if (length == 0) return true;
            offset = 0;
        }
        return length == 0;
    }

    private static bool TryLocate(ReadOnlySpan<BufferSegment> segments, ulong offset, out ulong address, out uint left)
    {
        foreach (var segment in segments)
        {
            if (offset < segment.Length)
            {
                address = segment.Address + offset;
                left = segment.Length - (uint)offset;
                return true;
            }
            offset -= segment.Length;
        }
        address = 0;
        left = 0;
        return false;
    }
}

/// <summary>A buffer as it is written down.</summary>
internal struct SavedChain()
{
    internal ushort Id;
    internal int RingDescriptors;
    internal IReadOnlyList<BufferSegment> Readable = [], Writable = [];
}
