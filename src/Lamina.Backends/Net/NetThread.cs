// What network backends with a thread of their own share: the thread's life, from Start to Dispose, and the event that
// wakes it. What the thread waits for beside it, and what it does, is each backend's own.
using Lamina.Backends.Work;
using Lamina.Core.Logging;
using Lamina.Core.Net;
using Lamina.Host.Io;

namespace Lamina.Backends.Net;

/// <summary>A network backend with one thread.</summary>
public abstract class NetThread : INetBackend
{
    private readonly Thread _thread;
    private volatile bool _stopping;
    private bool _started, _disposed;

    // Who wants to be told has said so by the time the thread starts.
    private protected NetThread(string name) => _thread = new Thread(() => Guard.Around(name, Run, Failed)()) { IsBackground = true, Name = name };

    /// <inheritdoc/>
    public event Action? LinkChanged;

    /// <summary>Told in a sentence that the thread has ended because its work threw. Without a listener that ends the process.</summary>
    public event Action<string>? Failed;

    /// <summary>Told what became of the other end while the machine runs; set before the start.</summary>
    public ILog? Log { get; set; }

    /// <inheritdoc/>
    public abstract int Mtu { get; }

    /// <inheritdoc/>
    public virtual NetOffloads Offloads => NetOffloads.Checksum | NetOffloads.Tcp4Segmentation | NetOffloads.Tcp6Segmentation | NetOffloads.Ecn;

    /// <inheritdoc/>
    public virtual bool IsLinkUp => true;

    /// <summary>Wakes the thread.</summary>
    private protected EventDescriptor Wake { get; } = new();

    /// <summary>Whether the backend is being disposed.</summary>
    private protected bool IsStopping => _stopping;

    /// <inheritdoc/>
    public abstract void Attach(INetReceiver receiver);

    /// <inheritdoc/>
    public void Start()
    {
        _started = true;
        _thread.Start();
    }

    /// <inheritdoc/>
    public abstract void Send(ReadOnlySpan<byte> frame, in FrameOffload offload);

    /// <inheritdoc/>
    public abstract void Flush();

    /// <inheritdoc/>
    public abstract void OffloadsChanged();

    /// <inheritdoc/>
    public abstract void ReadyToReceive();

    /// <summary>Ends the thread and gives everything back.</summary>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        _stopping = true;
        Stopping();
        Wake.Set();
        if (_started) _thread.Join();
        Close();
        Wake.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>The backend is about to be disposed: lets the thread go on where it waits for something of the backend's own.</summary>
    private protected virtual void Stopping()
    {
    }

    /// <summary>The thread's work; ends soon after <see cref="IsStopping"/> and <see cref="Wake"/> say so.</summary>
    private protected abstract void Run();

    /// <summary>Gives back what the backend holds, as far as its constructor came. The thread has ended.</summary>
    private protected abstract void Close();

    /// <summary>Tells the card; with no lock held.</summary>
    private protected void RaiseLinkChanged() => LinkChanged?.Invoke();

    /// <summary>Tells the user; with no lock held.</summary>
    private protected void Report(string sentence) => Log.Warn(LogEvent.Network, sentence);
}
