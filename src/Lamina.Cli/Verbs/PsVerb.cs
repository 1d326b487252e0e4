// "lamina ps": the machines there are, what they are doing, and what they take of the host.
using System.CommandLine;
using System.Net.Sockets;
using System.Text;
using System.Text.Json;
using Lamina.Cli.Output;
using Lamina.Control;
using Lamina.Hypervisor.Asking;
using Lamina.Hypervisor.Contract;
using Lamina.Hypervisor.Stored;

namespace Lamina.Cli.Verbs;

/// <summary>The verb "ps".</summary>
internal static class PsVerb
{
    // So many of a guest's addresses are in the table.
    private const int MostShown = 2;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2), Turn = TimeSpan.FromSeconds(1);

    // A machine as the list shows it; what its process says is null where it has none, or does not answer.
    private sealed record Row(MachineListing Machine, MachineStatus? Status, ProcessUse? Use, IReadOnlyList<string> Waiting, IReadOnlyList<GuestInterface> Addresses);

    /// <summary>Builds the command.</summary>
    public static Command Create()
    {
        var all = new Option<bool>("--all", "-a") { Description = "Those that do not run, too." };
        var json = new Option<bool>("--json") { Description = "Print JSON instead of a table." };
        var watch = new Option<bool>("--watch", "-w") { Description = "Again every second, until Ctrl-C." };
        var verb = new Verb("ps", "Shows machines: what they are doing, and what they take.")
        {
            Sections = () => [new("Examples", [("lamina ps", ""), ("lamina ps --all --json | jq -r '.[].name'", ""), ("lamina ps --watch", "")])],
        };
        verb.AddGroup("Options", all, watch, json);
        verb.SetAction(parsed => MachineNames.Run(async (store, cancellation) =>
        {
            var output = parsed.InvocationConfiguration.Output;
            var before = new Dictionary<string, ProcessUse>();
            while (true)
            {
                var rows = await LookAsync(store, parsed.GetValue(all), cancellation).ConfigureAwait(false);
                if (parsed.GetValue(watch) && !parsed.GetValue(json) && Columns.TerminalWidth() is not null) output.Write("\e[H\e[J");
                output.Write(parsed.GetValue(json) ? Json(rows, indented: !parsed.GetValue(watch)) : Table(rows, before, parsed.GetValue(watch)));
                if (!parsed.GetValue(watch)) break;
                output.Flush();
                before = rows.Where(row => row.Use is not null).ToDictionary(row => row.Machine.Name, row => row.Use!);
                await Task.Delay(Turn, cancellation).ConfigureAwait(false);
            }
            return ExitCode.Success;
        }));
        return verb;
    }

    /// <summary>What a machine is doing, in a word.</summary>
    internal static string StateOf(MachineListing machine, MachineStatus? status) => machine switch
    {
        { IsRunning: true } => status switch
        {
            null => "silent",
            { State: MachineState.Paused } paused => paused.Holds.HasFlag(Holds.HostFull) ? "host full" : "paused",
            _ => "running",
        },
        { Problem: not null } => "damaged",
        { Migrated: { } way } => way.Place is null ? "incomplete" : "gone",
        { Suspended: not null } => "suspended",
        { WasKilled: true } => "killed",
        { LastEnd.Result.End: MachineEnd.GuestPanic } => "panicked",
        { LastEnd.Result.End: MachineEnd.Failed } => "failed",
        { LastEnd: null } => "new",
        _ => "off",
    };

    private static async Task<IReadOnlyList<Row>> LookAsync(MachineStore store, bool all, CancellationToken cancellation)
    {
        var machines = store.List().Where(machine => all || machine.IsRunning);
        return await Task.WhenAll(machines.Select(machine => LookAsync(machine, cancellation))).ConfigureAwait(false);
    }

    private static async Task<Row> LookAsync(MachineListing machine, CancellationToken cancellation)
    {
        if (!machine.IsRunning) return new Row(machine, null, null, [], []);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        patience.CancelAfter(Patience);
        try
        {
            await using var client = await MachineClient.TryConnectAsync(machine.Home.Socket, patience.Token).ConfigureAwait(false);
            if (client is null) return new Row(machine, null, null, [], []);
            var status = await client.StatusAsync(patience.Token).ConfigureAwait(false);
            var waiting = machine.Definition is not { } definition ? [] : await MachineChanges.WaitingAsync(client, definition, patience.Token).ConfigureAwait(false);
            return new Row(machine, status, ProcessUse.Of(status.ProcessId), waiting, await client.AddressesAsync(cancellation).ConfigureAwait(false));
        }
        catch (Exception silent) when (silent is MachineException or OperationCanceledException && !cancellation.IsCancellationRequested)
        {
            return new Row(machine, null, null, [], []);
        }
    }

    private static string Table(IReadOnlyList<Row> rows, Dictionary<string, ProcessUse> before, bool isWatched)
    {
        var text = new StringWriter();
        string[][] table =
        [
            ["NAME", "STATE", "IMAGE", "CPUS", "CPU", "MEMORY", "USED", "DISK", "AGE", "ADDRESSES", "PORTS"],
            .. rows.Select(row => (string[])
            [
                row.Machine.Name,
                StateOf(row.Machine, row.Status),
                row.Machine.Definition is { } definition ? definition.Image ?? Path.GetFileName(definition.Boot.KernelPath ?? definition.FirmwareToBoot) ?? "-" : "-",
                (row.Status?.Cpus ?? row.Machine.Definition?.Cpus)?.ToString() ?? "-",
                row.Use is { } use ? use.Share(before.GetValueOrDefault(row.Machine.Name)) : "-",
                (row.Status?.MemoryBytes ?? row.Machine.Definition?.MemoryBytes) is { } memory ? ByteSize.Format(memory) : "-",
                row.Use is { } used ? ByteSize.Format((ulong)used.ResidentBytes) : "-",
                row.Machine.Size > 0 ? ByteSize.Format((ulong)row.Machine.Size) : "-",
                row.Status is { } status ? Age(DateTimeOffset.UtcNow - status.Started) : "-",
                Shown(row.Addresses),
                string.Join(' ', row.Status?.Published ?? []),
            ]),
        ];
        Columns.Write(text, table, Columns.TerminalWidth(), 3, 4, 5, 6, 7);
        foreach (var row in rows)
            if (row.Machine.Problem is { } problem) Stderr.Say(problem);
            else if (row.Waiting.Count > 0 && !isWatched) Stderr.Say($"{row.Machine.Name} takes at its next start: {string.Join(", ", row.Waiting)}");
        return text.ToString();
    }

    // Those by which others could reach it, of version 4 first.
    private static string Shown(IReadOnlyList<GuestInterface> interfaces)
    {
        string[] all = [.. interfaces.SelectMany(one => one.Addresses).Where(GuestInterface.IsReachable).OrderBy(address => address.AddressFamily != AddressFamily.InterNetwork).Select(address => address.ToString()).Distinct()];
        return all.Length == 0 ? "-" : all.Length <= MostShown ? string.Join(' ', all) : $"{string.Join(' ', all.Take(MostShown))} +{all.Length - MostShown}";
    }

    /// <summary>A time in its largest unit: 45s, 12m, 3h, 9d.</summary>
    internal static string Age(TimeSpan age) => age switch
    {
        { TotalDays: >= 2 } => $"{(long)age.TotalDays}d",
        { TotalHours: >= 2 } => $"{(long)age.TotalHours}h",
        { TotalMinutes: >= 2 } => $"{(long)age.TotalMinutes}m",
        _ => $"{Math.Max(0, (long)age.TotalSeconds)}s",
    };

    private static string Json(IReadOnlyList<Row> rows, bool indented)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream, new JsonWriterOptions { Indented = indented, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
        {
            json.WriteStartArray();
            foreach (var row in rows)
            {
                json.WriteStartObject();
                json.WriteString("name", row.Machine.Name);
                json.WriteString("state", StateOf(row.Machine, row.Status));
                json.WriteString("folder", row.Machine.Home.Folder);
                if (row.Machine.Problem is { } problem) json.WriteString("problem", problem);
                if (row.Machine.Definition is { } definition)
                {
                    json.WritePropertyName("definition");
                    DefinitionJson.Write(json, definition);
                }
                json.WriteNumber("diskBytes", row.Machine.Size);
                if (row.Status is { } status)
                {
                    json.WritePropertyName("status");
                    status.Write(json);
                }
                if (row.Status is not null)
                {
                    json.WritePropertyName("addresses");
                    GuestInterface.Write(json, row.Addresses);
                }
                if (row.Use is { } use)
                {
                    json.WriteNumber("residentBytes", use.ResidentBytes);
                    json.WriteNumber("cpuSeconds", use.CpuTime.TotalSeconds);
                }
                if (row.Waiting.Count > 0) WriteWords(json, "atNextStart", row.Waiting);
                if (!row.Machine.IsRunning) json.WriteString("lastEnd", MachineControl.Describe(row.Machine));
                json.WriteEndObject();
            }
            json.WriteEndArray();
        }
        return Encoding.UTF8.GetString(stream.ToArray()) + "\n";
    }

    /// <summary>Writes a list of texts.</summary>
    internal static void WriteWords(Utf8JsonWriter json, string name, IReadOnlyList<string> words)
    {
        json.WriteStartArray(name);
        foreach (var word in words) json.WriteStringValue(word);
        json.WriteEndArray();
    }
}
