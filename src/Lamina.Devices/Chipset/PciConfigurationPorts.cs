// PCI configuration mechanism 1 of a machine without PCI devices: the address register and the data window, and behind them nothing
// but a host bridge. Kernels look for the mechanism at their start, complain where there is none (Linux: "No config space access
// function found"), and believe in it only where they see a host bridge on bus 0. Source: PCI Local Bus Specification 3.0, 3.2.2.3.2
// and 6.1, 6.2.1.
using System.Buffers.Binary;
using Lamina.Core.Bus;
using Lamina.Core.Inspection;
using Lamina.Core.State;
using Lamina.Core.Units;

namespace Lamina.Devices.Chipset;

/// <summary>Constants of configuration mechanism 1.</summary>
public static class PciConfigurationSpec
{
    /// <summary>CONFIG_ADDRESS, four bytes; CONFIG_DATA, four bytes, follows it.</summary>
    public const ushort AddressPort = 0xcf8;

    /// <summary>How many ports both take.</summary>
    public const int Length = 8;

    /// <summary>CONFIG_ADDRESS: bit 31 enables, 30 to 24 are reserved, bus, device, function, register, and two zeros.</summary>
    internal const uint Enable = 1u << 31, AddressMask = 0x80ff_fffc, FunctionMask = 0x00ff_ff00;

    /// <summary>The registers of a function that are not zero here: who it is, and that it is a host bridge (class 06h, subclass 00h).</summary>
    internal const int Identity = 0x00, ClassCode = 0x08;

    /// <summary>Device and vendor of a bridge of no particular make, as virtual machines have it.</summary>
    internal const uint IdentityValue = 0x0008_1b36;

    /// <summary>Class and subclass in the upper half of <see cref="ClassCode"/>'s register.</summary>
    internal const uint ClassValue = 0x0600_0000;
}

/// <summary>The ports, with the reset control register that lies among them.</summary>
/// <param name="resetControl">Answers byte accesses to port 0xCF9.</param>
public sealed class PciConfigurationPorts(ResetControl resetControl) : IBusDevice, IResettable, ISavedUnit, IInspected
{
    private const int Data = 4, ResetOffset = ResetPortsSpec.ResetControlPort - PciConfigurationSpec.AddressPort;

    private readonly Lock _gate = new();
    private uint _address;

    /// <summary>Claims the ports.</summary>
    public void MapPorts(Bus ports) => ports.Map(PciConfigurationSpec.AddressPort, PciConfigurationSpec.Length, this);

    /// <summary>As after power-on.</summary>
    public void Reset()
    {
        lock (_gate) _address = 0;
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node) => node.Locked(_gate, () => node.SayHex("address", _address));

    /// <inheritdoc/>
    public SavedKind Kind => new("PCI configuration mechanism 1", 1);

    /// <inheritdoc/>
    public void Save(SavedFields fields)
    {
        lock (_gate) fields.Value(1, ref _address);
    }

    /// <inheritdoc/>
    public void Load(SavedFields fields)
    {
        lock (_gate)
        {
            fields.Value(1, ref _address);
            SavedFields.Require((_address & ~PciConfigurationSpec.AddressMask) == 0, $"an address of 0x{_address:x}");
        }
    }

    /// <inheritdoc/>
    public AccessResult Read(ulong offset, Span<byte> data)
    {
        if (offset == ResetOffset && data.Length == 1) return resetControl.Read(0, data);
        Span<byte> registers = stackalloc byte[PciConfigurationSpec.Length];
        registers.Fill(0xff);
        lock (_gate)
        {
            // Other than whole, the address register is not there (3.2.2.3.2).
            if (offset == 0 && data.Length == 4) BinaryPrimitives.WriteUInt32LittleEndian(registers, _address);
            if ((_address & PciConfigurationSpec.Enable) != 0 && (_address & PciConfigurationSpec.FunctionMask) == 0) BinaryPrimitives.WriteUInt32LittleEndian(registers[Data..], HostBridge((int)(_address & 0xfc)));
        }
        for (var i = 0; i < data.Length; i++) data[i] = (int)offset + i < registers.Length ? registers[(int)offset + i] : (byte)0xff;
        return AccessResult.Ok;
    }

    /// <inheritdoc/>
    public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
    {
        if (offset == ResetOffset && data.Length == 1) return resetControl.Write(0, data);
        // Of the bridge nothing can be changed.
        if (offset != 0 || data.Length != 4) return AccessResult.Ok;
        lock (_gate) _address = BinaryPrimitives.ReadUInt32LittleEndian(data) & PciConfigurationSpec.AddressMask;
        return AccessResult.Ok;
    }

    private static uint HostBridge(int register) => register switch
    {
        PciConfigurationSpec.Identity => PciConfigurationSpec.IdentityValue,
        PciConfigurationSpec.ClassCode => PciConfigurationSpec.ClassValue,
        _ => 0,
    };
}
