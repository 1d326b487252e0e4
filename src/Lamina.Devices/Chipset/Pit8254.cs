// The 8254 interval timer of a PC and the system control port 0x61 that holds channel 2's gate and output. Channel 0
// drives IRQ 0 by a timer of the machine's clock; channels 1 and 2 only answer questions. The speaker makes no sound.
using Lamina.Core.Bus;
using Lamina.Core.Inspection;
using Lamina.Core.Interrupts;
using Lamina.Core.State;
using Lamina.Core.Time;
using Lamina.Core.Units;
using static Lamina.Devices.Chipset.Pit8254Spec;

namespace Lamina.Devices.Chipset;

/// <summary>Everything the timer remembers.</summary>
/// <param name="Channel0">Counter 0.</param>
/// <param name="Channel1">Counter 1.</param>
/// <param name="Channel2">Counter 2.</param>
/// <param name="SystemControl">The written bits of port 0x61.</param>
public readonly record struct Pit8254State(PitCounterState Channel0, PitCounterState Channel1, PitCounterState Channel2, byte SystemControl);

/// <summary>An 8254 (Intel data sheet 231164).</summary>
public sealed class Pit8254 : IResettable, ISavedUnit, IInspected, IDisposable
{
    private readonly Lock _gate = new();
    private readonly IMachineClock _clock;
    private readonly IInterruptLine _line;
    private readonly IDeviceTimer _timer;
    private readonly PitCounter[] _channels = [new(), new(), new()];
    private byte _systemControl;
    private long? _due;
    private bool _level;

    /// <summary>Creates it with all channels idle until the guest programs them.</summary>
    public Pit8254(IMachineClock clock, IInterruptLine line)
    {
        (_clock, _line) = (clock, line);
        _timer = clock.CreateTimer(Expired);
        Counters = new BytePorts(Read, Write);
        SystemControl = new BytePorts(_ => ReadSystemControl(), (_, value) => WriteSystemControl(value));
        OpenGates();
    }

    /// <summary>Ports 0x40 to 0x43.</summary>
    public IBusDevice Counters { get; }

    /// <summary>Port 0x61.</summary>
    public IBusDevice SystemControl { get; }

    /// <summary>A copy of the live registers.</summary>
    public Pit8254State State
    {
        get { lock (_gate) return new(_channels[0].State, _channels[1].State, _channels[2].State, _systemControl); }
    }

    /// <summary>Claims the ports.</summary>
    public void MapPorts(Bus ports)
    {
        ports.Map(Port, Length, Counters);
        ports.Map(SystemControlPort, 1, SystemControl);
    }

    /// <summary>All channels idle.</summary>
    public void Reset()
    {
        lock (_gate)
        {
            foreach (var channel in _channels) channel.State = new PitCounterState();
            _systemControl = 0;
            OpenGates();
            _due = null;
            _timer.Cancel();
            Drive(false);
        }
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node) => node.Locked(_gate, () =>
    {
        node.SayHex("system control", _systemControl);
        node.Say("output 0", _level);
        node.Each("channel", _channels, static (channel, counter) =>
        {
            var state = counter.State;
            channel.Say("mode", state.Mode);
            channel.Say("count", state.Count);
            channel.Say("counting", state.Counting);
            channel.Say("gate", state.Gate);
            channel.Say("bcd", state.Bcd);
        });
    });

    /// <inheritdoc/>
    public SavedKind Kind => new("8254", 1);

    /// <inheritdoc/>
    public void Save(SavedFields fields)
    {
        lock (_gate) Exchange(fields);
    }

    /// <inheritdoc/>
    public void Load(SavedFields fields)
    {
        lock (_gate)
        {
            var level = Exchange(fields);
            // As it stood, and not as the counter's output would have it by now: the controllers remember this level, and an edge must not
            // be made here.
            Drive(level);
            if (_due is { } deadline) _timer.Arm(deadline);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _timer.Dispose();

    private void OpenGates()
    {
        (_channels[0].State.Gate, _channels[1].State.Gate) = (true, true);
    }

    private bool Exchange(SavedFields fields)
    {
        for (var i = 0; i < Channels; i++) fields.Record(i + 1, ref _channels[i].State, PitCounterState.Exchange);
        fields.Value(4, ref _systemControl);
        fields.Value(5, ref _due);
        var level = _level;
        fields.Value(6, ref level);
        return level;
    }

    private void Drive(bool level)
    {
        _level = level;
        _line.SetLevel(level);
    }

    private byte Read(int port)
    {
        lock (_gate) return port < Channels ? _channels[port].ReadData(_clock.NowNanoseconds) : (byte)0xff;
    }

    private void Write(int port, byte value)
    {
        lock (_gate)
        {
            var now = _clock.NowNanoseconds;
            // An edge that the guest's clock has passed happened, even when the host's timer is late.
            FireIfDue(now);
            if (port < Channels) _channels[port].WriteData(value, now);
            else if (value >> 6 == ReadBack) Latch(value, now);
            else if ((value >> 4 & 3) == AccessLatch) _channels[value >> 6].LatchCount(now);
            else _channels[value >> 6].WriteControl(value);
            DriveChannel0(now);
        }
    }

    private void Latch(byte command, long now)
    {
        for (var i = 0; i < Channels; i++)
        {
            if ((command >> (i + 1) & 1) == 0) continue;
            if ((command & NoCount) == 0) _channels[i].LatchCount(now);
            if ((command & NoStatus) == 0) _channels[i].LatchStatus(now);
        }
    }

    private byte ReadSystemControl()
    {
        lock (_gate)
        {
            var now = _clock.NowNanoseconds;
            var refresh = now / RefreshNanoseconds % 2 != 0 ? Refresh : 0;
            var output = _channels[Speaker].Output(now) ? SpeakerOutput : 0;
            return (byte)(_systemControl | refresh | output);
        }
    }

    private void WriteSystemControl(byte value)
    {
        lock (_gate)
        {
            _systemControl = (byte)(value & SystemWritable);
            _channels[Speaker].SetGate((value & SpeakerGate) != 0, _clock.NowNanoseconds);
        }
    }

    private void Expired()
    {
        lock (_gate)
        {
            var now = _clock.NowNanoseconds;
            FireIfDue(now);
            DriveChannel0(now);
        }
    }

    /// <summary>The edge of channel 0 that was waited for. Several that a late host missed are one.</summary>
    private void FireIfDue(long now)
    {
        if (_due is not { } due || now < due) return;
        _due = null;
        Drive(false);
        Drive(true);
    }

    /// <summary>
    /// Puts channel 0's output on the line and the timer on its next rising edge. The edge is all that interrupt
    /// controllers see, so falling edges are made up when the next one rises. Edges closer together than the host can
    /// serve are thinned out.
    /// </summary>
    private void DriveChannel0(long now)
    {
        var channel = _channels[0];
        Drive(channel.Output(now));
        var next = channel.NextRise(now, now);
        if (channel.Periodic && next < now + TickMath.ShortestPeriod) next = channel.NextRise(now, now + TickMath.ShortestPeriod);
        _due = next;
        if (next is { } deadline) _timer.Arm(deadline);
        else _timer.Cancel();
    }
}
