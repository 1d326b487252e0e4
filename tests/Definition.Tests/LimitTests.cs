// Shares and limits as people write them: what is meant, and what is said of what cannot be.
using Lamina.Definition;
using Xunit;

namespace Lamina.Tests.Definition;

public sealed class LimitTests
{
    [Theory]
    [InlineData("0-1,3", "0-1,3")]
    [InlineData("3,1,0", "0-1,3")]
    [InlineData("5", "5")]
    [InlineData("0-0", "0")]
    [InlineData("7,0-6,1023", "0-7,1023")]
    public void Processors_are_numbers_and_ranges(string text, string written) => Assert.Equal(written, ProcessorSet.Parse(text).ToString());

    [Theory]
    [InlineData("")]
    [InlineData("1-")]
    [InlineData("-1")]
    [InlineData("3-1")]
    [InlineData("1024")]
    [InlineData("0-99999999999")]
    [InlineData("1-2-3")]
    [InlineData("a")]
    public void What_is_no_list_of_processors_is_refused(string text) => Assert.Throws<MachineException>(() => ProcessorSet.Parse(text));

    [Theory]
    [InlineData("cpu-cap", "25", "cpu-cap: '25' is not a share of a processor; write it like 25% or 150%, or none")]
    [InlineData("cpu-cap", "0%", "'0%' is not a share")]
    [InlineData("cpu-cap", "100001%", "is not a share")]
    [InlineData("cpu-cap", "-5%", "is not a share")]
    [InlineData("cpu-cap", "%", "is not a share")]
    [InlineData("cpu-cap", "", "cpu-cap needs a value")]
    [InlineData("cpu-weight", "0", "cpu-weight: '0' is not possible; use a number from 1 to 10000")]
    [InlineData("cpu-weight", "10001", "use a number from 1 to 10000")]
    [InlineData("cpu-pin", "x", "cpu-pin: 'x' is not a list of processors; write it like 0-1,3, or none")]
    [InlineData("memory-limit", "much", "memory-limit: 'much' is not a size; write it like 512M or 2G, or none")]
    [InlineData("memory-least", "0", "is not a size")]
    [InlineData("pool", "A", "pool: 'A' cannot be a pool's name")]
    public void What_cannot_be_said_of_a_machine_is_refused_in_a_sentence(string name, string text, string sentence) =>
        Assert.Contains(sentence, Assert.Throws<MachineException>(() => MachineShape.Shape.With(new MachineDefinition(), name, text)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("disk,rate=0", "rate: '0' is not a size; write it like 50M, or none")]
    [InlineData("disk,rate=fast", "rate: 'fast' is not a size")]
    [InlineData("disk,rate", "rate needs a value")]
    [InlineData("disk,iops=0", "iops: '0' is not a number")]
    [InlineData("disk,iops=-1", "iops: '-1' is not a number")]
    [InlineData("disk,burst=2h", "burst: '2h' is not possible; use a time up to 3600s")]
    [InlineData("disk,packets=5", "a disk has no option \"packets=5\"")]
    public void What_cannot_be_said_of_a_disks_limit_is_refused_in_a_sentence(string text, string sentence) =>
        Assert.Contains(sentence, Assert.Throws<MachineException>(() => DiskDevice.Parse(text)).Message, StringComparison.Ordinal);

    [Theory]
    [InlineData("cpu-cap", "cpu-weight", "cpu-pin", "cpu-reserve", "memory-reserve", "memory-least", "memory-limit", "pool")]
    public void None_takes_back_what_was_said(params string[] names)
    {
        var said = new MachineDefinition { CpuLimit = new CpuLimit { Cap = 5, Pin = new ProcessorSet([1]) }, CpuReserve = 5, MemoryReserve = 5, MemoryLeast = 5, MemoryLimit = 5, Pool = "a" };

        Assert.Equal(new MachineDefinition(), names.Where(name => name != "cpu-weight").Aggregate(said, (machine, name) => MachineShape.Shape.With(machine, name, "none")));
    }

    [Fact]
    public void Shares_that_contradict_one_another_are_refused()
    {
        Refused("80% of a processor are reserved for the machine (cpu-reserve), and it may take 50% (cpu-cap)", new MachineDefinition { CpuReserve = 80, CpuLimit = new CpuLimit { Cap = 50 } });
        Refused("150% of a processor are reserved for the machine (cpu-reserve), and its CPUs can take 100%", new MachineDefinition { CpuReserve = 150 });
        Refused("the guest is to have 512 MiB at least (memory-least), and it has 256 MiB in all", new MachineDefinition { MemoryLeast = 512 << 20 });
        Refused("a memory limit of 300 MiB (memory-limit) is too little for a guest with 256 MiB and what its process needs beside; let it be 448M at least", new MachineDefinition { MemoryLimit = 300 << 20 });
        MachineCheck.CheckShares(new MachineDefinition { CpuReserve = 50, CpuLimit = new CpuLimit { Cap = 50 }, MemoryLeast = 256 << 20, MemoryLimit = 448 << 20 });
    }

    [Fact]
    public void A_machine_with_a_least_memory_has_a_balloon() =>
        Assert.Single(new MachineDefinition { MemoryLeast = 64 << 20 }.Complete().DevicesOf<BalloonDevice>());

    private static void Refused(string sentence, MachineDefinition machine) => Assert.StartsWith(sentence, Assert.Throws<MachineException>(() => MachineCheck.CheckShares(machine)).Message, StringComparison.Ordinal);
}
