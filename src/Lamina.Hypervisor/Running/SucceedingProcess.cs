// What a process does that takes the place of a machine's process, as one of another version: takes in what comes over the stream that it has as its standard input,
// and when that other process has closed all that the machine has open, and given the lock of its folder, opens it, locks itself and goes on with the machine. What
// comes is not trusted: the machine may have of the host what it was started with.
using System.Globalization;
using System.Net.Sockets;
using Lamina.Backends.Disk;
using Lamina.Control;
using Lamina.Host;
using Lamina.Host.Io;
using Lamina.Host.Processes;
using Lamina.Hypervisor.Contract;
using Lamina.Hypervisor.Limiting;
using Lamina.Hypervisor.Locking;
using Lamina.Hypervisor.Serving;
using Lamina.Hypervisor.Stored;

namespace Lamina.Hypervisor.Running;

/// <summary>The inside of a process that takes another one's place.</summary>
public static class SucceedingProcess
{
    // From where the machine stands still there.
    private const int ClosedMilliseconds = 120_000;

    /// <summary>Takes the machine over, and is its process.</summary>
    /// <param name="store">The store.</param>
    /// <param name="name">The machine's name in it.</param>
    /// <param name="lockedBy">As for <see cref="MachineProcess"/>.</param>
    /// <param name="limitedBy">Likewise.</param>
    /// <param name="number">Likewise.</param>
    /// <param name="ready">Where it is said that the machine runs here, or why it cannot; closed then.</param>
    /// <param name="cancellationToken">Pulls the plug.</param>
    /// <returns>The machine's end; null where it never came to run here.</returns>
    public static async Task<MachineResult?> RunAsync(MachineStore store, string name, string lockedBy, string limitedBy, string number, Stream ready, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(store);
        ArgumentNullException.ThrowIfNull(ready);
        HostProcess.Detach();
        if (!int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var process)) process = Environment.ProcessId;
        var link = SocketPair.Open(HostProcess.TakeStandardInput());
        try
        {
            return await RunAsync(store.HomeOf(name), link, new ProcessPlace(LockReport.Parse(lockedBy), LimitGroups.Parse(limitedBy), process) { Held = null, Follows = true }, ready, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is MachineException or IOException or UnauthorizedAccessException)
        {
            var refusal = failure is MachineException or HostException ? failure : new MachineException(MachineError.Host, $"the new process of the machine {name} cannot go on with it: {failure.Message.TrimEnd('.')}", failure);
            if (ready.CanWrite) await MachineProcess.SayAsync(ready, ControlLines.Refusal(null, refusal)).ConfigureAwait(false);
            return null;
        }
        finally
        {
            await ready.DisposeAsync().ConfigureAwait(false);
            await link.DisposeAsync().ConfigureAwait(false);
        }
    }

    private static async Task<MachineResult?> RunAsync(MachineHome home, NetworkStream link, ProcessPlace place, Stream ready, CancellationToken cancellationToken)
    {
        using var log = new MachineLogFile(home.Log);
        place = place with { Groups = MachineProcess.Enter(place.Groups, log) };
        var welcome = await MigrationLines.ReadLineAsync(link, cancellationToken).ConfigureAwait(false);
        var kept = MachineFile.ReadStarted(home);
        // Its disk may have other layers than when it was started.
        var definition = new SuspendRecord(DateTimeOffset.UtcNow, home.Folder, new Dictionary<string, DiskStamp>()).Moved(ForkLines.KeptIn(welcome), home);
        HostClaim.Check(home, kept, definition);
        var arrival = await MachineArrival.BeginAsync(link, cancellationToken).ConfigureAwait(false);
        await using var owned = arrival.ConfigureAwait(false);
        try
        {
            Look(definition);
            await arrival.ReceiveAsync(cancellationToken).ConfigureAwait(false);
            var former = RunRecord.Read(home.Run);
            using var held = await Task.Run(() => TakeLock(home, link), cancellationToken).ConfigureAwait(false);
            return await GoOnAsync(home, arrival, (definition, kept with { Name = home.Name }), place with { Held = held }, (link, ready, log, former?.Started ?? DateTimeOffset.UtcNow), cancellationToken).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is MachineException or IOException or UnauthorizedAccessException)
        {
            await arrival.RefuseAsync(failure.Message, CancellationToken.None).ConfigureAwait(false);
            log.Write($"process {place.Number} did not go on with the machine: {failure.Message}");
            throw;
        }
    }

    private static async Task<MachineResult?> GoOnAsync(MachineHome home, MachineArrival arrival, (MachineDefinition Now, MachineDefinition Kept) definitions, ProcessPlace place, (NetworkStream Link, Stream Ready, MachineLogFile Log, DateTimeOffset Started) with, CancellationToken cancellationToken)
    {
        MachineUser.TakeCodeBack(home);
        await using var own = new ProcessMachine(home, definitions.Now, place, with.Log, (whole, hooks) => arrival.Build(hooks, _ => whole), takenUp: null);
        with.Log.Write($"process {place.Number}: {own.Machine.EngineDescription}");
        using var served = own.Serve(home.Name, definitions.Kept, place, with.Started);
        await using var server = new ControlServer(home.Socket, served).ConfigureAwait(false);
        served.Locked = own.Lock(own.Definition, place);
        using var terminated = own.ListenToSignals();
        var run = await arrival.GoOnAsync(given: () =>
        {
            place.Held!.Keep();
            new RunRecord(place.Number, with.Started).Write(home.Run);
        }, cancellationToken).ConfigureAwait(false);
        await MachineProcess.SayAsync(with.Ready, ControlLines.Answer(null, null)).ConfigureAwait(false);
        await with.Ready.DisposeAsync().ConfigureAwait(false);
        HostProcess.LeaveStandardStreams(home.Log);
        await with.Link.DisposeAsync().ConfigureAwait(false);
        own.LimitMemory();
        with.Log.Write("goes on where another process was");
        _ = AgentRelay.TrySetClockAsync(served);
        return await own.ConcludeAsync(run, with.Started).ConfigureAwait(false);
    }

    // What is missing is found while the machine runs yet.
    private static void Look(MachineDefinition definition)
    {
        foreach (var disk in definition.DevicesOf<DiskDevice>().Where(disk => !disk.IsRemote))
            foreach (var path in (IEnumerable<string>)[disk.Path, .. disk.Backing])
                _ = DiskTools.Inspect(path);
    }

    private static HostLock TakeLock(MachineHome home, NetworkStream link)
    {
        var message = DescriptorChannel.Receive(link.Socket.SafeHandle, ClosedMilliseconds);
        if (message is { Files: [var file] }) return HostLock.TakeOver(home.Lock, file);
        message?.Dispose();
        throw new MachineException(MachineError.Host, "the machine stays in the process that it has");
    }
}
