// What was seen of one part of a machine: named values, and nodes of what it consists of. The whole machine is such a node; it reads
// as indented text and as JSON. Names are unique within a node, so that "devices/disk0/queue 0" is a path.
// A node is bounded whatever is said into it: texts are cut, lists end with the number of what was left out.
using System.Buffers;
using System.Diagnostics;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Lamina.Core.Inspection;

/// <summary>What was seen of one part.</summary>
public sealed class InspectNode
{
    /// <summary>How many elements of a list are told where nothing else is said.</summary>
    public const int Most = 64;

    private const int LongestText = 1024;

    // What waiting for parts' locks may take in all of one look at a machine.
    private static readonly TimeSpan Patience = TimeSpan.FromMilliseconds(100);

    private readonly Dictionary<string, object> _byName = [];
    private readonly List<KeyValuePair<string, object>> _entries = [];
    private readonly WaitBudget _budget;

    /// <summary>A root.</summary>
    /// <param name="name">Its name.</param>
    public InspectNode(string name) : this(name, null, new WaitBudget())
    {
    }

    private InspectNode(string name, string? kind, WaitBudget budget) => (Name, Kind, _budget) = (name, kind, budget);

    /// <summary>The part's name, without those that it lies below.</summary>
    public string Name { get; }

    /// <summary>What it is; null for a mere group.</summary>
    public string? Kind { get; set; }

    /// <summary>Values (<see cref="bool"/>, <see cref="long"/>, <see cref="ulong"/>, <see cref="string"/>) and nodes below, by name, in the order in which they were said.</summary>
    public IReadOnlyList<KeyValuePair<string, object>> Entries => _entries;

    /// <summary>The nodes below.</summary>
    public IEnumerable<InspectNode> Nodes => _entries.Select(entry => entry.Value).OfType<InspectNode>();

    /// <summary>The node at a path below, or null.</summary>
    /// <param name="path">Names with slashes between them; empty for this node.</param>
    public InspectNode? Find(string path)
    {
        var node = this;
        foreach (var name in path.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            if (node._byName.GetValueOrDefault(name) is not InspectNode next) return null;
            node = next;
        }
        return node;
    }

    /// <summary>A value by name: a <see cref="bool"/>, <see cref="long"/>, <see cref="ulong"/>, <see cref="string"/> or <see cref="InspectNode"/>; null where there is none.</summary>
    public object? this[string name] => _byName.GetValueOrDefault(name);

    /// <summary>A number.</summary>
    public void Say(string name, long value) => Add(name, value);

    /// <summary>A number.</summary>
    public void Say(string name, ulong value) => Add(name, value);

    /// <summary>Yes or no.</summary>
    public void Say(string name, bool value) => Add(name, value);

    /// <summary>A text, of which no character is trusted; nothing is said of null.</summary>
    public void Say(string name, string? value)
    {
        if (value is not null) Add(name, Clean(value));
    }

    /// <summary>One of an enumeration's values, or several flags.</summary>
    public void Say(string name, Enum value) => Add(name, value.ToString());

    /// <summary>An address, a register, a set of bits: in hexadecimal.</summary>
    public void SayHex(string name, ulong value) => Add(name, $"0x{value:x}");

    /// <summary>A node below; the one that is there where there is one of that name.</summary>
    public InspectNode Below(string name, string? kind = null)
    {
        name = Plain(name);
        if (_byName.GetValueOrDefault(name) is not InspectNode node)
        {
            node = new InspectNode(name, kind, _budget);
            Add(name, node);
        }
        if (kind is not null) node.Kind = kind;
        return node;
    }

    /// <summary>A node for each element of a list, of which the first ones are told and the rest are counted.</summary>
    /// <param name="name">What is before each element's number, from 0.</param>
    /// <param name="items">The elements.</param>
    /// <param name="say">Says what an element is.</param>
    /// <param name="most">How many are told.</param>
    public void Each<T>(string name, IReadOnlyCollection<T> items, Action<InspectNode, T> say, int most = Most)
    {
        var number = 0;
        foreach (var item in items.Take(most)) say(Below($"{name} {number++}"), item);
        if (items.Count > most) Say($"{name}: not told", items.Count - most);
    }

