// The engine that tests run on where they do not choose one, and the only one where somebody asked for just that: as the nested
// test does, which runs these tests in a guest of its own.
namespace Lamina.Tests.Boot.Support;

internal static class TestEngine
{
    private const string Variable = "LAMINA_TEST_ENGINE";

    private static readonly (EngineChoice? Engine, IrqchipChoice Irqchip) s_asked = Environment.GetEnvironmentVariable(Variable) switch
    {
        null or "" => (null, IrqchipChoice.Auto),
        "kvm" => (EngineChoice.Kvm, IrqchipChoice.Auto),
        "kvm-user" => (EngineChoice.Kvm, IrqchipChoice.User),
        "kvm-split" => (EngineChoice.Kvm, IrqchipChoice.Split),
        "kvm-kernel" => (EngineChoice.Kvm, IrqchipChoice.Kernel),
        "translator" => (EngineChoice.Translator, IrqchipChoice.Auto),
        var other => throw new InvalidOperationException($"{Variable} is '{other}'; it can be kvm, kvm-user, kvm-split, kvm-kernel or translator"),
    };

    /// <summary>The only engine to test; null for all.</summary>
    internal static EngineChoice? Only => s_asked.Engine;

    /// <summary>The engine of tests that do not choose.</summary>
    internal static EngineChoice Default => Only ?? EngineChoice.Translator;

    /// <summary>Where the interrupt controllers are.</summary>
    internal static IrqchipChoice Irqchip => s_asked.Irqchip;
}
