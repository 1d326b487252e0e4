// Pauses a machine while writes of its disks wait for space on the host, and looks now and then whether there is some.
using Lamina.Core.Inspection;
using Lamina.Core.Logging;

namespace Lamina.Life;

/// <summary>Watches over the disks of a machine that are to wait for space.</summary>
/// <param name="wait">Pauses the machine (true), lets it go on (false).</param>
/// <param name="log">Told when a disk begins to wait, and when none does any more; or null.</param>
/// <param name="time">When to look again.</param>
/// <param name="changed">Told of each disk that begins to wait (true), or ceases to; or null.</param>
internal sealed class FullDisks(Action<bool> wait, ILog? log, TimeProvider time, Action<string, bool>? changed = null) : IInspected, IDisposable
{
    /// <summary>From one try to the next.</summary>
    internal static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    // A guest can free space and fill it again without end.
    private const int MostReports = 20;

    private readonly Lock _gate = new();
    private readonly Dictionary<string, Action> _full = [];
    private readonly HashSet<string> _told = [];
    private ITimer? _timer;
    private int _reports;
    private bool _disposed;

    /// <summary>A disk begins to wait, or ceases to. Any thread, with locks held.</summary>
    /// <param name="path">The disk's image.</param>
    /// <param name="waits">Which.</param>
    /// <param name="retry">Has it try again; called with no lock held.</param>
    internal void Change(string path, bool waits, Action retry)
    {
        lock (_gate)
        {
            if (_disposed) return;
            if (waits) _full[path] = retry;
            else _full.Remove(path);
            // What is to be done is done on another thread, free of the caller's locks.
            _timer ??= time.CreateTimer(_ => Look(), null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
            _timer.Change(TimeSpan.Zero, Interval);
        }
    }

    /// <summary>The machine ends: from now on nobody is told of space, whatever a disk gives up; what is still waited for is told.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_disposed) return;
            _disposed = true;
            foreach (var path in _full.Keys) log.Warn(LogEvent.DiskSpace, $"the machine ends while the disk {path} waits for space on the host; what the guest wrote last is not on it");
        }
        _timer?.Dispose();
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node) => node.Locked(_gate, () => node.Each("waiting", _full.Keys, static (disk, path) => disk.Say("path", path)));

    private void Look()
    {
        Action[] retries;
        lock (_gate)
        {
            if (_disposed) return;
            foreach (var path in _full.Keys.Where(_told.Add))
            {
                Report($"the host has no space for the disk {path}; the machine stands still until there is some");
                changed?.Invoke(path, true);
            }
            retries = [.. _full.Values];
            if (retries.Length == 0)
            {
                _timer!.Change(Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
                if (_told.Count == 0) return;
                foreach (var path in _told) changed?.Invoke(path, false);
                _told.Clear();
                // There is space, or a reset of the guest's has given up what waited.
                Report("no disk waits for space on the host any more; the machine goes on");
            }
            wait(retries.Length != 0);
        }
        foreach (var retry in retries) retry();
    }

    private void Report(string what)
    {
        if (++_reports <= MostReports) log.Warn(LogEvent.DiskSpace, _reports < MostReports ? what : $"{what}; no more is said of this");
    }
}
