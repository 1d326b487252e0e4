// A picture as a PNG file: Portable Network Graphics (W3C, third edition), of 8 bits for each of red, green and blue.
using System.Buffers.Binary;
using System.IO.Compression;
using Lamina.Core.Display;

namespace Lamina.Screens;

/// <summary>Makes PNG files.</summary>
public static class Png
{
    private const int HeaderLength = 13, PixelLength = 3;
    private const byte BitDepth = 8, TrueColour = 2, DifferenceFromAbove = 2;

    // 5.2: what every file begins with.
    private static ReadOnlySpan<byte> Signature => [0x89, (byte)'P', (byte)'N', (byte)'G', 0x0d, 0x0a, 0x1a, 0x0a];

    // Annex D: the remainder for each byte.
    private static readonly uint[] Remainders = [.. Enumerable.Range(0, 256).Select(start => Enumerable.Range(0, 8).Aggregate((uint)start, (sum, _) => (sum & 1) != 0 ? 0xedb8_8320 ^ sum >> 1 : sum >> 1))];

    /// <summary>The bytes of a file.</summary>
    /// <param name="picture">What it shows.</param>
    public static byte[] Encode(ScreenPicture picture)
    {
        ArgumentNullException.ThrowIfNull(picture);
        using var file = new MemoryStream();
        file.Write(Signature);
        Span<byte> header = stackalloc byte[HeaderLength];
        header.Clear();
        BinaryPrimitives.WriteInt32BigEndian(header, picture.Width);
        BinaryPrimitives.WriteInt32BigEndian(header[4..], picture.Height);
        (header[8], header[9]) = (BitDepth, TrueColour);
        Write(file, "IHDR"u8, header);
        Write(file, "IDAT"u8, Compressed(picture));
        Write(file, "IEND"u8, []);
        return file.ToArray();
    }

    // Each line as what it differs by from the one above it, behind the number of that filter (9.2): much of a screen is the same.
    private static byte[] Compressed(ScreenPicture picture)
    {
        using var data = new MemoryStream();
        using (var packer = new ZLibStream(data, CompressionLevel.Optimal, leaveOpen: true))
        {
            var (above, here, line) = (new byte[picture.Width * PixelLength], new byte[picture.Width * PixelLength], new byte[1 + (picture.Width * PixelLength)]);
            line[0] = DifferenceFromAbove;
            for (var y = 0; y < picture.Height; y++)
            {
                var pixels = picture.Pixels.AsSpan(y * picture.Width, picture.Width);
                for (var x = 0; x < pixels.Length; x++) (here[x * 3], here[(x * 3) + 1], here[(x * 3) + 2]) = ((byte)(pixels[x] >> 16), (byte)(pixels[x] >> 8), (byte)pixels[x]);
                for (var i = 0; i < here.Length; i++) line[1 + i] = (byte)(here[i] - above[i]);
                packer.Write(line);
                (above, here) = (here, above);
            }
        }
        return data.ToArray();
    }

    // 5.3: length, type, data, and the remainder of the last two.
    private static void Write(MemoryStream file, ReadOnlySpan<byte> type, ReadOnlySpan<byte> data)
    {
        Span<byte> number = stackalloc byte[sizeof(uint)];
        BinaryPrimitives.WriteInt32BigEndian(number, data.Length);
        file.Write(number);
        file.Write(type);
        file.Write(data);
        BinaryPrimitives.WriteUInt32BigEndian(number, ~Remainder(Remainder(uint.MaxValue, type), data));
        file.Write(number);
    }

    private static uint Remainder(uint sum, ReadOnlySpan<byte> data)
    {
        foreach (var value in data) sum = Remainders[(byte)(sum ^ value)] ^ sum >> 8;
        return sum;
    }
}
