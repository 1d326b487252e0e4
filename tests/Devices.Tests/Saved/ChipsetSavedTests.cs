// The chipset's devices against the contract of saving. Each is disturbed with clocks running, counts under way and lines asserted, and
// is looked at for half a second of the guest's time after that: edges come when they would have come.
using System.Globalization;
using System.Text;
using Lamina.Core.Bus;
using Lamina.Core.Input;
using Lamina.Core.Interrupts;
using Lamina.Core.Memory;
using Lamina.Core.State;
using Lamina.Devices.Chipset;
using Lamina.Devices.Chipset.Ps2;
using Lamina.Tests.Devices.Chipset;
using Xunit;

namespace Lamina.Tests.Devices.Saved;

/// <summary>A device on a clock that stands at the same time each time.</summary>
public abstract class TimedSavedUnitTests<T> : SavedUnitTests<T> where T : class, ISavedUnit
{
    private const long Start = 3_141_592_653, End = Start + 4_000_000_000;

    private readonly Dictionary<T, (ManualClock Clock, RecordingLine Line)> _surroundings = [];

    private protected abstract T Create(ManualClock clock, RecordingLine line);

    private protected abstract string Registers(T unit);

    protected override T Create() => CreateAt(Start);

    protected override T CreateForLoading() => CreateAt(End);

    protected sealed override void Disturb(T unit)
    {
        DisturbNow(unit);
        ClockOf(unit).Advance(End - ClockOf(unit).NowNanoseconds);
    }

    /// <summary>Takes less than four seconds of the device's time.</summary>
    protected abstract void DisturbNow(T unit);

    private T CreateAt(long time)
    {
        var (clock, line) = (new ManualClock(), new RecordingLine());
        clock.Advance(time);
        var unit = Create(clock, line);
        _surroundings[unit] = (clock, line);
        return unit;
    }

    private protected ManualClock ClockOf(T unit) => _surroundings[unit].Clock;

    protected override string Observe(T unit)
    {
        var (clock, line) = _surroundings[unit];
        var edges = line.Edges - (line.Level ? 1 : 0);
        var seen = new StringBuilder();
        for (var step = 0; step < 50; step++)
        {
            seen.Append(CultureInfo.InvariantCulture, $"{step}: line {line.Level}, {line.Edges - edges} edges, next {clock.NextDeadline}; {(step % 10 == 0 ? Registers(unit) : "")}\n");
            clock.Advance(10_000_000);
        }
        return seen.ToString();
    }

    private protected static string Dump(IBusDevice device, int length) =>
        string.Join(' ', Enumerable.Range(0, length).Select(offset => device.In((ulong)offset).ToString("x2", CultureInfo.InvariantCulture)));
}

public sealed class Pit8254SavedTests : TimedSavedUnitTests<Pit8254>
{
    private protected override Pit8254 Create(ManualClock clock, RecordingLine line) => new(clock, line);

    protected override void DisturbNow(Pit8254 unit)
    {
        // Channel 0: a square wave of 100 Hz, a change of rate under way. Channel 1: a one-shot in BCD, half written. Channel 2: latched twice.
        Program(unit, 0, 3, 11932);
        unit.Counters.Out(3, 1 << 6 | 0x30 | 1 << 1 | 1);
        unit.Counters.Out(1, 0x77);
        unit.SystemControl.Out(0, 3);
        Program(unit, 2, 2, 5000);
        ClockOf(unit).Advance(12_345_678);
        unit.Counters.Out(0, 0x10);
        unit.Counters.Out(0, 0x20);
        unit.Counters.Out(3, 0xc0 | 1 << 3);
        unit.Counters.In(2);
    }

    private protected override string Registers(Pit8254 unit) => Dump(unit.Counters, 3) + " " + Dump(unit.SystemControl, 1);

    private static void Program(Pit8254 unit, int channel, int mode, int count)
    {
        unit.Counters.Out(3, channel << 6 | 0x30 | mode << 1);
        unit.Counters.Out((ulong)channel, count & 0xff);
        unit.Counters.Out((ulong)channel, count >> 8);
    }
}

public sealed class CmosRtcSavedTests : TimedSavedUnitTests<CmosRtc>
{
    private protected override CmosRtc Create(ManualClock clock, RecordingLine line) => new(clock, line);

    protected override void DisturbNow(CmosRtc unit)
    {
        void Set(int register, int value)
        {
            unit.Out(0, register);
            unit.Out(1, value);
        }

        Set(0x0b, 0x82);
        Set(0x00, 0x58);
        Set(0x02, 0x59);
        Set(0x04, 0x23);
        Set(0x06, 0x05);
        Set(0x01, 0xff);
        Set(0x50, 0xa5);
        Set(0x0b, 0x72);
        ClockOf(unit).Advance(1_234_567_890);
        Set(0x0a, 0x2f);
        unit.Out(0, 0x0c);
        unit.In(1);
        unit.Out(0, 0x50);
    }

