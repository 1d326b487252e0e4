// An export as a set of connections to it: requests go by the one that has the fewest under way; what a connection loses is sent again by another. A connection that is
// lost is made again, with pauses that grow; where none can be had for as long as was said, requests fail until one can. The addresses are asked for once: a
// process that is locked finds no names any more.
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Lamina.Core.Inspection;
using Lamina.Core.Logging;
using Lamina.Host;
using Lamina.Host.Io;
using Lamina.Host.Net;

namespace Lamina.Backends.Nbd.Client;

/// <summary>How an export is used.</summary>
internal sealed record NbdClientOptions
{
    /// <summary>How long a request waits for a connection when there is none, before it fails.</summary>
    internal TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(NbdClient.UsualPatienceSeconds);

    /// <summary>How long a server may take for one answer; it is taken for lost then.</summary>
    internal TimeSpan Silence { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>The most connections, where the server can do with several.</summary>
    internal int Connections { get; init; } = NbdClient.MostConnections;

    /// <summary>The folder that says who the server must be and who this end is; null without TLS.</summary>
    internal string? TlsFolder { get; init; }

    /// <summary>Told of connections that are lost and found.</summary>
    internal ILog? Log { get; init; }
}

/// <summary>A client of one export. Any thread asks; each waits for its own answer.</summary>
internal sealed class NbdClient : IDisposable, IInspected
{
    /// <summary>The most connections to one export.</summary>
    internal const int MostConnections = 4;

    /// <summary>The patience where none is said, in seconds.</summary>
    internal const int UsualPatienceSeconds = 30;

    // Whether an answer is overdue is looked at so often, in milliseconds.
    private const int Tick = 1000;
    private const int LeastPause = 100, MostPause = 5000;
    private static readonly TimeSpan LongestFarewell = TimeSpan.FromSeconds(2);

    private readonly NbdUri _uri;
    private readonly NbdClientOptions _options;
    private readonly TlsIdentity? _identity;
    private readonly IReadOnlyList<EndPoint> _places;
    private readonly CancellationTokenSource _ending = new();
    private readonly object _gate = new();
    private readonly List<NbdConnection> _ready = [];
    private readonly List<Thread> _threads = [];
    private long _lostSince;
    private string _failure = "";
    private ulong _requests, _sentAgain, _lost;
    private readonly NbdReports _reports;

    private NbdClient(NbdUri uri, NbdClientOptions options)
    {
        (_uri, _options, _reports) = (uri, options, new NbdReports(options.Log));
        if (uri.IsSecure && options.TlsFolder is { } folder) _identity = TlsIdentity.OfCaller(folder);
        _places = PlacesOf(uri);
    }

    /// <summary>What is served.</summary>
    internal NbdExport Export { get; private set; } = null!;

    /// <summary>Its name in sentences.</summary>
    internal string Name => _uri.Text;

    /// <summary>Connects.</summary>
    /// <exception cref="IOException">It cannot be had; the message is a sentence.</exception>
    internal static NbdClient Open(NbdUri uri, NbdClientOptions options)
    {
        var client = new NbdClient(uri, options);
        try
        {
            var first = client.Connect();
            client.Export = first.Export;
            client._ready.Add(first);
            var count = first.Export.Flags.HasFlag(NbdFlags.MultiConnection) ? Math.Clamp(options.Connections, 1, MostConnections) : 1;
            for (var i = 0; i < count; i++) client.Start(i == 0 ? first : null);
            return client;
        }
        catch
        {
            client.Dispose();
            throw;
        }
    }

    /// <summary>Carries out a request.</summary>
    /// <returns>It, with what the server told.</returns>
    /// <exception cref="HostException">The server has no space.</exception>
    /// <exception cref="IOException">The server refuses, or cannot be reached; a part may be done.</exception>
    internal NbdRequest Carry(NbdCommand command, NbdCommandFlags flags, ulong offset, uint length, IoVector[] memory)
    {
        var request = new NbdRequest(command, flags, offset, length, memory);
        long? failsAt = null;
        Interlocked.Increment(ref _requests);
        while (true)
        {
            var connection = Take(failsAt);
            if (!connection.TrySend(request)) continue;
            NbdRequestState state;
            while ((state = request.Wait(Tick)) == NbdRequestState.Sent)
                if (Environment.TickCount64 - request.SentAt > _options.Silence.TotalMilliseconds) connection.Break("the server does not answer");
            if (state == NbdRequestState.Done) return request.Error == NbdError.None ? request : throw FailureOf(request);
            failsAt ??= Environment.TickCount64 + (long)_options.Patience.TotalMilliseconds;
            Interlocked.Increment(ref _sentAgain);
        }
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node)
    {
        lock (_gate)
        {
            node.Say("export", _uri.Text);
            node.Say("connections", (ulong)_ready.Count);
            node.Say("connections lost", _lost);
            node.Say("structured replies", Export.IsStructured);
            node.Say("tells what is allocated", Export.AllocationId is not null);
            if (_failure.Length > 0) node.Say("last failure", _failure);
        }
        node.Say("requests", Interlocked.Read(ref _requests));
        node.Say("requests sent again", Interlocked.Read(ref _sentAgain));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        NbdConnection[] ready;
        lock (_gate)
        {
            if (_ending.IsCancellationRequested) return;
            _ending.Cancel();
            ready = [.. _ready];
            Monitor.PulseAll(_gate);
        }
        foreach (var connection in ready) connection.Leave(LongestFarewell);
        foreach (var thread in _threads) thread.Join();
        _ending.Dispose();
    }

