// A gigabit Ethernet controller of Intel's, in one of its kinds (E1000Model): registers in memory and at ports, rings of descriptors, offloads,
// interrupts. What a guest sends is taken from its ring by a worker; what comes for it is put into its ring on the backend's thread, and held
// by the backend where the guest has no room.
//
// Lock order: the link's, _sending (a ring's work on what is sent), the backend's, _gate (registers, what is received, interrupts), the interrupts' own.
// Configuration space comes before _gate as well.
using System.Buffers.Binary;
using Lamina.Core.Bus;
using Lamina.Core.Inspection;
using Lamina.Core.Limits;
using Lamina.Core.Memory;
using Lamina.Core.Net;
using Lamina.Core.State;
using Lamina.Core.Time;
using Lamina.Core.Units;
using Lamina.Core.Work;
using Lamina.Devices.Pci;
using static Lamina.Devices.Ethernet.E1000Spec;

namespace Lamina.Devices.Ethernet;

/// <summary>What a card is to be.</summary>
/// <param name="Model">Its kind.</param>
/// <param name="Mac">Its address: six bytes, not a group's.</param>
public sealed record E1000Options(E1000Model Model, ReadOnlyMemory<byte> Mac)
{
    /// <summary>Lets through as many frames and bytes as the guest may send; null for all. The card's own from then on.</summary>
    public FlowGate? Sending { get; init; }

    /// <summary>The same for what it may be sent.</summary>
    public FlowGate? Receiving { get; init; }
}

/// <summary>A gigabit Ethernet controller.</summary>
public sealed partial class E1000Card : PciFunction, IBusDevice, INetReceiver, IPausable, ICounted
{
    private readonly Lock _link = new(), _sending = new(), _gate = new();
    private readonly E1000Model _model;
    private readonly E1000Options _options;
    private readonly INetBackend _backend;
    private readonly GuestMemory _memory;
    private readonly IMachineClock _clock;
    private E1000Registers _registers;
    private E1000Eeprom _eeprom;
    private E1000Phy _phy;
    private readonly IWorker _sender;
    private uint _portAddress;
    private long _dropped;
    private volatile bool _paused, _isPlugged = true, _isMaster;

    // Whether the cable leads anywhere, and whether the driver was told of a link.
    private bool _isConnected, _isLinkUp;

    /// <summary>Makes a card that is plugged into a backend; the backend stays its creator's to start and dispose.</summary>
    /// <param name="wires">What it is connected with.</param>
    /// <param name="backend">What it is plugged into.</param>
    /// <param name="options">What it is to be.</param>
    /// <param name="memory">Guest memory.</param>
    /// <param name="workers">Makes its worker.</param>
    /// <param name="clock">The machine's time.</param>
    /// <exception cref="ArgumentException">The address cannot be a card's.</exception>
    public E1000Card(PciWires wires, INetBackend backend, E1000Options options, GuestMemory memory, IWorkerFactory workers, IMachineClock clock) : base(options.Model.Identity, wires)
    {
        if (options.Mac.Length != 6 || (options.Mac.Span[0] & 1) != 0) throw new ArgumentException("a network card's address has six bytes and is not a group's", nameof(options));
        (_model, _options, _backend, _memory, _clock) = (options.Model, options, backend, memory, clock);
        (_registers, _eeprom, _phy) = (new E1000Registers(_model, options.Mac.Span), new E1000Eeprom(_model, options.Mac.Span), new E1000Phy(_model.PhyIdentifier));
        _rings = [.. Enumerable.Range(0, _model.Rings).Select(ring => new TransmitRing(ring))];
        _arriving = new ArrivingFrames(backend);
        _sender = workers.Create($"{wires.Name} sender", Transmit);
        _held = new HeldSender(_sender);
        _moderations = [.. Enumerable.Range(0, _model.IsExpress ? MostVectors : 1).Select(_ => new Moderation(clock, ModerationEnded))];
        (_receivedLater, _sentLater) = (new DelayedCauses(clock, DelayEnded), new DelayedCauses(clock, DelayEnded));
        _sendSegment = segment => _backend.Send(segment, default);
        AddBar(RegistersBar, 0, MemoryLength, this);
        AddBar(PortsBar, PciSpec.BarIsPorts, _model.PortsLength, new PortWindow(this));
        if (_model.IsExpress)
        {
            AddMessages(1);
            AddMessageTable(MessagesBar, MostVectors);
        }
        base.Reset();
        backend.Attach(this);
        backend.LinkChanged += TellLink;
        _isConnected = _isLinkUp = backend.IsLinkUp;
    }

