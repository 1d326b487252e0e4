// A machine's definition as JSON, as files hold it: the properties of MachineShape, and "devices", a list of objects with a "kind"
// and the properties of that kind. Only what differs from the default is written. It reads and writes by the tables, without
// reflection; in the contracts of other programs the converter stands for it, with their own source-generated contexts.
using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Lamina.Definition;

/// <summary>Reads and writes definitions.</summary>
public static class DefinitionJson
{
    private static readonly string?[] NameAlone = [null];

    internal const string DevicesName = "devices";

    private const string KindName = "kind";

    private static readonly JsonWriterOptions Indented = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The definition as UTF-8 text, a line a property.</summary>
    public static byte[] Write(MachineDefinition machine)
    {
        ArgumentNullException.ThrowIfNull(machine);
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, Indented)) Write(writer, machine);
        buffer.Write("\n"u8);
        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>Writes the definition as one value.</summary>
    public static void Write(Utf8JsonWriter writer, MachineDefinition machine)
    {
        ArgumentNullException.ThrowIfNull(writer);
        ArgumentNullException.ThrowIfNull(machine);
        writer.WriteStartObject();
        foreach (var property in MachineShape.Shape.Write(machine)) Write(writer, property);
        if (machine.Devices.Count > 0)
        {
            writer.WriteStartArray(DevicesName);
            foreach (var device in machine.Devices)
            {
                writer.WriteStartObject();
                var kind = DeviceKind.Of(device);
                writer.WriteString(KindName, kind.Name);
                foreach (var property in kind.Write(device)) Write(writer, property);
                writer.WriteEndObject();
            }
            writer.WriteEndArray();
        }
        writer.WriteEndObject();
    }

    /// <summary>Reads what a person or <see cref="Write(MachineDefinition)"/> wrote.</summary>
    /// <exception cref="MachineException">It is no definition; the message says on which line, and what to write instead.</exception>
    public static MachineDefinition Read(ReadOnlySpan<byte> text) => Read(text, new MachineDefinition());

    /// <summary>Reads what a person or <see cref="Write(MachineDefinition)"/> wrote.</summary>
    /// <param name="text">The text.</param>
    /// <param name="machine">What the machine is where the text does not say.</param>
    /// <exception cref="MachineException">It is no definition; the message says on which line, and what to write instead.</exception>
    public static MachineDefinition Read(ReadOnlySpan<byte> text, MachineDefinition machine)
    {
        ArgumentNullException.ThrowIfNull(machine);
        var whole = JsonPart.Read(text);
        if (whole.Token != JsonTokenType.StartObject) throw Wrong(whole, "a machine is an object: { \"memory\": \"512M\", … }");
        var names = MachineShape.Shape.Properties.Select(property => property.Name).ToList();
        foreach (var (name, value) in whole.Properties)
        {
            if (name == DevicesName)
            {
                if (value.Token != JsonTokenType.StartArray) throw Wrong(value, "\"devices\" is a list: [ { \"kind\": \"disk\", \"path\": \"disk.qcow2\" } ]");
                machine = machine with { Devices = [.. value.Items.Select(ReadDevice)] };
                continue;
            }
            var kind = MachineShape.Shape.Find(machine, name)?.Kind ?? throw Wrong(value, $"a machine has no property \"{name}\"{Meant(name, [.. names, DevicesName])}");
            foreach (var text2 in Values(name, kind, value)) machine = Guarded(value, () => MachineShape.Shape.With(machine, name, text2));
        }
        return machine;
    }

    /// <summary>A property's value, on one line.</summary>
    internal static string ValueText(WrittenProperty property) => property.Kind switch
    {
        ValueKind.List when property.Values is not [null] => $"[{string.Join(", ", property.Values.Select(Quoted))}]",
        ValueKind.Flag or ValueKind.List => "true",
        ValueKind.Switch => property.Values[0] == "on" ? "true" : "false",
        ValueKind.Number => property.Values[0]!,
        _ => Quoted(property.Values[0]),
    };

    /// <summary>A device, on one line.</summary>
    internal static string DeviceText(DeviceDefinition device)
    {
        var kind = DeviceKind.Of(device);
        return $"{{ {string.Join(", ", kind.Write(device).Select(property => $"{Quoted(property.Name)}: {ValueText(property)}").Prepend($"{Quoted(KindName)}: {Quoted(kind.Name)}"))} }}";
    }

    private static string Quoted(string? text) => $"\"{JsonEncodedText.Encode(text ?? "", JavaScriptEncoder.UnsafeRelaxedJsonEscaping)}\"";

    /// <summary>A pool as UTF-8 text, a line a property.</summary>
    public static byte[] Write(PoolDefinition pool)
    {
        ArgumentNullException.ThrowIfNull(pool);
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer, Indented)) Write(writer, pool);
        buffer.Write("\n"u8);
        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>Writes a pool as one value.</summary>
    public static void Write(Utf8JsonWriter writer, PoolDefinition pool)
    {
        ArgumentNullException.ThrowIfNull(writer);
        ArgumentNullException.ThrowIfNull(pool);
        writer.WriteStartObject();
        foreach (var property in PoolDefinition.Shape.Write(pool)) Write(writer, property);
        writer.WriteEndObject();
    }

    /// <summary>Reads what a person or <see cref="Write(PoolDefinition)"/> wrote.</summary>
    /// <exception cref="MachineException">It is no pool; the message says on which line, and what to write instead.</exception>
    public static PoolDefinition ReadPool(ReadOnlySpan<byte> text)
    {
        var whole = JsonPart.Read(text);
        if (whole.Token != JsonTokenType.StartObject) throw Wrong(whole, "a pool is an object: { \"cpu-cap\": \"200%\", … }");
        var pool = new PoolDefinition();
        var names = PoolDefinition.Shape.Properties.Select(property => property.Name).ToList();
        foreach (var (name, value) in whole.Properties)
        {
            var kind = PoolDefinition.Shape.Find(pool, name)?.Kind ?? throw Wrong(value, $"a pool has no property \"{name}\"{Meant(name, names)}");
            foreach (var word in Values(name, kind, value)) pool = Guarded(value, () => PoolDefinition.Shape.With(pool, name, word));
        }
        return pool;
    }

    private static DeviceDefinition ReadDevice(JsonPart part)
    {
        var kinds = DeviceKind.All.Select(known => known.Name).ToList();
        if (part.Token != JsonTokenType.StartObject) throw Wrong(part, "a device is an object: { \"kind\": \"disk\", \"path\": \"disk.qcow2\" }");
        var said = part.Properties.FirstOrDefault(property => property.Name == KindName).Value;
        if (said is not { Token: JsonTokenType.String }) throw Wrong(part, $"a device has a \"kind\": {Property.Enumerate(kinds)}");
        var kind = DeviceKind.Find(said.Text) ?? throw Wrong(said, $"there is no kind of device \"{said.Text}\"{Meant(said.Text, kinds)}");
        var names = kind.Properties.Select(property => property.Name).ToList();
        var device = kind.Empty;
        // What a network is plugged into decides which other properties it has; the table's order has that first.
        foreach (var (name, value) in part.Properties.Where(property => property.Name != KindName).OrderBy(property => names.IndexOf(property.Name) is var at and >= 0 ? at : int.MaxValue))
        {
            var values = kind.KindOf(device, name) ?? throw Wrong(value, names.Contains(name) ? $"such a {kind.Name} has no property \"{name}\"" : $"a {kind.Name} has no property \"{name}\"{Meant(name, names)}");
            foreach (var text in Values(name, values, value)) device = Guarded(value, () => kind.With(device, name, text));
        }
        return device;
    }

    private static void Write(Utf8JsonWriter writer, WrittenProperty property)
    {
        writer.WritePropertyName(property.Name);
        switch (property.Kind)
        {
            case ValueKind.Flag:
                writer.WriteBooleanValue(true);
                break;
            case ValueKind.Switch:
                writer.WriteBooleanValue(property.Values[0] == "on");
                break;
            case ValueKind.Number:
                writer.WriteRawValue(property.Values[0]!);
                break;
            case ValueKind.Text:
                writer.WriteStringValue(property.Values[0]);
                break;
            case ValueKind.List when property.Values is [null]:
                writer.WriteBooleanValue(true);
                break;
            default:
                writer.WriteStartArray();
                foreach (var value in property.Values) writer.WriteStringValue(value);
                writer.WriteEndArray();
                break;
        }
    }

    // The words that a value stands for.
    private static IEnumerable<string?> Values(string name, ValueKind kind, JsonPart value) => (kind, value.Token) switch
    {
        (_, JsonTokenType.Null) => [],
        (ValueKind.Flag, JsonTokenType.True) => NameAlone,
        (ValueKind.Flag, JsonTokenType.False) => [],
        (ValueKind.Switch, JsonTokenType.True) => ["on"],
        (ValueKind.Switch, JsonTokenType.False) => ["off"],
        (ValueKind.Flag or ValueKind.Switch, _) => throw Wrong(value, $"\"{name}\" is true or false"),
        (ValueKind.Number, JsonTokenType.Number) => [value.Text],
        (ValueKind.Number, _) => throw Wrong(value, $"\"{name}\" is a number, without quotation marks"),
        (ValueKind.Text or ValueKind.List, JsonTokenType.String or JsonTokenType.Number) => [value.Text],
        (ValueKind.List, JsonTokenType.True) => NameAlone,
        (ValueKind.List, JsonTokenType.StartArray) => value.Items.Select<JsonPart, string?>(item => item.Token is JsonTokenType.String or JsonTokenType.Number
            ? item.Text
            : throw Wrong(item, $"\"{name}\" is a list of texts")),
        (ValueKind.List, _) => throw Wrong(value, $"\"{name}\" is a list of texts"),
        _ => throw Wrong(value, $"\"{name}\" is a text in quotation marks"),
    };

    private static T Guarded<T>(JsonPart at, Func<T> read)
    {
        try
        {
            return read();
        }
        catch (MachineException refused)
        {
            throw Wrong(at, refused.Message);
        }
    }

    private static string Meant(string name, IReadOnlyList<string> known) => Spelling.Nearest(name, known) is { } nearest ? $"; did you mean \"{nearest}\"?" : $"; there are {Property.Enumerate(known)}";

    private static MachineException Wrong(JsonPart at, string what) => new($"line {at.Line}: {JsonPart.Shown(what)}");
}

/// <summary>A definition inside another JSON contract; put it on the property, or on the options of its context.</summary>
public sealed class MachineDefinitionConverter : JsonConverter<MachineDefinition>
{
    /// <inheritdoc/>
    public override MachineDefinition Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
    {
        using var document = JsonDocument.ParseValue(ref reader);
        try
        {
            return DefinitionJson.Read(Encoding.UTF8.GetBytes(document.RootElement.GetRawText()));
        }
        catch (MachineException wrong)
        {
            throw new JsonException(wrong.Message, wrong);
        }
    }

    /// <inheritdoc/>
    public override void Write(Utf8JsonWriter writer, MachineDefinition value, JsonSerializerOptions options) => DefinitionJson.Write(writer, value);
}
