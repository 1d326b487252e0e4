// The MC146818 real-time clock with 128 bytes of CMOS RAM. The time is the machine's wall clock plus an offset that the
// guest sets by setting the time; nothing ticks. The flags of register C are worked out when they are looked at, and a
// timer is armed only for a cause that would raise the interrupt and has not yet.
using Lamina.Core.Bus;
using Lamina.Core.Inspection;
using Lamina.Core.Interrupts;
using Lamina.Core.State;
using Lamina.Core.Time;
using Lamina.Core.Units;
using static Lamina.Devices.Chipset.CmosRtcSpec;

namespace Lamina.Devices.Chipset;

/// <summary>A real-time clock (MC146818A data sheet). Answers at offsets 0 (index) and 1 (data).</summary>
public sealed class CmosRtc : IBusDevice, IResettable, ISavedUnit, IInspected, IDisposable
{
    private const byte CauseMask = Periodic | Alarm | Update;

    private readonly Lock _gate = new();
    private readonly IMachineClock _clock;
    private readonly IInterruptLine _line;
    private readonly IDeviceTimer _timer;
    private CmosRtcState _state = new();

    /// <summary>Creates it running, in BCD and 24-hour mode, with the wall clock's own local time (UTC where its offset is zero).</summary>
    public CmosRtc(IMachineClock clock, IInterruptLine line)
    {
        (_clock, _line) = (clock, line);
        _timer = clock.CreateTimer(Expired);
        // As a PC's firmware leaves it: oscillator on, 1024 Hz chosen but not enabled, a coprocessor in the equipment byte.
        const byte defaultRate = 6, equipment = 0x14, coprocessor = 2;
        _state.Ram[A] = DividerNormal | defaultRate;
        _state.Ram[B] = Hours24;
        _state.Ram[equipment] = coprocessor;
        ForgetPast();
    }

    /// <summary>A copy of the live registers.</summary>
    public CmosRtcState State
    {
        get { lock (_gate) return _state; }
    }

    private RtcCalendar Calendar => new(_state.Ram[B]);

    private bool ChainRuns => (_state.Ram[A] & DividerReset) != DividerReset;

    private bool Running => ChainRuns && (_state.Ram[B] & Set) == 0;

    /// <summary>The guest's time in ticks of 100 ns since year 1, kept within the calendar.</summary>
    private long Now => Math.Clamp(_clock.WallClock.DateTime.Ticks + _state.Offset, DateTime.MinValue.Ticks, DateTime.MaxValue.Ticks);

    /// <summary>Claims the ports.</summary>
    public void MapPorts(Bus ports) => ports.Map(Port, Length, this);

    /// <summary>Writes the memory sizes where firmware and old kernels look for them, and their check sum.</summary>
    /// <param name="below4GiB">Bytes of RAM from address 0 to the hole below 4 GiB.</param>
    /// <param name="above4GiB">Bytes of RAM from 4 GiB on.</param>
    public void SetMemorySize(ulong below4GiB, ulong above4GiB)
    {
        const ulong kib = 1024, mib = kib * kib, unit = 64 * kib, highest = 0xffffff;
        lock (_gate)
        {
            Put(0x15, Math.Min(below4GiB / kib, 640), 2);
            var extended = Math.Min(below4GiB > mib ? (below4GiB - mib) / kib : 0, ushort.MaxValue);
            Put(0x17, extended, 2);
            Put(0x30, extended, 2);
            Put(0x34, Math.Min(below4GiB > 16 * mib ? (below4GiB - 16 * mib) / unit : 0, ushort.MaxValue), 2);
            Put(0x5b, Math.Min(above4GiB / unit, highest), 3);
            PutSum();
        }
    }

    /// <summary>Writes which floppy drives there are: their types, the first one's first.</summary>
    public void SetFloppies(IReadOnlyList<byte> types)
    {
        const int drives = 0x10, equipment = 0x14;
        ArgumentNullException.ThrowIfNull(types);
        lock (_gate)
        {
            Put(drives, (uint)types[0] << 4 | (types.Count > 1 ? types[1] : 0u), 1);
            _state.Ram[equipment] = (byte)(_state.Ram[equipment] & 0x3e | 1 | (types.Count - 1) << 6);
            PutSum();
        }
    }

