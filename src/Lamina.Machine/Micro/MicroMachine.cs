// The micro machine, wired: memory, clock, interrupt controllers, vCPUs, the few devices of a PC that a kernel wants, and
// virtio over MMIO. It holds the parts and their order; each part's behaviour is its own. MachineLife drives it.
using Lamina.Backends.Entropy;
using Lamina.Backends.Net;
using Lamina.Backends.Time;
using Lamina.Backends.Work;
using Lamina.Boot;
using Lamina.Consoles;
using Lamina.Control;
using Lamina.Core.Bus;
using Lamina.Core.Engine;
using Lamina.Core.Memory;
using Lamina.Core.Share;
using Lamina.Core.Sockets;
using Lamina.Core.Units;
using Lamina.Devices.Chipset;
using Lamina.Devices.Virtio;
using Lamina.Devices.Virtio.Balloon;
using Lamina.Devices.Virtio.Block;
using Lamina.Devices.Virtio.Console;
using Lamina.Devices.Virtio.FileSystem;
using Lamina.Devices.Virtio.Mmio;
using Lamina.Devices.Virtio.Rng;
using Lamina.Devices.Virtio.Vsock;
using Lamina.Disks;
using Lamina.Engines;
using Lamina.Life;
using Lamina.Networks;

namespace Lamina.Micro;

/// <summary>A shared folder that is open, with the name by which the guest mounts it.</summary>
internal sealed record OpenShare(string Tag, IFileShare Share);

/// <summary>What the micro machine is made from.</summary>
internal sealed record MicroOptions(MachineDefinition Spec, MachineHooks Hooks, MemoryMap Map, BootPlan Boot, IEngine Engine, ConsoleChannel Serial, ConsoleChannel Console, IReadOnlyList<OpenDisk> Disks, IReadOnlyList<OpenShare> Shares,
    ISocketHost? Sockets, IReadOnlyList<NetworkCard> Networks);

/// <summary>The hardware of one micro machine.</summary>
internal sealed class MicroMachine : IHardware
{
    // Requests of one disk that wait for the host at once.
    private const int DiskRequests = 16;

    private readonly UnitTree _units;
    private readonly BootPlan _boot;
    private readonly ConsoleChannel[] _consoles;
    private readonly VirtioConsole _virtioConsole;
    private readonly IReadOnlyList<NetworkCard> _networks;
    private readonly IReadOnlyList<OpenShare> _shares;
    private readonly IHardwareEvents _events;
    private readonly GuestMemory _memory;
    private readonly MachineClock _clock;
    private readonly IEngineMachine _engine;
    private readonly Bus _ports = new("port"), _mmio = new("memory");
    private readonly List<VirtioBlock> _disks = [];
    private readonly List<IVcpu> _vcpus = [];
    private readonly List<VcpuState> _atReset = [];
    private readonly Action<string>? _report;
    private AcpiPm? _power;
    private Serial16550A? _serial;
    private FullDisks? _full;
    private bool _loaded;

