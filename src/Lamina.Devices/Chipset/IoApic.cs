// The I/O APIC: 24 inputs, each with an entry that says what becomes of it. Lines come from the interrupt router, messages
// go to the interrupt bus, ends of interrupts come back from the local APICs. Lines carry "asserted", not volts, so an
// entry's polarity is kept for the guest and has no effect.
using System.Buffers.Binary;
using Lamina.Core.Bus;
using Lamina.Core.Interrupts;
using static Lamina.Devices.Chipset.IoApicSpec;

namespace Lamina.Devices.Chipset;

/// <summary>An I/O APIC (82093AA with the later EOI register).</summary>
public sealed class IoApic : IBusDevice, IInterruptEndListener
{
    private readonly Lock _gate = new();
    private readonly IInterruptBus _bus;
    private readonly Action<int, InterruptMessage?>? _tellRoute;
    private IoApicState _state;

    /// <summary>Creates it with all inputs masked.</summary>
    /// <param name="bus">Where its messages go.</param>
    /// <param name="tellRoute">Is told, under the lock, what an input sends by level from now on; null for nobody.</param>
    public IoApic(IInterruptBus bus, Action<int, InterruptMessage?>? tellRoute = null)
    {
        (_bus, _tellRoute) = (bus, tellRoute);
        Reset();
    }

    /// <summary>A copy of the live registers.</summary>
    public IoApicState State
    {
        get { lock (_gate) return _state; }
    }

    /// <summary>Claims the register window.</summary>
    public void MapMemory(Bus memory) => memory.Map(BaseAddress, Length, this);

    /// <summary>Masks everything; the levels of the lines stay.</summary>
    public void Reset()
    {
        lock (_gate)
        {
            _state = new IoApicState { Lines = _state.Lines, Id = Id };
            for (var i = 0; i < Inputs; i++)
            {
                _state.Entries[i] = Masked;
                _tellRoute?.Invoke(i, null);
            }
        }
    }

    /// <summary>Replaces the registers; inputs that are asserted by level interrupt again unless their interrupt has not ended yet.</summary>
    public void Load(in IoApicState state)
    {
        lock (_gate)
        {
            _state = state;
            for (var i = 0; i < Inputs; i++)
            {
                _state.Entries[i] &= Writable | RemoteIrr;
                TellRoute(i);
                ServiceLevel(i);
            }
        }
    }

    /// <summary>Drives an input, 0 to 23.</summary>
    public void SetLine(int input, bool asserted)
    {
        lock (_gate)
        {
            var bit = 1u << input;
            if (asserted == ((_state.Lines & bit) != 0)) return;
            _state.Lines ^= bit;
            if (!asserted) return;
            var entry = _state.Entries[input];
            if (IsLevel(entry)) ServiceLevel(input);
            // A masked edge is lost: data sheet, 3.2.4, bit 16.
            else if ((entry & Masked) == 0) Deliver(entry, level: false);
        }
    }

    /// <summary>A local APIC ended a level-triggered interrupt: its inputs may interrupt again, and do if still asserted.</summary>
    public void EndInterrupt(byte vector)
    {
        lock (_gate)
        {
            for (var i = 0; i < Inputs; i++)
            {
                ref var entry = ref _state.Entries[i];
                if ((byte)entry != vector || (entry & RemoteIrr) == 0) continue;
                entry &= ~RemoteIrr;
                ServiceLevel(i);
            }
        }
    }

