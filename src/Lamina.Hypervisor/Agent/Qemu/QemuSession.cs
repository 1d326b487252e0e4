// One request to a guest's agent, carried out by QEMU's where the guest has that one: what the client says and hears is Lamina's protocol
// (docs/agent.md), so that whoever asks need not know which agent answers.
using System.Buffers.Binary;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Lamina.Hypervisor.Agent.Qemu;

/// <summary>Serves one client.</summary>
internal static class QemuSession
{
    // A file system that is written to takes its time to become still.
    private static readonly TimeSpan Stilling = TimeSpan.FromMinutes(1);

    private const int MostInterfaces = 256;

    /// <summary>Answers one request, and what belongs to it.</summary>
    /// <param name="client">Who asks; nothing was said to it yet.</param>
    /// <param name="agent">Who does it.</param>
    /// <param name="cancellationToken">Ends it.</param>
    internal static async Task RunAsync(AgentConnection client, QemuAgent agent, CancellationToken cancellationToken)
    {
        try
        {
            var version = new byte[sizeof(uint)];
            BinaryPrimitives.WriteUInt32LittleEndian(version, AgentSpec.Version);
            await client.SendAsync(AgentFrame.Hello, version, cancellationToken).ConfigureAwait(false);
            var (kind, payload) = await client.ReceiveAsync(cancellationToken).ConfigureAwait(false);
            await AnswerAsync(client, agent, kind, payload.ToArray(), cancellationToken).ConfigureAwait(false);
        }
        catch (Exception over) when (over is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // The client has gone, or the machine has ended.
        }
    }

    private static async Task AnswerAsync(AgentConnection client, QemuAgent agent, AgentFrame kind, byte[] payload, CancellationToken cancellationToken)
    {
        try
        {
            switch (kind)
            {
                case AgentFrame.Run:
                    await QemuCommand.RunAsync(client, agent, payload, cancellationToken).ConfigureAwait(false);
                    return;
                case AgentFrame.Ping:
                    _ = await agent.AskAsync("guest-ping", null, QemuAgent.Patience, cancellationToken).ConfigureAwait(false);
                    await DoneAsync(client, "", cancellationToken).ConfigureAwait(false);
                    return;
                case AgentFrame.Clock when payload.Length == 12:
                    var since = checked(BinaryPrimitives.ReadInt64LittleEndian(payload) * 1_000_000_000 + BinaryPrimitives.ReadInt32LittleEndian(payload.AsSpan(8)));
                    _ = await agent.AskAsync("guest-set-time", arguments => arguments.WriteNumber("time", since), QemuAgent.Patience, cancellationToken).ConfigureAwait(false);
                    await DoneAsync(client, "", cancellationToken).ConfigureAwait(false);
                    return;
                case AgentFrame.Freeze:
                    await FreezeAsync(client, agent, cancellationToken).ConfigureAwait(false);
                    return;
                case AgentFrame.Addresses:
                    await DoneAsync(client, await AddressesAsync(agent, cancellationToken).ConfigureAwait(false), cancellationToken).ConfigureAwait(false);
                    return;
                case AgentFrame.Power:
                    await agent.TellAsync("guest-shutdown", arguments => arguments.WriteString("mode", payload.AsSpan().SequenceEqual("reboot"u8) ? "reboot" : "powerdown"), cancellationToken).ConfigureAwait(false);
                    await DoneAsync(client, "", cancellationToken).ConfigureAwait(false);
                    return;
                default:
                    throw new AgentException("the guest's agent is QEMU's, which cannot do this");
            }
        }
        catch (Exception refused) when (refused is AgentException or OverflowException)
        {
            var exit = (refused as AgentException)?.ExitCode;
            await client.SendAsync(AgentFrame.Failed, (byte[])[(byte)(exit is null ? AgentFailure.Refused : AgentFailure.NotRunnable), .. Encoding.UTF8.GetBytes(refused.Message)], cancellationToken).ConfigureAwait(false);
        }
    }

    private static async Task FreezeAsync(AgentConnection client, QemuAgent agent, CancellationToken cancellationToken)
    {
        try
        {
            var count = await agent.AskAsync("guest-fsfreeze-freeze", null, Stilling, cancellationToken).ConfigureAwait(false);
            await DoneAsync(client, count.ValueKind == JsonValueKind.Number && count.TryGetInt32(out var number) ? number.ToString(CultureInfo.InvariantCulture) : "0", cancellationToken).ConfigureAwait(false);
            // As long as the client is there.
            while (true) _ = await client.ReceiveAsync(cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _ = await agent.AskAsync("guest-fsfreeze-thaw", null, Stilling, CancellationToken.None).ConfigureAwait(false);
        }
    }

    /// <summary>The guest's addresses, as Lamina's agent says them: "eth0 10.0.2.15", a line each.</summary>
    /// <exception cref="AgentException">It refuses, does not answer, or says what no agent says.</exception>
    internal static async Task<string> AddressesAsync(QemuAgent agent, CancellationToken cancellationToken) => Addresses(await agent.AskAsync("guest-network-get-interfaces", null, QemuAgent.Patience, cancellationToken).ConfigureAwait(false));

    private static string Addresses(JsonElement interfaces)
    {
        var text = new StringBuilder();
        if (interfaces.ValueKind != JsonValueKind.Array) throw AgentException.Nonsense("interfaces that are no list");
        foreach (var one in interfaces.EnumerateArray().Take(MostInterfaces))
        {
            if (QemuAgent.TextOf(one, "name") is not { } name || !one.TryGetProperty("ip-addresses", out var addresses) || addresses.ValueKind != JsonValueKind.Array) continue;
            foreach (var address in addresses.EnumerateArray().Take(MostInterfaces))
                if (QemuAgent.TextOf(address, "ip-address") is { } value) text.Append(CultureInfo.InvariantCulture, $"{QemuAgent.Shown(name)} {QemuAgent.Shown(value)}\n");
        }
        return text.Length > AgentSpec.MostPayload / 4 ? throw AgentException.Nonsense("too many addresses") : text.ToString();
    }

    private static Task DoneAsync(AgentConnection client, string text, CancellationToken cancellationToken) => client.SendAsync(AgentFrame.Done, Encoding.UTF8.GetBytes(text), cancellationToken);
}
