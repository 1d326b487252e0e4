// A machine as its process has it: built of its definition with what its folder gives it, locked, run and written down at its end. Which machine,
// and where it begins, is the affair of whoever makes one (MachineProcess, WaitingProcess).
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Lamina.Control;
using Lamina.Host;
using Lamina.Host.Groups;
using Lamina.Host.Io;
using Lamina.Host.Locks;
using Lamina.Host.Processes;
using Lamina.Hypervisor.Agent.Qemu;
using Lamina.Hypervisor.Consoles;
using Lamina.Hypervisor.Limiting;
using Lamina.Hypervisor.Locking;
using Lamina.Hypervisor.Serving;
using Lamina.Hypervisor.Stored;

namespace Lamina.Hypervisor.Running;

/// <summary>What a process is told of itself by whoever starts it.</summary>
/// <param name="Locked">What it is locked by.</param>
/// <param name="Groups">Its control groups.</param>
/// <param name="Number">Its number, as others know it.</param>
internal sealed record ProcessPlace(LockReport Locked, LimitGroups Groups, int Number)
{
    /// <summary>The lock of the machine's folder.</summary>
    internal required HostLock? Held { get; init; }

    /// <summary>Whether it takes the place of another process that is yet there: what that one's consoles printed goes on, and the memory's limit waits for <see cref="ProcessMachine.LimitMemory"/>.</summary>
    internal bool Follows { get; init; }
}

/// <summary>The machine of this process.</summary>
internal sealed class ProcessMachine : IAsyncDisposable
{
    private readonly MachineHome _home;
    private readonly MachineLogFile _log;
    private readonly LimitGroups _groups;
    private readonly QemuAgent? _qemu;
    private readonly List<(string Device, ConsoleHub Hub)> _consoles;
    private volatile bool _isHandedOver;
    private readonly TaskCompletionSource _takenUp = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Builds it.</summary>
    /// <param name="home">Its folder.</param>
    /// <param name="definition">What it is.</param>
    /// <param name="place">Where it runs.</param>
    /// <param name="log">Gets what its user should know.</param>
    /// <param name="make">Makes the machine of the whole definition.</param>
    /// <param name="takenUp">Called when one that goes on has its state; or null.</param>
    /// <exception cref="MachineException">Something is not as it must be.</exception>
    internal ProcessMachine(MachineHome home, MachineDefinition definition, ProcessPlace place, MachineLogFile log, Func<MachineDefinition, MachineHooks, Machine> make, Action? takenUp)
    {
        var (groups, follows) = (place.Groups, place.Follows);
        (_home, _log, _groups) = (home, log, groups);
        MachineCheck.CheckShares(definition);
        if (groups.Memory is { } memory)
        {
            if (!follows) memory.SetMemory(definition.MemoryLimit);
        }
        else if (definition.MemoryLimit is not null) log.Write("the memory limit is not kept: there are no control groups for memory here that this user may use");
        definition = definition with { CodeArchive = definition.CodeArchive ?? home.Code };
        // The guest's agent is reached by it.
        if (!definition.DevicesOf<VsockDevice>().Any()) definition = definition.With(new VsockDevice { Path = home.Sockets });
        var sockets = definition.DevicesOf<VsockDevice>().Single().Path;
        _consoles = OpenConsoles(ref definition, home, log, follows);
        var channels = _consoles.ToDictionary(console => console.Device, console => (Core.Char.ICharBackend)console.Hub);
        _qemu = OpenQemuAgent(definition, channels);
        Definition = definition;
        try
        {
            Machine = make(definition, new MachineHooks
            {
                Cpus = groups.Cpu is null ? null : groups,
                Log = Core.Logging.Log.To(line => log.Write(line.Message), Core.Logging.LogLevel.Warning),
                Channels = channels,
                FirmwareVariables = home.Variables,
                AsksToPowerOff = cancellation => AgentRelay.TryPowerOffAsync(sockets, _qemu, cancellation),
                TakenUp = () =>
                {
                    takenUp?.Invoke();
                    _takenUp.SetResult();
                },
            });
            Disks = new HeldDisks(definition);
        }
        catch
        {
            _qemu?.Dispose();
            throw;
        }
    }

    /// <summary>All that it is.</summary>
    internal MachineDefinition Definition { get; }

    /// <summary>It.</summary>
    internal Machine Machine { get; }

    /// <summary>The disks that it writes.</summary>
    internal HeldDisks Disks { get; }

    /// <summary>Done when a machine that goes on has its state; the guest runs from then on.</summary>
    internal Task TakenUp => _takenUp.Task;

    /// <summary>It, for those who ask it for things.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="kept">The definition that it was started by.</param>
    /// <param name="place">Where it runs.</param>
    /// <param name="started">When its process began.</param>
    internal ServedMachine Serve(string name, MachineDefinition kept, ProcessPlace place, DateTimeOffset started) => new(name, Machine, _consoles, kept, started)
    {
        Definition = Definition,
        Locked = place.Locked,
        Groups = place.Groups,
        SuspendTo = _home.Suspended,
        SnapshotTo = (_home.SnapshotState, _home.SnapshotDisk),
        Disks = Disks,
        Qemu = _qemu,
        ProcessId = place.Number,
        Folder = _home.Folder,
        Held = place.Held,
        HandedOver = () => _isHandedOver = true,
    };

