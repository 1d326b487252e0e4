// The ACPI fixed hardware: power button, sleep control, power management timer, reset register, and the block of general-purpose
// events by which the machine tells the guest of what came or went. It asks the machine to
// power off or to reset; it does neither. Each register is a row of bytes, so that any width of access means the same.
using System.Buffers.Binary;
using Lamina.Core.Bus;
using Lamina.Core.Inspection;
using Lamina.Core.Interrupts;
using Lamina.Core.State;
using Lamina.Core.Time;
using Lamina.Core.Units;
using static Lamina.Devices.Chipset.AcpiPmSpec;

namespace Lamina.Devices.Chipset;

/// <summary>Everything the fixed hardware remembers.</summary>
public struct AcpiPmState
{
    /// <summary>PM1 status.</summary>
    public ushort Status;

    /// <summary>PM1 enable.</summary>
    public ushort Enable;

    /// <summary>PM1 control's low byte; without SCI_EN where that is always set.</summary>
    public byte ControlLow;

    /// <summary>SLP_TYP, as PM1 control and the sleep control register share it.</summary>
    public byte SleepType;

    /// <summary>General-purpose event status and enable, one bit an event.</summary>
    public ushort GeneralStatus, GeneralEnable;

    /// <summary>How often the timer's highest bit had changed when its status was last brought up to date.</summary>
    public long SeenToggles;

    internal static void Exchange(SavedFields fields, ref AcpiPmState state)
    {
        fields.Value(1, ref state.Status);
        fields.Value(2, ref state.Enable);
        fields.Value(3, ref state.ControlLow);
        fields.Value(4, ref state.SleepType);
        fields.Value(5, ref state.GeneralStatus);
        fields.Value(6, ref state.GeneralEnable);
        fields.Value(7, ref state.SeenToggles);
        if (fields.IsLoading) SavedFields.Require(state.SeenToggles is >= 0 and < long.MaxValue >> AcpiPmSpec.TimerHighestBit, "a time before the machine's first");
    }
}

/// <summary>ACPI fixed hardware (ACPI 6.5, 4.8). Answers at offsets 0 to 19.</summary>
public sealed class AcpiPm : IBusDevice, IResettable, ISavedUnit, IInspected, IDisposable
{
    private enum Wish
    {
        None,
        PowerOff,
        Reset,
    }

    private readonly Lock _gate = new();
    private readonly IMachineClock _clock;
    private readonly IInterruptLine _sci;
    private readonly Action _powerOff;
    private readonly Action _requestReset;
    private readonly IDeviceTimer _timer;
    private readonly bool _alwaysAcpi;
    private readonly byte _softOffType;
    private AcpiPmState _state;

    /// <summary>Creates it in its reset state.</summary>
    /// <param name="clock">Drives the timer.</param>
    /// <param name="sci">The system control interrupt.</param>
    /// <param name="powerOff">Asks for the machine's power-off; called without locks and must not wait for it.</param>
    /// <param name="requestReset">Asks for a reset, likewise.</param>
    /// <param name="alwaysAcpi">Whether events raise the SCI from the start; else after <see cref="SetAcpiMode"/>, as on a PC with management mode (4.8.3.2.1).</param>
    /// <param name="softOffType">SLP_TYP of S5, as the tables say it.</param>
    public AcpiPm(IMachineClock clock, IInterruptLine sci, Action powerOff, Action requestReset, bool alwaysAcpi = true, byte softOffType = SleepTypeOff)
    {
        (_alwaysAcpi, _softOffType) = (alwaysAcpi, softOffType);
        (_clock, _sci, _powerOff, _requestReset) = (clock, sci, powerOff, requestReset);
        _timer = clock.CreateTimer(Expired);
        _state.SeenToggles = Toggles;
    }

    /// <summary>A copy of the live registers.</summary>
    public AcpiPmState State
    {
        get { lock (_gate) return _state; }
    }

    private long Ticks => TickMath.Ticks(_clock.NowNanoseconds, TimerHz);

