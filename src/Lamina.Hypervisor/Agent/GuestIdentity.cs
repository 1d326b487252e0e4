// Makes another machine of a guest that goes on where its first one does: randomness of its own, the host's time, a host name and a machine ID.
using System.Security.Cryptography;

namespace Lamina.Hypervisor.Agent;

/// <summary>Gives guests an identity.</summary>
internal static class GuestIdentity
{
    private const int SeedBytes = 64;

    // hostname(1), machine-id(5). Keys of an SSH server that runs are its own in memory; those on the disk are for its next start.
    private const string Script =
        """
        hostname "$1"
        [ ! -f /etc/hostname ] || echo "$1" >/etc/hostname
        [ ! -s /etc/machine-id ] || echo "$2" >/etc/machine-id
        if command -v ssh-keygen >/dev/null && ls /etc/ssh/ssh_host_*_key >/dev/null 2>&1; then rm -f /etc/ssh/ssh_host_*; ssh-keygen -A >/dev/null; fi
        """;

    // A host that many copies begin on at once is slow, and a copy that was not told is the first one once more.
    private static readonly TimeSpan Whole = TimeSpan.FromMinutes(2);

    /// <summary>How long a guest's agent may take to be there.</summary>
    internal static TimeSpan Patience { get; } = TimeSpan.FromSeconds(20);

    /// <summary>Has a guest's agent do it, where there is one.</summary>
    /// <param name="reach">Leads to the agent, once for each request.</param>
    /// <param name="name">The host name.</param>
    /// <param name="answered">Called when the agent has answered for the first time.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    internal static async Task TryGiveAsync(Func<CancellationToken, Task<AgentConnection>> reach, string name, Action? answered, CancellationToken cancellationToken)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(Whole);
        try
        {
            // Randomness first, of which the rest may be made.
            var seeded = await reach(patience.Token).ConfigureAwait(false);
            await using (seeded.ConfigureAwait(false)) await seeded.ReseedAsync(RandomNumberGenerator.GetBytes(SeedBytes), patience.Token).ConfigureAwait(false);
            answered?.Invoke();
            var clock = await reach(patience.Token).ConfigureAwait(false);
            await using (clock.ConfigureAwait(false)) await clock.SetClockAsync(DateTimeOffset.UtcNow, patience.Token).ConfigureAwait(false);
            var agent = await reach(patience.Token).ConfigureAwait(false);
            var script = await AgentProcess.StartAsync(agent, new AgentCommand { Words = ["sh", "-c", Script, "sh", name, RandomNumberGenerator.GetHexString(32, lowercase: true)] }, patience.Token).ConfigureAwait(false);
            await using (script.ConfigureAwait(false)) _ = await script.CarryAsync(null, Stream.Null, Stream.Null, patience.Token).ConfigureAwait(false);
        }
        catch (Exception none) when (none is MachineException or IOException || none is OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            // Said nowhere: many guests have none.
        }
    }
}
