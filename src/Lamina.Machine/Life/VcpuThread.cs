// The dedicated thread of one vCPU. It runs the vCPU while it is released and parks it while it is held; every other
// party (the life's queue, the debugger) touches the vCPU's state only while it is parked. The thread decides nothing:
// exits that need a decision are reported, and the thread holds itself until it is released again.
using Lamina.Core.Engine;

namespace Lamina.Life;

/// <summary>Runs one vCPU on a thread of its own.</summary>
internal sealed class VcpuThread : ISharedThread
{
    private static readonly TimeSpan KickInterval = TimeSpan.FromMilliseconds(5);

    private readonly object _gate = new();
    private readonly Action<VcpuThread, VcpuExit, string?> _report;
    private readonly Thread _thread;
    private TaskCompletionSource _parked = Completed();
    private bool _held = true, _quit, _suspended;
    private volatile bool _stands;

    /// <summary>Starts the thread; the vCPU is held.</summary>
    /// <param name="vcpu">The vCPU.</param>
    /// <param name="report">Is told of every exit but kicks, on this thread, which is held from then on.</param>
    /// <param name="share">Takes the thread in before it runs; or null.</param>
    internal VcpuThread(IVcpu vcpu, Action<VcpuThread, VcpuExit, string?> report, CpuShare? share = null)
    {
        (Vcpu, _report) = (vcpu, report);
        _thread = new Thread(() =>
        {
            share?.Enter(this);
            Loop();
            share?.Leave(this);
        })
        { IsBackground = true, Name = $"vcpu {vcpu.Index}" };
        _thread.Start();
    }

    /// <summary>The vCPU.</summary>
    internal IVcpu Vcpu { get; }

    /// <summary>Asks the thread to park the vCPU and returns at once. Any thread, the vCPU's own included.</summary>
    internal void Hold()
    {
        lock (_gate)
        {
            if (_held) return;
            _held = true;
            _parked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            // One that has used its share up stands already.
            Monitor.PulseAll(_gate);
        }
        Vcpu.Kick();
    }

    /// <inheritdoc/>
    public bool Stands => _stands;

    /// <inheritdoc/>
    public void Suspend()
    {
        lock (_gate) _suspended = true;
        if (!_stands) Vcpu.Kick();
    }

    /// <inheritdoc/>
    public void GoOn()
    {
        lock (_gate)
        {
            if (!_suspended) return;
            _suspended = false;
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>Lets the vCPU run.</summary>
    internal void Release()
    {
        lock (_gate)
        {
            if (!_held || _quit) return;
            _held = false;
            _parked = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>Completes when the vCPU is parked; it stays so until it is released.</summary>
    internal async Task ParkAsync()
    {
        Hold();
        Task parked;
        lock (_gate) parked = _parked.Task;
        // A kick that falls between the thread's look at the flag and its entry into the guest is repeated.
        while (await Task.WhenAny(parked, Task.Delay(KickInterval)).ConfigureAwait(false) != parked) Vcpu.Kick();
    }

    /// <summary>Ends the thread; the vCPU is parked for good.</summary>
    internal async Task QuitAsync()
    {
        await ParkAsync().ConfigureAwait(false);
        lock (_gate)
        {
            _quit = true;
            Monitor.PulseAll(_gate);
        }
        _thread.Join();
    }

    private void Loop()
    {
        while (WaitForRelease())
        {
            var (exit, failure) = RunGuarded();
            if (exit == VcpuExit.Kicked) continue;
            lock (_gate) _held = true;
            _report(this, exit, failure);
        }
    }

    // An engine that throws has a bug; the machine ends with its words rather than the process with a stack trace.
    private (VcpuExit Exit, string? Failure) RunGuarded()
    {
        try
        {
            var exit = Vcpu.Run();
            return (exit, exit == VcpuExit.Failed ? Vcpu.Failure : null);
        }
        catch (Exception e)
        {
            return (VcpuExit.Failed, $"vCPU {Vcpu.Index} stopped: {e.Message}");
        }
    }

    // Announces that the vCPU is parked whenever it is held; one that stands since its share is used up is not parked, and may be held
    // meanwhile. False where the thread is to end.
    private bool WaitForRelease()
    {
        lock (_gate)
        {
            while ((_held || _suspended) && !_quit)
            {
                if (_held) _parked.TrySetResult();
                _stands = true;
                Monitor.Wait(_gate);
            }
            _stands = false;
            return !_quit;
        }
    }

    private static TaskCompletionSource Completed()
    {
        var source = new TaskCompletionSource();
        source.SetResult();
        return source;
    }
}
