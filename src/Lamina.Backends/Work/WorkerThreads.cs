// Workers on dedicated threads: what devices use for their queues in a running machine.
using Lamina.Core.Work;
using Lamina.Host.Io;
using Lamina.Host.Threads;
using Lamina.Host.Time;

namespace Lamina.Backends.Work;

/// <summary>Gives every worker a thread of its own, which sleeps while there is nothing to do.</summary>
/// <param name="byDescriptor">Whether the host's kernel is to be able to wake them; without it a wake is cheaper.</param>
/// <param name="failed">
/// Told in a sentence of work that threw, on its thread, which goes on; it may come again. Without it such an exception ends the process.
/// </param>
public sealed class WorkerThreads(bool byDescriptor = false, Action<string>? failed = null) : IWorkerFactory
{
    /// <inheritdoc/>
    public IWorker Create(string name, Action work)
    {
        var guarded = Guard.Around(name, work, failed);
        return byDescriptor ? new EventWorker(name, guarded) : new ParkedWorker(name, guarded);
    }

    /// <inheritdoc/>
    public IWorker Create(string name, IPolledWork work)
    {
        Action run = new Polling(work, () => HostTime.MonotonicNanoseconds).Run;
        return work.Place is { } place ? new PlacedWorker(name, Guard.Around(name, run, failed), place) : Create(name, run);
    }

    private abstract class Worker : IWorker
    {
        private readonly Action _work;
        private readonly Thread _thread;
        private volatile bool _stopping;

        protected Worker(string name, Action work)
        {
            _work = work;
            _thread = new Thread(Run) { IsBackground = true, Name = name };
        }

        public abstract void Wake();

        public virtual void Dispose()
        {
            _stopping = true;
            Wake();
            if (Thread.CurrentThread != _thread) _thread.Join();
        }

        protected abstract void Sleep();

        protected void Start() => _thread.Start();

        private void Run()
        {
            // Looked at twice: its own work may have disposed it, and then there is nothing left to sleep on.
            while (!_stopping)
            {
                Sleep();
                if (!_stopping) _work();
            }
        }
    }

    private sealed class ParkedWorker : Worker
    {
        private readonly ThreadParker _parker = new();

        public ParkedWorker(string name, Action work) : base(name, work) => Start();

        public override void Wake() => _parker.Unpark();

        protected override void Sleep() => _parker.Park();
    }

    private sealed class EventWorker : Worker, IWokenByDescriptor
    {
        private readonly EventDescriptor _event = new();

        public EventWorker(string name, Action work) : base(name, work) => Start();

        public int WakeDescriptor => _event.Descriptor;

        public override void Wake() => _event.Set();

        public override void Dispose()
        {
            base.Dispose();
            _event.Dispose();
        }

        protected override void Sleep() => _event.Wait();
    }

    private sealed class PlacedWorker : Worker, IWokenByDescriptor
    {
        private readonly IWorkerPlace _place;

        public PlacedWorker(string name, Action work, IWorkerPlace place) : base(name, work)
        {
            _place = place;
            Start();
        }

        public int WakeDescriptor => _place.WakeDescriptor;

        public override void Wake() => _place.Wake();

        protected override void Sleep() => _place.Sleep();
    }
}
