// What a running machine says of itself in a few words: what lists of machines show, and what the next verb needs to know.
using System.Text.Json;
using Lamina.Control;

namespace Lamina.Hypervisor.Contract;

/// <summary>A running machine, in a few words.</summary>
public sealed record MachineStatus
{
    /// <summary>What it is doing.</summary>
    public required MachineState State { get; init; }

    /// <summary>Why it stands still.</summary>
    public Holds Holds { get; init; }

    /// <summary>Its process.</summary>
    public int ProcessId { get; init; }

    /// <summary>When that began.</summary>
    public DateTimeOffset Started { get; init; }

    /// <summary>Which engine runs it, and why.</summary>
    public string Engine { get; init; } = "";

    /// <summary>What it booted.</summary>
    public string Boot { get; init; } = "";

    /// <summary>Its virtual CPUs.</summary>
    public int Cpus { get; init; }

    /// <summary>The guest's memory in bytes.</summary>
    public ulong MemoryBytes { get; init; }

    /// <summary>The ports of the host's that lead into it, as words of the command line.</summary>
    public IReadOnlyList<string> Published { get; init; } = [];

    /// <summary>The names of the consoles that can be looked at.</summary>
    public IReadOnlyList<string> Consoles { get; init; } = [];

    /// <summary>The TCP port where a debugger is waited for; or null.</summary>
    public int? GdbPort { get; init; }

    /// <summary>Where its screen can be looked at over VNC; null for nowhere.</summary>
    public string? Display { get; init; }

    /// <summary>Where browsers find its screen by WebSocket; null for nowhere.</summary>
    public string? DisplayWebSocket { get; init; }

    /// <summary>What its process is kept from: <c>files</c> that are not the machine's, TCP <c>ports</c> where it uses none, system <c>calls</c> that it does not need.</summary>
    public IReadOnlyList<string> LockedBy { get; init; } = [];

    /// <summary>What its process is not locked by, each with the reason.</summary>
    public IReadOnlyList<string> NotLockedBy { get; init; } = [];

    /// <summary>Writes it as one value.</summary>
    public void Write(Utf8JsonWriter line)
    {
        ArgumentNullException.ThrowIfNull(line);
        line.WriteStartObject();
        line.WriteString("state", ControlNames.Of(State));
        ControlLines.WriteHolds(line, Holds);
        line.WriteNumber("pid", ProcessId);
        line.WriteString("started", Started);
        line.WriteString("engine", Engine);
        line.WriteString("boot", Boot);
        line.WriteNumber("cpus", Cpus);
        line.WriteNumber("memory", MemoryBytes);
        WriteList(line, "published", Published);
        WriteList(line, "consoles", Consoles);
        WriteList(line, "locked-by", LockedBy);
        WriteList(line, "not-locked-by", NotLockedBy);
        if (GdbPort is { } port) line.WriteNumber("gdb", port);
        if (Display is { } display) line.WriteString("display", display);
        if (DisplayWebSocket is { } web) line.WriteString("display-websocket", web);
        line.WriteEndObject();
    }

    /// <summary>Reads what <see cref="Write"/> wrote, or a later version of it; what is not there is as where nothing is known.</summary>
    internal static MachineStatus Read(JsonElement value)
    {
        var holds = Holds.None;
        foreach (var hold in Items(value, "holds")) holds |= ControlNames.Find<Holds>(hold) ?? Holds.None;
        return new MachineStatus
        {
            State = ControlNames.Find<MachineState>(Text(value, "state")) ?? MachineState.Running,
            Holds = holds,
            ProcessId = (int)Number(value, "pid"),
            Started = DateTimeOffset.TryParse(Text(value, "started"), null, out var started) ? started : default,
            Engine = Text(value, "engine") ?? "",
            Boot = Text(value, "boot") ?? "",
            Cpus = (int)Number(value, "cpus"),
            MemoryBytes = (ulong)Number(value, "memory"),
            Published = [.. Items(value, "published")],
            Consoles = [.. Items(value, "consoles")],
            LockedBy = [.. Items(value, "locked-by")],
            NotLockedBy = [.. Items(value, "not-locked-by")],
            GdbPort = value.TryGetProperty("gdb", out _) ? (int)Number(value, "gdb") : null,
            Display = Text(value, "display"),
            DisplayWebSocket = Text(value, "display-websocket"),
        };
    }

    private static void WriteList(Utf8JsonWriter line, string name, IReadOnlyList<string> texts)
    {
        line.WriteStartArray(name);
        foreach (var text in texts) line.WriteStringValue(text);
        line.WriteEndArray();
    }

    private static string? Text(JsonElement value, string name) => value.TryGetProperty(name, out var text) && text.ValueKind == JsonValueKind.String ? text.GetString() : null;

    private static long Number(JsonElement value, string name) => value.TryGetProperty(name, out var number) && number.ValueKind == JsonValueKind.Number && number.TryGetInt64(out var known) ? known : 0;

    private static IEnumerable<string> Items(JsonElement value, string name) =>
        value.TryGetProperty(name, out var list) && list.ValueKind == JsonValueKind.Array ? list.EnumerateArray().Where(item => item.ValueKind == JsonValueKind.String).Select(item => item.GetString()!) : [];
}
