// The way from a machine's process to its guest's agent, Lamina's or QEMU's: a client's connection that becomes one to the agent, bytes both ways, whose
// meaning is theirs; and the clock, which the process sets by itself when a guest goes on.
using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Security.Cryptography;
using Lamina.Control;
using Lamina.Host.Io;
using Lamina.Hypervisor.Agent;
using Lamina.Hypervisor.Agent.Qemu;
using Lamina.Hypervisor.Contract;

namespace Lamina.Hypervisor.Serving;

/// <summary>Leads clients to the agent.</summary>
internal static class AgentRelay
{
    private const int Piece = 64 * 1024;

    // A guest may be starting.
    private static readonly TimeSpan Usual = TimeSpan.FromSeconds(10);

    // Nobody waits, and a host may be busy.
    private static readonly TimeSpan Patient = TimeSpan.FromMinutes(2);

    private const int SeedBytes = 64;

    // One that is there answers at once, and a guest without one is not to be waited for.
    private static readonly TimeSpan Soon = TimeSpan.FromSeconds(1);

    // An agent that hears that its client has gone ends at once what it does for it.
    private static readonly TimeSpan LastWords = TimeSpan.FromSeconds(5);

    /// <summary>Finds the guest's agent: Lamina's, or QEMU's where the machine has a channel for that one.</summary>
    /// <param name="served">The machine.</param>
    /// <param name="timeout">How long the agent may take to be there; null: as long as is usual.</param>
    /// <param name="hasGone">Whether the client has gone meanwhile.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>A connection to Lamina's; null where QEMU's is there.</returns>
    /// <exception cref="MachineException">There is none.</exception>
    /// <exception cref="IOException">The client has gone.</exception>
    internal static Task<NetworkStream?> ConnectAsync(ServedMachine served, TimeSpan? timeout, Func<bool> hasGone, CancellationToken cancellationToken) => ConnectAsync(served, timeout, AgentSocket.Pace.Hurried, hasGone, cancellationToken);

    private static async Task<NetworkStream?> ConnectAsync(ServedMachine served, TimeSpan? timeout, AgentSocket.Pace pace, Func<bool> hasGone, CancellationToken cancellationToken)
    {
        if (served.Machine.State == MachineState.Paused) throw new MachineException(MachineError.State, $"the machine {served.Name} is paused, and its agent with it; let it go on with 'lamina resume {served.Name}'");
        var path = served.Definition.DevicesOf<VsockDevice>().Single().Path;
        var wait = timeout ?? Usual;
        bool HasEnded() => served.Machine.State == MachineState.Ended || hasGone();
        var (stream, isQemu) = await FindAsync(path, served.Qemu, wait, pace, HasEnded, cancellationToken).ConfigureAwait(false);
        if (stream is not null || isQemu) return stream;
        throw served.Machine.State == MachineState.Ended ? new MachineException(MachineError.State, "the machine has ended")
            : hasGone() ? new IOException("the client has gone")
            : new MachineException(MachineError.State, $"no agent has answered in the guest of {served.Name} for {Duration.Exact(wait)}: it is still starting (--wait gives it longer), or has none; "
                + (served.Qemu is null ? "the images tiny and debian have one, and docs/agent.md says how another guest gets it" : "install qemu-guest-agent in it by its own package manager ('lamina console' leads to it), or Lamina's as docs/agent.md says"));
    }

    // The first that is there. A guest may have both, and Lamina's can do more: it has the lead that it takes to connect.
    private static async Task<(NetworkStream? Stream, bool IsQemu)> FindAsync(string path, QemuAgent? qemu, TimeSpan wait, AgentSocket.Pace pace, Func<bool> hasEnded, CancellationToken cancellationToken)
    {
        if (qemu is null) return (await AgentSocket.TryConnectAsync(path, wait, pace, hasEnded, cancellationToken).ConfigureAwait(false), false);
        using var found = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var answers = qemu.AnswersAsync(wait, found.Token);
        var isQemu = false;
        var stream = await AgentSocket.TryConnectAsync(path, wait, pace, () => hasEnded() || (isQemu = answers.IsCompletedSuccessfully && answers.Result), cancellationToken).ConfigureAwait(false);
        await found.CancelAsync().ConfigureAwait(false);
        try
        {
            isQemu |= await answers.ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
        }
        return (stream, stream is null && isQemu);
    }

