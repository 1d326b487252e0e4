// The timers of one machine, served by one thread: a heap of deadlines, and a sleep until the first. Guests arm timers at
// every tick, so arming is a lock and a few moves in the heap; the thread is woken only where a deadline comes before
// the moment it sleeps until. One that goes further away lets it wake once in vain.
using Lamina.Core.Time;
using Lamina.Host.Threads;
using Lamina.Host.Time;

namespace Lamina.Backends.Time;

internal sealed class TimerQueue : IDisposable
{
    private readonly Func<long> _now;
    private readonly Action<string>? _failed;
    private readonly object _gate = new();
    private readonly List<Timer> _heap = [];
    private readonly ThreadParker _parker = new();
    private readonly Thread _thread;

    // Host nanoseconds at the machine's 0, while it runs.
    private long _origin;
    private bool _running;
    private bool _stopping;

    // Whether the thread is in an expiry.
    private bool _expiring;

    // The deadline that the thread will look at the heap again for by itself; while it is awake, the far past.
    private long _planned = long.MinValue;

    /// <summary>Makes an empty, paused queue.</summary>
    /// <param name="now">The machine's monotonic nanoseconds.</param>
    /// <param name="failed">Told in a sentence of an expiry that threw, on the thread, which goes on; without it the process ends.</param>
    internal TimerQueue(Func<long> now, Action<string>? failed = null)
    {
        (_now, _failed) = (now, failed);
        _thread = new Thread(Run) { IsBackground = true, Name = "timers" };
        _thread.Start();
    }

    /// <summary>How often the thread was woken before its time; for tests of how cheap arming is.</summary>
    internal long Wakes { get; private set; }

    internal IDeviceTimer Create(Action expired) => new Timer(this, expired);

    internal void Pause()
    {
        lock (_gate)
        {
            _running = false;
            // The thread may sleep on: it finds out when it wakes.
            while (_expiring && Thread.CurrentThread != _thread) Monitor.Wait(_gate);
        }
    }

    internal void Resume(long origin)
    {
        lock (_gate)
        {
            _origin = origin;
            _running = true;
            _planned = long.MinValue;
        }
        _parker.Unpark();
    }

    public void Dispose()
    {
        lock (_gate) _stopping = true;
        _parker.Unpark();
        if (Thread.CurrentThread != _thread) _thread.Join();
    }

    private void Run()
    {
        HostTime.SleepExactly();
        while (true)
        {
            Timer? due;
            long sleepUntil;
            lock (_gate)
            {
                if (_expiring)
                {
                    _expiring = false;
                    Monitor.PulseAll(_gate);
                }
                if (_stopping) return;
                due = TakeDue(out sleepUntil);
                _expiring = due is not null;
            }
            if (due is not null) Expire(due);
            else _parker.ParkUntil(sleepUntil);
        }
    }

    private void Expire(Timer timer)
    {
        try
        {
            timer.Expire();
        }
        catch (Exception e) when (_failed is not null)
        {
            _failed($"a device's timer stopped: {e.Message}");
        }
    }

    // The first timer whose time has come; else the host's moment to sleep until.
    private Timer? TakeDue(out long sleepUntil)
    {
        sleepUntil = long.MaxValue;
        _planned = long.MinValue;
        if (_running && _heap.Count != 0)
        {
            var first = _heap[0];
            if (first.Deadline <= _now())
            {
                Remove(first);
                return first;
            }
            _planned = first.Deadline;
            // A deadline may be so far that the sum overflows: that is never.
            if (first.Deadline < long.MaxValue - Math.Max(_origin, 0)) sleepUntil = first.Deadline + _origin;
            return null;
        }
        // Paused, the next look is Resume's affair, whatever is armed; running, anything armed comes before never.
        _planned = _running ? long.MaxValue : long.MinValue;
        return null;
    }

    private void Arm(Timer timer, long deadline)
    {
        bool wake;
        lock (_gate)
        {
            if (timer.IsDisposed) return;
            timer.Deadline = deadline;
            if (timer.Slot < 0)
            {
                timer.Slot = _heap.Count;
                _heap.Add(timer);
            }
            MoveUp(timer);
            MoveDown(timer);
            wake = deadline < _planned;
            if (wake)
            {
                _planned = long.MinValue;
                Wakes++;
            }
        }
        if (wake) _parker.Unpark();
    }

    private void Cancel(Timer timer, bool forGood)
    {
        lock (_gate)
        {
            timer.IsDisposed |= forGood;
            if (timer.Slot >= 0) Remove(timer);
        }
    }

    private void Remove(Timer timer)
    {
        var last = _heap[^1];
        _heap.RemoveAt(_heap.Count - 1);
        if (last != timer)
        {
            Place(last, timer.Slot);
            MoveUp(last);
            MoveDown(last);
        }
        timer.Slot = -1;
    }

    private void MoveUp(Timer timer)
    {
        while (timer.Slot > 0 && _heap[(timer.Slot - 1) / 2] is var parent && parent.Deadline > timer.Deadline)
            Swap(timer, parent);
    }

    private void MoveDown(Timer timer)
    {
        while (timer.Slot * 2 + 1 < _heap.Count)
        {
            var child = _heap[timer.Slot * 2 + 1];
            if (child.Slot + 1 < _heap.Count && _heap[child.Slot + 1].Deadline < child.Deadline) child = _heap[child.Slot + 1];
            if (child.Deadline >= timer.Deadline) return;
            Swap(child, timer);
        }
    }

    private void Swap(Timer first, Timer second)
    {
        var slot = first.Slot;
        Place(first, second.Slot);
        Place(second, slot);
    }

    private void Place(Timer timer, int slot)
    {
        timer.Slot = slot;
        _heap[slot] = timer;
    }

    private sealed class Timer(TimerQueue queue, Action expired) : IDeviceTimer
    {
        public long Deadline { get; set; }

        // Its place in the heap; negative while it is not armed.
        public int Slot { get; set; } = -1;

        public bool IsDisposed { get; set; }

        public void Arm(long deadlineNanoseconds) => queue.Arm(this, deadlineNanoseconds);

        public void Cancel() => queue.Cancel(this, forGood: false);

        public void Dispose() => queue.Cancel(this, forGood: true);

        public void Expire() => expired();
    }
}
