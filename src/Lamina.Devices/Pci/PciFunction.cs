// One function of a PCI device: its configuration space, and what that decides. Where its registers answer follows from the base
// address registers and COMMAND, and from nothing else: a guest may put them anywhere, over others or where nothing can be, and the
// bus's rule says who answers. Fixed devices of a machine answer before any base address register; RAM answers before all of them.
//
// A write of all ones to a base address register asks for its size (6.2.5.1). Drivers that do so while the function answers would cut
// others of their own off for a moment, so such a write moves nothing; the next one does, and so does COMMAND when it has the function
// answer again.
//
// Lock order: configuration space, what the function is for (a virtio transport), then the interrupts' lock, then the interrupt chain.
using System.Buffers.Binary;
using Lamina.Core.Bus;
using Lamina.Core.Inspection;
using Lamina.Core.Interrupts;
using Lamina.Core.State;
using Lamina.Core.Units;
using static Lamina.Devices.Pci.PciSpec;

namespace Lamina.Devices.Pci;

/// <summary>Who a function is.</summary>
/// <param name="Vendor">Its vendor.</param>
/// <param name="Device">Its number there.</param>
/// <param name="ClassCode">Class, subclass and programming interface, from the high byte down.</param>
public readonly record struct PciIdentity(ushort Vendor, ushort Device, uint ClassCode)
{
    /// <summary>Its revision.</summary>
    public byte Revision { get; init; }

    /// <summary>The vendor of the board that carries it, and its number there.</summary>
    public (ushort Vendor, ushort Device) Subsystem { get; init; }
}

/// <summary>What a function is connected with.</summary>
/// <param name="Name">Its name, unique on its machine's buses.</param>
/// <param name="Ports">Where base address registers for ports have it answer.</param>
/// <param name="Memory">Where those for memory do.</param>
/// <param name="Pin">Its interrupt pin INTA; null where it has none.</param>
/// <param name="Messages">What carries its messages.</param>
public sealed record PciWires(string Name, Bus Ports, Bus Memory, IInterruptLine? Pin, IMessageInterrupts Messages);

/// <summary>A function with a type 0 header.</summary>
public abstract class PciFunction : IResettable, ISavedUnit, IInspected, IDisposable
{
    // Fixed devices have 0, and answer where a guest puts something over them.
    private const int WindowPriority = -1;

    private readonly Lock _gate = new();
    private readonly byte[] _space = new byte[SpaceLength], _atReset = new byte[SpaceLength], _writable = new byte[SpaceLength];
    private readonly PciWires _wires;
    private readonly List<Bar> _bars = [];
    private int _lastCapability, _nextCapability = FirstOwn;
    private bool _pinWanted;

    // A base address register: of 64 bits it is two.
    private sealed record Bar(int Index, uint Flags, IBusWindow Window)
    {
        internal bool IsPorts => (Flags & BarIsPorts) != 0;

        internal int Registers => (Flags & (BarIsPorts | BarIs64Bits)) == BarIs64Bits ? 2 : 1;

        internal int Offset => FirstBar + (Index * BarLength);
    }

    /// <summary>Makes a function after power-on: it answers nowhere.</summary>
    /// <param name="identity">Who it is.</param>
    /// <param name="wires">What it is connected with.</param>
    protected PciFunction(PciIdentity identity, PciWires wires)
    {
        _wires = wires;
        Fix(Vendor, identity.Vendor, sizeof(ushort));
        Fix(Vendor + 2, identity.Device, sizeof(ushort));
        Fix(Revision, identity.ClassCode << 8 | identity.Revision, sizeof(uint));
        Fix(SubsystemVendor, (uint)identity.Subsystem.Device << 16 | identity.Subsystem.Vendor, sizeof(uint));
        Fix(Command, 0, sizeof(ushort), CommandWritable);
        Fix(InterruptLine, 0, 1, writable: 0xff);
        if (wires.Pin is not null) Fix(InterruptPin, 1, 1);
    }

    /// <inheritdoc/>
    public abstract SavedKind Kind { get; }

    /// <summary>Guards the pin and messages; nothing but the interrupt chain is called with it held.</summary>
    protected Lock InterruptGate { get; } = new();

    /// <summary>The messages of a table, where it has such.</summary>
    protected MsiX? MessageTable { get; private set; }