    /// <summary>Wires the hardware. Parts go onto the stack of units, which is the hardware's from now on.</summary>
    /// <exception cref="MachineException">A port that the spec chose is taken.</exception>
    internal MicroMachine(MicroOptions options, IHardwareEvents events, UnitTree units)
    {
        (_units, _boot, _events, _consoles, _networks, _shares) = (units, options.Boot, events, [options.Serial, options.Console], options.Networks, options.Shares);
        _report = options.Hooks.Report;
        _virtioConsole = new VirtioConsole([new ConsolePort(options.Console)]);
        var spec = options.Spec;
        _memory = units.Add("memory", new GuestMemory(options.Map.Ram));
        Balloon = spec.DevicesOf<BalloonDevice>().Any() ? new VirtioBalloon(_memory) : null;
        _clock = units.Add("clock", new MachineClock(paused: true, events.Fail));
        _engine = units.Add("engine", options.Engine.CreateMachine(new EngineMachineOptions(_memory, _clock, spec.Cpus, options.Hooks.Trace) { CpuModel = spec.Cpu ?? CpuModels.Host }));
        var controllers = units.Add("interrupts", _engine.Irqchip is { } irqchip ? new InterruptControllers(irqchip) : new InterruptControllers(_clock, spec.Cpus, MicroLayout.Boot.PhysicalAddressBits));
        controllers.Map(_ports, _mmio);
        AddVcpus(controllers, spec.Cpus);
        // At the end devices go first, then the consoles with what is still to be written and the networks, then the vCPUs
        // that their input could have woken.
        for (var i = 0; i < _networks.Count; i++)
        {
            if (_networks[i].Backend is NetThread thread) thread.Failed += events.Fail;
            units.Add($"networks/{i}", _networks[i].Backend);
        }
        units.Add("consoles/serial", options.Serial);
        units.Add("consoles/virtio", options.Console);
        AddChipset(controllers, options, events);
        AddVirtio(controllers, options, events);
        AddSmallPorts(spec, events);
    }

    /// <summary>How many virtio devices a machine has, for the firmware tables: entropy, console, disks, shared folders, network cards, balloon, sockets.</summary>
    internal static int CountVirtioDevices(MachineDefinition spec) => spec.Devices.Count(device => device is not SerialDevice);

    /// <inheritdoc/>
    public IReadOnlyList<IVcpu> Vcpus => _vcpus;

    /// <summary>The memory balloon, where there is one.</summary>
    internal VirtioBalloon? Balloon { get; }

    /// <summary>The guest's RAM.</summary>
    internal GuestMemory Memory => _memory;

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, long> Statistics
    {
        get
        {
            var counters = _engine.Statistics.ToDictionary();
            for (var i = 0; i < _disks.Count; i++)
            {
                counters[$"disk {i} bytes read"] = _disks[i].BytesRead;
                counters[$"disk {i} bytes written"] = _disks[i].BytesWritten;
                counters[$"disk {i} requests"] = _disks[i].Requests;
                counters[$"disk {i} requests failed"] = _disks[i].Failures;
            }
            for (var i = 0; i < _shares.Count; i++)
            {
                var figures = _shares[i].Share.Statistics;
                counters[$"share {i} requests"] = figures.Requests;
                counters[$"share {i} nodes"] = figures.Nodes;
                counters[$"share {i} bytes of nodes"] = figures.NodeBytes;
                counters[$"share {i} open files"] = figures.OpenFiles;
                counters[$"share {i} descriptors held"] = figures.HeldNodes;
                counters[$"share {i} nodes found again"] = figures.FoundAgain;
                counters[$"share {i} nodes lost"] = figures.Lost;
            }
            counters["serial bytes dropped"] = _consoles[0].Lost + (_serial?.Lost ?? 0);
            counters["console bytes dropped"] = _consoles[1].Lost + _virtioConsole.Lost;
            counters["bytes: guest memory"] = (long)_memory.Resident;
            counters["bytes: managed heap"] = GC.GetGCMemoryInfo().TotalCommittedBytes;
            counters["bytes: process"] = Environment.WorkingSet;
            if (Balloon is not null) counters["balloon bytes given back"] = Balloon.Returned;
            return counters;
        }
    }

    /// <inheritdoc/>
    public void SetClockRunning(bool running)
    {
        if (running) _clock.Resume();
        else _clock.Pause();
    }

    /// <inheritdoc/>
    public void Pause() => _units.Pause();

    /// <inheritdoc/>
    public void Resume() => _units.Resume();

    /// <inheritdoc/>
    public void Start()
    {
        foreach (var console in _consoles) console.Start();
        foreach (var network in _networks) network.Backend.Start();
        if (_consoles[1].Terminal is not { } terminal) return;
        void TellSize() => _virtioConsole.Resize(0, terminal.Size.Columns, terminal.Size.Rows);
        terminal.Resized += Guard.Around("terminal", TellSize, _events.Fail);
        TellSize();
    }

