// A 16550A UART between a guest's ports and a character backend. Transmission takes no time: what the guest writes is
// with the backend when the write returns. Where the backend takes no more, characters wait in the transmitter's FIFO, which then is
// not empty (LSR bits 5 and 6, and no interrupt), as with a line that the other end holds; drivers wait for that. One that does not
// loses what it writes, as it would on a PC, and that is counted.
// Reception follows the FIFO: the backend is told how much was taken and, when
// the guest has emptied it, that there is room again. Nothing is received before the guest listens: its driver enables the receiver's
// interrupt and its pin when the port is opened, one without interrupts reads LSR again and again. So what was typed or piped in early is there
// then, and not in a FIFO that a driver clears at its start. Characters are eight bits wide whatever LCR says, because the
// channel behind is a stream of bytes.
using Lamina.Core.Bus;
using Lamina.Core.Char;
using Lamina.Core.Inspection;
using Lamina.Core.Interrupts;
using Lamina.Core.State;
using Lamina.Core.Time;
using Lamina.Core.Units;
using static Lamina.Devices.Chipset.Serial16550ASpec;

namespace Lamina.Devices.Chipset;

/// <summary>A 16550A (PC16550D data sheet). Answers at offsets 0 to 7.</summary>
public sealed class Serial16550A : IBusDevice, ICharReceiver, IResettable, IPausable, ISavedUnit, IInspected, ICounted, IDisposable
{
    private const ushort BreakFlag = 0x100, LineFlag = 0x200;

    // Drivers read LSR before a character that they send and, some, after it; more looks than that without a write are for input, and
    // so many of these are no start-up's.
    private const int LooksOfSending = 2, LooksOfPolling = 16;

    // So many looks at a transmitter that is held back are answered at once.
    private const int PatientPolls = 64;

    private readonly Lock _gate = new();
    private readonly IMachineClock _clock;
    private readonly IInterruptLine _line;
    private readonly ICharBackend _backend;
    private readonly IDeviceTimer _timeout;
    private Serial16550AState _state = new();
    private bool _backendWaits, _paused;
    private bool _timeoutArmed;
    private int _heldPolls;
    private long _lost;

    /// <summary>Creates it in its reset state and attaches it to the backend.</summary>
    public Serial16550A(IMachineClock clock, IInterruptLine line, ICharBackend backend)
    {
        (_clock, _line, _backend) = (clock, line, backend);
        _timeout = clock.CreateTimer(TimeoutExpired);
        backend.Attach(this);
    }

    /// <summary>A copy of the live registers.</summary>
    public Serial16550AState State
    {
        get { lock (_gate) return _state; }
    }

    /// <summary>How many characters the guest wrote into a transmitter that was full.</summary>
    public long Lost
    {
        get { lock (_gate) return _lost; }
    }

    private bool FifosOn => (_state.FifoControl & FifoEnable) != 0;

    private int Capacity => FifosOn ? FifoLength : 1;

    private bool Looped => (_state.ModemControl & Loopback) != 0;

    // Drivers that probe for a port enable all interrupts for a moment, and drop what they read then; they do not let them out of the pin.
    private bool Listens => ((_state.InterruptEnable & EnableReceived) != 0 && (_state.ModemControl & Out2) != 0) || _state.IdleLooks >= LooksOfPolling;

    private bool TopHasBreak => _state.Count > 0 && (_state.Received[_state.Head] & BreakFlag) != 0;

    /// <summary>Claims the ports from <paramref name="port"/> on.</summary>
    public void MapPorts(Bus ports, ushort port = Com1) => ports.Map(port, Length, this);

    /// <summary>Master reset.</summary>
    public void Reset()
    {
        lock (_gate)
        {
            // What waited is still on the line: the guest's last words before its reset.
            var (unsent, count) = (_state.Unsent, _state.UnsentCount);
            _state = new Serial16550AState { Unsent = unsent, UnsentCount = count };
            ArmTimeout();
            UpdateLine();
            OfferRoom();
        }
    }

    /// <inheritdoc/>
    public void Pause()
    {
        lock (_gate) _paused = true;
    }

    /// <inheritdoc/>
    public void Resume()
    {
        lock (_gate)
        {
            if (!_paused) return;
            _paused = false;
            OfferRoom();
            SendUnsent();
        }
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node) => node.Locked(_gate, () =>
    {
        node.SayHex("interrupt enable", _state.InterruptEnable);
        node.SayHex("fifo control", _state.FifoControl);
        node.SayHex("line control", _state.LineControl);
        node.SayHex("modem control", _state.ModemControl);
        node.Say("divisor", (long)_state.Divisor);
        node.Say("characters received", _state.Count);
        node.Say("characters to be sent", _state.UnsentCount);
        node.Say("overrun", _state.Overrun);
    });

