// Fields on their way out: the encoding that SavedFields describes, and nothing of its meaning.
using System.Buffers;

namespace Lamina.Core.State;

/// <summary>Encoded fields, in the order of their calls.</summary>
internal sealed class FieldBuffer
{
    private readonly ArrayBufferWriter<byte> _bytes = new();

    internal void Integer(int number, ulong value)
    {
        Put((ulong)number << 1);
        Put(value);
    }

    internal void Bytes(int number, ReadOnlySpan<byte> value)
    {
        Put((ulong)number << 1 | 1);
        Put((ulong)value.Length);
        _bytes.Write(value);
    }

    internal byte[] ToArray() => _bytes.WrittenSpan.ToArray();

    private void Put(ulong value)
    {
        var place = _bytes.GetSpan(10);
        var length = 0;
        for (; value >= 0x80; value >>= 7) place[length++] = (byte)(value | 0x80);
        place[length++] = (byte)value;
        _bytes.Advance(length);
    }
}
