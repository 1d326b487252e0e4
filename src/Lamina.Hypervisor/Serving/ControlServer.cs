// The socket at which a machine's process is asked for things: one in the machine's folder, for its owner alone. Each program that
// connects has a session of its own; sessions end with the machine, when what they wait for has been told.
using System.Net.Sockets;
using Lamina.Host;
using Lamina.Host.Io;
using Lamina.Hypervisor.Contract;

namespace Lamina.Hypervisor.Serving;

/// <summary>Listens for programs that ask a machine for something.</summary>
internal sealed class ControlServer : IAsyncDisposable
{
    private static readonly TimeSpan RetryAfter = TimeSpan.FromMilliseconds(50);

    // What sessions have to say when the machine ends is said within this time.
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    private readonly string _path;
    private readonly ServedMachine _machine;
    private readonly Socket _listener;
    private readonly CancellationTokenSource _stop = new();
    private readonly HashSet<Task> _sessions = [];
    private readonly Task _accepts;

    /// <summary>Listens. A socket that a process left behind is replaced: whoever calls this holds the machine's lock.</summary>
    /// <param name="path">Where.</param>
    /// <param name="machine">Who is asked.</param>
    /// <exception cref="HostException">There can be no socket.</exception>
    internal ControlServer(string path, ServedMachine machine)
    {
        (_path, _machine) = (path, machine);
        if (Path.Exists(path) && !HostPath.IsSocket(path)) throw new HostException($"{path} exists and is not a socket; remove it");
        _listener = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            File.Delete(path);
            _listener.Bind(ControlPath.EndPoint(path));
            // Nobody can connect before it listens, so nobody slips in before the mode is right.
            File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            _listener.Listen(ControlSpec.MostClients);
        }
        catch (Exception failure) when (failure is SocketException or IOException or UnauthorizedAccessException)
        {
            _listener.Dispose();
            throw new HostException($"cannot listen at the socket {path}: {failure.Message}", failure);
        }
        // With it the socket's file goes.
        machine.StopsListening = _listener.Dispose;
        _accepts = Task.Run(AcceptAsync);
    }

    /// <summary>Ends all sessions, when those that only have to be told the machine's end have been told, and removes the socket.</summary>
    public async ValueTask DisposeAsync()
    {
        _listener.Dispose();
        await _accepts.ConfigureAwait(false);
        Task[] left;
        lock (_sessions) left = [.. _sessions];
        try
        {
            await Task.WhenAll(left).WaitAsync(Patience).ConfigureAwait(false);
        }
        catch (TimeoutException)
        {
            await _stop.CancelAsync().ConfigureAwait(false);
            await Task.WhenAll(left).ConfigureAwait(false);
        }
        _stop.Dispose();
        // Another process listens there.
        if (_machine.IsHandedOver) return;
        try
        {
            File.Delete(_path);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            // The folder is gone, or is not ours any more: then so is the socket.
        }
    }

    private async Task AcceptAsync()
    {
        while (true)
        {
            Socket client;
            try
            {
                client = await _listener.AcceptAsync().ConfigureAwait(false);
            }
            catch (Exception closed) when (closed is ObjectDisposedException || closed is SocketException { SocketErrorCode: SocketError.OperationAborted or SocketError.Interrupted or SocketError.InvalidArgument or SocketError.NotSocket })
            {
                return;
            }
            catch (SocketException)
            {
                // No descriptor is left, or the client is gone again.
                await Task.Delay(RetryAfter).ConfigureAwait(false);
                continue;
            }
            lock (_sessions)
            {
                if (_sessions.Count >= ControlSpec.MostClients)
                {
                    client.Dispose();
                    continue;
                }
                var session = Task.Run(() => ServeAsync(client));
                _sessions.Add(session);
                _ = session.ContinueWith(ended => Forget(ended), CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
            }
        }
    }

    private void Forget(Task session)
    {
        lock (_sessions) _sessions.Remove(session);
    }

    private async Task ServeAsync(Socket client)
    {
        var stream = new NetworkStream(client, ownsSocket: true);
        await using var owned = stream.ConfigureAwait(false);
        try
        {
            await new ControlSession(stream, _machine).RunAsync(_stop.Token).ConfigureAwait(false);
        }
        catch (Exception gone) when (gone is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // The client went, or the machine did.
        }
    }
}
