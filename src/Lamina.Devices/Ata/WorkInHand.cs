// Whether somebody works on what is being given up: a part of a transfer, which a reset waits for so that no memory is touched after it.
namespace Lamina.Devices.Ata;

/// <summary>Counts who works.</summary>
internal sealed class WorkInHand
{
    private int _count;

    internal void Begin() => Interlocked.Increment(ref _count);

    internal void End() => Interlocked.Decrement(ref _count);

    /// <summary>Returns when nobody does. No lock is held that they take.</summary>
    internal void Await()
    {
        var wait = new SpinWait();
        while (Volatile.Read(ref _count) != 0) wait.SpinOnce();
    }
}
