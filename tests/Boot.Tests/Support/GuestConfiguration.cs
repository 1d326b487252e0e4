// The configurations that one body of a boot test is run over: engine × machine × guest.
using Xunit;

namespace Lamina.Tests.Support;

/// <summary>An engine, a machine and a memory size.</summary>
internal sealed record GuestConfiguration(EngineChoice Engine, MachineType Machine, ulong MemoryBytes)
{
    private const ulong MiB = 1 << 20;

    // By name, so that the runner shows and selects them.
    private static readonly Dictionary<string, GuestConfiguration> ByName = new()
    {
        ["translator, micro, 256M"] = new(EngineChoice.Translator, MachineType.Micro, 256 * MiB),
        ["translator, micro, 128M"] = new(EngineChoice.Translator, MachineType.Micro, 128 * MiB),
        ["translator, micro, 8G"] = new(EngineChoice.Translator, MachineType.Micro, 8192 * MiB),
    };

    /// <summary>Every configuration.</summary>
    public static TheoryData<string> All => [.. ByName.Keys];

    /// <summary>One of each engine and machine.</summary>
    public static TheoryData<string> OneOfEach => [.. ByName.Where(c => c.Value.MemoryBytes == 256 * MiB).Select(c => c.Key)];

    internal static GuestConfiguration Of(string name) => ByName[name];
}
