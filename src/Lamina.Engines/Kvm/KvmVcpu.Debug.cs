// A debugger's requests: up to four breakpoints and watchpoints are the processor's own (they change nothing in the guest's memory);
// with more, the guest is stepped and its place compared, which is slow and exact. Watchpoints are always the processor's, and have its
// first registers.
using Lamina.Core.Engine;
using static Lamina.Engines.Kvm.KvmApi;

namespace Lamina.Engines.Kvm;

internal sealed unsafe partial class KvmVcpu
{
    private const int HardwareBreakpoints = 4, Dr7 = 7;
    private const ulong Dr7Fixed = 0x400, Dr7GlobalEnable = 2;

    private IReadOnlySet<ulong> _breakpoints = new HashSet<ulong>();
    private IReadOnlyList<Watchpoint> _watchpoints = [];
    private uint _debugControl;
    private bool _debuggerSteps, _ignoresFirst;

    // This entry executes one instruction; and whether that instruction left for a device and is to be finished.
    private bool _steps, _stepUnfinished;

    /// <inheritdoc/>
    public Watchpoint? WatchHit { get; private set; }

    /// <inheritdoc/>
    public void SetDebug(IReadOnlySet<ulong> breakpoints, IReadOnlyList<Watchpoint> watchpoints, bool singleStep)
    {
        (_watchpoints, WatchHit) = (watchpoints, null);
        (_breakpoints, _debuggerSteps, _ignoresFirst) = (breakpoints, singleStep, breakpoints.Count > 0);
        _stepUnfinished = false;
    }

    /// <inheritdoc/>
    public bool TryReadLinear(ulong address, Span<byte> data)
    {
        while (data.Length > 0)
        {
            if (!TryTranslate(address, data.Length, out var physical, out var length) || !_machine.Options.Memory.TryRead(physical, data[..length])) return false;
            data = data[length..];
            address += (uint)length;
        }
        return true;
    }

    /// <inheritdoc/>
    public bool TryWriteLinear(ulong address, ReadOnlySpan<byte> data)
    {
        while (data.Length > 0)
        {
            if (!TryTranslate(address, data.Length, out var physical, out var length) || !_machine.Options.Memory.TryWrite(physical, data[..length])) return false;
            data = data[length..];
            address += (uint)length;
        }
        return true;
    }

    private bool TryTranslate(ulong address, int wanted, out ulong physical, out int length)
    {
        const int page = Host.HostReservation.PageSize;
        var translation = new kvm_translation { linear_address = address };
        var result = _vcpu.Request(KVM_TRANSLATE, &translation);
        physical = translation.physical_address;
        length = Math.Min(wanted, page - (int)(address & (page - 1)));
        return result >= 0 && translation.valid != 0;
    }

    /// <summary>Tells the kernel what to stop for.</summary>
    private void PrepareDebug()
    {
        _steps = false;
        if (!_debuggerSteps && _breakpoints.Count == 0 && _watchpoints.Count == 0)
        {
            SetGuestDebug(0);
            return;
        }
        var standsOnOne = _ignoresFirst && _breakpoints.Contains(LinearRip());
        _steps = _debuggerSteps || standsOnOne;
        var watches = _watchpoints.Count > 0 ? KVM_GUESTDBG_USE_HW_BP : 0;
        if (_steps) SetGuestDebug(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | KVM_GUESTDBG_BLOCKIRQ | watches);
        else if (!BreakpointsFit) SetGuestDebug(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP | watches);
        else SetGuestDebug(KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_HW_BP);
    }

    private VcpuExit? HandleDebug()
    {
        var pc = _run->debug.pc;
        for (var n = 0; n < _watchpoints.Count; n++)
        {
            if ((_run->debug.dr6 >> n & 1) == 0) continue;
            WatchHit = _watchpoints[n];
            (_steps, _stepUnfinished, _debuggerSteps, _ignoresFirst) = (false, false, false, true);
            return VcpuExit.Debug;
        }
        if (_steps) return EndStep();
        if (_breakpoints.Contains(pc))
        {
            _ignoresFirst = true;
            return VcpuExit.Debug;
        }
        // The guest's own: a trap flag or a debug register of its.
        if ((_debugControl & KVM_GUESTDBG_SINGLESTEP) == 0) SetGuestDebug(_debugControl | KVM_GUESTDBG_INJECT_DB);
        return null;
    }

    /// <summary>An instruction was executed. Ends the run where the debugger asked for just that, or where a breakpoint is next.</summary>
    private VcpuExit? EndStep()
    {
        _stepUnfinished = false;
        if (!_steps) return null;
        (_steps, _ignoresFirst) = (false, false);
        if (_debuggerSteps)
        {
            _debuggerSteps = false;
            // A HLT that was stepped over is over.
            if (Activity == VcpuActivity.Halted) Activity = VcpuActivity.Running;
            _ignoresFirst = true;
            return VcpuExit.Debug;
        }
        if (!_breakpoints.Contains(LinearRip())) return null;
        _ignoresFirst = true;
        return VcpuExit.Debug;
    }

    private ulong LinearRip()
    {
        kvm_regs registers;
        Require(_vcpu.Request(KVM_GET_REGS, &registers), "does not tell the registers");
        var special = SpecialRegisters();
        return special.cs.l != 0 ? registers.rip : (uint)(special.cs.@base + registers.rip);
    }

    private bool BreakpointsFit => _breakpoints.Count + _watchpoints.Count <= HardwareBreakpoints;

    private void SetGuestDebug(uint control)
    {
        // Breakpoints are given anew each time; nothing needs to be said again where nothing is asked for.
        if (control == 0 && _debugControl == 0) return;
        var debug = new kvm_guest_debug { control = control };
        var number = 0;
        debug.debugreg[Dr7] = Dr7Fixed;
        if ((control & KVM_GUESTDBG_USE_HW_BP) != 0)
        {
            foreach (var watch in _watchpoints)
            {
                // SDM vol. 3, 18.2.4: R/W is 1 for writes, 3 for reads and writes; LEN is 0, 1, 3, 2 for 1, 2, 4, 8 bytes.
                var access = watch.Kind == WatchKind.Write ? 1ul : 3ul;
                var length = watch.Length == 8 ? 2ul : (ulong)watch.Length - 1;
                debug.debugreg[number] = watch.Address;
                debug.debugreg[Dr7] |= (access | length << 2) << (16 + (number * 4)) | Dr7GlobalEnable << (number * 2);
                number++;
            }
            // Where the guest is stepped, its place is compared with the breakpoints instead.
            foreach (var address in _breakpoints.Where(_ => (control & KVM_GUESTDBG_SINGLESTEP) == 0))
            {
                debug.debugreg[number] = address;
                debug.debugreg[Dr7] |= Dr7GlobalEnable << (number++ * 2);
            }
        }
        Require(_vcpu.Request(KVM_SET_GUEST_DEBUG, &debug), "takes no breakpoints");
        _debugControl = control & ~KVM_GUESTDBG_INJECT_DB;
    }
}
