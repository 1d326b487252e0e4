// Where a machine goes on that is made of a saved one, or of another machine of this host.
using Lamina.Core.Memory;
using Lamina.Host;

namespace Lamina.Saving;

/// <summary>A saved machine that was read, or what another machine must be that waits to go on from one.</summary>
/// <param name="Folder">The folder that it lies in; null for a machine that waits.</param>
/// <param name="State">What it says.</param>
/// <param name="TakenUp">Called when every part has taken its state up, before anything runs; or null.</param>
internal sealed record SavedStart(string? Folder, SavedMachine State, Action? TakenUp = null)
{
    /// <summary>What a machine that waited goes on from; set before it is started.</summary>
    internal MachineForked? Forked { get; private set; }

    /// <summary>Where a machine that waited goes on whose memory has come by another way; set before it is started.</summary>
    internal SavedMachine? Arrived { get; private set; }

    /// <summary>The RAM of a machine that waits, where that came before the machine was built; the machine's from then on.</summary>
    internal GuestMemory? Memory { get; init; }

    /// <summary>Opens its memory; null for a machine that waits.</summary>
    /// <param name="ram">Where the RAM of the machine lies that is to go on with it.</param>
    /// <exception cref="MachineException">It lies elsewhere, or cannot be used.</exception>
    internal SavedMemory? OpenMemory(IReadOnlyList<MemoryRange> ram)
    {
        if (!State.Ranges.SequenceEqual(ram)) throw new MachineException(MachineError.File, "the saved machine cannot be used: its memory lies elsewhere than this machine's");
        if (Folder is null) return null;
        var memory = SavedMemory.Open(Folder);
        try
        {
            memory.RequireLength(ram.Aggregate(0ul, (sum, range) => sum + range.Length));
            return memory;
        }
        catch
        {
            memory.Dispose();
            throw;
        }
    }

    /// <summary>Has a machine that waited go on from another one.</summary>
    /// <exception cref="MachineException">That one is not what this one was made to go on from.</exception>
    internal void TakeUp(MachineForked forked)
    {
        RequireWaits();
        Check(forked);
        Forked = forked;
    }

    /// <summary>Has a machine that waited go on where another one stood, whose memory is its own's content by now.</summary>
    /// <exception cref="MachineException">That one is not what this one was made to go on from.</exception>
    internal void TakeUp(SavedMachine arrived)
    {
        RequireWaits();
        Check(arrived);
        Arrived = arrived;
    }

    /// <summary>Refuses what a machine that waited cannot go on from.</summary>
    /// <exception cref="MachineException">It is of another machine.</exception>
    internal void Check(MachineForked forked)
    {
        if (forked.Image is null) throw Other();
        Check(forked.State);
    }

    private void RequireWaits()
    {
        if (Folder is not null || Forked is not null || Arrived is not null) throw new InvalidOperationException("the machine does not wait");
    }

    private void Check(SavedMachine state)
    {
        if (state.CpuModel != State.CpuModel || !state.Ranges.SequenceEqual(State.Ranges) || !DefinitionJson.Write(state.Definition).AsSpan().SequenceEqual(DefinitionJson.Write(State.Definition)))
            throw Other();
    }

    private static MachineException Other() => new(MachineError.State, "the machine is another one by now than this one was to be a copy of");
}
