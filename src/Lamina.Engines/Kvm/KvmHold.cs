// Keeps all vCPUs of a machine out of the guest while something is done that none of them may see half done: the kernel has no request
// for that. A vCPU that is in the guest is called out of it and waits before it enters the next time; what its thread does meanwhile goes on.
using Lamina.Host.Threads;

namespace Lamina.Engines.Kvm;

/// <summary>Holds vCPUs.</summary>
/// <param name="vcpus">All; complete before the first of them runs.</param>
internal sealed class KvmHold(IReadOnlyList<KvmVcpu> vcpus)
{
    // Who waits for a vCPU to come out, and the vCPUs that wait to enter.
    private readonly ThreadSignal _arrivals = new(), _goes = new();
    private readonly Lock _gate = new();
    private volatile bool _isHeld;

    /// <summary>Whether vCPUs are to stay out. A vCPU asks when it has said that it enters.</summary>
    internal bool IsHeld => _isHeld;

    /// <summary>Waits until they may enter.</summary>
    internal void Wait() => _goes.WaitUntil(static hold => !hold._isHeld, this);

    /// <summary>A vCPU has come out of the guest, and says so with a full barrier before this.</summary>
    internal void Arrived()
    {
        if (_isHeld) _arrivals.Signal();
    }

    /// <summary>Does something while no vCPU is in the guest. Any thread, a vCPU's too.</summary>
    internal void While(Action action)
    {
        lock (_gate)
        {
            _isHeld = true;
            Interlocked.MemoryBarrier();
            try
            {
                foreach (var vcpu in vcpus)
                {
                    if (vcpu.IsInGuest) vcpu.CallOut();
                    _arrivals.WaitUntil(static vcpu => !vcpu.IsInGuest, vcpu);
                }
                action();
            }
            finally
            {
                _isHeld = false;
                Interlocked.MemoryBarrier();
                _goes.Signal();
            }
        }
    }
}
