// "lamina disk" and "lamina run --disk" through the real program: what they print, how they end, and every mistake that a
// user can make with an image.
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class DiskCommandTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    private string Image => _folder.File("disk.qcow2");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task An_image_is_made_looked_at_checked_and_resized()
    {
        await Succeed("disk", "create", Image, "64M", "--cluster-size", "4K");
        await Succeed("disk", "resize", Image, "1G");

        var info = await Succeed("disk", "info", Image);
        var check = await Succeed("disk", "check", Image);

        Assert.Contains("1 GiB (1073741824 bytes)", info, StringComparison.Ordinal);
        Assert.Contains("cluster size:     4096", info, StringComparison.Ordinal);
        Assert.Contains("no errors; 0 clusters", check, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_disk_is_converted_there_and_back_without_its_holes()
    {
        var content = new byte[3 << 20];
        new Random(1).NextBytes(content.AsSpan(1 << 20, 100_000));
        File.WriteAllBytes(_folder.File("disk.raw"), content);

        await Succeed("disk", "convert", _folder.File("disk.raw"), Image);
        await Succeed("disk", "convert", Image, _folder.File("back.raw"), "--format", "raw");

        Assert.Equal(content, File.ReadAllBytes(_folder.File("back.raw")));
        Assert.True(new FileInfo(Image).Length < 1 << 20);
    }

    /// <summary>As on a disk that is full: an error, and no signal that ends the program.</summary>
    [Theory]
    [InlineData("convert {}/disk.raw {}/disk.qcow2")]
    [InlineData("create {}/disk.qcow2 1M --format raw")]
    public async Task A_file_that_may_not_become_so_long_is_one_sentence_and_nothing_is_left(string words)
    {
        var content = new byte[1 << 20];
        new Random(1).NextBytes(content);
        File.WriteAllBytes(_folder.File("disk.raw"), content);

        var outcome = await HostProcess.RunAsync("sh",
            ["-c", "ulimit -f 100 && exec \"$@\"", "sh", LaminaProgram.File, "disk", .. words.Replace("{}", _folder.Path, StringComparison.Ordinal).Split(' ')],
            HostProcess.WithSmallFiles);

        Assert.Equal(1, outcome.ExitCode);
        Assert.Contains("File too large", Assert.Single(outcome.ErrorLines), StringComparison.Ordinal);
        Assert.False(File.Exists(Image));
    }

    [Fact]
    public async Task Snapshots_are_taken_listed_restored_and_deleted()
    {
        await Succeed("disk", "create", Image, "1M");
        await Succeed("disk", "snapshot", "create", Image, "fresh install");
        var list = await Succeed("disk", "snapshot", "list", Image);
        await Succeed("disk", "snapshot", "apply", Image, "fresh install");
        await Succeed("disk", "snapshot", "rm", Image, "1");

        Assert.Matches(@"^ID  NAME .*\n1   fresh install  20\d\d-.*Z  1 MiB  -\n$", list);
        Assert.Single((await Succeed("disk", "snapshot", "list", Image)).Split('\n', StringSplitOptions.RemoveEmptyEntries));
        await Fail(2, "has no snapshot \"fresh install\"", "disk", "snapshot", "rm", Image, "fresh install");
    }

    [Fact]
    public async Task A_damaged_image_and_one_that_leaks_have_exit_codes_of_their_own()
    {
        await Succeed("disk", "create", Image, "1M");
        var content = File.ReadAllBytes(Image);
        // The refcount block follows the table, which follows the L1 table.
        const int block = 0x30000;
        Assert.Equal((0, 1), (content[block], content[block + 1]));
        content[block + 101] = 1;
        File.WriteAllBytes(Image, content);
        Assert.Equal(4, (await LaminaProgram.RunAsync(["disk", "check", Image])).ExitCode);
        content[block + 3] = 0;
        File.WriteAllBytes(Image, content);
        Assert.Equal(3, (await LaminaProgram.RunAsync(["disk", "check", Image])).ExitCode);

        Assert.Contains("repaired: no errors", await Succeed("disk", "check", Image, "--repair"), StringComparison.Ordinal);
        Assert.Contains("no errors", await Succeed("disk", "check", Image), StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_image_with_lazy_refcounts_that_was_not_closed_is_not_called_damaged()
    {
        await Succeed("disk", "create", Image, "1M", "--lazy-refcounts");
        var content = File.ReadAllBytes(Image);
        // incompatible_features, bit 0: dirty. And a refcount that is behind.
        content[79] |= 1;
        content[0x30000 + 1] = 0;
        File.WriteAllBytes(Image, content);

        var outcome = await LaminaProgram.RunAsync(["disk", "check", Image]);

        Assert.Equal(5, outcome.ExitCode);
        Assert.Contains("not closed, as after a crash, and nothing is lost", outcome.Output, StringComparison.Ordinal);
        Assert.Contains("use lamina disk check --repair first", (await LaminaProgram.RunAsync(["disk", "resize", Image, "2M"])).Errors, StringComparison.Ordinal);
        Assert.Contains("repaired: no errors", await Succeed("disk", "check", Image, "--repair"), StringComparison.Ordinal);
        await Succeed("disk", "check", Image);
    }

    [Fact]
    public async Task A_file_that_may_not_become_longer_is_a_sentence_and_no_signal()
    {
        File.WriteAllBytes(_folder.File("disk.raw"), [.. Enumerable.Repeat((byte)1, 1 << 20)]);

        var outcome = await HostProcess.RunAsync("sh", ["-c", "ulimit -f 128 && exec \"$@\"", "sh", LaminaProgram.File, "disk", "convert", _folder.File("disk.raw"), Image],
            // Or a runtime that compiles keeps its code in a file that is too long itself.
            new Dictionary<string, string?> { ["DOTNET_EnableWriteXorExecute"] = "0" });

        Assert.Equal(1, outcome.ExitCode);
        Assert.Contains("(File too large)", Assert.Single(outcome.ErrorLines), StringComparison.Ordinal);
        Assert.False(File.Exists(Image));
    }

    [Fact]
    public async Task A_raw_image_whose_format_is_not_said_is_told_of()
    {
        File.WriteAllBytes(_folder.File("disk.raw"), new byte[1 << 20]);

        var taken = await RunOn("disk.raw");
        var said = await RunOn("disk.raw,format=raw");

        Assert.Contains(taken.ErrorLines, line => line.Contains("is taken for a raw image; say so with format=raw", StringComparison.Ordinal));
        Assert.DoesNotContain(said.ErrorLines, line => line.Contains("raw", StringComparison.Ordinal));

        Task<Outcome> RunOn(string disk) => LaminaProgram.RunAsync(["run", "--kernel", Guest.In(_folder, Guest.Writes(0xf4, 0x10)), "--debug-exit", "0xf4", "--disk", _folder.File(disk)]);
    }

    [Theory]
    [InlineData("disk", "a command is missing; 'lamina disk --help'")]
    [InlineData("disk create", "PATH is missing")]
    [InlineData("disk create {new}", "say how large")]
    [InlineData("disk create {new} lots", "'lots' is not a size")]
    [InlineData("disk create {new} 1M --format vmdk", "there is no format 'vmdk'")]
    [InlineData("disk create {new} 1M --version 4", "there is no version '4'")]
    [InlineData("disk create {new} 1M --cluster-size 3K", "clusters cannot have 3072 bytes")]
    [InlineData("disk create {new} 1M --format raw --backing {image}", "a raw image has no backing file")]
    [InlineData("disk resize {image} 512K", "say --shrink")]
    [InlineData("disk check {raw}", "is a raw image")]
    [InlineData("disk convert {image}", "TARGET is missing")]
    [InlineData("disk info {new}", "there is no disk image")]
    [InlineData("run --kernel {kernel} --disk {new}", "there is no disk image")]
    [InlineData("run --disk ,ro", "a disk needs the path")]
    [InlineData("run --disk {image},fast", "--disk: a disk has no option \"fast\"; there are")]
    [InlineData("run --disk {image},cache=none", "--disk: cache: there is no 'none'; there are writeback")]
    [InlineData("run --disk {image},on-full=stop", "--disk: on-full: there is no 'stop'; there are error and pause")]
    [InlineData("run --kernel {kernel} --disk {image},queues=0", "--disk: queues: '0' is not possible; use a number from 1 to 16")]
    [InlineData("run --kernel {kernel} --disk {image},serial=0123456789012345678901", "longer than 20 bytes")]
    [InlineData("run --kernel {kernel} --disk {image} --disk {image}", "is given twice")]
    [InlineData("run --kernel {kernel} --disk {raw},format=qcow2", "no qcow2 image")]
    [InlineData("run --kernel {kernel} --disk {overlay}", "name that as its backing file if it may be read (backing=")]
    [InlineData("disk convert {overlay} {new}", "name that as its backing file if it may be read (backing={image} with --disk, --backing {image} with lamina disk)")]
    public async Task A_mistake_ends_in_one_sentence(string words, string sentence)
    {
        await Succeed("disk", "create", Image, "1M");
        await Succeed("disk", "create", _folder.File("overlay.qcow2"), "--backing", "disk.qcow2");
        File.WriteAllBytes(_folder.File("raw"), new byte[4096]);
        var named = new Dictionary<string, string>
        {
            ["{new}"] = _folder.File("new.qcow2"),
            ["{image}"] = Image,
            ["{raw}"] = _folder.File("raw"),
            ["{kernel}"] = Guest.In(_folder, Guest.Halts),
            ["{overlay}"] = _folder.File("overlay.qcow2"),
        };

        string Named(string text) => named.Aggregate(text, (said, name) => said.Replace(name.Key, name.Value, StringComparison.Ordinal));
        await Fail(2, Named(sentence), words.Split(' ').Select(Named).ToArray());

        Assert.False(File.Exists(_folder.File("new.qcow2")));
    }

    [Fact]
    public async Task Images_that_lead_nowhere_or_lie_are_refused_before_the_guest_starts()
    {
        string kernel = Guest.In(_folder, Guest.Halts), overlay = _folder.File("overlay.qcow2");
        await Succeed("disk", "create", Image, "1M");
        await Succeed("disk", "create", overlay, "--backing", "disk.qcow2");
        var (whole, layered) = (File.ReadAllBytes(Image), File.ReadAllBytes(overlay));

        File.WriteAllBytes(Image, layered);
        await Fail(2, "disk.qcow2 is its own backing file, by way of 1 images", "run", "--kernel", kernel, "--disk", $"{Image},backing=any");
        await Fail(2, "disk.qcow2 is its own backing file, by way of 2 images", "run", "--kernel", kernel, "--disk", $"{overlay},backing=any");
        File.Delete(Image);
        await Fail(2, "disk.qcow2 of ", "run", "--kernel", kernel, "--disk", $"{overlay},backing=any");
        await Fail(2, "is missing", "run", "--kernel", kernel, "--disk", overlay);
        File.WriteAllBytes(Image, [.. whole.AsSpan(0, 24), 0xff, 0xff, .. whole.AsSpan(26)]);
        await Fail(2, "it says that its disk has", "run", "--kernel", kernel, "--disk", Image);
        File.WriteAllBytes(Image, whole[..70_000]);
        await Fail(2, "does not lie in the file", "run", "--kernel", kernel, "--disk", Image);
    }

    [Fact]
    public async Task What_the_host_refuses_has_the_hosts_exit_code_and_what_was_named_wrongly_the_users()
    {
        var kernel = Guest.In(_folder, Guest.Halts);
        await Fail(2, "is a folder", "run", "--kernel", kernel, "--disk", $"{_folder.Path},ro");
        await Fail(2, "its folder does not exist; make it first", "disk", "create", _folder.File("no/such/folder.qcow2"), "1M");
        await Fail(2, "/proc/version has no length, which a disk needs", "disk", "convert", "/proc/version", _folder.File("new.img"));
        await Fail(2, "/proc/version has no length, which a disk needs", "run", "--kernel", kernel, "--disk", "/proc/version,ro");
        await Fail(2, "is a folder", "disk", "info", _folder.Path);
    }

    [Fact]
    public async Task A_disk_in_use_is_refused_to_the_second()
    {
        await Succeed("disk", "create", Image, "1M");
        using var first = LaminaProgram.Start(["run", "--kernel", Guest.In(_folder, Guest.Halts), "--disk", Image]);
        await first.SaidAsync("up");

        await Fail(1, "in use by another machine", "run", "--kernel", Guest.In(_folder, Guest.Halts), "--disk", Image);
        await Fail(1, "in use by another machine", "disk", "resize", Image, "2M");
        first.Signal(System.Runtime.InteropServices.PosixSignal.SIGTERM);
        Assert.Equal(143, (await first.EndAsync()).ExitCode);
        Assert.Contains("no errors", await Succeed("disk", "check", Image), StringComparison.Ordinal);
    }

    private static async Task<string> Succeed(params string[] words)
    {
        var outcome = await LaminaProgram.RunAsync(words);
        Assert.True(outcome.ExitCode == 0, $"lamina {string.Join(' ', words)} exited with {outcome.ExitCode}: {outcome.Errors}{outcome.Output}");
        return outcome.Output;
    }

    private static async Task Fail(int code, string sentence, params string[] words)
    {
        var outcome = await LaminaProgram.RunAsync(words);
        Assert.Equal(code, outcome.ExitCode);
        Assert.Contains(sentence, outcome.ErrorLines[^1], StringComparison.Ordinal);
        Assert.StartsWith("lamina: ", outcome.ErrorLines[^1], StringComparison.Ordinal);
        Assert.Single(outcome.ErrorLines);
    }
}
