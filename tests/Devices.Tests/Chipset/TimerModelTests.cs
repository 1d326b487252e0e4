// Timers against models that count tick by tick: any programming after any other, in every state that the first one may have come to.
// The models say what the manuals say and know nothing of how the devices reckon.
using Lamina.Devices.Chipset;
using Xunit;

namespace Lamina.Tests.Devices.Chipset;

public sealed class TimerModelTests
{
    private const int Runs = 60, Steps = 120;

    [Fact]
    public void The_local_APICs_timer_does_as_its_model_through_all_changes_of_mode()
    {
        for (var seed = 0; seed < Runs; seed++) RunApic(new Random(seed), seed);
    }

    private static void RunApic(Random random, int seed)
    {
        const ulong lvt = 0x320, initialCount = 0x380, currentCount = 0x390, divide = 0x3e0;
        const int vector = 0x40;
        var machine = new ApicTestMachine().Enabled();
        var apic = machine[0];
        var model = new ApicTimerModel();
        for (var step = 0; step < Steps; step++)
        {
            var what = "";
            switch (random.Next(6))
            {
                case 0:
                    var (mode, masked) = (random.Next(8) == 0 ? random.Next(4) : random.Next(2), random.Next(4) == 0);
                    what = $"mode {mode}{(masked ? ", masked" : "")}";
                    apic.Set(lvt, vector | (uint)mode << 17 | (masked ? 1u << 16 : 0));
                    model.SetMode(mode, masked);
                    break;
                case 1:
                    var count = random.Next(6) == 0 ? 0 : (uint)random.Next(60_000, 200_000);
                    what = $"count {count}";
                    apic.Set(initialCount, count);
                    model.SetCount(count);
                    break;
                case 2 when random.Next(2) == 0:
                    var code = random.Next(3);
                    what = $"divisor {1 << code}";
                    apic.Set(divide, code switch { 0 => 0xbu, 1 => 0u, _ => 1u });
                    model.SetDivisor(1 << code);
                    break;
                default:
                    // Often to the very end of a count, or by one short of it or past it.
                    var time = random.Next(3) == 0 && model.Remaining > 0 ? Math.Max(0, model.Remaining + random.Next(-1, 2)) : random.Next(300_000);
                    what = $"{time} ns";
                    machine.Clock.Advance(time);
                    model.Advance(time);
                    break;
            }
            var fired = apic.Drain().Count != 0;
            Assert.True(model.Current == apic.Get(currentCount), $"run {seed}, step {step}, {what}: the count is {apic.Get(currentCount)}, not {model.Current}");
            Assert.True(model.TakeFired() == fired, $"run {seed}, step {step}, {what}: {(fired ? "an interrupt" : "no interrupt")}");
        }
    }

    /// <summary>SDM vol. 3, 11.5.1 and 11.5.4: a counter that is decremented once each divisor nanoseconds.</summary>
    private sealed class ApicTimerModel
    {
        private long _initial, _phase, _divisor = 2;
        private int _mode;
        private bool _masked = true, _fired;

        internal long Current { get; private set; }

        /// <summary>Nanoseconds to the end of the count; 0 where none runs.</summary>
        internal int Remaining => (int)(Current == 0 ? 0 : (Current * _divisor) - _phase);

        private bool Counts => _mode < 2;

        internal void SetMode(int mode, bool masked)
        {
            var counted = Counts;
            (_masked, var changed, _mode) = (masked, mode != _mode, mode);
            if (changed && !(counted && Counts)) (_initial, Current) = (0, 0);
        }

        internal void SetCount(uint count)
        {
            if (_mode == 2) return;
            (_initial, Current, _phase) = (count, Counts ? count : 0, 0);
        }

        internal void SetDivisor(int divisor) => (_divisor, _phase) = (divisor, 0);

        internal void Advance(long nanoseconds)
        {
            for (; Current > 0 && nanoseconds > 0; nanoseconds--)
            {
                if (++_phase < _divisor) continue;
                _phase = 0;
                if (--Current > 0) continue;
                _fired |= !_masked;
                if (_mode == 1) Current = _initial;
            }
        }

        internal bool TakeFired()
        {
            var fired = _fired;
            _fired = false;
            return fired;
        }
    }

    [Fact]
    public void The_8254_does_as_its_model_through_all_changes_of_mode()
    {
        for (var seed = 0; seed < Runs; seed++) RunPit(new Random(seed), seed);
    }

