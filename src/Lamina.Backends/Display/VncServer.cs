// A VNC server for one machine's screen: listens at a TCP port or a Unix socket and serves a few viewers at a time. What a viewer sends
// is believed in nothing: one that says what it must not, or takes nothing, loses its connection, and the machine hears nothing of it.
using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Net.WebSockets;
using System.Security.Authentication;
using Lamina.Backends.Work;
using Lamina.Core.Display;
using Lamina.Core.Input;
using Lamina.Core.Inspection;
using Lamina.Core.Logging;
using Lamina.Host;

namespace Lamina.Backends.Display;

/// <summary>How a screen is served.</summary>
public sealed record VncOptions
{
    /// <summary>What viewers show as a title.</summary>
    public required string Name { get; init; }

    /// <summary>Where it listens: an <see cref="IPEndPoint"/> (port 0 picks one) or a <see cref="UnixDomainSocketEndPoint"/>.</summary>
    public required EndPoint Address { get; init; }

    /// <summary>Where it listens for viewers in browsers, which speak WebSocket; port 0 picks one. Null: nowhere.</summary>
    public IPEndPoint? WebSocket { get; init; }

    /// <summary>The origin of the pages that may look by WebSocket, beside those of this host's own addresses; or null.</summary>
    public string? WebSocketOrigin { get; init; }

    /// <summary>By which the screen proves who it is, and is served over TLS alone; null for no TLS.</summary>
    public SslStreamCertificateContext? Certificate { get; init; }

    /// <summary>What viewers must know; null: nothing.</summary>
    public ReadOnlyMemory<byte>? Password { get; init; }

    /// <summary>Where keys go; null where there is no keyboard.</summary>
    public IKeyboardInput? Keyboard { get; init; }

    /// <summary>Where the pointer goes; null where there is none.</summary>
    public IScreenPointer? Pointer { get; init; }

    /// <summary>Takes what there is to say; or null.</summary>
    public ILog? Log { get; init; }

    /// <summary>How long a viewer may take for its greeting, and for taking what it was sent.</summary>
    public TimeSpan Patience { get; init; } = TimeSpan.FromSeconds(30);
}

/// <summary>Serves a screen.</summary>
public sealed class VncServer : IListener, IInspected, ICounted, IDisposable
{
    /// <summary>How many viewers there can be at once; one more is hung up on.</summary>
    public const int MostViewers = 16;

    // Of passwords, one guess a second, however many connections there are.
    private static readonly TimeSpan BetweenGuesses = TimeSpan.FromSeconds(1);

    private readonly Lock _gate = new();
    private readonly VncOptions _options;
    private readonly IScreen _screen;
    private readonly Socket _listener;
    private readonly Socket? _webListener;
    private readonly SocketFile? _file;
    private readonly SemaphoreSlim _guessing = new(1, 1);
    private readonly CancellationTokenSource _ends = new();
    private readonly Dictionary<VncConnection, Task> _viewers = [];
    private readonly Task _accepting;
    private long _accepted;
    private bool _disposed;

    /// <summary>Listens.</summary>
    /// <param name="screen">What is shown.</param>
    /// <param name="options">How.</param>
    /// <exception cref="HostException">The place cannot be had.</exception>
    public VncServer(IScreen screen, VncOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        (_screen, _options) = (screen, options);
        var path = options.Address is UnixDomainSocketEndPoint unix ? unix.ToString() : null;
        if (options.WebSocket is { } place) _webListener = Listen(place, null);
        try
        {
            _listener = Listen(options.Address, path);
        }
        catch
        {
            _webListener?.Dispose();
            throw;
        }
        if (path is not null) _file = new SocketFile(path);
        Address = path is null ? _listener.LocalEndPoint!.ToString()! : path;
        WebSocketAddress = _webListener?.LocalEndPoint!.ToString();
        _accepting = Task.WhenAll(Task.Run(() => AcceptAsync(_listener)), _webListener is null ? Task.CompletedTask : Task.Run(() => AcceptAsync(_webListener)));
    }

    /// <summary>Where it listens: an address with the port that it has, or a path.</summary>
    public string Address { get; }

    /// <summary>Where it listens for WebSocket: an address with the port that it has; null for nowhere.</summary>
    public string? WebSocketAddress { get; }

    /// <inheritdoc/>
    SocketFile? IListener.Socket => _disposed ? null : _file;

