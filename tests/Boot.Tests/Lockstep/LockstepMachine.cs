// One of the two machines of a lockstep: the micro machine's chipset without virtio, on a virtual clock, driven from one
// event to the next. An event is anything by which the guest and the world meet; after those that end with their instruction
// (ports, MSRs of the local APIC, RDTSC, HLT) the machine stops, and everything that comes from outside (timers,
// interrupts, input) comes then. All of it happens on the thread that calls.
using Lamina.Boot;
using Lamina.Core.Bus;
using Lamina.Core.Engine;
using Lamina.Core.Inspection;
using Lamina.Core.Memory;
using Lamina.Core.Units;
using Lamina.Devices.Chipset;
using Lamina.Devices.Chipset.Ps2;
using Lamina.Engines.Translator;
using Lamina.Engines.Translator.Settings;
using Lamina.Life;
using Lamina.Micro;
using Lamina.Tests.Machines.Life;

namespace Lamina.Tests.Boot.Lockstep;

/// <summary>What a machine in lockstep is made from.</summary>
/// <param name="Name">For reports.</param>
/// <param name="Settings">The translator's.</param>
/// <param name="Boot">What it boots.</param>
/// <param name="MemoryBytes">RAM.</param>
/// <param name="Script">Lines that are typed at the prompt.</param>
internal sealed record LockstepSpec(string Name, TranslatorSettings Settings, BootSource Boot, ulong MemoryBytes, string[] Script)
{
    /// <summary>How many stops there are from one drop of all translations to the next; 0: they are not dropped.</summary>
    public int DropInterval { get; init; }
}

/// <summary>A machine that goes from event to event.</summary>
internal sealed class LockstepMachine : IDisposable
{
    private const string Prompt = "~ # ";
    private const ulong InterruptFlag = 1 << 9;

    // A guest that does nothing visible for so long waits for time that does not pass.
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(10);

    private readonly UnitTree _units = new();
    private readonly VirtualClock _clock = new();
    private readonly Bus _ports = new("port"), _mmio = new("memory");
    private readonly GatedApic _apic;
    private readonly TranslatorMachine _engine;
    private readonly int _dropInterval;
    private readonly IVcpu _vcpu;
    private readonly Queue<string> _events = [];
    private volatile bool _running;
    private bool _inDevice, _stopped;
    private long _progress, _seen, _stops;

    public LockstepMachine(LockstepSpec spec)
    {
        Name = spec.Name;
        _dropInterval = spec.DropInterval;
        Console = new ScriptedConsole(Prompt, spec.Script);
        var map = MemoryMap.Create(MicroLayout.Boot, spec.MemoryBytes);
        var boot = BootLoader.Plan(spec.Boot, map, MicroTables.Create(1, 0), _units);
        Memory = _units.Add("memory", new GuestMemory(map.Ram));
        var controllers = _units.Add("interrupts", new InterruptControllers(_clock, 1, MicroLayout.Boot.PhysicalAddressBits));
        controllers.Map(_ports, _mmio);
        // By the host's time, a machine that waits for the other may look quiet, and drop its translations: that comes when the spec says so.
        var settings = spec.Settings with { Time = new ManualTime() };
        var engine = _engine = (TranslatorMachine)_units.Add("engine", new TranslatorEngine(settings).CreateMachine(new EngineMachineOptions(Memory, _clock, 1)));
        var local = controllers.LocalApics[0];
        _apic = new GatedApic(local, (index, value, write) => Meet(write ? $"wrmsr {index:x} {value:x}" : $"rdmsr {index:x}"), new Told(this, "apic", local.Mmio));
        _vcpu = engine.CreateVcpu(new VcpuOptions(0, new ToldBus(this), _apic));
        local.Attach(_vcpu);
        AddDevices(controllers, map);
        _clock.TscRead = () =>
        {
            // Devices read it too, in the course of an access that has been told.
            if (_running && !_stopped && !_inDevice) Meet("rdtsc");
        };
        _vcpu.GetState(State);
        CpuEntry.Firmware(State);
        boot.Load(Memory);
        boot.Enter(State);
    }

    public string Name { get; }

    public GuestMemory Memory { get; }

    public ScriptedConsole Console { get; }

    /// <summary>The engine's counters.</summary>
    public IReadOnlyList<Counter> Counters
    {
        get
        {
            var counters = new CounterList();
            _engine.Count(counters);
            _vcpu.Count(counters);
            return counters.All;
        }
    }

    /// <summary>The vCPU's state at the last stop.</summary>
    public VcpuState State { get; } = new();

    /// <summary>How the guest ended the machine, or null.</summary>
    public string? End { get; private set; }

    /// <summary>Loads the starting state; the memory must be as it is to be by now.</summary>
    public void Begin()
    {
        Memory.NotifyWritten(0, Memory.Ranges[0].Length);
        _vcpu.SetState(State);
    }

