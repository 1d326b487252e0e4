// Carries out several requests of a device at once, for disks where a request waits for the host's disk rather than for
// its memory. The workers are the machine's; a request belongs to a worker from hand-over to completion.
using System.Collections.Concurrent;
using Lamina.Core.Block;
using Lamina.Core.Work;

namespace Lamina.Devices.Virtio.Block;

/// <summary>A few workers that share a list of requests.</summary>
internal sealed class BlockWorkers : IDisposable
{
    private readonly ConcurrentQueue<(Virtqueue Queue, DescriptorChain Chain)> _requests = new();
    private readonly Action<Virtqueue, DescriptorChain, BlockBuffer> _carryOut;
    private readonly IWorker[] _workers;
    private readonly int[] _inFlight;
    private int _next;

    /// <summary>Makes workers, which sleep.</summary>
    /// <param name="factory">Where they come from.</param>
    /// <param name="count">How many.</param>
    /// <param name="queues">How many queues the device has.</param>
    /// <param name="carryOut">Does a request and completes it.</param>
    internal BlockWorkers(IWorkerFactory factory, int count, int queues, Action<Virtqueue, DescriptorChain, BlockBuffer> carryOut)
    {
        _carryOut = carryOut;
        _inFlight = new int[queues];
        _workers = new IWorker[count];
        for (var i = 0; i < count; i++)
        {
            var buffer = new BlockBuffer();
            _workers[i] = factory.Create($"virtio-block-io-{i}", () => Work(buffer));
        }
    }

    /// <summary>Hands a request over.</summary>
    internal void Add(Virtqueue queue, DescriptorChain chain)
    {
        Interlocked.Increment(ref _inFlight[queue.Index]);
        _requests.Enqueue((queue, chain));
        _workers[(uint)Interlocked.Increment(ref _next) % (uint)_workers.Length].Wake();
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

    private void Work(BlockBuffer buffer)
    {
        while (_requests.TryDequeue(out var request))
        {
            // A queue that was stopped since does not want it any more.
            if (request.Queue.IsLive) _carryOut(request.Queue, request.Chain, buffer);
            Interlocked.Decrement(ref _inFlight[request.Queue.Index]);
        }
    }
}
