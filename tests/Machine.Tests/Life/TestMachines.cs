// Machines for the tests of their lives: a tiny kernel in memory, a fake engine with a script, everything else real.
using Lamina.Tests.Machines.Boot;

namespace Lamina.Tests.Machines.Life;

/// <summary>A folder with a kernel in it, for as long as a test.</summary>
internal sealed class KernelFolder : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("lamina-test-").FullName;

    internal KernelFolder() => File("vmlinuz", KernelImages.BzImage());

    internal string Kernel => Path.Combine(_folder, "vmlinuz");

    internal string In(string name) => Path.Combine(_folder, name);

    /// <summary>Makes a file, and says where.</summary>
    internal string File(string name, byte[] content)
    {
        System.IO.File.WriteAllBytes(In(name), content);
        return In(name);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);
}

internal static class TestMachines
{
    internal const ushort Com1 = 0x3F8, DebugExitPort = 0xF4, PowerPort = 0x604, KeyboardCommand = 0x64, PvPanic = 0x505;

    internal static MachineDefinition Spec(KernelFolder folder) => new()
    {
        Boot = new BootSource { KernelPath = folder.Kernel },
        MemoryBytes = 64 << 20,
        DebugExitPort = DebugExitPort,
    };

    internal static Machine Create(MachineDefinition spec, Func<FakeVcpu, IEnumerable<FakeStep>> script) => Create(spec, new FakeEngine(script));

    internal static Machine Create(MachineDefinition spec, FakeEngine engine, TimeProvider? time = null) =>
        Machine.Create(spec, new MachineHooks { Time = time ?? TimeProvider.System }, new MachineServices { Engine = engine });

    internal static Machine Create(MachineDefinition spec, MachineHooks hooks, Func<FakeVcpu, IEnumerable<FakeStep>> script) =>
        Machine.Create(spec, hooks, new MachineServices { Engine = new FakeEngine(script) });

    /// <summary>A script that does things and then halts for good.</summary>
    internal static Func<FakeVcpu, IEnumerable<FakeStep>> Do(params Action<FakeVcpu>[] actions) => vcpu => Run(vcpu, actions);

    internal static IEnumerable<FakeStep> Forever(FakeVcpu vcpu)
    {
        while (true) yield return FakeStep.Continue;
    }

    internal static void Print(FakeVcpu vcpu, string text)
    {
        foreach (var character in text) vcpu.Out(Com1, (byte)character);
    }

    /// <summary>The value of a counter that one part alone has.</summary>
    internal static long Count(this Machine machine, string counter) => machine.Counters.Single(one => one.Name == counter).Value;

    internal static void PowerOff(FakeVcpu vcpu) => vcpu.Out(PowerPort + 1, 0x34);

    internal static void Reset(FakeVcpu vcpu) => vcpu.Out(KeyboardCommand, 0xFE);

    private static IEnumerable<FakeStep> Run(FakeVcpu vcpu, Action<FakeVcpu>[] actions)
    {
        foreach (var action in actions)
        {
            action(vcpu);
            yield return FakeStep.Continue;
        }
        yield return FakeStep.Halt;
    }
}
