// Workers on dedicated threads: what devices use for their queues in a running machine.
using Lamina.Core.Work;
using Lamina.Host.Threads;
using Lamina.Host.Time;

namespace Lamina.Backends.Work;

/// <summary>Gives every worker a thread of its own, which sleeps while there is nothing to do.</summary>
public sealed class WorkerThreads : IWorkerFactory
{
    /// <inheritdoc/>
    public IWorker Create(string name, Action work) => new WorkerThread(name, work);

    /// <inheritdoc/>
    public IWorker Create(string name, IPolledWork work) => new WorkerThread(name, new Polling(work, () => HostTime.MonotonicNanoseconds).Run);

    private sealed class WorkerThread : IWorker
    {
        private readonly ThreadParker _parker = new();
        private readonly Action _work;
        private readonly Thread _thread;
        private volatile bool _stopping;

        public WorkerThread(string name, Action work)
        {
            _work = work;
            _thread = new Thread(Run) { IsBackground = true, Name = name };
            _thread.Start();
        }

        public void Wake() => _parker.Unpark();

        public void Dispose()
        {
            _stopping = true;
            _parker.Unpark();
            if (Thread.CurrentThread != _thread) _thread.Join();
        }

        private void Run()
        {
            while (true)
            {
                _parker.Park();
                if (_stopping) return;
                _work();
            }
        }
    }
}
