// The hardware of one machine of any kind: memory, clock, engine, interrupt controllers and vCPUs, a board and the parts in its places.
// It holds them and their order; each one's behaviour is its own. MachineLife drives it.
using System.Runtime.InteropServices;
using Lamina.Backends.Disk;
using Lamina.Backends.Entropy;
using Lamina.Backends.Time;
using Lamina.Backends.Work;
using Lamina.Boot;
using Lamina.Consoles;
using Lamina.Control;
using Lamina.Core.Bus;
using Lamina.Core.Display;
using Lamina.Core.Engine;
using Lamina.Core.Inspection;
using Lamina.Core.Logging;
using Lamina.Core.Memory;
using Lamina.Core.State;
using Lamina.Core.Time;
using Lamina.Core.Units;
using Lamina.Devices.Chipset;
using Lamina.Devices.Virtio;
using Lamina.Doctor;
using Lamina.Engines;
using Lamina.Firmware;
using Lamina.Host;
using Lamina.Host.Time;
using Lamina.Life;
using Lamina.Parts;
using Lamina.Saving;

namespace Lamina.Boards;

/// <summary>What a machine is made from.</summary>
/// <param name="Board">Its kind.</param>
/// <param name="Definition">What it is.</param>
/// <param name="Hooks">What the program connects it with.</param>
/// <param name="Log">Takes what it has to say.</param>
/// <param name="Map">Where its RAM lies.</param>
/// <param name="Memory">Its RAM.</param>
/// <param name="Boot">What lies in it when it starts.</param>
/// <param name="Engine">What runs its CPUs.</param>
/// <param name="Serial">The channel of its first serial port.</param>
/// <param name="Parts">Its devices, open.</param>
/// <param name="Saved">Where it goes on; null for a machine that starts.</param>
internal sealed record BoardMachineOptions(IBoard Board, MachineDefinition Definition, MachineHooks Hooks, MachineLog Log, MemoryMap Map, BoardMemory Memory, BootPlan Boot, IEngine Engine, ConsoleChannel Serial, IReadOnlyList<IPart> Parts, SavedStart? Saved)
{
    /// <summary>The text of a file of the host's kernel, or null.</summary>
    internal required Func<string, string?> Read { get; init; }

    /// <summary>The firmware that the machine begins with, and what it is told; null for a kernel that is loaded directly.</summary>
    internal (FirmwareImage Image, FirmwareRequest Request)? Firmware { get; init; }

    /// <summary>Where the rate of the host's time-stamp counter is kept; null for nowhere.</summary>
    internal TscRateMemory? TscRate { get; init; }
}

/// <summary>The hardware of one machine.</summary>
internal sealed class BoardMachine : IHardware
{
    // What a host is to have left beside the copy of a guest's memory.
    private const ulong Spare = 64 << 20;

    private readonly BoardMachineOptions _options;
    private readonly UnitTree _units;
    private readonly GuestMemory _memory;
    private readonly MachineClock _clock;
    private readonly IEngineMachine _engine;
    private readonly Bus _ports, _mmio;
    private readonly IWiredBoard _board;
    private readonly FullDisks _full;
    private readonly FirmwareHardware? _firmware;
    private readonly List<IVcpu> _vcpus = [];
    private readonly List<VcpuState> _atReset = [];
    private MachineDefinition _definition;
    private readonly BalloonKeeper? _keeper;
    private bool _loaded;
    private bool[]? _workingSet;

    // How often it was let run, and how often it had been when it was put back last.
    private long _runs, _rewoundAt = -1;