    private protected override string Registers(CmosRtc unit)
    {
        var all = new StringBuilder(Dump(unit, 2));
        for (var register = 0; register < 0x80; register++)
        {
            if (register is 0x0c) continue;
            unit.Out(0, register);
            all.Append(CultureInfo.InvariantCulture, $" {unit.In(1):x2}");
        }
        unit.Out(0, 0x0c);
        return all.Append(CultureInfo.InvariantCulture, $" causes {unit.In(1):x2}").ToString();
    }
}

public sealed class AcpiPmSavedTests : TimedSavedUnitTests<AcpiPm>
{
    private protected override AcpiPm Create(ManualClock clock, RecordingLine line) => new(clock, line, () => { }, () => { });

    protected override void DisturbNow(AcpiPm unit)
    {
        // The timer's event and the button's are enabled, a general event is raised, and a sleep type chosen that there is not.
        unit.Write(2, [0x21, 0x01]);
        unit.Write(4, [0x02, 0x0c]);
        unit.Write(18, [0x08, 0x01]);
        ClockOf(unit).Advance(2_345_678_901);
        unit.PressPowerButton();
        unit.RaiseEvent(3);
        unit.RaiseEvent(9);
    }

    private protected override string Registers(AcpiPm unit) => Dump(unit, 8) + " " + Dump(unit, AcpiPmSpec.Length);
}

public sealed class HandedOverAcpiPmSavedTests : TimedSavedUnitTests<AcpiPm>
{
    protected override string Variant => "-handed-over";

    private protected override AcpiPm Create(ManualClock clock, RecordingLine line) => new(clock, line, () => { }, () => { }, alwaysAcpi: false, softOffType: 0);

    protected override void DisturbNow(AcpiPm unit)
    {
        unit.SetAcpiMode(true);
        unit.Write(2, [0x21, 0x01]);
        unit.Write(4, [0x02, 0x04]);
        unit.Write(18, [0x08, 0x01]);
        ClockOf(unit).Advance(2_345_678_901);
        unit.PressPowerButton();
        unit.RaiseEvent(3);
    }

    private protected override string Registers(AcpiPm unit) => Dump(unit, 8) + " " + Dump(unit, AcpiPmSpec.Length);
}

public sealed class VmGenerationIdSavedTests : SavedUnitTests<VmGenerationId>, IDisposable
{
    private const ulong Address = 0xFEC1_0000;

    private readonly List<GuestMemory> _memories = [];
    private readonly Dictionary<VmGenerationId, GuestMemory> _memoryOf = [];

    public void Dispose()
    {
        foreach (var memory in _memories) memory.Dispose();
    }

    protected override VmGenerationId Create()
    {
        var memory = new GuestMemory([new(0, 0x1_0000)]);
        _memories.Add(memory);
        var unit = new VmGenerationId(memory, Address, new CountingEntropy(), () => { });
        _memoryOf[unit] = memory;
        return unit;
    }

    protected override void Disturb(VmGenerationId unit) => unit.Renew();

    protected override string Observe(VmGenerationId unit)
    {
        var seen = new byte[VmGenerationIdSpec.Length];
        Assert.True(_memoryOf[unit].TryRead(Address, seen));
        return Convert.ToHexString(seen);
    }
}

public sealed class I8042SavedTests : TimedSavedUnitTests<I8042>
{
    private protected override I8042 Create(ManualClock clock, RecordingLine line) => new(line, () => { });

    protected override void DisturbNow(I8042 unit)
    {
        unit.Command.Out(0, 0x65);
        unit.Data.Out(0, 0x5a);
        unit.Command.Out(0, 0x60);
        unit.Data.Out(0, 0x05);
        unit.Command.Out(0, 0xd1);
        unit.Data.Out(0, 0x33);
        unit.Command.Out(0, 0xaa);
        unit.Command.Out(0, 0x62);
    }

    private protected override string Registers(I8042 unit)
    {
        var first = $"{unit.Command.In(0):x2} {unit.Data.In(0):x2} {unit.Command.In(0):x2}";
        unit.Data.Out(0, 0x99);
        unit.Command.Out(0, 0x22);
        first += $" {unit.Data.In(0):x2}";
        unit.Command.Out(0, 0xd0);
        return first + $" {unit.Data.In(0):x2} {unit.Command.In(0):x2}";
    }
}

public sealed class KeyboardAndMouseSavedTests : TimedSavedUnitTests<I8042>
{
    private protected override I8042 Create(ManualClock clock, RecordingLine line) => new(new Ps2Wires(clock, line, new RecordingLine()), () => { });

