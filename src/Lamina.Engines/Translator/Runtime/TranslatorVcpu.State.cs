// The outside's view of a vCPU: its state, a debugger's requests, counters.
using Lamina.Core.Engine;
using Lamina.Core.Inspection;
using Lamina.Engines.Translator.Code;
using Lamina.Engines.X86.Decode;

namespace Lamina.Engines.Translator.Runtime;

internal sealed unsafe partial class TranslatorVcpu
{
    private readonly long[] _exits = new long[(int)SiteKind.Undecodable + 1];
    private readonly long[] _systemCounts = new long[256];
    private IReadOnlySet<ulong> _breakpoints = new HashSet<ulong>();
    private bool _debuggerSteps, _stopIgnored;
    private long _slowFills, _flushes, _interrupts, _faultCount;

    /// <inheritdoc/>
    public void GetState(VcpuState state)
    {
        _processor.Save(state);
        state.Activity = _events.Activity;
        state.Pending = _events.Save() with { DebugTrap = state.Pending.DebugTrap };
    }

    /// <inheritdoc/>
    public IReadOnlyList<string> SetState(VcpuState state)
    {
        var refused = _processor.Load(state);
        _events.Load(state.Pending);
        _events.Activity = state.Activity;
        // HLT has ended the shadow that it began in.
        if (state.Activity != VcpuActivity.Running) _cpu->InterruptShadow = 0;
        _resume = 0;
        _stepOnce = false;
        _modeStale = true;
        _vectorsRaw = true;
        Flush(global: true);
        RequestExit();
        return refused;
    }

    /// <inheritdoc/>
    public bool TryReadLinear(ulong address, Span<byte> data) => _processor.TryReadForDebugger(address, data);

    /// <inheritdoc/>
    public bool TryWriteLinear(ulong address, ReadOnlySpan<byte> data) => _processor.TryWriteForDebugger(address, data);

    /// <inheritdoc/>
    public Watchpoint? WatchHit { get; private set; }

    /// <inheritdoc/>
    public void SetDebug(IReadOnlySet<ulong> breakpoints, IReadOnlyList<Watchpoint> watchpoints, bool singleStep)
    {
        WatchHit = null;
        _processor.SetWatchpoints(watchpoints);
        _breakpoints = breakpoints;
        _debuggerSteps = singleStep;
        _stopIgnored = true;
        UpdateBreakpoints();
        _modeStale = true;
        _resume = 0;
    }

    // Blocks end before breakpoints, so that the dispatcher comes by: translations made without them are void.
    private void UpdateBreakpoints()
    {
        if (_store.Breakpoints.SetEquals(_breakpoints)) return;
        _store.World.WhileParked(self: null, () =>
        {
            _store.Breakpoints = new HashSet<ulong>(_breakpoints);
            _store.DropAll();
        });
    }

    /// <summary>Whether a debugger wants to stop before the instruction at RIP. It does not stop again where it goes on from.</summary>
    private bool ShouldStopForDebugger()
    {
        if (_breakpoints.Count == 0) return false;
        var ignore = _stopIgnored;
        _stopIgnored = false;
        return !ignore && _breakpoints.Contains(LinearRip);
    }

    /// <inheritdoc/>
    public void Count(CounterList counters)
    {
        for (var i = 0; i < _exits.Length; i++) counters.Total("vcpu_exits", _exits[i], "exits from generated code, by kind", of: ((SiteKind)i).ToString().ToLowerInvariant());
        for (var i = 0; i < _systemCounts.Length; i++)
            if (_systemCounts[i] != 0) counters.Total("vcpu_executed", _systemCounts[i], "instructions that were not translated, by kind", of: ((InstructionId)i).ToString().ToLowerInvariant());
        counters.Total("vcpu_table_fills", (long)_area->FastFills, "entries of the tables that find memory, by who made them", of: "machine code");
        counters.Total("vcpu_table_fills", _slowFills, "entries of the tables that find memory, by who made them", of: "executor");
        counters.Now("vcpu_table_bytes", _tables.Taken, "those tables", CounterUnit.Bytes);
        counters.Now("vcpu_table_peak_bytes", _tables.Peak, "those tables at most", CounterUnit.Bytes);
        counters.Now("vcpu_regions", Regions.Count(), "address spaces that have tables");
        counters.Total("vcpu_tables_given_back", _tables.GivenBack, "how often they were given back");
        counters.Total("vcpu_flushes", _flushes, "how often the guest flushed them");
        counters.Total("vcpu_jumps_replaced", _releasedReplaced + _closed.Jumps.Replaced + _users.Sum(region => region?.Jumps.Replaced ?? 0), "entries of the jump caches that others took");
        counters.Total("vcpu_jumps_cleared", _closed.Jumps.Clears, "how often jump caches were emptied, by mode", of: "supervisor");
        counters.Total("vcpu_jumps_cleared", _releasedClears + _users.Sum(region => region?.Jumps.Clears ?? 0), "how often jump caches were emptied, by mode", of: "user");
        counters.Total("vcpu_interrupts", _interrupts, "interrupts taken");
        counters.Total("vcpu_faults", _faultCount, "exceptions raised");
        if (_lost != null) counters.Total("vcpu_gs_base_losses", (long)_area->GsLosses, "faults because the host took the processor away in the middle of generated code, and the GS base with it");
        _time?.Count(counters);
    }
}
