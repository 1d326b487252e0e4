// Times a loop of kernel-mode instructions on an engine: what decides whether a /dev/kvm is worth using, and what doctor tells
// of each engine.
using System.Diagnostics;
using Lamina.Core.Bus;
using Lamina.Core.Engine;
using Lamina.Core.Interrupts;
using Lamina.Core.Memory;
using Lamina.Core.Time;
using Lamina.Host;

namespace Lamina.Engines;

/// <summary>The speed of a guest's kernel mode.</summary>
public static class KernelModeSpeed
{
    private const ulong RamSize = 1 << 20, Tables = 0x1000, Code = 0x8000;
    private const uint FewIterations = 20_000, MoreIterations = 200_000, ManyIterations = 4_000_000;
    private const int Attempts = 3;
    private const double InstructionsPerIteration = 2, Slow = 10e6, Fast = 1e9;
    private const ushort MarkPort = 0x80;

    /// <summary>Times a loop of 64-bit kernel-mode instructions; takes some tenths of a second where they are emulated.</summary>
    /// <returns>Instructions a second.</returns>
    /// <exception cref="HostException">The host refuses something on the way.</exception>
    public static double Measure(IEngine engine)
    {
        // The best of several runs counts, because a busy host takes the processor away in between; and longer runs count as well,
        // because in a short one the time may be that of entering the guest. The longest is only for what is not emulated.
        var speed = Enumerable.Range(0, Attempts).Max(_ => Measure(engine, FewIterations));
        if (speed < Fast) speed = Math.Max(speed, Measure(engine, MoreIterations));
        return speed < Slow ? speed : Math.Max(speed, Measure(engine, ManyIterations));
    }

    private static double Measure(IEngine engine, uint iterations)
    {
        using var memory = new GuestMemory([new MemoryRange(0, RamSize)]);
        WriteProgram(memory, iterations);
        var bus = new MarkBus();
        using var machine = engine.CreateMachine(new EngineMachineOptions(memory, new StillClock(), 1));
        using var vcpu = machine.CreateVcpu(new VcpuOptions(0, bus, machine.Irqchip is null ? new NoApic() : null));
        bus.Ended = vcpu.Kick;
        var state = new VcpuState();
        vcpu.GetState(state);
        Enter(state);
        vcpu.SetState(state);
        // A guest that does not come to its end is no guest to rely on.
        using var patience = new Timer(_ => vcpu.Kick(), null, TimeSpan.FromSeconds(3), Timeout.InfiniteTimeSpan);
        var exit = vcpu.Run();
        if (exit == VcpuExit.Failed) throw new HostException(vcpu.Failure!);
        return bus.Marks == 2 ? InstructionsPerIteration * iterations / Math.Max(Stopwatch.GetElapsedTime(bus.First, bus.Last).TotalSeconds, 1e-9) : 0;
    }

    private static void WriteProgram(GuestMemory memory, uint iterations)
    {
        const ulong present = 1, writable = 2, large = 0x80;
        byte[] code =
        [
            0xe6, (byte)MarkPort,                                                       // out MarkPort, al
            0xb9, (byte)iterations, (byte)(iterations >> 8), (byte)(iterations >> 16), 0,       // mov ecx, iterations
            0xff, 0xc9, 0x75, 0xfc,                                                     // again: dec ecx; jnz again
            0xe6, (byte)MarkPort, 0xf4, 0xeb, 0xfd,                                     // out MarkPort, al; hlt, for ever
        ];
        memory.TryWrite(Tables, (Tables + 0x1000) | present | writable);
        memory.TryWrite(Tables + 0x1000, (Tables + 0x2000) | present | writable);
        memory.TryWrite(Tables + 0x2000, present | writable | large);
        memory.TryWrite(Code, code);
    }

    private static void Enter(VcpuState state)
    {
        const uint code64 = 0xa09b, data = 0xc093;
        const ulong pe = 1, et = 1 << 4, pg = 1u << 31, pae = 1 << 5, lme = 1 << 8, lma = 1 << 10;
        (state.Cr0, state.Cr3, state.Cr4, state.Efer) = (pe | et | pg, Tables, pae, lme | lma);
        (state.Rip, state.Rflags) = (Code, 2);
        foreach (var index in (ReadOnlySpan<int>)[SegmentIndex.Es, SegmentIndex.Ss, SegmentIndex.Ds, SegmentIndex.Fs, SegmentIndex.Gs])
            state.Segments[index] = new SegmentState { Selector = 0x18, Limit = uint.MaxValue, Attributes = data };
        state.Segments[SegmentIndex.Cs] = new SegmentState { Selector = 0x10, Limit = uint.MaxValue, Attributes = code64 };
    }

    /// <summary>Notes when the guest passes its two marks.</summary>
    private sealed class MarkBus : IVcpuBus
    {
        public Action? Ended { get; set; }

        public int Marks { get; private set; }

        public long First { get; private set; }

        public long Last { get; private set; }

        public void ReadPort(ushort port, Span<byte> data) => data.Fill(0xff);

        public void WritePort(ushort port, ReadOnlySpan<byte> data)
        {
            Last = Stopwatch.GetTimestamp();
            if (++Marks == 1) First = Last;
            else Ended!();
        }

        public void ReadMemory(ulong address, Span<byte> data) => data.Fill(0xff);

        public void WriteMemory(ulong address, ReadOnlySpan<byte> data)
        {
        }
    }

    /// <summary>No interrupts.</summary>
    private sealed class NoApic : ILocalInterruptController, IBusDevice
    {
        public bool HasInterrupt => false;

        public byte TaskPriority { get; set; }

        public ulong? MmioBase => null;

        public IBusDevice Mmio => this;

        public int Acknowledge() => -1;

        public bool TryReadMsr(uint index, out ulong value)
        {
            value = 0;
            return false;
        }

        public bool TryWriteMsr(uint index, ulong value) => false;

        public void Init()
        {
        }

        public void Reset()
        {
        }

        public AccessResult Read(ulong offset, Span<byte> data) => AccessResult.Unclaimed;

        public AccessResult Write(ulong offset, ReadOnlySpan<byte> data) => AccessResult.Unclaimed;
    }

    /// <summary>The guest does not ask for the time.</summary>
    private sealed class StillClock : IMachineClock
    {
        public long NowNanoseconds => 0;

        public DateTimeOffset WallClock => DateTimeOffset.UnixEpoch;

        public ulong TscHz => 1_000_000_000;

        public ulong ReadTsc() => 0;

        public IDeviceTimer CreateTimer(Action expired) => throw new NotSupportedException("the guest of the timed run has no timers");
    }
}