    // Channel 2, whose gate and output a program has at hand.
    private static void RunPit(Random random, int seed)
    {
        const int hz = 1_193_182;
        var (clock, model) = (new ManualClock(), new PitModel());
        using var pit = new Pit8254(clock, new RecordingLine());
        long ticks = 0;
        for (var step = 0; step < Steps; step++)
        {
            string what;
            switch (random.Next(8))
            {
                case 0:
                    var mode = random.Next(6);
                    what = $"mode {mode}";
                    pit.Counters.Out(3, 0xb0 | mode << 1);
                    model.SetMode(mode);
                    break;
                case 1 or 2:
                    var count = random.Next(2, random.Next(2) == 0 ? 12 : 3000);
                    what = $"count {count}";
                    pit.Counters.Out(2, count & 0xff);
                    pit.Counters.Out(2, count >> 8);
                    model.SetCount(count);
                    break;
                case 3:
                    var gate = random.Next(2) == 0;
                    what = $"gate {gate}";
                    pit.SystemControl.Out(0, gate ? 1 : 0);
                    model.SetGate(gate);
                    break;
                default:
                    var time = random.Next(3) == 0 ? random.Next(4000) : random.Next(8);
                    what = $"{time} ticks";
                    ticks += time;
                    for (var n = 0; n < time; n++) model.Tick();
                    break;
            }
            // A little later at each step, so that as many ticks lie between two steps as were counted.
            clock.Advance(ticks * 1_000_000_000 / hz + 1 + step - clock.NowNanoseconds);
            pit.Counters.Out(3, 0x80);
            var shown = pit.Counters.In(2) | pit.Counters.In(2) << 8;
            if (model.Loaded) Assert.True(model.Count == shown, $"run {seed}, step {step}, {what}: the count is {shown}, not {model.Count}");
            var output = (pit.SystemControl.In(0) & 0x20) != 0;
            Assert.True(model.Output == output, $"run {seed}, step {step}, {what}: the output is {(output ? "high" : "low")}");
        }
    }

    /// <summary>The 8254's data sheet, "Mode definitions", but that a count holds from the moment it is written.</summary>
    private sealed class PitModel
    {
        private int _mode, _count = 0x10000, _next, _element, _half;
        private bool _gate, _ended;

        internal bool Loaded { get; private set; }

        internal bool Output { get; private set; }

        // The square wave counts down by two in each half.
        internal int Count => (_mode == 3 ? (_count & ~1) - 2 * _half : _element) & 0xffff;

        private bool ByGate => _mode is 1 or 5;

        private int HalfLength => Output ? (_count + 1) / 2 : _count / 2;

        internal void SetMode(int mode) => (_mode, _next, Loaded, Output) = (mode, 0, false, mode != 0);

        internal void SetCount(int count)
        {
            if (ByGate || (Loaded && _mode is 2 or 3)) _next = count;
            else Load(count);
        }

        internal void SetGate(bool level)
        {
            var changed = _gate != level;
            _gate = level;
            if (!changed || _mode is 0 or 4) return;
            if (level && (ByGate ? Loaded || _next != 0 : Loaded)) Load(_next != 0 ? _next : _count);
            // A periodic mode's output is high at once while its gate is low.
            else if (!level && !ByGate && Loaded) Output = true;
        }

        internal void Tick()
        {
            if (!Loaded || (!ByGate && !_gate)) return;
            switch (_mode)
            {
                case 0 or 1:
                    _element--;
                    Output |= _element == 0;
                    break;
                case 2:
                    if (--_element == 0)
                    {
                        if (_next != 0) (_count, _next) = (_next, 0);
                        _element = _count;
                    }
                    Output = _element != 1;
                    break;
                case 3:
                    if (++_half < HalfLength) break;
                    (_half, Output) = (0, !Output);
                    if (_next != 0) (_count, _next) = (_next, 0);
                    break;
                default:
                    _element--;
                    Output = _ended || _element != 0;
                    _ended |= _element == 0;
                    break;
            }
        }

        private void Load(int count)
        {
            (_count, _element, _next, _half, _ended, Loaded) = (count, count, 0, 0, false, true);
            Output = _mode is not (0 or 1);
        }
    }

    // The rates are taps of one divider chain, which runs on: a new rate goes on with the chain's next edge at that tap.
    [Fact]
    public void The_real_time_clocks_periodic_interrupt_follows_every_change_of_its_rate()
    {
        var random = new Random(1);
        for (var first = 0; first < 16; first++)
        {
            for (var second = 1; second < 16; second++)
            {
                var (clock, line) = (new ManualClock(), new RecordingLine());
                using var rtc = new CmosRtc(clock, line);
                Set(rtc, 0xb, 0x42);
                Set(rtc, 0xa, 0x20 | first);
                clock.Advance(random.Next(2_000_000_000));
                Set(rtc, 0xa, 0x20 | second);
                Set(rtc, 0xc, 0);
                _ = rtc.In(1);
                // 32.768 kHz by powers of two, but for the first two rates (MC146818A, table 5).
                var period = 1_000_000_000.0 * (1 << (second < 3 ? second + 6 : second - 1)) / 32768;
                var next = (long)Math.Ceiling((Math.Floor(clock.NowNanoseconds / period) + 1) * period) - clock.NowNanoseconds;

                clock.Advance(next - 2);
                Assert.False(line.Level, $"rate {first}, then {second}: too early");
                clock.Advance(4);
                Assert.True(line.Level, $"rate {first}, then {second}: not {next} ns later");
            }
        }

        static void Set(CmosRtc rtc, int register, int value)
        {
            rtc.Out(0, register);
            rtc.Out(1, value);
        }
    }
}
