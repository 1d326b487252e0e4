// What the process of a machine does: takes the machine's folder, builds the machine, gives up the system calls that it does not need,
// says to whoever started it that it runs or why it cannot, serves its control socket, runs the machine to its end and writes down how it ended. It belongs to no terminal and to no
// other process; SIGTERM asks the guest to power off, as a host does that shuts down.
using System.Globalization;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Lamina.Control;
using Lamina.Host;
using Lamina.Host.Groups;
using Lamina.Host.Locks;
using Lamina.Host.Processes;
using Lamina.Hypervisor.Agent.Qemu;
using Lamina.Hypervisor.Consoles;
using Lamina.Hypervisor.Contract;
using Lamina.Hypervisor.Limiting;
using Lamina.Hypervisor.Locking;
using Lamina.Hypervisor.Serving;
using Lamina.Hypervisor.Stored;

namespace Lamina.Hypervisor.Running;

/// <summary>The inside of a machine's process.</summary>
public static class MachineProcess
{
    /// <summary>Runs a machine of a store in this process, detached from whoever started it.</summary>
    /// <param name="store">The store.</param>
    /// <param name="name">The machine.</param>
    /// <param name="lockedBy">What <see cref="MachineLauncher"/> locked this process by, in its word.</param>
    /// <param name="limitedBy">The control groups that it made for this process, in its word.</param>
    /// <param name="number">This process's number as its launcher knows it, in its word; it may see another one itself.</param>
    /// <param name="ready">Where it is said, in one line (<see cref="MachineLauncher"/> reads it), that the machine runs, or why it cannot; closed then.</param>
    /// <param name="cancellationToken">Pulls the plug.</param>
    /// <returns>The machine's end; null where it could not be started, and that was said.</returns>
    public static async Task<MachineResult?> RunAsync(MachineStore store, string name, string lockedBy, string limitedBy, string number, Stream ready, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(store);
        ArgumentNullException.ThrowIfNull(lockedBy);
        ArgumentNullException.ThrowIfNull(limitedBy);
        ArgumentNullException.ThrowIfNull(ready);
        HostProcess.Detach();
        if (!int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var process)) process = Environment.ProcessId;
        try
        {
            using var stored = store.OpenToRun(name);
            return await RunAsync(stored, LockReport.Parse(lockedBy), LimitGroups.Parse(limitedBy), process, ready, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is MachineException or IOException or UnauthorizedAccessException)
        {
            // What the host refuses of its own files is told by .NET without a word of what to do.
            var refusal = failure is MachineException or HostException ? failure : new MachineException(MachineError.Host, $"the machine {name} cannot be started: {failure.Message.TrimEnd('.')}; its folder must be writable and have space", failure);
            await SayAsync(ready, ControlLines.Refusal(null, refusal)).ConfigureAwait(false);
            return null;
        }
        finally
        {
            await ready.DisposeAsync().ConfigureAwait(false);
        }
    }

