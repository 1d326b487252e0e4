// The other end of a machine's control socket: asks its process for things, and reads events and consoles. One question at a time; events
// and consoles take a connection of their own.
using System.Buffers;
using System.IO.Pipelines;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Text.Json;
using Lamina.Host;
using Lamina.Host.Io;
using Lamina.Hypervisor.Agent;
using Lamina.Hypervisor.Contract;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Hypervisor.Asking;

/// <summary>A connection to a machine's process.</summary>
public sealed class MachineClient : IAsyncDisposable
{
    // What is read at a time: a long answer is a few reads.
    private const int ReadLength = 1 << 16;

    // What the machine gives it gives at once.
    private const int GiveMilliseconds = 10_000;

    // The process waits for its guest for half of that.
    private static readonly TimeSpan AddressesPatience = TimeSpan.FromSeconds(1);

    private readonly NetworkStream _stream;
    private readonly PipeReader _reader;
    private readonly SemaphoreSlim _asking = new(1, 1);

    private MachineClient(Socket socket)
    {
        _stream = new NetworkStream(socket, ownsSocket: true);
        _reader = PipeReader.Create(_stream, new StreamPipeReaderOptions(bufferSize: ReadLength, leaveOpen: true));
    }

    /// <summary>Connects; null where nobody listens.</summary>
    /// <param name="path">The machine's socket.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="MachineException">It may not be used, or is no machine's.</exception>
    public static async Task<MachineClient?> TryConnectAsync(string path, CancellationToken cancellationToken = default)
    {
        var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        MachineClient? client = null;
        try
        {
            // The machine's process may have been taken over by its guest: what it left is a socket, or nothing.
            using var held = NamedFile.HoldSocket(path);
            if (held is null) return null;
            await socket.ConnectAsync(new UnixDomainSocketEndPoint(NamedFile.PathOf(held)), cancellationToken).ConfigureAwait(false);
            client = new MachineClient(socket);
            using var greeting = await client.ReadLineAsync(cancellationToken).ConfigureAwait(false);
            if (greeting is null) return null;
            if (greeting.RootElement.ValueKind != JsonValueKind.Object || !greeting.RootElement.TryGetProperty("protocol", out var version) || !version.TryGetInt32(out var number))
                throw new MachineException(MachineError.Host, $"what answers at {path} is no machine of Lamina's");
            if (number != ControlSpec.Version) throw new MachineException(MachineError.Host, $"the machine at {path} was started by another version of Lamina, which speaks version {number} of the protocol and not {ControlSpec.Version}; use that version, or stop the machine with SIGTERM");
            var connected = client;
            client = null;
            return connected;
        }
        catch (SocketException refused)
        {
            return refused.SocketErrorCode == SocketError.AccessDenied ? throw new MachineException(MachineError.Host, $"the machine at {path} belongs to another user", refused) : null;
        }
        catch (UnauthorizedAccessException refused)
        {
            throw new MachineException(MachineError.Host, $"the machine at {path} belongs to another user", refused);
        }
        catch (IOException)
        {
            // It ended just now.
            return null;
        }
        finally
        {
            if (client is not null) await client.DisposeAsync().ConfigureAwait(false);
            else if (!socket.Connected) socket.Dispose();
        }
    }

