using Lamina.Images;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class AptPackagesTests
{
    [Fact]
    public void Packages_are_read_from_what_apt_cache_shows()
    {
        string[] shown =
        [
            "Package: linux-image-cloud-amd64", "Version: 6.1.192-2", "Depends: linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2), kmod | module-init-tools, libc6:amd64",
            "Size: 1504", "SHA256: 00be", "Description: Linux", " a longer text: with a colon", "", "Package: busybox-static", "Version: 1:1.35.0-4", "", "Package: without-a-version",
        ];

        var packages = AptPackages.ParseShow(shown).ToArray();

        Assert.Equal(["linux-image-cloud-amd64", "busybox-static"], packages.Select(package => package.Name));
        Assert.Equal("6.1.192-2", packages[0].Version);
        Assert.Equal(["linux-image-6.1.0-56-cloud-amd64", "kmod", "libc6"], packages[0].Depends);
        Assert.Equal((1504, "00be"), (packages[0].Size, packages[0].Sha256));
        Assert.Empty(packages[1].Depends);
    }

    [Theory]
    [InlineData("dlstatus:1:42.5000:Retrieving file 1 of 2 (3s remaining)", 0.425)]
    [InlineData("dlstatus:1:100.0000:Retrieving file: with colons", 1.0)]
    [InlineData("dlstatus:1:250.0:x", 1.0)]
    [InlineData("pmstatus:1:42.5:x", null)]
    [InlineData("dlstatus:1:many:x", null)]
    [InlineData("", null)]
    public void Progress_is_read_from_apts_status_lines(string line, double? fraction) => Assert.Equal(fraction, AptPackages.ParseStatus(line));

    [Theory]
    [InlineData("E: Unable to locate package x", "Unable to locate package x")]
    [InlineData("W: something\nE: Failed to fetch http://h/p  Could not connect to h:9 (127.0.0.1). - connect (111: Connection refused)\nE: Some index files failed to download.",
        "Failed to fetch http://h/p Could not connect to h:9 (127.0.0.1). - connect (111: Connection refused)")]
    [InlineData("W: only a warning.", "only a warning")]
    [InlineData("dpkg-deb: error: archive is damaged", "dpkg-deb: error: archive is damaged")]
    [InlineData("something else", "something else")]
    [InlineData("", "no reason given")]
    public void The_reason_is_the_most_telling_of_apts_lines(string errors, string reason) => Assert.Equal(reason, AptPackages.ReasonOf(errors.Split('\n')));
}