    /// <inheritdoc/>
    public void Count(CounterList counters) => counters.Total("serial_lost_bytes", Lost, "output that the port had no room for", CounterUnit.Bytes);

    /// <inheritdoc/>
    public SavedKind Kind => new("16550A", 1);

    /// <inheritdoc/>
    public void Save(SavedFields fields)
    {
        lock (_gate) Serial16550AState.Exchange(fields, ref _state);
    }

    /// <inheritdoc/>
    public void Load(SavedFields fields)
    {
        lock (_gate)
        {
            Serial16550AState.Exchange(fields, ref _state);
            ArmTimeout();
            UpdateLine();
        }
    }

    /// <inheritdoc/>
    public AccessResult Read(ulong offset, Span<byte> data)
    {
        bool polls;
        lock (_gate)
        {
            for (var i = 0; i < data.Length; i++) data[i] = ReadRegister((int)offset + i);
            polls = _heldPolls > PatientPolls;
        }
        // Who asks again and again when the line takes more is answered at leisure: it would burn the host's CPU otherwise, and
        // drivers count their looks (Linux gives a character up after ten thousand).
        if (polls) _backend.Linger();
        return AccessResult.Ok;
    }

    /// <inheritdoc/>
    public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
    {
        lock (_gate)
            for (var i = 0; i < data.Length; i++) WriteRegister((int)offset + i, data[i]);
        return AccessResult.Ok;
    }

    /// <inheritdoc/>
    public int Receive(ReadOnlySpan<byte> data)
    {
        lock (_gate)
        {
            // In loopback the receiver's input is cut off from the line (8.8): hold the backend rather than lose bytes.
            var taken = Looped || _paused || !Listens ? 0 : Math.Min(data.Length, Math.Max(Capacity - _state.Count, 0));
            for (var i = 0; i < taken; i++) Enqueue((ushort)(data[i] | LineFlag));
            _backendWaits = taken < data.Length;
            if (taken > 0) ReceivedSome();
            return taken;
        }
    }

