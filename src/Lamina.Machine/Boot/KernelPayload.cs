// The compressed kernel inside a bzImage. Documentation/arch/x86/boot.rst: payload_offset, payload_length. Its last four bytes are the length
// unpacked, little-endian: gzip ends so by itself, and the kernel's makefiles put it behind the other formats.
using System.Buffers.Binary;

namespace Lamina.Boot;

/// <summary>The formats that are unpacked here; kernels in others unpack themselves in the guest.</summary>
internal enum PayloadKind
{
    /// <summary>RFC 1952.</summary>
    Gzip,

    /// <summary>LZ4's legacy frame format.</summary>
    Lz4,

    /// <summary>RFC 8878.</summary>
    Zstd,
}

/// <summary>Where in a kernel file the payload lies, and what it is.</summary>
/// <param name="Kind">Its format.</param>
/// <param name="Offset">Its first byte in the file.</param>
/// <param name="Length">Its length in bytes, without a length behind it that is not its format's own.</param>
/// <param name="UnpackedLength">How long it says that it is unpacked.</param>
internal readonly record struct KernelPayload(PayloadKind Kind, ulong Offset, int Length, int UnpackedLength)
{
    /// <summary>The longest that is unpacked here, and the longest to unpack: an eighth of it is a large kernel.</summary>
    internal const int Longest = 512 << 20;

    private const ushort PayloadVersion = 0x0208;
    private const int PayloadOffset = 0x248, PayloadLength = 0x24C, Shortest = 16;

    /// <summary>Finds it; null where there is none of a known format.</summary>
    /// <param name="kernel">The file.</param>
    /// <param name="header">Its setup header, from the file's first byte on.</param>
    /// <param name="code">Where in the file the protected-mode code begins.</param>
    /// <param name="most">More bytes than that it cannot have unpacked.</param>
    internal static KernelPayload? Find(BootFile kernel, ReadOnlySpan<byte> header, ulong code, ulong most)
    {
        if (BinaryPrimitives.ReadUInt16LittleEndian(header[LinuxSpec.Version..]) < PayloadVersion) return null;
        var offset = code + BinaryPrimitives.ReadUInt32LittleEndian(header[PayloadOffset..]);
        var length = BinaryPrimitives.ReadUInt32LittleEndian(header[PayloadLength..]);
        Span<byte> magic = stackalloc byte[4];
        if (length is < Shortest or > Longest || !kernel.TryRead(offset, magic) || KindOf(magic) is not { } kind || !kernel.TryReadUInt32(offset + length - 4, out var unpacked)) return null;
        return unpacked == 0 || unpacked > Math.Min(most, Longest) ? null : new KernelPayload(kind, offset, (int)length - (kind == PayloadKind.Gzip ? 0 : 4), (int)unpacked);
    }

    private static PayloadKind? KindOf(ReadOnlySpan<byte> magic) => BinaryPrimitives.ReadUInt32LittleEndian(magic) switch
    {
        0x184C_2102 => PayloadKind.Lz4,
        0xFD2F_B528 => PayloadKind.Zstd,
        var other when (ushort)other == 0x8B1F => PayloadKind.Gzip,
        _ => null,
    };
}
