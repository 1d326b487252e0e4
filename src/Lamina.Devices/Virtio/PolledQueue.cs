// A queue with a worker of its own that may look for buffers by itself (VirtioQueueSpec.Polled): what that worker does.
using Lamina.Core.Work;

namespace Lamina.Devices.Virtio;

internal sealed class PolledQueue(IVirtioDevice device, Virtqueue queue, IUnderWay? underWay) : IPolledWork
{
    public bool IsWaiting => queue.HasBuffers || underWay is { HasEnded: true };

    public IWorkerPlace? Place => underWay?.Place;

    public bool Run()
    {
        underWay?.End();
        lock (queue.Gate) return queue is { IsLive: true, IsPaused: false } && device.ProcessQueue(queue.Index);
    }

    public void Tell() => queue.Signal();

    public bool Rest() => queue.Rest();
}