    /// <inheritdoc/>
    public void ReadyToSend()
    {
        lock (_gate)
        {
            if (!_paused) SendUnsent();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _timeout.Dispose();

    private byte ReadRegister(int register)
    {
        switch (register)
        {
            case Data:
                return DivisorLatched ? (byte)_state.Divisor : ReadData();
            case InterruptEnable:
                return DivisorLatched ? (byte)(_state.Divisor >> 8) : _state.InterruptEnable;
            case InterruptIdentification:
                return ReadCause();
            case LineControl:
                return _state.LineControl;
            case ModemControl:
                return _state.ModemControl;
            case LineStatus:
                return ReadLineStatus();
            case ModemStatus:
                return ReadModemStatus();
            case Scratch:
                return _state.Scratch;
            default:
                return 0xff;
        }
    }

    private void WriteRegister(int register, byte value)
    {
        // Looks add up to polling only where no write comes between them: a kernel that boots looks, too, now and then.
        var listened = Listens;
        (_state.LooksSinceWrite, _state.IdleLooks) = (0, listened ? _state.IdleLooks : 0);
        switch (register)
        {
            case Data:
                if (DivisorLatched) _state.Divisor = (ushort)((_state.Divisor & 0xff00) | value);
                else Transmit(value);
                break;
            case InterruptEnable:
                if (DivisorLatched) _state.Divisor = (ushort)((_state.Divisor & 0xff) | value << 8);
                else WriteInterruptEnable(value);
                break;
            case InterruptIdentification:
                WriteFifoControl(value);
                break;
            case LineControl:
                WriteLineControl(value);
                break;
            case ModemControl:
                WriteModemControl(value);
                break;
            case Scratch:
                _state.Scratch = value;
                break;
        }
        if (!listened && Listens && _state.Count == 0) OfferRoom();
    }

    private bool DivisorLatched => (_state.LineControl & DivisorLatch) != 0;

    private byte ReadData()
    {
        if (_state.Count == 0) return 0;
        var value = (byte)_state.Received[_state.Head];
        _state.Head = (_state.Head + 1) % FifoLength;
        _state.Count--;
        _state.TimeoutPending = false;
        _state.LastActivity = _clock.NowNanoseconds;
        ArmTimeout();
        UpdateLine();
        if (_state.Count == 0) OfferRoom();
        return value;
    }

    /// <summary>IIR. Reading it takes back the transmitter's interrupt if that is what it reports (table V).</summary>
    private byte ReadCause()
    {
        var cause = Cause();
        if (cause == CauseTransmitterEmpty)
        {
            _state.TransmitterEmptyPending = false;
            UpdateLine();
        }
        return (byte)(cause | (FifosOn ? FifosEnabled : 0));
    }

    private byte ReadLineStatus()
    {
        CountLook();
        var status = _state.UnsentCount == 0 ? HoldingEmpty | TransmitterEmpty : 0;
        _heldPolls = _state.UnsentCount == 0 ? 0 : Math.Min(_heldPolls + 1, PatientPolls + 1);
        if (_state.Count > 0) status |= DataReady;
        if (_state.Overrun) status |= Overrun;
        if (TopHasBreak) status |= BreakInterrupt;
        if (FifosOn && AnyBreak()) status |= FifoError;
        _state.Overrun = false;
        if (TopHasBreak) _state.Received[_state.Head] &= unchecked((ushort)~BreakFlag);
        UpdateLine();
        return (byte)status;
    }

    private void CountLook()
    {
        if (_state.UnsentCount != 0 || Listens || _state.LooksSinceWrite++ < LooksOfSending) return;
        _state.IdleLooks++;
        if (Listens && _state.Count == 0) OfferRoom();
    }

    private byte ReadModemStatus()
    {
        var status = (byte)(ModemInputs(_state.ModemControl) | _state.ModemDeltas);
        _state.ModemDeltas = 0;
        UpdateLine();
        return status;
    }

    private void Transmit(byte value)
    {
        // The interrupt goes away with the write and comes back when the character is out: a fresh edge each time.
        _state.TransmitterEmptyPending = false;
        UpdateLine();
        if (!Looped) Send(value);
        else if ((_state.LineControl & Break) == 0) ReceiveLooped(value);
        _state.TransmitterEmptyPending = _state.UnsentCount == 0;
        UpdateLine();
    }

    private void Send(byte value)
    {
        _heldPolls = 0;
        if (_state.UnsentCount == 0 && _backend.Write([value]) == 1) return;
        if (_state.UnsentCount < Capacity) _state.Unsent[_state.UnsentCount++] = value;
        else _lost++;
    }

    private void SendUnsent()
    {
        if (_state.UnsentCount == 0) return;
        Span<byte> unsent = _state.Unsent;
        var taken = _backend.Write(unsent[.._state.UnsentCount]);
        unsent[taken.._state.UnsentCount].CopyTo(unsent);
        _state.UnsentCount -= taken;
        if (_state.UnsentCount != 0) return;
        _heldPolls = 0;
        _state.TransmitterEmptyPending = true;
        UpdateLine();
    }

    private void WriteInterruptEnable(byte value)
    {
        value &= EnableMask;
        // Enabling the transmitter's interrupt while it is empty raises it (8.6).
        if (_state.UnsentCount == 0 && (value & ~_state.InterruptEnable & EnableTransmitterEmpty) != 0) _state.TransmitterEmptyPending = true;
        if ((~value & _state.InterruptEnable & EnableReceived) != 0) _state.IdleLooks = 0;
        _state.InterruptEnable = value;
        UpdateLine();
    }

    private void WriteFifoControl(byte value)
    {
        // Turning the FIFOs on or off empties them; the other bits only count with bit 0 set (8.5).
        var toggled = ((value ^ _state.FifoControl) & FifoEnable) != 0;
        var on = (value & FifoEnable) != 0;
        _state.FifoControl = (byte)(on ? value & FifoKept : 0);
        if (toggled || (on && (value & ResetReceiver) != 0))
        {
            ClearReceived();
        }
        // What the line holds back cannot be taken back: were transmission not without time here, it would be gone long since.
        if (toggled || (on && (value & ResetTransmitter) != 0)) _state.TransmitterEmptyPending = _state.UnsentCount == 0;
        UpdateLine();
    }

    // Not what came by the line: that was held for the guest, and on a line with flow control it would arrive only now.
    private void ClearReceived()
    {
        var (kept, count) = (new SerialFifo(), 0);
        for (var i = 0; i < _state.Count; i++)
        {
            var entry = _state.Received[(_state.Head + i) % FifoLength];
            if ((entry & LineFlag) != 0) kept[count++] = entry;
        }
        (_state.Received, _state.Head, _state.Count, _state.TimeoutPending) = (kept, 0, count, false);
        ArmTimeout();
        if (count == 0) OfferRoom();
    }

    private void WriteLineControl(byte value)
    {
        var breakBegins = (value & ~_state.LineControl & Break) != 0;
        _state.LineControl = value;
        if (breakBegins && Looped) ReceiveLooped(BreakFlag);
    }

    private void WriteModemControl(byte value)
    {
        var before = ModemInputs(_state.ModemControl);
        _state.ModemControl = (byte)(value & ModemControlMask);
        var after = ModemInputs(_state.ModemControl);
        var changed = before ^ after;
        if ((changed & Cts) != 0) _state.ModemDeltas |= DeltaCts;
        if ((changed & Dsr) != 0) _state.ModemDeltas |= DeltaDsr;
        if ((before & ~after & Ri) != 0) _state.ModemDeltas |= TrailingRi;
        if ((changed & Dcd) != 0) _state.ModemDeltas |= DeltaDcd;
        UpdateLine();
        if (!Looped && _state.Count == 0) OfferRoom();
    }

    /// <summary>MSR bits 4 to 7: a connected terminal, or in loopback the modem outputs (8.8).</summary>
    private static int ModemInputs(byte control)
    {
        if ((control & Loopback) == 0) return Cts | Dsr | Dcd;
        return ((control & Rts) != 0 ? Cts : 0) | ((control & Dtr) != 0 ? Dsr : 0)
            | ((control & Out1) != 0 ? Ri : 0) | ((control & Out2) != 0 ? Dcd : 0);
    }

    private void ReceiveLooped(ushort entry)
    {
        if (_state.Count < Capacity) Enqueue(entry);
        else
        {
            // The FIFO keeps its contents and loses the new character; the single buffer is overwritten (8.4, bit 1).
            _state.Overrun = true;
            if (!FifosOn) _state.Received[_state.Head] = entry;
        }
        ReceivedSome();
    }

    private void Enqueue(ushort entry)
    {
        _state.Received[(_state.Head + _state.Count) % FifoLength] = entry;
        _state.Count++;
    }

    private void ReceivedSome()
    {
        _state.LastActivity = _clock.NowNanoseconds;
        ArmTimeout();
        UpdateLine();
    }

    private bool AnyBreak()
    {
        for (var i = 0; i < _state.Count; i++)
            if ((_state.Received[(_state.Head + i) % FifoLength] & BreakFlag) != 0) return true;
        return false;
    }

    private void OfferRoom()
    {
        if (!_backendWaits) return;
        _backendWaits = false;
        _backend.ReadyToReceive();
    }

    /// <summary>
    /// Four character times of silence with characters waiting below the trigger level raise the time-out (8.11).
    /// The timer is not moved by each character: when it expires too early it is armed again.
    /// </summary>
    private void ArmTimeout()
    {
        var wanted = FifosOn && _state.Count > 0 && !_state.TimeoutPending;
        if (wanted == _timeoutArmed) return;
        _timeoutArmed = wanted;
        if (wanted) _timeout.Arm(SilenceEnds);
        else _timeout.Cancel();
    }

    private long SilenceEnds => TickMath.After(_state.LastActivity, SilenceNanoseconds);

    private long SilenceNanoseconds
    {
        get
        {
            var bits = 1 + 5 + (_state.LineControl & WordLength) + ((_state.LineControl & ParityEnable) != 0 ? 1 : 0)
                + ((_state.LineControl & StopBits) != 0 ? 2 : 1);
            return TickMath.Nanoseconds(4ul * (ulong)bits * 16 * Math.Max((ulong)_state.Divisor, 1), OscillatorHz);
        }
    }

    private void TimeoutExpired()
    {
        lock (_gate)
        {
            // An expiry may have been on its way when the guest read or emptied the FIFO.
            _timeoutArmed = false;
            if (!FifosOn || _state.Count == 0 || _clock.NowNanoseconds < SilenceEnds)
            {
                ArmTimeout();
                return;
            }
            _state.TimeoutPending = true;
            UpdateLine();
        }
    }

    private byte Cause()
    {
        var enabled = _state.InterruptEnable;
        if ((enabled & EnableLineStatus) != 0 && (_state.Overrun || TopHasBreak)) return CauseLineStatus;
        if ((enabled & EnableReceived) != 0)
        {
            if (_state.Count >= (FifosOn ? TriggerLevel(_state.FifoControl) : 1)) return CauseReceived;
            if (_state.TimeoutPending) return CauseTimeout;
        }
        if ((enabled & EnableTransmitterEmpty) != 0 && _state.TransmitterEmptyPending) return CauseTransmitterEmpty;
        if ((enabled & EnableModemStatus) != 0 && _state.ModemDeltas != 0) return CauseModemStatus;
        return CauseNone;
    }

    /// <summary>On a PC the OUT2 pin gates the interrupt; loopback turns the pin off (8.8).</summary>
    private void UpdateLine() =>
        _line.SetLevel((_state.ModemControl & (Out2 | Loopback)) == Out2 && Cause() != CauseNone);
}
