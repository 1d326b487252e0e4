// Tells when a case hangs. What counts is the time that its thread has computed, not the time that has passed: on a busy
// machine a case may be kept from running for long. A thread that sleeps instead computes nothing, and hangs as well.
using System.Globalization;

namespace Lamina.Tests.Engine.Conformance.Guest;

/// <summary>Watches the cases of one thread.</summary>
internal sealed class Watchdog : IDisposable
{
    private const int LookMilliseconds = 1000, MostLooksAsleep = 3;

    // proc(5), /proc/PID/task/TID/stat, counted behind the name: the state; user and system time in ticks of 10 ms.
    private const int StateField = 0, UserField = 11, SystemField = 12, MostTicks = 300;

    private readonly Action _hangs;
    private readonly Timer _timer;
    private volatile string _thread = "";
    private long _run, _watched, _began, _last;
    private int _owner, _asleep;
    private volatile bool _running;

    /// <summary>Starts watching.</summary>
    /// <param name="hangs">Called on another thread, again and again, while a case hangs.</param>
    public Watchdog(Action hangs)
    {
        _hangs = hangs;
        _timer = new Timer(_ => Look(), null, LookMilliseconds, LookMilliseconds);
    }

    /// <summary>A case begins, on this thread.</summary>
    public void Begin()
    {
        if (_owner != Environment.CurrentManagedThreadId)
        {
            _owner = Environment.CurrentManagedThreadId;
            _thread = $"/proc/{new FileInfo("/proc/thread-self").LinkTarget}/stat";
        }
        Interlocked.Increment(ref _run);
        _running = true;
    }

    /// <summary>The case has ended.</summary>
    public void End() => _running = false;

    /// <inheritdoc/>
    public void Dispose() => _timer.Dispose();

    private void Look()
    {
        if (!_running) return;
        var run = Interlocked.Read(ref _run);
        var text = File.ReadAllText(_thread);
        var fields = text[(text.LastIndexOf(')') + 2)..].Split(' ');
        var spent = Ticks(UserField) + Ticks(SystemField);
        _asleep = run == _watched && spent == _last && fields[StateField] == "S" ? _asleep + 1 : 0;
        if (run != _watched) (_watched, _began) = (run, spent);
        _last = spent;
        if (_asleep >= MostLooksAsleep || spent - _began >= MostTicks) _hangs();

        long Ticks(int field) => long.Parse(fields[field], CultureInfo.InvariantCulture);
    }
}
