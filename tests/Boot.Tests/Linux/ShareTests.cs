// A folder of the host's in a guest: what one side writes the other reads.
using System.Security.Cryptography;
using Lamina.Tests.Boot.Support;
using Xunit;

namespace Lamina.Tests.Boot.Linux;

public sealed class ShareTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-share-").FullName;

    public static TheoryData<string> OneOfEachMachine => GuestConfiguration.OneOfEachMachine;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Theory]
    [MemberData(nameof(OneOfEachMachine))]
    public async Task What_one_side_writes_the_other_reads(string configuration)
    {
        var content = RandomNumberGenerator.GetBytes(5_000_000);
        Directory.CreateDirectory(Path.Combine(_folder, "from host"));
        File.WriteAllBytes(Path.Combine(_folder, "from host", "file"), content);
        for (var i = 0; i < 300; i++) File.WriteAllText(Path.Combine(_folder, "from host", $"n{i}"), "");
        File.CreateSymbolicLink(Path.Combine(_folder, "away"), "/etc/passwd");
        var hash = Convert.ToHexStringLower(SHA256.HashData(content));
        await using var guest = await LinuxGuest.BootAsync(GuestConfiguration.Of(configuration),
            spec => spec.With(new ShareDevice { Path = _folder, Tag = "host" }, new ShareDevice { Path = _folder, Tag = "look", ReadOnly = true }));

        await guest.DoAsync("mkdir /mnt/rw /mnt/ro; mount -t virtiofs host /mnt/rw && mount -t virtiofs look /mnt/ro && cd /mnt/rw");
        Assert.StartsWith(hash, await guest.DoAsync("sha256sum '/mnt/ro/from host/file'"), StringComparison.Ordinal);
        Assert.Equal("301\n", await guest.DoAsync("ls 'from host' | wc -l"));
        // A link leads where it leads in the guest.
        Assert.Equal(await guest.DoAsync("cat /etc/passwd"), await guest.DoAsync("cat away"));
        await guest.DoAsync("mkdir -p made/deep && cp -p 'from host/file' made/deep/copy && sync && mv made/deep made/moved && ln made/moved/copy second && ln -s second third");
        await guest.DoAsync("echo more >>second && truncate -s 5000002 made/moved/copy && chmod 600 second && touch -d @1000000000 made && rm -r 'from host'");
        Assert.NotEqual(0, (await guest.AskAsync("echo x >/mnt/ro/second")).ExitCode);
        Assert.NotEqual(0, (await guest.AskAsync("mknod null c 1 3")).ExitCode);
        await guest.DoAsync("exec 5>gone && rm gone && echo still >&5 && exec 5>&-");
        await guest.DoAsync("df /mnt/rw && cd / && umount /mnt/rw && umount /mnt/ro");
        Assert.Empty(KernelLog.ErrorsIn(await guest.DoAsync("dmesg -r")));

        Assert.Equal(["away", "made", "second", "third"], Directory.GetFileSystemEntries(_folder).Select(Path.GetFileName).Order());
        Assert.Equal([.. content, (byte)'m', (byte)'o'], File.ReadAllBytes(Path.Combine(_folder, "second")));
        Assert.Equal(File.ReadAllBytes(Path.Combine(_folder, "second")), File.ReadAllBytes(Path.Combine(_folder, "made/moved/copy")));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(Path.Combine(_folder, "second")));
        Assert.Equal(DateTimeOffset.FromUnixTimeSeconds(1_000_000_000), Directory.GetLastWriteTimeUtc(Path.Combine(_folder, "made")));
    }
}
