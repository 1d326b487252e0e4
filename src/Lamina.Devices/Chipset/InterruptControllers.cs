// All interrupt controllers of a PC, created and wired together: the 8259 pair's output goes to LINT0 of the local APICs
// and to input 0 of the I/O APIC. They are devices of the machine, but for those that its engine has.
using Lamina.Core.Bus;
using Lamina.Core.Interrupts;
using Lamina.Core.Time;
using Lamina.Core.Units;

namespace Lamina.Devices.Chipset;

/// <summary>The interrupt controllers of one machine.</summary>
public sealed class InterruptControllers : IResettable, IDisposable
{
    private readonly IEngineIrqchip? _engine;

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

    /// <summary>Creates those that are left where the engine has some, and wires them to it.</summary>
    public InterruptControllers(IEngineIrqchip engine)
    {
        _engine = engine;
        switch (engine)
        {
            case IEngineLocalApics apics:
                IoApic = new IoApic(apics, apics.SetRoute);
                Pic = new Pic8259Pair(new PicOutput(apics.ExternalLine, IoApic));
                apics.Connect(IoApic, Pic);
                Router = new InterruptRouter(Pic, IoApic);
                break;
            case IEngineWholeIrqchip whole:
                Router = new InterruptRouter(whole.SetLine);
                break;
            default:
                throw new ArgumentException("an engine has either the local APICs or all interrupt controllers", nameof(engine));
        }
    }

    /// <summary>The bus between them; null where the local APICs are the engine's, which carries messages itself.</summary>
    public ApicBus? Bus { get; }

    /// <summary>The local APICs, by vCPU index; none where they are the engine's.</summary>
    public IReadOnlyList<LocalApic> LocalApics => Bus?.LocalApics ?? [];

    /// <summary>The I/O APIC; null where it is the engine's.</summary>
    public IoApic? IoApic { get; }

    /// <summary>The 8259 pair; null where it is the engine's.</summary>
    public Pic8259Pair? Pic { get; }

    /// <summary>What carries messages to the local APICs.</summary>
    public IMessageInterrupts Messages => new MessageWindow(Bus ?? (IInterruptBus)_engine!);

    /// <summary>Where devices get their lines.</summary>
    public InterruptRouter Router { get; }

    /// <summary>Claims ports and memory of the 8259 pair and the I/O APIC. Local APICs are reached through their vCPUs.</summary>
    public void Map(Bus ports, Bus memory)
    {
        Pic?.MapPorts(ports);
        IoApic?.MapMemory(memory);
    }

    /// <summary>RESET of all of them; lines keep the levels that devices drive.</summary>
    public void Reset()
    {
        Pic?.Reset();
        IoApic?.Reset();
        foreach (var apic in LocalApics) apic.Reset();
        _engine?.Reset();
    }

    /// <summary>Copies the registers of I/O APIC and 8259 pair out. Only while no vCPU runs.</summary>
    public IrqchipImage Save()
    {
        if (_engine is IEngineWholeIrqchip whole) return whole.Save();
        var (master, slave) = Pic!.State;
        return new IrqchipImage(IoApic!.State, master, slave);
    }

    /// <summary>Replaces the registers of I/O APIC and 8259 pair. Only while no vCPU runs.</summary>
    public void Load(IrqchipImage image)
    {
        if (_engine is IEngineWholeIrqchip whole)
        {
            whole.Load(image);
            return;
        }
        Pic!.Load(image.Master, image.Slave);
        IoApic!.Load(image.IoApic);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var apic in LocalApics) apic.Dispose();
    }

    private sealed class MessageWindow(IInterruptBus bus) : IMessageInterrupts
    {
        public bool Send(ulong address, uint data) => InterruptMessage.FromMsi(address, data) is { } message && bus.Deliver(message);
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
