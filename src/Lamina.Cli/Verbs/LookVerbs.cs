// The verbs that look at a machine: inspect, logs, events, stats.
using System.CommandLine;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using Lamina.Cli.Output;
using Lamina.Core.Inspection;
using Lamina.Host.Io;
using Lamina.Hypervisor.Asking;
using Lamina.Hypervisor.Contract;
using Lamina.Hypervisor.Stored;

namespace Lamina.Cli.Verbs;

/// <summary>Verbs that look.</summary>
internal static class LookVerbs
{
    private static readonly TimeSpan LookAgain = TimeSpan.FromMilliseconds(100);
    private static readonly JsonWriterOptions Indented = new() { Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Builds the commands.</summary>
    public static IEnumerable<Command> Create() => [Inspect(), Logs(), Events(), Stats()];

    private static Verb Inspect()
    {
        var name = MachineNames.One();
        var part = new Argument<string?>("part") { HelpName = "PART", Description = "Which part, by its name in the tree (devices/disk0); all of them by default.", Arity = ArgumentArity.ZeroOrOne };
        var verb = new Verb("inspect", "Shows a machine's definition and, while it runs, the state of every part, as JSON.")
        {
            Sections = () => [new("Examples", [("lamina inspect web", ""), ("lamina inspect web vcpus/0", ""), ("lamina inspect web | jq .definition.memory", "")])],
        };
        verb.Arguments.Add(name);
        verb.Arguments.Add(part);
        verb.SetAction(parsed => MachineNames.Run(async (store, cancellation) =>
        {
            var home = store.Find(parsed.GetRequiredValue(name));
            var path = parsed.GetValue(part);
            await using var client = await MachineControl.TryConnectAsync(home, cancellation).ConfigureAwait(false);
            if (client is null && path is not null) throw new MachineException(MachineError.State, $"the machine {home.Name} is not running, and its parts are to be seen only then; leave out '{path}' for its definition");
            var state = client is null ? (JsonElement?)null : await client.AskAsync("inspect", request => request.WriteString("path", path ?? ""), cancellation).ConfigureAwait(false);
            using var stream = new MemoryStream();
            using (var json = new Utf8JsonWriter(stream, Indented))
            {
                if (path is not null) state!.Value.WriteTo(json);
                else await WriteAsync(json, MachineStore.Look(home), client, state, cancellation).ConfigureAwait(false);
            }
            parsed.InvocationConfiguration.Output.WriteLine(Encoding.UTF8.GetString(stream.ToArray()));
            return ExitCode.Success;
        }));
        return verb;
    }

    private static async Task WriteAsync(Utf8JsonWriter json, MachineListing machine, MachineClient? client, JsonElement? state, CancellationToken cancellation)
    {
        json.WriteStartObject();
        json.WriteString("name", machine.Name);
        json.WriteString("folder", machine.Home.Folder);
        if (machine.Problem is { } problem) json.WriteString("problem", problem);
        if (machine.Definition is { } definition)
        {
            json.WritePropertyName("definition");
            DefinitionJson.Write(json, definition);
        }
        if (!machine.IsRunning) json.WriteString("lastEnd", MachineControl.Describe(machine));
        if (client is not null)
        {
            json.WritePropertyName("status");
            (await client.AskAsync("status", null, cancellation).ConfigureAwait(false)).WriteTo(json);
            if (machine.Definition is { } kept && await MachineChanges.WaitingAsync(client, kept, cancellation).ConfigureAwait(false) is { Count: > 0 } waiting) PsVerb.WriteWords(json, "atNextStart", waiting);
            json.WritePropertyName("addresses");
            GuestInterface.Write(json, await client.AddressesAsync(cancellation).ConfigureAwait(false));
        }
        if (state is { } parts)
        {
            json.WritePropertyName("parts");
            parts.WriteTo(json);
        }
        json.WriteEndObject();
    }

    private static Verb Logs()
    {
        var name = MachineNames.One();
        var follow = new Option<bool>("--follow", "-f") { Description = "Go on with what comes, until the machine ends." };
        var process = new Option<bool>("--process") { Description = "What the machine's process had to say, instead of what its guest printed." };
        var verb = new Verb("logs", "Shows what a machine's guest printed at its console, in this run and earlier ones.")
        {
            Sections = () => [new("Examples", [("lamina logs web", ""), ("lamina logs --follow web", ""), ("lamina logs --process web", "")])],
        };
        verb.Arguments.Add(name);
        verb.AddGroup("Options", follow, process);
        verb.SetAction(parsed => MachineNames.Run(async (store, cancellation) =>
        {
            var home = store.Find(parsed.GetRequiredValue(name));
            var path = parsed.GetValue(process) ? home.Log : home.ConsoleOutput;
            using var output = Console.OpenStandardOutput();
            var old = path + MachineHome.OldSuffix;
            if (File.Exists(old)) await CopyAsync(old, output, null, cancellation).ConfigureAwait(false);
            if (File.Exists(path)) await CopyAsync(path, output, parsed.GetValue(follow) ? () => MachineStore.IsHeld(home) : null, cancellation).ConfigureAwait(false);
            return ExitCode.Success;
        }));
        return verb;
    }

    // A file that grows while something lasts; one that was put aside is gone on with in its successor.
    private static async Task CopyAsync(string path, Stream output, Func<bool>? lasts, CancellationToken cancellation)
    {
        var file = Open(path);
        try
        {
            var buffer = new byte[64 * 1024];
            while (true)
            {
                var goesOn = lasts?.Invoke() == true;
                int count;
                while ((count = await file.ReadAsync(buffer, cancellation).ConfigureAwait(false)) > 0) await output.WriteAsync(buffer.AsMemory(0, count), cancellation).ConfigureAwait(false);
                await output.FlushAsync(cancellation).ConfigureAwait(false);
                if (!goesOn) return;
                if (new FileInfo(path) is { Exists: true } now && now.Length < file.Position)
                {
                    await file.DisposeAsync().ConfigureAwait(false);
                    file = Open(path);
                    continue;
                }
                await Task.Delay(LookAgain, cancellation).ConfigureAwait(false);
            }
        }
        finally
        {
            await file.DisposeAsync().ConfigureAwait(false);
        }

        // The machine's process wrote it, or what its guest made of that.
        static FileStream Open(string path)
        {
            var file = new FileStream(NamedFile.OpenFile(path), FileAccess.Read);
            if (file.Length <= 2 * MachineHome.LongestLog) return file;
            using (file) throw new MachineException(MachineError.File, $"{path} has {file.Length} bytes, and no log of a machine becomes so long; remove it");
        }
    }

    private static Verb Events()
    {
        var name = MachineNames.One();
        var verb = new Verb("events", "Shows what happens to a machine from now on, up to its end, one JSON object a line.")
        {
            Sections = () => [new("Example", [("lamina events web | jq -r .event", "")])],
        };
        verb.Arguments.Add(name);
        verb.SetAction(parsed => MachineNames.Run(async (store, cancellation) =>
        {
            await using var client = await MachineControl.ConnectAsync(store.Find(parsed.GetRequiredValue(name)), cancellation).ConfigureAwait(false);
            await foreach (var told in client.WatchAsync(cancellation).ConfigureAwait(false))
            {
                parsed.InvocationConfiguration.Output.WriteLine(told.GetRawText());
                parsed.InvocationConfiguration.Output.Flush();
            }
            return ExitCode.Success;
        }));
        return verb;
    }

    private static Verb Stats()
    {
        var name = MachineNames.One();
        var json = new Option<bool>("--json") { Description = "Print JSON instead of a table." };
        var verb = new Verb("stats", "Shows what the parts of a machine count: requests, bytes, exits.") { Sections = () => [new("Example", [("lamina stats web", "")])] };
        verb.Arguments.Add(name);
        verb.AddGroup("Options", json);
        verb.SetAction(parsed => MachineNames.Run(async (store, cancellation) =>
        {
            await using var client = await MachineControl.ConnectAsync(store.Find(parsed.GetRequiredValue(name)), cancellation).ConfigureAwait(false);
            var counters = await client.AskAsync("counters", null, cancellation).ConfigureAwait(false);
            var output = parsed.InvocationConfiguration.Output;
            if (parsed.GetValue(json)) output.WriteLine(counters.GetRawText());
            else foreach (var line in CounterTable.Lines(Read(counters))) output.WriteLine(line);
            return ExitCode.Success;
        }));
        return verb;
    }

    private static List<Counter> Read(JsonElement counters)
    {
        try
        {
            return [.. counters.EnumerateArray().Select(ReadCounter)];
        }
        catch (Exception none) when (none is InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new MachineException(MachineError.Host, "the machine's process gives counters that are none", none);
        }
    }

    private static Counter ReadCounter(JsonElement counter)
    {
        var unit = counter.GetProperty("unit").GetString();
        return new Counter(counter.GetProperty("name").GetString()!, counter.GetProperty("value").GetInt64(), CounterKind.Gauge, unit switch { "bytes" => CounterUnit.Bytes, "nanoseconds" => CounterUnit.Nanoseconds, _ => CounterUnit.Count }, "")
        {
            Part = counter.TryGetProperty("part", out var part) ? part.GetString()! : "",
            Of = counter.TryGetProperty("of", out var of) ? of.GetString() : null,
        };
    }
}
