// "lamina run" that a signal asks to end while its guest listens to the power button: the guest is asked first, has a time for it, and a
// second signal does not wait for that. Guests that do not listen are RunCommandTests'.
using System.Runtime.InteropServices;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class RunAskedToEndTests : IDisposable
{
    private const string Asked = "lamina: asked the guest to power off; a second signal pulls the plug";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(PosixSignal.SIGINT)]
    [InlineData(PosixSignal.SIGTERM)]
    [InlineData(PosixSignal.SIGHUP)]
    public async Task A_guest_that_listens_is_asked_and_powers_off(PosixSignal signal)
    {
        using var run = await UpAsync(Guest.PowersOffWhenAsked, "--stop-timeout", "1h");

        run.Signal(signal);
        var outcome = await run.EndAsync();

        Assert.Equal(0, outcome.ExitCode);
        Assert.Equal(Asked, Assert.Single(outcome.ErrorLines.Skip(1)));
    }

    [Fact]
    public async Task Linux_is_asked_and_powers_off()
    {
        await TinyImage.NeedAsync();
        using var run = LaminaProgram.Start(["run", "--engine", "translator", "--stop-timeout", "1h", "--net", "none", "tiny"]);
        // Before its shell it starts what listens to the button.
        await run.SaidAsync("~ # ");

        run.Signal(PosixSignal.SIGTERM);
        var outcome = await run.EndAsync();

        Assert.Equal(0, outcome.ExitCode);
        Assert.Contains(Asked, outcome.ErrorLines);
    }

    [Theory]
    [InlineData(PosixSignal.SIGINT, 130)]
    [InlineData(PosixSignal.SIGTERM, 143)]
    [InlineData(PosixSignal.SIGHUP, 129)]
    public async Task A_guest_that_does_not_come_to_it_in_its_time_ends_all_the_same(PosixSignal signal, int code)
    {
        using var run = await UpAsync(Guest.NeverComesToPoweringOff, "--stop-timeout", "1s");

        run.Signal(signal);
        var outcome = await run.EndAsync();

        Assert.Equal(code, outcome.ExitCode);
        Assert.Equal(Asked, Assert.Single(outcome.ErrorLines.Skip(1)));
    }

    [Fact]
    public async Task A_second_signal_does_not_wait_for_the_guest()
    {
        using var run = await UpAsync(Guest.NeverComesToPoweringOff, "--stop-timeout", "1h");

        run.Signal(PosixSignal.SIGTERM);
        await run.SaidAsync(Asked);
        run.Signal(PosixSignal.SIGHUP);
        var outcome = await run.EndAsync();

        // The first one says which it was.
        Assert.Equal(143, outcome.ExitCode);
        Assert.Equal(2, outcome.ErrorLines.Length);
    }

    [Fact]
    public async Task Without_a_time_for_it_a_guest_is_not_asked()
    {
        using var run = await UpAsync(Guest.PowersOffWhenAsked, "--stop-timeout", "0");

        run.Signal(PosixSignal.SIGTERM);
        var outcome = await run.EndAsync();

        Assert.Equal(143, outcome.ExitCode);
        Assert.Single(outcome.ErrorLines);
    }

    private async Task<HostProcess> UpAsync(byte[] guest, params string[] words)
    {
        var run = LaminaProgram.Start(["run", "--engine", "translator", "--kernel", Guest.In(_folder, guest), .. words]);
        await run.SaidAsync("up\n");
        return run;
    }
}
