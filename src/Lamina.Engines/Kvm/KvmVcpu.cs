// One vCPU in the kernel: its thread's loop of entries and what others ask of it from outside. KvmVcpu.Exits handles what the
// guest left for, KvmVcpu.Interrupts brings interrupts, KvmVcpu.State copies the architectural state, KvmVcpu.Debug serves a debugger.
using Lamina.Core.Engine;
using Lamina.Core.Logging;
using Lamina.Core.Time;
using Lamina.Engines.X86;
using Lamina.Engines.X86.Cpuid;
using Lamina.Engines.X86.Msr;
using Lamina.Host;
using Lamina.Host.Threads;
using static Lamina.Engines.Kvm.KvmApi;

namespace Lamina.Engines.Kvm;

internal sealed unsafe partial class KvmVcpu : IVcpu
{
    // A thousandth of a second.
    private const ulong TscTolerance = 1000;

    private readonly DeviceFile _vcpu;
    private readonly kvm_run* _run;
    private readonly IVcpuBus _bus;
    private readonly KvmMachine _machine;
    private readonly CpuModel _model;
    private readonly KvmMsrs _msrs;
    private readonly IMachineClock _clock;
    private readonly IHostTscClock? _hostTsc;
    private readonly ILog? _log;
    private readonly ThreadParker _parker = new();
    private readonly ShortSleeps _sleeps = new();
    private readonly Lock _gate = new();
    private readonly bool _hasTscOffset;
    private readonly KvmDirtyRings.Ring? _dirtyRing;

    private volatile ThreadInterrupt? _thread;
    private readonly EventLatch _events;
    private int _inGuest, _changesSeen;
    private ulong _tscOffset;
    private bool _disposed;
    private bool _tscStale = true;

    /// <summary>The last exit left an instruction half done: the kernel finishes it at the next entry.</summary>
    private bool _unfinished;

