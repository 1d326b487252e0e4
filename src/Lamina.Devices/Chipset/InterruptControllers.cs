// All interrupt controllers of a PC, created and wired together: the 8259 pair's output goes to LINT0 of the local APICs
// and to input 0 of the I/O APIC. The local APICs are either devices of the machine or the engine's own.
using Lamina.Core.Bus;
using Lamina.Core.Interrupts;
using Lamina.Core.Time;

namespace Lamina.Devices.Chipset;

/// <summary>The interrupt controllers of one machine.</summary>
public sealed class InterruptControllers : IDisposable
{
    private readonly IEngineLocalApics? _engine;

    /// <summary>Creates and wires them.</summary>
    /// <param name="clock">For the local APICs' timers.</param>
    /// <param name="vcpuCount">How many local APICs: 1 to 255.</param>
    /// <param name="physicalAddressBits">The CPUs' MAXPHYADDR.</param>
    public InterruptControllers(IMachineClock clock, int vcpuCount, int physicalAddressBits = 52)
    {
        Bus = new ApicBus();
        for (var id = 0; id < vcpuCount; id++) _ = new LocalApic(id, clock, Bus, physicalAddressBits);
        IoApic = new IoApic(Bus);
        Pic = new Pic8259Pair(new PicOutput(Bus.ExternalLine, IoApic));
        Bus.Connect(IoApic);
        Bus.Connect(Pic);
        Router = new InterruptRouter(Pic, IoApic);
    }

    /// <summary>Creates those that are left where the engine has the local APICs, and wires them to it.</summary>
    public InterruptControllers(IEngineLocalApics engine)
    {
        _engine = engine;
        IoApic = new IoApic(engine, engine.SetRoute);
        Pic = new Pic8259Pair(new PicOutput(engine.ExternalLine, IoApic));
        engine.Connect(IoApic, Pic);
        Router = new InterruptRouter(Pic, IoApic);
    }

    /// <summary>The bus between them; null where the local APICs are the engine's, which carries messages itself.</summary>
    public ApicBus? Bus { get; }

    /// <summary>The local APICs, by vCPU index; none where they are the engine's.</summary>
    public IReadOnlyList<LocalApic> LocalApics => Bus?.LocalApics ?? [];

    /// <summary>The I/O APIC.</summary>
    public IoApic IoApic { get; }

    /// <summary>The 8259 pair.</summary>
    public Pic8259Pair Pic { get; }

    /// <summary>Where devices get their lines.</summary>
    public InterruptRouter Router { get; }

    /// <summary>Claims ports and memory of the 8259 pair and the I/O APIC. Local APICs are reached through their vCPUs.</summary>
    public void Map(Bus ports, Bus memory)
    {
        Pic.MapPorts(ports);
        IoApic.MapMemory(memory);
    }

    /// <summary>RESET of all of them; lines keep the levels that devices drive.</summary>
    public void Reset()
    {
        Pic.Reset();
        IoApic.Reset();
        foreach (var apic in LocalApics) apic.Reset();
        _engine?.Reset();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var apic in LocalApics) apic.Dispose();
    }

    private sealed class PicOutput(IInterruptLine pins, IoApic ioApic) : IInterruptLine
    {
        public void SetLevel(bool asserted)
        {
            pins.SetLevel(asserted);
            ioApic.SetLine(InterruptRouterSpec.ExternalGsi, asserted);
        }
    }
}
