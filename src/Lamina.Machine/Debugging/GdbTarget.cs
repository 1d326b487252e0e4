// What a debugger does to a machine: look at and change parked vCPUs, keep breakpoints, let them run or step. It speaks no
// protocol. All of it goes through the life's queue, so that it never meets a reset or an end half-way.
using Lamina.Control;
using Lamina.Core.Engine;
using Lamina.Life;

namespace Lamina.Debugging;

/// <summary>A debugger's view of a machine.</summary>
internal sealed class GdbTarget(MachineLife life)
{
    private readonly HashSet<ulong> _breakpoints = [];
    private readonly List<GdbWatch> _watches = [];

    /// <summary>Stops every vCPU.</summary>
    internal Task StopAsync() => life.DebugAsync(_ => null);

    /// <summary>Runs a function on the parked vCPUs; <paramref name="otherwise"/> where the machine has ended.</summary>
    internal async Task<T> LookAsync<T>(Func<IReadOnlyList<IVcpu>, T> look, T otherwise)
    {
        var result = otherwise;
        await life.DebugAsync(vcpus =>
        {
            result = look(vcpus);
            return null;
        }).ConfigureAwait(false);
        return result;
    }

    internal void SetBreakpoint(ulong address) => _breakpoints.Add(address);

    internal void RemoveBreakpoint(ulong address) => _breakpoints.Remove(address);

    /// <summary>Watches memory. False where that needs more debug registers than are left.</summary>
    internal bool TryWatch(GdbWatch watch)
    {
        if (_watches.Contains(watch)) return true;
        if (watch.Split() is not { } registers || Registers.Count + registers.Count > Watchpoint.Maximum) return false;
        _watches.Add(watch);
        return true;
    }

    internal void Unwatch(GdbWatch watch) => _watches.Remove(watch);

    /// <summary>What GDB set where a vCPU stopped at a watchpoint; null where something else stopped it.</summary>
    internal Task<GdbWatch?> FindHitAsync(int vcpu) =>
        LookAsync(vcpus => vcpus[vcpu].WatchHit is { } hit ? _watches.Find(watch => watch.Split()!.Contains(hit)) : null, null);

    private List<Watchpoint> Registers => [.. _watches.SelectMany(watch => watch.Split()!)];

    /// <summary>Lets vCPUs run. One that stands on a breakpoint goes on from it; the engine sees to that.</summary>
    /// <param name="step">The one that executes a single instruction, or -1.</param>
    /// <param name="run">Those that run on beside it; null for all where none steps, and for none where one does.</param>
    internal Task ResumeAsync(int step, HashSet<int>? run) => life.DebugAsync(vcpus =>
    {
        for (var i = 0; i < vcpus.Count; i++) vcpus[i].SetDebug(_breakpoints.ToHashSet(), Registers, i == step);
        var lets = run ?? [.. Enumerable.Range(0, step < 0 ? vcpus.Count : 0)];
        var others = lets.Except([step]).Any();
        if (step >= 0) lets.Add(step);
        return new DebugRun(lets, Clock: others);
    });

    /// <summary>Forgets all breakpoints and watchpoints and lets everything run.</summary>
    internal Task DetachAsync()
    {
        _breakpoints.Clear();
        _watches.Clear();
        return life.DebugAsync(vcpus =>
        {
            foreach (var vcpu in vcpus) vcpu.SetDebug(new HashSet<ulong>(), [], false);
            return new DebugRun(Enumerable.Range(0, vcpus.Count).ToHashSet(), Clock: true);
        });
    }

    internal Task ResetAsync() => life.DoAsync(new MachineAction.Reset(ResetCause.User));

    internal Task KillAsync() => life.DoAsync(new MachineAction.End(new MachineResult(MachineEnd.Stopped, Message: "the debugger ended the machine")));
}