    protected override void DisturbNow(I8042 unit)
    {
        unit.Command.Out(0, 0x60);
        unit.Data.Out(0, 0x43);
        foreach (var value in (int[])[0xed, 0x05, 0xf3, 0x20])
        {
            unit.Data.Out(0, value);
            ClockOf(unit).Advance(1_000_000);
            unit.Data.In(0);
        }
        foreach (var value in (int[])[0xf3, 200, 0xf3, 100, 0xf3, 80, 0xe8, 3, 0xe7, 0xf4])
        {
            unit.Command.Out(0, 0xd4);
            unit.Data.Out(0, value);
            ClockOf(unit).Advance(1_000_000);
            unit.Data.In(0);
        }
        unit.Move(300, -400, 9, PointerButtons.Left | PointerButtons.Back);
        unit.Press(new KeyCode(0x1e));
        unit.Press(new KeyCode(0x48, true));
        unit.Command.Out(0, 0xd1);
        unit.Data.Out(0, 0x33);
        unit.Command.Out(0, 0x20);
        unit.Command.Out(0, 0xd4);
    }

    private protected override string Registers(I8042 unit)
    {
        var seen = $"{unit.Command.In(0):x2} {unit.Data.In(0):x2} {unit.Command.In(0):x2} {unit.Lights}";
        // What is down is let go once in each look.
        unit.Release(new KeyCode(0x1e));
        return seen;
    }
}

public sealed class TypistSavedTests : TimedSavedUnitTests<Typist>
{
    private readonly Dictionary<Typist, RecordingKeyboard> _keyboards = [];

    private protected override Typist Create(ManualClock clock, RecordingLine line)
    {
        var keyboard = new RecordingKeyboard();
        var typist = new Typist(clock, keyboard);
        _keyboards[typist] = keyboard;
        return typist;
    }

    protected override void DisturbNow(Typist unit)
    {
        _ = unit.TypeAsync([new KeyStroke(new KeyCode(0x1d), new KeyCode(0x53, true)), new KeyStroke(new KeyCode(0x1e))], TimeSpan.FromMilliseconds(70));
        ClockOf(unit).Advance(1);
        _keyboards[unit].IsReady = false;
        _keyboards[unit].Seen.Clear();
    }

    private protected override string Registers(Typist unit)
    {
        var keyboard = _keyboards[unit];
        keyboard.IsReady = true;
        var seen = string.Join(' ', keyboard.Seen);
        keyboard.Seen.Clear();
        return seen;
    }

    private sealed class RecordingKeyboard : IKeyboardInput
    {
        public bool IsReady { get; set; } = true;

        public KeyboardLights Lights => KeyboardLights.None;

        internal List<string> Seen { get; } = [];

        public void Press(KeyCode key) => Seen.Add($"+{key.Code:x}");

        public void Release(KeyCode key) => Seen.Add($"-{key.Code:x}");
    }
}

public sealed class SystemControlPortASavedTests : TimedSavedUnitTests<SystemControlPortA>
{
    private protected override SystemControlPortA Create(ManualClock clock, RecordingLine line) => new(() => { });

    protected override void DisturbNow(SystemControlPortA unit) => unit.Out(0, 1);

    private protected override string Registers(SystemControlPortA unit) => Dump(unit, 1);
}

public sealed class ResetControlSavedTests : TimedSavedUnitTests<ResetControl>
{
    private protected override ResetControl Create(ManualClock clock, RecordingLine line) => new(() => { });

    protected override void DisturbNow(ResetControl unit) => unit.Out(0, 10);

    private protected override string Registers(ResetControl unit) => Dump(unit, 1);
}

public sealed class PciConfigurationSavedTests : TimedSavedUnitTests<PciConfigurationPorts>
{
    private protected override PciConfigurationPorts Create(ManualClock clock, RecordingLine line) => new(new ResetControl(() => { }), new LoneHostBridge());

    protected override void DisturbNow(PciConfigurationPorts unit) => unit.Out32(0, 0x8000_0008);

    private protected override string Registers(PciConfigurationPorts unit) => $"{unit.In32(0):x} {unit.In32(4):x}";
}

public sealed class Serial16550ASavedTests : TimedSavedUnitTests<Serial16550A>
{
    private readonly Dictionary<Serial16550A, ScriptedBackend> _backends = [];

    private protected override Serial16550A Create(ManualClock clock, RecordingLine line)
    {
        var backend = new ScriptedBackend();
        var unit = new Serial16550A(clock, line, backend);
        _backends[unit] = backend;
        return unit;
    }

