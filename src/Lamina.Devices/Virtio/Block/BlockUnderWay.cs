// Requests of one queue that the disk carries out by itself, beside the queue's worker. How many there are is known here, so
// that a queue is not stopped while the host may still write into its buffers.
using Lamina.Core.Block;
using Lamina.Core.Work;
using Lamina.Devices.Virtio.Rings;

namespace Lamina.Devices.Virtio.Block;

/// <summary>A queue's requests in a ring.</summary>
/// <param name="ring">The ring; disposed with this.</param>
/// <param name="ended">Completes a request.</param>
internal sealed class BlockUnderWay(IBlockRing ring, Action<DescriptorChain, BlockEnding> ended) : IUnderWay, IDisposable
{
    private int _count;

    /// <inheritdoc/>
    public IWorkerPlace Place => ring;

    /// <inheritdoc/>
    public bool HasEnded => ring.HasEnded;

    /// <summary>Whether there are any.</summary>
    internal bool Any => Volatile.Read(ref _count) != 0;

    /// <summary>Has a request be carried out, after <see cref="Submit"/>; false where the ring cannot.</summary>
    internal bool TryBegin(bool isWrite, ulong offset, BlockBuffer memory, DescriptorChain chain)
    {
        if (!ring.TryBegin(isWrite, offset, memory, chain)) return false;
        Interlocked.Increment(ref _count);
        return true;
    }

    /// <summary>Has those begin that were added.</summary>
    internal void Submit()
    {
        if (Any) ring.Submit();
    }

    /// <inheritdoc/>
    public void End()
    {
        while (ring.TryEnd(out var ending))
        {
            try
            {
                ended((DescriptorChain)ending.Request, ending);
            }
            finally
            {
                Interlocked.Decrement(ref _count);
            }
        }
    }

    /// <summary>Returns when there are none any more, which their worker finds. It takes no new ones meanwhile.</summary>
    internal void Wait()
    {
        var wait = new SpinWait();
        while (Any) wait.SpinOnce();
    }

    /// <inheritdoc/>
    public void Dispose() => ring.Dispose();
}
