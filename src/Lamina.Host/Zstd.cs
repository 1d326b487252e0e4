// Compresses and decompresses zstd data with the host's libzstd, which every Debian-like system has as a part of its package manager.
// For compressed clusters of disk images; the length of the result is known before.
using System.Runtime.InteropServices;

namespace Lamina.Host;

/// <summary>The zstd compression format.</summary>
public static unsafe partial class Zstd
{
    // ZSTD_CLEVEL_DEFAULT.
    private const int DefaultLevel = 3;

    /// <summary>ZSTD_inBuffer and ZSTD_outBuffer of zstd.h.</summary>
    [StructLayout(LayoutKind.Sequential)]
    private struct Buffer
    {
        internal byte* Start;
        internal nuint Size;
        internal nuint Position;
    }

    [LibraryImport("libzstd.so.1")]
    private static partial nint ZSTD_createDStream();

    [LibraryImport("libzstd.so.1")]
    private static partial nuint ZSTD_freeDStream(nint stream);

    [LibraryImport("libzstd.so.1")]
    private static partial nuint ZSTD_decompressStream(nint stream, Buffer* output, Buffer* input);

    [LibraryImport("libzstd.so.1")]
    private static partial uint ZSTD_isError(nuint code);

    [LibraryImport("libzstd.so.1")]
    private static partial nuint ZSTD_compress(byte* destination, nuint capacity, byte* source, nuint size, int level);

    /// <summary>Compresses.</summary>
    /// <param name="data">What to compress.</param>
    /// <param name="result">Where to.</param>
    /// <returns>How many bytes the result has; 0 where it does not fit.</returns>
    /// <exception cref="HostException">The host has no libzstd.</exception>
    public static int Compress(ReadOnlySpan<byte> data, Span<byte> result)
    {
        try
        {
            // Holds: both spans stay pinned while the library uses them, and their lengths go with them.
            fixed (byte* input = data, output = result)
            {
                var length = ZSTD_compress(output, (nuint)result.Length, input, (nuint)data.Length, DefaultLevel);
                return ZSTD_isError(length) != 0 ? 0 : (int)length;
            }
        }
        catch (DllNotFoundException missing)
        {
            throw Missing(missing);
        }
    }

    /// <summary>Decompresses until the result is full. What follows in the data is not looked at.</summary>
    /// <returns>False where the data are damaged or end too early.</returns>
    /// <exception cref="HostException">The host has no libzstd.</exception>
    public static bool TryDecompress(ReadOnlySpan<byte> data, Span<byte> result)
    {
        try
        {
            var stream = ZSTD_createDStream();
            if (stream == 0) throw new HostException("libzstd has no memory for decompression");
            try
            {
                return Decompress(stream, data, result);
            }
            finally
            {
                _ = ZSTD_freeDStream(stream);
            }
        }
        catch (DllNotFoundException missing)
        {
            throw Missing(missing);
        }
    }

    private static HostException Missing(DllNotFoundException missing) => new("libzstd.so.1 is missing on this host; install it (Debian: libzstd1)", missing);

    private static bool Decompress(nint stream, ReadOnlySpan<byte> data, Span<byte> result)
    {
        // Holds: both spans stay pinned while the library uses them, and their lengths go with them.
        fixed (byte* input = data, output = result)
        {
            var from = new Buffer { Start = input, Size = (nuint)data.Length };
            var into = new Buffer { Start = output, Size = (nuint)result.Length };
            while (into.Position < into.Size)
            {
                var (before, read) = (into.Position, from.Position);
                if (ZSTD_isError(ZSTD_decompressStream(stream, &into, &from)) != 0) return false;
                // Neither side moved: the data ended.
                if (into.Position == before && from.Position == read) return false;
            }
        }
        return true;
    }
}
