// What a machine's folder says of its process while it runs, and how its last run ended. Both are small files that are written whole or
// not at all: a folder in which a run is recorded that nobody's lock belongs to any more tells that its process was killed.
using System.Text.Json;
using Lamina.Control;
using Lamina.Host;
using Lamina.Host.Io;
using Lamina.Hypervisor.Contract;

namespace Lamina.Hypervisor.Stored;

/// <summary>A run that is under way, or was when its process was killed.</summary>
/// <param name="ProcessId">The process.</param>
/// <param name="Started">When it began.</param>
public sealed record RunRecord(int ProcessId, DateTimeOffset Started)
{
    internal static RunRecord? Read(string path) => RecordFile.Read(path, root =>
        root.TryGetProperty("pid", out var pid) && pid.TryGetInt32(out var process) && root.TryGetProperty("started", out var started) && started.TryGetDateTimeOffset(out var time) ? new RunRecord(process, time) : null);

    internal void Write(string path) => RecordFile.Write(path, json =>
    {
        json.WriteNumber("pid", ProcessId);
        json.WriteString("started", Started);
    });
}

/// <summary>How a run ended.</summary>
/// <param name="Started">When it began.</param>
/// <param name="Ended">When it ended.</param>
/// <param name="Result">How.</param>
public sealed record EndRecord(DateTimeOffset Started, DateTimeOffset Ended, MachineResult Result)
{
    internal static EndRecord? Read(string path) => RecordFile.Read(path, root =>
        root.TryGetProperty("started", out var began) && began.TryGetDateTimeOffset(out var started) && root.TryGetProperty("ended", out var at) && at.TryGetDateTimeOffset(out var ended)
        && root.TryGetProperty("end", out var end) && ControlNames.Find<MachineEnd>(end.GetString()) is { } how
            ? new EndRecord(started, ended, new MachineResult(how, root.TryGetProperty("code", out var code) && code.TryGetInt32(out var number) ? number : null, root.TryGetProperty("message", out var message) ? message.GetString() : null))
            : null);

    internal void Write(string path) => RecordFile.Write(path, json =>
    {
        json.WriteString("started", Started);
        json.WriteString("ended", Ended);
        ControlLines.WriteResult(json, Result);
    });
}

/// <summary>Small files of one object each. Most of them are written by machines' processes, and read by those who have more rights.</summary>
internal static class RecordFile
{
    // A list of disks is the longest.
    private const int MostBytes = 1 << 20;

    /// <summary>Reads one; null where it is not there, or is none.</summary>
    internal static T? Read<T>(string path, Func<JsonElement, T?> read) where T : class
    {
        try
        {
            using var document = JsonDocument.Parse(NamedFile.ReadFile(path, MostBytes));
            return document.RootElement.ValueKind == JsonValueKind.Object ? read(document.RootElement) : null;
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException or JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    /// <summary>Writes one, whole or not at all.</summary>
    internal static void Write(string path, Action<Utf8JsonWriter> write, bool durable = false)
    {
        using var text = new MemoryStream();
        using (var json = new Utf8JsonWriter(text, new JsonWriterOptions { Indented = true }))
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }
        HostFiles.Replace(path, text.ToArray(), durable: durable);
    }
}