    internal KvmVcpu(VcpuOptions options, KvmMachine machine, DeviceFile vcpu, int mappingLength)
    {
        (Index, _bus, _apic, _kernelIrqchip, _machine, _vcpu) = (options.Index, options.Bus, options.Apic, machine.KernelIrqchip, machine, vcpu);
        _events = new EventLatch(isBootstrap: Index == 0);
        _model = machine.Cpu.Model;
        _clock = machine.Options.Clock;
        _hostTsc = _clock as IHostTscClock;
        _log = options.Log;
        _msrs = new KvmMsrs(machine.Options, options.Apic, _model);
        try
        {
            _run = (kvm_run*)vcpu.Map(mappingLength);
            _dirtyRing = machine.DirtyRings?.Attach(vcpu);
            machine.Cpu.SetCpuid(vcpu, Index);
            var attribute = new kvm_device_attr { group = KVM_VCPU_TSC_CTRL, attr = KVM_VCPU_TSC_OFFSET };
            _hasTscOffset = vcpu.Request(KVM_HAS_DEVICE_ATTR, &attribute) == 0;
            var state = new VcpuState();
            ResetStates.Reset(state, _model, Index);
            _msrs.Save(state.Msrs);
            SetState(state);
            if (_kernelIrqchip is not null) _resetApic = GetLocalApic();
        }
        catch
        {
            vcpu.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    public int Index { get; }

    /// <inheritdoc/>
    public string? Failure { get; private set; }

    /// <inheritdoc/>
    public VcpuExit Run()
    {
        _thread ??= new ThreadInterrupt();
        try
        {
            return Loop();
        }
        catch (HostException exception)
        {
            return Fail(exception.Message);
        }
    }

    // ---- from other threads ----

    /// <inheritdoc/>
    public void Kick()
    {
        _events.AskKick();
        Wake();
    }

    /// <inheritdoc/>
    public void InterruptPending() => Wake();

    /// <inheritdoc/>
    public void NonMaskableInterrupt()
    {
        _events.AskNmi();
        Wake();
    }

    /// <inheritdoc/>
    public void Init()
    {
        _events.AskInit();
        Wake();
    }

    /// <inheritdoc/>
    public void StartUp(byte vector)
    {
        _events.AskStartUp(vector);
        Wake();
    }

    /// <summary>Whether its thread is in the guest, or about to be.</summary>
    internal bool IsInGuest => Volatile.Read(ref _inGuest) != 0;

    /// <summary>Has its thread leave the guest.</summary>
    internal void CallOut() => Wake();

    /// <summary>Has the vCPU's thread look again: out of the guest, before it enters it, or out of its sleep.</summary>
    private void Wake()
    {
        // The gate keeps the shared memory mapped meanwhile.
        lock (_gate)
        {
            if (_disposed) return;
            Volatile.Write(ref _run->immediate_exit, 1);
            Interlocked.MemoryBarrier();
            if (Volatile.Read(ref _inGuest) != 0) _thread!.Send();
        }
        _parker.Unpark();
    }

    // ---- on the vCPU's thread ----

    private VcpuExit Loop()
    {
        while (true)
        {
            if (Volatile.Read(ref _run->immediate_exit) != 0)
            {
                // Whoever asks for something afterwards sets it again, and the entry returns at once.
                Volatile.Write(ref _run->immediate_exit, 0);
                Interlocked.MemoryBarrier();
            }
            if (HandleRequests() is { } exit) return exit;
            if (_events.Activity == VcpuActivity.WaitForStartUp || (_events.Activity == VcpuActivity.Halted && !WakesFromHalt()))
            {
                _sleeps.Park(_parker);
                continue;
            }
            if (_stepUnfinished || (_readinessStale && HasInterrupt))
            {
                // Nothing is executed: what is half done is finished, and the kernel says whether the guest takes an interrupt now.
                Volatile.Write(ref _run->immediate_exit, 1);
            }
            else
            {
                PrepareDebug();
                Inject();
                SynchronizeTsc();
                if (_apicBaseStale) UpdateApicBase();
            }
            if (Enter() is { } left) return left;
        }
    }

    /// <summary>Enters the guest once, and handles why it was left.</summary>
    private VcpuExit? Enter()
    {
        var priority = _apic?.TaskPriority ?? 0;
        _run->cr8 = priority;
        // KVM_RUN takes a lock before it looks at immediate_exit, and so orders this store before that load.
        Interlocked.Exchange(ref _inGuest, 1);
        while (_machine.Hold.IsHeld)
        {
            LeaveGuest();
            _machine.Hold.Wait();
            Interlocked.Exchange(ref _inGuest, 1);
        }
        _changesSeen = _machine.Memory.Changes;
        var result = _vcpu.Request(KVM_RUN);
        LeaveGuest();
        (_unfinished, _readinessStale) = (false, false);
        if (_apic is not null && _run->cr8 != priority) _apic.TaskPriority = (byte)_run->cr8;
        return result switch
        {
            >= 0 => HandleExit(),
            -DeviceFile.Interrupted or -DeviceFile.Again => Interrupted(),
            _ => Fail(FailureReport.Sentence(-result, Index)),
        };
    }

    private void LeaveGuest()
    {
        Interlocked.Exchange(ref _inGuest, 0);
        _machine.Hold.Arrived();
    }

    /// <summary>Kicks, INIT, start-up and NMIs. What else was asked for together with a kick is looked at when the vCPU runs again.</summary>
    private VcpuExit? HandleRequests()
    {
        if (_events.IsKicked)
        {
            if (Settle() is { } exit) return exit;
            _events.TryTakeKick();
            return VcpuExit.Kicked;
        }
        if (_events.HasReset)
        {
            if (Settle() is { } exit) return exit;
            AcceptReset();
        }
        if (_events.Activity != VcpuActivity.WaitForStartUp && _events.TryTakeNmi()) HandNmi();
        return null;
    }

    /// <summary>Brings the vCPU between two instructions: what the last exit left half done is finished.</summary>
    // An event that the kernel has taken and not delivered stays with it, and is told with the state (GetState). Stepping the guest until it is delivered would put the trap flag,
    // by which the kernel steps, into the flags that the event saves on the guest's stack.
    private VcpuExit? Settle()
    {
        while (_unfinished)
        {
            Volatile.Write(ref _run->immediate_exit, 1);
            if (Enter() is { } exit) return exit;
        }
        return null;
    }

    /// <summary>The guest's counter is the machine's plus the vCPU's own offset; the kernel adds it to the host's.</summary>
    private void SynchronizeTsc()
    {
        if (_hostTsc is not null && _hasTscOffset)
        {
            var offset = (ulong)_hostTsc.TscOffset + _msrs.TscAdjust;
            if (offset == _tscOffset && !_tscStale) return;
            _tscStale = false;
            _tscOffset = offset;
            var attribute = new kvm_device_attr { group = KVM_VCPU_TSC_CTRL, attr = KVM_VCPU_TSC_OFFSET, addr = (ulong)&offset };
            Require(_vcpu.Request(KVM_SET_DEVICE_ATTR, &attribute), "sets no time-stamp counter");
        }
        else if (_tscStale)
        {
            SetMsr(MsrIndex.Tsc, _clock.ReadTsc() + _msrs.TscAdjust);
        }
        _tscStale = false;
    }

    /// <summary>
    /// A deadline that has passed when it is set may be one of a guest whose counter fell behind: a kernel that finds its host's
    /// counter unstable sets a guest's back when it moves the vCPU to another CPU. The counter is then set anew, or the guest
    /// would set such deadlines for ever.
    /// </summary>
    private void CheckTsc(ulong deadline)
    {
        var now = _clock.ReadTsc() + _msrs.TscAdjust;
        if (deadline == 0 || deadline > now) return;
        var request = new kvm_msrs { nmsrs = 1, entry = new kvm_msr_entry { index = MsrIndex.Tsc } };
        if (_vcpu.Request(KVM_GET_MSRS, &request) == 1 && (long)(now - request.entry.data) > (long)(_clock.TscHz / TscTolerance)) _tscStale = true;
    }

    private void AcceptReset()
    {
        // Where the kernel waits out start-up itself, the latch knows nothing of it.
        if (_kernelIrqchip is not null) _events.Activity = Activity;
        var (init, page) = _events.TakeReset();
        if (init || page >= 0)
        {
            if (init) InitLocalApic();
            var state = new VcpuState();
            GetState(state);
            if (init) ResetStates.Init(state, _model, Index);
            if (page >= 0) ResetStates.StartUp(state, (byte)page);
            state.Activity = _events.Activity;
            PutState(state, new Refusals());
        }
        if (_kernelIrqchip is not null) _events.Activity = VcpuActivity.Running;
    }

    private static void Require(int result, string what)
    {
        if (result < 0) throw new HostException($"the kernel's KVM {what} ({DeviceFile.Describe(-result)})");
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_disposed) return;
            _disposed = true;
            _vcpu.Dispose();
        }
    }
}