    /// <summary>Runs to the next stop.</summary>
    /// <returns>What happened on the way, in order; the last is what it stopped for.</returns>
    /// <exception cref="InvalidOperationException">The engine failed.</exception>
    /// <exception cref="TimeoutException">The guest goes on and on.</exception>
    public IReadOnlyList<string> Run()
    {
        var began = TimeProvider.System.GetTimestamp();
        if (_dropInterval > 0 && ++_stops % _dropInterval == 0) _engine.GiveTranslationsBack();
        if (_apic.Open()) _vcpu.InterruptPending();
        _events.Clear();
        _stopped = false;
        while (!_stopped && End == null)
        {
            _running = true;
            var exit = _vcpu.Run();
            _running = false;
            Volatile.Write(ref _progress, _progress + 1);
            if (exit == VcpuExit.Failed) throw new InvalidOperationException($"{Name}: {_vcpu.Failure}");
            if (exit == VcpuExit.TripleFault) Finish("triple fault");
            _vcpu.GetState(State);
            if (_stopped) break;
            // An interrupt that is let through ends the halt when the vCPU runs on.
            if (State.Activity == VcpuActivity.Halted && !(_apic.HasInterrupt && (State.Rflags & InterruptFlag) != 0)) Halt();
            else if (TimeProvider.System.GetElapsedTime(began) > Patience) throw new TimeoutException($"{Name}: nothing that the guest does can be seen; it is at {State.Rip:x}");
        }
        _clock.Expire();
        Console.Type();
        return [.. _events];
    }

    /// <summary>To be called now and then by another thread: stops a guest that waits in HLT, or runs on and on, so that the machine can look. The guest sees nothing of it.</summary>
    public void Look()
    {
        var progress = Volatile.Read(ref _progress);
        if (_running && progress == _seen) _vcpu.Kick();
        _seen = progress;
    }

    /// <summary>The bytes at a linear address, for reports.</summary>
    public string Code(ulong linear)
    {
        Span<byte> bytes = stackalloc byte[48];
        return _vcpu.TryReadLinear(linear, bytes) ? Convert.ToHexString(bytes) : "not mapped";
    }

    public void Dispose()
    {
        _engine.Conclude();
        _vcpu.Dispose();
        _units.Dispose();
    }

    private void Halt()
    {
        _stopped = true;
        _events.Enqueue("hlt");
        if (!_clock.TryWait()) Finish("halted with nothing that could wake it");
    }

    private void Finish(string how) => End ??= how;

    /// <summary>An event after which the machine stops.</summary>
    private void Meet(string what)
    {
        Note(what);
        _clock.Step();
        _stopped = true;
        _vcpu.Kick();
    }

    private void Note(string what)
    {
        _events.Enqueue(what);
        Volatile.Write(ref _progress, _progress + 1);
    }

    /// <summary>Tells of an access to a device's memory; it lasts until the result is disposed.</summary>
    private DeviceAccess Enter(string what)
    {
        Note(what);
        _inDevice = true;
        return new DeviceAccess(this);
    }

    private readonly ref struct DeviceAccess(LockstepMachine machine)
    {
        public void Dispose() => machine._inDevice = false;
    }

    private void AddDevices(InterruptControllers controllers, MemoryMap map)
    {
        var router = controllers.Router;
        void Reset() => Finish("reset");
        _units.Add("pit", new Pit8254(_clock, router.CreateIsaLine(MicroLayout.TimerIrq))).MapPorts(_ports);
        var rtc = _units.Add("rtc", new CmosRtc(_clock, router.CreateIsaLine(MicroLayout.RtcIrq)));
        rtc.SetMemorySize(map.LowEnd, map.Ram.Count > 1 ? map.Ram[1].Length : 0);
        rtc.MapPorts(_ports);
        new I8042(router.CreateIsaLine(MicroLayout.KeyboardIrq), Reset).MapPorts(_ports);
        _units.Add("power", new AcpiPm(_clock, router.CreateLine(AcpiPmSpec.SciGsi), () => Finish("powered off"), Reset)).MapPorts(_ports);
        _units.Add("serial", new Serial16550A(_clock, router.CreateIsaLine(MicroLayout.Com1Irq), Console)).MapPorts(_ports);
        new PostCodePort().MapPorts(_ports);
        new PvPanic(told => Finish($"panic: {told}")).MapPorts(_ports);
        new SystemControlPortA(Reset).MapPorts(_ports);
        new ResetControl(Reset).MapPorts(_ports);
    }

    private static string Hex(ReadOnlySpan<byte> data) => Convert.ToHexString(data);

    // Ports end with their instruction; memory does not: what it makes happen waits for the next stop.
    private sealed class ToldBus(LockstepMachine machine) : IVcpuBus
    {
        public void ReadPort(ushort port, Span<byte> data)
        {
            machine.Meet($"in {port:x}");
            machine._ports.Read(port, data);
        }

        public void WritePort(ushort port, ReadOnlySpan<byte> data)
        {
            machine.Meet($"out {port:x} {Hex(data)}");
            machine._ports.Write(port, data);
        }

        public void ReadMemory(ulong address, Span<byte> data)
        {
            using var access = machine.Enter($"read {address:x} {data.Length}");
            machine._mmio.Read(address, data);
        }

        public void WriteMemory(ulong address, ReadOnlySpan<byte> data)
        {
            using var access = machine.Enter($"write {address:x} {Hex(data)}");
            machine._mmio.Write(address, data);
        }
    }

    private sealed class Told(LockstepMachine machine, string name, IBusDevice inner) : IBusDevice
    {
        public AccessResult Read(ulong offset, Span<byte> data)
        {
            using var access = machine.Enter($"read {name}+{offset:x}");
            return inner.Read(offset, data);
        }

        public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
        {
            using var access = machine.Enter($"write {name}+{offset:x} {Hex(data)}");
            return inner.Write(offset, data);
        }
    }
}
