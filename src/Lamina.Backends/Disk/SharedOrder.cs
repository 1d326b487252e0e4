// Who may work on a file beside others, and who must be alone. Unlike .NET's lock of that kind it may be entered on one
// thread and left on another, as a request under way is.
namespace Lamina.Backends.Disk;

/// <summary>A lock that many share or one has alone. Who waits to be alone goes before those who come later.</summary>
internal sealed class SharedOrder
{
    private readonly object _gate = new();
    private int _shared, _waiting;
    private bool _alone;

    /// <summary>Enters beside others.</summary>
    internal void EnterShared()
    {
        lock (_gate)
        {
            while (_alone || _waiting > 0) Monitor.Wait(_gate);
            _shared++;
        }
    }

    /// <summary>Enters beside others where that needs no wait.</summary>
    internal bool TryEnterShared()
    {
        lock (_gate)
        {
            if (_alone || _waiting > 0) return false;
            _shared++;
            return true;
        }
    }

    /// <summary>Ends one entry beside others; any thread.</summary>
    internal void ExitShared()
    {
        lock (_gate)
        {
            if (--_shared == 0) Monitor.PulseAll(_gate);
        }
    }

    /// <summary>Enters alone.</summary>
    internal void EnterAlone()
    {
        lock (_gate)
        {
            _waiting++;
            while (_alone || _shared > 0) Monitor.Wait(_gate);
            _waiting--;
            _alone = true;
        }
    }

    /// <summary>Ends an entry alone.</summary>
    internal void ExitAlone()
    {
        lock (_gate)
        {
            _alone = false;
            Monitor.PulseAll(_gate);
        }
    }
}
