// PNG files, read back as the specification says.
using System.Buffers.Binary;
using System.IO.Compression;
using System.Text;
using Lamina.Core.Display;
using Lamina.Screens;
using Xunit;

namespace Lamina.Tests.Machines.Screens;

public sealed class PngTests
{
    [Fact]
    public void Every_pixel_is_read_back()
    {
        var random = new Random(3);
        var picture = new ScreenPicture(37, 23, [.. Enumerable.Range(0, 37 * 23).Select(_ => (uint)random.Next(0x100_0000))]);

        var read = Read(Png.Encode(picture));

        Assert.Equal((37, 23), (read.Width, read.Height));
        Assert.Equal(picture.Pixels, read.Pixels);
    }

    [Fact]
    public void What_is_the_same_takes_no_room() =>
        Assert.InRange(Png.Encode(new ScreenPicture(2560, 1600, new uint[2560 * 1600])).Length, 1, 64 << 10);

    [Fact]
    public void The_remainder_of_an_empty_end_is_the_one_that_every_file_has() =>
        Assert.Equal([0xae, 0x42, 0x60, 0x82], Png.Encode(new ScreenPicture(1, 1, [0]))[^4..]);

    private static ScreenPicture Read(byte[] file)
    {
        var (at, data, header) = (8, new MemoryStream(), Array.Empty<byte>());
        while (at < file.Length)
        {
            var length = BinaryPrimitives.ReadInt32BigEndian(file.AsSpan(at));
            var (type, content) = (Encoding.ASCII.GetString(file, at + 4, 4), file[(at + 8)..(at + 8 + length)]);
            if (type == "IHDR") header = content;
            if (type == "IDAT") data.Write(content);
            at += 12 + length;
        }
        Assert.Equal([8, 2, 0, 0, 0], header[8..]);
        var (width, height) = (BinaryPrimitives.ReadInt32BigEndian(header), BinaryPrimitives.ReadInt32BigEndian(header.AsSpan(4)));
        data.Position = 0;
        using var unpacked = new MemoryStream();
        using (var packed = new ZLibStream(data, CompressionMode.Decompress)) packed.CopyTo(unpacked);
        var (bytes, above, pixels) = (unpacked.ToArray(), new byte[width * 3], new uint[width * height]);
        Assert.Equal(((width * 3) + 1) * height, bytes.Length);
        for (var y = 0; y < height; y++)
        {
            var line = bytes.AsSpan(y * ((width * 3) + 1), (width * 3) + 1);
            Assert.Equal(2, line[0]);
            for (var i = 0; i < above.Length; i++) above[i] += line[1 + i];
            for (var x = 0; x < width; x++) pixels[(y * width) + x] = (uint)(above[x * 3] << 16 | above[(x * 3) + 1] << 8 | above[(x * 3) + 2]);
        }
        return new ScreenPicture(width, height, pixels);
    }
}