    /// <summary>Asks for something and waits for the answer.</summary>
    /// <param name="verb">What.</param>
    /// <param name="write">Writes the request's further values; or null.</param>
    /// <param name="cancellationToken">Ends the wait, after which the connection is of no use any more.</param>
    /// <exception cref="MachineException">The machine refuses it, or has ended.</exception>
    public async Task<JsonElement> AskAsync(string verb, Action<Utf8JsonWriter>? write = null, CancellationToken cancellationToken = default)
    {
        await _asking.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await SendAsync(verb, write, cancellationToken).ConfigureAwait(false);
            using var answer = await ReadLineAsync(cancellationToken).ConfigureAwait(false) ?? throw Gone();
            return Read(answer.RootElement);
        }
        catch (IOException failure)
        {
            throw Gone(failure);
        }
        finally
        {
            _asking.Release();
        }
    }

    /// <summary>The machine in a few words.</summary>
    /// <exception cref="MachineException">It has ended.</exception>
    public async Task<MachineStatus> StatusAsync(CancellationToken cancellationToken = default) => MachineStatus.Read(await AskAsync("status", null, cancellationToken).ConfigureAwait(false));

    /// <summary>The addresses that the guest's agent told last, by interface; none where there is no agent, where it has not answered, or where the machine's process does not know of this. To be asked last: where that does
    /// not answer for a second, the connection is of no use any more.</summary>
    public async Task<IReadOnlyList<GuestInterface>> AddressesAsync(CancellationToken cancellationToken = default)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(AddressesPatience);
        try
        {
            return GuestInterface.Read(await AskAsync("addresses", null, patience.Token).ConfigureAwait(false));
        }
        catch (Exception none) when (none is MachineException || none is OperationCanceledException && !cancellationToken.IsCancellationRequested)
        {
            return [];
        }
    }

    /// <summary>What happens to the machine from now on, an object each (docs/control.md), up to its end. Nothing else can be asked on this connection any more.</summary>
    public async IAsyncEnumerable<JsonElement> WatchAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
    {
        _ = await AskAsync("watch", null, cancellationToken).ConfigureAwait(false);
        while (true)
        {
            JsonDocument? told;
            try
            {
                told = await ReadLineAsync(cancellationToken).ConfigureAwait(false);
            }
            catch (IOException)
            {
                yield break;
            }
            if (told is null) yield break;
            using (told) yield return told.RootElement.Clone();
        }
    }

    /// <summary>Looks at a console: what is read is what the guest prints, what is written is typed. Nothing else can be asked on this connection any more.</summary>
    /// <param name="device">The console's device; null for the first.</param>
    /// <param name="history">How many bytes of what was printed before come first, as far as they are kept.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="MachineException">There is no such console, or the machine has ended.</exception>
    public async Task<(PipeReader Output, Stream Input)> AttachAsync(string? device, long history, CancellationToken cancellationToken = default)
    {
        _ = await AskAsync("console", request =>
        {
            if (device is not null) request.WriteString("device", device);
            request.WriteNumber("history", history);
        }, cancellationToken).ConfigureAwait(false);
        return (_reader, _stream);
    }

    /// <summary>Leads to the guest's agent, for one request of its. Nothing else can be asked on this connection any more; it is disposed of with the agent's.</summary>
    /// <param name="timeout">How long the agent may take to be there, in a guest that is starting; null: as long as is usual.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="MachineException">There is no agent, or the machine has ended.</exception>
    /// <exception cref="AgentException">The agent does not greet, or is of another version.</exception>
    public async Task<AgentConnection> ReachAgentAsync(TimeSpan? timeout = null, CancellationToken cancellationToken = default)
    {
        _ = await AskAsync("agent", request =>
        {
            if (timeout is { } time) request.WriteString("timeout", time == TimeSpan.Zero ? "0" : Duration.Exact(time));
        }, cancellationToken).ConfigureAwait(false);
        return await AgentConnection.OpenAsync(new DuplexStream(_reader.AsStream(), _stream), cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Has the machine written down, and what is written to its disk from then on go to another image. Nothing else can be asked on this connection any more.</summary>
    /// <param name="memory">Whether its memory and its devices are written, into <see cref="Stored.MachineHome.SnapshotState"/>.</param>
    /// <param name="layer">The name of the file that its disk becomes; null for a machine without one.</param>
    /// <param name="exchange">Called while it stands still: gives the disk that name, and its own to the new image (<see cref="Stored.MachineHome.SnapshotDisk"/>).</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>For how long the guest stood still.</returns>
    /// <exception cref="MachineException">The machine refuses it, or has ended.</exception>
    internal async Task<TimeSpan> SnapshotAsync(bool memory, string? layer, Action exchange, CancellationToken cancellationToken)
    {
        _ = await AskAsync("snapshot", request =>
        {
            request.WriteBoolean("memory", memory);
            if (layer is not null) request.WriteString("layer", layer);
        }, cancellationToken).ConfigureAwait(false);
        try
        {
            // It stands still, and all is ready.
            using (var ready = await ReadLineAsync(cancellationToken).ConfigureAwait(false) ?? throw Gone()) _ = Read(ready.RootElement);
            exchange();
            await _stream.WriteAsync(ControlSpec.Commit, cancellationToken).ConfigureAwait(false);
            using var written = await ReadLineAsync(cancellationToken).ConfigureAwait(false) ?? throw Gone();
            return TimeSpan.FromMilliseconds(Read(written.RootElement).GetDouble());
        }
        catch (IOException failure) when (failure is not HostException && failure.InnerException is SocketException)
        {
            throw Gone(failure);
        }
    }

    /// <summary>Has the machine go to another place. Nothing else can be asked on this connection any more.</summary>
    /// <param name="place">What that is called.</param>
    /// <param name="how">How it goes.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>Frames that go there and come from there, and the socket that they go over.</returns>
    /// <exception cref="MachineException">The machine refuses it, or has ended.</exception>
    internal async Task<(Stream Link, Socket Socket)> MigrateAsync(string place, Migrating.DepartureOptions how, CancellationToken cancellationToken)
    {
        _ = await AskAsync("migrate", request =>
        {
            request.WriteString("to", place);
            if (how.Downtime is { } downtime) request.WriteString("downtime", Duration.Exact(downtime));
            // Machines of earlier programs do not know these.
            if (how.Silence is { } silence) request.WriteString("silence", Duration.Exact(silence));
            if (how.PostCopy) request.WriteBoolean("post-copy", true);
        }, cancellationToken).ConfigureAwait(false);
        return (new DuplexStream(_reader.AsStream(leaveOpen: true), _stream), _stream.Socket);
    }

    /// <summary>Has the machine go into another process. Nothing else can be asked on this connection any more; where it is disposed of before the machine has gone, that stays.</summary>
    /// <param name="start">Starts that process, which is to have what it is given as its standard input; done soon.</param>
    /// <param name="answered">Called when the machine's process has said what became of it: by then it is known whose the machine is.</param>
    /// <param name="silence">For how long that may say nothing; null: as is usual.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>What became of it (docs/control.md).</returns>
    /// <exception cref="MachineException">The machine refuses it, or has ended.</exception>
    internal async Task<JsonElement> HandOverAsync(Action<SafeFileHandle> start, Action answered, TimeSpan? silence, CancellationToken cancellationToken)
    {
        // Machines of earlier programs do not know the word.
        _ = await AskAsync("hand-over", silence is { } time ? request => request.WriteString("silence", Duration.Exact(time)) : null, cancellationToken).ConfigureAwait(false);
        try
        {
            await _stream.WriteAsync(ControlSpec.Channels, cancellationToken).ConfigureAwait(false);
            var given = await Task.Run(() => DescriptorChannel.Receive(_stream.Socket.SafeHandle, GiveMilliseconds), cancellationToken).ConfigureAwait(false) ?? throw Gone();
            if (given.Files is not [var link])
            {
                given.Dispose();
                throw NoAnswer();
            }
            start(link);
            using var done = await ReadLineAsync(cancellationToken).ConfigureAwait(false) ?? throw Gone();
            answered();
            return Read(done.RootElement);
        }
        catch (IOException failure) when (failure is not HostException)
        {
            throw Gone(failure);
        }
    }

    /// <summary>Hands a file in that a machine's process may not open by itself, for the request that comes next on another connection. Nothing else can be asked on this one any more.</summary>
    /// <param name="path">What it is called there.</param>
    /// <param name="file">The file, open.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="MachineException">The machine refuses it, or has ended.</exception>
    internal async Task HandInAsync(string path, SafeFileHandle file, CancellationToken cancellationToken)
    {
        _ = await AskAsync("file", request => request.WriteString("path", path), cancellationToken).ConfigureAwait(false);
        try
        {
            await Task.Run(() => DescriptorChannel.Send(_stream.Socket.SafeHandle, "\n"u8, file), cancellationToken).ConfigureAwait(false);
        }
        catch (HostException failure)
        {
            throw Gone(failure);
        }
        using var kept = await ReadLineAsync(cancellationToken).ConfigureAwait(false) ?? throw Gone();
        _ = Read(kept.RootElement);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        await _reader.CompleteAsync().ConfigureAwait(false);
        await _stream.DisposeAsync().ConfigureAwait(false);
        _asking.Dispose();
    }

    private static MachineException NoAnswer(Exception? inner = null) => new(MachineError.Host, "the machine's process gives an answer that is none", inner);

    private static MachineException Gone(Exception? inner = null) => new(MachineError.State, "the machine has ended", inner);

    private static JsonElement Read(JsonElement answer)
    {
        if (answer.ValueKind != JsonValueKind.Object) throw NoAnswer();
        if (answer.TryGetProperty(ControlSpec.Ok, out var value)) return value.Clone();
        var code = answer.TryGetProperty(ControlSpec.Error, out var error) ? error.GetString() : null;
        var message = answer.TryGetProperty(ControlSpec.Message, out var sentence) ? sentence.GetString() : null;
        throw ControlErrors.ToException(code ?? "", message ?? "the machine's process refused it and did not say why");
    }

    private async Task SendAsync(string verb, Action<Utf8JsonWriter>? write, CancellationToken cancellationToken)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var request = new Utf8JsonWriter(buffer))
        {
            request.WriteStartObject();
            request.WriteString(ControlSpec.Do, verb);
            write?.Invoke(request);
            request.WriteEndObject();
        }
        buffer.Write("\n"u8);
        await _stream.WriteAsync(buffer.WrittenMemory, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Has a machine make what its copies go on from, and give it to their processes. Nothing else can be asked on this connection any more.</summary>
    /// <param name="copies">Their names.</param>
    /// <param name="spare">How many processes are to wait for the next fork.</param>
    /// <param name="layer">The name of the file that its disk becomes; null for a machine without one.</param>
    /// <param name="start">Called with the folders of the processes that wait, one for each of the first copies, and with channels for those of the others and then for those that are to wait; done when all of these do.</param>
    /// <param name="exchange">Called while it stands still, of a machine with a disk: gives the disk that name, its own to the new image, and disks to the copies.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>What became of the copies (docs/control.md).</returns>
    /// <exception cref="MachineException">The machine refuses it, or has ended.</exception>
    internal async Task<JsonElement> ForkAsync(IReadOnlyList<string> copies, int spare, string? layer, Func<IReadOnlyList<string>, IReadOnlyList<SafeFileHandle>, Task> start, Action exchange, CancellationToken cancellationToken)
    {
        _ = await AskAsync("fork", request =>
        {
            request.WriteStartArray("copies");
            foreach (var copy in copies) request.WriteStringValue(copy);
            request.WriteEndArray();
            request.WriteNumber("spare", spare);
            if (layer is not null) request.WriteString("layer", layer);
        }, cancellationToken).ConfigureAwait(false);
        var channels = new List<SafeFileHandle>();
        try
        {
            IReadOnlyList<string> waiting;
            int count;
            using (var said = await ReadLineAsync(cancellationToken).ConfigureAwait(false) ?? throw Gone())
            {
                var ready = Read(said.RootElement);
                waiting = [.. ready.GetProperty("waiting").EnumerateArray().Select(folder => folder.GetString()!)];
                var (fresh, next) = (ready.GetProperty("fresh").GetInt32(), ready.GetProperty("spare").GetInt32());
                // Of what was asked for, and no more.
                if (waiting.Count + fresh != copies.Count || fresh < 0 || next < 0 || next > ControlSpec.MostCopies) throw NoAnswer();
                count = fresh + next;
            }
            await _stream.WriteAsync(ControlSpec.Channels, cancellationToken).ConfigureAwait(false);
            // Nothing else comes until these are here.
            while (channels.Count < count)
            {
                var given = await Task.Run(() => DescriptorChannel.Receive(_stream.Socket.SafeHandle, GiveMilliseconds), cancellationToken).ConfigureAwait(false) ?? throw Gone();
                if (given.Files.Count == 0) throw new MachineException(MachineError.Host, $"the machine's process gives no channels: {System.Text.Encoding.UTF8.GetString(given.Bytes.AsSpan(0, Math.Min(given.Bytes.Length, 200)))}");
                channels.AddRange(given.Files);
            }
            await start(waiting, channels).ConfigureAwait(false);
            // Or a process that ends would not be seen to.
            foreach (var channel in channels) channel.Dispose();
            await _stream.WriteAsync(ControlSpec.Commit, cancellationToken).ConfigureAwait(false);
            if (layer is not null && copies.Count > 0)
            {
                // It stands still, and all is ready.
                using (var still = await ReadLineAsync(cancellationToken).ConfigureAwait(false) ?? throw Gone()) _ = Read(still.RootElement);
                exchange();
                await _stream.WriteAsync(ControlSpec.Commit, cancellationToken).ConfigureAwait(false);
            }
            using var done = await ReadLineAsync(cancellationToken).ConfigureAwait(false) ?? throw Gone();
            return Read(done.RootElement);
        }
        catch (Exception none) when (none is InvalidOperationException and not ObjectDisposedException or KeyNotFoundException or FormatException)
        {
            throw NoAnswer(none);
        }
        catch (IOException failure) when (failure is not HostException)
        {
            throw Gone(failure);
        }
        finally
        {
            foreach (var channel in channels) channel.Dispose();
        }
    }

    // Null where the other side hung up.
    private async Task<JsonDocument?> ReadLineAsync(CancellationToken cancellationToken)
    {
        var searched = 0L;
        while (true)
        {
            var read = await _reader.ReadAsync(cancellationToken).ConfigureAwait(false);
            if (read.Buffer.Slice(searched).PositionOf((byte)'\n') is { } end)
            {
                var line = read.Buffer.Slice(0, end).ToArray();
                _reader.AdvanceTo(read.Buffer.GetPosition(1, end));
                try
                {
                    return JsonDocument.Parse(line);
                }
                catch (JsonException failure)
                {
                    throw new MachineException(MachineError.Host, "the machine's process says what is no JSON", failure);
                }
            }
            if (read.Buffer.Length > ControlSpec.LongestAnswer) throw new MachineException(MachineError.Host, "the machine's process says more than any answer has");
            searched = read.Buffer.Length;
            _reader.AdvanceTo(read.Buffer.Start, read.Buffer.End);
            if (read.IsCompleted) return null;
        }
    }
}
