// What a part of a machine can be asked to do beside its work. Each is a small interface of its own: a part implements those that
// mean something for it, and the tree of units (UnitTree) asks all that do, in the order of their dependencies.
namespace Lamina.Core.Units;

/// <summary>A part that has a state after power-on.</summary>
public interface IResettable
{
    /// <summary>Goes back to that state. No vCPU runs.</summary>
    void Reset();
}

/// <summary>A part that does something by itself: on a thread of its own, or when the host's side of it asks.</summary>
public interface IPausable
{
    /// <summary>
    /// Comes to rest. When this returns the part touches neither guest memory nor an interrupt line nor the host's side of
    /// the machine (a disk, a socket, a file) until <see cref="Resume"/>; what has begun is finished before, what arrives
    /// meanwhile is held. Done twice it is the same as once. No vCPU runs.
    /// </summary>
    void Pause();

    /// <summary>Goes on, with what was held first. Without a pause before it does nothing.</summary>
    void Resume();
}
