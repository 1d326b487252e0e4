// Changes the text of a definition that a person wrote where it has to be other, and nowhere else: comments, order and the way in which the
// rest is written stay. One change after another, each on a text that is whole. Who calls it looks at the result: what this does not know
// how to say (another order of devices) is written anew as a whole.
using System.Text;
using System.Text.Json;

namespace Lamina.Definition;

/// <summary>Edits texts of definitions.</summary>
public static class DefinitionText
{
    /// <summary>Makes a text say another definition.</summary>
    /// <param name="text">The text.</param>
    /// <param name="before">What it says, whatever its paths count from.</param>
    /// <param name="after">What it is to say.</param>
    /// <exception cref="MachineException">The text is no definition.</exception>
    public static byte[] Change(ReadOnlySpan<byte> text, MachineDefinition before, MachineDefinition after)
    {
        var difference = DefinitionDifference.Between(before, after);
        var edited = JsonPart.WithoutMark(text).ToArray();
        var written = MachineShape.Shape.Write(after).ToDictionary(property => property.Name);
        foreach (var name in difference.Properties) edited = Set(edited, root => root, name, written.GetValueOrDefault(name));
        foreach (var device in difference.Devices.Where(device => device is { Before: not null, After: not null, IsChange: true }))
        {
            var kind = DeviceKind.Of(device.After!);
            var now = kind.Write(device.After!).ToDictionary(property => property.Name);
            foreach (var name in DefinitionDifference.Differing(device.Before!, device.After!)) edited = Set(edited, root => DevicesOf(root)!.Items[device.Index], name, now.GetValueOrDefault(name));
        }
        foreach (var device in difference.Devices.Where(device => device.Before is null)) edited = Add(edited, device.After!);
        // From behind, so that the places of the others stay.
        foreach (var device in difference.Devices.Where(device => device.After is null).OrderByDescending(device => device.Index))
            edited = Remove(edited, [.. DevicesOf(JsonPart.Read(edited))!.Items], device.Index);
        return edited;
    }

    private static JsonPart? DevicesOf(JsonPart root) => root.Properties.FirstOrDefault(property => property.Name == DefinitionJson.DevicesName).Value;

    // A property that is null is said no more.
    private static byte[] Set(byte[] text, Func<JsonPart, JsonPart> find, string name, WrittenProperty? property)
    {
        var whole = find(JsonPart.Read(text));
        var members = whole.Properties.Select(member => member.Value).ToList();
        var index = whole.Properties.ToList().FindIndex(member => member.Name == name);
        if (property is null) return index < 0 ? text : Remove(text, members, index);
        if (index >= 0) return Splice(text, members[index].ValueAt..members[index].Bytes.End.Value, DefinitionJson.ValueText(property));
        // The list of devices, which is long, stays the last.
        var last = whole.Properties.LastOrDefault(member => member.Name != DefinitionJson.DevicesName).Value;
        return Insert(text, whole, last, $"\"{name}\": {DefinitionJson.ValueText(property)}");
    }

    private static byte[] Add(byte[] text, DeviceDefinition device)
    {
        var root = JsonPart.Read(text);
        var line = DefinitionJson.DeviceText(device);
        return DevicesOf(root) is { } devices
            ? Insert(text, devices, devices.Items.LastOrDefault(), line)
            : Insert(text, root, root.Properties.LastOrDefault().Value, $"\"{DefinitionJson.DevicesName}\": [\n    {line}\n  ]");
    }

    // Behind a member of an object or array, or as its first.
    private static byte[] Insert(byte[] text, JsonPart whole, JsonPart? behind, string line)
    {
        var members = whole.Properties.Select(member => member.Value).Concat(whole.Items).ToList();
        if (behind is null)
        {
            var at = whole.ValueAt + 1;
            if (members.Count == 0) return Splice(text, at..at, $" {line} ");
            return Splice(text, at..at, IndentOf(text, members[0]) is { } first ? $"\n{first}{line}," : $" {line},");
        }
        var end = behind.Bytes.End.Value;
        var comma = FindComma(text, end);
        var place = comma is { } found ? found + 1 : end;
        var indent = IndentOf(text, behind);
        // What is said of a member at the end of its line stays there.
        if (indent is not null) place = EndOfRemark(text, place) ?? place;
        text = Splice(text, place..place, $"{(indent is null ? " " : $"\n{indent}")}{line}{(comma is null ? "" : ",")}");
        return comma is null ? Splice(text, end..end, ",") : text;
    }

    private static byte[] Remove(byte[] text, IReadOnlyList<JsonPart> members, int index)
    {
        var (start, end) = (members[index].Bytes.Start.Value, members[index].Bytes.End.Value);
        var comma = FindComma(text, end);
        if (comma is { } found) end = found + 1;
        if (IndentOf(text, members[index]) is { } indent && EndOfRemark(text, end) is { } line)
        {
            // Its whole line goes, with what is said of it there.
            start -= indent.Length + 1;
            end = line;
        }
        else
        {
            while (end < text.Length && text[end] is (byte)' ' or (byte)'\t') end++;
        }
        text = Splice(text, start..end, "");
        if (comma is null && index > 0 && FindComma(text, members[index - 1].Bytes.End.Value) is { } over) text = Splice(text, over..(over + 1), "");
        return text;
    }

    // The white space before a member that begins a line; null where something else stands before it.
    private static string? IndentOf(byte[] text, JsonPart member)
    {
        var start = member.Bytes.Start.Value;
        var line = start;
        while (line > 0 && text[line - 1] is (byte)' ' or (byte)'\t') line--;
        return line > 0 && text[line - 1] == '\n' ? Encoding.ASCII.GetString(text[line..start]) : null;
    }

    // The comma behind a value, with nothing but white space and comments between.
    private static int? FindComma(byte[] text, int at)
    {
        at = SkipSpace(text, at, lines: true);
        return at < text.Length && text[at] == ',' ? at : null;
    }

    // The end of the line, where nothing but white space and comments is left on it.
    private static int? EndOfRemark(byte[] text, int at)
    {
        at = SkipSpace(text, at, lines: false);
        return at == text.Length || text[at] is (byte)'\n' or (byte)'\r' ? at : null;
    }

    private static int SkipSpace(byte[] text, int at, bool lines)
    {
        while (at < text.Length)
        {
            if (text[at] is (byte)' ' or (byte)'\t' || (lines && text[at] is (byte)'\n' or (byte)'\r'))
            {
                at++;
                continue;
            }
            if (text[at] != '/' || at + 1 == text.Length) return at;
            var rest = text.AsSpan(at + 2);
            var isLine = text[at + 1] == '/';
            var length = isLine ? rest.IndexOf((byte)'\n') : rest.IndexOf("*/"u8);
            if (length < 0) return text.Length;
            // A comment over several lines belongs to what follows as much as to what stands before it.
            if (!lines && !isLine && rest[..length].Contains((byte)'\n')) return at;
            at += 2 + length + (isLine ? 0 : 2);
        }
        return at;
    }

    private static byte[] Splice(byte[] text, Range range, string instead) => [.. text[..range.Start], .. Encoding.UTF8.GetBytes(instead), .. text[range.End..]];
}
