// Kernel files of a few bytes: a 64-bit ELF that starts in long mode with the first 4 GiB mapped to themselves, and a flat
// Multiboot image that starts in 32-bit protected mode.
using System.Buffers.Binary;

namespace Lamina.Tests.Boot.Support;

internal static class TestKernels
{
    internal const ushort DebugExitPort = 0xF4;

    /// <summary>Where the code of both lies and is entered.</summary>
    internal const uint Origin = 0x20_0000;

    private const int MultibootHeaderLength = 0x40;

    /// <summary>A kernel entered in 64-bit mode; code and further pieces, each at its physical address.</summary>
    internal static byte[] Long(Code code, params (uint Address, byte[] Bytes)[] pieces) => Long(Origin, [(Origin, code.ToArray()), .. pieces]);

    /// <summary>The same, entered at an address of choice.</summary>
    internal static byte[] Long(ulong entry, params (uint Address, byte[] Bytes)[] pieces)
    {
        var offset = (ulong)(64 + (56 * pieces.Length));
        var image = new byte[offset + (ulong)pieces.Sum(piece => piece.Bytes.Length) + 512];
        new byte[] { 0x7F, (byte)'E', (byte)'L', (byte)'F', 2, 1, 1 }.CopyTo(image, 0);
        U16(image, 16, 2);
        U16(image, 18, 62);
        U32(image, 20, 1);
        U64(image, 24, entry);
        U64(image, 32, 64);
        U16(image, 52, 64);
        U16(image, 54, 56);
        U16(image, 56, (ushort)pieces.Length);
        for (var i = 0; i < pieces.Length; i++)
        {
            var header = 64 + (56 * i);
            var (address, bytes) = pieces[i];
            U32(image, header, 1);
            U32(image, header + 4, 7);
            U64(image, header + 8, offset);
            U64(image, header + 16, address);
            U64(image, header + 24, address);
            U64(image, header + 32, (ulong)bytes.Length);
            U64(image, header + 40, (ulong)bytes.Length);
            bytes.CopyTo(image, (int)offset);
            offset += (ulong)bytes.Length;
        }
        return image;
    }

    /// <summary>A Multiboot kernel entered in 32-bit mode without paging; the code's origin is <see cref="Origin"/>.</summary>
    internal static byte[] Protected(Code code)
    {
        const uint magic = 0x1BAD_B002, flags = 0x1_0003, load = Origin - MultibootHeaderLength;
        var bytes = code.ToArray();
        var image = new byte[Math.Max(MultibootHeaderLength + bytes.Length, 512)];
        U32(image, 0, magic);
        U32(image, 4, flags);
        U32(image, 8, unchecked(0u - magic - flags));
        U32(image, 12, load);
        U32(image, 16, load);
        U32(image, 28, Origin);
        bytes.CopyTo(image, MultibootHeaderLength);
        return image;
    }

    internal static void U16(byte[] image, int at, ushort value) => BinaryPrimitives.WriteUInt16LittleEndian(image.AsSpan(at), value);

    internal static void U32(byte[] image, int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(image.AsSpan(at), value);

    internal static void U64(byte[] image, int at, ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(image.AsSpan(at), value);
}
