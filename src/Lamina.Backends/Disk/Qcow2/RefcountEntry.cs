// One refcount in a refcount block: 1 to 64 bits wide, big-endian from a byte on; below that, the lowest bits first
// ("Refcount block entry").
using System.Buffers.Binary;

namespace Lamina.Backends.Disk.Qcow2;

/// <summary>Reads and writes refcounts.</summary>
internal static class RefcountEntry
{
    /// <summary>The largest refcount of a width.</summary>
    internal static ulong Largest(int order) => order == 6 ? ulong.MaxValue : (1ul << (1 << order)) - 1;

    /// <summary>The byte in which an entry begins.</summary>
    internal static long ByteOf(long index, int order) => order >= 3 ? index << (order - 3) : index >> (3 - order);

    /// <summary>The bytes that an entry takes, at least one.</summary>
    internal static int Length(int order) => order <= 3 ? 1 : 1 << (order - 3);

    /// <summary>Reads an entry.</summary>
    /// <param name="block">Bytes of a block.</param>
    /// <param name="index">The entry's number, counted from the bytes' start.</param>
    /// <param name="order">The width: 2^order bits.</param>
    internal static ulong Read(ReadOnlySpan<byte> block, long index, int order)
    {
        var at = block[(int)ByteOf(index, order)..];
        return order switch
        {
            6 => BinaryPrimitives.ReadUInt64BigEndian(at),
            5 => BinaryPrimitives.ReadUInt32BigEndian(at),
            4 => BinaryPrimitives.ReadUInt16BigEndian(at),
            3 => at[0],
            _ => (uint)(at[0] >> Shift(index, order)) & (uint)Largest(order),
        };
    }

    /// <summary>Writes an entry; the value fits.</summary>
    internal static void Write(Span<byte> block, long index, int order, ulong value)
    {
        var at = block[(int)ByteOf(index, order)..];
        switch (order)
        {
            case 6:
                BinaryPrimitives.WriteUInt64BigEndian(at, value);
                break;
            case 5:
                BinaryPrimitives.WriteUInt32BigEndian(at, (uint)value);
                break;
            case 4:
                BinaryPrimitives.WriteUInt16BigEndian(at, (ushort)value);
                break;
            case 3:
                at[0] = (byte)value;
                break;
            default:
                var shift = Shift(index, order);
                at[0] = (byte)(at[0] & ~((int)Largest(order) << shift) | (int)value << shift);
                break;
        }
    }

    private static int Shift(long index, int order) => (int)((index << order) & 7);
}
