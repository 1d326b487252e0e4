// Host's ends of a guest's sockets as Unix sockets, as Firecracker has them: programs of the host connect to PATH and say
// "CONNECT PORT", to which the answer is "OK PORT" with the port of their own end; a guest that connects to a port of the
// host's reaches what listens at PATH_PORT.
using System.Globalization;
using System.Net.Sockets;
using System.Text;
using Lamina.Backends.Net.Switch;
using Lamina.Backends.Work;
using Lamina.Core.Inspection;
using Lamina.Core.Sockets;
using Lamina.Host;
using Lamina.Host.Io;

namespace Lamina.Backends.Vsock;

/// <summary>Connects a guest's sockets with Unix sockets.</summary>
public sealed class UnixSocketHost : ISocketHost, IInspected, IListener, IDisposable
{
    // A port has at most ten digits.
    private const int LongestRequest = 32;
    private const string Request = "CONNECT ";

    // Clients that have not yet said what they want.
    private const int MostGreetings = 64;
    private const int RetryMilliseconds = 50;

    /// <summary>How long a client has to say what it wants.</summary>
    internal TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>The most bytes that are read ahead of a guest on each connection.</summary>
    public const long BytesPerConnection = 2 * UnixStream.MostRead;

    private readonly string _path;
    private readonly Action<string>? _failed;
    private readonly UnixSocketPath _socketPath;
    private readonly HostLock _lock;
    private readonly Socket _listener;
    private readonly CancellationTokenSource _end = new();
    private readonly SemaphoreSlim _greetings = new(MostGreetings);
    private ISocketGuest? _guest;

    /// <summary>Listens at a path, replacing a socket that a process left behind; the socket is for its owner alone.</summary>
    /// <param name="path">Where the socket is made.</param>
    /// <param name="failed">Told in a sentence that work of the backend's has ended because it threw; without it nobody is.</param>
    /// <exception cref="HostException">The path is in use, or there can be no socket.</exception>
    public UnixSocketHost(string path, Action<string>? failed = null)
    {
        (_path, _failed) = (Path.GetFullPath(path), failed);
        _socketPath = new UnixSocketPath(path);
        _lock = _socketPath.TryLock() ?? throw new HostException($"the socket {_path} is in use by another machine; choose another path or end that machine");
        try
        {
            _listener = _socketPath.Listen();
        }
        catch
        {
            _lock.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    SocketFile? IListener.Socket => _socketPath.Bound;

    /// <inheritdoc/>
    public void Inspect(InspectNode node)
    {
        node.Kind = "Unix sockets";
        node.Say("path", _path);
        node.Say("clients that have not said what they want", MostGreetings - _greetings.CurrentCount);
    }

    /// <inheritdoc/>
    public void Attach(ISocketGuest guest)
    {
        _guest = guest;
        _ = Begin(ListenAsync);
    }

    /// <inheritdoc/>
    public IHostStream? Connect(uint port)
    {
        Socket? socket = null;
        try
        {
            socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { Blocking = false };
            // A listener whose line is full refuses, rather than to keep the guest's other connections waiting.
            socket.Connect(new UnixDomainSocketEndPoint(string.Create(CultureInfo.InvariantCulture, $"{_path}_{port}")));
            return Start(socket);
        }
        catch (Exception refused) when (refused is SocketException or ArgumentException)
        {
            socket?.Dispose();
            return null;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _end.Cancel();
        _listener.Dispose();
        _socketPath.Delete();
        _lock.Dispose();
    }

    private UnixStream Start(Socket socket)
    {
        var stream = new UnixStream(socket, _guest!.Ready);
        _ = Begin(stream.ReceiveAsync);
        _ = Begin(stream.SendAsync);
        return stream;
    }

    private Task Begin(Func<Task> work) => Task.Run(() => Guard.AroundAsync("vsock", work, _failed));

    private async Task ListenAsync()
    {
        try
        {
            while (true)
            {
                await _greetings.WaitAsync(_end.Token).ConfigureAwait(false);
                var client = await AcceptAsync().ConfigureAwait(false);
                _ = Begin(() => GreetAsync(client));
            }
        }
        catch (Exception over) when (over is OperationCanceledException or ObjectDisposedException)
        {
            // The machine has ended.
        }
    }

    private async Task<Socket> AcceptAsync()
    {
        while (true)
        {
            try
            {
                return await _listener.AcceptAsync(_end.Token).ConfigureAwait(false);
            }
            catch (SocketException)
            {
                // It was gone before it was answered; or no descriptor is left, and it is let in later.
            }
            await Task.Delay(RetryMilliseconds, _end.Token).ConfigureAwait(false);
        }
    }

    private async Task GreetAsync(Socket client)
    {
        try
        {
            if (await ReadPortAsync(client).ConfigureAwait(false) is { } port)
            {
                var stream = Start(client);
                if (_guest!.Connect(port, stream)) return;
                stream.Dispose();
            }
            client.Dispose();
        }
        catch (Exception failure) when (failure is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            client.Dispose();
        }
        finally
        {
            _greetings.Release();
        }
    }

    // Byte by byte: what stands behind the line is the guest's.
    private async Task<uint?> ReadPortAsync(Socket client)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(_end.Token);
        patience.CancelAfter(Patience);
        var line = new byte[LongestRequest];
        for (var length = 0; length < line.Length; length++)
        {
            if (await client.ReceiveAsync(line.AsMemory(length, 1), patience.Token).ConfigureAwait(false) == 0) return null;
            if (line[length] != '\n') continue;
            var text = Encoding.ASCII.GetString(line, 0, length).TrimEnd('\r');
            return text.StartsWith(Request, StringComparison.OrdinalIgnoreCase) && uint.TryParse(text.AsSpan(Request.Length), NumberStyles.None, CultureInfo.InvariantCulture, out var port) ? port : null;
        }
        return null;
    }
}
