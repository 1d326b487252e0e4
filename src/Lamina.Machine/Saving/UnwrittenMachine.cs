// A machine of one moment whose memory is yet to be written, while it goes on.
using Lamina.Core.Memory;

namespace Lamina.Saving;

/// <summary>A machine of one moment that is yet to be written down. Disposed before, nothing is left of it.</summary>
internal interface IUnwritten : IDisposable
{
    /// <summary>Sees to it that it can be written even when the machine is gone. Called once, soon after the machine goes on.</summary>
    void Look();

    /// <summary>Done when it has none of the files open that the machine has.</summary>
    /// <exception cref="IOException">What holds it is gone.</exception>
    void Settle();

    /// <summary>Writes it.</summary>
    /// <exception cref="MachineException">The host refuses it; nothing is left of it.</exception>
    void Write();
}

/// <summary>What is to be written of a machine.</summary>
/// <param name="state">All but its memory's content.</param>
/// <param name="memory">That.</param>
/// <param name="folder">Where to: a folder that is not there yet.</param>
internal sealed class UnwrittenMachine(SavedMachine state, FrozenMemory memory, string folder) : IUnwritten
{
    /// <inheritdoc/>
    public void Look() => memory.Look();

    /// <inheritdoc/>
    public void Settle() => memory.Settle();

    /// <inheritdoc/>
    public void Write() => state.Write(folder, file => MemoryFile.Write(file, memory));

    /// <inheritdoc/>
    public void Dispose() => memory.Dispose();
}