    private const int MessagesBar = 3, MostVectors = 5;

    /// <inheritdoc/>
    public override SavedKind Kind => new($"{_model.Name} network card", 1);

    /// <summary>Whether the cable is in the card. While it is not, the guest sees a link that is down, and no frame passes either way. Any thread.</summary>
    public bool IsPlugged
    {
        get => _isPlugged;
        set
        {
            if (_isPlugged == value) return;
            _isPlugged = value;
            TellLink();
        }
    }

    /// <summary>Tells the network where the card is, which may be another place than before. Any thread.</summary>
    public void Announce()
    {
        if (_isPlugged && _backend.IsLinkUp) Announcement.Send(_backend, (ulong)BinaryPrimitives.ReadUInt16BigEndian(_options.Mac.Span) << 32 | BinaryPrimitives.ReadUInt32BigEndian(_options.Mac.Span[2..]));
    }

    /// <summary>Frames of either direction that were dropped since the machine was made: malformed, unwanted or too long.</summary>
    public long Dropped => Interlocked.Read(ref _dropped);

    // A driver gets finished frames only: it would look at the sums of others.
    NetOffloads INetReceiver.Offloads => NetOffloads.None;

    /// <inheritdoc/>
    public void Pause()
    {
        lock (_gate) _paused = true;
        // What has begun to be sent ends before.
        lock (_sending)
        {
        }
    }

    /// <inheritdoc/>
    public void Resume()
    {
        lock (_gate)
        {
            _paused = false;
            _receivedLater.GoOn(_clock);
            _sentLater.GoOn(_clock);
            Deliver();
        }
        TellLink();
        _sender.Wake();
        _backend.ReadyToReceive();
    }

    /// <inheritdoc/>
    public override void Reset()
    {
        lock (_sending)
            lock (_gate)
            {
                ResetController();
                _phy.Clear();
                _portAddress = 0;
                _isLinkUp = _isConnected;
            }
        base.Reset();
    }

    /// <inheritdoc/>
    public override void Dispose()
    {
        base.Dispose();
        _sender.Dispose();
        foreach (var moderation in _moderations) moderation.Dispose();
        _receivedLater.Dispose();
        _sentLater.Dispose();
        _options.Sending?.Dispose();
        _options.Receiving?.Dispose();
    }

    /// <inheritdoc/>
    public override void Save(SavedFields fields)
    {
        base.Save(fields);
        lock (_sending)
            lock (_gate) Exchange(fields);
    }

    /// <inheritdoc/>
    public override void Load(SavedFields fields)
    {
        base.Load(fields);
        lock (_sending)
            lock (_gate)
            {
                Exchange(fields);
                SetPin(_asserted);
            }
    }

    /// <inheritdoc/>
    public override void Inspect(InspectNode node)
    {
        base.Inspect(node);
        node.Locked(_gate, () =>
        {
            node.Say("address", Convert.ToHexStringLower(_options.Mac.Span));
            node.Say("link is up", _isLinkUp);
            node.Say("stands still", _paused);
            node.SayHex("control", _registers[CTRL]);
            node.SayHex("receive control", _registers[RCTL]);
            node.SayHex("transmit control", _registers[TCTL]);
            node.SayHex("causes", _registers[ICR]);
            node.SayHex("causes wanted", _registers[IMS]);
            for (var ring = 0; ring < _model.Rings; ring++)
            {
                InspectRing(node.Below($"receive ring {ring}"), RDBAL + (ring * RingStride));
                InspectRing(node.Below($"transmit ring {ring}"), TDBAL + (ring * RingStride));
            }
        });
        _options.Sending?.Inspect(node.Below("limit of sending"));
        _options.Receiving?.Inspect(node.Below("limit of receiving"));
    }

    /// <inheritdoc/>
    public void Count(CounterList counters)
    {
        counters.Total("network_dropped_frames", Dropped, "frames of either direction that were malformed, unwanted or too long");
        if (_options.Sending is { } sending) counters.Total("network_limit_waits", sending.Waits, "how often frames were kept waiting by the card's limit", of: "sending");
        if (_options.Receiving is { } receiving) counters.Total("network_limit_waits", receiving.Waits, "how often frames were kept waiting by the card's limit", of: "receiving");
    }

