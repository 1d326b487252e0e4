// Interrupts: causes that are set and wanted assert the pin or send messages (82540EM: 13.4.17 to 13.4.21; 82574: 7.4), no more often than the driver
// wants them (13.4.18: ITR), and those of packets later where it says so (RDTR, RADV, TIDV, TADV). All with _gate held.
using Lamina.Core.Time;
using static Lamina.Devices.Ethernet.E1000Spec;

namespace Lamina.Devices.Ethernet;

public sealed partial class E1000Card
{
    // Units of nanoseconds: of throttling, of delays (1.024 microseconds).
    private const int ThrottleUnit = 256, DelayUnit = 1024;

    private readonly Moderation[] _moderations;
    private readonly DelayedCauses _receivedLater, _sentLater;

    // By pin or by its one message: whether it was asserted and the driver has not looked since. By the table: the causes of which this is so.
    private bool _asserted;
    private uint _sent;
    private MessageMode _mode;

    private enum MessageMode
    {
        Pin,
        Message,
        Table,
    }

    private uint CausesOfModel => _model.IsExpress ? Causes : CausesBeforeQueues;

    private void Raise(uint causes)
    {
        if (_model.IsExpress && (causes & OtherCauses) != 0) causes |= Other;
        _registers[ICR] |= causes & CausesOfModel;
        Deliver();
    }

    // Reading takes all causes.
    private uint TakeCauses()
    {
        var causes = _registers[ICR];
        if (_model.IsExpress && (causes & _registers[IMS]) != 0)
        {
            causes |= Asserted;
            if ((_registers[CTRL_EXT] & CtrlExtMaskByRead) != 0) _registers[IMS] &= ~_registers[IAM];
        }
        _registers[ICR] = 0;
        Deliver();
        return causes;
    }

    private void Deliver()
    {
        if (_paused) return;
        var pending = _registers[ICR] & _registers[IMS];
        if (_mode == MessageMode.Table)
        {
            DeliverByTable(pending);
            return;
        }
        if (pending == 0)
        {
            if (_asserted) SetPin(false);
            _asserted = false;
            return;
        }
        if (_asserted || !_moderations[0].MayPass(_clock, _registers[ITR])) return;
        _asserted = true;
        _registers.Count(IAC);
        SetPin(true);
        lock (InterruptGate) Messages?.Signal(0);
    }

    private void DeliverByTable(uint pending)
    {
        _sent &= pending;
        var due = pending & QueueCauses & ~_sent;
        for (var vector = 0; due != 0 && vector < MostVectors; vector++)
        {
            var causes = due & CausesOf(vector);
            if (causes == 0 || !_moderations[vector].MayPass(_clock, _registers[EITR + (vector * sizeof(uint))])) continue;
            _registers.Count(IAC);
            lock (InterruptGate) MessageTable!.Signal(vector);
            // 82574: a message clears causes by EIAC, and masks by IAM where CTRL_EXT says so.
            _registers[ICR] &= ~(causes & _registers[EIAC]);
            if ((_registers[CTRL_EXT] & CtrlExtMaskByMessage) != 0) _registers[IMS] &= ~(causes & _registers[IAM]);
            _sent |= causes & _registers[ICR] & _registers[IMS];
        }
    }

    // IVAR has four bits for each cause of a ring and for the others: the message, and whether it is one.
    private uint CausesOf(int vector)
    {
        const uint valid = 8;
        uint causes = 0;
        for (var i = 0; i < 5; i++)
            if ((_registers[IVAR] >> (4 * i) & 0xf) == (valid | (uint)vector)) causes |= ReceiveQueue << i;
        return causes;
    }

    private void MessagesChanged()
    {
        MessageMode mode;
        lock (InterruptGate) mode = MessageTable is { IsEnabled: true } ? MessageMode.Table : Messages is { IsEnabled: true } ? MessageMode.Message : MessageMode.Pin;
        if (mode == _mode) return;
        _mode = mode;
        if (_asserted) SetPin(false);
        (_asserted, _sent) = (false, 0);
        Deliver();
    }

