// Carries out several requests of a device at once: those that wait for the host's disk, and reads so large that copying
// them is work for more than one processor. The workers are the machine's, made as they are needed; a request belongs to a
// worker from hand-over to completion.
using Lamina.Core.Block;
using Lamina.Core.Work;
using Lamina.Devices.Virtio.Rings;

namespace Lamina.Devices.Virtio.Block;

/// <summary>A few workers that share a list of requests.</summary>
internal sealed class BlockWorkers : IDisposable
{
    private readonly record struct Request(Virtqueue Queue, DescriptorChain Chain);

    private readonly IWorkerFactory _factory;
    private readonly Action<Virtqueue, DescriptorChain, BlockBuffer> _carryOut;
    private readonly int _most;
    private readonly int[] _inFlight;

    // Guards the three lists. A worker is idle, or it will look for requests again before it is.
    private readonly Lock _gate = new();
    private readonly Queue<Request> _requests = [];
    private readonly List<IWorker> _workers = [];
    private readonly Stack<IWorker> _idle = [];

    /// <summary>Makes a list without workers.</summary>
    /// <param name="factory">Where they come from.</param>
    /// <param name="most">How many there may be.</param>
    /// <param name="queues">How many queues the device has.</param>
    /// <param name="carryOut">Does a request and completes it.</param>
    internal BlockWorkers(IWorkerFactory factory, int most, int queues, Action<Virtqueue, DescriptorChain, BlockBuffer> carryOut)
    {
        (_factory, _most, _carryOut) = (factory, most, carryOut);
        _inFlight = new int[queues];
    }

    /// <summary>Hands a request over. Nobody disposes this meanwhile.</summary>
    internal void Add(Virtqueue queue, DescriptorChain chain)
    {
        Interlocked.Increment(ref _inFlight[queue.Index]);
        IWorker? worker;
        lock (_gate)
        {
            _requests.Enqueue(new Request(queue, chain));
            if (!_idle.TryPop(out worker) && _workers.Count < _most) _workers.Add(worker = Create());
        }
        worker?.Wake();
    }

    /// <summary>Returns when no request of a queue is worked on any more. The queue takes no new ones meanwhile.</summary>
    internal void WaitFor(int queue)
    {
        var wait = new SpinWait();
        while (Volatile.Read(ref _inFlight[queue]) != 0) wait.SpinOnce();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var worker in _workers) worker.Dispose();
    }

    private IWorker Create()
    {
        var buffer = new BlockBuffer();
        IWorker? self = null;
        return self = _factory.Create($"virtio-block-io-{_workers.Count}", () => Work(self!, buffer));
    }

    private void Work(IWorker self, BlockBuffer buffer)
    {
        while (TryTake(self, out var request))
        {
            try
            {
                // A queue that was stopped since does not want it any more.
                if (request.Queue.IsLive) _carryOut(request.Queue, request.Chain, buffer);
            }
            finally
            {
                Interlocked.Decrement(ref _inFlight[request.Queue.Index]);
            }
        }
    }

    private bool TryTake(IWorker self, out Request request)
    {
        lock (_gate)
        {
            if (_requests.TryDequeue(out request)) return true;
            _idle.Push(self);
            return false;
        }
    }
}
