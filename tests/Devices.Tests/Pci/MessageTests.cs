// MSI-X and MSI: what is masked waits and is told, and comes when it may.
using Xunit;

namespace Lamina.Tests.Devices.Pci;

public sealed class MessageTests
{
    private const int Device = 3;
    private const uint Window = 0xe000_0000, Pending = Window + 0x800;

    private readonly PciTestMachine _machine = new();
    private readonly TestFunction _function;

    public MessageTests()
    {
        _function = _machine.Add(Device);
        _machine.Write(Device, 0x20, Window);
        _machine.Write(Device, 4, 2, 2);
    }

    private List<(ulong Address, uint Data)> Sent => _machine.Messages.Sent;

    private void Enable(uint control = 0x8000) => _machine.Write(Device, _machine.Capability(Device, 0x11) + 2, control, 2);

    private void Entry(uint vector, uint address, uint data, uint control)
    {
        _machine.WriteMemory(Window + (16 * vector), address);
        _machine.WriteMemory(Window + (16 * vector) + 4, 0);
        _machine.WriteMemory(Window + (16 * vector) + 8, data);
        _machine.WriteMemory(Window + (16 * vector) + 12, control);
    }

    [Fact]
    public void The_capability_says_how_many_there_are_and_where()
    {
        var at = _machine.Capability(Device, 0x11);

        Assert.Equal(3u, _machine.Read(Device, at + 2, 2));
        Assert.Equal(4u, _machine.Read(Device, at + 4));
        Assert.Equal(0x804u, _machine.Read(Device, at + 8));
        for (uint vector = 0; vector < 4; vector++) Assert.Equal(1u, _machine.ReadMemory(Window + (16 * vector) + 12, 4));
    }

    [Fact]
    public void A_message_is_sent_as_its_entry_says()
    {
        Entry(2, 0xfee0_1003, 0x41, 0xffff_fffe);
        Enable();

        _function.Signal(2);

        Assert.Equal([(0xfee0_1000ul, 0x41u)], Sent);
        Assert.Equal(0u, _machine.ReadMemory(Window + 44, 4));
        _function.Signal(4);
        _function.Signal(-1);
        Assert.Single(Sent);
    }

    [Fact]
    public void A_masked_message_waits_and_comes_once()
    {
        Entry(1, 0xfee0_0000, 0x51, 1);
        Enable();
        _function.Signal(1);
        _function.Signal(1);
        Assert.Empty(Sent);
        Assert.Equal(2u, _machine.ReadMemory(Pending));

        _machine.WriteMemory(Window + 28, 0);

        Assert.Equal([(0xfee0_0000ul, 0x51u)], Sent);
        Assert.Equal(0u, _machine.ReadMemory(Pending));
    }

    [Fact]
    public void All_are_masked_at_once_and_those_that_wait_come_then()
    {
        Entry(0, 0xfee0_0000, 0x60, 0);
        Entry(3, 0xfee0_0000, 0x63, 0);
        Enable(0xc000);
        _function.Signal(3);
        _function.Signal(0);
        Assert.Empty(Sent);
        Assert.Equal(9u, _machine.ReadMemory(Pending));

        Enable();

        Assert.Equal([0x60u, 0x63u], Sent.Select(sent => sent.Data));
    }

    [Fact]
    public void Messages_take_the_pins_place()
    {
        _function.Pin(true);
        Enable();
        Assert.False(_machine.Line.Level);
        Enable(0);
        Assert.True(_machine.Line.Level);
        _function.Signal(0);
        Assert.Empty(Sent);
    }

    [Fact]
    public void The_waiting_bits_cannot_be_written()
    {
        Enable();
        _machine.WriteMemory(Pending, uint.MaxValue);

        Assert.Equal(0u, _machine.ReadMemory(Pending, 4));
    }

    [Fact]
    public void Messages_of_configuration_space_number_themselves_and_wait_where_they_are_masked()
    {
        var at = _machine.Capability(Device, 5);
        Assert.Equal(0x0186u, _machine.Read(Device, at + 2, 2));
        _machine.Write(Device, at + 4, 0xfee0_2000);
        _machine.Write(Device, at + 12, 0x87, 2);
        _machine.Write(Device, at + 16, 2);
        // Two of eight are given.
        _machine.Write(Device, at + 2, 0x11, 2);

        _function.SignalOwn(0);
        _function.SignalOwn(1);

        Assert.Equal([(0xfee0_2000ul, 0x86u)], Sent);
        Assert.Equal(2u, _machine.Read(Device, at + 20));
        _machine.Write(Device, at + 16, 0);
        Assert.Equal((0xfee0_2000ul, 0x87u), Sent[^1]);
        Assert.Equal(0u, _machine.Read(Device, at + 20));
        _function.SignalOwn(7);
        Assert.Equal(0x87u, Sent[^1].Data);
        _function.Pin(true);
        Assert.False(_machine.Line.Level);
        _machine.Write(Device, at + 2, 0, 2);
        Assert.True(_machine.Line.Level);
    }
}
