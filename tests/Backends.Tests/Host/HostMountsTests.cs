// Folders that are removed with what killed programs left mounted in them.
using System.Diagnostics;
using Lamina.Host.Io;
using Xunit;

namespace Lamina.Tests.Backends.Host;

public sealed class HostMountsTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-mounts-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void What_is_mounted_in_a_folder_is_not_removed_with_it()
    {
        var (mine, scratch) = (Directory.CreateDirectory(Path.Combine(_folder, "mine")).FullName, Path.Combine(_folder, "scratch with a blank"));
        File.WriteAllText(Path.Combine(mine, "file"), "kept");
        foreach (var place in (string[])["one", "one/two"])
        {
            var at = Directory.CreateDirectory(Path.Combine(scratch, place)).FullName;
            using var mount = Process.Start(new ProcessStartInfo("mount", ["--bind", mine, at]) { RedirectStandardError = true })!;
            var error = mount.StandardError.ReadToEnd();
            mount.WaitForExit();
            Assert.SkipUnless(mount.ExitCode == 0, $"this user mounts nothing here: {error}");
            Directory.CreateDirectory(Path.Combine(mine, "two"));
        }
        Assert.Equal(2, HostMounts.Below(scratch).Count);

        HostMounts.RemoveFolder(scratch);

        Assert.False(Directory.Exists(scratch));
        Assert.Equal("kept", File.ReadAllText(Path.Combine(mine, "file")));
        Assert.Empty(HostMounts.Below(_folder));
    }

    [Fact]
    public void A_folder_without_mounts_is_removed_with_all_that_is_in_it()
    {
        Directory.CreateDirectory(Path.Combine(_folder, "a", "b"));

        HostMounts.RemoveFolder(Path.Combine(_folder, "a"));

        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder));
    }
}
