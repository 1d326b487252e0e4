// The program's entrance: hands the words to the verbs and turns every failure into one sentence and an exit code.
// Nothing here knows what a verb does.
using Lamina.Cli.Output;
using Lamina.Host.Io;

namespace Lamina.Cli;

internal static class Program
{
    private static int Main(string[] words)
    {
        try
        {
            HostLimits.IgnoreFileSizeSignal();
            var (own, guests) = Commands.Split(words);
            var root = Commands.Create(own, guests);
            var parsed = root.Parse(own, Commands.Parsing);
            if (parsed.Errors.Count == 0 || parsed.Action is { ClearsParseErrors: true }) return parsed.Invoke(Commands.Invocation);
            Stderr.Say(Suggestions.Describe(parsed));
            return ExitCode.Usage;
        }
        catch (Exception failure)
        {
            return Failures.Report(failure);
        }
        finally
        {
            TerminalGuard.Dismiss();
        }
    }
}