    /// <inheritdoc/>
    public void Inspect(InspectNode node)
    {
        ArgumentNullException.ThrowIfNull(node);
        node.Kind = "VNC server";
        node.Say("address", Address);
        if (WebSocketAddress is { } web) node.Say("WebSocket", web);
        node.Say("TLS", _options.Certificate is not null);
        node.Say("password", _options.Password is not null);
        node.Locked(_gate, () => node.Each("viewer", _viewers.Keys, static (below, viewer) => viewer.Inspect(below)));
    }

    /// <inheritdoc/>
    public void Count(CounterList counters)
    {
        ArgumentNullException.ThrowIfNull(counters);
        lock (_gate)
        {
            counters.Total("viewers_accepted", _accepted, "viewers that connected to the screen");
            counters.Now("viewers", _viewers.Count, "viewers that are connected to the screen");
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Task[] viewers;
        lock (_gate)
        {
            if (_disposed) return;
            _disposed = true;
            viewers = [.. _viewers.Values];
        }
        _ends.Cancel();
        _listener.Dispose();
        _webListener?.Dispose();
        _accepting.Wait();
        Task.WaitAll(viewers);
        _file?.Delete();
        _ends.Dispose();
        _guessing.Dispose();
    }

    /// <summary>Whether a viewer knows the password.</summary>
    internal async Task<bool> CheckAsync(byte[] challenge, byte[] answer, CancellationToken cancellationToken)
    {
        if (_options.Password is not { } password) return true;
        await _guessing.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            if (VncPassword.IsRight(password.Span, challenge, answer)) return true;
            await Task.Delay(BetweenGuesses, cancellationToken).ConfigureAwait(false);
            return false;
        }
        finally
        {
            _guessing.Release();
        }
    }

    /// <summary>A viewer wants the screen for itself: the others go.</summary>
    internal void EndOthers(VncConnection viewer)
    {
        lock (_gate)
        {
            foreach (var other in _viewers.Keys.Where(other => other != viewer && other.IsGreeted)) other.End();
        }
    }

    private static Socket Listen(EndPoint address, string? path)
    {
        if (path is not null)
        {
            SocketFile.Check(path);
            SocketFile.RemoveStale(path);
        }
        var listener = path is null ? new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) : new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        try
        {
            listener.Bind(address);
            if (path is not null) File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserWrite);
            listener.Listen(MostViewers);
            return listener;
        }
        catch (Exception refused) when (refused is SocketException or IOException or UnauthorizedAccessException)
        {
            listener.Dispose();
            throw new HostException($"the screen cannot be served at {address}: {refused.Message}; choose another place", refused);
        }
    }

    private async Task AcceptAsync(Socket listener)
    {
        while (!_ends.IsCancellationRequested)
        {
            try
            {
                var client = await listener.AcceptAsync(_ends.Token).ConfigureAwait(false);
                if (!TryServe(client, isWebSocket: listener == _webListener)) client.Dispose();
            }
            catch (Exception ended) when (ended is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
            catch (SocketException)
            {
                // It was gone before it was answered; or no descriptor is left, and one is let in later.
                await Task.Delay(TimeSpan.FromMilliseconds(50)).ConfigureAwait(false);
            }
        }
    }

    private bool TryServe(Socket client, bool isWebSocket)
    {
        lock (_gate)
        {
            if (_disposed || _viewers.Count >= MostViewers) return false;
            if (client.AddressFamily != AddressFamily.Unix) client.NoDelay = true;
            _accepted++;
            var viewer = new VncConnection(this, client, isWebSocket, _screen, _options);
            _viewers.Add(viewer, Task.Run(() => ServeAsync(viewer)));
            return true;
        }
    }

    private async Task ServeAsync(VncConnection viewer)
    {
        try
        {
            await viewer.RunAsync(_ends.Token).ConfigureAwait(false);
        }
        catch (Exception ended) when (ended is IOException or SocketException or WebSocketException or AuthenticationException or OperationCanceledException or ObjectDisposedException or RfbException)
        {
            if (ended is RfbException wrong) _options.Log.Trace(LogEvent.Socket, $"a viewer was hung up on: {wrong.Message}");
        }
        finally
        {
            viewer.Dispose();
            lock (_gate) _viewers.Remove(viewer);
        }
    }
}

/// <summary>A viewer says what it must not; the message is the end of a sentence.</summary>
internal sealed class RfbException(string message) : Exception(message);
