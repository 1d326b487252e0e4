// Which reservations can be had: of the host, of a pool, of pools in pools; and the figures of those that cannot.
using Lamina.Hypervisor.Limiting;
using Lamina.Hypervisor.Pools;
using Xunit;

namespace Lamina.Tests.Hypervisor.Limiting;

public sealed class AdmissionTests
{
    private static readonly HostCapacity Host = new(400, 8ul << 30);

    [Theory]
    [InlineData(100, 300, true)]
    [InlineData(101, 300, false)]
    [InlineData(400, 0, true)]
    [InlineData(null, 400, true)]
    [InlineData(null, 500, true)]
    public void Of_the_host_no_more_is_reserved_than_there_is(int? asked, int held, bool can)
    {
        var refused = Refusal(Machine("new", asked), [Machine("old", held)], []);

        Assert.Equal(can ? null : $"cpu-reserve: {asked}% of processors cannot be reserved: the host has 400%, of which pools and running machines reserve {held}%; reserve less, or end something that reserves", refused);
    }

    [Fact]
    public void Memory_is_reserved_likewise_and_told_as_people_write_it() =>
        Assert.Equal("memory-reserve: 3 GiB of memory cannot be reserved: the host has 8 GiB, of which pools and running machines reserve 6 GiB; reserve less, or end something that reserves",
            Refusal(new Reserving("new", new MachineDefinition { MemoryReserve = 3ul << 30 }), [new Reserving("old", new MachineDefinition { MemoryReserve = 6ul << 30 })], []));

    [Fact]
    public void A_machine_that_is_started_again_does_not_stand_in_its_own_way() => Assert.Null(Refusal(Machine("web", 400), [Machine("web", 400)], []));

    [Fact]
    public void What_a_machine_of_a_pool_reserves_is_a_part_of_what_the_pool_does()
    {
        Pool[] pools = [Pool("build", 200), Pool("other", 200)];

        Assert.Null(Refusal(Machine("new", 100, "build"), [Machine("old", 100, "build")], pools));
        Assert.Equal("cpu-reserve: 101% of processors cannot be reserved: the pool build reserves 200%, of which its running machines reserve 100%; reserve less, or end something that reserves",
            Refusal(Machine("new", 101, "build"), [Machine("old", 100, "build")], pools));
        // Both pools hold all there is, though nothing runs in them.
        Assert.StartsWith("cpu-reserve: 1% of processors cannot be reserved: the host has 400%, of which pools and running machines reserve 400%", Refusal(Machine("new", 1), [], pools), StringComparison.Ordinal);
    }

    [Fact]
    public void Pools_nest_and_one_that_reserves_nothing_passes_on_what_its_machines_do()
    {
        Pool[] pools = [Pool("outer", 200), Pool("inner", null, "outer"), Pool("least", 50, "outer")];

        Assert.Null(Refusal(Machine("new", 100, "inner"), [Machine("old", 50, "inner"), Machine("small", 30, "least")], pools));
        Assert.NotNull(Refusal(Machine("new", 101, "inner"), [Machine("old", 50, "inner")], pools));
    }

    [Fact]
    public void Pools_that_promise_more_than_the_host_has_are_told_when_something_is_to_be_kept() =>
        Assert.Equal("cpu-reserve: pools and running machines reserve 500% of processors, and the host has 400%; reserve less", Refusal(Machine("new", 10, "build"), [], [Pool("build", 500)]));

    private static string? Refusal(Reserving asks, Reserving[] running, Pool[] pools)
    {
        try
        {
            Admission.Check(asks, running, pools, Host);
            return null;
        }
        catch (MachineException refused)
        {
            Assert.Equal(MachineError.Busy, refused.Error);
            return refused.Message;
        }
    }

    private static Reserving Machine(string name, int? percent, string? pool = null) => new(name, new MachineDefinition { CpuReserve = percent, Pool = pool });

    private static Pool Pool(string name, int? percent, string? parent = null) => new(name, new PoolDefinition { CpuReserve = percent, Parent = parent });
}
