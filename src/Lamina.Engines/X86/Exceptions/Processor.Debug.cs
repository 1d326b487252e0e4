// Debug exceptions: instruction, data and I/O breakpoints in DR0 to DR3, single step, and what is pending of them.
// SDM vol. 3, 18.2 and 18.3. The runtime asks for fetch breakpoints before an instruction in a page where one is armed, and for traps
// after one that accesses a page where one is armed, or while StepsInstructions says so. A debugger's watchpoints take the place of data
// breakpoints, from DR3 downwards; the guest's registers keep what they hold, and what is hit goes to the debugger.
using Lamina.Core.Engine;
using Lamina.Engines.X86.Cpuid;

namespace Lamina.Engines.X86;

internal sealed unsafe partial class Processor
{
    private const ulong Dr6Fixed = 0xffff_0ff0, Dr6Bd = 1 << 13, Dr6Bs = 1 << 14, Dr6Bt = 1 << 15;
    private const ulong Dr7Fixed = 0x400, Dr7Gd = 1 << 13, Dr7Enables = 0xff;

    // R/W fields of DR7: what a breakpoint watches.
    private const uint BreakExecute = 0, BreakWrite = 1, BreakIo = 2, BreakReadWrite = 3;

    private ulong _pendingDebug;
    private bool _hasDataBreakpoints, _hasCodeBreakpoints;
    private readonly ulong?[] _watchedData = new ulong?[4], _watchedCode = new ulong?[4];

    // Watchpoint i is in the place of DR(3 - i); the hits have the bits of DR6.
    private IReadOnlyList<Watchpoint> _watchpoints = [];
    private ulong _watchHits;

    // The instruction entered a handler that runs without TF: no single-step trap follows it. SDM vol. 3, 18.3.1.4.
    private bool _stepConsumed;

    private void ConsumeStep(ulong flagsBefore) => _stepConsumed = (flagsBefore & Rflags.TF) != 0 && (Context->SystemFlags & Rflags.TF) == 0;

    /// <summary>Whether the next instruction may end in a debug exception, whatever it accesses: TF is set, or one is held back until it ends.</summary>
    public bool StepsInstructions => (Context->SystemFlags & Rflags.TF) != 0 || HasPendingTraps;

    /// <summary>Whether <see cref="CheckTraps"/> or <see cref="TakeWatchHit"/> has something to report even if no instruction was stepped.</summary>
    public bool HasPendingTraps => (_pendingDebug | _watchHits) != 0;

    /// <summary>Whether a data breakpoint is enabled: accesses to its page must be noted, so none is made in place.</summary>
    public bool HasDataBreakpoints => _hasDataBreakpoints;

    /// <summary>Whether an instruction breakpoint is enabled.</summary>
    public bool HasCodeBreakpoints => _hasCodeBreakpoints;

    /// <summary>The linear address that a breakpoint watches data at, aligned to its length so that it lies in one page; null: it does not.</summary>
    /// <param name="n">DR0 to DR3.</param>
    public ulong? WatchedData(int n) => _watchedData[n];

    /// <summary>How many bytes it watches.</summary>
    /// <param name="n">DR0 to DR3.</param>
    public uint WatchedLength(int n) => BreakLength(n);

    /// <summary>The linear address of an instruction breakpoint; null: it is none, or not enabled.</summary>
    /// <param name="n">DR0 to DR3.</param>
    public ulong? WatchedCode(int n) => _watchedCode[n];

    /// <summary>Whether data in the page of an address is watched.</summary>
    public bool WatchesDataPage(ulong linear)
    {
        if (!_hasDataBreakpoints) return false;
        for (var n = 0; n < 4; n++)
            if (WatchedData(n) is { } watched && (watched ^ linear) < PageSize) return true;
        return false;
    }

    /// <summary>Whether an instruction in the page of an address is watched.</summary>
    public bool WatchesCodePage(ulong linear)
    {
        if (!_hasCodeBreakpoints) return false;
        for (var n = 0; n < 4; n++)
            if (WatchedCode(n) is { } watched && (watched ^ linear) < PageSize) return true;
        return false;
    }

    /// <summary>Whether an instruction breakpoint is armed at an address.</summary>
    public bool IsArmed(ulong linear) => _watchedCode[0] == linear || _watchedCode[1] == linear || _watchedCode[2] == linear || _watchedCode[3] == linear;

    /// <summary>Whether a data access hits a breakpoint.</summary>
    public bool IsWatched(ulong linear, int size, bool write) => _hasDataBreakpoints && HitsOf(linear, size, write) != 0;

    /// <summary>Replaces a debugger's watchpoints.</summary>
    public void SetWatchpoints(IReadOnlyList<Watchpoint> watchpoints)
    {
        _watchHits = 0;
        if (_watchpoints.SequenceEqual(watchpoints)) return;
        _watchpoints = watchpoints;
        DebugRegistersWritten();
    }