    private static async Task<MachineResult?> RunAsync(StoredMachine stored, LockReport locked, LimitGroups groups, int process, Stream ready, CancellationToken cancellationToken)
    {
        var started = DateTimeOffset.UtcNow;
        var home = stored.Home;
        MachineUser.TakeBack(home);
        // What a killed process left; its number may be another's by now.
        File.Delete(home.Run);
        using var log = new MachineLogFile(home.Log);
        groups = Enter(groups, log);
        var suspended = SuspendRecord.Read(home);
        if (suspended is null) SuspendRecord.Drop(home);
        // Of a snapshot that never came to be.
        foreach (var unfinished in (string[])[home.SnapshotState, home.SnapshotState + ".new"])
            if (Directory.Exists(unfinished)) Directory.Delete(unfinished, recursive: true);
        _ = HostFiles.TryUnlink(home.SnapshotDisk);
        if (suspended is not { IsFork: true }) SuspendRecord.DropForked(home);
        var definition = suspended is null ? stored.ToRun() : suspended.Moved(Machine.DefinitionOf(suspended.StateOf(home)), home);
        suspended?.CheckDisks(home, definition);
        MachineCheck.CheckShares(definition);
        if (groups.Memory is { } memory) memory.SetMemory(definition.MemoryLimit);
        else if (definition.MemoryLimit is not null) log.Write("the memory limit is not kept: there are no control groups for memory here that this user may use");
        definition = definition with { CodeArchive = definition.CodeArchive ?? home.Code };
        // The guest's agent is reached by it.
        if (!definition.DevicesOf<VsockDevice>().Any()) definition = definition.With(new VsockDevice { Path = home.Sockets });
        var sockets = definition.DevicesOf<VsockDevice>().Single().Path;
        var consoles = OpenConsoles(ref definition, home, log);
        var channels = consoles.ToDictionary(console => console.Device, console => (Core.Char.ICharBackend)console.Hub);
        using var qemu = OpenQemuAgent(definition, channels);
        var takenUp = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var hooks = new MachineHooks
        {
            Cpus = groups.Cpu is null ? null : groups,
            Log = Core.Logging.Log.To(line => log.Write(line.Message), Core.Logging.LogLevel.Warning),
            Channels = channels,
            AsksToPowerOff = cancellation => AgentRelay.TryPowerOffAsync(sockets, qemu, cancellation),
            TakenUp = () =>
            {
                SuspendRecord.Use(home);
                takenUp.SetResult();
            },
        };
        await using var machine = suspended is null ? Machine.Create(definition, hooks) : Machine.Restore(suspended.StateOf(home), hooks, _ => definition);
        log.Write($"process {process}: {machine.EngineDescription}");
        using var disks = new HeldDisks(definition);
        MachineResult result;
        using var served = new ServedMachine(home.Name, machine, consoles, stored.Definition, started) { Definition = definition, Locked = locked, Groups = groups, SuspendTo = home.Suspended, SnapshotTo = (home.SnapshotState, home.SnapshotDisk), Disks = disks, Qemu = qemu, ProcessId = process };
        await using (new ControlServer(home.Socket, served).ConfigureAwait(false))
        {
            served.Locked = Lock(suspended is null ? stored.Definition : definition, definition, locked, groups, home, log);
            using var terminated = PosixSignalRegistration.Create(PosixSignal.SIGTERM, signal =>
            {
                signal.Cancel = true;
                log.Write("SIGTERM: the guest is asked to power off");
                _ = machine.ShutDownAsync();
            });
            var run = machine.RunAsync(cancellationToken);
            if (suspended is not null)
            {
                // What cannot be taken up is still there, for another try or another program.
                if (await Task.WhenAny(run, takenUp.Task).ConfigureAwait(false) == run) throw new MachineException(MachineError.File, $"the machine {home.Name} cannot go on where it was suspended: {(await run.ConfigureAwait(false)).Message}; 'lamina start --cold {home.Name}' lets it begin anew");
                log.Write($"goes on where it was suspended at {suspended.Taken:u}");
                SuspendRecord.Drop(home);
                _ = AgentRelay.TrySetClockAsync(served);
                if (suspended.Snapshot is not null || suspended.IsFork) _ = AgentRelay.TryReseedAsync(served);
            }
            new RunRecord(process, started).Write(home.Run);
            await SayAsync(ready, ControlLines.Answer(null, null)).ConfigureAwait(false);
            await ready.DisposeAsync().ConfigureAwait(false);
            HostProcess.LeaveStandardStreams(home.Log);
            result = await run.ConfigureAwait(false);
            // All is given back and written down before the lock is, which is what those look at who wait for the end.
            await machine.DisposeAsync().ConfigureAwait(false);
            if (result.End == MachineEnd.Suspended) SuspendRecord.Write(home, disks);
            new EndRecord(started, DateTimeOffset.UtcNow, result).Write(home.End);
            File.Delete(home.Run);
            log.Write($"ended: {ControlNames.Of(result.End)}{(result.Message is { } message ? $", {message}" : "")}");
        }
        return result;
    }

    // Before there are threads that would have to follow.
    private static LimitGroups Enter(LimitGroups groups, MachineLogFile log)
    {
        try
        {
            groups.EnterProcess();
            return groups;
        }
        catch (HostException refused)
        {
            log.Write($"no control groups are used: {refused.Message}");
            return LimitGroups.None;
        }
    }

    // All is open that the machine needs; what it does from here on is within an empty root, as a user of its own, and by these calls.
    private static LockReport Lock(MachineDefinition kept, MachineDefinition definition, LockReport locked, LimitGroups groups, MachineHome home, MachineLogFile log)
    {
        if (definition.Lock == LockMode.Off) return locked;
        // The digest of a machine that is saved comes of a library, which could not be loaded any more.
        _ = SHA256.HashData(default(ReadOnlySpan<byte>));
        locked = MachineUser.Enter(locked, LockPlan.Of(home, kept, HostProcess.IsRoot), groups, home);
        try
        {
            CallFilter.Enter(MachineLock.Calls(definition), home.Blocked);
            locked = locked.With(LockReport.Calls);
        }
        catch (HostException refused)
        {
            locked = locked.Without(LockReport.Calls, refused.Message);
        }
        if (locked.Missing is not { } missing) return locked;
        if (definition.Lock == LockMode.Strict) throw new MachineException(MachineError.Host, $"this host cannot lock the machine's process wholly (without {missing}); let it run with less by \"lock\": \"on\" in {home.Definition}");
        log.Write($"not all of the lock is in force; without {missing}");
        return locked;
    }

    // Whoever started it may be gone, which is no matter of the machine's.
    private static async Task SayAsync(Stream ready, byte[] line)
    {
        try
        {
            await ready.WriteAsync(line).ConfigureAwait(false);
        }
        catch (IOException)
        {
        }
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
    private static List<(string Device, ConsoleHub Hub)> OpenConsoles(ref MachineDefinition definition, MachineHome home, MachineLogFile log)
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
            consoles.Add((serial.Name, new ConsoleHub(new ConsoleLog(home.ConsoleOutputOf(consoles.Count == 0 ? null : serial.Name), log.Write))));
        }
        definition = definition with { Devices = devices };
        return consoles;
    }
}
