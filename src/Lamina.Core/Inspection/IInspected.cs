// What a part of a machine has to do so that one can look inside it. It is asked while the machine runs, at any moment: it takes its
// own locks for as long as copying some fields takes (InspectNode.Locked, which gives up rather than wait for a lock that is held for
// long), changes nothing, and believes nothing that a guest wrote.
namespace Lamina.Core.Inspection;

/// <summary>A part that can be looked at.</summary>
public interface IInspected
{
    /// <summary>Says what state it is in. One thread at a time; the part may be at work, or at rest.</summary>
    /// <param name="node">Takes what it says.</param>
    void Inspect(InspectNode node);
}

/// <summary>A part that is looked at while no vCPU of the machine runs, which it is stopped for; it answers at once.</summary>
public interface IInspectedParked : IInspected;