    /// <summary>Wires the hardware. Parts go onto the tree of units, which is the hardware's from now on.</summary>
    /// <exception cref="MachineException">A port that the definition chose is taken.</exception>
    internal BoardMachine(BoardMachineOptions options, IHardwareEvents events, UnitTree units)
    {
        (_options, _units, _definition) = (options, units, options.Definition);
        var (board, definition, log) = (options.Board, options.Definition, options.Log);
        _memory = options.Memory.Ram;
        _clock = units.AddAside("clock", new MachineClock(paused: true, events.Fail, options.Saved?.State.Clock, options.TscRate, options.Read));
        _engine = units.AddAside("engine", options.Engine.CreateMachine(new EngineMachineOptions(_memory, _clock, definition.Cpus) { CpuModel = options.Saved?.State.CpuModel ?? definition.Cpu ?? CpuModels.Host, CpuIdentity = options.Saved?.State.CpuIdentity, MostPhysicalAddressBits = options.Firmware?.Image.AddressBits(options.Map) }));
        if (_engine.CpuWithheld is { Count: > 0 } untrue) log.Of("engine").Warn(LogEvent.CpuModel, $"the guest was told of its CPU what does not hold here, and is told no longer: {string.Join(", ", untrue)}");
        var controllers = units.Add("interrupts", _engine.Irqchip is { } irqchip ? new InterruptControllers(irqchip, definition.Cpus) : new InterruptControllers(_clock, definition.Cpus, board.Layout.PhysicalAddressBits));
        (_ports, _mmio) = (units.AddAside("buses/port", new Bus("port", log: log.Of("buses/port"))), units.AddAside("buses/memory", new Bus("memory", log: log.Of("buses/memory"))));
        controllers.Map(_ports, _mmio);
        AddVcpus(controllers, definition.Cpus);
        // At the end devices go first, then what they are connected to, then the vCPUs that its input could have woken.
        units.AddAside("consoles/serial", options.Serial);
        var workers = new WorkerThreads(byDescriptor: _engine.Doorbells is not null, failed: events.Fail);
        _board = board.Wire(new BoardContext
        {
            Units = units,
            Map = options.Map,
            Cpus = definition.Cpus,
            Clock = _clock,
            Engine = _engine,
            Controllers = controllers,
            Ports = _ports,
            Mmio = _mmio,
            Events = events,
            Log = log,
            Memory = _memory,
            Entropy = new HostEntropy(),
            Virtio = new VirtioOptions(_memory, workers),
            Serial = options.Serial,
            DebugExitPort = definition.DebugExitPort,
            HasFirmware = options.Firmware is not null,
        });
        if (options.Firmware is { } firmware)
        {
            var variables = firmware.Image.Variables is { } first && options.Hooks.FirmwareVariables is { } path ? VariablesFile.Open(path, first, workers, log.Of("firmware/variables")) : null;
            _firmware = new FirmwareHardware(units, _memory, _mmio, _ports, firmware.Image, FirmwareItems.Create(firmware.Request), log, variables);
        }
        _full = units.AddAside("full disks", new FullDisks(events.WaitForHost, log.Of("full disks"), options.Hooks.Time, events.DiskFull));
        var context = new PartContext(definition, log, units, _memory, workers, _full, events) { Clock = _clock };
        foreach (var part in options.Parts) part.Attach($"devices/{part.Name}", _board, context);
        if (definition.MemoryLeast is { } least && Balloon is { } balloon) _keeper = units.AddAside("balloon keeper", new BalloonKeeper(balloon, _memory.Size, least, options.Hooks.Time, options.Read));
    }

    /// <inheritdoc/>
    public IReadOnlyList<IVcpu> Vcpus => _vcpus;

    /// <summary>Its keyboard and mouse, where it has them.</summary>
    internal BoardInput? Input => _board.Input;

    /// <summary>Its screen, where it has one.</summary>
    internal IScreen? Screen => _board.Screen;

    /// <summary>Its memory balloon, where it has one.</summary>
    internal IMemoryBalloon? Balloon => _options.Parts.OfType<BalloonPart>().FirstOrDefault()?.Balloon;

    /// <inheritdoc/>
    public IReadOnlyList<Counter> Counters
    {
        get
        {
            var counters = new CounterList();
            _units.Count(counters);
            return counters.All;
        }
    }

    /// <inheritdoc/>
    public UnitInspection Inspect(string path) => _units.Inspect(path);

    /// <inheritdoc/>
    public ulong ResizeBalloon(ulong bytes)
    {
        if (Balloon is not { } balloon) throw new MachineException("the machine has no memory balloon; add a BalloonDevice");
        if (bytes > _memory.Size) throw new MachineException($"the guest cannot do without {bytes} bytes: it has {_memory.Size}");
        if (_keeper is not null) _keeper.Asked = bytes;
        else balloon.Target = bytes;
        return balloon.Actual;
    }

    /// <inheritdoc/>
    public void Publish(string device, IReadOnlyList<PublishedPort> ports)
    {
        CardOf(device).Publish(ports);
        Change<NetworkDevice>(device, card => card with { Link = (NetworkLink.User)card.Link with { Published = ports } });
    }

    /// <inheritdoc/>
    public void Plug(string device, bool plugged)
    {
        CardOf(device).Plug(plugged);
        Change<NetworkDevice>(device, card => card with { Plugged = plugged });
    }

