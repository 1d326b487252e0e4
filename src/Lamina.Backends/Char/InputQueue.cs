// Input on its way to a device: what was read and what the device has not taken yet. Used by the one thread that reads.
using Lamina.Core.Char;

namespace Lamina.Backends.Char;

internal sealed class InputQueue(int capacity)
{
    private readonly byte[] _bytes = new byte[capacity];
    private int _length;

    /// <summary>How many more bytes have room.</summary>
    internal int Room => capacity - _length;

    /// <summary>Puts bytes at the end as far as there is room.</summary>
    internal void Add(ReadOnlySpan<byte> data)
    {
        data = data[..Math.Min(data.Length, Room)];
        data.CopyTo(_bytes.AsSpan(_length));
        _length += data.Length;
    }

    /// <summary>Offers what is there until the device takes no more.</summary>
    internal void Deliver(ICharReceiver? receiver)
    {
        while (receiver is not null && _length != 0)
        {
            var taken = receiver.Receive(_bytes.AsSpan(0, _length));
            if (taken == 0) return;
            _bytes.AsSpan(taken, _length - taken).CopyTo(_bytes);
            _length -= taken;
        }
    }
}