    /// <summary>Puts the limit of the memory in force that waited.</summary>
    internal void LimitMemory()
    {
        try
        {
            _groups.Memory?.SetMemory(Definition.MemoryLimit);
        }
        catch (HostException refused)
        {
            _log.Write($"the memory limit is not kept: {refused.Message}");
        }
    }

    /// <summary>Whether what the guest prints goes nowhere.</summary>
    internal bool IsMuted
    {
        set
        {
            foreach (var (_, hub) in _consoles) hub.IsMuted = value;
        }
    }

    /// <summary>Has SIGTERM ask the guest to power off, until it is disposed of.</summary>
    internal IDisposable ListenToSignals() => PosixSignalRegistration.Create(PosixSignal.SIGTERM, signal =>
    {
        signal.Cancel = true;
        _log.Write("SIGTERM: the guest is asked to power off");
        _ = Machine.ShutDownAsync();
    });

    /// <summary>Locks the process: all is open that the machine needs; what it does from here on is within an empty root, as a user of its own, and by its system calls.</summary>
    /// <param name="kept">What decides about its user.</param>
    /// <param name="place">Where it runs.</param>
    /// <exception cref="MachineException">The host refuses a part, and the machine is to have it all.</exception>
    internal LockReport Lock(MachineDefinition kept, ProcessPlace place)
    {
        var locked = place.Locked;
        if (Definition.Lock == LockMode.Off) return locked;
        // The digest of a machine that is saved comes of a library, which could not be loaded any more.
        _ = SHA256.HashData(default(ReadOnlySpan<byte>));
        locked = MachineUser.Enter(locked, LockPlan.Of(_home, kept, HostProcess.IsRoot), place.Groups, _home);
        try
        {
            CallFilter.Enter(MachineLock.Calls(Definition), _home.Blocked);
            locked = locked.With(LockReport.Calls);
        }
        catch (HostException refused)
        {
            locked = locked.Without(LockReport.Calls, refused.Message);
        }
        if (locked.Missing is not { } missing) return locked;
        if (Definition.Lock == LockMode.Strict) throw new MachineException(MachineError.Host, $"this host cannot lock the machine's process wholly (without {missing}); let it run with less by \"lock\": \"on\" in {_home.Definition}");
        _log.Write($"not all of the lock is in force; without {missing}");
        return locked;
    }

    /// <summary>Waits for its end, and writes down how it was.</summary>
    internal async Task<MachineResult> ConcludeAsync(Task<MachineResult> run, DateTimeOffset started)
    {
        var result = await run.ConfigureAwait(false);
        // All is given back and written down before the lock is, which is what those look at who wait for the end.
        await Machine.DisposeAsync().ConfigureAwait(false);
        if (_isHandedOver)
        {
            // All that is said of it in its folder is the other process's by now.
            _log.Write("another process goes on with the machine");
            return result;
        }
        if (result.End == MachineEnd.Suspended) SuspendRecord.Write(_home, Disks);
        new EndRecord(started, DateTimeOffset.UtcNow, result).Write(_home.End);
        File.Delete(_home.Run);
        _log.Write($"ended: {Contract.ControlNames.Of(result.End)}{(result.Message is { } message ? $", {message}" : "")}");
        return result;
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        Disks.Dispose();
        await Machine.DisposeAsync().ConfigureAwait(false);
        _qemu?.Dispose();
    }

    // The channel by which QEMU's agent is reached leads to this process, unless its definition leads it elsewhere.
    private static QemuAgent? OpenQemuAgent(MachineDefinition definition, Dictionary<string, Core.Char.ICharBackend> channels)
    {
        if (definition.DevicesOf<ChannelDevice>().FirstOrDefault(channel => channel is { Port: ChannelDevice.QemuAgent, Path: "" }) is not { } device) return null;
        var hub = new ConsoleHub(null);
        channels.Add(device.Name, hub);
        return new QemuAgent(hub);
    }

    // What would lead to this process's terminal can be looked at by the control socket.
    private static List<(string Device, ConsoleHub Hub)> OpenConsoles(ref MachineDefinition definition, MachineHome home, MachineLogFile log, bool follows)
    {
        if (!definition.DevicesOf<SerialDevice>().Any()) definition = definition.With(new SerialDevice { To = new ConsoleTarget.Stdio() });
        definition = definition.Complete();
        var consoles = new List<(string, ConsoleHub)>();
        var devices = definition.Devices.ToList();
        for (var i = 0; i < devices.Count; i++)
        {
            // Of a machine that was suspended they are this process's already.
            if (devices[i] is not SerialDevice { To: ConsoleTarget.Stdio or ConsoleTarget.Own } serial) continue;
            devices[i] = serial with { To = new ConsoleTarget.Own() };
            var path = home.ConsoleOutputOf(consoles.Count == 0 ? null : serial.Name);
            consoles.Add((serial.Name, new ConsoleHub(new ConsoleLog(path, log.Write), before: follows ? ConsoleLog.Latest(path, ConsoleHub.Capacity) : null)));
        }
        definition = definition with { Devices = devices };
        return consoles;
    }
}
