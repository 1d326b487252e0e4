// A queue that a limit may keep waiting: what devices give their gate (FlowGate) when they ask it.
using Lamina.Core.Limits;

namespace Lamina.Devices.Virtio;

/// <summary>A queue in front of a gate.</summary>
/// <param name="host">Whose it is.</param>
/// <param name="index">Its index.</param>
internal sealed class LimitedQueue(IVirtioHost host, int index) : IHeldBack
{
    /// <inheritdoc/>
    public void HoldBack() => host.Queues[index].IsHeldBack = true;

    /// <inheritdoc/>
    public void GoOn()
    {
        host.Queues[index].IsHeldBack = false;
        host.WakeQueue(index);
    }
}