    /// <summary>A connection to Lamina's agent in the guest.</summary>
    /// <exception cref="MachineException">There is none.</exception>
    /// <exception cref="IOException">It does not answer.</exception>
    internal static async Task<AgentConnection> ReachAsync(ServedMachine served, CancellationToken cancellationToken)
    {
        var stream = await ConnectAsync(served, GuestIdentity.Patience, static () => false, cancellationToken).ConfigureAwait(false) ?? throw new MachineException(MachineError.State, "the guest has another agent");
        return await AgentConnection.OpenAsync(stream, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Sets the guest's clock to the host's, where there is an agent. Nobody needs to wait for it.</summary>
    internal static Task TrySetClockAsync(ServedMachine served) => TrySetClockAsync(served, AgentSocket.Pace.Hurried);

    /// <summary>The same for a guest that begins: of the clock chip Linux takes the second, and which part of it is over it does not know.</summary>
    internal static Task TrySetFirstClockAsync(ServedMachine served) => TrySetClockAsync(served, AgentSocket.Pace.Unhurried);

    private static async Task TrySetClockAsync(ServedMachine served, AgentSocket.Pace pace)
    {
        using var patience = new CancellationTokenSource(Patient);
        try
        {
            if (await ConnectAsync(served, Patient, pace, static () => false, patience.Token).ConfigureAwait(false) is not { } stream)
            {
                var since = (DateTimeOffset.UtcNow - DateTimeOffset.UnixEpoch).Ticks * 100;
                _ = await served.Qemu!.AskAsync("guest-set-time", arguments => arguments.WriteNumber("time", since), Patient, patience.Token).ConfigureAwait(false);
                return;
            }
            var agent = await AgentConnection.OpenAsync(stream, patience.Token).ConfigureAwait(false);
            await using var owned = agent.ConfigureAwait(false);
            await agent.SetClockAsync(DateTimeOffset.UtcNow, patience.Token).ConfigureAwait(false);
        }
        catch (Exception none) when (none is MachineException or IOException or OperationCanceledException)
        {
            // A guest without an agent keeps its clock by its own means.
        }
    }

    /// <summary>The clock, and randomness of its own for the kernel of a guest that goes on where it has been before, where there is Lamina's agent: what it draws is not what it drew then.</summary>
    internal static Task TryFreshenAsync(ServedMachine served) => Task.WhenAll(TrySetClockAsync(served), TryReseedAsync(served));

    private static async Task TryReseedAsync(ServedMachine served)
    {
        using var patience = new CancellationTokenSource(Patient);
        try
        {
            if (await ConnectAsync(served, Patient, static () => false, patience.Token).ConfigureAwait(false) is not { } stream) return;
            var agent = await AgentConnection.OpenAsync(stream, patience.Token).ConfigureAwait(false);
            await using var owned = agent.ConfigureAwait(false);
            await agent.ReseedAsync(RandomNumberGenerator.GetBytes(SeedBytes), patience.Token).ConfigureAwait(false);
        }
        catch (Exception none) when (none is MachineException or IOException or OperationCanceledException)
        {
            // A guest without an agent has what the entropy device gives it.
        }
    }

    /// <summary>Asks the agent for the guest's addresses. One that is there takes connections at once, and none is waited for that is not.</summary>
    /// <param name="served">The machine.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The addresses; null where there is no agent.</returns>
    /// <exception cref="IOException">It does not answer, or refuses.</exception>
    internal static async Task<IReadOnlyList<GuestInterface>?> AddressesAsync(ServedMachine served, CancellationToken cancellationToken)
    {
        if (await AgentSocket.TryOnceAsync(served.Definition.DevicesOf<VsockDevice>().Single().Path, cancellationToken).ConfigureAwait(false) is { } stream)
        {
            var agent = await AgentConnection.OpenAsync(stream, cancellationToken).ConfigureAwait(false);
            await using var owned = agent.ConfigureAwait(false);
            return GuestInterface.Read(await agent.AddressesAsync(cancellationToken).ConfigureAwait(false));
        }
        return served.Qemu is { } qemu ? GuestInterface.Read(await QemuSession.AddressesAsync(qemu, cancellationToken).ConfigureAwait(false)) : null;
    }

    /// <summary>Has the agent power the guest off, where there is one that answers soon.</summary>
    /// <param name="path">The Unix socket of the machine's socket device.</param>
    /// <param name="qemu">QEMU's agent; null where the machine has no channel for it.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>Whether it does.</returns>
    internal static async Task<bool> TryPowerOffAsync(string path, QemuAgent? qemu, CancellationToken cancellationToken)
    {
        try
        {
            var (stream, isQemu) = await FindAsync(path, qemu, Soon, AgentSocket.Pace.Hurried, static () => false, cancellationToken).ConfigureAwait(false);
            if (isQemu) await qemu!.TellAsync("guest-shutdown", null, cancellationToken).ConfigureAwait(false);
            if (stream is null) return isQemu;
            var agent = await AgentConnection.OpenAsync(stream, Soon, cancellationToken).ConfigureAwait(false);
            await using var owned = agent.ConfigureAwait(false);
            await agent.PowerAsync(reboots: false, cancellationToken).ConfigureAwait(false);
            return true;
        }
        catch (Exception none) when (none is IOException or OperationCanceledException)
        {
            return false;
        }
    }

    /// <summary>Answers a client in the place of Lamina's agent, by QEMU's.</summary>
    internal static async Task ServeAsync(QemuAgent agent, Stream client, PipeReader reader, ReadOnlySequence<byte> early, CancellationToken cancellationToken)
    {
        reader.AdvanceTo(early.Start);
        var connection = AgentConnection.Serve(new DuplexStream(reader.AsStream(leaveOpen: true), client));
        await using var owned = connection.ConfigureAwait(false);
        await QemuSession.RunAsync(connection, agent, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Carries bytes until the agent ends. One whose client has gone, or will say no more, is told, and has a while for what it still says.</summary>
    internal static async Task CarryAsync(NetworkStream agent, Stream client, PipeReader reader, ReadOnlySequence<byte> early, CancellationToken cancellationToken)
    {
        await using var owned = agent.ConfigureAwait(false);
        using var gone = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var asks = AskAsync(agent, reader, early, gone.Token);
        var answers = AnswerAsync(agent, client, gone.Token);
        if (await Task.WhenAny(asks, answers).ConfigureAwait(false) == asks) gone.CancelAfter(LastWords);
        else await gone.CancelAsync().ConfigureAwait(false);
        await Task.WhenAll(asks, answers).ConfigureAwait(false);
    }

    private static async Task AskAsync(NetworkStream agent, PipeReader reader, ReadOnlySequence<byte> early, CancellationToken cancellationToken)
    {
        try
        {
            var data = early;
            while (true)
            {
                foreach (var piece in data) await agent.WriteAsync(piece, cancellationToken).ConfigureAwait(false);
                reader.AdvanceTo(data.End);
                var read = await reader.ReadAsync(cancellationToken).ConfigureAwait(false);
                data = read.Buffer;
                if (!data.IsEmpty || !read.IsCompleted) continue;
                agent.Socket.Shutdown(SocketShutdown.Send);
                return;
            }
        }
        catch (Exception over) when (over is IOException or SocketException or OperationCanceledException or ObjectDisposedException)
        {
        }
    }

    private static async Task AnswerAsync(Stream agent, Stream client, CancellationToken cancellationToken)
    {
        try
        {
            var buffer = new byte[Piece];
            while (await agent.ReadAsync(buffer, cancellationToken).ConfigureAwait(false) is var count and > 0)
                await client.WriteAsync(buffer.AsMemory(0, count), cancellationToken).ConfigureAwait(false);
        }
        catch (Exception over) when (over is IOException or OperationCanceledException or ObjectDisposedException)
        {
        }
    }
}
