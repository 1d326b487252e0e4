// What a KVM exit costs in Lamina: a guest in real mode writes to a port for ever, and a device on the bus counts the writes. Prints
// nanoseconds a write; bench/KvmExit/run sets it beside the same guest under a minimal C program (exit.c).
using System.Diagnostics;
using System.Globalization;
using Lamina.Backends.Time;
using Lamina.Core.Bus;
using Lamina.Core.Engine;
using Lamina.Core.Memory;
using Lamina.Devices.Chipset;
using Lamina.Engines.Kvm;

const ulong code = 0x1000;
const ushort port = 0x80;
var writes = int.Parse(args[0], CultureInfo.InvariantCulture);

using var memory = new GuestMemory([new MemoryRange(0, 1 << 20)]);
memory.TryWrite(code, [0xe6, (byte)port, 0xeb, 0xfc]);
using var clock = new MachineClock();
using var machine = new KvmEngine().CreateMachine(new EngineMachineOptions(memory, clock, 1));
using var controllers = machine.Irqchip is { } kernels ? new InterruptControllers(kernels, 1) : new InterruptControllers(clock, 1);
var bus = new Bus("port");
controllers.Map(bus, new Bus("memory"));
using var vcpu = machine.CreateVcpu(new VcpuOptions(0, new PortsOnly(bus), controllers.LocalApics.FirstOrDefault()));
foreach (var apic in controllers.LocalApics) apic.Attach(vcpu);
// A quarter of the writes warms up.
var counter = new Counter(writes / 4, writes, vcpu.Kick);
bus.Map(port, 1, counter);
var state = new VcpuState();
vcpu.GetState(state);
state.Segments[SegmentIndex.Cs].Selector = 0;
state.Segments[SegmentIndex.Cs].Base = 0;
state.Rip = code;
vcpu.SetState(state);
if (vcpu.Run() != VcpuExit.Kicked) throw new InvalidOperationException(vcpu.Failure);
Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{counter.Elapsed.TotalNanoseconds / (writes - writes / 4):0}"));

internal sealed class Counter(int first, int last, Action ended) : IBusDevice
{
    private int _count;
    private long _start;

    public TimeSpan Elapsed { get; private set; }

    public AccessResult Read(ulong offset, Span<byte> data) => AccessResult.Unclaimed;

    public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
    {
        if (++_count == first) _start = Stopwatch.GetTimestamp();
        else if (_count == last)
        {
            Elapsed = Stopwatch.GetElapsedTime(_start);
            ended();
        }
        return AccessResult.Ok;
    }
}

internal sealed class PortsOnly(Bus ports) : IVcpuBus
{
    public void ReadPort(ushort port, Span<byte> data) => ports.Read(port, data);

    public void WritePort(ushort port, ReadOnlySpan<byte> data) => ports.Write(port, data);

    public void ReadMemory(ulong address, Span<byte> data) => data.Fill(0xff);

    public void WriteMemory(ulong address, ReadOnlySpan<byte> data)
    {
    }
}
