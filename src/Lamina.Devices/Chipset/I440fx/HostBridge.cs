// The host bridge: who it is, by which firmware knows the machine, and registers that are kept and change nothing. The first MiB is RAM
// throughout, so that what the memory attributes open and close is open; there is no management mode.
using Lamina.Core.State;
using Lamina.Devices.Pci;
using static Lamina.Devices.Chipset.I440fx.I440fxSpec;

namespace Lamina.Devices.Chipset.I440fx;

/// <summary>Function 0.0.</summary>
public sealed class HostBridge : PciFunction
{
    /// <summary>Makes it.</summary>
    public HostBridge(PciWires wires) : base(I440fxSpec.Host, wires)
    {
        // It always is in memory and may always write there.
        Fix(PciSpec.Command, PciSpec.AnswersMemory | PciSpec.BusMaster, sizeof(ushort));
        for (var i = PciSpec.SpaceLength - 4; i >= 0x50; i -= 4) Fix(i, 0, sizeof(uint), uint.MaxValue);
        Fix(MemoryAttributes, MemoryAttributesAtReset, 1, writable: 0xff);
        Fix(SmRam, SmRamAtReset, 1, writable: 0xff);
    }

    /// <inheritdoc/>
    public override SavedKind Kind => new("440FX host bridge", 1);
}