    /// <summary>The messages of the configuration space, where it has such.</summary>
    protected Msi? Messages { get; private set; }

    /// <summary>Reads configuration space; behind its end are all ones. Any thread.</summary>
    /// <param name="offset">The first byte.</param>
    /// <param name="data">Filled.</param>
    public void ReadSpace(int offset, Span<byte> data)
    {
        data.Fill(0xff);
        if ((uint)offset >= SpaceLength) return;
        lock (_gate)
        {
            Reading(offset, data.Length);
            var there = data[..Math.Min(data.Length, SpaceLength - offset)];
            _space.AsSpan(offset, there.Length).CopyTo(there);
            lock (InterruptGate)
            {
                if (offset <= Status && offset + there.Length > Status && PinIsAsserted) there[Status - offset] |= (byte)StatusInterrupt;
                Messages?.ReadPending(offset, there);
            }
        }
    }

    /// <summary>Writes configuration space: what may be written of it. Any thread.</summary>
    /// <param name="offset">The first byte.</param>
    /// <param name="data">The bytes.</param>
    public void WriteSpace(int offset, ReadOnlySpan<byte> data)
    {
        if ((uint)offset >= SpaceLength) return;
        var there = data[..Math.Min(data.Length, SpaceLength - offset)];
        lock (_gate)
        {
            var before = U16(Command);
            for (var i = 0; i < there.Length; i++)
            {
                ref var place = ref _space[offset + i];
                place = (byte)(place & ~_writable[offset + i] | there[i] & _writable[offset + i]);
            }
            var changed = (ushort)(before ^ U16(Command));
            foreach (var bar in _bars)
            {
                var touched = offset < bar.Offset + (bar.Registers * BarLength) && offset + there.Length > bar.Offset;
                if ((changed & (bar.IsPorts ? AnswersPorts : AnswersMemory)) != 0) Place(bar);
                else if (touched && Answers(bar) && !AsksForSize(bar)) Place(bar);
            }
            UpdateMessages();
            Written(offset, there.Length);
        }
    }

    /// <inheritdoc/>
    public virtual void Reset()
    {
        lock (_gate)
        {
            _atReset.CopyTo(_space, 0);
            foreach (var bar in _bars) Place(bar);
            lock (InterruptGate)
            {
                _pinWanted = false;
                MessageTable?.Reset();
                Messages?.Reset();
            }
            UpdateMessages();
            Written(0, SpaceLength);
        }
    }

    /// <inheritdoc/>
    public virtual void Save(SavedFields fields)
    {
        lock (_gate) Exchange(fields);
    }

    /// <inheritdoc/>
    public virtual void Load(SavedFields fields)
    {
        lock (_gate)
        {
            Exchange(fields);
            UpdateMessages();
            Written(0, SpaceLength);
        }
    }

    /// <inheritdoc/>
    public virtual void Inspect(InspectNode node)
    {
        node.Locked(_gate, () =>
        {
            node.Say("identity", $"{U16(Vendor):x4}:{U16(Vendor + 2):x4}");
            node.SayHex("command", U16(Command));
            node.Say("interrupt line", (long)_space[InterruptLine]);
            node.Say("pin asserted", PinIsAsserted);
            node.Each("bar", _bars, (below, bar) =>
            {
                below.Say("index", (long)bar.Index);
                below.SayHex("register", Address(bar));
                below.SayHex("length", bar.Window.Length);
                below.Say("answers at", bar.Window.Start is { } start ? $"{(bar.IsPorts ? "port" : "address")} 0x{start:x}" : "nowhere");
            });
        });
        node.Locked(InterruptGate, () =>
        {
            MessageTable?.Inspect(node);
            Messages?.Inspect(node);
        });
    }