    private void ResetInterrupts()
    {
        if (_asserted) SetPin(false);
        (_asserted, _sent) = (false, 0);
        foreach (var moderation in _moderations) moderation.Clear();
    }

    // Causes of a packet: at once, or when for so long no other came, but not later than an absolute delay.
    private void RaiseLater(DelayedCauses delayed, uint causes, uint delay, uint most)
    {
        if (delay == 0) Raise(causes);
        else delayed.Add(_clock, causes, delay * DelayUnit, most * DelayUnit);
    }

    private void Flush(DelayedCauses delayed)
    {
        var causes = delayed.Causes;
        delayed.Clear();
        if (causes != 0) Raise(causes);
    }

    private void ModerationEnded()
    {
        lock (_gate)
        {
            foreach (var moderation in _moderations) moderation.LookAgain(_clock);
            Deliver();
        }
    }

    private void DelayEnded()
    {
        lock (_gate)
        {
            if (_paused) return;
            if (_receivedLater.IsOver(_clock)) Flush(_receivedLater);
            if (_sentLater.IsOver(_clock)) Flush(_sentLater);
        }
    }

    // Keeps interrupts apart.
    private sealed class Moderation(IMachineClock clock, Action ended) : IDisposable
    {
        private readonly IDeviceTimer _timer = clock.CreateTimer(ended);
        private long _quietUntil;
        private bool _isArmed;

        public void Dispose() => _timer.Dispose();

        internal bool MayPass(IMachineClock clock, uint throttle)
        {
            throttle &= 0xffff;
            if (throttle == 0) return true;
            var now = clock.NowNanoseconds;
            if (now >= _quietUntil)
            {
                _quietUntil = now + throttle * ThrottleUnit;
                return true;
            }
            if (!_isArmed) _timer.Arm(_quietUntil);
            _isArmed = true;
            return false;
        }

        // A timer may be early; who is kept waiting arms it anew.
        internal void LookAgain(IMachineClock clock)
        {
            if (_isArmed && clock.NowNanoseconds >= _quietUntil) _isArmed = false;
            else if (_isArmed) _timer.Arm(_quietUntil);
        }

        internal void Clear()
        {
            _timer.Cancel();
            (_quietUntil, _isArmed) = (0, false);
        }
    }

    // Causes that are told of later.
    private sealed class DelayedCauses(IMachineClock clock, Action ended) : IDisposable
    {
        private readonly IDeviceTimer _timer = clock.CreateTimer(ended);
        private long _until, _latest;
        private bool _isArmed;

        internal uint Causes;

        public void Dispose() => _timer.Dispose();

        internal void Add(IMachineClock clock, uint causes, uint delay, uint most)
        {
            var now = clock.NowNanoseconds;
            if (Causes == 0) _latest = most == 0 ? long.MaxValue : now + most;
            Causes |= causes;
            _until = Math.Min(now + delay, _latest);
            // Later packets do not move the timer, which looks when it expires.
            if (!_isArmed) _timer.Arm(_until);
            _isArmed = true;
        }

        internal bool IsOver(IMachineClock clock)
        {
            if (!_isArmed) return false;
            if (Causes != 0 && clock.NowNanoseconds < _until)
            {
                _timer.Arm(_until);
                return false;
            }
            _isArmed = false;
            return Causes != 0;
        }

        // After a stop, or a load: what waits is told soon.
        internal void GoOn(IMachineClock clock)
        {
            if (Causes == 0) return;
            (_until, _isArmed) = (clock.NowNanoseconds, true);
            _timer.Arm(_until);
        }

        internal void Clear()
        {
            if (_isArmed) _timer.Cancel();
            (Causes, _isArmed) = (0, false);
        }
    }
}
