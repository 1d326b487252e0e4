using Lamina.Images;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class CpioWriterTests
{
    private static readonly DateTimeOffset When = DateTimeOffset.FromUnixTimeSeconds(1_700_000_000);

    [Fact]
    public void Entries_carry_type_permissions_content_and_time()
    {
        var archive = Write(cpio =>
        {
            cpio.AddDirectory("etc");
            cpio.AddFile("etc/hostname", "tiny\n"u8, 0b110_100_000);
            cpio.AddLink("sh", "/bin/busybox");
            cpio.AddCharacterDevice("console", 5, 1);
        });

        var entries = Cpio.Read(archive);

        Assert.Equal(["etc", "etc/hostname", "sh", "console"], entries.Select(entry => entry.Name));
        Assert.Equal([0x41edu, 0x81a0u, 0xa1ffu, 0x2180u], entries.Select(entry => entry.Mode));
        Assert.Equal("tiny\n", entries[1].Text);
        Assert.Equal("/bin/busybox", entries[2].Text);
        Assert.Equal((5u, 1u), (entries[3].Major, entries[3].Minor));
        Assert.All(entries, entry => Assert.Equal(1_700_000_000u, entry.Modified));
        Assert.Equal(entries.Count, entries.Select(entry => entry.Inode).Distinct().Count());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    [InlineData(4)]
    [InlineData(4097)]
    public void Content_and_names_of_every_length_are_padded(int length)
    {
        var content = Enumerable.Range(0, length).Select(i => (byte)i).ToArray();

        var entries = Cpio.Read(Write(cpio =>
        {
            cpio.AddFile("n" + new string('x', length % 7), content);
            cpio.AddFile("after", "1"u8);
        }));

        Assert.Equal(content, entries[0].Content);
        Assert.Equal("after", entries[1].Name);
    }

    [Fact]
    public void Equal_content_gives_equal_archives()
    {
        static void Fill(CpioWriter cpio) => cpio.AddFile("file", "content"u8);

        Assert.Equal(Write(Fill), Write(Fill));
    }

    [Theory]
    [InlineData("")]
    [InlineData("/etc")]
    [InlineData("../etc")]
    [InlineData("etc/../../shadow")]
    [InlineData("etc//passwd")]
    [InlineData("./etc")]
    [InlineData("etc/")]
    [InlineData("TRAILER!!!")]
    public void Paths_that_are_not_clean_and_relative_are_refused(string path) =>
        Assert.Throws<ArgumentException>(() => Write(cpio => cpio.AddFile(path, "x"u8)));

    [Fact]
    public void Nothing_can_follow_the_end() => Assert.Throws<ObjectDisposedException>(() => Write(cpio =>
    {
        cpio.Finish();
        cpio.AddFile("late", "x"u8);
    }));

    [Fact]
    public async Task Cpio_itself_lists_the_archive()
    {
        var cpio = new[] { "/usr/bin/cpio", "/bin/cpio" }.FirstOrDefault(File.Exists);
        Assert.SkipWhen(cpio is null, "cpio is not installed on this host");
        using var folder = new TemporaryFolder();
        File.WriteAllBytes(folder.File("archive"), Write(writer =>
        {
            writer.AddDirectory("bin");
            writer.AddFile("bin/tool", new byte[12345], 0b111_101_101);
            writer.AddLink("init", "bin/tool");
            writer.AddCharacterDevice("null", 1, 3);
        }));

        var listed = await HostProcess.RunAsync(cpio!, ["-t", "-v", "--quiet", "-F", folder.File("archive")]);

        Assert.Equal(0, listed.ExitCode);
        string[] lines = listed.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(4, lines.Length);
        Assert.StartsWith("drwxr-xr-x", lines[0], StringComparison.Ordinal);
        Assert.Matches("^-rwxr-xr-x .* 12345 .* bin/tool$", lines[1]);
        Assert.EndsWith("init -> bin/tool", lines[2], StringComparison.Ordinal);
        Assert.Matches("^crw------- .* 1, +3 .* null$", lines[3]);
    }

    private static byte[] Write(Action<CpioWriter> fill)
    {
        using var stream = new MemoryStream();
        var writer = new CpioWriter(stream, When);
        fill(writer);
        writer.Finish();
        return stream.ToArray();
    }
}
