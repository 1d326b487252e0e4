// What is said where the words are not understood: the first mistake, and the word that may have been meant.
using System.CommandLine;
using System.CommandLine.Parsing;

namespace Lamina.Cli;

/// <summary>Sentences about words that are not understood.</summary>
internal static class Suggestions
{
    /// <summary>One sentence about the first mistake.</summary>
    public static string Describe(ParseResult parsed)
    {
        var command = parsed.CommandResult.Command;
        var help = $"'lamina {Path(command)}--help' shows what there is";
        // An option that is not known may have been taken for a word of the command.
        var words = parsed.CommandResult.Children.OfType<ArgumentResult>().SelectMany(word => word.Tokens.Select(token => token.Value)).Concat(parsed.UnmatchedTokens);
        if (words.FirstOrDefault(word => word.Length > 1 && word[0] == '-') is { } option)
            return Unknown("option", option, command.Options.Select(known => known.Name), help);
        if (parsed.UnmatchedTokens.Count > 0 && command.Subcommands.Where(sub => sub.Subcommands.Any(known => known.Name == parsed.UnmatchedTokens[0])).ToList() is { Count: > 0 } owners)
            return $"there is no command '{parsed.UnmatchedTokens[0]}'; there {(owners.Count == 1 ? "is" : "are")} {Property.Enumerate([.. owners.Select(owner => $"'lamina {Path(owner)}{parsed.UnmatchedTokens[0]}'")])}";
        if (parsed.UnmatchedTokens.Count > 0)
            return command.Subcommands.Count > 0
                ? Unknown("command", parsed.UnmatchedTokens[0], command.Subcommands.Select(known => known.Name), help)
                : $"'{parsed.UnmatchedTokens[0]}' is one word too many; {help}";
        if (command.Subcommands.Count > 0 && command.Action is null) return $"a command is missing; {help}";
        var error = parsed.Errors.FirstOrDefault(error => error.SymbolResult is OptionResult { Tokens.Count: 0 }) ?? parsed.Errors[0];
        return error.SymbolResult switch
        {
            OptionResult { Tokens.Count: > 1 } twice => $"{twice.Option.Name} is given {twice.IdentifierTokenCount} times ('{string.Join("', '", twice.Tokens.Select(token => token.Value))}'); once is what it takes",
            OptionResult { Tokens.Count: 0 } missing => $"{missing.Option.Name} needs a value: {missing.Option.HelpName}",
            ArgumentResult { Tokens.Count: 0 } missing => $"{missing.Argument.HelpName} is missing; {help}",
            _ => error.Message.TrimEnd('.'),
        };
    }

    private static string Unknown(string what, string word, IEnumerable<string> known, string help)
    {
        return Spelling.Nearest(word, known) is { } nearest ? $"there is no {what} '{word}'; did you mean '{nearest}'?" : $"there is no {what} '{word}'; {help}";
    }

    private static string Path(Command command) =>
        command is RootCommand ? "" : $"{(command.Parents.FirstOrDefault() is Command parent ? Path(parent) : "")}{command.Name} ";
}
