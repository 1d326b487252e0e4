// The verbs about a machine's screen: screen, wait-screen. What the machine's process says is the guest's and is taken as such: text without
// control characters, a picture of a bounded length.
using System.CommandLine;
using System.Text.Json;
using Lamina.Cli.Output;
using Lamina.Hypervisor.Asking;

namespace Lamina.Cli.Verbs;

/// <summary>Verbs about the screen.</summary>
internal static class ScreenVerbs
{
    private const string Standard = "-";

    private static readonly TimeSpan StillUnlessSaid = TimeSpan.FromSeconds(1);

    /// <summary>Builds the commands.</summary>
    public static IEnumerable<Command> Create() => [Screen(), WaitScreen()];

    private static Verb Screen()
    {
        var name = MachineNames.One();
        var file = new Argument<string?>("file") { HelpName = "FILE.png", Description = "Where a picture of it goes; - for standard output. Without it the characters are shown, of a screen that has such.", Arity = ArgumentArity.ZeroOrOne };
        var verb = new Verb("screen", "Shows what is on a machine's screen.")
        {
            Sections = () => [new("Examples", [("lamina screen web", ""), ("lamina screen web screen.png", "")])],
        };
        verb.Arguments.Add(name);
        verb.Arguments.Add(file);
        verb.SetAction(parsed => MachineNames.Run(async (store, cancellation) =>
        {
            var path = parsed.GetValue(file);
            await using var client = await MachineControl.ConnectAsync(store.Find(parsed.GetRequiredValue(name)), cancellation).ConfigureAwait(false);
            var answer = await client.AskAsync("screen", request => request.WriteBoolean("picture", path is not null), cancellation).ConfigureAwait(false);
            if (path is null) Show(answer, parsed.InvocationConfiguration.Output, parsed.GetRequiredValue(name));
            else await WriteAsync(PictureOf(answer), path, cancellation).ConfigureAwait(false);
            return ExitCode.Success;
        }));
        return verb;
    }

    private static void Show(JsonElement answer, TextWriter output, string name)
    {
        try
        {
            if (answer.TryGetProperty("text", out var rows))
            {
                var lines = rows.EnumerateArray().Select(row => DiskVerb.Printable(row.GetString()!)).ToList();
                while (lines is [.., ""]) lines.RemoveAt(lines.Count - 1);
                foreach (var line in lines) output.WriteLine(line);
                return;
            }
            var mode = DiskVerb.Printable(answer.GetProperty("mode").GetString()!);
            throw new MachineException(MachineError.State, mode == "blank" ? $"the screen of {name} is blank" : $"the screen of {name} has no characters but a picture ({mode}); name a file for it, like 'lamina screen {name} screen.png'");
        }
        catch (Exception none) when (none is InvalidOperationException or KeyNotFoundException)
        {
            throw NoScreen(none);
        }
    }

    private static byte[] PictureOf(JsonElement answer)
    {
        try
        {
            return answer.GetProperty("png").GetBytesFromBase64();
        }
        catch (Exception none) when (none is InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw NoScreen(none);
        }
    }

    private static MachineException NoScreen(Exception inner) => new(MachineError.Host, "the machine's process gives a screen that is none", inner);

    private static async Task WriteAsync(byte[] picture, string path, CancellationToken cancellation)
    {
        try
        {
            if (path != Standard)
            {
                await File.WriteAllBytesAsync(path, picture, cancellation).ConfigureAwait(false);
                return;
            }
            using var output = Console.OpenStandardOutput();
            await output.WriteAsync(picture, cancellation).ConfigureAwait(false);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException)
        {
            throw new MachineException(MachineError.File, $"{path} cannot be written: {refused.Message}", refused);
        }
    }

    private static Verb WaitScreen()
    {
        var name = MachineNames.One();
        var text = new Option<string?>("--text") { HelpName = "TEXT", Description = "Until a row of the screen has this text in it." };
        var still = new Option<string?>("--still") { HelpName = "TIME", Description = "Until the screen has not changed for this long (1s).", Arity = ArgumentArity.ZeroOrOne };
        var timeout = new Option<string?>("--timeout") { HelpName = "TIME", Description = $"Give up after this time, with exit code {ExitCode.TimedOut}; without it there is no limit." };
        var verb = new Verb("wait-screen", "Waits until a machine's screen shows something.")
        {
            Sections = () => [new("Examples", [("lamina wait-screen web --text login: --timeout 5m", ""), ("lamina wait-screen web --still 3s", "")])],
        };
        verb.Arguments.Add(name);
        verb.AddGroup("Options", text, still, timeout);
        verb.SetAction(parsed => MachineNames.Run(async (store, cancellation) =>
        {
            var (wanted, isStill, limit) = (parsed.GetValue(text), parsed.GetResult(still) is not null, TimeOf(parsed.GetValue(timeout), "--timeout"));
            if (wanted is { Length: > 0 } == isStill) throw new UsageException("what is to be waited for? say either --text TEXT or --still");
            var length = TimeOf(parsed.GetValue(still), "--still") ?? StillUnlessSaid;
            var machine = parsed.GetRequiredValue(name);
            await using var client = await MachineControl.ConnectAsync(store.Find(machine), cancellation).ConfigureAwait(false);
            var answer = await client.AskAsync("wait-screen", request =>
            {
                if (isStill) request.WriteString("still", Duration.Exact(length));
                else request.WriteString("text", wanted);
                if (limit is { } time) request.WriteString("timeout", Duration.Exact(time));
            }, cancellation).ConfigureAwait(false);
            if (answer.ValueKind == JsonValueKind.True) return ExitCode.Success;
            Stderr.Say(isStill ? $"the screen of {machine} was not still for {Duration.Exact(length)} within {Duration.Exact(limit ?? default)}" : $"the screen of {machine} did not show \"{wanted}\" within {Duration.Exact(limit ?? default)}; 'lamina screen {machine}' shows what it shows");
            return ExitCode.TimedOut;
        }));
        return verb;
    }

    private static TimeSpan? TimeOf(string? word, string option) => word is null ? null
        : Duration.TryParse(word, out var time) && time > TimeSpan.Zero ? time
        : throw new UsageException($"{option} is a time, like 500ms, 90s or 5m, and not '{word}'");
}
