// Makes a machine from its spec: checks the values, chooses the engine, opens the files, plans the boot, wires the hardware.
// Whatever was made is given back in reverse order when a later step fails.
using Lamina.Backends.Net.User;
using Lamina.Backends.Share;
using Lamina.Backends.Vsock;
using Lamina.Boot;
using Lamina.Choice;
using Lamina.Core.Engine;
using Lamina.Core.Memory;
using Lamina.Core.Units;
using Lamina.Debugging;
using Lamina.Devices.Chipset;
using Lamina.Devices.Virtio.Balloon;
using Lamina.Engines;
using Lamina.Engines.Translator.Settings;
using Lamina.Life;
using Lamina.Micro;
using Lamina.Networks;

namespace Lamina;

/// <summary>What a machine takes from outside besides its spec; tests put their own in.</summary>
internal sealed record MachineServices
{
    /// <summary>The engine, or null for what the spec chooses.</summary>
    internal IEngine? Engine { get; init; }

    /// <summary>What the host's hardware virtualization is judged by.</summary>
    internal KvmHost Kvm { get; init; } = new();

    /// <summary>Measures <see cref="MachineSpec.Timeout"/>.</summary>
    internal TimeProvider Time { get; init; } = TimeProvider.System;
}

/// <summary>The parts of a finished machine that its face needs.</summary>
internal sealed record BuiltMachine(MachineLife Life, string EngineDescription, string BootDescription, SerialConsole? Serial, SerialConsole? Console, GdbServer? Debugger, TimeProvider Time, VirtioBalloon? Balloon)
{
    /// <summary>The published ports, each with the address that it really has.</summary>
    internal IReadOnlyList<PublishedPort> Published { get; init; } = [];

    /// <summary>The guest's RAM, for tests of who touches it.</summary>
    internal required GuestMemory Memory { get; init; }
}

/// <summary>Builds machines.</summary>
internal static class MachineBuilder
{
    private static readonly TimeSpan LongestTimeout = TimeSpan.FromDays(40);

    /// <summary>Builds what a spec asks for.</summary>
    /// <exception cref="MachineException">Something is not as it must be.</exception>
    internal static BuiltMachine Build(MachineSpec spec, MachineServices services)
    {
        Check(spec);
        var map = MemoryMap.Create(MicroLayout.Boot, spec.MemoryBytes);
        var engine = services.Engine is { } given ? new SelectedEngine(given, given.Name) : EngineSelector.Select(spec, services.Kvm);
        var units = new UnitTree();
        var life = new MachineLife(spec.NoReboot, spec.Trace);
        try
        {
            var boot = BootLoader.Plan(spec.Boot, map, MicroTables.Create(spec.Cpus, MicroMachine.CountVirtioDevices(spec)), units);
            void Quit() => _ = life.DoAsync(new MachineAction.End(new MachineResult(MachineEnd.Stopped, Message: "ended from the terminal")));
            Action<string> fail = ((IHardwareEvents)life).Fail;
            var serial = Consoles.Open("serial", spec.Serial, Quit, spec.Trace, fail, units);
            var console = Consoles.Open("console", spec.Console, Quit, spec.Trace, fail, units);
            var disks = Disks.Open(spec.Disks, spec.Report, units);
            var limits = ShareLimits.For(spec.Shares.Count, spec.MemoryBytes);
            var shares = spec.Shares.Select(share => new OpenShare(share.Tag, units.Add($"backends/share {share.Tag}", new SharedFolder(share.Path, share.Options with { Limits = limits })))).ToArray();
            var sockets = spec.Vsock is { } vsock ? units.Add("backends/sockets", new UnixSocketHost(vsock.Path, fail)) : null;
            var networks = NetworkBackends.Open(spec.Networks, units);
            var hardware = new MicroMachine(new MicroOptions(spec, map, boot, engine.Engine, serial, console, disks, shares, sockets, networks, services.Time), life, units);
            life.Own(hardware);
            var debugger = spec.GdbPort is { } port ? GdbServer.Listen(port, life) : null;
            return new BuiltMachine(life, engine.Description, boot.Description, serial.Memory, console.Memory, debugger, services.Time, hardware.Balloon)
            {
                Published = [.. networks.Select(network => network.Backend).OfType<UserNetBackend>().SelectMany(network => network.Published)],
                Memory = hardware.Memory,
            };
        }
        catch (Exception e)
        {
            life.DisposeAsync().GetAwaiter().GetResult();
            units.Dispose();
            if (e is IOException) throw new MachineException(e.Message, e);
            throw;
        }
    }

    private static void Check(MachineSpec spec)
    {
        if (spec.Type != MachineType.Micro) throw new MachineException($"there is no machine type {spec.Type}; use micro");
        if (CpuModels.WhyNot(spec.CpuModel) is { } unknown) throw new MachineException(unknown);
        if (spec.Cpus < 1) throw new MachineException($"a machine cannot have {spec.Cpus} CPUs; give it at least one");
        if (spec.Cpus > MicroLayout.MaximumCpus) throw new MachineException($"a machine of this build has at most {MicroLayout.MaximumCpus} CPUs, not {spec.Cpus}");
        if (spec.Translator.CodeBufferBytes is < TranslatorSettings.LeastCodeBufferBytes or > TranslatorSettings.MostCodeBufferBytes)
            throw new MachineException($"the translator's code cannot have {spec.Translator.CodeBufferBytes >> 20} MiB; give it {TranslatorSettings.LeastCodeBufferBytes >> 20} to {TranslatorSettings.MostCodeBufferBytes >> 20}");
        if (spec.Timeout is { } timeout && (timeout <= TimeSpan.Zero || timeout > LongestTimeout))
            throw new MachineException($"a time-out of {timeout.TotalSeconds:0.###} s is not possible; give more than 0 and at most {LongestTimeout.TotalDays:0} days");
        if (spec.GdbPort is < 0 or > 65535) throw new MachineException($"{spec.GdbPort} is no TCP port; use 1 to 65535, or 0 for a free one");
        if (spec.DebugExitPort > 0x1_0000 - DebugExitSpec.Length) throw new MachineException($"the debug exit port 0x{spec.DebugExitPort:x} is too high; the port takes {DebugExitSpec.Length} addresses, choose 0x{DebugExitSpec.DefaultPort:x}");
        foreach (var share in spec.Shares) share.Check();
        spec.Vsock?.Check();
        if (spec.Shares.DistinctBy(share => share.Tag).Count() != spec.Shares.Count) throw new MachineException("two shared folders have the same tag; give each its own");
        if (MicroMachine.CountVirtioDevices(spec) > MicroLayout.VirtioSlots)
            throw new MachineException($"a micro machine has room for {MicroLayout.VirtioSlots} virtio devices, two of which are always there; this one would have {MicroMachine.CountVirtioDevices(spec)}");
        if (spec.Serial is SerialTarget.Stdio && spec.Console is SerialTarget.Stdio)
            throw new MachineException("the serial port and the virtio console cannot both use the standard input and output; send one of them elsewhere");
    }
}
