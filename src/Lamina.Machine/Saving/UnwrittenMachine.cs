// A machine of one moment whose memory is yet to be written, while it goes on.
using Lamina.Core.Memory;
using Lamina.Life;

namespace Lamina.Saving;

/// <summary>What is to be written of a machine.</summary>
/// <param name="state">All but its memory's content.</param>
/// <param name="memory">That.</param>
/// <param name="folder">Where to: a folder that is not there yet.</param>
internal sealed class UnwrittenMachine(SavedMachine state, FrozenMemory memory, string folder) : IUnwritten
{
    /// <inheritdoc/>
    public void Look() => memory.Look();

    /// <inheritdoc/>
    public void Write() => state.Write(folder, file => MemoryFile.Write(file, memory));

    /// <inheritdoc/>
    public void Dispose() => memory.Dispose();
}
