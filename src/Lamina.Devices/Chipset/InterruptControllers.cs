// All interrupt controllers of a PC, created and wired together: the 8259 pair's output goes to LINT0 of the local APICs
// and to input 0 of the I/O APIC. They are devices of the machine, but for those that its engine has.
using Lamina.Core.Bus;
using Lamina.Core.Inspection;
using Lamina.Core.Interrupts;
using Lamina.Core.State;
using Lamina.Core.Time;
using Lamina.Core.Units;

namespace Lamina.Devices.Chipset;

/// <summary>The interrupt controllers of one machine.</summary>
public sealed class InterruptControllers : IResettable, ISavedUnit, IInspectedParked, IDisposable
{
    private readonly IEngineIrqchip? _engine;
    private readonly int _vcpuCount;

    /// <summary>Creates and wires them.</summary>
    /// <param name="clock">For the local APICs' timers.</param>
    /// <param name="vcpuCount">How many local APICs: 1 to 255.</param>
    /// <param name="physicalAddressBits">The CPUs' MAXPHYADDR.</param>
    public InterruptControllers(IMachineClock clock, int vcpuCount, int physicalAddressBits = 52)
    {
        _vcpuCount = vcpuCount;
        Bus = new ApicBus();
        for (var id = 0; id < vcpuCount; id++) _ = new LocalApic(id, clock, Bus, physicalAddressBits);
        IoApic = new IoApic(Bus);
        Pic = new Pic8259Pair(new PicOutput(Bus.ExternalLine, IoApic));
        Bus.Connect(IoApic);
        Bus.Connect(Pic);
        Router = new InterruptRouter(Pic, IoApic);
    }

    /// <summary>Creates those that are left where the engine has some, and wires them to it.</summary>
    /// <param name="engine">What the engine has.</param>
    /// <param name="vcpuCount">How many vCPUs, each with a local APIC of the engine's.</param>
    public InterruptControllers(IEngineIrqchip engine, int vcpuCount)
    {
        (_engine, _vcpuCount) = (engine, vcpuCount);
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
    /// <remarks>The same wherever the controllers are, so that a machine moves between engines. The vCPUs are there.</remarks>
    public SavedKind Kind => new("interrupt controllers of a PC", 1);

    /// <inheritdoc/>
    public void Save(SavedFields fields)
    {
        var apics = new LocalApicImage[_vcpuCount];
        for (var i = 0; i < apics.Length; i++) apics[i] = _engine?.GetLocalApic(i) ?? LocalApics[i].Save();
        var (ioApic, master, slave) = Save();
        Exchange(fields, apics, ref ioApic, ref master, ref slave);
    }

    /// <inheritdoc/>
    public void Load(SavedFields fields)
    {
        var apics = new LocalApicImage[_vcpuCount];
        for (var i = 0; i < apics.Length; i++) apics[i] = new LocalApicImage { Base = 0, Registers = new byte[LocalApicImage.Length] };
        IoApicState ioApic = default;
        Pic8259State master = default, slave = default;
        Exchange(fields, apics, ref ioApic, ref master, ref slave);
        // Who has accepted what, before who would send it again.
        for (var i = 0; i < apics.Length; i++)
        {
            if (_engine is not null) _engine.SetLocalApic(i, apics[i]);
            else LocalApics[i].Load(apics[i]);
        }
        Load(new IrqchipImage(ioApic, master, slave));
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node)
    {
        node.Say("local APICs", _engine is null ? "the machine's" : "the engine's");
        node.Say("i/o APIC and 8259 pair", _engine is IEngineWholeIrqchip ? "the engine's" : "the machine's");
        for (var i = 0; i < _vcpuCount; i++) InterruptInspection.Say(node.Below($"local apic {i}"), _engine?.GetLocalApic(i) ?? LocalApics[i].Save());
        var (ioApic, master, slave) = Save();
        InterruptInspection.Say(node.Below("io apic"), ioApic);
        InterruptInspection.Say(node.Below("8259 master"), master);
        InterruptInspection.Say(node.Below("8259 slave"), slave);
    }

    private static void Exchange(SavedFields fields, LocalApicImage[] apics, ref IoApicState ioApic, ref Pic8259State master, ref Pic8259State slave)
    {
        fields.Records(1, apics, LocalApicImage.Exchange);
        fields.Record(2, ref ioApic, IoApicState.Exchange);
        fields.Record(3, ref master, Pic8259State.Exchange);
        fields.Record(4, ref slave, Pic8259State.Exchange);
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
