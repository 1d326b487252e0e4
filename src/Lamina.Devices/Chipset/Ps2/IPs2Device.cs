// What can be plugged into the controller: a keyboard, a mouse. It has no thread and no lock; the controller calls it under its own.
using Lamina.Core.Inspection;
using Lamina.Core.State;

namespace Lamina.Devices.Chipset.Ps2;

/// <summary>A device behind the controller.</summary>
internal interface IPs2Device : ISavedUnit, IInspected
{
    /// <summary>Whether it has a byte for the controller.</summary>
    bool HasByte { get; }

    /// <summary>Takes that byte.</summary>
    byte TakeByte();

    /// <summary>A byte that the guest sends.</summary>
    void Receive(byte value);

    /// <summary>Power-on.</summary>
    void Reset();
}
