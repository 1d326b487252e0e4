// A JSON text as a tree whose every part knows the line that it stands on, so that a person who edits a file is told where it is
// wrong. Comments and commas behind the last value are allowed. DefinitionJson gives it a meaning.
using System.Text;
using System.Text.Json;

namespace Lamina.Definition;

/// <summary>A part of a JSON text.</summary>
/// <param name="Token">What it is: StartObject, StartArray, String, Number, True, False or Null.</param>
/// <param name="Line">The line on which it begins, from 1.</param>
/// <param name="Text">The text of a string or number.</param>
/// <param name="Properties">The properties of an object, in order.</param>
/// <param name="Items">The values of an array.</param>
internal sealed record JsonPart(JsonTokenType Token, int Line, string Text, IReadOnlyList<(string Name, JsonPart Value)> Properties, IReadOnlyList<JsonPart> Items)
{
    /// <summary>Where it lies in the text, in bytes; of a property's value, where its name begins.</summary>
    internal required Range Bytes { get; init; }

    /// <summary>Where the value itself begins.</summary>
    internal required int ValueAt { get; init; }

    // A sentence that says which properties there are is not that long.
    private const int MostShown = 2000;

    // More is never meant, and the stack has an end.
    private const int MostDepth = 16;

    /// <summary>Reads a text.</summary>
    /// <exception cref="MachineException">It is no JSON, or says something twice.</exception>
    internal static JsonPart Read(ReadOnlySpan<byte> text)
    {
        text = WithoutMark(text);
        var reader = new Utf8JsonReader(text, new JsonReaderOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true, MaxDepth = MostDepth });
        try
        {
            reader.Read();
            var whole = Read(ref reader, text);
            while (reader.Read())
            {
                // Only white space and comments may follow; the reader refuses all else.
            }
            return whole;
        }
        catch (JsonException failure)
        {
            throw new MachineException($"line {failure.LineNumber.GetValueOrDefault() + 1}: this is no JSON; look for a comma, a quotation mark or a bracket that is missing or one too many", failure);
        }
        catch (InvalidOperationException failure)
        {
            throw new MachineException($"line {LineOf(reader, text)}: a text is not UTF-8", failure);
        }
    }

    /// <summary>What a text says, as a sentence may show it on a terminal: the text may come from anybody.</summary>
    internal static string Shown(string text) => text.Length <= MostShown && !text.Any(char.IsControl) ? text : $"{string.Concat(text.Take(MostShown).Select(letter => char.IsControl(letter) ? '?' : letter))}{(text.Length > MostShown ? "…" : "")}";

    /// <summary>A text without the mark that some editors begin one with.</summary>
    internal static ReadOnlySpan<byte> WithoutMark(ReadOnlySpan<byte> text) => text.StartsWith(Encoding.UTF8.Preamble) ? text[Encoding.UTF8.Preamble.Length..] : text;

    // Where a property's name begins is said by who has read it.
    private static JsonPart Read(ref Utf8JsonReader reader, ReadOnlySpan<byte> text, int? nameAt = null)
    {
        var (token, line, at) = (reader.TokenType, LineOf(reader, text), (int)reader.TokenStartIndex);
        switch (token)
        {
            case JsonTokenType.StartObject:
                var properties = new List<(string, JsonPart)>();
                var names = new HashSet<string>();
                while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
                {
                    var name = reader.GetString()!;
                    if (!names.Add(name)) throw new MachineException($"line {LineOf(reader, text)}: \"{Shown(name)}\" is said twice");
                    var begin = (int)reader.TokenStartIndex;
                    reader.Read();
                    properties.Add((name, Read(ref reader, text, begin)));
                }
                return Part(reader, "", properties, []);
            case JsonTokenType.StartArray:
                var items = new List<JsonPart>();
                while (reader.Read() && reader.TokenType != JsonTokenType.EndArray) items.Add(Read(ref reader, text));
                return Part(reader, "", [], items);
            case JsonTokenType.String:
                return Part(reader, reader.GetString()!, [], []);
            case JsonTokenType.Number:
                return Part(reader, Encoding.UTF8.GetString(reader.ValueSpan), [], []);
            default:
                return Part(reader, "", [], []);
        }

        JsonPart Part(in Utf8JsonReader behind, string value, IReadOnlyList<(string Name, JsonPart Value)> properties, IReadOnlyList<JsonPart> items) =>
            new(token, line, value, properties, items) { Bytes = (nameAt ?? at)..(int)behind.BytesConsumed, ValueAt = at };
    }

    private static int LineOf(in Utf8JsonReader reader, ReadOnlySpan<byte> text) => 1 + text[..(int)reader.TokenStartIndex].Count((byte)'\n');
}
