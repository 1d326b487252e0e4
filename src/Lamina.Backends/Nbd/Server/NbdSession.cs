// One client from its first byte to its last: the handshake, then its requests ("Transmission"), several at a time, each answered when it is done. What a client asks for
// wrongly is an error of that request where the protocol has one, and costs it the connection where the stream of requests can be followed no further.
using System.Security.Authentication;
using Lamina.Host;
using Lamina.Host.Io;

namespace Lamina.Backends.Nbd.Server;

/// <summary>One client.</summary>
internal sealed class NbdSession : IDisposable
{
    /// <summary>The most requests of one client that are under way, a thread and a buffer each; others wait in its socket.</summary>
    internal const int MostRequests = 16;

    /// <summary>The most descriptors of one answer about what is allocated.</summary>
    internal const int MostExtents = 4096;

    // What is shorter is read without looking for holes in it.
    private const int LeastHole = 32 << 10;

    private readonly NbdServerOptions _options;
    private readonly ByteDisk _disk;
    private readonly Stream _link;
    private readonly Action _hangUp;
    private readonly Lock _sending = new();
    private readonly NbdWorkers _workers = new(MostRequests);
    private readonly Stack<HostBuffer> _buffers = new();
    private NbdReader _reader = null!;
    private NbdWriter _writer = null!;
    private bool _isStructured, _tellsAllocation;
    private readonly NbdReports _reports;

    /// <summary>Takes a client over.</summary>
    /// <param name="options">What is served, and how.</param>
    /// <param name="disk">The disk; another's to close.</param>
    /// <param name="link">Leads to the client.</param>
    /// <param name="hangUp">Ends the connection, whoever waits for it; any thread.</param>
    /// <param name="reports">Told of what the client does wrong, and of what the host refuses it.</param>
    internal NbdSession(NbdServerOptions options, ByteDisk disk, Stream link, Action hangUp, NbdReports reports) => (_options, _disk, _link, _hangUp, _reports) = (options, disk, link, hangUp, reports);

