// What is said where the words are not understood: the first mistake, and the word that may have been meant.
using System.CommandLine;
using System.CommandLine.Parsing;

namespace Lamina.Cli;

/// <summary>Sentences about words that are not understood.</summary>
internal static class Suggestions
{
    private const int FarOff = 3;

    /// <summary>One sentence about the first mistake.</summary>
    public static string Describe(ParseResult parsed)
    {
        var command = parsed.CommandResult.Command;
        var help = $"'lamina {Path(command)}--help' shows what there is";
        // An option that is not known may have been taken for a word of the command.
        var words = parsed.CommandResult.Children.OfType<ArgumentResult>().SelectMany(word => word.Tokens.Select(token => token.Value)).Concat(parsed.UnmatchedTokens);
        if (words.FirstOrDefault(word => word.Length > 1 && word[0] == '-') is { } option)
            return Unknown("option", option, command.Options.Select(known => known.Name), help);
        if (parsed.UnmatchedTokens.Count > 0)
            return command.Subcommands.Count > 0
                ? Unknown("command", parsed.UnmatchedTokens[0], command.Subcommands.Select(known => known.Name), help)
                : $"'{parsed.UnmatchedTokens[0]}' is one word too many; {help}";
        if (command.Subcommands.Count > 0 && command.Action is null) return $"a command is missing; {help}";
        var error = parsed.Errors.FirstOrDefault(error => error.SymbolResult is OptionResult { Tokens.Count: 0 }) ?? parsed.Errors[0];
        return error.SymbolResult switch
        {
            OptionResult { Tokens.Count: 0 } missing => $"{missing.Option.Name} needs a value: {missing.Option.HelpName}",
            ArgumentResult { Tokens.Count: 0 } missing => $"{missing.Argument.HelpName} is missing; {help}",
            _ => error.Message.TrimEnd('.'),
        };
    }

    /// <summary>The least number of characters to insert, delete, replace or swap with a neighbour that makes one word of the other.</summary>
    internal static int Distance(string a, string b)
    {
        var table = new int[a.Length + 1, b.Length + 1];
        for (var i = 0; i <= a.Length; i++)
        {
            for (var j = 0; j <= b.Length; j++)
            {
                if (i == 0 || j == 0)
                {
                    table[i, j] = i + j;
                    continue;
                }
                var cost = a[i - 1] == b[j - 1] ? 0 : 1;
                table[i, j] = Math.Min(Math.Min(table[i - 1, j], table[i, j - 1]) + 1, table[i - 1, j - 1] + cost);
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) table[i, j] = Math.Min(table[i, j], table[i - 2, j - 2] + 1);
            }
        }
        return table[a.Length, b.Length];
    }

    private static string Unknown(string what, string word, IEnumerable<string> known, string help)
    {
        var nearest = known.MinBy(name => Distance(word, name));
        return nearest is not null && Distance(word, nearest) < FarOff ? $"there is no {what} '{word}'; did you mean '{nearest}'?" : $"there is no {what} '{word}'; {help}";
    }

    private static string Path(Command command) =>
        command is RootCommand ? "" : $"{(command.Parents.FirstOrDefault() is Command parent ? Path(parent) : "")}{command.Name} ";
}