    /// <summary>Takes the function off its buses.</summary>
    public virtual void Dispose()
    {
        foreach (var bar in _bars) bar.Window.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>Says what stands in configuration space after a reset.</summary>
    /// <param name="offset">The first byte.</param>
    /// <param name="value">The value.</param>
    /// <param name="length">Its bytes, up to 4.</param>
    /// <param name="writable">Its bits that software may write.</param>
    protected void Fix(int offset, uint value, int length, uint writable = 0)
    {
        for (var i = 0; i < length; i++)
        {
            _space[offset + i] = _atReset[offset + i] = (byte)(value >> (8 * i));
            _writable[offset + i] = (byte)(writable >> (8 * i));
        }
    }

    /// <summary>Adds a base address register behind which a device answers.</summary>
    /// <param name="index">Which of the six; one of 64 bits takes the next as well.</param>
    /// <param name="flags">Its kind.</param>
    /// <param name="length">How many addresses, a power of two from 4 (ports) or 16 (memory).</param>
    /// <param name="device">What answers.</param>
    protected void AddBar(int index, uint flags, ulong length, IBusDevice device)
    {
        var bus = (flags & BarIsPorts) != 0 ? _wires.Ports : _wires.Memory;
        AddBar(index, flags, bus.CreateWindow($"{_wires.Name} BAR {index}", length, device, WindowPriority));
    }

    /// <summary>Adds a base address register that moves a window which is there already, and the function's from now on.</summary>
    /// <param name="index">As above.</param>
    /// <param name="flags">Its kind.</param>
    /// <param name="window">What moves; its length is a power of two.</param>
    protected void AddBar(int index, uint flags, IBusWindow window)
    {
        var bar = new Bar(index, flags, window);
        var mask = ~(window.Length - 1);
        Fix(bar.Offset, flags, BarLength, (uint)mask);
        if (bar.Registers == 2) Fix(bar.Offset + BarLength, 0, BarLength, (uint)(mask >> 32));
        _bars.Add(bar);
    }

    /// <summary>Adds a capability to the end of the list.</summary>
    /// <param name="id">What it is.</param>
    /// <param name="length">Its bytes, the two of its head included.</param>
    /// <returns>Where it lies.</returns>
    protected int AddCapability(byte id, int length)
    {
        var offset = _nextCapability;
        _nextCapability += (length + 3) & ~3;
        if (_nextCapability > SpaceLength) throw new InvalidOperationException("the capabilities of a function do not fit into its configuration space");
        Fix(offset, id, sizeof(ushort));
        Fix(_lastCapability == 0 ? CapabilityPointer : _lastCapability + 1, (uint)offset, 1);
        Fix(Status, StatusCapabilities, sizeof(ushort));
        _lastCapability = offset;
        return offset;
    }

    /// <summary>Gives it messages by a table (MSI-X), which answers behind a base address register for memory of its own.</summary>
    /// <param name="bar">Which.</param>
    /// <param name="vectors">How many messages, up to 2048.</param>
    protected void AddMessageTable(int bar, int vectors)
    {
        var at = AddCapability(MessageTableCapability, MsiXLength);
        MessageTable = new MsiX(at, vectors, InterruptGate, _wires.Messages);
        Fix(at + MsiXControl, (uint)vectors - 1, sizeof(ushort), MsiXEnable | MsiXMaskAll);
        Fix(at + MsiXTable, (uint)bar, sizeof(uint));
        Fix(at + MsiXPending, MessageTable.PendingOffset | (uint)bar, sizeof(uint));
        AddBar(bar, 0, MessageTable.Length, MessageTable);
    }

    /// <summary>Gives it messages of its configuration space (MSI), with 64-bit addresses and masks.</summary>
    /// <param name="vectors">How many, a power of two up to 32.</param>
    protected void AddMessages(int vectors)
    {
        var at = AddCapability(MessageCapability, MsiLength);
        Messages = new Msi(at, vectors, InterruptGate, _wires.Messages);
        Fix(at + MsiControl, Msi64Bits | MsiMasks | (uint)System.Numerics.BitOperations.Log2((uint)vectors) << MsiWantedShift, sizeof(ushort), MsiEnable | MsiCountMask << MsiGivenShift);
        Fix(at + MsiAddress, 0, sizeof(uint), ~3u);
        Fix(at + MsiAddress + 4, 0, sizeof(uint), uint.MaxValue);
        Fix(at + MsiData, 0, sizeof(ushort), ushort.MaxValue);
        Fix(at + MsiMask, 0, sizeof(uint), (uint)((1ul << vectors) - 1));
    }

    /// <summary>Configuration space is about to be read, with its lock held: the function brings up to date what is not kept there.</summary>
    protected virtual void Reading(int offset, int length)
    {
    }

    /// <summary>Configuration space was written, reset or loaded, with its lock held: the function does what follows of it.</summary>
    protected virtual void Written(int offset, int length)
    {
    }

    /// <summary>The bytes of configuration space, for <see cref="Reading"/> and <see cref="Written"/>.</summary>
    protected Span<byte> Space => _space;

    /// <summary>Drives the interrupt pin. It stays released while messages take its place or software has it off.</summary>
    protected void SetPin(bool asserted)
    {
        lock (InterruptGate)
        {
            _pinWanted = asserted;
            DrivePin();
        }
    }

    /// <summary>Runs something with configuration space's lock held.</summary>
    protected void WithSpace(Action action)
    {
        lock (_gate) action();
    }

    private bool PinIsAsserted => _pinWanted && !MessagesReplacePin;

    private bool MessagesReplacePin => MessageTable is { IsEnabled: true } || Messages is { IsEnabled: true };

    // With the interrupts' lock. STATUS tells of the pin even where COMMAND has it off (6.2.3).
    private void DrivePin() => _wires.Pin?.SetLevel(PinIsAsserted && (U16(Command) & PinOff) == 0);

    private void UpdateMessages()
    {
        lock (InterruptGate)
        {
            MessageTable?.Update(_space);
            Messages?.Update(_space);
            DrivePin();
        }
    }

    private bool Answers(Bar bar) => (U16(Command) & (bar.IsPorts ? AnswersPorts : AnswersMemory)) != 0;

    private bool AsksForSize(Bar bar)
    {
        for (var i = 0; i < bar.Registers; i++)
        {
            var writable = BinaryPrimitives.ReadUInt32LittleEndian(_writable.AsSpan(bar.Offset + (i * BarLength)));
            if (writable != 0 && (U32(bar.Offset + (i * BarLength)) & writable) == writable) return true;
        }
        return false;
    }

    private ulong Address(Bar bar)
    {
        var address = U32(bar.Offset) & ~(bar.IsPorts ? PortsBarFlags : MemoryBarFlags);
        return bar.Registers == 1 ? address : address | (ulong)U32(bar.Offset + BarLength) << 32;
    }

    // 0 is where a register stands that nobody has put anywhere: RAM is there and fixed ports are, and one of many GiB would lie over others.
    private void Place(Bar bar)
    {
        if (Answers(bar) && Address(bar) is > 0 and var address) bar.Window.TryMove(address);
        else bar.Window.SwitchOff();
    }

    // Where it answers is told beside, since a register that is asked for its size does not say it.
    private void Exchange(SavedFields fields)
    {
        fields.Bytes(1, _space);
        var places = _bars.Select(bar => new BarPlace { Start = bar.Window.Start }).ToArray();
        fields.Records(2, places, BarPlace.Exchange);
        if (fields.IsLoading)
        {
            for (var i = 0; i < SpaceLength; i++)
                SavedFields.Require(((_space[i] ^ _atReset[i]) & ~_writable[i]) == 0, $"byte 0x{i:x} of its configuration space is 0x{_space[i]:x}, which cannot be written there");
            for (var i = 0; i < places.Length; i++) LoadPlace(_bars[i], places[i].Start);
        }
        lock (InterruptGate)
        {
            if (MessageTable is not null) fields.Unit(3, MessageTable);
            if (Messages is not null) fields.Unit(4, Messages);
        }
    }

    private void LoadPlace(Bar bar, ulong? start)
    {
        Place(bar);
        if (start == bar.Window.Start) return;
        SavedFields.Require(Answers(bar) && AsksForSize(bar) && (start is not { } at || at % bar.Window.Length == 0), $"base address register {bar.Index} answers elsewhere than it says");
        if (start is not { } place) bar.Window.SwitchOff();
        else SavedFields.Require(bar.Window.TryMove(place), $"base address register {bar.Index} answers where no address is");
    }

    private ushort U16(int offset) => BinaryPrimitives.ReadUInt16LittleEndian(_space.AsSpan(offset));

    private uint U32(int offset) => BinaryPrimitives.ReadUInt32LittleEndian(_space.AsSpan(offset));

    private struct BarPlace
    {
        internal ulong? Start;

        internal static void Exchange(SavedFields fields, ref BarPlace place) => fields.Value(1, ref place.Start);
    }
}
