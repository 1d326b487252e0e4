// Joins the local APICs of a machine: finds the destinations of a message, carries ends of interrupts to the I/O APIC and
// acknowledge cycles to the 8259 pair, and holds the pins that all local APICs share. It has no lock: who is on the bus
// is settled before the first vCPU runs. A local APIC's ID is its place in the table, so one destination is one look-up.
using Lamina.Core.Interrupts;

namespace Lamina.Devices.Chipset;

/// <summary>The bus between the local APICs of one machine and the controllers that feed them.</summary>
public sealed class ApicBus : IInterruptBus
{
    private LocalApic[] _apics = [];
    private IoApic? _ioApic;
    private IExternalInterruptController? _external;
    private uint _nextArbitration;

    /// <summary>Creates a bus with nobody on it.</summary>
    public ApicBus() => (ExternalLine, NmiLine) = (new SharedPin(this, 0), new SharedPin(this, 1));

    /// <summary>LINT0 of all local APICs, where a PC has the 8259 pair's output.</summary>
    public IInterruptLine ExternalLine { get; }

    /// <summary>LINT1 of all local APICs, where a PC has its NMI.</summary>
    public IInterruptLine NmiLine { get; }

    /// <summary>The local APICs by ID.</summary>
    public IReadOnlyList<LocalApic> LocalApics => _apics;

    /// <summary>Names the I/O APIC that hears of ends of interrupts.</summary>
    public void Connect(IoApic ioApic) => _ioApic = ioApic;

    /// <summary>Names the 8259 pair that is asked for the vectors of external interrupts.</summary>
    public void Connect(IExternalInterruptController external) => _external = external;

    /// <inheritdoc/>
    public bool Deliver(in InterruptMessage message) => Deliver(message, except: null);

    /// <summary>Delivers a message to everybody it addresses but one.</summary>
    internal bool Deliver(in InterruptMessage message, LocalApic? except)
    {
        var apics = _apics;
        if (!message.Logical && message.Destination != InterruptMessage.Broadcast)
            return message.Destination < (uint)apics.Length && apics[(int)message.Destination].Accept(message.Mode, message.Vector, message.Level);
        if (message.Mode == InterruptDeliveryMode.LowestPriority && apics.Length > 1)
            return Arbitrate(message, except)?.Accept(message.Mode, message.Vector, message.Level) ?? false;
        var accepted = false;
        foreach (var apic in apics)
            if (apic != except && Addresses(message, apic)) accepted |= apic.Accept(message.Mode, message.Vector, message.Level);
        return accepted;
    }

    /// <summary>An end of interrupt for the I/O APIC.</summary>
    internal void EndInterrupt(byte vector) => _ioApic?.EndInterrupt(vector);

    /// <summary>The vector of an external interrupt, or -1 without an 8259 pair.</summary>
    internal int AcknowledgeExternal() => _external?.Acknowledge() ?? -1;

    internal void Join(LocalApic apic)
    {
        if (apic.ApicId != _apics.Length) throw new ArgumentException("local APICs must join in the order of their IDs, from 0", nameof(apic));
        _apics = [.. _apics, apic];
    }

    private static bool Addresses(in InterruptMessage message, LocalApic apic) =>
        message.Destination == InterruptMessage.Broadcast || apic.MatchesLogical(message.Destination);

    /// <summary>The addressed local APIC with the lowest priority (11.6.2.4); equals take turns.</summary>
    private LocalApic? Arbitrate(in InterruptMessage message, LocalApic? except)
    {
        var apics = _apics;
        var first = Interlocked.Increment(ref _nextArbitration);
        LocalApic? winner = null;
        var lowest = int.MaxValue;
        for (var i = 0u; i < apics.Length; i++)
        {
            var apic = apics[(int)((first + i) % (uint)apics.Length)];
            if (apic == except || !apic.TakesVectors || !Addresses(message, apic)) continue;
            int priority = apic.Priority;
            if (priority < lowest) (winner, lowest) = (apic, priority);
        }
        return winner;
    }

    private sealed class SharedPin(ApicBus bus, int pin) : IInterruptLine
    {
        public void SetLevel(bool asserted)
        {
            foreach (var apic in bus._apics) apic.SetPin(pin, asserted);
        }
    }
}
