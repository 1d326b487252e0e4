// The configurations that one body of a boot test is run over: engine × machine × guest.
using Lamina.Choice;
using Xunit;

namespace Lamina.Tests.Boot.Support;

/// <summary>An engine, a machine, a memory size and a number of virtual CPUs.</summary>
internal sealed record GuestConfiguration(EngineChoice Engine, MachineType Machine, ulong MemoryBytes, int Cpus = 1)
{
    /// <summary>The trait of tests that the nested test runs, too: those that do not take long at the speed of an emulated CPU.</summary>
    internal const string Nested = "Nested";

    private const ulong MiB = 1 << 20;

    private const string TranslatorPc = "translator, pc, 256M, 2 CPUs", KvmPc = "kvm, pc, 256M, 2 CPUs";

    // What the host's hardware virtualization is worth, found once.
    private static readonly Lazy<KvmVerdict> Kvm = new(() => new KvmHost().Judge());

    // By name, so that the runner shows and selects them.
    private static readonly Dictionary<string, GuestConfiguration> ByName = new()
    {
        ["translator, micro, 256M"] = new(EngineChoice.Translator, MachineType.Micro, 256 * MiB),
        ["translator, micro, 128M"] = new(EngineChoice.Translator, MachineType.Micro, 128 * MiB),
        ["translator, micro, 8G"] = new(EngineChoice.Translator, MachineType.Micro, 8192 * MiB),
        ["translator, micro, 256M, 2 CPUs"] = new(EngineChoice.Translator, MachineType.Micro, 256 * MiB, Cpus: 2),
        [TranslatorPc] = new(EngineChoice.Translator, MachineType.Pc, 256 * MiB, Cpus: 2),
        ["kvm, micro, 256M"] = new(EngineChoice.Kvm, MachineType.Micro, 256 * MiB),
        ["kvm, micro, 256M, 2 CPUs"] = new(EngineChoice.Kvm, MachineType.Micro, 256 * MiB, Cpus: 2),
        [KvmPc] = new(EngineChoice.Kvm, MachineType.Pc, 256 * MiB, Cpus: 2),
    };

    private static IEnumerable<KeyValuePair<string, GuestConfiguration>> Asked => ByName.Where(c => TestEngine.Only is not { } only || c.Value.Engine == only);

    /// <summary>Every configuration.</summary>
    public static TheoryData<string> All => [.. Asked.Select(c => c.Key)];

    /// <summary>One of each engine and number of CPUs: for what does not depend on the kind of machine.</summary>
    public static TheoryData<string> OneOfEach => [.. Asked.Where(c => c.Value is { MemoryBytes: 256 * MiB, Machine: MachineType.Micro }).Select(c => c.Key)];

    /// <summary>One of each engine and machine: for what a guest does with its devices, and how it ends.</summary>
    public static TheoryData<string> OneOfEachMachine => [.. Asked.Where(c => c.Value.MemoryBytes == 256 * MiB).Select(c => c.Key)];

    /// <summary>The same where every test is asked for; else as <see cref="OneOfEach"/>: for what would show in other tests on that machine, too.</summary>
    public static TheoryData<string> OneOfEachMachineWhereAsked => AllTests.AreAsked ? OneOfEachMachine : OneOfEach;

    /// <summary>All of <see cref="OneOfEach"/> where every test is asked for; else the first alone: for what takes long.</summary>
    public static TheoryData<string> OneOfEachWhereAsked => AllTests.AreAsked ? OneOfEach : [OneOfEach.First().Data];

    /// <summary>The machine pc on the engine that is tried.</summary>
    internal static string Pc => TestEngine.Only == EngineChoice.Kvm ? KvmPc : TranslatorPc;

    /// <summary>A configuration by its name; skips the test where the host cannot run an ordinary kernel on its engine.</summary>
    internal static GuestConfiguration Of(string name)
    {
        var configuration = ByName[name];
        if (configuration.Engine == EngineChoice.Kvm)
            Assert.SkipUnless(Kvm.Value.IsHardware, Kvm.Value.WhyNot ?? $"/dev/kvm is software-assisted here and runs kernels at {Kvm.Value.Speed}; {WhoRuns}");
        return configuration;
    }

    // The nested test has the time for some.
    private static string WhoRuns => TestContext.Current.TestCase?.Traits.ContainsKey(Nested) == true ? "the nested test runs this" : "hosts with hardware virtualization run this";
}
