// What a debugger does to a machine: look at and change parked vCPUs, keep breakpoints, let them run or step. It speaks no
// protocol. All of it goes through the life's queue, so that it never meets a reset or an end half-way.
using Lamina.Core.Engine;
using Lamina.Life;

namespace Lamina.Debugging;

/// <summary>A debugger's view of a machine.</summary>
internal sealed class GdbTarget(MachineLife life)
{
    private readonly HashSet<ulong> _breakpoints = [];
    private (int Vcpu, HashSet<int>? Then)? _steppingOver;

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

    /// <summary>Lets vCPUs run.</summary>
    /// <param name="step">The one that executes a single instruction, or -1.</param>
    /// <param name="run">Those that run on, or null for all but <paramref name="step"/>.</param>
    internal Task ResumeAsync(int step, HashSet<int>? run) => life.DebugAsync(vcpus =>
    {
        // A vCPU that stands on a breakpoint goes one instruction further before the breakpoints count again.
        for (var i = 0; i < vcpus.Count && step < 0; i++)
        {
            if (run is not null && !run.Contains(i) || !_breakpoints.Contains(LinearRip(vcpus[i]))) continue;
            _steppingOver = (i, run);
            vcpus[i].SetDebug(new HashSet<ulong>(), true);
            return new HashSet<int> { i };
        }
        for (var i = 0; i < vcpus.Count; i++) vcpus[i].SetDebug(i == step ? new HashSet<ulong>() : _breakpoints.ToHashSet(), i == step);
        var all = run ?? [.. Enumerable.Range(0, vcpus.Count)];
        if (step >= 0) all.Add(step);
        return all;
    });

    /// <summary>A vCPU reported a stop. False where the stop was only a step over a breakpoint, after which everything runs on.</summary>
    internal async Task<bool> StoppedAsync(int vcpu)
    {
        if (_steppingOver is not { } over || over.Vcpu != vcpu)
        {
            await StopAsync().ConfigureAwait(false);
            return true;
        }
        _steppingOver = null;
        var again = await LookAsync(vcpus => _breakpoints.Contains(LinearRip(vcpus[vcpu])), true).ConfigureAwait(false);
        if (!again) await ResumeAsync(-1, over.Then).ConfigureAwait(false);
        return again;
    }

    /// <summary>Forgets all breakpoints and lets everything run.</summary>
    internal Task DetachAsync()
    {
        _breakpoints.Clear();
        _steppingOver = null;
        return life.DebugAsync(vcpus =>
        {
            foreach (var vcpu in vcpus) vcpu.SetDebug(new HashSet<ulong>(), false);
            return Enumerable.Range(0, vcpus.Count).ToHashSet();
        });
    }

    /// <summary>A step that Ctrl-C interrupts is over.</summary>
    internal void ForgetStep() => _steppingOver = null;

    internal Task ResetAsync() => life.DoAsync(new MachineAction.Reset(ResetCause.User));

    internal Task KillAsync() => life.DoAsync(new MachineAction.End(new MachineResult(MachineEnd.Stopped, Message: "the debugger ended the machine")));

    private static ulong LinearRip(IVcpu vcpu)
    {
        var state = new VcpuState();
        vcpu.GetState(state);
        var code = state.Segments[SegmentIndex.Cs];
        const uint longMode = 1 << 13;
        return (code.Attributes & longMode) != 0 ? state.Rip : (code.Base + state.Rip) & uint.MaxValue;
    }
}
