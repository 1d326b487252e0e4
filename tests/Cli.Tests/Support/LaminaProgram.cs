namespace Lamina.Tests.Cli.Support;

/// <summary>The program itself.</summary>
internal static class LaminaProgram
{
    private static string File => Path.Combine(AppContext.BaseDirectory, "lamina");

    public static Task<Outcome> RunAsync(IEnumerable<string> words, IReadOnlyDictionary<string, string?>? environment = null) =>
        HostProcess.RunAsync(File, words, environment);

    public static HostProcess Start(IEnumerable<string> words, IReadOnlyDictionary<string, string?>? environment = null) =>
        HostProcess.Start(File, words, environment);
}
