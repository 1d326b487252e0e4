// One connection after its handshake: requests go out as they come, one thread reads the replies, in whatever order they come. When it breaks, whatever was under way
// goes back to the threads that wait, which send it elsewhere. A server that does not keep to the protocol breaks it, too.
using System.Net;
using System.Net.Sockets;
using System.Security.Authentication;
using Lamina.Host.Net;

namespace Lamina.Backends.Nbd.Client;

/// <summary>A connection.</summary>
internal sealed class NbdConnection : IDisposable
{
    private readonly Socket _socket;
    private readonly Stream _stream;
    private readonly NbdReader _reader;
    private readonly NbdWriter _writer;
    private readonly Lock _sending = new(), _gate = new();
    private readonly Dictionary<ulong, NbdRequest> _sent = [];
    private readonly NbdUri _uri;
    private ulong _cookie;
    private bool _isClosed;

    private NbdConnection(NbdUri uri, Socket socket, (NbdExport Export, Stream Stream, NbdReader Reader, NbdWriter Writer) link) =>
        (_uri, _socket, Export, _stream, _reader, _writer) = (uri, socket, link.Export, link.Stream, link.Reader, link.Writer);

    /// <summary>What it leads to.</summary>
    internal NbdExport Export { get; }

    /// <summary>How many requests are under way.</summary>
    internal int Count
    {
        get
        {
            lock (_gate) return _sent.Count;
        }
    }

    /// <summary>Whether the server answered any request.</summary>
    internal bool HasAnswered { get; private set; }

    /// <summary>Why it broke; null while it has not, and where this end closed it.</summary>
    internal string? Failure { get; private set; }

    /// <summary>Connects, by the first of some addresses that answers.</summary>
    /// <param name="uri">What is wanted.</param>
    /// <param name="places">Where.</param>
    /// <param name="identity">Who the server must be, where TLS is wanted.</param>
    /// <param name="silence">How long sending may take, in milliseconds.</param>
    /// <param name="cancellationToken">Gives it up.</param>
    /// <exception cref="NbdException">Nobody answers, or the server refuses or does not keep to the protocol.</exception>
    internal static NbdConnection Open(NbdUri uri, IReadOnlyList<EndPoint> places, TlsIdentity? identity, int silence, CancellationToken cancellationToken)
    {
        for (var i = 0; ; i++)
        {
            try
            {
                return Open(uri, places[i], identity, silence, cancellationToken);
            }
            catch (Exception refused) when (refused is SocketException && i + 1 < places.Count && !cancellationToken.IsCancellationRequested)
            {
                // The next address may be one that this host reaches.
            }
            catch (SocketException refused)
            {
                throw new NbdException(uri.SocketPath is { } path && !File.Exists(path) ? $"there is no socket {path}" : $"nobody serves {uri} ({refused.Message})", refused);
            }
        }
    }

    private static NbdConnection Open(NbdUri uri, EndPoint place, TlsIdentity? identity, int silence, CancellationToken cancellationToken)
    {
        var socket = new Socket(place.AddressFamily, SocketType.Stream, place is IPEndPoint ? ProtocolType.Tcp : ProtocolType.Unspecified);
        // Closing the socket ends whatever waits for it.
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(NbdSpec.HandshakeMilliseconds);
        using var ending = patience.Token.Register(socket.Dispose);
        try
        {
            if (place is IPEndPoint) NbdSocket.Prepare(socket);
            socket.SendTimeout = silence;
            socket.Connect(place);
            return new NbdConnection(uri, socket, NbdHandshake.Run(uri, new NetworkStream(socket, ownsSocket: true), identity));
        }
        catch (Exception failure)
        {
            socket.Dispose();
            if (patience.IsCancellationRequested) throw new NbdException(cancellationToken.IsCancellationRequested ? "the connection was closed" : $"the server of {uri} does not answer", failure);
            if (failure is NbdException or SocketException) throw;
            throw new NbdException($"the connection to {uri} breaks: {Reason(failure)}", failure);
        }
    }

    /// <summary>Sends a request, which is the connection's then.</summary>
    /// <returns>False where it is closed, and nothing was sent.</returns>
    internal bool TrySend(NbdRequest request)
    {
        ulong cookie;
        lock (_gate)
        {
            if (_isClosed) return false;
            cookie = ++_cookie;
            request.Begin();
            _sent.Add(cookie, request);
        }
        try
        {
            lock (_sending)
            {
                _writer.WriteU32(NbdSpec.RequestMagic);
                _writer.WriteU16((ushort)request.Flags);
                _writer.WriteU16((ushort)request.Command);
                _writer.WriteU64(cookie);
                _writer.WriteU64(request.Offset);
                _writer.WriteU32(request.Length);
                if (request.Command == NbdCommand.Write) request.WriteTo(_writer);
                _writer.Flush();
            }
        }
        catch (Exception failure) when (failure is IOException or ObjectDisposedException or AuthenticationException or InvalidOperationException)
        {
            // Who reads finds the same, and hands the request back.
            Break(Reason(failure));
        }
        return true;
    }

    /// <summary>Ends it: who reads hands back what is under way.</summary>
    /// <param name="why">What happened; null where this end wants it.</param>
    internal void Break(string? why)
    {
        Failure ??= why;
        _socket.Dispose();
    }