    /// <summary>Serves it until it leaves or is gone.</summary>
    internal void Run()
    {
        Stream? stream = null;
        try
        {
            var negotiation = new NbdNegotiation(_options, _disk, _link);
            using (var patience = new CancellationTokenSource(_options.Handshake))
            {
                using var ending = patience.Token.Register(_hangUp);
                var begins = negotiation.Run();
                stream = negotiation.Stream;
                if (!begins) return;
            }
            (_reader, _writer, _isStructured, _tellsAllocation) = (negotiation.Reader, negotiation.Writer, negotiation.IsStructured, negotiation.TellsAllocation);
            while (_reader.WaitForMore() && Next())
            {
            }
        }
        catch (Exception gone) when (IsOfConnection(gone))
        {
            if (gone is NbdException or AuthenticationException) _reports.Say($"a client was hung up on: {gone.Message}");
        }
        finally
        {
            // What it asked for is done, and what it wrote there, though nobody is told.
            _workers.Dispose();
            stream?.Dispose();
            _hangUp();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        while (_buffers.TryPop(out var buffer)) buffer.Dispose();
        _link.Dispose();
    }

    // False when it leaves.
    private bool Next()
    {
        if (_reader.ReadU32() != NbdSpec.RequestMagic) throw new NbdException("it sends what is no request");
        var request = new Request((NbdCommandFlags)_reader.ReadU16(), (NbdCommand)_reader.ReadU16(), _reader.ReadU64(), _reader.ReadU64(), _reader.ReadU32());
        switch (request.Command)
        {
            case NbdCommand.Disconnect:
                return false;
            case NbdCommand.Write when request.Length > NbdSpec.MostPayload:
                throw new NbdException($"it writes {request.Length} bytes at once, and {NbdSpec.MostPayload} are the most");
            case NbdCommand.Write:
                Receive(request);
                return true;
            default:
                if (WhyWrong(request) is not NbdError.None and var wrong) Finish(request, wrong);
                else if (request.Command != NbdCommand.Read || !TryAnswerAtOnce(request)) _workers.Do(() => Guarded(() => Carry(request)));
                return true;
        }
    }

    // What needs no wait for the host's disk needs no other thread; a short read has no holes that would be looked for.
    private bool TryAnswerAtOnce(Request request)
    {
        if (request.Length is 0 or >= LeastHole) return false;
        var buffer = Rent();
        try
        {
            // Where it fails it does so again, and is told.
            if (!_disk.TryReadCached(request.Offset, (int)request.Length, buffer)) return false;
            SendData(request, request.Offset, buffer, request.Length, NbdSpec.Done);
            return true;
        }
        finally
        {
            Return(buffer);
        }
    }

    private void Receive(Request request)
    {
        var wrong = WhyWrong(request);
        if (wrong != NbdError.None)
        {
            _reader.Skip(request.Length);
            Finish(request, wrong);
            return;
        }
        if (request.Length > ByteDisk.Piece)
        {
            ReceiveLong(request);
            return;
        }
        var buffer = Rent();
        try
        {
            _reader.Read(buffer.Span.Slice(ByteDisk.PlaceOf(request.Offset), (int)request.Length));
        }
        catch
        {
            Return(buffer);
            throw;
        }
        _workers.Do(() => Guarded(() =>
        {
            var error = Try(request, () =>
            {
                if (request.Length > 0) _disk.Write(request.Offset, (int)request.Length, buffer);
            });
            Return(buffer);
            Finish(request, error);
        }));
    }

    // Is written as it comes. Where that fails the rest is passed over.
    private void ReceiveLong(Request request)
    {
        var (buffer, error) = (Rent(), NbdError.None);
        try
        {
            for (uint done = 0; done < request.Length;)
            {
                var (at, part) = (request.Offset + done, (int)Math.Min(ByteDisk.Piece, request.Length - done));
                _reader.Read(buffer.Span.Slice(ByteDisk.PlaceOf(at), part));
                done += (uint)part;
                if (error == NbdError.None) error = Try(request with { Flags = done < request.Length ? NbdCommandFlags.None : request.Flags }, () => _disk.Write(at, part, buffer));
            }
        }
        finally
        {
            Return(buffer);
        }
        Finish(request, error);
    }

    // "Request types" and "Error values".
    private NbdError WhyWrong(Request request)
    {
        var allowed = NbdCommandFlags.Fua | request.Command switch
        {
            NbdCommand.Read when _isStructured => NbdCommandFlags.DontFragment,
            NbdCommand.WriteZeroes => NbdCommandFlags.NoHole,
            NbdCommand.BlockStatus => NbdCommandFlags.One,
            _ => NbdCommandFlags.None,
        };
        if ((request.Flags & ~allowed) != 0) return NbdError.Invalid;
        var isWithin = request.Offset <= _disk.Length && request.Length <= _disk.Length - request.Offset;
        var writes = request.Command is NbdCommand.Write or NbdCommand.Trim or NbdCommand.WriteZeroes;
        if (writes && _disk.IsReadOnly) return NbdError.NotPermitted;
        return request.Command switch
        {
            NbdCommand.Write or NbdCommand.WriteZeroes when !isWithin => NbdError.NoSpace,
            NbdCommand.Read or NbdCommand.Trim or NbdCommand.BlockStatus when !isWithin => NbdError.Invalid,
            NbdCommand.Read when request.Length > NbdSpec.MostPayload => _isStructured ? NbdError.TooLarge : NbdError.Invalid,
            NbdCommand.Read when request.Flags.HasFlag(NbdCommandFlags.DontFragment) && request.Length > ByteDisk.Piece => NbdError.TooLarge,
            NbdCommand.BlockStatus when !_tellsAllocation || request.Length == 0 => NbdError.Invalid,
            NbdCommand.Flush when request.Offset != 0 || request.Length != 0 => NbdError.Invalid,
            NbdCommand.Read or NbdCommand.Write or NbdCommand.Flush or NbdCommand.Trim or NbdCommand.WriteZeroes or NbdCommand.BlockStatus => NbdError.None,
            _ => NbdError.Invalid,
        };
    }

    private void Carry(Request request)
    {
        switch (request.Command)
        {
            case NbdCommand.Read when _isStructured:
                ReadInChunks(request);
                break;
            case NbdCommand.Read:
                ReadWhole(request);
                break;
            case NbdCommand.BlockStatus:
                TellAllocation(request);
                break;
            case NbdCommand.Flush:
                Finish(request, Try(request, _disk.Flush));
                break;
            case NbdCommand.Trim:
                Finish(request, Try(request, () => _disk.Discard(request.Offset, request.Length)));
                break;
            case NbdCommand.WriteZeroes:
                Finish(request, Try(request, () => _disk.WriteZeroes(request.Offset, request.Length, !request.Flags.HasFlag(NbdCommandFlags.NoHole))));
                break;
            default:
                Finish(request, NbdError.Invalid);
                break;
        }
    }

    // Each piece is sent when it is read; holes cost nothing.
    private void ReadInChunks(Request request)
    {
        var buffer = Rent();
        try
        {
            for (uint done = 0; done < request.Length;)
            {
                var (at, left, isHole) = (request.Offset + done, request.Length - done, false);
                var error = Try(request, () =>
                {
                    if (request.Length < LeastHole || request.Flags.HasFlag(NbdCommandFlags.DontFragment)) left = Math.Min(left, ByteDisk.Piece);
                    else
                    {
                        var extent = _disk.Extent(at);
                        isHole = extent.IsZero;
                        left = (uint)Math.Min(extent.Length, isHole ? left : Math.Min(left, ByteDisk.Piece));
                    }
                    if (!isHole) _disk.Read(at, (int)left, buffer);
                });
                if (error != NbdError.None)
                {
                    Finish(request, error);
                    return;
                }
                done += left;
                var flags = done == request.Length ? NbdSpec.Done : (ushort)0;
                if (isHole) SendHole(request, at, left, flags);
                else SendData(request, at, buffer, left, flags);
            }
        }
        finally
        {
            Return(buffer);
        }
        if (request.Length == 0) Finish(request, NbdError.None);
    }

    private void SendHole(Request request, ulong at, uint length, ushort flags)
    {
        lock (_sending)
        {
            WriteChunk(request, flags, NbdChunk.Hole, 12);
            _writer.WriteU64(at);
            _writer.WriteU32(length);
            _writer.Flush();
        }
    }

    private void SendData(Request request, ulong at, HostBuffer buffer, uint length, ushort flags)
    {
        lock (_sending)
        {
            if (_isStructured)
            {
                WriteChunk(request, flags, NbdChunk.Data, 8 + length);
                _writer.WriteU64(at);
            }
            else WriteSimple(request, NbdError.None);
            _writer.Write(buffer.Span.Slice(ByteDisk.PlaceOf(at), (int)length));
            _writer.Flush();
        }
    }

    // There is one answer, and it says at once that all is well: what fails later ends the connection ("Structured reply chunk message" says so of simple replies).
    private void ReadWhole(Request request)
    {
        var buffer = Rent();
        try
        {
            var first = (int)Math.Min(request.Length, ByteDisk.Piece);
            var error = Try(request, () =>
            {
                if (first > 0) _disk.Read(request.Offset, first, buffer);
            });
            if (error != NbdError.None)
            {
                Finish(request, error);
                return;
            }
            lock (_sending)
            {
                WriteSimple(request, NbdError.None);
                _writer.Write(buffer.Span.Slice(ByteDisk.PlaceOf(request.Offset), first));
                for (var done = (uint)first; done < request.Length;)
                {
                    var (at, part) = (request.Offset + done, (int)Math.Min(ByteDisk.Piece, request.Length - done));
                    if (Try(request, () => _disk.Read(at, part, buffer)) != NbdError.None) throw new NbdException("what it reads cannot be read to its end");
                    _writer.Write(buffer.Span.Slice(ByteDisk.PlaceOf(at), part));
                    done += (uint)part;
                }
                _writer.Flush();
            }
        }
        finally
        {
            Return(buffer);
        }
    }

    private void TellAllocation(Request request)
    {
        var most = request.Flags.HasFlag(NbdCommandFlags.One) ? 1 : MostExtents;
        var extents = new List<(uint Length, bool IsZero)>();
        var error = Try(request, () =>
        {
            for (uint done = 0; done < request.Length;)
            {
                var extent = _disk.Extent(request.Offset + done);
                var part = (uint)Math.Min(extent.Length, request.Length - done);
                if (extents.Count > 0 && extents[^1].IsZero == extent.IsZero) extents[^1] = (extents[^1].Length + part, extent.IsZero);
                else if (extents.Count == most) return;
                else extents.Add((part, extent.IsZero));
                done += part;
            }
        });
        if (error != NbdError.None)
        {
            Finish(request, error);
            return;
        }
        lock (_sending)
        {
            WriteChunk(request, NbdSpec.Done, NbdChunk.BlockStatus, 4 + 8 * (uint)extents.Count);
            _writer.WriteU32(NbdNegotiation.AllocationId);
            foreach (var (length, isZero) in extents)
            {
                _writer.WriteU32(length);
                _writer.WriteU32(isZero ? NbdSpec.StateHole | NbdSpec.StateZero : 0);
            }
            _writer.Flush();
        }
    }

    // What the host says of its files is the host's, and not the client's to know.
    private NbdError Try(Request request, Action work)
    {
        try
        {
            work();
            if (request.Flags.HasFlag(NbdCommandFlags.Fua) && request.Command is NbdCommand.Write or NbdCommand.Trim or NbdCommand.WriteZeroes) _disk.Flush();
            return NbdError.None;
        }
        catch (IOException failure)
        {
            _reports.Say($"a client got an error: {failure.Message}");
            return failure is HostException { IsDiskFull: true } ? NbdError.NoSpace : NbdError.Io;
        }
    }

    private void Finish(Request request, NbdError error)
    {
        lock (_sending)
        {
            if (!_isStructured) WriteSimple(request, error);
            else if (error == NbdError.None) WriteChunk(request, NbdSpec.Done, NbdChunk.None, 0);
            else
            {
                WriteChunk(request, NbdSpec.Done, NbdChunk.Error, 6);
                _writer.WriteU32((uint)error);
                _writer.WriteU16(0);
            }
            _writer.Flush();
        }
    }

    private void WriteSimple(Request request, NbdError error)
    {
        _writer.WriteU32(NbdSpec.SimpleReplyMagic);
        _writer.WriteU32((uint)error);
        _writer.WriteU64(request.Cookie);
    }

    private void WriteChunk(Request request, ushort flags, NbdChunk type, uint length)
    {
        _writer.WriteU32(NbdSpec.ChunkMagic);
        _writer.WriteU16(flags);
        _writer.WriteU16((ushort)type);
        _writer.WriteU64(request.Cookie);
        _writer.WriteU32(length);
    }

    private HostBuffer Rent()
    {
        lock (_buffers)
            if (_buffers.TryPop(out var buffer)) return buffer;
        return new HostBuffer(ByteDisk.BufferLength);
    }

    private void Return(HostBuffer buffer)
    {
        lock (_buffers) _buffers.Push(buffer);
    }

    // A client that is gone ends its session; who reads finds out.
    private void Guarded(Action work)
    {
        try
        {
            work();
        }
        catch (Exception gone) when (IsOfConnection(gone))
        {
            _hangUp();
        }
    }

    private static bool IsOfConnection(Exception gone) => gone is IOException or ObjectDisposedException or AuthenticationException or InvalidOperationException;

    private readonly record struct Request(NbdCommandFlags Flags, NbdCommand Command, ulong Cookie, ulong Offset, uint Length);
}
