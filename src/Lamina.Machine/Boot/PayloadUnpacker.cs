// Unpacks a kernel's payload by libraries. What is damaged, or is not as long as it says, is a value (false): the kernel's own unpacker says it
// in the guest.
using System.Buffers.Binary;
using System.IO.Compression;
using K4os.Compression.LZ4;

namespace Lamina.Boot;

/// <summary>Unpacks payloads.</summary>
internal static class PayloadUnpacker
{
    // Documentation of LZ4's legacy frame: after the magic number come blocks, each behind its length; each but the last holds so much.
    private const int Lz4Head = 4, Lz4Block = 8 << 20;

    /// <summary>Unpacks.</summary>
    /// <param name="kind">The format.</param>
    /// <param name="packed">The payload.</param>
    /// <param name="unpacked">Gets it; as long as it is to become.</param>
    /// <returns>False where it is damaged.</returns>
    internal static bool TryUnpack(PayloadKind kind, ReadOnlySpan<byte> packed, Span<byte> unpacked)
    {
        try
        {
            return kind switch
            {
                PayloadKind.Lz4 => TryLz4(packed[Lz4Head..], unpacked),
                PayloadKind.Zstd => TryZstd(packed, unpacked),
                _ => TryGzip(packed, unpacked),
            };
        }
        catch (Exception damaged) when (damaged is InvalidDataException or ZstdSharp.ZstdException)
        {
            return false;
        }
    }

    private static bool TryLz4(ReadOnlySpan<byte> packed, Span<byte> unpacked)
    {
        while (!unpacked.IsEmpty)
        {
            if (packed.Length < sizeof(uint)) return false;
            var length = BinaryPrimitives.ReadUInt32LittleEndian(packed);
            packed = packed[sizeof(uint)..];
            if (length == 0 || length > (uint)packed.Length) return false;
            var block = unpacked[..Math.Min(unpacked.Length, Lz4Block)];
            if (LZ4Codec.Decode(packed[..(int)length], block) != block.Length) return false;
            packed = packed[(int)length..];
            unpacked = unpacked[block.Length..];
        }
        return true;
    }

    private static bool TryZstd(ReadOnlySpan<byte> packed, Span<byte> unpacked)
    {
        using var zstd = new ZstdSharp.Decompressor();
        return zstd.Unwrap(packed, unpacked) == unpacked.Length;
    }

    private static bool TryGzip(ReadOnlySpan<byte> packed, Span<byte> unpacked)
    {
        using var gzip = new GZipStream(new MemoryStream(packed.ToArray()), CompressionMode.Decompress);
        return gzip.ReadAtLeast(unpacked, unpacked.Length, throwOnEndOfStream: false) == unpacked.Length;
    }
}
