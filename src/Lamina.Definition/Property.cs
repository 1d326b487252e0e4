// A property of a machine or device as people write it: its name, what may be said, what it means, and how a value is read from
// words and written back. The command line's words, definition files, help and docs are all made from these tables, so that none
// of them knows a property that the others do not.
using System.Globalization;

namespace Lamina.Definition;

/// <summary>What a property's values look like.</summary>
public enum ValueKind
{
    /// <summary>The name alone: it is so. In JSON: true.</summary>
    Flag,

    /// <summary>on or off. In JSON: true or false.</summary>
    Switch,

    /// <summary>A whole number.</summary>
    Number,

    /// <summary>Text. In JSON: a string; a number does as well where the text is one.</summary>
    Text,

    /// <summary>Any number of values, each with the name before it. In JSON: an array, or one value alone.</summary>
    List,
}

/// <summary>A property of a <typeparamref name="T"/>.</summary>
/// <param name="Name">Its name in words, on the command line and in files.</param>
/// <param name="Kind">What its values look like.</param>
/// <param name="Syntax">What stands behind the name in help: "SIZE", "raw|qcow2"; "" for a flag.</param>
/// <param name="Meaning">What it is, in a few words.</param>
public sealed record Property<T>(string Name, ValueKind Kind, string Syntax, string Meaning)
{
    /// <summary>Reads one value; null stands for the name alone.</summary>
    public required Func<T, string?, T> Read { get; init; }

    /// <summary>The values that <see cref="Read"/> takes for what there is now; none where it is as it is by default.</summary>
    public required Func<T, IReadOnlyList<string?>> Write { get; init; }

    /// <summary>Whether there is such a property: some belong to one kind of network or target only.</summary>
    public Func<T, bool> AppliesTo { get; init; } = static _ => true;

    /// <summary>All values that are possible, where they can be listed.</summary>
    public IReadOnlyList<string> Choices { get; init; } = [];

    /// <summary>Whether the value is a path of the host's.</summary>
    public bool IsPath { get; init; }

    /// <summary>Whether the value may stand behind the first word: <c>tap=tap0</c>.</summary>
    public bool IsShort { get; init; }

    /// <summary>The name and what may stand behind it.</summary>
    public string Usage => Syntax.Length == 0 ? Name : $"{Name}={Syntax}";
}

/// <summary>Makes properties.</summary>
public static class Property
{
    /// <summary>A name that is there or not.</summary>
    public static Property<T> Flag<T>(string name, string meaning, Func<T, bool> get, Func<T, bool, T> set) => new(name, ValueKind.Flag, "", meaning)
    {
        Read = (it, text) => text is null ? set(it, true) : throw Refuse(name, text, "possible", $"{name} alone"),
        Write = it => get(it) ? [null] : [],
    };

    /// <summary>on or off.</summary>
    public static Property<T> Switch<T>(string name, string meaning, bool usual, Func<T, bool> get, Func<T, bool, T> set) => new(name, ValueKind.Switch, "on|off", meaning)
    {
        Choices = ["on", "off"],
        Read = (it, text) => Needed(name, text) switch
        {
            "on" => set(it, true),
            "off" => set(it, false),
            var other => throw new MachineException($"{name}: '{other}' is not possible; use on or off"),
        },
        Write = it => get(it) == usual ? [] : [usual ? "off" : "on"],
    };

