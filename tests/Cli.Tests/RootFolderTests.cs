// Debian's kernel on a folder of the host's as its root, through the real program. The folder is what the image "tiny" has in memory, with a first
// process of the test's; tests are skipped, with the builder's reason, where the image cannot be had.
using System.Runtime.InteropServices;
using Lamina.Images;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class RootFolderTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task A_kernel_boots_on_a_folder_that_it_may_write()
    {
        var (kernel, root) = await MakeRootAsync("echo hello from $(uname -s) $0 >/found; touch /new && echo written; echo \"$(grep ' / ' /proc/mounts)\"");

        var outcome = await RunAsync(kernel, root);

        Assert.True(outcome.ExitCode == 0, outcome.Errors);
        Assert.Contains("written", outcome.Output, StringComparison.Ordinal);
        Assert.Matches("root / virtiofs rw", outcome.Output);
        Assert.Equal("hello from Linux /sbin/init\n", await File.ReadAllTextAsync(Path.Combine(root, "found"), TestContext.Current.CancellationToken));
        // Made once: the second run finds it.
        var disk = Assert.Single(Directory.EnumerateFiles(_folder.File("home/cache/root")));
        var made = File.GetLastWriteTimeUtc(disk);
        Assert.Equal(0, (await RunAsync(kernel, root)).ExitCode);
        Assert.Equal(made, File.GetLastWriteTimeUtc(disk));
    }

    [Fact]
    public async Task A_folder_may_be_for_reading_only_and_another_process_the_first()
    {
        var (kernel, root) = await MakeRootAsync("echo the wrong one");
        _folder.Script("root/sbin/other", "#!/bin/sh\nmount -t proc proc /proc; touch /new || echo refused; grep ' / ' /proc/mounts; poweroff -f\n");

        var outcome = await RunAsync(kernel, root + ",ro", "--cmdline", "console=ttyS0 quiet init=/sbin/other");

        Assert.True(outcome.ExitCode == 0, outcome.Errors);
        Assert.Contains("refused", outcome.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("the wrong one", outcome.Output, StringComparison.Ordinal);
        Assert.Matches("root / virtiofs ro", outcome.Output);
        Assert.False(File.Exists(Path.Combine(root, "new")));
    }

    [Fact]
    public async Task A_folder_without_a_first_process_is_told_by_the_guest()
    {
        var (kernel, root) = await MakeRootAsync("true");
        Directory.Delete(Path.Combine(root, "sbin"), recursive: true);
        File.Delete(Path.Combine(root, "bin/sh"));

        var outcome = await RunAsync(kernel, root);

        Assert.Contains("lamina: the folder holds no /sbin/init and no /bin/sh; name what is to be run with init=", outcome.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task What_cannot_be_is_one_sentence()
    {
        var guest = Guest.In(_folder, Guest.Halts);
        var some = _folder.Folder("some");

        Expect(2, $"lamina: --root: the folder {some}x does not exist", await RunAsync(guest, some + "x"));
        Expect(2, $"lamina: --root: '{some},rw' is no folder; write it like FOLDER or FOLDER,ro", await RunAsync(guest, some + ",rw"));
        Expect(2, "lamina: --root is for a kernel of your own; name it with --kernel", await LaminaProgram.RunAsync(["run", "--root", some], Environment));
        Expect(2, $"lamina: the kernel {guest}x does not exist", await RunAsync(guest + "x", some));
    }

    [Fact]
    public async Task A_kernel_of_which_nothing_is_known_must_have_all_built_in_and_that_is_said()
    {
        var guest = Guest.In(_folder, Guest.Writes(0xf4, 0x10));

        var outcome = await RunAsync(guest, _folder.Folder("some"), "--debug-exit", "0xf4");

        Assert.Equal(33, outcome.ExitCode);
        Assert.Contains($"lamina: {guest} does not say which Linux it is, so no modules were looked for: it needs virtiofs and virtio over MMIO built in\n", outcome.Errors, StringComparison.Ordinal);
    }

    private Dictionary<string, string?> Environment => new() { ["LAMINA_HOME"] = _folder.File("home") };

    private Task<Outcome> RunAsync(string kernel, string root, params string[] words) => LaminaProgram.RunAsync(["run", "--engine", "translator", "--timeout", "2m", "--net", "none", "--kernel", kernel, "--root", root, .. words], Environment);

    private static void Expect(int code, string sentence, Outcome outcome)
    {
        Assert.Equal(code, outcome.ExitCode);
        Assert.Equal(sentence, Assert.Single(outcome.ErrorLines));
    }

    // The kernel, and a folder with busybox, the kernel's modules and a first process that runs a script.
    private async Task<(string Kernel, string Root)> MakeRootAsync(string script)
    {
        var image = await TinyImage.NeedAsync();
        // The program, which has a folder of its own, finds the image where it is.
        Directory.CreateDirectory(_folder.File("home/cache"));
        Directory.CreateSymbolicLink(_folder.File("home/cache/images"), ImageStore.OfUser().Folder);
        var root = _folder.Folder("root");
        foreach (var entry in Cpio.Read(await File.ReadAllBytesAsync(image.InitrdPath!, TestContext.Current.CancellationToken)))
        {
            var path = Path.Combine(root, entry.Name);
            if (entry.IsDirectory) Directory.CreateDirectory(path);
            else if ((entry.Mode & 0xf000) == 0xa000) File.CreateSymbolicLink(path, entry.Text);
            else if ((entry.Mode & 0xf000) == 0x8000 && entry.Name != "init") await File.WriteAllBytesAsync(path, entry.Content, TestContext.Current.CancellationToken);
            if ((entry.Mode & 0xf000) == 0x8000 && entry.Name != "init") File.SetUnixFileMode(path, (UnixFileMode)(entry.Mode & 0x1ff));
        }
        File.Delete(Path.Combine(root, "sbin/init"));
        _folder.Script("root/sbin/init", $"#!/bin/sh\nmount -t proc proc /proc\n{script}\npoweroff -f\n");
        return (image.KernelPath, root);
    }
}
