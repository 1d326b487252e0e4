// Writes manual pages for man(1) from the commands themselves, as HelpPage does for terminals: what one tells the other tells, too.
// The markup is man(7).
using System.CommandLine;
using System.CommandLine.Help;
using System.Text;

namespace Lamina.Cli;

/// <summary>A manual page of section 1.</summary>
internal static class ManualPage
{
    /// <summary>The name of a command's page, without the section: "lamina-run".</summary>
    public static string NameOf(Command command) => command is RootCommand ? "lamina" : $"lamina-{command.Name}";

    /// <summary>Writes the page of the program or of one of its commands, with all that is below that.</summary>
    /// <param name="command">Which.</param>
    /// <param name="version">The program's version.</param>
    public static string Write(Command command, string version)
    {
        var page = new StringBuilder();
        var name = NameOf(command);
        _ = page.Append(".TH ").Append(Escape(name.ToUpperInvariant())).Append(" 1 \"\" \"lamina ").Append(Escape(version)).Append("\" \"Lamina\"\n");
        _ = page.Append(".SH NAME\n").Append(Escape(name)).Append(" \\- ").Append(Escape((command.Description ?? "").TrimEnd('.'))).Append('\n');
        _ = page.Append(".SH SYNOPSIS\n");
        Synopsis(page, command);
        if (command is RootCommand)
        {
            Heading(page, "Commands", isPart: false);
            foreach (var sub in Shown(command)) Row(page, $"lamina {sub.Name}", sub.Description ?? "");
            Heading(page, "See also", isPart: false);
            _ = page.Append(string.Join(",\n", Shown(command).Select(sub => $".BR {Escape(NameOf(sub))} (1)"))).Append('\n');
            return page.ToString();
        }
        Body(page, command, isPart: false);
        foreach (var sub in Shown(command))
        {
            Heading(page, $"lamina {command.Name} {sub.Name}", isPart: false);
            Synopsis(page, sub);
            _ = page.Append(".PP\n").Append(Escape(sub.Description ?? "")).Append('\n');
            Body(page, sub, isPart: true);
        }
        Heading(page, "See also", isPart: false);
        _ = page.Append(".BR lamina (1)\n");
        return page.ToString();
    }

    private static IEnumerable<Command> Shown(Command command) => command.Subcommands.Where(sub => !sub.Hidden);

    private static void Synopsis(StringBuilder page, Command command)
    {
        if (Shown(command).Any() && command is not RootCommand)
        {
            foreach (var sub in Shown(command)) _ = page.Append(Escape(HelpPage.Usage(sub))).Append("\n.br\n");
            return;
        }
        _ = page.Append(Escape(HelpPage.Usage(command))).Append('\n');
    }

    private static void Body(StringBuilder page, Command command, bool isPart)
    {
        Rows(page, "Words", isPart, command.Arguments.Where(argument => !argument.Hidden).Select(argument => (argument.HelpName ?? argument.Name, argument.Description ?? "")));
        if (command is not Verb verb) return;
        foreach (var group in verb.Groups) Rows(page, group.Title, isPart, group.Options.Select(HelpPage.Row));
        foreach (var section in verb.Sections()) Rows(page, section.Title, isPart, section.Rows);
    }

    private static void Rows(StringBuilder page, string title, bool isPart, IEnumerable<(string Left, string Right)> rows)
    {
        var all = rows.ToArray();
        if (all.Length == 0) return;
        Heading(page, title, isPart);
        foreach (var (left, right) in all)
        {
            if (right.Length > 0) Row(page, left, right);
            else _ = page.Append(".nf\n").Append(Escape(left)).Append("\n.fi\n");
        }
    }

    private static void Heading(StringBuilder page, string title, bool isPart) =>
        page.Append(isPart ? ".SS " : ".SH ").Append('"').Append(Escape(isPart ? title : title.ToUpperInvariant())).Append("\"\n");

    private static void Row(StringBuilder page, string left, string right) => page.Append(".TP\n\\fB").Append(Escape(left)).Append("\\fR\n").Append(Escape(right)).Append('\n');

    // man(7), "Portability", and groff(7): a backslash begins an escape, a hyphen alone is none that can be copied, and a line that begins
    // with a dot or an apostrophe is a request. What is not ASCII goes by its number, so that it matters to nobody how the file is read.
    private static string Escape(string text)
    {
        var escaped = text.Replace("\\", "\\e", StringComparison.Ordinal).Replace("-", "\\-", StringComparison.Ordinal).Replace("\"", "\\(dq", StringComparison.Ordinal);
        if (!Ascii.IsValid(escaped)) escaped = string.Concat(escaped.EnumerateRunes().Select(rune => rune.IsAscii ? rune.ToString() : $"\\[u{rune.Value:X4}]"));
        return escaped.Length > 0 && escaped[0] is '.' or '\'' ? $"\\&{escaped}" : escaped;
    }
}
