// Files on a share as programs in a guest see them: the same as on the host, whatever is done to their names. The guest's program is the
// host's perl, by a shared folder.
using System.Diagnostics;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Linux;

public sealed class ShareFileTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-share-").FullName;

    public static TheoryData<string> OneOfEach => GuestConfiguration.OneOfEach;

    // Names that are no text are beyond .NET.
    public void Dispose() => Run("rm", "-rf", _folder);

    [Theory]
    [MemberData(nameof(OneOfEach))]
    public async Task A_share_answers_as_the_hosts_file_system(string configuration)
    {
        Assert.SkipUnless(HostProgram.TryCopy("perl", In("bin")), "perl is not installed on this host");
        File.WriteAllText(In("bin/script"), ShareScript.Text);
        foreach (var name in (string[])["plain", "shared"]) Directory.CreateDirectory(In(name));
        var expected = Run("perl", In("bin/script"), In("plain"));
        await using var guest = await LinuxGuest.BootAsync(GuestConfiguration.Of(configuration),
            spec => spec.With(new ShareDevice { Path = In("bin"), Tag = "bin" }, new ShareDevice { Path = In("shared"), Tag = "work", ExtendedAttributes = true }));

        await guest.DoAsync("mkdir /mnt/bin /mnt/work && mount -t virtiofs bin /mnt/bin && mount -t virtiofs work /mnt/work && cd /mnt/bin");
        await guest.DoAsync("./ld --library-path . ./perl script /mnt/work >printed && cd / && umount /mnt/work && umount /mnt/bin");
        Assert.Empty(KernelLog.ErrorsIn(await guest.DoAsync("dmesg -r")));

        var (left, right) = (expected.Split('\n'), File.ReadAllText(In("bin/printed")).Split('\n'));
        Assert.True(left.Length > 1000, $"the script printed {left.Length} lines");
        var different = left.Zip(right).Where(pair => pair.First != pair.Second).Select(pair => $"{pair.First} on the host, {pair.Second} on the share");
        Assert.True(!different.Any(), string.Join("\n", different));
        Assert.Equal(left.Length, right.Length);
    }

    [Theory]
    [MemberData(nameof(OneOfEach))]
    public async Task File_systems_that_are_mounted_below_a_share_have_numbers_of_their_own(string configuration)
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "mounting on the host needs root");
        var mounts = new List<string>();
        try
        {
            foreach (var name in (string[])["a", "b"])
            {
                Directory.CreateDirectory(In(name));
                using var mount = Process.Start("mount", ["-t", "tmpfs", "lamina-test", In(name)]);
                await mount.WaitForExitAsync(TestContext.Current.CancellationToken);
                Assert.SkipUnless(mount.ExitCode == 0, "this host does not let root mount");
                mounts.Add(In(name));
                File.WriteAllText(In($"{name}/file"), name);
            }
            await using var guest = await LinuxGuest.BootAsync(GuestConfiguration.Of(configuration), spec => spec.With(new ShareDevice { Path = _folder, Tag = "work" }));

            await guest.DoAsync("mount -t virtiofs work /mnt && cd /mnt");
            var numbers = (await guest.DoAsync("stat -c '%d %i' . a/file b/file")).Split('\n', StringSplitOptions.RemoveEmptyEntries);
            Assert.Equal(3, numbers.Distinct().Count());
            Assert.Equal(3, numbers.Select(number => number.Split(' ')[0]).Distinct().Count());
            await guest.DoAsync("cp a/file b/file && echo more >>a/file && ln a/file a/second && cat a/second");
            // As between any two file systems.
            Assert.Contains("Invalid cross-device link", (await guest.AskAsync("ln a/file b/linked")).Output, StringComparison.Ordinal);
            await guest.DoAsync("mv a/second b/moved && df a && cd / && umount -l /mnt");
            Assert.Empty(KernelLog.ErrorsIn(await guest.DoAsync("dmesg -r")));

            Assert.Equal(("a", "amore\n", "amore\n"), (File.ReadAllText(In("b/file")), File.ReadAllText(In("a/file")), File.ReadAllText(In("b/moved"))));
        }
        finally
        {
            foreach (var mount in mounts) Run("umount", "-l", mount);
        }
    }

    private string In(string name) => Path.Combine(_folder, name);

    private static string Run(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })!;
        var text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, $"{program} exited with {process.ExitCode}");
        return text;
    }
}
