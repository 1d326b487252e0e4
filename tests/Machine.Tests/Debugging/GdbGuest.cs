// A guest of the fake engine with a debugger attached to it.
using System.Buffers.Binary;
using Lamina.Tests.Machines.Life;
using Xunit;
using static Lamina.Tests.Machines.Life.TestMachines;

namespace Lamina.Tests.Machines.Debugging;

internal sealed class GdbGuest : IAsyncDisposable
{
    private GdbGuest(Machine machine, FakeVcpu vcpu, Task<MachineResult> run, GdbClient gdb) => (Machine, Vcpu, Run, Gdb) = (machine, vcpu, run, gdb);

    internal Machine Machine { get; }

    internal FakeVcpu Vcpu { get; }

    internal Task<MachineResult> Run { get; }

    internal GdbClient Gdb { get; }

    internal static async Task<GdbGuest> StartAsync(KernelFolder folder, Func<FakeVcpu, IEnumerable<FakeStep>> script, GdbArchitecture architecture = default)
    {
        var engine = new FakeEngine(script);
        var machine = Create(Spec(folder) with { GdbPort = 0, GdbArchitecture = architecture }, engine);
        var run = machine.RunAsync(TestContext.Current.CancellationToken);
        return new GdbGuest(machine, engine.Machines[0].Vcpus[0], run, await GdbClient.ConnectAsync(machine.GdbPort!.Value));
    }

    internal async Task<ulong> RipAsync() => BinaryPrimitives.ReadUInt64LittleEndian(Convert.FromHexString(await Gdb.AskAsync("p10")));

    public async ValueTask DisposeAsync()
    {
        Gdb.Dispose();
        await Machine.DisposeAsync();
    }
}