    /// <inheritdoc/>
    public void Reset()
    {
        // When devices are reset, none of them writes to memory any more.
        _units.Reset();
        if (_loaded) _memory.Clear();
        _loaded = true;
        _boot.Load(_memory);
        for (var i = 0; i < _vcpus.Count; i++)
        {
            if (i == 0) _boot.Enter(_atReset[i]);
            else _atReset[i].Activity = VcpuActivity.WaitForStartUp;
            _vcpus[i].SetState(_atReset[i]);
        }
    }

    /// <inheritdoc/>
    public bool PressPowerButton() => _power!.PressPowerButton();

    /// <inheritdoc/>
    public void Conclude() => _engine.Conclude();

    /// <inheritdoc/>
    public void Dispose()
    {
        // No timer reaches a part that is gone.
        _clock.Pause();
        // A disk that ends its waiting now does so because the machine ends, and not because there is space.
        _full?.Dispose();
        _units.Dispose();
        TellLoss("serial port", _consoles[0].Lost + (_serial?.Lost ?? 0));
        TellLoss("virtio console", _consoles[1].Lost + _virtioConsole.Lost);
    }

    private void TellLoss(string console, long bytes)
    {
        if (bytes > 0) _report?.Invoke($"{bytes} bytes of output of the guest's {console} were dropped, which their reader did not take");
    }

    private void AddVcpus(InterruptControllers controllers, int count)
    {
        var bus = new VcpuBus(_ports, _mmio);
        for (var i = 0; i < count; i++)
        {
            var apic = _engine.Irqchip is null ? controllers.LocalApics[i] : null;
            var vcpu = _units.Add($"vcpus/{i}", _engine.CreateVcpu(new VcpuOptions(i, bus, apic)));
            apic?.Attach(vcpu);
            var state = new VcpuState();
            vcpu.GetState(state);
            CpuEntry.Firmware(state);
            _vcpus.Add(vcpu);
            _atReset.Add(state);
        }
    }

    private void AddChipset(InterruptControllers controllers, MicroOptions options, IHardwareEvents events)
    {
        var router = controllers.Router;
        var pit = _units.Add("chipset/pit", new Pit8254(_clock, router.CreateIsaLine(MicroLayout.TimerIrq)));
        pit.MapPorts(_ports);

        var rtc = _units.Add("chipset/rtc", new CmosRtc(_clock, router.CreateIsaLine(MicroLayout.RtcIrq)));
        rtc.SetMemorySize(options.Map.LowEnd, options.Map.Ram.Count > 1 ? options.Map.Ram[1].Length : 0);
        rtc.MapPorts(_ports);

        var keyboard = _units.Add("chipset/keyboard", new I8042(router.CreateIsaLine(MicroLayout.KeyboardIrq), events.Reset));
        keyboard.MapPorts(_ports);

        var power = _power = _units.Add("chipset/power", new AcpiPm(_clock, router.CreateLine(AcpiPmSpec.SciGsi), events.PowerOff, events.Reset));
        power.MapPorts(_ports);

        var serial = _serial = _units.Add("chipset/serial", new Serial16550A(_clock, router.CreateIsaLine(MicroLayout.Com1Irq), options.Serial));
        _ports.Map(MicroLayout.Com1, Serial16550ASpec.Length, serial);
    }

