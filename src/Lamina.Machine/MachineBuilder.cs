// Makes a machine from its definition: checks the values, chooses the engine, opens the files, plans the boot, wires the hardware.
// Whatever was made is given back in reverse order when a later step fails.
using Lamina.Backends.Disk;
using Lamina.Backends.Display;
using Lamina.Boards;
using Lamina.Boot;
using Lamina.Choice;
using Lamina.Consoles;
using Lamina.Control;
using Lamina.Core.Display;
using Lamina.Core.Engine;
using Lamina.Core.Logging;
using Lamina.Core.Memory;
using Lamina.Core.Net;
using Lamina.Core.Units;
using Lamina.Debugging;
using Lamina.Devices.Chipset;
using Lamina.Doctor;
using Lamina.Engines;
using Lamina.Firmware;
using Lamina.Folders;
using Lamina.Host;
using Lamina.Host.Io;
using Lamina.Host.Time;
using Lamina.Images.Bios;
using Lamina.Life;
using Lamina.Micro;
using Lamina.Networks;
using Lamina.Parts;
using Lamina.Pc;
using Lamina.Saving;
using Lamina.Screens;

namespace Lamina;

/// <summary>What a machine finds on the host; tests put their own in.</summary>
internal sealed record MachineServices
{
    /// <summary>The engine, or null for what the definition chooses.</summary>
    internal IEngine? Engine { get; init; }

    /// <summary>The board, or null for the one of the definition's kind.</summary>
    internal IBoard? Board { get; init; }

    /// <summary>What the host's hardware virtualization is judged by.</summary>
    internal KvmHost Kvm { get; init; } = new();

    /// <summary>Where the rate of the host's time-stamp counter is kept; null for nowhere.</summary>
    internal HostMemo? TscRate { get; init; } = UserFolders.Cache is { } folder ? new HostMemo(Path.Combine(folder, "tsc-rate"), HostMemo.ReadBoot()) : null;

    /// <summary>The text of a file of the host's kernel, or null.</summary>
    internal Func<string, string?> Read { get; init; } = HostFacts.ReadFile;
}

/// <summary>The parts of a finished machine that its face needs.</summary>
internal sealed record BuiltMachine(MachineLife Life, string EngineDescription, string BootDescription, SerialConsole? Serial, SerialConsole? Console, GdbServer? Debugger, IMemoryBalloon? Balloon, BoardInput? Input)
{
    /// <summary>Serves it to viewers, where that is wanted.</summary>
    internal VncServer? Display { get; init; }

    /// <summary>The guest's screen, where it has one.</summary>
    internal IScreen? Screen { get; init; }

    /// <summary>The machine's networks.</summary>
    internal IReadOnlyList<INetBackend> Networks { get; init; } = [];

    /// <summary>The guest's RAM.</summary>
    internal required GuestMemory Memory { get; init; }

    /// <summary>The disks that it writes and that can be copied meanwhile, by their names, in the definition's order.</summary>
    internal required IReadOnlyList<(string Name, LayeredDisk Disk)> Layered { get; init; }

    /// <summary>The same without their names.</summary>
    internal IReadOnlyList<LayeredDisk> WrittenDisks => [.. Layered.Select(disk => disk.Disk)];

    /// <summary>Whether a disk is one of them.</summary>
    internal bool Moves(string disk) => Layered.Any(known => known.Name == disk);

    /// <summary>The names of its parts, for tests of what is told of each.</summary>
    internal required IReadOnlyList<string> Parts { get; init; }
}