    private long Toggles => Ticks >> TimerHighestBit;

    private bool RaisesSci => _alwaysAcpi || (_state.ControlLow & SciEnable) != 0;

    /// <summary>Claims the ports.</summary>
    public void MapPorts(Bus ports) => ports.Map(BasePort, Length, this);

    /// <summary>As after power-on.</summary>
    public void Reset()
    {
        lock (_gate)
        {
            _state = new AcpiPmState { SeenToggles = Toggles };
            Update();
        }
    }

    /// <summary>Hands power events over to the operating system, or takes them back.</summary>
    public void SetAcpiMode(bool on)
    {
        lock (_gate)
        {
            _state.ControlLow = (byte)(_state.ControlLow & ~SciEnable | (on && !_alwaysAcpi ? SciEnable : 0));
            Update();
        }
    }

    /// <summary>Presses the power button: the guest is asked to shut down.</summary>
    /// <returns>Whether it listens.</returns>
    public bool PressPowerButton()
    {
        lock (_gate)
        {
            Synchronise();
            _state.Status |= PowerButtonBit;
            Update();
            return RaisesSci && (_state.Enable & PowerButtonBit) != 0;
        }
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node) => node.Locked(_gate, () =>
    {
        node.SayHex("status", _state.Status);
        node.SayHex("enable", _state.Enable);
        node.Say("guest listens to the power button", RaisesSci && (_state.Enable & PowerButtonBit) != 0);
        node.SayHex("control", _state.ControlLow);
        node.SayHex("general status", _state.GeneralStatus);
        node.SayHex("general enable", _state.GeneralEnable);
        node.Say("timer", Ticks);
    });

    /// <inheritdoc/>
    public SavedKind Kind => new("ACPI fixed hardware", 1);

    /// <inheritdoc/>
    public void Save(SavedFields fields)
    {
        lock (_gate)
        {
            Synchronise();
            AcpiPmState.Exchange(fields, ref _state);
        }
    }

    /// <inheritdoc/>
    public void Load(SavedFields fields)
    {
        lock (_gate)
        {
            AcpiPmState.Exchange(fields, ref _state);
            Update();
        }
    }