    private void AddVirtio(InterruptControllers controllers, MicroOptions options, IHardwareEvents events)
    {
        var doorbells = _engine.Doorbells;
        var workers = new WorkerThreads(byDescriptor: doorbells is not null, failed: events.Fail);
        var full = _full = _units.Add("full disks", new FullDisks(events.WaitForHost, options.Hooks.Report, options.Hooks.Time));
        _disks.AddRange(options.Disks.Select((disk, index) => CreateDisk(index, disk, options, workers, full)));
        List<IVirtioDevice> devices = [new VirtioRng(new HostEntropy()), _virtioConsole, .. _disks];
        devices.AddRange(options.Shares.Select(share => new VirtioFileSystem(share.Share, share.Tag)));
        devices.AddRange(_networks.Select(network => network.Device));
        if (Balloon is not null) devices.Add(Balloon);
        if (options.Sockets is { } sockets) devices.Add(new VirtioVsock(options.Spec.DevicesOf<VsockDevice>().Single().Cid, sockets));
        var virtio = new VirtioOptions(_memory, workers, options.Hooks.Trace);
        for (var slot = 0; slot < devices.Count; slot++)
        {
            var window = MicroLayout.VirtioMmio + ((ulong)slot * MicroLayout.VirtioMmioStride);
            ConnectDoorbell? connect = doorbells is null ? null : (queue, worker) => doorbells.TryConnect(window + VirtioMmio.Doorbell, (uint)queue, worker);
            var transport = _units.Add($"virtio/{slot}", new VirtioMmio(devices[slot], virtio, controllers.Router.CreateLine(MicroLayout.VirtioGsiOf(slot)), connect));
            _mmio.Map(window, VirtioMmio.WindowLength, transport);
        }
    }

    private VirtioBlock CreateDisk(int index, OpenDisk disk, MicroOptions options, WorkerThreads workers, FullDisks full)
    {
        VirtioBlock? device = null;
        return device = _units.Add($"disks/{index}", new VirtioBlock(disk.Backend, new VirtioBlockOptions
        {
            Serial = disk.Definition.Serial,
            Queues = disk.Definition.Queues ?? Math.Min(options.Spec.Cpus, VirtioBlockOptions.MostQueues),
            WriteThrough = disk.Definition.Cache == CacheMode.WriteThrough,
            Discard = disk.Definition.Discard,
            Parallel = DiskRequests,
            WritesWait = disk.Definition.Direct,
            WaitsForSpace = disk.Definition.OnFull == FullMode.Pause ? waits => full.Change(disk.Definition.Path, waits, Guard.Around("full disks", () => device!.Retry(), _events.Fail)) : null,
            Report = options.Hooks.Report,
        }, workers));
    }

    private void AddSmallPorts(MachineDefinition spec, IHardwareEvents events)
    {
        new PostCodePort().MapPorts(_ports);
        new PvPanic(told =>
        {
            if (told.HasFlag(PvPanicEvents.Panicked)) events.Panic("the guest's kernel panicked");
        }).MapPorts(_ports);
        var portA = _units.Add("chipset/port 92h", new SystemControlPortA(events.Reset));
        portA.MapPorts(_ports);
        var resetControl = _units.Add("chipset/reset control", new ResetControl(events.Reset));
        var configuration = _units.Add("chipset/pci configuration", new PciConfigurationPorts(resetControl));
        configuration.MapPorts(_ports);
        if (spec.DebugExitPort is not { } port) return;
        try
        {
            new DebugExit(events.DebugExit).MapPorts(_ports, port);
        }
        catch (ArgumentException e)
        {
            throw new MachineException($"the debug exit port 0x{port:x} is used by another device of the machine; choose another one, such as 0x{DebugExitSpec.DefaultPort:x}", e);
        }
    }

    // What is neither RAM nor a vCPU's own local APIC.
    private sealed class VcpuBus(Bus ports, Bus memory) : IVcpuBus
    {
        public void ReadPort(ushort port, Span<byte> data) => ports.Read(port, data);

        public void WritePort(ushort port, ReadOnlySpan<byte> data) => ports.Write(port, data);

        public void ReadMemory(ulong address, Span<byte> data) => memory.Read(address, data);

        public void WriteMemory(ulong address, ReadOnlySpan<byte> data) => memory.Write(address, data);
    }
}
