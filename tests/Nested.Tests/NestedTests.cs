// Ordinary kernels on KVM, without the hardware for it: see NestedHost.
using Xunit;

// Each run of an outer guest wants a core of its own.
[assembly: CollectionBehavior(DisableTestParallelization = true)]

namespace Lamina.Tests.Nested;

[Trait("Category", "Long")]
public sealed class NestedTests(ShortNestedHost host, ITestOutputHelper output) : IClassFixture<ShortNestedHost>
{
    [Fact]
    public void Doctor_finds_hardware_virtualization_and_auto_chooses_it()
    {
        var table = Part("doctor");
        Assert.Contains("hardware virtualization", table.Output, StringComparison.Ordinal);
        Assert.Contains("chooses kvm", table.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("shell-1", 1)]
    [InlineData("shell-2", 2)]
    [InlineData("shell-split", 2)]
    [InlineData("shell-user", 1)]
    public void Debians_kernel_boots_to_a_shell_and_powers_off(string part, int cpus)
    {
        var shell = Part(part);
        Assert.Equal(0, shell.ExitCode);
        Assert.Contains("lamina: kvm (hardware virtualization", shell.Output, StringComparison.Ordinal);
        Assert.Contains($"\ncpus: {cpus}, clock: ", shell.Output, StringComparison.Ordinal);
        Assert.Contains("\ncounted: 2000\n", shell.Output, StringComparison.Ordinal);
        // QEMU lets a nested guest's XSETBV pass without telling its hypervisor, which then does not know the size of the guest's XSAVE area.
        Assert.DoesNotMatch(@"(?im)^\[ *\d+\.\d+\] (?!.* fpu__init_system_xstate).*(warning:|[^e]bug:|oops|unchecked msr|stuck|lockup)", shell.Output);
    }

    [Theory]
    [InlineData("engine-tests", "Engine.Shared.Tests")]
    [InlineData("boot-tests", "Boot.Tests")]
    public void The_tests_of_engines_and_machines_pass_in_there(string part, string project) => Part(part).AssertPassed(project);

    private NestedPart Part(string name) => host.Part(name, output);
}