    private void Start(NbdConnection? first)
    {
        var thread = new Thread(() => Keep(first)) { IsBackground = true, Name = "nbd" };
        _threads.Add(thread);
        thread.Start();
    }

    // Keeps one connection. A further one that a server does not give is not asked for again.
    private void Keep(NbdConnection? connection)
    {
        var (pause, isFirst) = (0, connection is not null);
        while (true)
        {
            try
            {
                connection ??= ConnectAgain();
            }
            catch (IOException failure)
            {
                if (!isFirst) return;
                lock (_gate) _failure = failure.Message;
            }
            if (connection is not null)
            {
                isFirst = true;
                connection.Receive();
                if (connection.HasAnswered) pause = 0;
                Lose(connection);
                connection.Dispose();
                connection = null;
            }
            if (_ending.Token.WaitHandle.WaitOne(pause)) return;
            pause = pause == 0 ? LeastPause : Math.Min(pause * 2, MostPause);
        }
    }

    private NbdConnection Connect() => NbdConnection.Open(_uri, _places, _identity, (int)_options.Silence.TotalMilliseconds, _ending.Token);

    private NbdConnection ConnectAgain()
    {
        var connection = Connect();
        if (!connection.Export.IsSame(Export))
        {
            connection.Leave(LongestFarewell);
            connection.Dispose();
            throw new NbdException($"the export {_uri} is another one than it was: it has {connection.Export.Size} bytes, and had {Export.Size}, or can do other things");
        }
        var wasLost = false;
        lock (_gate)
        {
            if (_ending.IsCancellationRequested)
            {
                connection.Dispose();
                throw new NbdException("the connection was closed");
            }
            if (_ready.Count == 0) (wasLost, _lostSince) = (true, 0);
            _ready.Add(connection);
            Monitor.PulseAll(_gate);
        }
        if (wasLost) _reports.Say($"{_uri} is reached again");
        return connection;
    }

    private void Lose(NbdConnection connection)
    {
        var isLast = false;
        lock (_gate)
        {
            _ready.Remove(connection);
            _failure = connection.Failure ?? "the connection was closed";
            if (_ending.IsCancellationRequested) return;
            _lost++;
            if (_ready.Count == 0) (isLast, _lostSince) = (true, Environment.TickCount64);
        }
        if (isLast) _reports.Say($"the connection to {_uri} is lost ({connection.Failure}); it is made again, and what the guest asks for waits up to {_options.Patience.TotalSeconds.ToString("0.#", CultureInfo.InvariantCulture)} s");
    }

    private NbdConnection Take(long? failsAt)
    {
        lock (_gate)
        {
            while (true)
            {
                if (_ending.IsCancellationRequested) throw new NbdException($"the connection to {_uri} is closed");
                if (failsAt is { } time && Environment.TickCount64 >= time) throw Lost();
                if (_ready.Count > 0) return _ready.MinBy(connection => connection.Count)!;
                var left = Math.Min(_lostSince + (long)_options.Patience.TotalMilliseconds, failsAt ?? long.MaxValue) - Environment.TickCount64;
                if (left <= 0) throw Lost();
                Monitor.Wait(_gate, (int)Math.Min(left, int.MaxValue));
            }
        }

        NbdException Lost() => new($"{_uri} cannot be reached: {_failure}");
    }

    private IOException FailureOf(NbdRequest request)
    {
        var what = request.Command switch
        {
            NbdCommand.Read => $"read {request.Length} bytes at {request.Offset}",
            NbdCommand.Write => $"write {request.Length} bytes at {request.Offset}",
            NbdCommand.Flush => "flush",
            NbdCommand.Trim => $"discard {request.Length} bytes at {request.Offset}",
            NbdCommand.WriteZeroes => $"clear {request.Length} bytes at {request.Offset}",
            _ => $"look at what is at {request.Offset}",
        };
        var sentence = $"the server of {_uri} does not {what}: {(request.Message.Length > 0 ? request.Message : Reason(request.Error))}";
        return request.Error == NbdError.NoSpace ? new HostException(sentence) { IsDiskFull = true } : new NbdRefusedException(sentence, request.Error);
    }

    private static string Reason(NbdError error) => error switch
    {
        NbdError.NotPermitted => "it is not permitted",
        NbdError.Io => "it has an I/O error",
        NbdError.NoMemory => "it has no memory",
        NbdError.NoSpace => "it has no space",
        NbdError.TooLarge => "it is too much at once",
        NbdError.NotSupported => "it cannot do that",
        _ => $"it does not take the request (error {(uint)error})",
    };

    private static IReadOnlyList<EndPoint> PlacesOf(NbdUri uri)
    {
        try
        {
            if (uri.SocketPath is { } path) return [new UnixDomainSocketEndPoint(path)];
            IPAddress[] addresses = IPAddress.TryParse(uri.HostName, out var address) ? [address] : Dns.GetHostAddresses(uri.HostName);
            return addresses.Length > 0 ? [.. addresses.Select(one => new IPEndPoint(one, uri.Port))] : throw new SocketException((int)SocketError.HostNotFound);
        }
        catch (Exception unknown) when (unknown is SocketException or ArgumentException)
        {
            throw new HostException($"the host of {uri} is not found: {unknown.Message.TrimEnd('.')}", unknown) { IsOfTheName = true };
        }
    }
}
