// The lines that a machine's process sends: the greeting, answers, events.
using System.Buffers;
using System.Text.Encodings.Web;
using System.Text.Json;
using Lamina.Control;

namespace Lamina.Hypervisor.Contract;

/// <summary>Makes lines.</summary>
internal static class ControlLines
{
    private static readonly JsonWriterOptions Plain = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>What a client is told first.</summary>
    internal static byte[] Greeting(string machine) => Make(line =>
    {
        line.WriteString("lamina", typeof(Machine).Assembly.GetName().Version?.ToString(3));
        line.WriteNumber("protocol", ControlSpec.Version);
        line.WriteString("machine", machine);
    });

    /// <summary>An answer.</summary>
    /// <param name="id">What the client called its request by.</param>
    /// <param name="write">Writes the answer as one value; null: it is <c>true</c>.</param>
    internal static byte[] Answer(JsonElement? id, Action<Utf8JsonWriter>? write) => Make(line =>
    {
        WriteId(line, id);
        line.WritePropertyName(ControlSpec.Ok);
        if (write is null) line.WriteBooleanValue(true);
        else write(line);
    });

    /// <summary>An answer that says what is in the way.</summary>
    internal static byte[] Refusal(JsonElement? id, Exception failure) => Make(line =>
    {
        WriteId(line, id);
        var code = ControlErrors.CodeOf(failure);
        line.WriteString(ControlSpec.Error, code);
        line.WriteString(ControlSpec.Message, code == ControlErrors.Internal ? $"an internal error ({failure.GetType().Name}: {failure.Message})" : failure.Message);
    });

    /// <summary>An event.</summary>
    internal static byte[] Event(MachineEvent told) => Make(line =>
    {
        line.WriteString(ControlSpec.Event, NameOf(told));
        line.WriteNumber("number", told.Number);
        line.WriteString("time", told.Time);
        switch (told)
        {
            case MachineEvent.Paused paused:
                WriteHolds(line, paused.Reasons);
                break;
            case MachineEvent.WasReset reset:
                line.WriteString("cause", ControlNames.Of(reset.Cause));
                break;
            case MachineEvent.PowerButtonPressed pressed:
                line.WriteBoolean("listens", pressed.Listens);
                break;
            case MachineEvent.GuestPanicked panicked:
                line.WriteString("message", panicked.Message);
                break;
            case MachineEvent.DiskFull full:
                line.WriteString("disk", full.Disk);
                break;
            case MachineEvent.DiskGoesOn goesOn:
                line.WriteString("disk", goesOn.Disk);
                break;
            case MachineEvent.Reported reported:
                if (reported.Part.Length > 0) line.WriteString("part", reported.Part);
                line.WriteString("message", reported.Message);
                break;
            case MachineEvent.Saved saved:
                line.WriteString("folder", saved.To.Folder);
                line.WriteNumber("stood-still-ms", saved.To.StoodStill.TotalMilliseconds);
                break;
            case MachineEvent.Ended ended:
                WriteResult(line, ended.Result);
                break;
            case MachineEvent.Missed missed:
                line.WriteNumber("count", missed.Count);
                break;
        }
    });

    /// <summary>Writes why a machine stands still, as a list.</summary>
    internal static void WriteHolds(Utf8JsonWriter line, Holds holds)
    {
        line.WriteStartArray("holds");
        foreach (var hold in Enum.GetValues<Holds>())
            if (hold != Holds.None && holds.HasFlag(hold)) line.WriteStringValue(ControlNames.Of(hold));
        line.WriteEndArray();
    }

    /// <summary>Writes how a machine ended, as properties.</summary>
    internal static void WriteResult(Utf8JsonWriter line, MachineResult result)
    {
        line.WriteString("end", ControlNames.Of(result.End));
        if (result.DebugExitCode is { } code) line.WriteNumber("code", code);
        if (result.Message is { } message) line.WriteString("message", message);
    }

    private static string NameOf(MachineEvent told) => told switch
    {
        MachineEvent.Started => "started",
        MachineEvent.Paused => "paused",
        MachineEvent.Resumed => "resumed",
        MachineEvent.WasReset => "reset",
        MachineEvent.PowerButtonPressed => "power-button",
        MachineEvent.GuestPanicked => "guest-panicked",
        MachineEvent.DiskFull => "disk-full",
        MachineEvent.DiskGoesOn => "disk-goes-on",
        MachineEvent.Reported => "reported",
        MachineEvent.Saved => "saved",
        MachineEvent.Ended => "ended",
        _ => "missed",
    };

    private static void WriteId(Utf8JsonWriter line, JsonElement? id)
    {
        if (id is not { } given) return;
        line.WritePropertyName(ControlSpec.Id);
        given.WriteTo(line);
    }

    private static byte[] Make(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var line = new Utf8JsonWriter(buffer, Plain))
        {
            line.WriteStartObject();
            write(line);
            line.WriteEndObject();
        }
        buffer.Write("\n"u8);
        return buffer.WrittenSpan.ToArray();
    }
}
