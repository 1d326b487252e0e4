// Which controller it is: what two of a family differ by.
using Lamina.Devices.Pci;

namespace Lamina.Devices.Ethernet;

/// <summary>A kind of controller.</summary>
public sealed record E1000Model
{
    private const ushort Intel = 0x8086;
    private const uint EthernetClass = 0x02_0000;

    private E1000Model(string name, PciIdentity identity) => (Name, Identity) = (name, identity);

    /// <summary>A desktop card for PCI: 82540EM, which systems of its time know.</summary>
    public static E1000Model E1000 { get; } = new("e1000", new PciIdentity(Intel, 0x100e, EthernetClass) { Revision = 3, Subsystem = (Intel, 0x001e) })
    {
        PhyIdentifier = 0x0141_0c20,
        PortsLength = 64,
        Rings = 1,
    };

    /// <summary>A card for PCI Express: 82574L, with messages for each ring, which later systems know.</summary>
    public static E1000Model E1000e { get; } = new("e1000e", new PciIdentity(Intel, 0x10d3, EthernetClass) { Subsystem = (Intel, 0xa01f) })
    {
        PhyIdentifier = 0x0141_0cb1,
        PortsLength = 32,
        Rings = 2,
        IsExpress = true,
    };

    /// <summary>Its name: its word in definitions.</summary>
    public string Name { get; }

    internal PciIdentity Identity { get; }

    /// <summary>What its PHY says of itself in its registers 2 and 3.</summary>
    internal uint PhyIdentifier { get; private init; }

    /// <summary>The window at ports in bytes.</summary>
    internal ulong PortsLength { get; private init; }

    /// <summary>Rings of each direction.</summary>
    internal int Rings { get; private init; }

    /// <summary>Whether it is of the 82574's kind: messages, extended descriptors, receive side scaling, semaphores, an NVM with longer addresses.</summary>
    internal bool IsExpress { get; private init; }
}
