// What a Debian image takes from the host's configuration of apt.
using Lamina.Images.Debian;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class DebianSourcesTests
{
    [Fact]
    public void The_hosts_own_sources_are_used_and_no_others()
    {
        string[] targets =
        [
            "Debian|http://deb.example/debian/|bookworm|main", "Debian|http://deb.example/debian/|bookworm|contrib", "Debian|http://deb.example/debian/|bookworm-updates|main",
            "Debian|https://security.example/|bookworm-security|main", "Debian|http://deb.example/debian/|bookworm-backports|main", "Debian|http://deb.example/debian/|bookworm|main",
            "Somebody|https://packages.example/|bookworm|main", "Debian|file:/media/cdrom/|bookworm|main", "Debian|http://deb.example/debian/|bookworm|universe", "nonsense",
        ];

        Assert.Equal(
            ["deb http://deb.example/debian/ bookworm main contrib", "deb http://deb.example/debian/ bookworm-updates main", "deb https://security.example/ bookworm-security main"],
            DebianSources.ParseTargets(targets, "bookworm", "bookworm"));
    }

    [Fact]
    public void A_host_of_another_release_names_where_and_not_what() => Assert.Equal(
        ["deb http://deb.example/debian/ bookworm main", "deb http://deb.example/debian/ bookworm-updates main"],
        DebianSources.ParseTargets(["Debian|http://deb.example/debian/|trixie|main", "Debian|http://deb.example/debian/|trixie-updates|main"], "trixie", "bookworm"));

    [Fact]
    public void Lists_that_were_never_fetched_name_no_origin() => Assert.Equal(
        ["deb http://deb.example/debian/ bookworm main"],
        DebianSources.ParseTargets(["$(ORIGIN)|http://deb.example/debian/|bookworm|main", "$(ORIGIN)|http://deb.example/tools/|bookworm|main"], "bookworm", "bookworm"));

    [Theory]
    [InlineData("Ubuntu|http://archive.example/ubuntu/|noble|main")]
    [InlineData("Debian|http://deb.example/debian/|bookworm-updates|main")]
    public void Without_the_release_itself_there_are_no_sources(string target) => Assert.Empty(DebianSources.ParseTargets([target], "bookworm", "bookworm"));

    [Fact]
    public void Proxies_and_the_checks_of_dates_go_with_them()
    {
        string[] dump =
        [
            "Acquire::Check-Date \"false\";", "Acquire::http::Proxy \"http://proxy.example:3128/\";", "Acquire::https::Proxy::deb.example \"DIRECT\";",
            "Acquire::http::Timeout \"30\";", "Acquire::cdrom::mount \"/media/cdrom/\";", "Acquire::http::Proxy \"http://127.0.0.1:3142/\";",
        ];

        var sources = new DebianSources([], DebianSources.ParseOptions(dump));

        Assert.Equal([dump[0], dump[1], dump[2], dump[5]], sources.Options);
        Assert.Equal([dump[0], dump[1], dump[2]], sources.GuestOptions);
    }
}