/// <summary>Builds machines.</summary>
internal static class MachineBuilder
{
    /// <summary>Builds what a definition asks for.</summary>
    /// <exception cref="MachineException">Something is not as it must be.</exception>
    /// <param name="definition">What it is to be.</param>
    /// <param name="hooks">What it is connected with.</param>
    /// <param name="services">What it finds on the host.</param>
    /// <param name="saved">Where it goes on; null for a machine that starts.</param>
    internal static BuiltMachine Build(MachineDefinition definition, MachineHooks hooks, MachineServices services, SavedStart? saved = null)
    {
        Check(definition, services.Board);
        var spec = NetworkBackends.WithAddresses(definition.Complete());
        var board = services.Board ?? BoardOf(spec);
        var map = MemoryMap.Create(board.Layout, spec.RamBytes);
        var engine = services.Engine is { } given ? new SelectedEngine(given, given.Name) : EngineSelector.Select(spec, services.Kvm, hooks.MeasuresTime);
        HostLimits.IgnoreFileSizeSignal();
        OpenFiles.Check(spec, engine.Engine);
        var units = new UnitTree();
        var events = new EventSource(hooks.Time);
        var log = new MachineLog(hooks, events);
        var life = new MachineLife(spec.NoReboot, log.OfLife, saved, events);
        try
        {
            var devices = PartCatalog.Of(spec).ToList();
            var tables = board.Describe(map, spec.Cpus, devices.Count(PartCatalog.TakesPlace));
            var firmware = spec.FirmwareToBoot is { } named ? FirmwareImage.Read(FirmwareStore.PathOf(named)) : null;
            var boot = firmware is null ? BootLoader.Plan(spec.Boot, map, tables, units, spec.Timeout, hooks.Cancellation) : FirmwareHardware.Plan(firmware, map);
            var memory = BoardMemory.Make(units, spec, map, boot, saved);
            void Quit() => _ = life.DoAsync(new MachineAction.End(new MachineResult(MachineEnd.Stopped, Message: "ended from the terminal")));
            Action<string> fail = ((IHardwareEvents)life).Fail;
            var calls = new ConsoleCalls(hooks, log, Quit, fail, () => life.IsHurried);
            var port1 = spec.DevicesOf<SerialDevice>().Single();
            var serial = ConsoleBackends.Open(port1.Name, port1.To, calls, units);
            var parts = PartCatalog.Open(new OpenContext(spec, hooks, log, units, calls));
            var hardware = new BoardMachine(new BoardMachineOptions(board, spec, hooks, log, map, memory, boot, engine.Engine, serial, parts, saved)
            {
                Read = services.Read,
                Firmware = firmware is null ? null : (firmware, new FirmwareRequest(map, tables, spec.Cpus, board.Name)
                {
                    BootOrder = BootOrder.Of(spec, devices, board),
                    SerialConsole = board.Layout.SerialPort,
                    BootMenu = spec.Boot.BootMenu,
                    DisplayRom = firmware.Variables is null && board.DisplayRom is { } name && DisplayRom.Find(spec.FirmwareToBoot!, log.Of("firmware")) is { } rom ? (name, rom) : null,
                    // UEFI has drivers of its own.
                    CardRoms = firmware.Variables is not null ? [] : [.. FirmwareStore.CardPathsOf(spec).Where(card => board.NetworkRomOf(card.Model) is not null).Select(card => (board.NetworkRomOf(card.Model)!, OptionRom.Read("network card's firmware", card.Path)))],
                }),
                TscRate = services.TscRate is { } rate ? new TscRateMemory(() => (ulong?)rate.Recall(), hertz => rate.Keep(hertz)) : null,
            }, life, units);
            life.Own(hardware);
            life.Share = units.AddAside("cpu share", new CpuShare(spec, hooks.Cpus, log.Of("cpu share"), services.Read));
            // Goes first at the end: sockets do, too.
            var sockets = units.AddAside("socket files", new SocketWatch(hooks.Time));
            if (serial.Listener is { } socket) sockets.Add(socket, log.Of($"devices/{port1.Name}"));
            foreach (var part in parts)
                if (part.Listener is { } listener) sockets.Add(listener, log.Of($"devices/{part.Name}"));
            var display = spec.Display is { } wanted ? units.AddAside("display", ScreenServers.Open(wanted, spec.Name, hardware.Screen!, hardware.Input, log.Of("display"))) : null;
            if (display is not null) sockets.Add(display, log.Of("display"));
            if (MachineAppetite.Warning(spec, engine.Engine, services.Read) is { } warning) log.Of("").Warn(LogEvent.HostMemory, warning);
            var debugger = spec.GdbPort is { } port ? GdbServer.Listen(port, life, spec.GdbArchitecture) : null;
            return new BuiltMachine(life, engine.Description, boot.Description, serial.Memory, parts.OfType<ConsolePart>().First().Channel.Memory, debugger, hardware.Balloon, hardware.Input)
            {
                Screen = hardware.Screen,
                Display = display,
                Networks = [.. parts.OfType<NetworkPart>().Select(part => part.Backend)],
                Memory = memory.Ram,
                Layered = [.. parts.OfType<DiskPart>().Where(part => part.Layered is not null).Select(part => (part.Name, part.Layered!))],
                Parts = [.. units.Names],
            };
        }
        catch (Exception e)
        {
            life.DisposeAsync().GetAwaiter().GetResult();
            units.Dispose();
            if (e is IOException) throw new MachineException(ErrorOf(e), e.Message, e);
            throw;
        }
    }

