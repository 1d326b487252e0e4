// What a part of a machine counts, as values that a program or a metrics system can use: a name in its style, what is measured, and
// whose it is. Reading them stops nothing.
namespace Lamina.Core.Inspection;

/// <summary>How a value moves.</summary>
public enum CounterKind
{
    /// <summary>It only grows while the machine lives.</summary>
    Counter,

    /// <summary>It rises and falls.</summary>
    Gauge,
}

/// <summary>What a value is a number of.</summary>
public enum CounterUnit
{
    /// <summary>Things: requests, blocks, exits.</summary>
    Count,

    /// <summary>Bytes.</summary>
    Bytes,

    /// <summary>Nanoseconds.</summary>
    Nanoseconds,
}

/// <summary>One value that a part of a machine, or the process, counts.</summary>
/// <param name="Name">Its name: lower case letters, digits and underscores ("disk_read_bytes"); the same for every part of a kind.</param>
/// <param name="Value">The value.</param>
/// <param name="Kind">How it moves.</param>
/// <param name="Unit">What it is a number of.</param>
/// <param name="Description">What it means, in some words.</param>
public sealed record Counter(string Name, long Value, CounterKind Kind, CounterUnit Unit, string Description)
{
    /// <summary>Whose it is: the part's name in the machine's tree ("devices/disk0"); empty for the process's own.</summary>
    public string Part { get; init; } = "";

    /// <summary>Which one of several of that name ("halt", for exits of that kind); null where there is one.</summary>
    public string? Of { get; init; }
}

/// <summary>A part that counts. Asked on any thread, while it works.</summary>
public interface ICounted
{
    /// <summary>Says what it has counted so far.</summary>
    void Count(CounterList counters);
}

/// <summary>Takes what parts count.</summary>
public sealed class CounterList
{
    private readonly List<Counter> _all = [];
    private string _part = "";

    /// <summary>What was said so far.</summary>
    public IReadOnlyList<Counter> All => _all;

    /// <summary>Asks a part.</summary>
    /// <param name="part">Its name in the machine's tree.</param>
    /// <param name="counted">The part.</param>
    public void Ask(string part, ICounted counted)
    {
        _part = part;
        counted.Count(this);
    }

    /// <summary>A number of things, or of whatever the unit says, that only grows.</summary>
    public void Total(string name, long value, string description, CounterUnit unit = CounterUnit.Count, string? of = null) => Add(name, value, CounterKind.Counter, unit, description, of);

    /// <summary>A number that rises and falls.</summary>
    public void Now(string name, long value, string description, CounterUnit unit = CounterUnit.Count, string? of = null) => Add(name, value, CounterKind.Gauge, unit, description, of);

    private void Add(string name, long value, CounterKind kind, CounterUnit unit, string description, string? of) =>
        _all.Add(new Counter(name, value, kind, unit, description) { Part = _part, Of = of });
}
