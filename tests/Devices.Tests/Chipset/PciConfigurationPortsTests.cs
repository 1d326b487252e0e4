// Configuration mechanism 1 without devices, as kernels look for it.
using Lamina.Core.Bus;
using Lamina.Devices.Chipset;
using Xunit;

namespace Lamina.Tests.Devices.Chipset;

public sealed class PciConfigurationPortsTests
{
    private const ulong Address = 0xcf8, ResetControl = 0xcf9, Data = 0xcfc;

    private readonly Bus _ports = new("port");
    private readonly PciConfigurationPorts _pci;
    private int _resets;

    public PciConfigurationPortsTests()
    {
        _pci = new PciConfigurationPorts(new ResetControl(() => _resets++), new LoneHostBridge());
        _pci.MapPorts(_ports);
    }

    private ulong In(ulong port, int length)
    {
        var data = new byte[8];
        _ports.Read(port, data.AsSpan(0, length));
        return BitConverter.ToUInt64(data);
    }

    private void Out(ulong port, uint value, int length = 4) => _ports.Write(port, BitConverter.GetBytes(value).AsSpan(0, length));

    [Fact]
    public void The_mechanism_is_found_and_has_a_host_bridge()
    {
        Out(0xcfb, 1, length: 1);
        Out(Address, 0x8000_0000);

        Assert.Equal(0x8000_0000ul, In(Address, 4));
        Assert.Equal(0x1b36ul, In(Data, 2));
        Out(Address, 0x8000_0008);
        Assert.Equal(0x0600ul, In(Data + 2, 2));
        Out(Address, 0x8000_000c);
        Assert.Equal(0ul, In(Data, 4));
    }

    [Theory]
    [InlineData(0x0000_0000u)] // not enabled
    [InlineData(0x8000_0100u)] // another function
    [InlineData(0x8000_0800u)] // another device
    [InlineData(0x8001_0000u)] // another bus
    public void Nothing_else_is_there(uint address)
    {
        Out(Address, address);

        Assert.Equal(0xffff_fffful, In(Data, 4));
    }

    [Fact]
    public void The_bridge_cannot_be_changed_and_a_part_of_the_address_is_none()
    {
        Out(Address, 0xff00_0003);
        Out(Address, 0x12, length: 2);
        Out(Data, 0x1234_5678);

        Assert.Equal((0x8000_0000ul, 0x0008_1b36ul, 0xfffful), (In(Address, 4), In(Data, 4), In(Address, 2)));
        _pci.Reset();
        Assert.Equal(0ul, In(Address, 4));
    }

    [Fact]
    public void Bytes_at_the_reset_control_register_are_its_own()
    {
        Out(Address, 0x8000_0600);
        Assert.Equal(0, _resets);

        Out(ResetControl, 0x06, length: 1);

        Assert.Equal((1, 0x06ul, 0x8000_0600ul & 0x80ff_fffcul), (_resets, In(ResetControl, 1), In(Address, 4)));
    }
}