    /// <summary>After an instruction: the watchpoint that it hit, once.</summary>
    public Watchpoint? TakeWatchHit()
    {
        if (_watchHits == 0) return null;
        var hit = _watchpoints[3 - System.Numerics.BitOperations.Log2(_watchHits)];
        _watchHits = 0;
        return hit;
    }

    private void DebugRegistersWritten()
    {
        _hasDataBreakpoints = _hasCodeBreakpoints = false;
        for (var n = 0; n < 4; n++)
        {
            _watchedData[n] = IsEnabled(n) && BreakKind(n) is BreakWrite or BreakReadWrite ? BreakAddress(n) & ~(BreakLength(n) - 1ul) : null;
            _watchedCode[n] = IsEnabled(n) && BreakKind(n) == BreakExecute ? BreakAddress(n) : null;
            _hasDataBreakpoints |= _watchedData[n] != null;
            _hasCodeBreakpoints |= _watchedCode[n] != null;
        }
        _cache.DebugRegistersChanged();
    }

    private bool IsDebuggers(int n) => 3 - n < _watchpoints.Count;

    private bool IsEnabled(int n) => IsDebuggers(n) || (Context->Dr7 >> (n * 2) & 3) != 0;

    private uint BreakKind(int n) => IsDebuggers(n) ? _watchpoints[3 - n].Kind == WatchKind.Write ? BreakWrite : BreakReadWrite
        : (uint)(Context->Dr7 >> (16 + n * 4)) & 3;

    private uint BreakLength(int n) => IsDebuggers(n) ? (uint)_watchpoints[3 - n].Length : ((uint)(Context->Dr7 >> (18 + n * 4)) & 3) switch { 0 => 1, 1 => 2, 2 => 8, _ => 4 };

    private ulong BreakAddress(int n) => IsDebuggers(n) ? _watchpoints[3 - n].Address : (&Context->Dr0)[n];

    private bool Covers(int n, ulong address, int size)
    {
        ulong length = BreakLength(n);
        var start = BreakAddress(n) & ~(length - 1);
        return address < start + length && start < address + (ulong)size;
    }

    /// <summary>Notes breakpoints that a data access hits; they are reported after the instruction. For accesses by generated code as well.</summary>
    public void NoteDataAccess(ulong linear, int size, bool write)
    {
        var hits = HitsOf(linear, size, write);
        var debuggers = hits & (0xfUL << (4 - _watchpoints.Count)) & 0xf;
        _watchHits |= debuggers;
        _pendingDebug |= hits & ~debuggers;
    }

    private ulong HitsOf(ulong linear, int size, bool write)
    {
        ulong hits = 0;
        for (var n = 0; n < 4; n++)
            if (IsEnabled(n) && (BreakKind(n) == BreakReadWrite || (write && BreakKind(n) == BreakWrite)) && Covers(n, linear, size)) hits |= 1UL << n;
        return hits;
    }

    private void NotePortAccess(ushort port, int size)
    {
        if ((Context->Cr4 & Cr4.DE) == 0 || (Context->Dr7 & Dr7Enables) == 0) return;
        for (var n = 0; n < 4; n++)
            if (IsEnabled(n) && BreakKind(n) == BreakIo && Covers(n, port, size)) _pendingDebug |= 1UL << n;
    }

    /// <summary>Before an instruction at RIP: false where an instruction breakpoint is hit and RF is clear; <see cref="Fault"/> is then #DB.</summary>
    public bool CheckFetchBreakpoint()
    {
        if ((Context->Dr7 & Dr7Enables) == 0 || (Context->SystemFlags & Rflags.RF) != 0) return true;
        // Intel's processors do not look behind MOV SS and POP SS. SDM vol. 3, 6.8.3.
        if (Context->InterruptShadow == ShadowMovSs && _model.Vendor == CpuVendor.Intel) return true;
        var linear = Is64Bit ? Context->Rip : (Context->Cs.Base + Context->Rip) & uint.MaxValue;
        ulong hit = 0;
        for (var n = 0; n < 4; n++)
            if (IsEnabled(n) && BreakKind(n) == BreakExecute && BreakAddress(n) == linear) hit |= 1UL << n;
        return hit == 0 || Raise(Fault.Debug(hit, trap: false));
    }

    /// <summary>
    /// After a completed instruction: false where a trap is due; <see cref="Fault"/> is then #DB, to be delivered before anything else.
    /// </summary>
    /// <param name="singleStep">RFLAGS.TF was set when the instruction began.</param>
    public bool CheckTraps(bool singleStep)
    {
        if (Context->InterruptShadow == ShadowMovSs) return true; // held until the instruction behind MOV SS. SDM vol. 3, 6.8.3
        if (singleStep && !_stepConsumed) _pendingDebug |= Dr6Bs;
        _stepConsumed = false;
        if (_pendingDebug == 0) return true;
        var status = _pendingDebug;
        _pendingDebug = 0;
        return Raise(Fault.Debug(status, trap: true));
    }
}
