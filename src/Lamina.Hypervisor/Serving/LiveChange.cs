// Brings a running machine as near to another definition as it can be without a start, all of it or nothing, and says what is left for the
// next start.
using Lamina.Host.Groups;

namespace Lamina.Hypervisor.Serving;

/// <summary>Changes a machine that runs.</summary>
/// <param name="machine">Which.</param>
/// <param name="kept">The definition that it was started by, as it is kept.</param>
/// <param name="memoryGroup">The control group that keeps its memory limit; null where none does.</param>
/// <param name="handed">Files that were opened for it.</param>
/// <param name="turn">Held by who changes the machine.</param>
/// <param name="changed">Told how its definition changes.</param>
internal sealed class LiveChange(Machine machine, MachineDefinition kept, ControlGroup? memoryGroup, HandedFiles handed, SemaphoreSlim turn, Action<Func<MachineDefinition, MachineDefinition>> changed)
{
    private readonly ulong _ram = kept.RamBytes;
    private MachineDefinition _now = kept.Complete();

    /// <summary>What of a definition is not in force, in words.</summary>
    /// <param name="wanted">What it is to be at its next start.</param>
    internal IReadOnlyList<string> Waiting(MachineDefinition wanted)
    {
        var now = Volatile.Read(ref _now);
        return DefinitionDifference.Between(now, wanted.Complete() with { Name = now.Name }).Words;
    }

    /// <summary>Changes it.</summary>
    /// <param name="wanted">What it is to be at its next start.</param>
    /// <param name="cancellationToken">Ends the wait for its turn.</param>
    /// <returns>What is in force now, and what is from the next start on.</returns>
    /// <exception cref="MachineException">The definition cannot be, or something of it cannot be had; the machine is as it was.</exception>
    internal async Task<(IReadOnlyList<string> InForce, IReadOnlyList<string> Later)> SetAsync(MachineDefinition wanted, CancellationToken cancellationToken)
    {
        MachineCheck.Check(wanted);
        await turn.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            // Its name is its folder's, and what is always there is there.
            wanted = wanted.Complete() with { Name = _now.Name };
            var before = _now;
            var done = new Stack<LiveStep>();
            try
            {
                foreach (var property in LiveProperties.All)
                    foreach (var step in property.Plan(new LiveMachine(_now, _ram, memoryGroup, handed), wanted).ToList())
                    {
                        await step.Do(machine).ConfigureAwait(false);
                        done.Push(step);
                        _now = step.Change(_now);
                    }
            }
            catch (MachineException)
            {
                _now = before;
                while (done.TryPop(out var step)) await step.Undo(machine).ConfigureAwait(false);
                throw;
            }
            foreach (var step in done) changed(step.Change);
            return (DefinitionDifference.Between(before, _now).Words, DefinitionDifference.Between(_now, wanted).Words);
        }
        finally
        {
            handed.Clear();
            turn.Release();
        }
    }
}
