// A pool of machines, as data: what all machines in it, and in the pools below it, may take of the host together.
namespace Lamina.Definition;

/// <summary>A pool.</summary>
public sealed record PoolDefinition
{
    /// <summary>The pool that it is a part of, or null.</summary>
    public string? Parent { get; init; }

    /// <summary>The most processor time of all together, in percent of one processor; or null.</summary>
    public int? CpuCap { get; init; }

    /// <summary>Its part of what it and others beside it want that there is not enough of.</summary>
    public int CpuWeight { get; init; } = CpuLimit.UsualWeight;

    /// <summary>Processor time that is kept for it, in percent of one processor; or null.</summary>
    public int? CpuReserve { get; init; }

    /// <summary>Memory that is kept for it, in bytes; or null.</summary>
    public ulong? MemoryReserve { get; init; }

    /// <summary>The most memory that all processes together take, in bytes; or null.</summary>
    public ulong? MemoryLimit { get; init; }

    /// <summary>What there is to say.</summary>
    public static Shape<PoolDefinition> Shape { get; } = new("a pool",
        new Property<PoolDefinition>("parent", ValueKind.Text, "NAME|none", "the pool that it is a part of; none by default")
        {
            Read = (pool, text) => Property.Needed("parent", text) == ShareProperty.None ? pool with { Parent = null }
                : DeviceDefinition.IsName(text!) ? pool with { Parent = text } : throw new MachineException($"parent: '{text}' cannot be a pool's name; use lower-case letters, digits and hyphens, up to {DeviceDefinition.LongestName}"),
            Write = pool => pool.Parent is { } parent ? [parent] : [],
        },
        ShareProperty.Percent<PoolDefinition>("cpu-cap", "the most processor time that its machines take together, of one processor of the host: 50%, 300%; none (the default): all there is", pool => pool.CpuCap, (pool, cap) => pool with { CpuCap = cap }),
        ShareProperty.Weight<PoolDefinition>("its part of what it, and pools and machines beside it, want that there is not enough of, 1 to 10000; 100 by default", pool => pool.CpuWeight, (pool, weight) => pool with { CpuWeight = weight }),
        ShareProperty.Percent<PoolDefinition>("cpu-reserve", "processor time that is kept for its machines, of one processor of the host; what they reserve is a part of it", pool => pool.CpuReserve, (pool, reserve) => pool with { CpuReserve = reserve }),
        ShareProperty.Memory<PoolDefinition>("memory-reserve", "memory that is kept for its machines; what they reserve is a part of it", pool => pool.MemoryReserve, (pool, reserve) => pool with { MemoryReserve = reserve }),
        ShareProperty.Memory<PoolDefinition>("memory-limit", "the most memory of the host that its machines' processes take together", pool => pool.MemoryLimit, (pool, limit) => pool with { MemoryLimit = limit }));
}
