// Where a machine goes on that is made of a saved one.
using Lamina.Core.Memory;
using Lamina.Host;

namespace Lamina.Saving;

/// <summary>A saved machine that was read.</summary>
/// <param name="Folder">The folder that it lies in.</param>
/// <param name="State">What it says.</param>
/// <param name="TakenUp">Called when every part has taken its state up, before anything runs; or null.</param>
internal sealed record SavedStart(string Folder, SavedMachine State, Action? TakenUp = null)
{
    /// <summary>Opens the file with its memory.</summary>
    /// <param name="ram">Where the RAM of the machine lies that is to go on with it.</param>
    /// <exception cref="MachineException">It lies elsewhere, or the file cannot be used.</exception>
    internal SharedMemory OpenMemory(IReadOnlyList<MemoryRange> ram) => State.Ranges.SequenceEqual(ram)
        ? State.OpenMemory(Folder)
        : throw new MachineException(MachineError.File, "the saved machine cannot be used: its memory lies elsewhere than this machine's");
}
