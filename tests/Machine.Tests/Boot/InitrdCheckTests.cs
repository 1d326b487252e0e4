// Initial RAM disks that were cut off, of every kind that can be told; whole ones, and what is of no kind that is known.
using System.Diagnostics;
using System.IO.Compression;
using System.Text;
using Lamina.Boot;
using Xunit;

namespace Lamina.Tests.Machines.Boot;

public sealed class InitrdCheckTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-initrd-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    // An archive as cpio writes it: entries, a trailer, and padding to blocks of 512 bytes.
    private static byte[] Cpio(params (string Name, int Length)[] files)
    {
        var archive = new MemoryStream();
        var random = new Random(files.Length);
        foreach (var (name, length) in files.Append(("TRAILER!!!", 0)))
        {
            archive.Write(Encoding.ASCII.GetBytes($"070701{1:x8}{0x81a4:x8}{0:x8}{0:x8}{1:x8}{0:x8}{length:x8}{0:x8}{0:x8}{0:x8}{0:x8}{name.Length + 1:x8}{0:x8}{name}\0"));
            Pad(4);
            var data = new byte[length];
            random.NextBytes(data);
            archive.Write(data);
            Pad(4);
        }
        Pad(512);
        return archive.ToArray();

        void Pad(int to)
        {
            while (archive.Length % to != 0) archive.WriteByte(0);
        }
    }

    private static byte[] Gzip(byte[] bytes, bool named = false)
    {
        var packed = new MemoryStream();
        using (var zip = new GZipStream(packed, CompressionLevel.Optimal, leaveOpen: true)) zip.Write(bytes);
        var whole = packed.ToArray();
        // FNAME, as gzip writes it for a file.
        return named ? [.. whole.AsSpan(0, 3), 8, .. whole.AsSpan(4, 6), .. "initrd.cpio\0"u8, .. whole.AsSpan(10)] : whole;
    }

    // RFC 8878: a raw block, one that is repeated, and a sum.
    private static byte[] Zstd(byte[] bytes)
    {
        var raw = bytes.AsSpan(0, 100_000);
        return [0x28, 0xb5, 0x2f, 0xfd, 0x84, 0x58, 0, 0, 2, 0, .. Block(raw.Length, 0, last: false), .. raw, .. Block(5000, 1, last: true), 7, 1, 2, 3, 4];

        static byte[] Block(int size, int type, bool last) => [(byte)(size << 3 | type << 1 | (last ? 1 : 0)), (byte)(size >> 5), (byte)(size >> 13)];
    }

    private static byte[] Lz4(byte[] bytes) => [0x02, 0x21, 0x4c, 0x18, .. BitConverter.GetBytes(60_000), .. bytes.AsSpan(0, 60_000), .. BitConverter.GetBytes(40_000), .. bytes.AsSpan(60_000, 40_000)];

    private static byte[] Xz(byte[] bytes) => [0xfd, (byte)'7', (byte)'z', (byte)'X', (byte)'Z', 0, .. bytes.AsSpan(0, 50_002), .. "YZ"u8];

    private static byte[] Whole(string kind)
    {
        var cpio = Cpio(("etc/one", 150_000), ("etc/two", 3), ("init", 70_001));
        return kind switch
        {
            "cpio" => cpio,
            "two archives" => [.. Cpio(("kernel/microcode", 5000)), .. new byte[4096], .. cpio],
            "gzip" => Gzip(cpio),
            "gzip with a name" => Gzip(cpio, named: true),
            "an archive and gzip" => [.. Cpio(("kernel/microcode", 5000)), .. Gzip(cpio)],
            "zstd" => Zstd(cpio),
            "zstd with what is skipped" => [0x51, 0x2a, 0x4d, 0x18, 5, 0, 0, 0, 1, 2, 3, 4, 5, .. Zstd(cpio)],
            "lz4" => Lz4(cpio),
            "xz" => Xz(cpio),
            _ => throw new ArgumentException(kind),
        };
    }

    private string? WhyCut(ReadOnlySpan<byte> content)
    {
        var path = Path.Combine(_folder, "initrd");
        File.WriteAllBytes(path, content);
        using var file = BootFile.Open("initrd", path, 1 << 30, cancellationToken: TestContext.Current.CancellationToken);
        return InitrdCheck.WhyCut(file);
    }

    [Theory]
    [InlineData("cpio", "ends in the middle of etc/one")]
    [InlineData("two archives", "ends in the middle of etc/one")]
    [InlineData("gzip", "gzip data have no end")]
    [InlineData("gzip with a name", "gzip data have no end")]
    [InlineData("an archive and gzip", "gzip data have no end")]
    [InlineData("zstd", "zstd data have no end")]
    [InlineData("zstd with what is skipped", "zstd data have no end")]
    [InlineData("lz4", "lz4 data have no end")]
    [InlineData("xz", "xz data have no end")]
    public void Half_of_one_is_told_and_a_whole_one_is_not(string kind, string why)
    {
        var whole = Whole(kind);

        Assert.Null(WhyCut(whole));
        Assert.Null(WhyCut([.. whole, .. new byte[4096]]));
        Assert.Contains(why, WhyCut(whole.AsSpan(0, whole.Length / 2)), StringComparison.Ordinal);
        // As a full disk cuts it.
        Assert.NotNull(WhyCut(whole.AsSpan(0, 12 * 4096)));
    }

    // What programs make, where this host has them.
    [Theory]
    [InlineData("gzip", "-c")]
    [InlineData("zstd", "-qc")]
    [InlineData("xz", "-c --check=crc32")]
    [InlineData("lz4", "-qlc")]
    public async Task What_a_program_made_is_whole_and_half_of_it_is_not(string program, string words)
    {
        var path = Path.Combine(_folder, "plain");
        File.WriteAllBytes(path, Whole("two archives"));
        Process? process = null;
        try
        {
            process = Process.Start(new ProcessStartInfo(program, [.. words.Split(' '), path]) { RedirectStandardOutput = true });
        }
        catch (System.ComponentModel.Win32Exception)
        {
            Assert.Skip($"{program} is not installed");
        }
        using var packed = new MemoryStream();
        await process!.StandardOutput.BaseStream.CopyToAsync(packed, TestContext.Current.CancellationToken);
        process.Dispose();

        Assert.Null(WhyCut(packed.ToArray()));
        Assert.NotNull(WhyCut(packed.ToArray().AsSpan(0, (int)packed.Length / 2)));
    }

    [Fact]
    public void No_file_makes_it_throw_or_hang()
    {
        var random = new Random(11);
        foreach (var kind in (string[])["cpio", "gzip with a name", "zstd", "lz4", "xz"])
        {
            var whole = Whole(kind).AsSpan(0, Math.Min(60_000, Whole(kind).Length)).ToArray();
            for (var i = 0; i < 200; i++)
            {
                var bytes = whole.AsSpan(0, random.Next(1, whole.Length)).ToArray();
                for (var n = random.Next(4); n > 0; n--) bytes[random.Next(Math.Min(bytes.Length, 200))] = (byte)random.Next(256);
                _ = WhyCut(bytes);
            }
        }
    }

    [Theory]
    [InlineData("hello, this is no archive at all")]
    [InlineData("070701zzzz")]
    [InlineData("x")]
    public void What_is_of_no_known_kind_is_the_kernels_to_judge(string content) => Assert.Null(WhyCut(Encoding.ASCII.GetBytes(content)));
}
