// What the process of a machine does: takes the machine's folder, builds the machine, gives up the system calls that it does not need,
// says to whoever started it that it runs or why it cannot, serves its control socket, runs the machine to its end and writes down how it ended. It belongs to no terminal and to no
// other process; SIGTERM asks the guest to power off, as a host does that shuts down.
using System.Globalization;
using Lamina.Control;
using Lamina.Host;
using Lamina.Host.Processes;
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
        // A copy's cables are put in by whoever gives it an identity.
        var kept = stored.Definition;
        if (suspended is { IsFork: true }) (definition, kept) = (CopiedCards.Pulled(definition), CopiedCards.Pulled(kept));
        suspended?.CheckDisks(home, definition);
        // One that begins anew touches other memory first.
        if (suspended is null) _ = HostFiles.TryUnlink(home.WorkingSet);
        var known = suspended is null ? [] : WorkingSetFile.Read(home.WorkingSet);
        var place = new ProcessPlace(locked, groups, process) { Held = stored.Gate };
        await using var own = new ProcessMachine(home, definition, place, log, (whole, hooks) => suspended is null ? Machine.Create(whole, hooks) : Machine.Restore(suspended.StateOf(home), hooks with { WorkingSet = known, GoesOnAlone = suspended is { Snapshot: null, IsFork: false } }, _ => whole), suspended is null ? null : () => SuspendRecord.Use(home));
        var machine = own.Machine;
        log.Write($"process {process}: {machine.EngineDescription}");
        using var served = own.Serve(home.Name, kept, place, started);
        await using var server = new ControlServer(home.Socket, served).ConfigureAwait(false);
        served.Locked = own.Lock(suspended is null ? stored.Definition : own.Definition, place);
        using var terminated = own.ListenToSignals();
        var run = machine.RunAsync(cancellationToken);
        if (suspended is not null)
        {
            // What cannot be taken up is still there, for another try or another program.
            if (await Task.WhenAny(run, own.TakenUp).ConfigureAwait(false) == run) throw new MachineException(MachineError.File, $"the machine {home.Name} cannot go on where it was suspended: {(await run.ConfigureAwait(false)).Message}; 'lamina start --cold {home.Name}' lets it begin anew");
            log.Write($"goes on where it was suspended at {suspended.Taken:u}");
            SuspendRecord.Drop(home);
            // A copy is given an identity, and randomness with it, by whoever starts it.
            var fresh = suspended.Snapshot is not null ? AgentRelay.TryFreshenAsync(served) : AgentRelay.TrySetClockAsync(served);
            if (known.Length == 0) _ = RememberAsync(fresh, machine, home);
        }
        else _ = AgentRelay.TrySetFirstClockAsync(served);
        new RunRecord(process, started).Write(home.Run);
        await SayAsync(ready, ControlLines.Answer(null, null)).ConfigureAwait(false);
        await ready.DisposeAsync().ConfigureAwait(false);
        HostProcess.LeaveStandardStreams(home.Log);
        return await own.ConcludeAsync(run, started).ConfigureAwait(false);
    }

    // When the guest's agent has answered.
    private static async Task RememberAsync(Task answered, Machine machine, MachineHome home)
    {
        await answered.ConfigureAwait(false);
        WorkingSetFile.TryWrite(home.WorkingSet, (await machine.WorkingSetAsync().ConfigureAwait(false)).Span);
    }

    /// <summary>Enters the control groups, before there are threads that would have to follow.</summary>
    internal static LimitGroups Enter(LimitGroups groups, MachineLogFile log)
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

    /// <summary>Says something to whoever started this process. It may be gone, which is no matter of the machine's.</summary>
    internal static async Task SayAsync(Stream ready, byte[] line)
    {
        try
        {
            await ready.WriteAsync(line).ConfigureAwait(false);
        }
        catch (IOException)
        {
        }
    }
}
