// Makes a machine from its definition: checks the values, chooses the engine, opens the files, plans the boot, wires the hardware.
// Whatever was made is given back in reverse order when a later step fails.
using Lamina.Backends.Share;
using Lamina.Backends.Vsock;
using Lamina.Boot;
using Lamina.Choice;
using Lamina.Consoles;
using Lamina.Control;
using Lamina.Core.Engine;
using Lamina.Core.Memory;
using Lamina.Core.Units;
using Lamina.Debugging;
using Lamina.Devices.Chipset;
using Lamina.Devices.Virtio.Balloon;
using Lamina.Disks;
using Lamina.Engines;
using Lamina.Host;
using Lamina.Life;
using Lamina.Micro;
using Lamina.Networks;

namespace Lamina;

/// <summary>What a machine finds on the host; tests put their own in.</summary>
internal sealed record MachineServices
{
    /// <summary>The engine, or null for what the definition chooses.</summary>
    internal IEngine? Engine { get; init; }

    /// <summary>What the host's hardware virtualization is judged by.</summary>
    internal KvmHost Kvm { get; init; } = new();
}

/// <summary>The parts of a finished machine that its face needs.</summary>
internal sealed record BuiltMachine(MachineLife Life, string EngineDescription, string BootDescription, SerialConsole? Serial, SerialConsole? Console, GdbServer? Debugger, VirtioBalloon? Balloon)
{
    /// <summary>The published ports, each with the address that it really has.</summary>
    internal IReadOnlyList<PublishedPort> Published { get; init; } = [];

    /// <summary>The guest's RAM, for tests of who touches it.</summary>
    internal required GuestMemory Memory { get; init; }
}

/// <summary>Builds machines.</summary>
internal static class MachineBuilder
{
    /// <summary>Builds what a definition asks for.</summary>
    /// <exception cref="MachineException">Something is not as it must be.</exception>
    internal static BuiltMachine Build(MachineDefinition definition, MachineHooks hooks, MachineServices services)
    {
        Check(definition);
        var spec = definition.Complete();
        var map = MemoryMap.Create(MicroLayout.Boot, spec.MemoryBytes);
        var engine = services.Engine is { } given ? new SelectedEngine(given, given.Name) : EngineSelector.Select(spec, services.Kvm, hooks.MeasuresTime);
        var units = new UnitTree();
        var life = new MachineLife(spec.NoReboot, hooks.Trace);
        try
        {
            var boot = BootLoader.Plan(spec.Boot, map, MicroTables.Create(spec.Cpus, MicroMachine.CountVirtioDevices(spec)), units);
            void Quit() => _ = life.DoAsync(new MachineAction.End(new MachineResult(MachineEnd.Stopped, Message: "ended from the terminal")));
            Action<string> fail = ((IHardwareEvents)life).Fail;
            var calls = new ConsoleCalls(hooks, Quit, fail, () => life.IsHurried);
            var (port1, hvc) = (spec.DevicesOf<SerialDevice>().Single(), spec.DevicesOf<ConsoleDevice>().Single());
            var serial = ConsoleBackends.Open(port1.Name, port1.To, calls, units);
            var console = ConsoleBackends.Open(hvc.Name, hvc.To, calls, units);
            var disks = DiskBackends.Open([.. spec.DevicesOf<DiskDevice>()], hooks.Report, units);
            var limits = ShareLimits.For(spec.DevicesOf<ShareDevice>().Count(), spec.MemoryBytes);
            var shares = spec.DevicesOf<ShareDevice>()
                .Select(share => new OpenShare(share.Tag, units.Add($"backends/share {share.Tag}", new SharedFolder(share.Path, new ShareOptions { ReadOnly = share.ReadOnly, ExtendedAttributes = share.ExtendedAttributes, Limits = limits })))).ToArray();
            var sockets = spec.DevicesOf<VsockDevice>().SingleOrDefault() is { } vsock ? units.Add("backends/sockets", new UnixSocketHost(vsock.Path, fail)) : null;
            var networks = NetworkBackends.Open([.. spec.DevicesOf<NetworkDevice>()], hooks, units);
            var hardware = new MicroMachine(new MicroOptions(spec, hooks, map, boot, engine.Engine, serial, console, disks, shares, sockets, networks), life, units);
            life.Own(hardware);
            var debugger = spec.GdbPort is { } port ? GdbServer.Listen(port, life) : null;
            return new BuiltMachine(life, engine.Description, boot.Description, serial.Memory, console.Memory, debugger, hardware.Balloon)
            {
                Published = NetworkBackends.Published(networks),
                Memory = hardware.Memory,
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
    internal static void Check(MachineDefinition definition)
    {
        MachineCheck.Check(definition);
        var spec = definition.Complete();
        if (spec.Cpus > MicroLayout.MaximumCpus) throw new MachineException($"a machine of this build has at most {MicroLayout.MaximumCpus} CPUs, not {spec.Cpus}");
        if (CpuModels.WhyNot(spec.Cpu ?? CpuModels.Host) is { } unknown) throw new MachineException(unknown);
        if (spec.DebugExitPort > 0x1_0000 - DebugExitSpec.Length) throw new MachineException($"the debug exit port 0x{spec.DebugExitPort:x} is too high; the port takes {DebugExitSpec.Length} addresses, choose 0x{DebugExitSpec.DefaultPort:x}");
        if (MicroMachine.CountVirtioDevices(spec) > MicroLayout.VirtioSlots)
            throw new MachineException($"a micro machine has room for {MicroLayout.VirtioSlots} virtio devices, two of which are always there; this one would have {MicroMachine.CountVirtioDevices(spec)}");
        _ = MemoryMap.Create(MicroLayout.Boot, spec.MemoryBytes);
        foreach (var share in spec.DevicesOf<ShareDevice>())
            if (!Directory.Exists(share.Path)) throw new MachineException(MachineError.File, $"there is no folder {share.Path} to share");
        CodeArchiveFolder.Check(spec);
    }

    private static MachineError ErrorOf(Exception failure) => failure is HostException { IsOfTheName: false } ? MachineError.Host : MachineError.File;
}
