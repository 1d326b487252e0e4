// The verbs that run something in the guest of a machine that is kept and runs: exec and shell. Its agent does it (docs/agent.md).
using System.CommandLine;
using Lamina.Host.Io;
using Lamina.Hypervisor.Agent;
using Lamina.Hypervisor.Asking;

namespace Lamina.Cli.Verbs;

/// <summary>Verbs that run something in a guest.</summary>
internal static class ExecVerbs
{
    /// <summary>Builds the commands.</summary>
    /// <param name="guests">The words of a command for the guest, where they stand behind --.</param>
    public static IEnumerable<Command> Create(string[] guests) => [Exec(guests), Shell()];

    private static Verb Exec(string[] guests)
    {
        var name = MachineNames.One();
        var words = new Argument<string[]>("command") { HelpName = "COMMAND…", Description = "What to run, behind --, with its arguments.", Arity = ArgumentArity.ZeroOrMore };
        var input = new Option<bool>("--interactive", "-i") { Description = "Let the command read the standard input." };
        var terminal = new Option<bool>("--terminal", "-t") { Description = "Give the command a terminal." };
        var options = new CommandOptions();
        var verb = new Verb("exec", "Runs a command in the guest of a running machine.")
        {
            Sections = () =>
            [
                new("Exit codes", [("", "that of the command; 128 + n where signal n ended it; 126 where it cannot be run, 127 where there is none")]),
                new("Examples", [("lamina exec web -- uname -a", ""), ("lamina exec -i -t web -- top", ""), ("tar -c folder | lamina exec -i web -- tar -x -C /srv", "")]),
            ],
        };
        verb.Arguments.Add(name);
        verb.Arguments.Add(words);
        verb.AddGroup("Options", [input, terminal, .. options.All, options.Wait]);
        verb.SetAction(parsed => RunSome(parsed, name, [.. parsed.GetValue(words) ?? [], .. guests], parsed.GetValue(input), parsed.GetValue(terminal), options));
        return verb;
    }

    private static Verb Shell()
    {
        var name = MachineNames.One();
        var options = new CommandOptions();
        var verb = new Verb("shell", "Opens a shell in the guest of a running machine, as at a login.") { Sections = () => [new("Examples", [("lamina shell web", ""), ("lamina shell --user alice web", ""), ("lamina shell web <script.sh", "")])] };
        verb.Arguments.Add(name);
        verb.AddGroup("Options", [.. options.All, options.Wait]);
        verb.SetAction(parsed => Run(parsed, name, [], hasInput: true, HostIo.IsTerminal(HostIo.Input), options));
        return verb;
    }

    private static int RunSome(ParseResult parsed, Argument<string> name, string[] words, bool hasInput, bool hasTerminal, CommandOptions options) => words.Length > 0
        ? Run(parsed, name, words, hasInput, hasTerminal, options)
        : throw new UsageException("what to run is missing; write it behind --, like 'lamina exec web -- uname -a'");

    private static int Run(ParseResult parsed, Argument<string> name, string[] words, bool hasInput, bool hasTerminal, CommandOptions options)
    {
        // Since the command's own words may begin with a hyphen, one that is not known is taken for the first word.
        if (parsed.GetRequiredValue(name) is ['-', ..] option) throw new UsageException($"there is no option '{option}'; 'lamina {parsed.CommandResult.Command.Name} --help' shows what there is");
        GuestCommand.CheckTerminal(hasTerminal);
        var command = options.Read(parsed, words, hasTerminal);
        var wait = options.ReadWait(parsed);
        var connection = MachineNames.Reach(parsed.GetRequiredValue(name), wait);
        return GuestCommand.RunAsync(connection, command, hasInput).GetAwaiter().GetResult();
    }
}

/// <summary>What can be said of a command in a guest.</summary>
internal sealed class CommandOptions
{
    private readonly Option<string[]> _environment = new("--env", "-e") { HelpName = "NAME[=VALUE]", Description = "A variable of the command's environment; without a value the one that it has here; repeatable." };
    private readonly Option<string?> _user = new("--user", "-u") { HelpName = "NAME", Description = "The guest's user. Default: root." };
    private readonly Option<string?> _folder = new("--workdir", "-w") { HelpName = "FOLDER", Description = "The guest's folder to begin in. Default: the user's own." };

    /// <summary>All of them but <see cref="Wait"/>.</summary>
    public IReadOnlyList<Option> All => [_environment, _user, _folder];

    /// <summary>--wait.</summary>
    public Option<string?> Wait { get; } = WaitOption();

    /// <summary>How long a guest's agent may take to be there.</summary>
    public static Option<string?> WaitOption() => new("--wait") { HelpName = "TIME", Description = "How long to wait for a guest that is still starting. Default: 10s." };

    /// <summary>Reads how long to wait; null where it is not said.</summary>
    /// <exception cref="UsageException">It is no time.</exception>
    public TimeSpan? ReadWait(ParseResult parsed) => ReadWait(parsed, Wait);

    /// <summary>Reads how long to wait; null where it is not said.</summary>
    /// <exception cref="UsageException">It is no time.</exception>
    public static TimeSpan? ReadWait(ParseResult parsed, Option<string?> option) => parsed.GetValue(option) switch
    {
        null => null,
        "0" or "0s" => TimeSpan.Zero,
        var text => Duration.TryParse(text, out var time) ? time : throw new UsageException($"{option.Name}: '{text}' is no time; write it like 500ms, 90s or 5m"),
    };

    /// <summary>The command that the words say.</summary>
    /// <exception cref="UsageException">A variable is none.</exception>
    public AgentCommand Read(ParseResult parsed, string[] words, bool hasTerminal) => new()
    {
        Words = words,
        Environment = [.. (parsed.GetValue(_environment) ?? []).Select(Variable).OfType<string>()],
        User = parsed.GetValue(_user),
        Folder = parsed.GetValue(_folder),
        Terminal = hasTerminal ? (0, 0) : null,
    };

    // A name alone is passed on where it is set here.
    private string? Variable(string text)
    {
        var at = text.IndexOf('=', StringComparison.Ordinal);
        if (text.Length == 0 || at == 0) throw new UsageException($"{_environment.Name}: '{text}' is no variable; write it like NAME=VALUE");
        return at > 0 ? text : Environment.GetEnvironmentVariable(text) is { } value ? $"{text}={value}" : null;
    }
}
