// How much a disk or a network card may move, as data. The properties have the same names and values for both, but for what is counted
// beside bytes.
using System.Globalization;

namespace Lamina.Definition;

/// <summary>What may flow, at most.</summary>
public sealed record RateLimit
{
    /// <summary>How long a rest makes up for itself where nothing is said.</summary>
    public static readonly TimeSpan UsualBurst = TimeSpan.FromMilliseconds(100);

    /// <summary>The word for a limit that there is not.</summary>
    public const string None = "none";

    // A longer one is no limit.
    private static readonly TimeSpan LongestBurst = TimeSpan.FromHours(1);

    /// <summary>Bytes a second, or null.</summary>
    public ulong? BytesPerSecond { get; init; }

    /// <summary>Operations (a disk's requests, a card's frames) a second, or null.</summary>
    public ulong? OperationsPerSecond { get; init; }

    /// <summary>How long a rest makes up for itself: so much of a second's worth may pass at once afterwards.</summary>
    public TimeSpan Burst { get; init; } = UsualBurst;

    /// <summary>Whether there is no limit.</summary>
    public bool IsNone => BytesPerSecond is null && OperationsPerSecond is null;

    /// <summary>The properties of who has a limit.</summary>
    /// <param name="operations">What the property of operations is called.</param>
    /// <param name="counts">What it counts, in a sentence.</param>
    /// <param name="where">What is said of bytes besides.</param>
    /// <param name="get">The limit.</param>
    /// <param name="set">The same with another one.</param>
    internal static IReadOnlyList<Property<T>> Properties<T>(string operations, string counts, string where, Func<T, RateLimit> get, Func<T, RateLimit, T> set) =>
    [
        new("rate", ValueKind.Text, "SIZE|none", $"the most bytes a second{where}: 50M; none (the default): any number; changes while the machine runs")
        {
            Read = (it, text) => set(it, get(it) with { BytesPerSecond = ReadSize(text) }),
            Write = it => get(it).BytesPerSecond is { } rate ? [ByteSize.Exact(rate)] : [],
        },
        new(operations, ValueKind.Text, "N|none", $"the most {counts} a second; none (the default): any number; changes while the machine runs")
        {
            Read = (it, text) => set(it, get(it) with { OperationsPerSecond = ReadNumber(operations, text) }),
            Write = it => get(it).OperationsPerSecond is { } rate ? [rate.ToString(CultureInfo.InvariantCulture)] : [],
        },
        new("burst", ValueKind.Text, "TIME", "how long a rest makes up for itself: what could have been moved in that time may be moved at once; 100ms by default")
        {
            Read = (it, text) => Duration.TryParse(Property.Needed("burst", text), out var time) && time <= LongestBurst
                ? set(it, get(it) with { Burst = time })
                : throw new MachineException($"burst: '{text}' is not possible; use a time up to {Duration.Exact(LongestBurst)}, written like 500ms or 2s"),
            Write = it => get(it).Burst == UsualBurst ? [] : [Duration.Exact(get(it).Burst)],
        },
    ];

    private static ulong? ReadSize(string? text) => Property.Needed("rate", text) == None ? null
        : ByteSize.TryParse(text!, out var bytes) && bytes > 0 ? bytes : throw Property.Refuse("rate", text, "a size", "50M, or none");

    private static ulong? ReadNumber(string name, string? text) => Property.Needed(name, text) == None ? null
        : ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number > 0 ? number : throw Property.Refuse(name, text, "a number", "1000, or none");
}