    /// <summary>Says goodbye ("NBD_CMD_DISC") and closes; nothing is under way.</summary>
    /// <param name="most">For how long a server that reads nothing is waited for.</param>
    internal void Leave(TimeSpan most)
    {
        using var patience = new CancellationTokenSource(most);
        using var ending = patience.Token.Register(_socket.Dispose);
        _ = TrySend(new NbdRequest(NbdCommand.Disconnect, NbdCommandFlags.None, 0, 0, []));
        try
        {
            _socket.Shutdown(SocketShutdown.Send);
        }
        catch (Exception gone) when (gone is SocketException or ObjectDisposedException)
        {
            // It is closed already.
        }
        Break(null);
    }

    /// <summary>Reads replies until it breaks, and hands back what is under way then.</summary>
    internal void Receive()
    {
        try
        {
            while (_reader.WaitForMore()) ReceiveOne();
            Failure ??= "the server hung up";
        }
        catch (Exception failure) when (failure is IOException or ObjectDisposedException or AuthenticationException or InvalidOperationException)
        {
            Failure ??= Reason(failure);
        }
        finally
        {
            _socket.Dispose();
            List<NbdRequest> left;
            lock (_gate)
            {
                _isClosed = true;
                left = [.. _sent.Values];
                _sent.Clear();
            }
            foreach (var request in left) request.End(NbdRequestState.Waiting);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _socket.Dispose();
        _stream.Dispose();
    }

    private void ReceiveOne()
    {
        switch (_reader.ReadU32())
        {
            case NbdSpec.SimpleReplyMagic:
                ReceiveSimple();
                break;
            case NbdSpec.ChunkMagic when Export.IsStructured:
                ReceiveChunk();
                break;
            default:
                throw Wrong("it sends what is no reply");
        }
    }

    private void ReceiveSimple()
    {
        var (error, cookie) = ((NbdError)_reader.ReadU32(), _reader.ReadU64());
        var request = Find(cookie);
        if (Export.IsStructured && request.Command is NbdCommand.Read or NbdCommand.BlockStatus) throw Wrong("it answers without chunks where it said that it has them");
        request.Error = error;
        if (request.Command == NbdCommand.Read && error == NbdError.None)
        {
            request.Fill(_reader, 0, request.Length);
            request.Came = request.Length;
        }
        Finish(cookie, request);
    }

    private void ReceiveChunk()
    {
        var (flags, type, cookie, length) = (_reader.ReadU16(), (NbdChunk)_reader.ReadU16(), _reader.ReadU64(), _reader.ReadU32());
        var request = Find(cookie);
        switch (type)
        {
            case NbdChunk.None when length == 0 && (flags & NbdSpec.Done) != 0:
                break;
            case NbdChunk.Data when length > 8 && length - 8 <= request.Length && request.Command == NbdCommand.Read:
                var at = Place(request, length - 8);
                request.Fill(_reader, at, length - 8);
                break;
            case NbdChunk.Hole when length == 12 && request.Command == NbdCommand.Read:
                var offset = _reader.ReadU64();
                var hole = _reader.ReadU32();
                request.Fill(null, Place(request, offset, hole), hole);
                break;
            case NbdChunk.BlockStatus when length == 12 && request.Command == NbdCommand.BlockStatus && request.Extent is null:
                if (_reader.ReadU32() != Export.AllocationId) throw Wrong("it tells of what was not asked for");
                request.Extent = (_reader.ReadU32(), _reader.ReadU32());
                break;
            case var error when ((ushort)error & NbdSpec.ChunkError) != 0 && length is >= 6 and <= NbdSpec.MostErrorBytes:
                ReceiveError(request, length);
                break;
            default:
                throw Wrong("it sends a chunk that does not fit");
        }
        if ((flags & NbdSpec.Done) != 0) Finish(cookie, request);
    }

    private void ReceiveError(NbdRequest request, uint length)
    {
        var (error, text) = ((NbdError)_reader.ReadU32(), _reader.ReadU16());
        if (text > length - 6) throw Wrong("it has an error that is longer than it says");
        var message = NbdText.Printable(_reader.ReadBytes(text));
        _reader.Skip(length - 6 - text);
        // The first one tells the most.
        if (request.Error != NbdError.None) return;
        (request.Error, request.Message) = (error == NbdError.None ? NbdError.Invalid : error, message);
    }

    private uint Place(NbdRequest request, uint length) => Place(request, _reader.ReadU64(), length);

    private uint Place(NbdRequest request, ulong offset, uint length)
    {
        if (length == 0 || offset < request.Offset || offset - request.Offset > request.Length || length > request.Length - (offset - request.Offset)) throw Wrong("it sends what was not asked for");
        request.Came += length;
        if (request.Came > request.Length) throw Wrong("it sends the same twice");
        return (uint)(offset - request.Offset);
    }

    private NbdRequest Find(ulong cookie)
    {
        lock (_gate) return _sent.TryGetValue(cookie, out var request) ? request : throw Wrong("it answers what was not asked");
    }

    private void Finish(ulong cookie, NbdRequest request)
    {
        if (request.Error == NbdError.None)
        {
            if (request.Command == NbdCommand.Read && request.Came != request.Length) throw Wrong("it sends less than was asked for");
            if (request.Command == NbdCommand.BlockStatus && request.Extent is not { Length: > 0 }) throw Wrong("it tells nothing of what was asked");
        }
        // It ends, and takes the connection with it: the request goes elsewhere.
        if (request.Error == NbdError.Shutdown) throw new NbdException("the server is being shut down");
        HasAnswered = true;
        lock (_gate) _sent.Remove(cookie);
        request.End(NbdRequestState.Done);
    }

    // What .NET says around an error of a socket tells nobody more.
    private static string Reason(Exception failure) => (failure.InnerException as SocketException ?? failure).Message.TrimEnd('.');

    private NbdException Wrong(string what) => new($"the server of {_uri} does not keep to the protocol: {what}");
}
