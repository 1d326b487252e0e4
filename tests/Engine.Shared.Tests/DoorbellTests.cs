// Stores that wake a worker of a device by the kernel's hand: the vCPU does not leave the guest, and the bus sees only the others.
using Lamina.Backends.Work;
using Lamina.Core.Work;
using Lamina.Tests.Engine.Shared.Guest;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Lamina.Tests.Engine.Shared;

public sealed class DoorbellTests
{
    private const uint Bell = 0x50;

    public static TheoryData<string> Engines => [.. EngineKind.All.Where(EngineKind.IsKvm)];

    [Theory]
    [MemberData(nameof(Engines))]
    public void A_store_of_the_value_wakes_the_worker_and_others_reach_the_bus(string engine)
    {
        var program = new GuestProgram(GuestMode.Long, c =>
        {
            c.mov(ebx, Layout.Device + Bell);
            c.mov(__dword_ptr[rbx], 5);
            c.mov(__dword_ptr[rbx], 6);
            c.mov(__word_ptr[rbx], 5);
            c.mov(__dword_ptr[rbx + 4], 5);
            c.mov(__dword_ptr[rbx], 5);
        }, (_, _) => { });
        using var ran = new SemaphoreSlim(0);
        using var machine = new SmallMachine(engine);
        using var worker = new WorkerThreads(byDescriptor: true).Create("test", () => ran.Release());
        var doorbells = machine.Machine.Doorbells;
        Assert.SkipWhen(doorbells is null, "the host's kernel has no doorbells (KVM_CAP_IOEVENTFD)");
        Assert.True(doorbells.TryConnect(Layout.Device + Bell, 5, worker));

        program.Run(machine);

        Assert.True(ran.Wait(TimeSpan.FromSeconds(10), TestContext.Current.CancellationToken), "the worker was not woken");
        Assert.Equal([(Bell, 4, true), (Bell, 2, true), (Bell + 4, 4, true)], machine.Device.Accesses);
    }

    [Theory]
    [MemberData(nameof(Engines))]
    public void A_worker_that_the_kernel_cannot_wake_is_refused_and_the_stores_reach_the_bus(string engine)
    {
        using var machine = new SmallMachine(engine);
        using var worker = new Unreachable();
        Assert.False(machine.Machine.Doorbells?.TryConnect(Layout.Device, 1, worker) ?? false);
    }

    private sealed class Unreachable : IWorker
    {
        public void Wake()
        {
        }

        public void Dispose()
        {
        }
    }
}
