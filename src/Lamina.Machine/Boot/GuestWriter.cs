// Little-endian structures of boot protocols and firmware tables, written field by field at explicit offsets.
using System.Buffers.Binary;
using System.Text;

namespace Lamina.Boot;

/// <summary>A buffer of fixed length with little-endian fields.</summary>
internal readonly struct GuestWriter(int length)
{
    /// <summary>The bytes.</summary>
    internal byte[] Bytes { get; } = new byte[length];

    internal void U8(int offset, byte value) => Bytes[offset] = value;

    internal void U16(int offset, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(Bytes.AsSpan(offset), value);

    internal void U32(int offset, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(Bytes.AsSpan(offset), value);

    internal void U64(int offset, ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(Bytes.AsSpan(offset), value);

    internal void Copy(int offset, ReadOnlySpan<byte> source) => source.CopyTo(Bytes.AsSpan(offset));

    /// <summary>ASCII text, filled up with spaces to a field's length (as ACPI wants it).</summary>
    internal void Text(int offset, int length, string text)
    {
        Bytes.AsSpan(offset, length).Fill((byte)' ');
        Encoding.ASCII.GetBytes(text).CopyTo(Bytes.AsSpan(offset, length));
    }
}
