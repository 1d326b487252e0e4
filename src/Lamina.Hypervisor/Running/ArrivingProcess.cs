// What a process does that a machine is to come to from another place: builds a machine as that one is, in a folder of its own, locks itself, and takes in what
// comes over the stream that it has as its standard input. When it is given the machine it is a machine's process like any other.
using System.Globalization;
using System.Net.Sockets;
using Lamina.Control;
using Lamina.Host;
using Lamina.Host.Io;
using Lamina.Host.Processes;
using Lamina.Hypervisor.Carrying;
using Lamina.Hypervisor.Contract;
using Lamina.Hypervisor.Limiting;
using Lamina.Hypervisor.Locking;
using Lamina.Hypervisor.Serving;
using Lamina.Hypervisor.Stored;
using Lamina.Migration;

namespace Lamina.Hypervisor.Running;

/// <summary>The inside of a process that a machine comes to.</summary>
public static class ArrivingProcess
{
    /// <summary>Takes the machine in, and is its process.</summary>
    /// <param name="store">The store.</param>
    /// <param name="name">The machine's name in it.</param>
    /// <param name="lockedBy">As for <see cref="MachineProcess"/>.</param>
    /// <param name="limitedBy">Likewise.</param>
    /// <param name="number">Likewise.</param>
    /// <param name="ready">Where it is said that it is built, or why it cannot be; closed then.</param>
    /// <param name="cancellationToken">Pulls the plug.</param>
    /// <returns>The machine's end; null where it never came to run.</returns>
    public static async Task<MachineResult?> RunAsync(MachineStore store, string name, string lockedBy, string limitedBy, string number, Stream ready, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(store);
        ArgumentNullException.ThrowIfNull(ready);
        HostProcess.Detach();
        if (!int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var process)) process = Environment.ProcessId;
        var link = SocketPair.Open(HostProcess.TakeStandardInput());
        var home = store.HomeOf(name);
        try
        {
            using var held = HostLock.TryTake(home.Lock) ?? throw new MachineException(MachineError.Busy, $"{home.Folder} is in use by another process");
            return await RunAsync(home, link, new ProcessPlace(LockReport.Parse(lockedBy), LimitGroups.Parse(limitedBy), process) { Held = held }, ready, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is MachineException or IOException or UnauthorizedAccessException)
        {
            var refusal = failure is MachineException or HostException ? failure : new MachineException(MachineError.Host, $"the machine {name} cannot come here: {failure.Message.TrimEnd('.')}", failure);
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
        var started = DateTimeOffset.UtcNow;
        using var log = new MachineLogFile(home.Log);
        place = place with { Groups = MachineProcess.Enter(place.Groups, log) };
        var welcome = await MigrationLines.ReadLineAsync(link, cancellationToken).ConfigureAwait(false);
        var (from, kept) = (ForkLines.FolderIn(welcome), ForkLines.KeptIn(welcome));
        var arrival = await MachineArrival.BeginAsync(link, cancellationToken).ConfigureAwait(false);
        await using var owned = arrival.ConfigureAwait(false);
        arrival.Advice = $"'lamina start --cold {home.Name}' begins anew with its disk, on which nothing is lost that was written";
        try
        {
            await using var own = new ProcessMachine(home, Here(home, kept, arrival.Definition, from), place, log, (whole, hooks) => arrival.Build(hooks, _ => whole), takenUp: null);
            log.Write($"process {place.Number}: {own.Machine.EngineDescription}");
            using var served = own.Serve(home.Name, kept with { Name = home.Name }, place, started);
            await using var server = new ControlServer(home.Socket, served).ConfigureAwait(false);
            served.Locked = own.Lock(own.Definition, place);
            using var terminated = own.ListenToSignals();
            await MachineProcess.SayAsync(ready, ControlLines.Answer(null, null)).ConfigureAwait(false);
            await ready.DisposeAsync().ConfigureAwait(false);
            HostProcess.LeaveStandardStreams(home.Log);
            var run = await arrival.TakeAsync(given: () =>
            {
                new RunRecord(place.Number, started).Write(home.Run);
                MigrationRecord.Drop(home);
            }, cancellationToken: cancellationToken).ConfigureAwait(false);
            log.Write($"came from {from} on another host, or of another user");
            _ = AgentRelay.TrySetClockAsync(served);
            // Until all of it is here the link is the machine's.
            var rest = FollowAsync(arrival, link, log);
            var result = await own.ConcludeAsync(run, started).ConfigureAwait(false);
            await rest.ConfigureAwait(false);
            return result;
        }
        catch (Exception failure) when (failure is MachineException or IOException)
        {
            await arrival.RefuseAsync(failure.Message).ConfigureAwait(false);
            log.Write($"did not come: {failure.Message}");
            throw;
        }
    }

    private static async Task FollowAsync(MachineArrival arrival, NetworkStream link, MachineLogFile log)
    {
        try
        {
            if (await arrival.MemoryAsync().ConfigureAwait(false) is { } followed)
                log.Write(string.Create(CultureInfo.InvariantCulture, $"all of its memory is here: {followed.Pages} pages followed in {followed.Took.TotalMilliseconds:0} ms, of which {followed.Asked} were asked for"));
        }
        catch (MachineException)
        {
            // Its end says so.
        }
        finally
        {
            await link.DisposeAsync().ConfigureAwait(false);
        }
    }

    // As it was where it comes from, but for what is of that host; and it may have no more of this one than its definition says.
    private static MachineDefinition Here(MachineHome home, MachineDefinition kept, MachineDefinition there, string from)
    {
        var known = kept.Complete().Devices.ToDictionary(device => device.Name);
        var moved = new SuspendRecord(DateTimeOffset.UtcNow, from, new Dictionary<string, DiskStamp>()).Moved(there, home);
        moved = moved with
        {
            Devices = [.. moved.Devices.Select(device => known.GetValueOrDefault(device.Name) is { } here ? PlacedDevice.Here(device, here) : device)],
            Name = home.Name,
            Boot = MachineDisks.Whole(home, kept).Boot,
            Pool = kept.Pool,
            Lock = kept.Lock,
            Display = kept.Display,
            GdbPort = null,
            CodeArchive = null,
        };
        HostClaim.Check(home, kept, moved);
        return moved;
    }
}
