// The verbs that operate a machine's keyboard: send-key presses keys by their names, type writes a text by a keyboard's layout.
using System.CommandLine;
using Lamina.Core.Input;
using Lamina.Hypervisor.Asking;
using Lamina.Hypervisor.Stored;

namespace Lamina.Cli.Verbs;

/// <summary>Verbs that type.</summary>
internal static class InputVerbs
{
    // So many strokes go in one request, with room for their names.
    private const int Together = 256;

    // Names of keys in a line of the help page.
    private const int Row = 12;

    /// <summary>Builds the commands.</summary>
    public static IEnumerable<Command> Create() => [SendKey(), Type()];

    private static Verb SendKey()
    {
        var (name, keys, pace) = (MachineNames.One(), new Argument<string[]>("keys") { HelpName = "KEYS…", Description = "Keys by their names, with '-' between those that are pressed together.", Arity = ArgumentArity.OneOrMore }, Pace());
        keys.CompletionSources.Add(_ => KeyNames.All);
        var verb = new Verb("send-key", "Presses keys of a machine's keyboard, one stroke after another, and returns when the guest has read them.")
        {
            Sections = () =>
            [
                new("Keys", [.. KeyNames.All.Chunk(Row).Select(row => (string.Join(' ', row), ""))]),
                new("Examples", [("lamina send-key web ctrl-alt-del", ""), ("lamina send-key dos f3 enter", "")]),
            ],
        };
        verb.Arguments.Add(name);
        verb.Arguments.Add(keys);
        verb.AddGroup("Options", pace);
        verb.SetAction(parsed =>
        {
            var strokes = parsed.GetRequiredValue(keys);
            foreach (var stroke in strokes)
                if (KeyStroke.Read(stroke).Problem is { } problem) throw new UsageException(problem);
            return Send(parsed.GetRequiredValue(name), strokes, parsed.GetValue(pace));
        });
        return verb;
    }

    private static Verb Type()
    {
        var (name, text, pace) = (MachineNames.One(), new Argument<string>("text") { HelpName = "TEXT", Description = "What to write; \"-\": what comes from standard input." }, Pace());
        var layout = new Option<string>("--layout") { HelpName = "LAYOUT", Description = $"The keyboard layout that the guest has: {string.Join(", ", KeyboardLayout.All.Select(each => each.Name))}. Default: us.", DefaultValueFactory = _ => KeyboardLayout.All[0].Name };
        var enter = new Option<bool>("--enter") { Description = "Press Enter behind it." };
        var verb = new Verb("type", "Writes a text with a machine's keyboard, and returns when the guest has read it.")
        {
            Sections = () => [new("Examples", [("lamina type dos --enter \"dir c:\"", ""), ("lamina type --layout de win - <text.txt", "")])],
        };
        verb.Arguments.Add(name);
        verb.Arguments.Add(text);
        verb.AddGroup("Options", layout, enter, pace);
        verb.SetAction(parsed =>
        {
            var named = parsed.GetRequiredValue(layout);
            var chosen = KeyboardLayout.Find(named) ?? throw new UsageException($"there is no keyboard layout '{named}'; there are {string.Join(", ", KeyboardLayout.All.Select(each => each.Name))}");
            var written = parsed.GetRequiredValue(text);
            if (written == "-") written = Console.In.ReadToEnd();
            var (strokes, missing) = chosen.Write(parsed.GetValue(enter) ? written + "\n" : written);
            if (missing is not null) throw new UsageException($"no key of the layout {chosen.Name} gives '{missing}' (U+{char.ConvertToUtf32(missing, 0):X4}); choose the guest's layout by --layout");
            return Send(parsed.GetRequiredValue(name), [.. strokes.Select(NameOf)], parsed.GetValue(pace));
        });
        return verb;
    }

    private static Option<string?> Pace() => new("--pace") { HelpName = "TIME", Description = "How long a stroke is down, and up to the next one. Default: 10ms." };

    private static string NameOf(KeyStroke stroke) => string.Join('-', stroke.Keys.Select(key => KeyNames.NameOf(key)));

    private static int Send(string name, IReadOnlyList<string> strokes, string? pace) => MachineNames.Run(async (store, cancellation) =>
    {
        var home = store.Find(name);
        await using var client = await MachineControl.ConnectAsync(home, cancellation).ConfigureAwait(false);
        foreach (var piece in strokes.Chunk(Together))
        {
            await client.AskAsync("keys", request =>
            {
                request.WriteStartArray("keys");
                foreach (var stroke in piece) request.WriteStringValue(stroke);
                request.WriteEndArray();
                if (pace is not null) request.WriteString("pace", pace);
            }, cancellation).ConfigureAwait(false);
        }
        return ExitCode.Success;
    });
}