    /// <summary>A whole number in a range.</summary>
    public static Property<T> Number<T>(string name, string meaning, (long Least, long Most) range, Func<T, long?> get, Func<T, long, T> set) => new(name, ValueKind.Number, "N", meaning)
    {
        Read = (it, text) => long.TryParse(Needed(name, text), NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= range.Least && number <= range.Most
            ? set(it, number)
            : throw new MachineException($"{name}: '{text}' is not possible; use a number from {range.Least} to {range.Most}"),
        Write = it => get(it) is { } number ? [number.ToString(CultureInfo.InvariantCulture)] : [],
    };

    /// <summary>One of a few whole numbers.</summary>
    public static Property<T> OneOf<T>(string name, string meaning, IReadOnlyList<int> choices, Func<T, int?> get, Func<T, int, T> set)
    {
        string[] words = [.. choices.Select(choice => choice.ToString(CultureInfo.InvariantCulture))];
        return new(name, ValueKind.Number, string.Join('|', words), meaning)
        {
            Choices = words,
            Read = (it, text) => Array.IndexOf(words, Needed(name, text)) is >= 0 and var index
                ? set(it, choices[index])
                : throw new MachineException($"{name}: '{text}' is not possible; use {string.Join(" or ", words)}"),
            Write = it => get(it) is { } number ? [number.ToString(CultureInfo.InvariantCulture)] : [],
        };
    }

    /// <summary>Any text that is not empty.</summary>
    public static Property<T> Text<T>(string name, string syntax, string meaning, Func<T, string?> get, Func<T, string, T> set) => new(name, ValueKind.Text, syntax, meaning)
    {
        Read = (it, text) => set(it, Needed(name, text)),
        Write = it => get(it) is { } text ? [text] : [],
    };

    /// <summary>A path of the host's.</summary>
    public static Property<T> Path<T>(string name, string meaning, Func<T, string?> get, Func<T, string, T> set) => Text(name, "PATH", meaning, get, set) with { IsPath = true };

    /// <summary>A size in bytes.</summary>
    public static Property<T> Size<T>(string name, string meaning, string example, Func<T, ulong?> get, Func<T, ulong, T> set) => new(name, ValueKind.Text, "SIZE", meaning)
    {
        Read = (it, text) => ByteSize.TryParse(Needed(name, text), out var bytes) ? set(it, bytes) : throw Refuse(name, text, "a size", example),
        Write = it => get(it) is { } bytes ? [ByteSize.Exact(bytes)] : [],
    };

    /// <summary>A time.</summary>
    public static Property<T> Time<T>(string name, string meaning, string example, Func<T, TimeSpan?> get, Func<T, TimeSpan, T> set) => new(name, ValueKind.Text, "TIME", meaning)
    {
        Read = (it, text) => Duration.TryParse(Needed(name, text), out var duration) ? set(it, duration) : throw Refuse(name, text, "a time", example),
        Write = it => get(it) is { } duration ? [Duration.Exact(duration)] : [],
    };

    /// <summary>One of a few words.</summary>
    public static Property<T> Choice<T, TChoice>(string name, string meaning, IReadOnlyList<(string Word, TChoice Value)> choices, Func<T, TChoice?> get, Func<T, TChoice, T> set) where TChoice : struct, Enum
    {
        string[] words = [.. choices.Select(choice => choice.Word)];
        return new(name, ValueKind.Text, string.Join('|', words), meaning)
        {
            Choices = words,
            Read = (it, text) => Array.IndexOf(words, Needed(name, text)) is >= 0 and var index
                ? set(it, choices[index].Value)
                : throw new MachineException($"{name}: there is no '{text}'; there {(words.Length == 1 ? "is" : "are")} {Enumerate(words)}"),
            Write = it => get(it) is { } value && choices.FirstOrDefault(choice => EqualityComparer<TChoice>.Default.Equals(choice.Value, value)) is { Word: { } word } ? [word] : [],
        };
    }

    /// <summary>Any number of values. The name alone is possible where <paramref name="read"/> takes null.</summary>
    public static Property<T> List<T>(string name, string syntax, string meaning, Func<T, IEnumerable<string?>> get, Func<T, string?, T> read) => new(name, ValueKind.List, syntax, meaning)
    {
        Read = read,
        Write = it => [.. get(it)],
    };

    /// <summary>The value of a property that must have one.</summary>
    /// <exception cref="MachineException">It has none.</exception>
    public static string Needed(string name, string? text) => text is { Length: > 0 } ? text : throw new MachineException($"{name} needs a value: {name}=…");

    /// <summary>A refusal in a sentence.</summary>
    public static MachineException Refuse(string name, string? text, string what, string example) => new($"{name}: '{text}' is not {what}; write it like {example}");

    /// <summary>Words as a list in a sentence.</summary>
    public static string Enumerate(IReadOnlyList<string> words) => words.Count < 2 ? string.Concat(words) : $"{string.Join(", ", words.SkipLast(1))} and {words[^1]}";
}
