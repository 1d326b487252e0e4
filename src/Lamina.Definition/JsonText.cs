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
    // More is never meant, and the stack has an end.
    private const int MostDepth = 16;

    /// <summary>Reads a text.</summary>
    /// <exception cref="MachineException">It is no JSON, or says something twice.</exception>
    internal static JsonPart Read(ReadOnlySpan<byte> text)
    {
        if (text.StartsWith(Encoding.UTF8.Preamble)) text = text[Encoding.UTF8.Preamble.Length..];
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

    private static JsonPart Read(ref Utf8JsonReader reader, ReadOnlySpan<byte> text)
    {
        var (token, line) = (reader.TokenType, LineOf(reader, text));
        switch (token)
        {
            case JsonTokenType.StartObject:
                var properties = new List<(string, JsonPart)>();
                var names = new HashSet<string>();
                while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
                {
                    var name = reader.GetString()!;
                    if (!names.Add(name)) throw new MachineException($"line {LineOf(reader, text)}: \"{name}\" is said twice");
                    reader.Read();
                    properties.Add((name, Read(ref reader, text)));
                }
                return new JsonPart(token, line, "", properties, []);
            case JsonTokenType.StartArray:
                var items = new List<JsonPart>();
                while (reader.Read() && reader.TokenType != JsonTokenType.EndArray) items.Add(Read(ref reader, text));
                return new JsonPart(token, line, "", [], items);
            case JsonTokenType.String:
                return new JsonPart(token, line, reader.GetString()!, [], []);
            case JsonTokenType.Number:
                return new JsonPart(token, line, Encoding.UTF8.GetString(reader.ValueSpan), [], []);
            default:
                return new JsonPart(token, line, "", [], []);
        }
    }

    private static int LineOf(in Utf8JsonReader reader, ReadOnlySpan<byte> text) => 1 + text[..(int)reader.TokenStartIndex].Count((byte)'\n');
}
