// What was kept of a machine, or comes over a link, gets no more of the host than was said before.
using Lamina.Hypervisor.Locking;
using Lamina.Hypervisor.Stored;
using Xunit;

namespace Lamina.Tests.Hypervisor.Locking;

public sealed class HostClaimTests
{
    private static readonly MachineHome s_home = new("/srv/web");

    private static readonly MachineDefinition s_started = new() { MemoryBytes = 64 << 20, MostMemoryBytes = 128 << 20, Cpus = 2 };

    [Fact]
    public void As_much_memory_and_as_many_processors_as_before_and_less_are_taken()
    {
        HostClaim.Check(s_home, s_started, s_started);
        HostClaim.Check(s_home, s_started, s_started with { MemoryBytes = 128 << 20, MostMemoryBytes = null, Cpus = 1 });
    }

    [Theory]
    [InlineData((128ul << 20) + 4096, 2)]
    [InlineData(1ul << 50, 2)]
    [InlineData(ulong.MaxValue, 2)]
    public void More_memory_is_refused(ulong memory, int cpus)
    {
        var refused = Assert.Throws<MachineException>(() => HostClaim.Check(s_home, s_started, s_started with { MemoryBytes = memory, MostMemoryBytes = null, Cpus = cpus }));

        Assert.StartsWith($"what was kept of the machine web asks for {ByteSize.Format(memory)} of memory, which the machine was not started with", refused.Message, StringComparison.Ordinal);
        Assert.Throws<MachineException>(() => HostClaim.Check(s_home, s_started, s_started with { MostMemoryBytes = memory }));
    }

    [Theory]
    [InlineData(3)]
    [InlineData(int.MaxValue)]
    public void More_processors_are_refused(int cpus)
    {
        var refused = Assert.Throws<MachineException>(() => HostClaim.Check(s_home, s_started, s_started with { Cpus = cpus }));

        Assert.StartsWith($"what was kept of the machine web asks for {cpus} CPUs, which the machine was not started with", refused.Message, StringComparison.Ordinal);
    }
}
