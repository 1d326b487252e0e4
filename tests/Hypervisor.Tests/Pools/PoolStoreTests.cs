// Pools that are kept: made, changed, found with those above them, removed; and what is refused.
using Lamina.Hypervisor.Pools;
using Lamina.Hypervisor.Stored;
using Xunit;

namespace Lamina.Tests.Hypervisor.Pools;

public sealed class PoolStoreTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-pools-").FullName;
    private readonly MachineStore _machines;
    private readonly PoolStore _pools;

    public PoolStoreTests()
    {
        _machines = new MachineStore(Path.Combine(_folder, "machines"));
        _pools = new PoolStore(_machines);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void A_pool_is_as_it_was_made_and_changed()
    {
        var made = new PoolDefinition { CpuCap = 200, CpuWeight = 300, CpuReserve = 50, MemoryReserve = 1ul << 30, MemoryLimit = 4ul << 30 };
        _pools.Create("build", made);

        Assert.Equal(made, _pools.Find("build").Definition);
        _pools.Change("build", pool => pool with { CpuCap = null });
        Assert.Equal([new Pool("build", made with { CpuCap = null })], _pools.List());
    }

    [Fact]
    public void Pools_are_found_with_those_above_and_none_is_a_part_of_itself()
    {
        _pools.Create("a", new PoolDefinition());
        _pools.Create("b", new PoolDefinition { Parent = "a" });
        _pools.Create("c", new PoolDefinition { Parent = "b" });

        Assert.Equal(["c", "b", "a"], _pools.WithParents("c").Select(pool => pool.Name));
        Refused("would be a part of itself", () => _pools.Change("a", pool => pool with { Parent = "c" }));
        Refused("would be a part of itself", () => _pools.Create("d", new PoolDefinition { Parent = "d" }));
        Refused("there is no pool bb; did you mean", () => _pools.Create("d", new PoolDefinition { Parent = "bb" }));
        Assert.Null(_pools.Find("a").Definition.Parent);
        Assert.Equal(["a", "b", "c"], _pools.Names);
    }

    [Fact]
    public void A_pool_that_something_is_in_is_not_removed()
    {
        _pools.Create("a", new PoolDefinition());
        _pools.Create("b", new PoolDefinition { Parent = "a" });
        _machines.Create("web", new MachineDefinition { Pool = "b", Boot = new BootSource { KernelPath = "/kernel" } }, null);

        Refused("the pool b is a part of a", () => _pools.Remove("a"));
        Refused("the machine web is in the pool b", () => _pools.Remove("b"));
        _machines.Remove("web");
        _pools.Remove("b");
        _pools.Remove("a");

        Assert.Empty(_pools.List());
    }

    [Theory]
    [InlineData("{ \"cpu-cap\": 5 }", "line 1: cpu-cap: '5' is not a share of a processor; write it like 25% or 150%, or none")]
    [InlineData("{\n\"cpu\": \"5%\" }", "line 2: a pool has no property \"cpu\"; there are parent, cpu-cap, cpu-weight, cpu-reserve, memory-reserve and memory-limit")]
    [InlineData("[]", "line 1: a pool is an object")]
    public void A_file_that_is_wrong_is_told_with_its_line_and_can_be_removed(string text, string sentence)
    {
        _pools.Create("a", new PoolDefinition());
        File.WriteAllText(Path.Combine(_folder, "pools", "a.json"), text);

        Refused(sentence, () => _pools.Find("a"));
        _pools.Remove("a");
    }

    [Fact]
    public void Names_that_cannot_be_are_refused()
    {
        Refused("'../x' cannot be a pool's name", () => _pools.Create("../x", new PoolDefinition()));
        Refused("'A' cannot be a pool's name", () => _pools.Find("A"));
        Refused("there is a pool a already", () =>
        {
            _pools.Create("a", new PoolDefinition());
            _pools.Create("a", new PoolDefinition());
        });
    }

    private static void Refused(string sentence, Action act) => Assert.Contains(sentence, Assert.Throws<MachineException>(act).Message, StringComparison.Ordinal);
}