    /// <inheritdoc/>
    public AccessResult Read(ulong offset, Span<byte> data)
    {
        // The registers are 32 bits wide; narrower reads see their low bytes.
        if (data.Length > sizeof(uint)) return AccessResult.InvalidSize;
        uint value;
        lock (_gate)
        {
            switch (offset)
            {
                case Select:
                    value = _state.Select;
                    break;
                case Window:
                    value = ReadIndirect(_state.Select);
                    break;
                case IoApicSpec.EndOfInterrupt:
                    value = 0;
                    break;
                default:
                    return AccessResult.Unclaimed;
            }
        }
        Span<byte> bytes = stackalloc byte[sizeof(uint)];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, value);
        bytes[..data.Length].CopyTo(data);
        return AccessResult.Ok;
    }

    /// <inheritdoc/>
    public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
    {
        switch (offset)
        {
            case Select:
                lock (_gate) _state.Select = data[0];
                return AccessResult.Ok;
            case Window when data.Length == sizeof(uint):
                lock (_gate) WriteIndirect(_state.Select, BinaryPrimitives.ReadUInt32LittleEndian(data));
                return AccessResult.Ok;
            case IoApicSpec.EndOfInterrupt:
                EndInterrupt(data[0]);
                return AccessResult.Ok;
            default:
                return offset == Window ? AccessResult.InvalidSize : AccessResult.Unclaimed;
        }
    }

    private uint ReadIndirect(int register)
    {
        switch (register)
        {
            case IdRegister or ArbitrationRegister:
                return (uint)_state.Id << IdShift;
            case VersionRegister:
                return IoApicSpec.Version;
            case >= Redirection and < Redirection + 2 * Inputs:
                var entry = _state.Entries[(register - Redirection) / 2];
                return (uint)(register % 2 == 0 ? entry : entry >> 32);
            default:
                return 0;
        }
    }

    private void WriteIndirect(int register, uint value)
    {
        switch (register)
        {
            case IdRegister:
                _state.Id = (byte)(value >> IdShift & 0xf);
                break;
            case >= Redirection and < Redirection + 2 * Inputs:
                WriteEntry((register - Redirection) / 2, high: register % 2 != 0, value);
                break;
        }
    }

    private void WriteEntry(int input, bool high, uint value)
    {
        ref var entry = ref _state.Entries[input];
        var merged = high ? (entry & uint.MaxValue) | (ulong)value << 32 : (entry & ~(ulong)uint.MaxValue) | value;
        var remoteIrr = entry & RemoteIrr;
        entry = merged & Writable;
        // Remote IRR means nothing to an edge; software of old clears it by switching to edge and back.
        if (IsLevel(entry)) entry |= remoteIrr;
        TellRoute(input);
        ServiceLevel(input);
    }

    // A masked input keeps its route: the interrupt that it sent before may not have ended yet.
    private void TellRoute(int input)
    {
        var entry = _state.Entries[input];
        _tellRoute?.Invoke(input, IsLevel(entry) ? MessageOf(entry, level: true) : null);
    }

    /// <summary>Whether the input acts by level: only vectors do; NMI, INIT and ExtINT are edges whatever the entry says (3.2.4, bits 8 to 10).</summary>
    private static bool IsLevel(ulong entry) =>
        (entry & LevelTriggered) != 0 && ModeOf(entry) is (InterruptDeliveryMode.Fixed or InterruptDeliveryMode.LowestPriority);

    private static InterruptDeliveryMode ModeOf(ulong entry) => (InterruptDeliveryMode)(entry >> ModeShift & ModeMask);

    private void ServiceLevel(int input)
    {
        ref var entry = ref _state.Entries[input];
        if ((_state.Lines >> input & 1) == 0 || !IsLevel(entry) || (entry & (Masked | RemoteIrr)) != 0) return;
        if (Deliver(entry, level: true)) entry |= RemoteIrr;
    }

    private bool Deliver(ulong entry, bool level)
    {
        var mode = ModeOf(entry);
        // Neither means anything on these wires: SMIs do not exist here, start-up is not an input's to give.
        if (mode is InterruptDeliveryMode.Smi or InterruptDeliveryMode.Reserved or InterruptDeliveryMode.StartUp) return false;
        return _bus.Deliver(MessageOf(entry, level));
    }

    private static InterruptMessage MessageOf(ulong entry, bool level) =>
        new(InterruptMessage.Widen((byte)(entry >> DestinationShift)), (entry >> LogicalShift & 1) != 0, ModeOf(entry), (byte)(entry & Vector), level);
}
