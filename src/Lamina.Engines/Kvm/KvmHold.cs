// Keeps all vCPUs of a machine out of the guest while something is done that none of them may see half done: the kernel has no request
// for that. A vCPU that is in the guest is called out of it and waits before it enters the next time; what its thread does meanwhile goes on.
namespace Lamina.Engines.Kvm;

/// <summary>Holds vCPUs.</summary>
/// <param name="vcpus">All; complete before the first of them runs.</param>
internal sealed class KvmHold(IReadOnlyList<KvmVcpu> vcpus)
{
    private readonly ManualResetEventSlim _go = new(true);
    private readonly Lock _gate = new();
    private volatile bool _isHeld;

    /// <summary>Whether vCPUs are to stay out. A vCPU asks when it has said that it enters.</summary>
    internal bool IsHeld => _isHeld;

    /// <summary>Waits until they may enter.</summary>
    internal void Wait() => _go.Wait();

    /// <summary>Does something while no vCPU is in the guest. Any thread, a vCPU's too.</summary>
    internal void While(Action action)
    {
        lock (_gate)
        {
            _go.Reset();
            _isHeld = true;
            Interlocked.MemoryBarrier();
            try
            {
                foreach (var vcpu in vcpus)
                {
                    var spin = new SpinWait();
                    while (vcpu.IsInGuest)
                    {
                        vcpu.CallOut();
                        spin.SpinOnce(sleep1Threshold: 100);
                    }
                }
                action();
            }
            finally
            {
                _isHeld = false;
                _go.Set();
            }
        }
    }
}