    private void PutSum()
    {
        const int first = 0x10, last = 0x2d, sumHigh = 0x2e, sumLow = 0x2f;
        var sum = 0;
        for (var i = first; i <= last; i++) sum += _state.Ram[i];
        (_state.Ram[sumHigh], _state.Ram[sumLow]) = ((byte)(sum >> 8), (byte)sum);
    }

    /// <summary>Writes where firmware looks for them how many CPUs there are, and that it boots from a hard disk first, then from a CD.</summary>
    public void SetProcessors(int count)
    {
        const int processors = 0x5f, bootOrder = 0x3d;
        const byte hardDiskThenCd = 0x32;
        lock (_gate)
        {
            _state.Ram[processors] = (byte)(Math.Clamp(count, 1, 256) - 1);
            _state.Ram[bootOrder] = hardDiskThenCd;
        }
    }

    /// <summary>RESET: interrupts off and their causes forgotten; time and RAM live on.</summary>
    public void Reset()
    {
        lock (_gate)
        {
            _state.Ram[B] &= unchecked((byte)~(PeriodicEnable | AlarmEnable | UpdateEnable | SquareWave));
            _state.Causes = 0;
            ForgetPast();
            Rearm();
        }
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node) => node.Locked(_gate, () =>
    {
        node.Say("time", new DateTime(Now).ToString("yyyy-MM-dd HH:mm:ss", System.Globalization.CultureInfo.InvariantCulture));
        node.Say("running", Running);
        node.SayHex("register a", _state.Ram[A]);
        node.SayHex("register b", _state.Ram[B]);
        node.SayHex("causes", _state.Causes);
        node.SayHex("index", _state.Index);
    });

    /// <inheritdoc/>
    public SavedKind Kind => new("MC146818", 1);

    /// <inheritdoc/>
    public void Save(SavedFields fields)
    {
        lock (_gate)
        {
            Synchronise();
            CmosRtcState.Exchange(fields, ref _state);
        }
    }

    /// <inheritdoc/>
    public void Load(SavedFields fields)
    {
        lock (_gate)
        {
            CmosRtcState.Exchange(fields, ref _state);
            Rearm();
        }
    }

    /// <inheritdoc/>
    public AccessResult Read(ulong offset, Span<byte> data)
    {
        lock (_gate)
            for (var i = 0; i < data.Length; i++) data[i] = (int)offset + i == 0 ? (byte)0xff : ReadRegister(_state.Index);
        return AccessResult.Ok;
    }

    /// <inheritdoc/>
    public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
    {
        lock (_gate)
            for (var i = 0; i < data.Length; i++)
                // Bit 7 of the index port masks NMIs on a PC; no source of NMIs here goes through that mask.
                if ((int)offset + i == 0) _state.Index = (byte)(data[i] & 0x7f);
                else WriteRegister(_state.Index, data[i]);
        return AccessResult.Ok;
    }

    /// <inheritdoc/>
    public void Dispose() => _timer.Dispose();

    private static bool IsTime(int register) =>
        register is Seconds or Minutes or Hours or Weekday or DayOfMonth or Month or Year or CenturyRegister;

    private byte ReadRegister(int register)
    {
        switch (register)
        {
            case A:
                return (byte)(_state.Ram[A] | (Updating ? UpdateInProgress : 0));
            case C:
                return ReadCauses();
            case D:
                return Valid;
            default:
                if (IsTime(register) && Running) StoreTime();
                return _state.Ram[register];
        }
    }

    private void WriteRegister(int register, byte value)
    {
        Synchronise();
        switch (register)
        {
            case A:
                ChangeControl((byte)(value & ~UpdateInProgress), _state.Ram[B]);
                break;
            case B:
                // SET takes the update interrupt's enable with it (MC146818A, register B).
                ChangeControl(_state.Ram[A], (value & Set) != 0 ? (byte)(value & ~UpdateEnable) : value);
                break;
            case C or D:
                break;
            default:
                var setsTime = IsTime(register) && Running;
                if (setsTime) StoreTime();
                _state.Ram[register] = value;
                if (setsTime) LoadTime(Now % TimeSpan.TicksPerSecond);
                break;
        }
        ForgetPast();
        Rearm();
    }