    protected override void DisturbNow(Serial16550A unit)
    {
        unit.Out(3, 0x83);
        unit.Out(0, 0x34);
        unit.Out(1, 0x01);
        unit.Out(3, 0x1b);
        unit.Out(2, 0x81);
        // Loopback makes the deltas of the modem inputs.
        unit.Out(4, 0x1f);
        unit.Out(4, 0x10);
        unit.Out(4, 0x0b);
        unit.Out(7, 0xa5);
        _backends[unit].Type("0123456789abcdef"u8);
        for (var i = 0; i < 5; i++) unit.In(0);
        ClockOf(unit).Advance(100_000);
        _backends[unit].Type("xyz"u8);
        unit.Out(1, 0x0f);
        unit.Out(0, 'T');
    }

    private protected override string Registers(Serial16550A unit) => Dump(unit, 8) + " " + Dump(unit, 3);

    protected override void Use(Serial16550A unit)
    {
        _backends[unit].Type("more"u8);
        base.Use(unit);
    }
}

public sealed class InterruptControllersSavedTests : SavedUnitTests<InterruptControllers>
{
    private const long Start = 5_000_000_123, End = Start + 10_000_000;

    private readonly Dictionary<InterruptControllers, ApicTestMachine> _machines = [];

    protected override InterruptControllers Create() => CreateAt(Start);

    protected override InterruptControllers CreateForLoading() => CreateAt(End);

    private InterruptControllers CreateAt(long time)
    {
        var machine = new ApicTestMachine(vcpus: 2);
        machine.Clock.Advance(time);
        _machines[machine.Controllers] = machine;
        return machine.Controllers;
    }

    protected override void Disturb(InterruptControllers unit)
    {
        var machine = _machines[unit].Enabled();
        machine.InitialisePic();
        unit.Pic!.Master.Out(1, 0xe0);
        unit.Pic.EdgeLevel.Out(1, 0x0e);
        unit.IoApic!.Out32(0, 0x10 + 2 * 11);
        unit.IoApic!.Out32(0x10, 0x8000 | 0x51);
        unit.IoApic!.Out32(0, 0x10 + 2 * 4);
        unit.IoApic!.Out32(0x10, 0x44);
        // A count that runs in one, a deadline in the other; a vector in service and two that wait; a level that is not ended.
        machine[0].Set(0x3e0, 3);
        machine[0].Set(0x320, 0x2_00ec);
        machine[0].Set(0x380, 12_345_678);
        machine[1].Set(0x320, 0x4_00ed);
        machine[1].WriteMsr(0x6e0, machine.Clock.ReadTsc() + 400_000_000);
        machine[0].Set(0x80, 0x20);
        unit.Router.CreateLine(11).SetLevel(true);
        machine[0].Acknowledge();
        unit.Router.CreateIsaLine(4).SetLevel(true);
        unit.Router.CreateIsaLine(3).SetLevel(true);
        machine.Send(InterruptDeliveryMode.Fixed, 0x77, destination: 1);
        machine[1].Set(0x300, 5);
        machine.Clock.Advance(End - machine.Clock.NowNanoseconds);
    }

    protected override string Observe(InterruptControllers unit)
    {
        var machine = _machines[unit];
        var seen = new StringBuilder();
        for (var step = 0; step < 30; step++)
        {
            foreach (var apic in unit.LocalApics)
                foreach (var register in (int[])[0x20, 0x80, 0xa0, 0xd0, 0xe0, 0xf0, 0x280, 0x300, 0x310, 0x320, 0x350, 0x360, 0x370, 0x380, 0x390, 0x3e0])
                    seen.Append(CultureInfo.InvariantCulture, $" {apic.Get((ulong)register):x}");
            seen.Append(CultureInfo.InvariantCulture, $" waits {unit.LocalApics[0].HasInterrupt} {unit.LocalApics[1].HasInterrupt} next {machine.Clock.NextDeadline}\n");
            for (var register = 0; register < 0x40; register++)
            {
                unit.IoApic!.Out32(0, (uint)register);
                seen.Append(CultureInfo.InvariantCulture, $" {unit.IoApic!.In32(0x10):x}");
            }
            foreach (var chip in (IBusDevice[])[unit.Pic!.Master, unit.Pic.Slave, unit.Pic.EdgeLevel]) seen.Append(CultureInfo.InvariantCulture, $" {chip.In(0):x} {chip.In(1):x}");
            if (step % 5 == 4)
                foreach (var apic in unit.LocalApics)
                    if (apic.HasInterrupt)
                    {
                        seen.Append(CultureInfo.InvariantCulture, $" takes {apic.Acknowledge():x}");
                        apic.Set(0xb0, 0);
                    }
            machine.Clock.Advance(13_000_000);
        }
        return seen.ToString();
    }
}
