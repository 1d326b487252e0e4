using Lamina.Core.Work;

namespace Lamina.Tests.Devices.Virtio;

/// <summary>Workers with threads.</summary>
internal sealed class ThreadWorkers : IWorkerFactory
{
    public IWorker Create(string name, Action work) => new Worker(work);

    private sealed class Worker : IWorker
    {
        private readonly SemaphoreSlim _wakes = new(0);
        private readonly Thread _thread;
        private volatile bool _stopping;

        public Worker(Action work)
        {
            _thread = new Thread(() =>
            {
                while (true)
                {
                    _wakes.Wait();
                    if (_stopping) return;
                    work();
                }
            });
            _thread.Start();
        }

        public void Wake() => _wakes.Release();

        public void Dispose()
        {
            _stopping = true;
            _wakes.Release();
            _thread.Join();
        }
    }
}
