// PCI configuration mechanism 1: the address register, and the data window onto the register that it names. What is behind it is the
// machine's: its PCI bus, or in one without PCI devices nothing but a host bridge. Source: PCI Local Bus Specification 3.0, 3.2.2.3.2.
using System.Buffers.Binary;
using Lamina.Core.Bus;
using Lamina.Core.Inspection;
using Lamina.Core.State;
using Lamina.Core.Units;
using Lamina.Devices.Pci;

namespace Lamina.Devices.Chipset;

/// <summary>Constants of configuration mechanism 1.</summary>
public static class PciConfigurationSpec
{
    /// <summary>CONFIG_ADDRESS, four bytes; CONFIG_DATA, four bytes, follows it.</summary>
    public const ushort AddressPort = 0xcf8;

    /// <summary>How many ports both take.</summary>
    public const int Length = 8;

    /// <summary>CONFIG_ADDRESS: bit 31 enables, 30 to 24 are reserved, bus, device, function, register, and two zeros.</summary>
    internal const uint Enable = 1u << 31, AddressMask = 0x80ff_fffc;

    /// <summary>The function of an address, and the register's first byte.</summary>
    internal const int FunctionShift = 8, FunctionMask = 0xffff, RegisterMask = 0xfc;
}

/// <summary>The ports, with the reset control register that lies among them.</summary>
/// <param name="resetControl">Answers byte accesses to port 0xCF9.</param>
/// <param name="space">What is behind the data window.</param>
public sealed class PciConfigurationPorts(ResetControl resetControl, IPciConfigurationSpace space) : IBusDevice, IResettable, ISavedUnit, IInspected
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
        data.Fill(0xff);
        var address = Address;
        // Other than whole, the address register is not there (3.2.2.3.2).
        if (offset == 0 && data.Length == sizeof(uint)) BinaryPrimitives.WriteUInt32LittleEndian(data, address);
        else if (IsData(offset, data.Length, address)) space.Read(FunctionOf(address), RegisterOf(address, offset), data);
        return AccessResult.Ok;
    }

    /// <inheritdoc/>
    public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
    {
        if (offset == ResetOffset && data.Length == 1) return resetControl.Write(0, data);
        if (offset == 0 && data.Length == sizeof(uint))
        {
            lock (_gate) _address = BinaryPrimitives.ReadUInt32LittleEndian(data) & PciConfigurationSpec.AddressMask;
            return AccessResult.Ok;
        }
        var address = Address;
        if (IsData(offset, data.Length, address)) space.Write(FunctionOf(address), RegisterOf(address, offset), data);
        return AccessResult.Ok;
    }

    private uint Address
    {
        get
        {
            lock (_gate) return _address;
        }
    }

    private static bool IsData(ulong offset, int length, uint address) =>
        (address & PciConfigurationSpec.Enable) != 0 && offset >= Data && offset + (ulong)length <= PciConfigurationSpec.Length;

    private static int FunctionOf(uint address) => (int)(address >> PciConfigurationSpec.FunctionShift & PciConfigurationSpec.FunctionMask);

    private static int RegisterOf(uint address, ulong offset) => (int)((address & PciConfigurationSpec.RegisterMask) + (offset - Data));
}