    /// <inheritdoc/>
    public AccessResult Read(ulong offset, Span<byte> data)
    {
        if (data.Length is not (4 or 8) || offset % sizeof(uint) != 0) return AccessResult.InvalidSize;
        lock (_gate)
        {
            for (var i = 0; i < data.Length; i += sizeof(uint)) BinaryPrimitives.WriteUInt32LittleEndian(data[i..], ReadRegister(E1000Registers.Resolve(offset + (ulong)i)));
        }
        return AccessResult.Ok;
    }

    /// <inheritdoc/>
    public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
    {
        if (data.Length is not (4 or 8) || offset % sizeof(uint) != 0) return AccessResult.InvalidSize;
        for (var i = 0; i < data.Length; i += sizeof(uint)) Write(E1000Registers.Resolve(offset + (ulong)i), BinaryPrimitives.ReadUInt32LittleEndian(data[i..]));
        return AccessResult.Ok;
    }

    /// <inheritdoc/>
    protected override void Written(int offset, int length)
    {
        var isMaster = (BinaryPrimitives.ReadUInt16LittleEndian(Space[PciSpec.Command..]) & PciSpec.BusMaster) != 0;
        var begins = isMaster && !_isMaster;
        _isMaster = isMaster;
        lock (_gate) MessagesChanged();
        if (!begins) return;
        _sender.Wake();
        _backend.ReadyToReceive();
    }

    private void Write(int at, uint value)
    {
        // A ring that is moved or stopped is not at work meanwhile.
        if (at is CTRL or TCTL || (at is >= TDBAL and < TDBAL + 2 * RingStride && (at & (RingStride - 1)) is < 0x18))
        {
            lock (_sending)
                lock (_gate) WriteRegister(at, value);
        }
        else
        {
            lock (_gate) WriteRegister(at, value);
        }
        if (at is TCTL or TDT or TDT + RingStride) _sender.Wake();
        else if (at is RCTL or RDT or RDT + RingStride) _backend.ReadyToReceive();
    }

    private uint ReadRegister(int at)
    {
        switch (at)
        {
            case STATUS:
                return StatusNow;
            case EECD:
                return _eeprom.Read(_registers[EECD]);
            case ICR:
                return TakeCauses();
            case ICS:
                return _registers[ICR];
            case SWSM when _model.IsExpress:
                // Who reads it first has it (82574: SMBI).
                var semaphore = _registers[SWSM];
                _registers[SWSM] = semaphore | 1;
                return semaphore;
            case >= FirstStatistic and < EndOfStatistics:
                return _registers.TakeStatistic(at);
            default:
                return _registers[at];
        }
    }

    private void WriteRegister(int at, uint value)
    {
        switch (at)
        {
            case CTRL:
                if ((value & CtrlReset) != 0) ResetController();
                else _registers[CTRL] = value & ~CtrlPhyReset;
                if ((value & CtrlPhyReset) == 0) break;
                _phy.Clear();
                UpdateLink();
                Agreed();
                break;
            case EECD:
                _eeprom.Move(_registers[EECD], value);
                _registers[EECD] = value;
                break;
            case EERD:
                _registers[EERD] = _eeprom.ReadWord(value);
                break;
            case MDIC:
                _registers[MDIC] = _phy.Do(value, _isLinkUp, out var agreed);
                UpdateLink();
                if (agreed) Agreed();
                if ((value & MdicInterrupt) != 0) Raise(MdicDone);
                break;
            case ICR:
                _registers[ICR] &= ~value;
                Deliver();
                break;
            case ICS:
                Raise(value & CausesOfModel);
                break;
            case IMS:
                _registers[IMS] |= value & CausesOfModel;
                Deliver();
                break;
            case IMC:
                _registers[IMS] &= ~value;
                Deliver();
                break;
            case RDTR or TIDV:
                // Bit 31 ends the delay at once.
                _registers[at] = value & 0xffff;
                if (value >> 31 != 0) Flush(at == RDTR ? _receivedLater : _sentLater);
                break;
            case STATUS or EEMNGCTL or SWSM + 4 or 0x5b30:
                break;
            case >= FirstStatistic and < EndOfStatistics:
                break;
            default:
                _registers.Store(at, value);
                break;
        }
    }

