namespace Lamina.Tests.Cli.Support;

/// <summary>The program itself: the one that ./test built, which is native code where that can be had, else what stands beside the tests.</summary>
internal static class LaminaProgram
{
    private const string Variable = "LAMINA_TEST_PROGRAM";

    /// <summary>The program's file.</summary>
    public static string File { get; } = Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } built ? built : Path.Combine(AppContext.BaseDirectory, "lamina");

    /// <summary>Whether it is one file of native code.</summary>
    public static bool IsNative => System.IO.File.Exists(File) && !System.IO.File.Exists(Path.ChangeExtension(File, ".dll"));

    public static Task<Outcome> RunAsync(IEnumerable<string> words, IReadOnlyDictionary<string, string?>? environment = null) =>
        HostProcess.RunAsync(File, words, environment);

    public static HostProcess Start(IEnumerable<string> words, IReadOnlyDictionary<string, string?>? environment = null) =>
        HostProcess.Start(File, words, environment);
}
