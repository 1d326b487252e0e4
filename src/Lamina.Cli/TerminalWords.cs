// What a guest on a serial line cannot know of the user's terminal: its kind and size, as words of the kernel's command
// line, which Linux hands to /init as environment variables.
namespace Lamina.Cli;

/// <summary>The terminal, told to a guest.</summary>
internal static class TerminalWords
{
    /// <summary>" TERM=… LINES=… COLUMNS=…" where the program is attached to a terminal; else nothing.</summary>
    public static string ForGuest()
    {
        if (Console.IsInputRedirected || Console.IsOutputRedirected) return "";
        return Describe(Environment.GetEnvironmentVariable("TERM"), Console.WindowHeight, Console.WindowWidth);
    }

    /// <summary>The words for a kind and a size; what is not known or not plain is left out.</summary>
    internal static string Describe(string? kind, int lines, int columns)
    {
        var plain = !string.IsNullOrEmpty(kind) && kind.Length < 40 && kind.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '+' or '.' or '_');
        return (plain ? $" TERM={kind}" : "") + (lines > 0 && columns > 0 ? $" LINES={lines} COLUMNS={columns}" : "");
    }
}
