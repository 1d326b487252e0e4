// Looks now and then whether the sockets at which a machine listens can still be found, and tells of each that cannot, once: the host
// tells nobody that a socket's file or its folder has been removed.
using Lamina.Backends.Work;
using Lamina.Core.Inspection;
using Lamina.Core.Logging;

namespace Lamina.Life;

/// <summary>Watches the files of a machine's sockets.</summary>
/// <param name="time">When to look.</param>
internal sealed class SocketWatch(TimeProvider time) : IInspected, IDisposable
{
    /// <summary>From one look to the next.</summary>
    internal static readonly TimeSpan Interval = TimeSpan.FromSeconds(5);

    private readonly Lock _gate = new();
    private readonly List<(IListener Listener, ILog Log)> _watched = [];
    private readonly HashSet<SocketFile> _told = [];
    private ITimer? _timer;
    private bool _disposed;

    /// <summary>Watches one more.</summary>
    /// <param name="listener">What listens.</param>
    /// <param name="log">What the part writes to that it belongs to.</param>
    internal void Add(IListener listener, ILog log)
    {
        lock (_gate)
        {
            _watched.Add((listener, log));
            _timer ??= time.CreateTimer(_ => Look(), null, Interval, Interval);
        }
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node) => node.Locked(_gate, () => node.Each("socket", _watched, static (of, watched) =>
    {
        if (watched.Listener.Socket is not { } socket) return;
        of.Say("path", socket.Path);
        of.Say("is there", socket.IsThere);
    }));

    /// <summary>When this returns nothing is told any more: sockets go with the machine.</summary>
    public void Dispose()
    {
        lock (_gate) _disposed = true;
        _timer?.Dispose();
    }

    private void Look()
    {
        lock (_gate)
        {
            if (_disposed) return;
            foreach (var (listener, log) in _watched)
                if (listener.Socket is { IsThere: false } gone && _told.Add(gone))
                    log.Warn(LogEvent.Socket, $"the socket {gone.Path} is gone; who is connected stays, and nobody else can connect until the machine is started again");
        }
    }
}