    /// <inheritdoc/>
    public void ChangeDisc(string device, string path, SafeHandle? file)
    {
        var drive = _options.Parts.OfType<CdromPart>().FirstOrDefault(part => part.Name == device) ?? throw new MachineException($"the machine has no CD drive {device}");
        drive.Change(path, file);
        Change<CdromDevice>(device, cdrom => cdrom with { Path = path });
    }

    /// <inheritdoc/>
    public void SetRate(string device, RateLimit limit)
    {
        // Refuses what has no limits.
        _ = _options.Definition.WithRate(device, limit);
        foreach (var gate in _options.Parts.Single(part => part.Name == device).Gates) gate.Limit = limit.ToFlow();
    }

    /// <inheritdoc/>
    public void SetClockRunning(bool running)
    {
        if (running) _runs++;
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
        _options.Serial.Start();
        foreach (var part in _options.Parts) part.Start();
    }

    /// <inheritdoc/>
    public void Reset()
    {
        // When devices are reset, none of them writes to memory any more.
        _units.Reset();
        if (_firmware is null) _board.StandInForFirmware();
        if (_loaded) _memory.Clear();
        _loaded = true;
        _options.Boot.Load(_memory, filesToo: !_options.Memory.FinishLoad());
        _firmware?.Renew();
        for (var i = 0; i < _vcpus.Count; i++)
        {
            if (i == 0) _options.Boot.Enter(_atReset[i]);
            else _atReset[i].Activity = VcpuActivity.WaitForStartUp;
            _vcpus[i].SetState(_atReset[i]);
        }
    }

    /// <inheritdoc/>
    public IUnwritten? Save(string folder, bool goesOn)
    {
        // What the guest wrote and has not flushed is on its disks, for whoever goes on with the state; this process may be killed behind it.
        foreach (var disk in _options.Parts.OfType<DiskPart>()) disk.Flush();
        var state = State();
        if (goesOn && Frozen() is { } memory) return new UnwrittenMachine(state, memory, folder);
        state.Write(folder, file => MemoryFile.Write(file, _memory));
        return null;
    }

    /// <inheritdoc/>
    public void PrepareFork()
    {
        if (!_memory.HasImages) throw new MachineException(MachineError.State, "the machine's memory is written by others, too, and cannot be had twice");
        _memory.PrepareImage(most => HostMemory.Free(_options.Read) is not { } free || most + Spare <= free
            ? null
            : new MachineException(MachineError.Host, $"the host has {ByteSize.Format(free)} of memory left, and copies of the machine take up to {ByteSize.Format(most)} at once; end something, or have the guest do without some of its memory"));
    }

    /// <inheritdoc/>
    public MachineForked Fork() => MachineForked.Make(State(), _memory);

    /// <inheritdoc/>
    public void ShareMemory(MachineForked with)
    {
        if (with.Image is { } image && !_memory.Shares(image)) _memory.TakeUp(image, isSame: true);
    }

    /// <inheritdoc/>
    public SavedMachine DescribeState() => State(new SavedClock(0, 0, _clock.TscHz, _clock.WallClock), []);

    /// <inheritdoc/>
    public SavedMachine SaveState() => State();

    /// <inheritdoc/>
    public void Advance(TimeSpan time) => _clock.Advance(time);

    /// <inheritdoc/>
    public MachineForked Describe()
    {
        var described = MachineForked.Make(DescribeState(), null);
        described.Finish(TimeSpan.Zero);
        return described;
    }