    private bool Updating => Running && Now % TimeSpan.TicksPerSecond >= TimeSpan.TicksPerSecond - UpdateTicks;

    private byte ReadCauses()
    {
        Synchronise();
        var causes = _state.Causes;
        var request = (causes & _state.Ram[B] & CauseMask) != 0;
        _state.Causes = 0;
        Rearm();
        return (byte)(causes | (request ? InterruptRequest : 0));
    }

    /// <summary>Changes registers A and B; the time stops or goes on from what the registers hold then.</summary>
    private void ChangeControl(byte a, byte b)
    {
        var (ran, chainRan) = (Running, ChainRuns);
        if (ran) StoreTime();
        var fraction = Now % TimeSpan.TicksPerSecond;
        (_state.Ram[A], _state.Ram[B]) = (a, b);
        // Released from reset, the divider chain makes the first update half a second later.
        if (!ran && Running) LoadTime(chainRan ? fraction : TimeSpan.TicksPerSecond / 2);
    }

    private void StoreTime() => Calendar.Store(ref _state.Ram, new DateTime(Now), _state.WeekdayShift);

    private void LoadTime(long fraction)
    {
        (var time, _state.WeekdayShift) = Calendar.Load(_state.Ram);
        _state.Offset = time.Ticks + fraction - _clock.WallClock.DateTime.Ticks;
    }

    private void Put(int register, ulong value, int bytes)
    {
        for (var i = 0; i < bytes; i++) _state.Ram[register + i] = (byte)(value >> (8 * i));
    }

    private long PeriodicTicks => TickMath.Ticks(_clock.NowNanoseconds, PeriodicHz(_state.Ram[A]));

    /// <summary>What changed by the guest's own hand raises no flag.</summary>
    private void ForgetPast()
    {
        _state.SeenSecond = Now / TimeSpan.TicksPerSecond;
        _state.SeenPeriodic = PeriodicTicks;
    }

    /// <summary>Raises the flags of everything that happened since the last time.</summary>
    private void Synchronise()
    {
        var second = Now / TimeSpan.TicksPerSecond;
        if (Running && second > _state.SeenSecond)
        {
            _state.Causes |= Update;
            if (Calendar.NextAlarm(_state.Ram, _state.SeenSecond) <= second) _state.Causes |= Alarm;
        }
        _state.SeenSecond = second;
        if (ChainRuns && PeriodicTicks > _state.SeenPeriodic) _state.Causes |= Periodic;
        _state.SeenPeriodic = PeriodicTicks;
    }

    private void Expired()
    {
        lock (_gate)
        {
            Synchronise();
            Rearm();
        }
    }

    /// <summary>Drives the line, and, while it is low, waits for the next cause that would raise it.</summary>
    private void Rearm()
    {
        var enabled = _state.Ram[B] & CauseMask;
        var asserted = (_state.Causes & enabled) != 0;
        _line.SetLevel(asserted);
        var next = asserted || enabled == 0 ? long.MaxValue : NextCause(enabled);
        if (next == long.MaxValue) _timer.Cancel();
        else _timer.Arm(next);
    }

    private long NextCause(int enabled)
    {
        var next = long.MaxValue;
        var hertz = PeriodicHz(_state.Ram[A]);
        if ((enabled & Periodic) != 0 && ChainRuns && hertz != 0)
            next = TickMath.Nanoseconds((ulong)_state.SeenPeriodic + 1, hertz);
        if (!Running) return next;
        if ((enabled & Update) != 0) next = Math.Min(next, WhenSecond(_state.SeenSecond + 1));
        if ((enabled & Alarm) != 0 && Calendar.NextAlarm(_state.Ram, _state.SeenSecond) is { } alarm) next = Math.Min(next, WhenSecond(alarm));
        return next;
    }

    private long WhenSecond(long second) =>
        TickMath.After(_clock.NowNanoseconds, Math.Max(0, second * TimeSpan.TicksPerSecond - Now) * 100);
}
