// What a machine may take of the host's processors, as data.
using System.Globalization;

namespace Lamina.Definition;

/// <summary>A machine's share of the host's processors.</summary>
public sealed record CpuLimit
{
    /// <summary>The weight where nothing is said, and the largest one; the least is 1. cgroup v2: cpu.weight.</summary>
    public const int UsualWeight = 100, MostWeight = 10_000;

    /// <summary>The highest cap and reservation in percent of one processor: a thousand processors.</summary>
    public const int MostPercent = 100_000;

    /// <summary>The highest number of a processor.</summary>
    public const int MostProcessor = 1023;

    /// <summary>The most processor time that its virtual CPUs take together, in percent of one processor; null for all there is.</summary>
    public int? Cap { get; init; }

    /// <summary>Its part of what several want that there is not enough of.</summary>
    public int Weight { get; init; } = UsualWeight;

    /// <summary>The processors that its virtual CPUs run on, in order; null for all.</summary>
    public ProcessorSet? Pin { get; init; }

    internal static IReadOnlyList<Property<MachineDefinition>> Properties { get; } =
    [
        ShareProperty.Percent<MachineDefinition>("cpu-cap", "the most processor time that the virtual CPUs take together, of one processor of the host: 25%, 150%; none (the default): all there is; changes while the machine runs",
            machine => machine.CpuLimit.Cap, (machine, cap) => machine with { CpuLimit = machine.CpuLimit with { Cap = cap } }),
        ShareProperty.Weight<MachineDefinition>("the machine's part of what several machines want that there is not enough of, 1 to 10000; 100 by default; changes while the machine runs",
            machine => machine.CpuLimit.Weight, (machine, weight) => machine with { CpuLimit = machine.CpuLimit with { Weight = weight } }),
        new("cpu-pin", ValueKind.Text, "LIST|none", "the processors of the host that the virtual CPUs run on: 0-1,3; none (the default): all; changes while the machine runs")
        {
            Read = (machine, text) => machine with { CpuLimit = machine.CpuLimit with { Pin = Property.Needed("cpu-pin", text) == ShareProperty.None ? null : ProcessorSet.Parse(text!) } },
            Write = machine => machine.CpuLimit.Pin is { } pin ? [pin.ToString()] : [],
        },
        ShareProperty.Percent<MachineDefinition>("cpu-reserve", "processor time of one processor of the host that is kept for the machine; it does not start where that cannot be had", machine => machine.CpuReserve, (machine, reserve) => machine with { CpuReserve = reserve }),
        ShareProperty.Memory<MachineDefinition>("memory-reserve", "memory of the host that is kept for the machine; it does not start where that cannot be had", machine => machine.MemoryReserve, (machine, reserve) => machine with { MemoryReserve = reserve }),
        ShareProperty.Memory<MachineDefinition>("memory-least", "what the guest has of its memory at least while the host runs short; it does without the rest then, and gets it back; none (the default): it keeps all", machine => machine.MemoryLeast, (machine, least) => machine with { MemoryLeast = least }),
        Property.Switch<MachineDefinition>("huge-pages", "whether the guest's memory is in the host's huge pages, as far as it has them; on by default", usual: true, machine => machine.HugePages, (machine, on) => machine with { HugePages = on }),
        Property.Switch<MachineDefinition>("share-pages", "whether the host may keep pages once that are the same in several machines (KSM); off by default: a guest can find out by the time of a write what others have", usual: false, machine => machine.SharesPages, (machine, on) => machine with { SharesPages = on }),
        ShareProperty.Memory<MachineDefinition>("memory-limit", "the most memory of the host that the machine's process takes, the guest's and its own; none (the default): all there is; changes while the machine runs", machine => machine.MemoryLimit, (machine, limit) => machine with { MemoryLimit = limit }),
        new("pool", ValueKind.Text, "NAME|none", "the pool that the machine is in; its shares, limits and reservations hold for all of its machines together")
        {
            Read = (machine, text) => Property.Needed("pool", text) == ShareProperty.None ? machine with { Pool = null }
                : DeviceDefinition.IsName(text!) ? machine with { Pool = text } : throw new MachineException($"pool: '{text}' cannot be a pool's name; use lower-case letters, digits and hyphens, up to {DeviceDefinition.LongestName}"),
            Write = machine => machine.Pool is { } pool ? [pool] : [],
        },
    ];
}

/// <summary>Some processors of a host, by number.</summary>
public sealed class ProcessorSet : IEquatable<ProcessorSet>
{
    private readonly List<int> _numbers;

    /// <summary>A set.</summary>
    public ProcessorSet(IEnumerable<int> numbers) => _numbers = [.. numbers.Distinct().Order()];

    /// <summary>The numbers, in order.</summary>
    public IReadOnlyList<int> Numbers => _numbers;

    /// <summary>Reads numbers and ranges with commas between: <c>0-1,3</c>.</summary>
    /// <exception cref="MachineException">It is no such list.</exception>
    public static ProcessorSet Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var numbers = new List<int>();
        foreach (var part in text.Split(','))
        {
            var ends = part.Split('-');
            if (ends.Length > 2 || !ends.All(end => int.TryParse(end, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number <= CpuLimit.MostProcessor)
                || int.Parse(ends[0], CultureInfo.InvariantCulture) is var first && int.Parse(ends[^1], CultureInfo.InvariantCulture) is var last && last < first)
                throw Property.Refuse("cpu-pin", text, "a list of processors", "0-1,3, or none");
            numbers.AddRange(Enumerable.Range(first, last - first + 1));
        }
        return new ProcessorSet(numbers);
    }

    /// <inheritdoc/>
    public bool Equals(ProcessorSet? other) => other is not null && _numbers.SequenceEqual(other._numbers);

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as ProcessorSet);

    /// <inheritdoc/>
    public override int GetHashCode() => _numbers.Aggregate(0, HashCode.Combine);

    /// <summary>The text that <see cref="Parse"/> reads.</summary>
    public override string ToString()
    {
        var parts = new List<string>();
        for (var i = 0; i < _numbers.Count; i++)
        {
            var first = i;
            while (i + 1 < _numbers.Count && _numbers[i + 1] == _numbers[i] + 1) i++;
            parts.Add(first == i ? $"{_numbers[i]}" : $"{_numbers[first]}-{_numbers[i]}");
        }
        return string.Join(',', parts);
    }
}
