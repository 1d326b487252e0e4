// Prints help pages: usage, commands, options under headings, examples. Everything on a page comes from the commands
// themselves, so that a page cannot tell of an option that is not there.
using System.CommandLine;
using System.CommandLine.Help;
using System.CommandLine.Invocation;

namespace Lamina.Cli;

/// <summary>The action of --help.</summary>
internal sealed class HelpPage : SynchronousCommandLineAction
{
    private const int LeftColumn = 26, Width = 100;

    /// <summary>A request for help stands above any mistake in the other words.</summary>
    public override bool ClearsParseErrors => true;

    /// <inheritdoc/>
    public override int Invoke(ParseResult parseResult)
    {
        Write(parseResult.CommandResult.Command, parseResult.InvocationConfiguration.Output);
        return ExitCode.Success;
    }

    /// <summary>Writes a command's page.</summary>
    public static void Write(Command command, TextWriter output)
    {
        output.WriteLine($"Usage: {Usage(command)}");
        output.WriteLine();
        foreach (var line in Wrap(command.Description ?? "", Width)) output.WriteLine(line);

        Rows(output, "Commands", command.Subcommands.Where(sub => !sub.Hidden).Select(sub => (sub.Name + Words(sub), sub.Description ?? "")));
        Rows(output, "Words", command.Arguments.Where(argument => !argument.Hidden).Select(argument => (argument.HelpName ?? argument.Name, argument.Description ?? "")));
        if (command is Verb verb)
        {
            foreach (var group in verb.Groups) Rows(output, group.Title, group.Options.Select(Row));
            foreach (var section in verb.Sections()) Rows(output, section.Title, section.Rows);
        }
        else
        {
            Rows(output, "Options", command.Options.Where(option => !option.Hidden).Select(Row));
        }
        if (command is RootCommand)
        {
            output.WriteLine();
            output.WriteLine("\"lamina run\" boots a small Linux guest at once; \"lamina COMMAND --help\" tells more.");
        }
    }

    /// <summary>A command with its words: "lamina start NAME… [OPTION…]".</summary>
    public static string Usage(Command command)
    {
        var names = new Stack<string>();
        for (Symbol? at = command; at is Command; at = at.Parents.FirstOrDefault()) names.Push(at is RootCommand ? "lamina" : at.Name);
        var hasOptions = command is Verb { Groups.Count: > 0 } || command is RootCommand;
        return string.Join(' ', names) + (command.Subcommands.Count > 0 ? " COMMAND" : Words(command)) + (hasOptions ? " [OPTION…]" : "");
    }

    private static string Words(Command command) => string.Concat(command.Arguments.Select(argument =>
        argument.Arity.MinimumNumberOfValues == 0 ? $" [{argument.HelpName ?? argument.Name}]" : $" {argument.HelpName ?? argument.Name}"));

    /// <summary>An option and what it is for.</summary>
    public static (string, string) Row(Option option)
    {
        var names = string.Join(", ", option.Aliases.Append(option.Name).Where(name => name[0] == '-').OrderBy(name => name.Length));
        return (option.HelpName is null ? names : $"{names} {option.HelpName}", option.Description ?? "");
    }

    private static void Rows(TextWriter output, string title, IEnumerable<(string Left, string Right)> rows)
    {
        var first = true;
        foreach (var (left, right) in rows)
        {
            if (first)
            {
                output.WriteLine();
                output.WriteLine($"{title}:");
                first = false;
            }
            if (right.Length == 0)
            {
                output.WriteLine($"  {left}");
                continue;
            }
            var indent = new string(' ', LeftColumn + 2);
            var start = left.Length < LeftColumn - 1 ? $"  {left.PadRight(LeftColumn)}" : $"  {left}{Environment.NewLine}{indent}";
            output.WriteLine(start + string.Join(Environment.NewLine + indent, Wrap(right, Width - LeftColumn - 2)));
        }
    }

    private static IEnumerable<string> Wrap(string text, int width)
    {
        var line = "";
        foreach (var word in text.Split(' '))
        {
            if (line.Length > 0 && line.Length + 1 + word.Length > width)
            {
                yield return line;
                line = word;
            }
            else
            {
                line = line.Length == 0 ? word : $"{line} {word}";
            }
        }
        yield return line;
    }
}
