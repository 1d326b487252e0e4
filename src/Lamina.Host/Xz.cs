// Decompresses .xz files with the host's liblzma, which every Debian-like system has as a part of its package manager.
// For kernel modules of image packages; it is not a streaming interface.
using System.Runtime.InteropServices;

namespace Lamina.Host;

/// <summary>The .xz compression format.</summary>
public static unsafe partial class Xz
{
    private const int LZMA_OK = 0, LZMA_MEMLIMIT_ERROR = 6, LZMA_BUF_ERROR = 10; // lzma/base.h
    private const ulong DecoderMemory = 256 << 20;

    [LibraryImport("liblzma.so.5")]
    private static partial int lzma_stream_buffer_decode(ulong* memlimit, uint flags, void* allocator,
        byte* input, nuint* in_pos, nuint in_size, byte* output, nuint* out_pos, nuint out_size);

    /// <summary>Decompresses one whole file.</summary>
    /// <param name="data">The compressed file.</param>
    /// <param name="maximumLength">The largest result that is accepted, in bytes.</param>
    /// <exception cref="HostException">The host has no liblzma, the data are damaged, or the result would be too large.</exception>
    public static byte[] Decompress(ReadOnlySpan<byte> data, int maximumLength)
    {
        // The length of the result stands in the file's index; trying with a larger buffer needs no parser of it.
        for (long size = Math.Min(maximumLength, Math.Max(64 << 10, data.Length * 4L)); ; size = Math.Min(maximumLength, size * 2))
        {
            var result = new byte[size];
            var status = Decode(data, result, out var length);
            if (status == LZMA_OK) return result[..length];
            if (status != LZMA_BUF_ERROR) throw new HostException(status == LZMA_MEMLIMIT_ERROR
                ? "an .xz file needs too much memory to decompress"
                : $"an .xz file is damaged (liblzma error {status})");
            if (size == maximumLength) throw new HostException($"an .xz file is truncated or larger than {maximumLength} bytes");
        }
    }

    private static int Decode(ReadOnlySpan<byte> data, Span<byte> result, out int length)
    {
        ulong memory = DecoderMemory;
        nuint read = 0, written = 0;
        try
        {
            // Holds: the buffers stay pinned for the call and their lengths are passed with them.
            fixed (byte* input = data, output = result)
            {
                var status = lzma_stream_buffer_decode(&memory, 0, null, input, &read, (nuint)data.Length, output, &written, (nuint)result.Length);
                length = (int)written;
                return status;
            }
        }
        catch (DllNotFoundException missing)
        {
            throw new HostException("liblzma.so.5 is missing on this host; install it (Debian: liblzma5)", missing);
        }
    }
}