    private uint StatusNow
    {
        get
        {
            var (speed, duplex) = _phy.Mode;
            if ((_registers[CTRL] & CtrlForceSpeed) != 0) speed = _registers[CTRL] >> 8 & 3;
            if ((_registers[CTRL] & CtrlForceDuplex) != 0) duplex = (_registers[CTRL] & CtrlFullDuplex) != 0;
            return (duplex ? StatusFullDuplex : 0) | (_isLinkUp ? StatusLinkUp : 0) | speed << StatusSpeedShift | speed << StatusSpeedDetectedShift
                | (_model.IsExpress && (_registers[CTRL] & CtrlMasterDisable) == 0 ? StatusMasterEnabled : 0);
        }
    }

    // 13.4.1, CTRL.RST: all but the PHY, and the memory that the address comes from.
    private void ResetController()
    {
        _registers.Reset(_options.Mac.Span);
        foreach (var ring in _rings) ring.Clear();
        _receivedLater.Clear();
        _sentLater.Clear();
        ResetInterrupts();
    }

    // The cable was pulled or put in, here or at its other end.
    private void TellLink()
    {
        lock (_link)
        {
            var isConnected = _isPlugged && _backend.IsLinkUp;
            lock (_gate)
            {
                _isConnected = isConnected;
                UpdateLink();
            }
        }
    }

    // While the machine stands still the driver is told nothing; it is when it goes on.
    private void UpdateLink()
    {
        var isUp = _isConnected && _phy.HasPower;
        if (_paused || isUp == _isLinkUp) return;
        _isLinkUp = isUp;
        Raise(LinkChanged);
    }

    private void Agreed()
    {
        if (_isLinkUp) Raise(LinkChanged);
    }

    private void InspectRing(InspectNode node, int at)
    {
        node.SayHex("address", AddressOf(at));
        node.Say("entries", _registers[at + RDLEN - RDBAL] / DescriptorLength);
        node.Say("head", _registers[at + RDH - RDBAL]);
        node.Say("tail", _registers[at + RDT - RDBAL]);
    }

    private ulong AddressOf(int ring) => _registers[ring] | (ulong)_registers[ring + 4] << 32;

    private void Exchange(SavedFields fields)
    {
        // Numbers below 10 are the function's.
        fields.Record(10, ref _registers, static (SavedFields fields, ref E1000Registers registers) => registers.Exchange(fields));
        fields.Record(11, ref _eeprom, static (SavedFields fields, ref E1000Eeprom eeprom) => eeprom.Exchange(fields));
        fields.Record(12, ref _phy, static (SavedFields fields, ref E1000Phy phy) => phy.Exchange(fields));
        fields.Value(13, ref _portAddress);
        fields.Value(14, ref _dropped);
        fields.Value(15, ref _isLinkUp);
        fields.Value(16, ref _asserted);
        fields.Value(17, ref _sent);
        fields.Value(18, ref _receivedLater.Causes);
        fields.Value(19, ref _sentLater.Causes);
        fields.Records(20, _rings, TransmitRing.Exchange);
        SavedFields.Require(((_receivedLater.Causes | _sentLater.Causes | _sent) & ~CausesOfModel) == 0, "causes of interrupts that it has not");
    }

    // IOADDR says which register IODATA is (13.2.2).
    private sealed class PortWindow(E1000Card card) : IBusDevice
    {
        public AccessResult Read(ulong offset, Span<byte> data)
        {
            data.Clear();
            if (data.Length != sizeof(uint)) return AccessResult.InvalidSize;
            if (offset == IoAddress) BinaryPrimitives.WriteUInt32LittleEndian(data, Volatile.Read(ref card._portAddress));
            return offset == IoData ? card.Read(Volatile.Read(ref card._portAddress) & ~3u, data) : AccessResult.Ok;
        }

        public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
        {
            if (data.Length != sizeof(uint)) return AccessResult.InvalidSize;
            if (offset == IoAddress) Volatile.Write(ref card._portAddress, BinaryPrimitives.ReadUInt32LittleEndian(data));
            return offset == IoData ? card.Write(Volatile.Read(ref card._portAddress) & ~3u, data) : AccessResult.Ok;
        }
    }
}
