// A request as it came over the socket: a verb, what the client calls the request by, and named values. Nothing in it is trusted; each
// value is asked for by its type, and what is not as it must be ends in a sentence.
using System.Text;
using System.Text.Json;

namespace Lamina.Hypervisor.Contract;

/// <summary>One request.</summary>
internal sealed class ControlRequest
{
    private readonly JsonElement _values;
    private readonly HashSet<string> _known = [ControlSpec.Do, ControlSpec.Id];

    private ControlRequest(JsonElement values, string verb, JsonElement? id) => (_values, Verb, Id) = (values, verb, id);

    /// <summary>What is asked for.</summary>
    internal string Verb { get; }

    /// <summary>What the client calls the request by, a text or a number, which its answer has, too; null where it gave none.</summary>
    internal JsonElement? Id { get; }

    /// <summary>Reads a line.</summary>
    /// <exception cref="ControlRequestException">It is no request.</exception>
    internal static ControlRequest Read(ReadOnlyMemory<byte> line)
    {
        JsonElement values;
        try
        {
            using var document = JsonDocument.Parse(line, new JsonDocumentOptions { MaxDepth = 16 });
            values = document.RootElement.Clone();
        }
        catch (JsonException)
        {
            throw new ControlRequestException("this is no JSON; write one object a line, like {\"do\":\"status\"}");
        }
        if (values.ValueKind != JsonValueKind.Object || !values.TryGetProperty(ControlSpec.Do, out var verb) || verb.ValueKind != JsonValueKind.String)
            throw new ControlRequestException("a request is an object that says what to do, like {\"do\":\"status\"}");
        JsonElement? id = values.TryGetProperty(ControlSpec.Id, out var given) ? given : null;
        if (id is { ValueKind: not (JsonValueKind.String or JsonValueKind.Number) }) throw new ControlRequestException("an \"id\" is a text or a number");
        return new ControlRequest(values, Text(verb), id);
    }

    /// <summary>A text; null where it is not given.</summary>
    /// <exception cref="ControlRequestException">It is something else.</exception>
    internal string? Text(string name) => Find(name) switch
    {
        null => null,
        { ValueKind: JsonValueKind.String } value => Text(value),
        _ => throw new ControlRequestException($"\"{name}\" is a text"),
    };

    /// <summary>A value as definitions have it, where a number does as well as the text of it; null where it is not given.</summary>
    /// <exception cref="ControlRequestException">It is something else.</exception>
    internal string? Value(string name) => Find(name) switch
    {
        { ValueKind: JsonValueKind.Number } value => value.GetRawText(),
        { ValueKind: JsonValueKind.True } => "on",
        { ValueKind: JsonValueKind.False } => "off",
        _ => Text(name),
    };

    /// <summary>Whether something is so; false where it is not given.</summary>
    /// <exception cref="ControlRequestException">It is something else.</exception>
    internal bool IsSo(string name) => Find(name) switch
    {
        null or { ValueKind: JsonValueKind.False } => false,
        { ValueKind: JsonValueKind.True } => true,
        _ => throw new ControlRequestException($"\"{name}\" is true or false"),
    };

    /// <summary>A list of texts; null where it is not given.</summary>
    /// <exception cref="ControlRequestException">It is something else.</exception>
    internal IReadOnlyList<string>? Texts(string name) => Find(name) switch
    {
        null => null,
        { ValueKind: JsonValueKind.Array } value when value.EnumerateArray().All(item => item.ValueKind == JsonValueKind.String) => [.. value.EnumerateArray().Select(Text)],
        _ => throw new ControlRequestException($"\"{name}\" is a list of texts"),
    };

    /// <summary>A number of bytes or things; null where it is not given.</summary>
    /// <exception cref="ControlRequestException">It is something else.</exception>
    internal ulong? Number(string name) => Find(name) switch
    {
        null => null,
        { ValueKind: JsonValueKind.Number } value when value.TryGetUInt64(out var number) => number,
        _ => throw new ControlRequestException($"\"{name}\" is a whole number that is not negative"),
    };

    /// <summary>A whole number that may be negative; 0 where it is not given.</summary>
    /// <exception cref="ControlRequestException">It is something else.</exception>
    internal int Signed(string name) => Find(name) switch
    {
        null => 0,
        { ValueKind: JsonValueKind.Number } value when value.TryGetInt32(out var number) => number,
        _ => throw new ControlRequestException($"\"{name}\" is a whole number"),
    };

    /// <summary>A time as definitions have it ("90s"); null where it is not given.</summary>
    /// <exception cref="ControlRequestException">It is something else.</exception>
    internal TimeSpan? Time(string name) => Text(name) switch
    {
        null => null,
        "0" => TimeSpan.Zero,
        var text when Duration.TryParse(text, out var time) => time,
        var text => throw new ControlRequestException($"\"{text}\" is no time; write it like 500ms, 90s or 5m"),
    };

    /// <summary>A definition (docs/definition.md); null where it is not given.</summary>
    /// <exception cref="ControlRequestException">It is something else.</exception>
    /// <exception cref="MachineException">It is none; the message says why.</exception>
    internal MachineDefinition? Definition(string name) => Find(name) switch
    {
        null => null,
        { ValueKind: JsonValueKind.Object } value => DefinitionJson.Read(Encoding.UTF8.GetBytes(value.GetRawText())),
        _ => throw new ControlRequestException($"\"{name}\" is a machine's definition, an object"),
    };

    /// <summary>To be called when every value was asked for: refuses those that nobody asked for.</summary>
    /// <exception cref="ControlRequestException">There is one.</exception>
    internal void RefuseOthers()
    {
        foreach (var value in _values.EnumerateObject())
            if (!_known.Contains(value.Name)) throw new ControlRequestException($"\"{Verb}\" takes no \"{value.Name}\"");
    }

    private JsonElement? Find(string name)
    {
        _known.Add(name);
        return _values.TryGetProperty(name, out var value) && value.ValueKind != JsonValueKind.Null ? value : null;
    }

    private static string Text(JsonElement value)
    {
        try
        {
            return value.GetString()!;
        }
        catch (InvalidOperationException)
        {
            throw new ControlRequestException("a text is not UTF-8");
        }
    }
}
