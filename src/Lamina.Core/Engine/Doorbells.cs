// Doorbells: stores by which a guest tells a device that there is something to do. An engine that can wakes the device's worker
// itself, and the vCPU does not leave the guest for it.
using Lamina.Core.Work;

namespace Lamina.Core.Engine;

/// <summary>What an engine machine can that wakes workers at a guest's stores.</summary>
public interface IEngineDoorbells
{
    /// <summary>
    /// Has stores of a 32-bit value to a guest-physical address wake a worker, from now to the end of the machine, instead of
    /// reaching the bus; other values and other sizes reach it as before. Any thread.
    /// </summary>
    /// <returns>Whether they do; false where the engine has no more room or cannot wake this worker.</returns>
    bool TryConnect(ulong address, uint value, IWorker worker);
}
