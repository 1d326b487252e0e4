// The outside's view of a vCPU: its state, a debugger's requests, counters.
using Lamina.Core.Engine;
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
    public void SetDebug(IReadOnlySet<ulong> breakpoints, bool singleStep)
    {
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

    /// <summary>Adds this vCPU's counters.</summary>
    public void AddStatistics(IDictionary<string, long> statistics)
    {
        for (var i = 0; i < _exits.Length; i++) Add($"exits: {((SiteKind)i).ToString().ToLowerInvariant()}", _exits[i]);
        for (var i = 0; i < _systemCounts.Length; i++)
            if (_systemCounts[i] != 0) Add($"executed: {((InstructionId)i).ToString().ToLowerInvariant()}", _systemCounts[i]);
        Add("table fills by machine code", (long)_area->FastFills);
        Add("table fills by the executor", _slowFills);
        Add("bytes: tables", _tables.Taken);
        Add("bytes: tables, at most", _tables.Peak);
        Add("tables given back", _tables.GivenBack);
        Add("flushes", _flushes);
        Add("jump cache entries replaced", _releasedReplaced + _closed.Jumps.Replaced + _users.Sum(region => region?.Jumps.Replaced ?? 0));
        Add("jump caches emptied, supervisor", _closed.Jumps.Clears);
        Add("jump caches emptied, user", _releasedClears + _users.Sum(region => region?.Jumps.Clears ?? 0));
        Add("interrupts", _interrupts);
        Add("faults", _faultCount);
        _time?.AddTo(Add);

        void Add(string name, long value) => statistics[name] = (statistics.TryGetValue(name, out var sum) ? sum : 0) + value;
    }
}
