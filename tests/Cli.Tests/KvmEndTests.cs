// Runs on KVM that cannot begin or cannot go on, through the real program: one sentence and an exit code each.
using System.Text.RegularExpressions;
using Lamina.Engines.Kvm;
using Lamina.Tests.Cli.Support;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class KvmEndTests : IDisposable
{
    private const string Nobody = "65534";

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public async Task Without_the_device_it_is_told_what_brings_it_and_auto_takes_the_translator()
    {
        await DeviceNamespace.SkipWithoutAsync();

        var refused = await DeviceNamespace.RunAsync(_folder, "mount -t tmpfs none /dev", "--engine", "kvm");
        var other = await DeviceNamespace.RunAsync(_folder, "mount -t tmpfs none /dev", "--engine", "auto");

        Assert.Equal(1, refused.ExitCode);
        Assert.StartsWith("lamina: there is no /dev/kvm: load the module kvm_intel or kvm_amd", Assert.Single(refused.ErrorLines), StringComparison.Ordinal);
        Assert.Equal(33, other.ExitCode);
        Assert.Equal("lamina: translator (no hardware virtualization: there is no /dev/kvm)", Assert.Single(other.ErrorLines));
    }

    [Fact]
    public async Task A_device_of_another_kind_in_its_place_is_told()
    {
        await DeviceNamespace.SkipWithoutAsync();
        Assert.SkipUnless(File.Exists(KvmSupport.DefaultPath), $"there is no {KvmSupport.DefaultPath}");

        var refused = await DeviceNamespace.RunAsync(_folder, "mount --bind /dev/null /dev/kvm", "--engine", "kvm");

        Assert.Equal(1, refused.ExitCode);
        Assert.StartsWith("lamina: /dev/kvm is not the kernel's virtualization device", Assert.Single(refused.ErrorLines), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_user_who_may_not_open_the_device_is_told_the_commands()
    {
        Assert.SkipUnless(File.Exists(KvmSupport.DefaultPath), $"there is no {KvmSupport.DefaultPath}");
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "only root can run as another user");
        Assert.SkipWhen((File.GetUnixFileMode(KvmSupport.DefaultPath) & UnixFileMode.OtherRead) != 0, $"every user may open {KvmSupport.DefaultPath} here");
        // Where that user can reach them: the program's folder may lie in one of root's.
        var outcome = await HostProcess.RunAsync("setpriv", ["--reuid", Nobody, "--regid", Nobody, "--clear-groups", LaminaProgram.File, "run", "--engine", "kvm", "--kernel", "/proc/self/exe"]);
        Assert.SkipWhen(outcome.ExitCode is 126 or 127, $"another user cannot run the program here: {outcome.Errors}");

        Assert.Equal(1, outcome.ExitCode);
        Assert.Matches("^lamina: /dev/kvm may not be opened by this user: add the user to the group kvm .*usermod -aG kvm USER", Assert.Single(outcome.ErrorLines));
    }

    [Theory]
    [InlineData("user", 1)]
    [InlineData("split", 1)]
    [InlineData("kernel", 1)]
    [InlineData("user", 2)]
    [InlineData("kernel", 2)]
    public async Task An_instruction_that_the_kernel_cannot_emulate_ends_the_run_with_a_report(string irqchip, int cpus)
    {
        SkipWithoutKvm();

        var outcome = await LaminaProgram.RunAsync(["run", "--engine", "kvm", "--irqchip", irqchip, "--cpus", $"{cpus}", "--kernel", Guest.In(_folder, Guest.ReadsDeviceAsVector)]);

        Assert.Equal(70, outcome.ExitCode);
        Assert.Equal(2, outcome.ErrorLines.Length);
        var said = Regex.Match(outcome.ErrorLines[1], "^lamina: the kernel's KVM cannot emulate an instruction that vCPU 0 executed; the translator can; its state is in (.+)$");
        Assert.True(said.Success, outcome.Errors);
        Assert.Contains("struct kvm_run:", await File.ReadAllTextAsync(said.Groups[1].Value, TestContext.Current.CancellationToken), StringComparison.Ordinal);
        File.Delete(said.Groups[1].Value);
    }

    [Theory]
    [InlineData("user")]
    [InlineData("split")]
    [InlineData("kernel")]
    public async Task A_triple_fault_ends_the_run(string irqchip)
    {
        SkipWithoutKvm();

        var outcome = await LaminaProgram.RunAsync(["run", "--engine", "kvm", "--irqchip", irqchip, "--no-reboot", "--kernel", Guest.In(_folder, Guest.TripleFaults)]);

        Assert.Equal(11, outcome.ExitCode);
        Assert.Equal("lamina: the guest's CPU gave up (triple fault)", outcome.ErrorLines[^1]);
    }

    private static void SkipWithoutKvm()
    {
        var missing = KvmSupport.WhyNot();
        Assert.SkipWhen(missing is not null, missing ?? "");
    }
}
