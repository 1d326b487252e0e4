// Makes another machine of a guest that goes on where its first one does: randomness of its own, the host's time, a host name, a machine ID, and the
// addresses of its network cards.
using System.Security.Cryptography;
using Lamina.Hypervisor.Stored;

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

    // ip-link(8). What the network gave the first one is not the copy's: its addresses go (those of IPv6 with the link), and who asks for one asks anew: services when they
    // start again, programs when there is a link again, under the new address. A guest that has no card of such an address fails all of it.
    private const string Cards =
        """
        asks=
        for process in /proc/[0-9]*; do
          case $(cat "$process/comm" 2>/dev/null) in udhcpc | dhclient | dhcpcd) asks="$asks ${process#/proc/}" ;; esac
        done
        for pair; do
          card=
          for known in /sys/class/net/*; do
            [ "$(cat "$known/address" 2>/dev/null)" = "${pair%,*}" ] || continue
            card=${known##*/}
            ip link set dev "$card" down && ip link set dev "$card" address "${pair#*,}" && ip address flush dev "$card" && ip link set dev "$card" up || exit 1
          done
          [ -n "$card" ] || exit 1
        done
        for process in $asks; do
          words=$(tr '\0' '\n' <"/proc/$process/cmdline")
          kill "$process"
          (
            set --
            while IFS= read -r word; do set -- "$@" "$word"; done <<WORDS
        $words
        WORDS
            tries=0
            until [ "$(cat "/sys/class/net/$card/carrier" 2>/dev/null)" = 1 ] || [ $((tries += 1)) -gt 600 ]; do sleep 0.1; done
            exec "$@"
          ) </dev/null >/dev/null 2>&1 &
        done
        if command -v systemctl >/dev/null; then systemctl try-restart systemd-networkd NetworkManager >/dev/null 2>&1; fi
        exit 0
        """;

    // A host that many copies begin on at once is slow, and a copy that was not told is the first one once more.
    private static readonly TimeSpan Whole = TimeSpan.FromMinutes(2);

    /// <summary>How long a guest's agent may take to be there.</summary>
    internal static TimeSpan Patience { get; } = TimeSpan.FromSeconds(20);

    /// <summary>Has a guest's agent do it, where there is one.</summary>
    /// <param name="reach">Leads to the agent, once for each request.</param>
    /// <param name="name">The host name.</param>
    /// <param name="cards">The addresses that its cards are to have.</param>
    /// <param name="answered">Called when the agent has answered for the first time.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>Whether the guest uses those addresses now.</returns>
    internal static async Task<bool> TryGiveAsync(Func<CancellationToken, Task<AgentConnection>> reach, string name, IReadOnlyList<CardAddress> cards, Action? answered, CancellationToken cancellationToken)
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
            _ = await RunAsync(reach, Script, [name, RandomNumberGenerator.GetHexString(32, lowercase: true)], patience.Token).ConfigureAwait(false);
            return cards.Count == 0 || await RunAsync(reach, Cards, [.. cards.Select(card => $"{card.Was},{card.Is}")], patience.Token).ConfigureAwait(false);
        }
        catch (Exception none) when (none is MachineException or IOException || none is OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            // Many guests have none.
            return false;
        }
    }

    private static async Task<bool> RunAsync(Func<CancellationToken, Task<AgentConnection>> reach, string script, string[] words, CancellationToken cancellationToken)
    {
        var agent = await reach(cancellationToken).ConfigureAwait(false);
        var process = await AgentProcess.StartAsync(agent, new AgentCommand { Words = ["sh", "-c", script, "sh", .. words] }, cancellationToken).ConfigureAwait(false);
        await using (process.ConfigureAwait(false)) return (await process.CarryAsync(null, Stream.Null, Stream.Null, cancellationToken).ConfigureAwait(false)) is { IsSignal: false, Value: 0 };
    }
}
