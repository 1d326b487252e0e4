// A connection to a guest's agent: frames, out and in. Each connection carries one request, and what belongs to it ends with it.
using System.Buffers.Binary;

namespace Lamina.Hypervisor.Agent;

/// <summary>Speaks to a guest's agent.</summary>
public sealed class AgentConnection : IAsyncDisposable
{
    private const int Header = 4;

    // An agent greets at once; a guest that is busy may be slow.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(10);

    private readonly Stream _stream;
    private readonly SemaphoreSlim _sending = new(1, 1);
    private readonly byte[] _received = new byte[AgentSpec.MostPayload], _head = new byte[Header];

    private AgentConnection(Stream stream) => _stream = stream;

    /// <summary>Waits for an agent's greeting.</summary>
    /// <param name="stream">Leads to the agent; is the connection's from now on.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="AgentException">It does not greet, or is of another version.</exception>
    public static Task<AgentConnection> OpenAsync(Stream stream, CancellationToken cancellationToken = default) => OpenAsync(stream, Patience, cancellationToken);

    /// <summary>The agent's own end of a connection, on which nothing was said yet.</summary>
    internal static AgentConnection Serve(Stream stream) => new(stream);

    internal static async Task<AgentConnection> OpenAsync(Stream stream, TimeSpan timeout, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(stream);
        var connection = new AgentConnection(stream);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(timeout);
        try
        {
            var (kind, payload) = await connection.ReceiveAsync(patience.Token).ConfigureAwait(false);
            if (kind != AgentFrame.Hello || payload.Length < sizeof(uint)) throw AgentException.Nonsense("no greeting");
            var version = BinaryPrimitives.ReadUInt32LittleEndian(payload.Span);
            if (version != AgentSpec.Version) throw new AgentException($"the guest's agent speaks version {version} of its protocol and not {AgentSpec.Version}; give the guest the agent of this version of lamina (docs/agent.md)");
            return connection;
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            await connection.DisposeAsync().ConfigureAwait(false);
            throw new AgentException($"the guest's agent has not answered for {Duration.Exact(timeout)}; the guest hangs or is very busy ('lamina console' shows it)");
        }
        catch
        {
            await connection.DisposeAsync().ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Asks whether the agent answers.</summary>
    /// <exception cref="AgentException">It does not.</exception>
    public Task PingAsync(CancellationToken cancellationToken = default) => AskAsync(AgentFrame.Ping, default, cancellationToken);

    /// <summary>Sets the guest's clock.</summary>
    /// <exception cref="AgentException">The guest refuses.</exception>
    public Task SetClockAsync(DateTimeOffset time, CancellationToken cancellationToken = default)
    {
        var since = time - DateTimeOffset.UnixEpoch;
        var payload = new byte[12];
        BinaryPrimitives.WriteInt64LittleEndian(payload, since.Ticks / TimeSpan.TicksPerSecond);
        BinaryPrimitives.WriteInt32LittleEndian(payload.AsSpan(8), (int)(since.Ticks % TimeSpan.TicksPerSecond) * 100);
        return AskAsync(AgentFrame.Clock, payload, cancellationToken);
    }

    /// <summary>Gives the guest's kernel randomness.</summary>
    /// <param name="seed">1 to 512 bytes.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="AgentException">The guest refuses.</exception>
    public Task ReseedAsync(ReadOnlyMemory<byte> seed, CancellationToken cancellationToken = default) => AskAsync(AgentFrame.Reseed, seed, cancellationToken);

    /// <summary>Stills the guest's file systems on disks until the connection is disposed of.</summary>
    /// <returns>How many there are, as the guest says it.</returns>
    /// <exception cref="AgentException">The guest refuses; then none is still.</exception>
    public Task<string> FreezeAsync(CancellationToken cancellationToken = default) => AskAsync(AgentFrame.Freeze, default, cancellationToken);

    /// <summary>The guest's addresses, as it says them: a line each, with the interface's name in front.</summary>
    /// <exception cref="AgentException">The guest refuses.</exception>
    public Task<string> AddressesAsync(CancellationToken cancellationToken = default) => AskAsync(AgentFrame.Addresses, default, cancellationToken);

    /// <summary>Has the guest power off, or start anew, as its own command would.</summary>
    /// <exception cref="AgentException">It does not.</exception>
    public Task PowerAsync(bool reboots, CancellationToken cancellationToken = default) => AskAsync(AgentFrame.Power, reboots ? "reboot"u8.ToArray() : "off"u8.ToArray(), cancellationToken);

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _stream.DisposeAsync().ConfigureAwait(false);
        _sending.Dispose();
    }

    internal async Task SendAsync(AgentFrame kind, ReadOnlyMemory<byte> payload, CancellationToken cancellationToken)
    {
        var frame = new byte[Header + payload.Length];
        BinaryPrimitives.WriteUInt32LittleEndian(frame, (uint)kind | (uint)payload.Length << 8);
        payload.CopyTo(frame.AsMemory(Header));
        await _sending.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await _stream.WriteAsync(frame, cancellationToken).ConfigureAwait(false);
        }
        catch (IOException failure)
        {
            throw AgentException.Gone(failure);
        }
        finally
        {
            _sending.Release();
        }
    }

    /// <summary>The next frame; its payload is valid until the one after it is received.</summary>
    internal async Task<(AgentFrame Kind, ReadOnlyMemory<byte> Payload)> ReceiveAsync(CancellationToken cancellationToken)
    {
        try
        {
            await _stream.ReadExactlyAsync(_head, cancellationToken).ConfigureAwait(false);
            var head = BinaryPrimitives.ReadUInt32LittleEndian(_head);
            var length = (int)(head >> 8);
            if (length > AgentSpec.MostPayload) throw AgentException.Nonsense($"a frame of {length} bytes");
            await _stream.ReadExactlyAsync(_received.AsMemory(0, length), cancellationToken).ConfigureAwait(false);
            return ((AgentFrame)(byte)head, _received.AsMemory(0, length));
        }
        catch (IOException failure) when (failure is not AgentException)
        {
            throw AgentException.Gone(failure);
        }
    }

    private async Task<string> AskAsync(AgentFrame request, ReadOnlyMemory<byte> payload, CancellationToken cancellationToken)
    {
        await SendAsync(request, payload, cancellationToken).ConfigureAwait(false);
        var (kind, answer) = await ReceiveAsync(cancellationToken).ConfigureAwait(false);
        return kind switch
        {
            AgentFrame.Done => System.Text.Encoding.UTF8.GetString(answer.Span),
            AgentFrame.Failed => throw AgentException.Of(answer.Span),
            _ => throw AgentException.Nonsense($"a frame of the kind {(byte)kind}"),
        };
    }
}
