// The engine that tests run on where they do not choose one, and the only one where somebody asked for just that: as the nested
// test does, which runs these tests in a guest of its own.
namespace Lamina.Tests.Support;

internal static class TestEngine
{
    private const string Variable = "LAMINA_TEST_ENGINE";

    /// <summary>The only engine to test; null for all.</summary>
    internal static EngineChoice? Only { get; } = Environment.GetEnvironmentVariable(Variable) switch
    {
        null or "" => null,
        "kvm" => EngineChoice.Kvm,
        "translator" => EngineChoice.Translator,
        var other => throw new InvalidOperationException($"{Variable} is '{other}'; it can be kvm or translator"),
    };

    /// <summary>The engine of tests that do not choose.</summary>
    internal static EngineChoice Default => Only ?? EngineChoice.Translator;
}
