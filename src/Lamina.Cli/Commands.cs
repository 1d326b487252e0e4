// The tree of the program's words. A new verb is a file in Verbs/ and a line here.
using System.CommandLine;
using System.CommandLine.Help;
using Lamina.Cli.Verbs;

namespace Lamina.Cli;

/// <summary>A command with what its help page says beside the list of its options.</summary>
internal sealed class Verb(string name, string description) : Command(name, description)
{
    /// <summary>The options, under headings; every option of the command is in one.</summary>
    public IReadOnlyList<OptionGroup> Groups { get; private set; } = [];

    /// <summary>Makes what stands under headings of its own after the options; called only when the page is shown.</summary>
    public Func<IReadOnlyList<HelpSection>> Sections { get; init; } = () => [];

    /// <summary>Adds options under a heading.</summary>
    public void AddGroup(string title, params Option[] options)
    {
        foreach (var option in options) Options.Add(option);
        Groups = [.. Groups, new OptionGroup(title, options)];
    }
}

/// <summary>Options under a heading of a help page.</summary>
internal sealed record OptionGroup(string Title, IReadOnlyList<Option> Options);

/// <summary>Text under a heading of a help page: rows of two columns, or single lines where the second is empty.</summary>
internal sealed record HelpSection(string Title, IReadOnlyList<(string Left, string Right)> Rows);

/// <summary>The program's words.</summary>
internal static class Commands
{
    /// <summary>How parsed words are read and run: no response files, and exceptions come to the caller.</summary>
    public static InvocationConfiguration Invocation { get; } = new() { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = null };

    /// <summary>See <see cref="Invocation"/>.</summary>
    public static ParserConfiguration Parsing { get; } = new() { ResponseFileTokenReplacer = null, EnablePosixBundling = false };

    // Verbs that are made together, by their names.
    private static readonly (string[] Names, Func<string[], IEnumerable<Command>> Make)[] Rooms =
    [
        (["run"], guests => [RunVerb.Create(guests)]),
        (["create", "clone", "rename", "rm", "prune"], _ => KeepVerbs.CreateAll()),
        (["start", "stop", "kill", "restart", "pause", "resume", "suspend", "wait", LifeVerbs.ProcessVerb], _ => LifeVerbs.Create()),
        (["snapshot"], _ => [SnapshotVerb.Create()]),
        (["fork"], _ => [ForkVerb.Create()]),
        (["export", "import"], _ => CarryVerbs.Create()),
        (["migrate", "receive"], _ => MigrateVerbs.Create()),
        (["upgrade-running"], _ => [UpgradeVerb.Create()]),
        (["set"], _ => [SetVerb.Create()]),
        (["media"], _ => [MediaVerb.Create()]),
        (["apply"], _ => [ApplyVerb.Create()]),
        (["ps"], _ => [PsVerb.Create()]),
        (["inspect", "logs", "events", "stats"], _ => LookVerbs.Create()),
        (["screen", "wait-screen"], _ => ScreenVerbs.Create()),
        (["exec", "shell"], ExecVerbs.Create),
        (["cp"], _ => [CopyVerb.Create()]),
        (["console"], _ => [ConsoleVerb.Create()]),
        (["send-key", "type"], _ => InputVerbs.Create()),
        (["disk"], _ => [DiskVerb.Create()]),
        (["image"], _ => [ImageVerb.Create()]),
        (["pool"], _ => [PoolVerb.Create()]),
        (["doctor"], _ => [DoctorVerb.Create()]),
        (["completion"], _ => [CompletionVerb.Create()]),
        (["install", "uninstall", "enable", "disable"], _ => InstallVerbs.CreateAll()),
    ];

    private static readonly string[] NeedNone = ["--version", "-V"];

    /// <summary>Parts words where a guest's begin: behind --, of the verbs that run something in one. Nothing of them is ours to understand.</summary>
    public static (string[] Own, string[] Guests) Split(string[] words)
    {
        var at = words is ["run" or "exec", ..] ? Array.IndexOf(words, "--") : -1;
        return at < 0 ? (words, []) : (words[..at], words[(at + 1)..]);
    }

    /// <summary>Builds the tree, or the part of it that the words can need: a verb does not pay for the others.</summary>
    /// <param name="words">The program's words.</param>
    /// <param name="guests">What stands behind them for a guest.</param>
    public static RootCommand Create(string[] words, string[] guests)
    {
        var root = new RootCommand("Runs virtual machines on Linux, with or without hardware virtualization.");
        var first = words is [var word, ..] ? word : "";
        var rooms = Rooms.Where(room => room.Names.Contains(first)).ToArray();
        if (rooms.Length == 0 && !NeedNone.Contains(first)) rooms = Rooms;
        foreach (var verb in rooms.SelectMany(room => room.Make(guests))) root.Add(verb);
        if (rooms == Rooms)
        {
            root.Add(CreateHelp(root));
            root.Add(CreateVersion());
        }
        foreach (var help in root.Options.OfType<HelpOption>())
        {
            help.Description = "Show this page.";
            help.Action = new HelpPage();
            foreach (var alias in help.Aliases.Where(alias => alias is not "-h").ToArray()) help.Aliases.Remove(alias);
        }
        foreach (var version in root.Options.OfType<VersionOption>())
        {
            version.Description = "Show the program's version.";
            version.Aliases.Add("-V");
        }
        return root;
    }

    // Words that people try first; --help and --version are what the pages tell of.
    private static Command CreateHelp(RootCommand root)
    {
        var words = new Argument<string[]>("words") { Arity = ArgumentArity.ZeroOrMore };
        var help = new Command("help", "Shows the page of a command.") { words };
        help.Hidden = true;
        help.SetAction(parsed =>
        {
            Command at = root;
            foreach (var word in parsed.GetValue(words) ?? [])
                at = at.Subcommands.FirstOrDefault(known => known.Name == word) ?? throw new UsageException($"there is no command '{word}'; 'lamina --help' shows what there is");
            HelpPage.Write(at, parsed.InvocationConfiguration.Output);
            return ExitCode.Success;
        });
        return help;
    }

    private static Command CreateVersion()
    {
        var version = new Command("version", "Shows the program's version.") { Hidden = true };
        version.SetAction(parsed => new RootCommand().Parse(["--version"], Parsing).Invoke(parsed.InvocationConfiguration));
        return version;
    }
}
