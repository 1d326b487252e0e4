// What a machine's process and those that wait to be its copies say to each other, over a channel that whoever forks it made between them: a JSON
// object a message. The copies trust nothing that comes with it but what the kernel vouches for (sealed memory).
using System.Text;
using System.Text.Json;

namespace Lamina.Hypervisor.Contract;

/// <summary>Messages of forks.</summary>
internal static class ForkLines
{
    private const string Folder = "folder", Name = "name", Kept = "kept", Pulled = "pulled";

    /// <summary>To a process that begins to wait, with what the machine is: the folder of the machine, and the definition that it was started by.</summary>
    internal static byte[] Welcome(string folder, MachineDefinition kept) => Make(line =>
    {
        line.WriteString(Folder, folder);
        line.WritePropertyName(Kept);
        DefinitionJson.Write(line, kept);
    });

    /// <summary>From a process that waits now: the name of its folder.</summary>
    internal static byte[] Waits(string folder) => Make(line => line.WriteString(Folder, folder));

    /// <summary>To a process that is to be a copy from now on, with what it goes on from: the copy's name.</summary>
    internal static byte[] Order(string name) => Make(line => line.WriteString(Name, name));

    /// <summary>From a copy whose guest was told all that there is to tell it.</summary>
    /// <param name="isPulled">Whether its cards have no cable, since it could not be told of its addresses.</param>
    internal static byte[] Done(bool isPulled) => Make(line =>
    {
        line.WriteBoolean(ControlSpec.Ok, true);
        line.WriteBoolean(Pulled, isPulled);
    });

    /// <summary>Whether a message is <see cref="Done"/>, and if it is whether the copy's cards have no cable.</summary>
    internal static bool? PulledIn(byte[] message)
    {
        try
        {
            using var document = JsonDocument.Parse(message);
            return document.RootElement.TryGetProperty(Pulled, out var pulled) ? pulled.GetBoolean() : null;
        }
        catch (Exception none) when (none is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    /// <summary>The folder in a message.</summary>
    /// <exception cref="MachineException">It has none.</exception>
    internal static string FolderIn(byte[] message) => Read(message, Folder);

    /// <summary>The name in a message.</summary>
    /// <exception cref="MachineException">It has none.</exception>
    internal static string NameIn(byte[] message) => Read(message, Name);

    /// <summary>What a process says of what it was to do; null: it was done.</summary>
    internal static MachineException? RefusalIn(byte[] message)
    {
        try
        {
            using var document = JsonDocument.Parse(message);
            var root = document.RootElement;
            if (root.TryGetProperty(ControlSpec.Ok, out _)) return null;
            return ControlErrors.ToException(root.GetProperty(ControlSpec.Error).GetString() ?? "", root.GetProperty(ControlSpec.Message).GetString() ?? "");
        }
        catch (Exception none) when (none is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            return new MachineException(MachineError.Host, "the process that was to be a copy says what is not understood");
        }
    }

    /// <summary>The definition in a message.</summary>
    /// <exception cref="MachineException">It has none.</exception>
    internal static MachineDefinition KeptIn(byte[] message) => Read(message, root => root.TryGetProperty(Kept, out var kept) ? DefinitionJson.Read(Encoding.UTF8.GetBytes(kept.GetRawText())) : null);

    private static byte[] Make(Action<Utf8JsonWriter> write)
    {
        using var buffer = new MemoryStream();
        using (var line = new Utf8JsonWriter(buffer))
        {
            line.WriteStartObject();
            write(line);
            line.WriteEndObject();
        }
        return buffer.ToArray();
    }

    private static string Read(byte[] message, string name) => Read(message, root => root.TryGetProperty(name, out var value) && value.GetString() is { Length: > 0 } text ? text : null);

    private static T Read<T>(byte[] message, Func<JsonElement, T?> find) where T : class
    {
        try
        {
            using var document = JsonDocument.Parse(message);
            if (find(document.RootElement) is { } found) return found;
        }
        catch (Exception none) when (none is JsonException or InvalidOperationException)
        {
        }
        throw new MachineException(MachineError.Host, $"a process of a machine says what is not understood: {Encoding.UTF8.GetString(message.AsSpan(0, Math.Min(message.Length, 100)))}");
    }
}