    /// <summary>Says something with a lock held, or that the lock is busy where it is held for long by who works with it.</summary>
    public void Locked(Lock gate, Action say)
    {
        if (!_budget.TryEnter(gate))
        {
            Say("busy", true);
            return;
        }
        try
        {
            say();
        }
        finally
        {
            gate.Exit();
        }
    }

    /// <summary>The tree as text: a line for each value, indented by two blanks for each level.</summary>
    public override string ToString()
    {
        var text = new StringBuilder();
        Write(text, 0);
        return text.ToString();
    }

    /// <summary>The tree as JSON: an object for each node, with "kind" where it has one. Addresses and registers are texts ("0x1000").</summary>
    public string ToJson()
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer, new JsonWriterOptions { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping })) WriteTo(json);
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    private void Write(StringBuilder text, int level)
    {
        foreach (var (name, value) in _entries)
        {
            text.Append(' ', level * 2).Append(name);
            if (value is InspectNode node)
            {
                if (node.Kind is { } kind) text.Append(": ").Append(kind);
                text.Append('\n');
                node.Write(text, level + 1);
            }
            else
            {
                text.Append(": ").Append(Text(value)).Append('\n');
            }
        }
    }

    /// <summary>Writes the tree as one value, as <see cref="ToJson"/> has it.</summary>
    public void WriteTo(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        if (Kind is { } kind) json.WriteString("kind", kind);
        foreach (var (name, value) in _entries)
        {
            json.WritePropertyName(name);
            switch (value)
            {
                case InspectNode node:
                    node.WriteTo(json);
                    break;
                case long number:
                    json.WriteNumberValue(number);
                    break;
                case ulong number:
                    json.WriteNumberValue(number);
                    break;
                case bool yes:
                    json.WriteBooleanValue(yes);
                    break;
                default:
                    json.WriteStringValue((string)value);
                    break;
            }
        }
        json.WriteEndObject();
    }

    private static string Text(object value) => value switch
    {
        bool yes => yes ? "yes" : "no",
        IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
        _ => (string)value,
    };

    // "kind" is the node's own word in JSON; a path has its slashes between names.
    private static string Plain(string name) => Clean(name).Replace('/', '-') is var plain && plain is "kind" or "" ? $"{plain} " : plain;

    private void Add(string name, object value)
    {
        name = Plain(name);
        var unique = name;
        for (var number = 2; !_byName.TryAdd(unique, value); number++) unique = $"{name} {number}";
        _entries.Add(new(unique, value));
    }

    // A text may come from a guest or a client: it does not drive a terminal, and is UTF-16 that can be written as UTF-8.
    private static string Clean(string text)
    {
        var bad = text.Length > LongestText;
        foreach (var character in text) bad |= char.IsControl(character) || char.IsSurrogate(character);
        if (!bad) return text;
        var clean = new StringBuilder();
        foreach (var rune in text.EnumerateRunes())
        {
            if (clean.Length >= LongestText) return clean.Append('…').ToString();
            if (Rune.IsControl(rune)) clean.Append(CultureInfo.InvariantCulture, $"\\u{rune.Value:x4}");
            else clean.Append(rune);
        }
        return clean.ToString();
    }

    private sealed class WaitBudget
    {
        private TimeSpan _left = Patience;

        internal bool TryEnter(Lock gate)
        {
            if (gate.TryEnter()) return true;
            if (_left <= TimeSpan.Zero) return false;
            var begin = Stopwatch.GetTimestamp();
            var entered = gate.TryEnter(_left);
            _left -= Stopwatch.GetElapsedTime(begin);
            return entered;
        }
    }
}
