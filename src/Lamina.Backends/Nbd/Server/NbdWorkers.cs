// The threads of one client's requests: as many as it has under way, up to a bound, made as they are needed.
namespace Lamina.Backends.Nbd.Server;

/// <summary>Threads that carry out one piece of work after another.</summary>
/// <param name="most">The most of them, and of pieces that are under way.</param>
internal sealed class NbdWorkers(int most) : IDisposable
{
    private readonly object _gate = new();
    private readonly Queue<Action> _work = new();
    private readonly List<Thread> _threads = [];
    private int _idle, _under;
    private bool _isEnding;

    /// <summary>Has work done, by and by; waits while as much is under way as may be. Work does not throw.</summary>
    internal void Do(Action work)
    {
        lock (_gate)
        {
            while (_under >= most) Monitor.Wait(_gate);
            _under++;
            _work.Enqueue(work);
            if (_idle >= _work.Count) Monitor.PulseAll(_gate);
            else Add();
        }
    }

    /// <summary>Waits until all is done that was to be, and ends the threads.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _isEnding = true;
            Monitor.PulseAll(_gate);
        }
        foreach (var thread in _threads) thread.Join();
    }

    private void Add()
    {
        var thread = new Thread(Run) { IsBackground = true, Name = "nbd request" };
        _threads.Add(thread);
        thread.Start();
    }

    private void Run()
    {
        while (true)
        {
            Action work;
            lock (_gate)
            {
                _idle++;
                while (_work.Count == 0 && !_isEnding) Monitor.Wait(_gate);
                _idle--;
                if (!_work.TryDequeue(out work!)) return;
            }
            work();
            lock (_gate)
            {
                _under--;
                Monitor.PulseAll(_gate);
            }
        }
    }
}