    /// <inheritdoc/>
    public IReadOnlyList<DiskLayer> AddLayers(IReadOnlyList<LayeredImage> layers)
    {
        var made = new List<DiskLayer>();
        try
        {
            foreach (var layer in layers)
            {
                var part = _options.Parts.OfType<DiskPart>().FirstOrDefault(part => part.Name == layer.Device) ?? throw new MachineException($"the machine has no disk {layer.Device}");
                made.Add(part.AddLayer(layer.Image, layer.Below));
            }
            return made;
        }
        catch
        {
            foreach (var layer in made) layer.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public void Load(SavedStart saved)
    {
        LoadState(saved);
        foreach (var card in _options.Parts.OfType<NetworkPart>()) card.Announce();
    }

    private void LoadState(SavedStart saved)
    {
        _loaded = true;
        try
        {
            if (saved.Forked is { } forked)
            {
                _clock.MoveTo(forked.State.Clock);
                _memory.TakeUp(forked.TakeImage());
                _units.Load(forked.State.Units);
                _board.BecomeAnother();
                return;
            }
            if (saved.Arrived is { } arrived)
            {
                _clock.MoveTo(arrived.Clock);
                _units.Load(arrived.Units);
                return;
            }
            MemoryWorkingSet.Fetch(_memory, _options.Hooks.WorkingSet.Span);
            _units.Load(saved.State.Units);
            if (!_options.Hooks.GoesOnAlone) _board.BecomeAnother();
        }
        catch (StateException wrong)
        {
            throw new MachineException(MachineError.File, $"the saved machine cannot be used: {wrong.Message}", wrong);
        }
    }

    /// <inheritdoc/>
    public void Rewind(MachineForked forked)
    {
        try
        {
            // Of one that was put back before and has not run since, the memory is as it was then.
            var isClean = _rewoundAt == _runs;
            _rewoundAt = _runs;
            _units.Reset();
            _clock.MoveTo(forked.State.Clock);
            _memory.ReturnTo(forked.TakeImage(), _workingSet, isClean);
            _units.Load(forked.State.Units);
            _board.BecomeAnother();
        }
        catch (StateException wrong)
        {
            throw new MachineException(MachineError.File, $"the machine cannot go on as a copy: {wrong.Message}", wrong);
        }
    }

    /// <inheritdoc/>
    public bool IsWhole => _memory.Missing is null;

    /// <inheritdoc/>
    public ReadOnlyMemory<byte> WorkingSet() => MemoryWorkingSet.Of(_memory);

    /// <inheritdoc/>
    public void NoteWorkingSet() => _workingSet = _memory.OwnPages();

    /// <inheritdoc/>
    public bool PressPowerButton() => _board.PressPowerButton();

    /// <inheritdoc/>
    public void Conclude() => _engine.Conclude();

    /// <inheritdoc/>
    public void Dispose()
    {
        // No timer reaches a part that is gone.
        _clock.Pause();
        // A disk that ends its waiting now does so because the machine ends, and not because there is space.
        _full.Dispose();
        _units.Dispose();
        ConsoleLoss.Tell("serial port", SerialLost, _options.Log.Of("chipset/serial"));
        foreach (var part in _options.Parts) part.Conclude(_options.Log);
    }

    private NetworkPart CardOf(string device) => _options.Parts.OfType<NetworkPart>().FirstOrDefault(part => part.Name == device) ?? throw new MachineException($"the machine has no network card {device}");

    // All but its memory's content, while it stands still.
    private SavedMachine State()
    {
        try
        {
            return State(_clock.Save(), _units.Save());
        }
        catch (StateException impossible)
        {
            throw new MachineException(MachineError.State, $"the machine cannot be saved: {impossible.Message}", impossible);
        }
    }

    private SavedMachine State(SavedClock clock, IReadOnlyList<SavedUnit> units) => new()
    {
        Definition = _definition.MapPaths(Path.GetFullPath),
        CpuModel = _engine.CpuModel,
        CpuIdentity = _engine.CpuIdentity,
        Clock = clock,
        Ranges = _memory.Ranges,
        Units = units,
    };

    // Where the host makes no copy of the process, it stands still for as long as it takes to write its memory.
    private FrozenMemory? Frozen()
    {
        try
        {
            return _memory.Freeze();
        }
        catch (HostException refused)
        {
            _options.Log.Of("memory").Warn(LogEvent.HostMemory, $"the guest stands still until its memory is written: {refused.Message}");
            return null;
        }
    }

    // A saved machine goes on as it is, and not as it was made.
    private void Change<T>(string device, Func<T, T> change) where T : DeviceDefinition =>
        _definition = _definition with { Devices = [.. _definition.Devices.Select(known => known is T of && of.Name == device ? change(of) : known)] };

    private long SerialLost => _options.Serial.Lost + _board.SerialBytesLost;

    private void AddVcpus(InterruptControllers controllers, int count)
    {
        var bus = new VcpuBus(_ports, _mmio);
        for (var i = 0; i < count; i++)
        {
            var apic = _engine.Irqchip is null ? controllers.LocalApics[i] : null;
            var vcpu = _units.AddAside($"vcpus/{i}", _engine.CreateVcpu(new VcpuOptions(i, bus, apic, _options.Log.Of($"vcpus/{i}"))));
            apic?.Attach(vcpu);
            _units.Add($"vcpus/{i}/state", new SavedVcpu(vcpu));
            var state = new VcpuState();
            vcpu.GetState(state);
            // Firmware sets its CPUs up itself.
            if (_options.Firmware is null) CpuEntry.Firmware(state);
            _vcpus.Add(vcpu);
            _atReset.Add(state);
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