    /// <summary>Raises a general-purpose event (4.8.4.1): the guest runs the method _Exx or _Lxx that the tables have for it.</summary>
    /// <param name="number">0 to 15.</param>
    public void RaiseEvent(int number)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual((uint)number, (uint)GeneralEvents, nameof(number));
        lock (_gate)
        {
            Synchronise();
            _state.GeneralStatus |= (ushort)(1 << number);
            Update();
        }
    }

    /// <inheritdoc/>
    public AccessResult Read(ulong offset, Span<byte> data)
    {
        // Kernels without a better clock read the timer all the time: that is the machine's clock, which changes nothing here. Whether its
        // highest bit has changed is seen by whoever asks for that.
        if (offset >= TimerOffset && offset + (ulong)data.Length <= TimerOffset + TimerLength)
        {
            if (data.Length == TimerLength) BinaryPrimitives.WriteUInt32LittleEndian(data, (uint)Ticks);
            else Read((int)offset, (uint)Ticks, data);
            return AccessResult.Ok;
        }
        lock (_gate)
        {
            var ticks = Ticks;
            Synchronise(ticks);
            Read((int)offset, (uint)ticks, data);
        }
        return AccessResult.Ok;
    }

    /// <inheritdoc/>
    public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
    {
        var wish = Wish.None;
        lock (_gate)
        {
            Synchronise();
            for (var i = 0; i < data.Length; i++)
            {
                var wished = WriteByte((int)offset + i, data[i]);
                if (wished != Wish.None) wish = wished;
            }
            Update();
        }
        if (wish == Wish.PowerOff) _powerOff();
        else if (wish == Wish.Reset) _requestReset();
        return AccessResult.Ok;
    }

    /// <inheritdoc/>
    public void Dispose() => _timer.Dispose();

    private void Read(int offset, uint ticks, Span<byte> data)
    {
        for (var i = 0; i < data.Length; i++) data[i] = ReadByte(offset + i, ticks);
    }

    private byte ReadByte(int offset, uint ticks) => offset switch
    {
        EventOffset => (byte)_state.Status,
        EventOffset + 1 => (byte)(_state.Status >> 8),
        EventOffset + 2 => (byte)_state.Enable,
        EventOffset + 3 => (byte)(_state.Enable >> 8),
        ControlOffset => (byte)(_state.ControlLow | (_alwaysAcpi ? SciEnable : 0)),
        ControlOffset + 1 or SleepControlOffset => (byte)(_state.SleepType << SleepTypeShift),
        >= TimerOffset and < TimerOffset + TimerLength => (byte)(ticks >> (8 * (offset - TimerOffset))),
        SleepStatusOffset => (byte)(_state.Status >> 8 & WakeStatus >> 8),
        GeneralOffset => (byte)_state.GeneralStatus,
        GeneralOffset + 1 => (byte)(_state.GeneralStatus >> 8),
        GeneralOffset + 2 => (byte)_state.GeneralEnable,
        GeneralOffset + 3 => (byte)(_state.GeneralEnable >> 8),
        _ => 0,
    };

    private Wish WriteByte(int offset, byte value)
    {
        switch (offset)
        {
            case EventOffset:
                _state.Status &= (ushort)~value;
                break;
            case EventOffset + 1:
                _state.Status &= (ushort)~(value << 8);
                break;
            case EventOffset + 2:
                _state.Enable = (ushort)((_state.Enable & 0xff00) | (value & EnableMask));
                break;
            case EventOffset + 3:
                _state.Enable = (ushort)((_state.Enable & 0xff) | (value << 8 & EnableMask));
                break;
            case ControlOffset:
                _state.ControlLow = (byte)(_state.ControlLow & SciEnable | value & BusMasterReload);
                break;
            case ControlOffset + 1 or SleepControlOffset:
                _state.SleepType = (byte)(value >> SleepTypeShift & SleepTypeMask);
                // Only S5 exists; a request for another state is one that the tables never offered.
                return (value & SleepEnable) != 0 && _state.SleepType == _softOffType ? Wish.PowerOff : Wish.None;
            case SleepStatusOffset:
                _state.Status &= (ushort)~(value << 8 & WakeStatus);
                break;
            case GeneralOffset:
                _state.GeneralStatus &= (ushort)~value;
                break;
            case GeneralOffset + 1:
                _state.GeneralStatus &= (ushort)~(value << 8);
                break;
            case GeneralOffset + 2:
                _state.GeneralEnable = (ushort)((_state.GeneralEnable & 0xff00) | value);
                break;
            case GeneralOffset + 3:
                _state.GeneralEnable = (ushort)((_state.GeneralEnable & 0xff) | value << 8);
                break;
            case ResetOffset:
                return value == ResetValue ? Wish.Reset : Wish.None;
        }
        return Wish.None;
    }

    private void Synchronise() => Synchronise(Ticks);

    private void Synchronise(long ticks)
    {
        var toggles = ticks >> TimerHighestBit;
        if (toggles != _state.SeenToggles) _state.Status |= TimerBit;
        _state.SeenToggles = toggles;
    }

    private void Expired()
    {
        lock (_gate)
        {
            Synchronise();
            Update();
        }
    }

    /// <summary>Drives the SCI, and waits for the timer's highest bit where it would raise it.</summary>
    private void Update()
    {
        _state.Status &= StatusMask;
        _sci.SetLevel(RaisesSci && (_state.Status & _state.Enable | _state.GeneralStatus & _state.GeneralEnable) != 0);
        if ((_state.Enable & ~_state.Status & TimerBit) != 0)
            _timer.Arm(TickMath.Nanoseconds((ulong)(_state.SeenToggles + 1) << TimerHighestBit, TimerHz));
        else
            _timer.Cancel();
    }
}