    /// <summary>Refuses what no machine can be on this host, before anything is opened or made.</summary>
    /// <exception cref="MachineException">The first thing that is wrong.</exception>
    internal static void Check(MachineDefinition definition) => Check(definition, null);

    private static void Check(MachineDefinition definition, IBoard? given)
    {
        MachineCheck.Check(definition);
        var spec = definition.Complete();
        var board = given ?? BoardOf(spec);
        if (spec.Cpus > board.MaximumCpus) throw new MachineException($"a machine of this build has at most {board.MaximumCpus} CPUs, not {spec.Cpus}");
        if (CpuModels.WhyNot(spec.Cpu ?? CpuModels.Host) is { } unknown) throw new MachineException(unknown);
        if (spec.DebugExitPort > 0x1_0000 - DebugExitSpec.Length) throw new MachineException($"the debug exit port 0x{spec.DebugExitPort:x} is too high; the port takes {DebugExitSpec.Length} addresses, choose 0x{DebugExitSpec.DefaultPort:x}");
        // AHCI takes the last one.
        var room = board.VirtioPlaces - (PartCatalog.Of(spec).Any(device => PartCatalog.BusOf(device) == DriveBus.Sata) ? 1 : 0);
        if (PartCatalog.Of(spec).Count(PartCatalog.TakesPlace) is var places && places > room)
            throw new MachineException($"a {board.Name} machine has room for {room} devices, two of which are always there; this one would have {places}");
        _ = MemoryMap.Create(board.Layout, spec.RamBytes);
        try
        {
            foreach (var port in spec.DevicesOf<SerialDevice>()) ConsoleBackends.Check(port.To);
            PartCatalog.Check(spec);
        }
        catch (IOException refused)
        {
            throw new MachineException(ErrorOf(refused), refused.Message, refused);
        }
        CodeArchiveFolder.Check(spec);
    }

    /// <summary>Where the RAM of a machine lies.</summary>
    /// <exception cref="MachineException">Its memory cannot be.</exception>
    internal static IReadOnlyList<Core.Memory.MemoryRange> RamOf(MachineDefinition definition) => MemoryMap.Create(BoardOf(definition).Layout, definition.Complete().RamBytes).Ram;

    private static IBoard BoardOf(MachineDefinition definition) => definition.Type switch
    {
        MachineType.Micro => new MicroBoard(),
        MachineType.Pc => new PcBoard(),
        _ => throw new MachineException($"there is no machine of the kind {definition.Type}"),
    };

    private static MachineError ErrorOf(Exception failure) => failure is HostException { IsOfTheName: false } ? MachineError.Host : MachineError.File;
}
