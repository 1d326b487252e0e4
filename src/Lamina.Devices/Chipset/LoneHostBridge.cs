// The configuration space of a machine without PCI devices: a host bridge and nothing else. Kernels look for the mechanism at their start,
// complain where there is none (Linux: "No config space access function found"), and believe in it only where they see a host bridge
// on bus 0. It cannot be changed. Source: PCI Local Bus Specification 3.0, 6.1 and 6.2.1.
using System.Buffers.Binary;
using Lamina.Devices.Pci;

namespace Lamina.Devices.Chipset;

/// <summary>A host bridge on a bus without devices.</summary>
public sealed class LoneHostBridge : IPciConfigurationSpace
{
    // Device and vendor of a bridge of no particular make, as virtual machines have it; class 06h, subclass 00h.
    private const uint Identity = 0x0008_1b36, Class = 0x0600_0000;

    /// <inheritdoc/>
    public void Read(int function, int offset, Span<byte> data)
    {
        data.Fill(0xff);
        if (function != 0) return;
        Span<byte> space = stackalloc byte[PciSpec.SpaceLength];
        space.Clear();
        BinaryPrimitives.WriteUInt32LittleEndian(space[PciSpec.Vendor..], Identity);
        BinaryPrimitives.WriteUInt32LittleEndian(space[PciSpec.Revision..], Class);
        if (offset + data.Length <= space.Length) space.Slice(offset, data.Length).CopyTo(data);
    }

    /// <inheritdoc/>
    public void Write(int function, int offset, ReadOnlySpan<byte> data)
    {
    }
}
