// What is done to machines of a store from outside of their processes: by the command line and by programs. Each of these finds out by
// itself whether the machine runs, and says so in a sentence where that is in the way.
using System.Diagnostics;
using System.Globalization;
using Lamina.Host.Io;
using Lamina.Host.Locks;
using Lamina.Host.Processes;
using Lamina.Hypervisor.Agent;
using Lamina.Hypervisor.Limiting;
using Lamina.Hypervisor.Stored;

namespace Lamina.Hypervisor.Asking;

/// <summary>Asks machines' processes for things.</summary>
public static class MachineControl
{
    // A process that has the machine's lock listens at its socket soon.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10), LookAgain = TimeSpan.FromMilliseconds(5);

    /// <summary>Connects to a machine's process.</summary>
    /// <exception cref="MachineException">The machine does not run, or its process does not answer.</exception>
    public static async Task<MachineClient> ConnectAsync(MachineHome home, CancellationToken cancellationToken = default) =>
        await TryConnectAsync(home, cancellationToken).ConfigureAwait(false)
        ?? throw new MachineException(MachineError.State, $"the machine {home.Name} is not running; start it with 'lamina start {home.Name}'");

    /// <summary>Connects to a machine's process; null where the machine does not run.</summary>
    /// <exception cref="MachineException">Its process does not answer.</exception>
    public static async Task<MachineClient?> TryConnectAsync(MachineHome home, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(home);
        var begin = Stopwatch.GetTimestamp();
        while (true)
        {
            if (await MachineClient.TryConnectAsync(home.Socket, cancellationToken).ConfigureAwait(false) is { } client) return client;
            if (!MachineStore.IsHeld(home)) return null;
            if (Stopwatch.GetElapsedTime(begin) > Patience) throw new MachineException(MachineError.Busy, $"the process of the machine {home.Name} does not answer at {home.Socket}; 'lamina kill {home.Name}' ends it");
            await Task.Delay(LookAgain, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Connects to the agent in a machine's guest.</summary>
    /// <param name="home">The machine.</param>
    /// <param name="wait">How long a guest that is starting may take; null: as long as is usual.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="MachineException">The machine does not run, or has no agent.</exception>
    /// <exception cref="AgentException">The agent does not greet, or is of another version.</exception>
    public static async Task<AgentConnection> ReachAgentAsync(MachineHome home, TimeSpan? wait = null, CancellationToken cancellationToken = default)
    {
        var client = await ConnectAsync(home, cancellationToken).ConfigureAwait(false);
        try
        {
            return await client.ReachAgentAsync(wait, cancellationToken).ConfigureAwait(false);
        }
        catch
        {
            await client.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Asks the guest to power off, and pulls the plug where it does not listen or takes too long. Done when the process is gone.</summary>
    /// <param name="home">The machine.</param>
    /// <param name="timeout">How long the guest may take; null: as its definition says.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>What is known of it then.</returns>
    /// <exception cref="MachineException">It does not run.</exception>
    public static async Task<MachineListing> StopAsync(MachineHome home, TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        await AskForEndAsync(home, "shut-down", request =>
        {
            if (timeout == TimeSpan.Zero) request.WriteString("timeout", "0");
            else if (timeout is { } time) request.WriteString("timeout", Duration.Exact(time));
        }, cancellationToken).ConfigureAwait(false);
        return await WaitAsync(home, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Writes a machine down and ends it; it goes on there at its next start. Done when the process is gone.</summary>
    /// <exception cref="MachineException">It does not run, or cannot be written down; then it goes on.</exception>
    public static async Task SuspendAsync(MachineHome home, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(home);
        var client = await ConnectAsync(home, cancellationToken).ConfigureAwait(false);
        await using (client.ConfigureAwait(false)) _ = await client.AskAsync("suspend", null, cancellationToken).ConfigureAwait(false);
        var ended = await WaitAsync(home, cancellationToken).ConfigureAwait(false);
        if (ended.Suspended is null) throw new MachineException(MachineError.Host, $"the machine {home.Name} ended, and its state could not be kept; {home.Log} says why");
    }

    /// <summary>Pulls the plug; where the machine's process does not do it in time, ends the process.</summary>
    /// <exception cref="MachineException">It does not run.</exception>
    public static async Task KillAsync(MachineHome home, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(home);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(Patience);
        try
        {
            await AskForEndAsync(home, "stop", null, patience.Token).ConfigureAwait(false);
            _ = await WaitAsync(home, patience.Token).ConfigureAwait(false);
        }
        catch (Exception silent) when (silent is OperationCanceledException or MachineException { Error: MachineError.Busy } && !cancellationToken.IsCancellationRequested)
        {
            // Its own word for which process it is, it may have had its reasons for.
            if (HostLock.Holders(home.Lock) is not { Count: > 0 } holders) throw new MachineException(MachineError.Busy, $"the process of the machine {home.Name} does not answer, and no process of this user's has its lock, {home.Lock}", silent);
            foreach (var process in holders) HostProcess.Kill(process);
            _ = await WaitAsync(home, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Waits until a machine has ended and its process is gone. One that does not run has.</summary>
    /// <returns>What is known of it then.</returns>
    public static async Task<MachineListing> WaitAsync(MachineHome home, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(home);
        while (MachineStore.IsHeld(home))
        {
            if (await MachineClient.TryConnectAsync(home.Socket, cancellationToken).ConfigureAwait(false) is { } client)
            {
                await using (client.ConfigureAwait(false)) await FollowAsync(client, cancellationToken).ConfigureAwait(false);
            }
            await Task.Delay(LookAgain, cancellationToken).ConfigureAwait(false);
        }
        return MachineStore.Look(home);
    }

    private static async Task FollowAsync(MachineClient client, CancellationToken cancellationToken)
    {
        try
        {
            await foreach (var told in client.WatchAsync(cancellationToken).ConfigureAwait(false)) _ = told;
        }
        catch (MachineException ended) when (ended.Error == MachineError.State)
        {
            // It ended before it could be watched.
        }
    }

    // A machine that ends in this very moment does what was wanted.
    private static async Task AskForEndAsync(MachineHome home, string verb, Action<System.Text.Json.Utf8JsonWriter>? write, CancellationToken cancellationToken)
    {
        var client = await ConnectAsync(home, cancellationToken).ConfigureAwait(false);
        await using (client.ConfigureAwait(false))
        {
            try
            {
                _ = await client.AskAsync(verb, write, cancellationToken).ConfigureAwait(false);
            }
            catch (MachineException ended) when (ended.Error == MachineError.State)
            {
            }
        }
    }

    /// <summary>What a machine that does not run any more ended with, as a sentence.</summary>
    public static string Describe(MachineListing machine)
    {
        ArgumentNullException.ThrowIfNull(machine);
        if (machine.WasKilled)
        {
            var process = $"its process ({machine.Run!.ProcessId.ToString(CultureInfo.InvariantCulture)})";
            if (CallFilter.ReadReport(machine.Home.Blocked) is { } call) return $"{process} was ended by its lock: it made the system call {call}";
            return PoolLimits.WasEndedForMemory(machine) ? $"{process} was ended by the host's kernel: the machine, or a pool that it is in, had reached its memory limit" : $"{process} was killed";
        }
        if (machine.LastEnd is not { } last) return "it has not run yet";
        return last.Result.Message ?? last.Result.End switch
        {
            Control.MachineEnd.PoweredOff => "the guest powered off",
            Control.MachineEnd.Reset => "the guest asked for a reset",
            Control.MachineEnd.GuestPanic => "the guest's kernel panicked",
            Control.MachineEnd.TripleFault => "the guest's CPU triple-faulted",
            Control.MachineEnd.TimedOut => "its time was over",
            Control.MachineEnd.Stopped => "the plug was pulled",
            Control.MachineEnd.Suspended => machine.Suspended is { } kept ? $"it was suspended at {kept.Taken.ToLocalTime():yyyy-MM-dd HH:mm:ss} and goes on from there" : "it was suspended, and what was kept of it is gone",
            Control.MachineEnd.Migrated => MigrationRecord.Read(machine.Home) is { Place: { } place } ? $"it went to {place}" : "it went to another place",
            Control.MachineEnd.DebugExit => "the guest ended it by the port of its definition",
            _ => "it failed",
        };
    }
}
