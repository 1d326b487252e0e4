// Serves one disk to clients of the NBD protocol: a thread that takes them in, and one for each with those of its requests.
using System.Net.Sockets;
using Lamina.Core.Block;

namespace Lamina.Backends.Nbd.Server;

/// <summary>A server of one disk.</summary>
public sealed class NbdServer : IDisposable
{
    private static readonly TimeSpan LongestFarewell = TimeSpan.FromSeconds(5), BetweenAttempts = TimeSpan.FromMilliseconds(100);

    private readonly ByteDisk _disk;
    private readonly NbdReports _reports;
    private readonly NbdServerOptions _options;
    private readonly object _gate = new();
    private readonly Dictionary<Socket, Thread> _clients = [];
    private bool _isEnding, _hadClient;

    /// <summary>Makes a server.</summary>
    /// <param name="disk">What is served; another's to close, when this is disposed.</param>
    /// <param name="options">How.</param>
    public NbdServer(IBlockBackend disk, NbdServerOptions options)
    {
        ArgumentNullException.ThrowIfNull(disk);
        ArgumentNullException.ThrowIfNull(options);
        (_disk, _options, _reports) = (new ByteDisk(disk), options, new NbdReports(options.Log));
    }

    /// <summary>Serves whoever connects, until that is to end; who is there then is answered what it asked, and hung up on.</summary>
    /// <param name="listener">Where; closed by this.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="IOException">What was written cannot be made durable.</exception>
    public void Serve(Socket listener, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(listener);
        using var own = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        using var ending = own.Token.Register(listener.Dispose);
        try
        {
            while (!own.IsCancellationRequested)
                if (Accept(listener) is { } socket) Take(socket, own);
        }
        catch (Exception closed) when (closed is SocketException or ObjectDisposedException && own.IsCancellationRequested)
        {
            // That is how it ends.
        }
        catch (SocketException refused)
        {
            throw new NbdException($"no client can be taken in any more: {refused.Message}", refused);
        }
        finally
        {
            listener.Dispose();
            HangUp();
        }
        if (!_disk.IsReadOnly) _disk.Flush();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        HangUp();
        _disk.Dispose();
    }

    // Null where that one cannot be had; another may come.
    private static Socket? Accept(Socket listener)
    {
        try
        {
            return listener.Accept();
        }
        catch (SocketException refused) when (refused.SocketErrorCode is SocketError.ConnectionAborted or SocketError.ConnectionReset or SocketError.TooManyOpenSockets or SocketError.NoBufferSpaceAvailable)
        {
            Thread.Sleep(BetweenAttempts);
            return null;
        }
    }

    private void Take(Socket socket, CancellationTokenSource ending)
    {
        var thread = new Thread(() => Run(socket, ending)) { IsBackground = true, Name = "nbd client" };
        lock (_gate)
        {
            if (_isEnding || _clients.Count >= _options.Clients)
            {
                socket.Dispose();
                if (!_isEnding) _reports.Say($"a client was hung up on: there are {_options.Clients} already, which are as many as may be");
                return;
            }
            _clients.Add(socket, thread);
            _hadClient = true;
        }
        thread.Start();
    }

    private void Run(Socket socket, CancellationTokenSource ending)
    {
        try
        {
            if (socket.AddressFamily != AddressFamily.Unix) NbdSocket.Prepare(socket);
            using var session = new NbdSession(_options, _disk, new NetworkStream(socket, ownsSocket: true), socket.Dispose, _reports);
            session.Run();
        }
        catch (Exception gone) when (gone is SocketException or IOException or ObjectDisposedException)
        {
            // It was gone before it was served.
        }
        finally
        {
            socket.Dispose();
            lock (_gate)
            {
                _clients.Remove(socket);
                Monitor.PulseAll(_gate);
                if (_options.EndsWhenLeft && _clients.Count == 0 && _hadClient && !_isEnding) ending.Cancel();
            }
        }
    }

    // No more requests are read; those that were are answered, unless a client does not take its answers.
    private void HangUp()
    {
        lock (_gate)
        {
            _isEnding = true;
            foreach (var socket in _clients.Keys) Quietly(() => socket.Shutdown(SocketShutdown.Receive));
            var until = Environment.TickCount64 + (long)LongestFarewell.TotalMilliseconds;
            while (_clients.Count > 0 && until - Environment.TickCount64 is > 0 and var left) Monitor.Wait(_gate, (int)left);
            foreach (var socket in _clients.Keys) Quietly(socket.Dispose);
            while (_clients.Count > 0) Monitor.Wait(_gate);
        }
    }

    private static void Quietly(Action work)
    {
        try
        {
            work();
        }
        catch (Exception gone) when (gone is SocketException or ObjectDisposedException)
        {
            // It left meanwhile.
        }
    }
}
