// Runs on tap interfaces that the host does not give, through the real program: one sentence and an exit code each.
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class TapEndTests : IDisposable
{
    // What follows runs as root without any capability.
    private const string WithoutPrivilege = "set -- setpriv --inh-caps=-all --bounding-set=-all \"$@\"";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Without_the_device_it_is_told_what_brings_it()
    {
        await DeviceNamespace.SkipWithoutAsync();

        var outcome = await DeviceNamespace.RunAsync(_folder, "mount -t tmpfs none /dev", "--net", "tap=tap7");

        Assert.Equal((1, "lamina: there is no /dev/net/tun, which tap interfaces need; as root: modprobe tun"), (outcome.ExitCode, Assert.Single(outcome.ErrorLines)));
    }

    [Theory]
    [InlineData("tap=tap7", "the tap interface tap7 cannot be made without privilege; as root, once: ip tuntap add tap7 mode tap user $USER && ip link set tap7 up")]
    [InlineData("tap", "no tap interface can be made without privilege; as root, once: ip tuntap add tap0 mode tap user $USER && ip link set tap0 up; then use tap=tap0")]
    public async Task A_user_without_privilege_is_told_what_helps(string network, string sentence)
    {
        await SkipWithoutTapsAsync();

        var outcome = await DeviceNamespace.RunAsync(_folder, WithoutPrivilege, "--net", network);

        Assert.Equal((1, $"lamina: {sentence}"), (outcome.ExitCode, Assert.Single(outcome.ErrorLines)));
    }

    [Fact]
    public async Task An_interface_that_was_made_and_is_up_needs_no_privilege()
    {
        await SkipWithoutTapsAsync();

        var down = await DeviceNamespace.RunAsync(_folder, $"ip tuntap add tap7 mode tap user 0 && {WithoutPrivilege}", "--net", "tap=tap7");
        var up = await DeviceNamespace.RunAsync(_folder, $"ip tuntap add tap7 mode tap user 0 && ip link set tap7 up && {WithoutPrivilege}", "--net", "tap=tap7");

        Assert.Equal((1, "lamina: the tap interface tap7 is down and this user may not change that; as root: ip link set tap7 up"), (down.ExitCode, Assert.Single(down.ErrorLines)));
        Assert.Equal(33, up.ExitCode);
    }

    private static async Task SkipWithoutTapsAsync()
    {
        await DeviceNamespace.SkipWithoutAsync();
        var trial = await HostProcess.RunAsync("unshare", ["--mount", "--net", "--map-root-user", "ip", "tuntap", "add", "tap7", "mode", "tap"]);
        Assert.SkipUnless(trial.ExitCode == 0, $"this host makes no tap interfaces: {trial.Errors}");
    }
}
