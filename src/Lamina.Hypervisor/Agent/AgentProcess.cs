// A process in a guest, as the host sees it: its streams, each with a window of its own, signals, the size of its terminal, and its end.
// Whoever disposes of it before it has ended ends it.
using System.Buffers.Binary;
using System.Threading.Channels;

namespace Lamina.Hypervisor.Agent;

/// <summary>A process in a guest.</summary>
public sealed class AgentProcess : IAsyncDisposable
{
    private const int Piece = 32 * 1024;

    // A guest that has to read the program from a slow disk first may take a while.
    private static readonly TimeSpan Patience = TimeSpan.FromMinutes(1);

    private readonly AgentConnection _connection;
    private readonly Output[] _outputs = [new(0), new(1)];
    private readonly Lock _gate = new();
    private int _room = AgentSpec.Window;
    private TaskCompletionSource? _roomCame;

    private AgentProcess(AgentConnection connection) => _connection = connection;

    /// <summary>Starts a process.</summary>
    /// <param name="connection">A connection that nothing was asked for on yet; is the process's from now on.</param>
    /// <param name="command">What is to run.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="AgentException">It cannot be run.</exception>
    public static async Task<AgentProcess> StartAsync(AgentConnection connection, AgentCommand command, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(connection);
        ArgumentNullException.ThrowIfNull(command);
        await connection.SendAsync(AgentFrame.Run, command.ToPayload(), cancellationToken).ConfigureAwait(false);
        var (kind, payload) = await StartedAsync(connection, cancellationToken).ConfigureAwait(false);
        return kind switch
        {
            AgentFrame.Started => new AgentProcess(connection),
            AgentFrame.Failed => throw AgentException.Of(payload.Span),
            _ => throw AgentException.Nonsense($"a frame of the kind {(byte)kind} before the start"),
        };
    }

    /// <summary>Carries the streams until the process has ended and all that it wrote is written.</summary>
    /// <param name="input">What it reads; null: nothing. A read that is under way at the end is left to itself.</param>
    /// <param name="output">Takes what it writes.</param>
    /// <param name="errors">Takes what it says of errors.</param>
    /// <param name="cancellationToken">Ends the process.</param>
    /// <exception cref="AgentException">The guest's end is gone, or says what no agent says.</exception>
    /// <exception cref="IOException">An output takes no more, or the input cannot be read.</exception>
    public async Task<AgentEnd> CarryAsync(Stream? input, Stream output, Stream errors, CancellationToken cancellationToken = default)
    {
        using var over = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var feeds = FeedAsync(input, over.Token);
        Task[] writes = [WriteAsync(_outputs[0], output, over.Token), WriteAsync(_outputs[1], errors, over.Token)];
        var receives = ReceiveAsync(over.Token);
        try
        {
            // An output that takes no more ends the process, which may wait for it without end.
            // So does an input that cannot be read. A guest that takes no input is what the other way tells.
            List<Task> open = [feeds, receives, .. writes];
            while (open.Exists(task => task != feeds))
            {
                var done = await Task.WhenAny(open).ConfigureAwait(false);
                open.Remove(done);
                if (done != feeds || feeds.Exception?.InnerException is not (null or AgentException)) await done.ConfigureAwait(false);
            }
            return await receives.ConfigureAwait(false);
        }
        finally
        {
            await over.CancelAsync().ConfigureAwait(false);
            _ = feeds.ContinueWith(static left => _ = left.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
        }
    }

    /// <summary>Sends a signal to the process and those that it started.</summary>
    /// <param name="number">Its number, 1 to 64.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public Task SignalAsync(int number, CancellationToken cancellationToken = default) => _connection.SendAsync(AgentFrame.Signal, new[] { (byte)number }, cancellationToken);

    /// <summary>Tells the size of the terminal.</summary>
    public Task ResizeAsync(ushort rows, ushort columns, CancellationToken cancellationToken = default)
    {
        var payload = new byte[4];
        BinaryPrimitives.WriteUInt16LittleEndian(payload, rows);
        BinaryPrimitives.WriteUInt16LittleEndian(payload.AsSpan(2), columns);
        return _connection.SendAsync(AgentFrame.Size, payload, cancellationToken);
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => _connection.DisposeAsync();

    private static async Task<(AgentFrame Kind, ReadOnlyMemory<byte> Payload)> StartedAsync(AgentConnection connection, CancellationToken cancellationToken)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(Patience);
        try
        {
            return await connection.ReceiveAsync(patience.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new AgentException($"the guest's agent has not started the command for {Duration.Exact(Patience)}; the guest hangs or is very busy ('lamina console' shows it)");
        }
    }

    private async Task<AgentEnd> ReceiveAsync(CancellationToken cancellationToken)
    {
        try
        {
            while (true)
            {
                var (kind, payload) = await _connection.ReceiveAsync(cancellationToken).ConfigureAwait(false);
                switch (kind)
                {
                    case AgentFrame.Output or AgentFrame.Errors:
                        _outputs[kind == AgentFrame.Output ? 0 : 1].Take(payload);
                        break;
                    case AgentFrame.Taken when payload.Length == sizeof(uint):
                        AddRoom(BinaryPrimitives.ReadUInt32LittleEndian(payload.Span));
                        break;
                    case AgentFrame.Ended when payload.Length == 2:
                        return new AgentEnd(payload.Span[0] != 0, payload.Span[1]);
                    case AgentFrame.Failed:
                        throw AgentException.Of(payload.Span);
                    default:
                        throw AgentException.Nonsense($"a frame of the kind {(byte)kind} with {payload.Length} bytes");
                }
            }
        }
        finally
        {
            foreach (var output in _outputs) output.End();
        }
    }

    private async Task WriteAsync(Output output, Stream to, CancellationToken cancellationToken)
    {
        var credit = new byte[5];
        credit[0] = output.Number;
        await foreach (var piece in output.Pieces.ReadAllAsync(cancellationToken).ConfigureAwait(false))
        {
            await to.WriteAsync(piece, cancellationToken).ConfigureAwait(false);
            await to.FlushAsync(cancellationToken).ConfigureAwait(false);
            output.Give(piece.Length);
            BinaryPrimitives.WriteInt32LittleEndian(credit.AsSpan(1), piece.Length);
            try
            {
                await _connection.SendAsync(AgentFrame.Credit, credit, cancellationToken).ConfigureAwait(false);
            }
            catch (AgentException)
            {
                // It has ended; what it wrote before is written here to its end.
            }
        }
    }

    private async Task FeedAsync(Stream? input, CancellationToken cancellationToken)
    {
        var buffer = new byte[Piece];
        while (input is not null && await input.ReadAsync(buffer, cancellationToken).ConfigureAwait(false) is var count and > 0)
        {
            for (var sent = 0; sent < count;)
            {
                var piece = await TakeRoomAsync(count - sent, cancellationToken).ConfigureAwait(false);
                await _connection.SendAsync(AgentFrame.Input, buffer.AsMemory(sent, piece), cancellationToken).ConfigureAwait(false);
                sent += piece;
            }
        }
        await _connection.SendAsync(AgentFrame.Input, default, cancellationToken).ConfigureAwait(false);
    }

    private async Task<int> TakeRoomAsync(int most, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task came;
            lock (_gate)
            {
                var piece = Math.Min(most, _room);
                _room -= piece;
                if (piece > 0) return piece;
                came = (_roomCame ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
            }
            await came.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    private void AddRoom(uint bytes)
    {
        lock (_gate)
        {
            if (bytes > AgentSpec.Window - _room) throw AgentException.Nonsense("it took more than there was");
            _room += (int)bytes;
            _roomCame?.TrySetResult();
            _roomCame = null;
        }
    }

    // What came of one stream and is not written yet; never more than its window.
    private sealed class Output(byte number)
    {
        private readonly Channel<byte[]> _pieces = Channel.CreateUnbounded<byte[]>(new UnboundedChannelOptions { SingleReader = true, SingleWriter = true });
        private int _kept;

        internal byte Number => number;

        internal ChannelReader<byte[]> Pieces => _pieces.Reader;

        internal void Take(ReadOnlyMemory<byte> piece)
        {
            if (Interlocked.Add(ref _kept, piece.Length) > AgentSpec.Window) throw AgentException.Nonsense("more output than it may send");
            if (piece.IsEmpty ? !_pieces.Writer.TryComplete() : !_pieces.Writer.TryWrite(piece.ToArray())) throw AgentException.Nonsense("output behind its end");
        }

        internal void Give(int bytes) => Interlocked.Add(ref _kept, -bytes);

        internal void End() => _pieces.Writer.TryComplete();
    }
}
