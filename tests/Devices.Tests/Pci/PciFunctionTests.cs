// Configuration space and base address registers, as firmware and operating systems use them and as hostile guests do.
using Lamina.Devices.Pci;
using Xunit;

namespace Lamina.Tests.Devices.Pci;

public sealed class PciFunctionTests
{
    private const int Device = 5, Ports = 0x10, Memory = 0x14, Wide = 0x18, Table = 0x20;
    private const uint AllOnes = uint.MaxValue;

    private readonly PciTestMachine _machine = new();
    private readonly TestFunction _function;

    public PciFunctionTests() => _function = _machine.Add(Device);

    private void Answer(uint command = 3) => _machine.Write(Device, 4, command, 2);

    [Fact]
    public void A_function_says_who_it_is_at_any_width()
    {
        Assert.Equal(0x5678_1234u, _machine.Read(Device, 0));
        Assert.Equal(0x5678u, _machine.Read(Device, 2, 2));
        Assert.Equal(0x56u, _machine.Read(Device, 3, 1));
        Assert.Equal(0x02_0301_09u, _machine.Read(Device, 8));
        Assert.Equal(0xbbbb_aaaau, _machine.Read(Device, 0x2c));
        Assert.Equal(1u, _machine.Read(Device, 0x3d, 1));
        Assert.Equal(0x0010u, _machine.Read(Device, 6, 2));
    }

    [Fact]
    public void Where_there_is_no_function_all_bits_are_ones()
    {
        Assert.Equal(AllOnes, _machine.Read(6, 0));
        _machine.Ports.Write(0xcf8, BitConverter.GetBytes(0x8000_0100u | Device << 11));
        Assert.Equal(AllOnes, _machine.ReadPort(0xcfc, 4));
        // Another bus, and an address that is not enabled.
        _machine.Ports.Write(0xcf8, BitConverter.GetBytes(0x8001_0000u | Device << 11));
        Assert.Equal(AllOnes, _machine.ReadPort(0xcfc, 4));
        _machine.Ports.Write(0xcf8, BitConverter.GetBytes(Device << 11));
        Assert.Equal(AllOnes, _machine.ReadPort(0xcfc, 4));
    }

    [Fact]
    public void Registers_that_cannot_be_written_stay()
    {
        for (var offset = 0; offset < 0x100; offset += 4)
        {
            if (offset is >= Ports and < 0x28 or 4) continue;
            var before = _machine.Read(Device, offset);
            _machine.Write(Device, offset, ~before);
            _machine.Write(Device, offset, before);
        }
        Assert.Equal(0x5678_1234u, _machine.Read(Device, 0));
        Assert.Equal(0x02_0301_09u, _machine.Read(Device, 8));
        _machine.Write(Device, 0x3c, 0xff0b, 2);
        Assert.Equal(0x010bu, _machine.Read(Device, 0x3c, 2));
    }

    [Theory]
    [InlineData(Ports, 0xffff_ffe1u)]
    [InlineData(Memory, 0xffff_f000u)]
    [InlineData(Wide, 0x0000_000cu)]
    [InlineData(Wide + 4, 0xffff_ffffu)]
    [InlineData(Table, 0xffff_f000u)]
    [InlineData(Table + 4, 0u)]
    public void A_register_says_its_size(int register, uint size)
    {
        _machine.Write(Device, register, AllOnes);

        Assert.Equal(size, _machine.Read(Device, register));
    }

    [Fact]
    public void A_register_answers_where_it_is_put_while_command_says_so()
    {
        _machine.Write(Device, Ports, 0xc000);
        _machine.Write(Device, Memory, 0xe000_0000);
        Assert.Equal(0xffu, _machine.ReadPort(0xc000, 1));
        Assert.Equal(0xffu, _machine.ReadMemory(0xe000_0000));

        Answer(1);
        Assert.Equal(TestFunction.PortsMark, _machine.ReadPort(0xc000, 1));
        Assert.Equal(0xffu, _machine.ReadMemory(0xe000_0000));
        Answer(2);
        Assert.Equal(0xffu, _machine.ReadPort(0xc000, 1));
        Assert.Equal(TestFunction.MemoryMark, _machine.ReadMemory(0xe000_0fff));
        _machine.Write(Device, Memory, 0xe123_4000);
        Assert.Equal(0xffu, _machine.ReadMemory(0xe000_0000));
        Assert.Equal(TestFunction.MemoryMark, _machine.ReadMemory(0xe123_4000));
        Answer(0);
        Assert.Equal(0xffu, _machine.ReadMemory(0xe123_4000));
    }

    [Fact]
    public void Asking_for_the_size_moves_nothing()
    {
        _machine.Write(Device, Ports, 0xc000);
        _machine.Write(Device, Memory, 0xe000_0000);
        _machine.Write(Device, Wide + 4, 0x10);
        Answer();
        foreach (var register in new[] { Ports, Memory, Wide, Wide + 4 })
        {
            var before = _machine.Read(Device, register);
            _machine.Write(Device, register, AllOnes);
            Answers();
            // 64 bits are asked for by halves, and both stand at ones for a while.
            if (register == Wide)
            {
                _machine.Write(Device, Wide + 4, AllOnes);
                Answers();
                _machine.Write(Device, Wide, before);
                Answers();
                _machine.Write(Device, Wide + 4, 0x10);
            }
            _machine.Write(Device, register, before);
            Answers();
        }
        // Whoever has it answer anew while it says its size gets it where it says.
        _machine.Write(Device, Memory, AllOnes);
        Answer(0);
        Answer();
        Assert.Equal(0xffu, _machine.ReadMemory(0xe000_0000));
        Assert.Equal(TestFunction.MemoryMark, _machine.ReadMemory(0xffff_f000));

        void Answers()
        {
            Assert.Equal(TestFunction.PortsMark, _machine.ReadPort(0xc01f, 1));
            Assert.Equal(TestFunction.MemoryMark, _machine.ReadMemory(0xe000_0000));
            Assert.Equal(TestFunction.WideMark, _machine.ReadMemory(0x10_0000_0000));
        }
    }

    [Fact]
    public void Registers_that_lie_over_each_other_or_nowhere_do_no_harm()
    {
        var other = _machine.Add(6);
        var fixedRegisters = new TestRegisters(0x77);
        _machine.Memory.Map(0xfec0_0000, 0x1000, fixedRegisters);
        foreach (var device in new[] { 5, 6 })
        {
            _machine.Write(device, Memory, 0xe000_0000);
            _machine.Write(device, 4, 3, 2);
        }
        _machine.WriteMemory(0xe000_0000, 1);
        Assert.Equal((1, 0), (_function.Memory.Writes.Count, other.Memory.Writes.Count));
        // Under another, then away from it.
        _machine.Write(5, Memory, 0xe100_0000);
        _machine.WriteMemory(0xe000_0000, 2);
        Assert.Equal((1, 1), (_function.Memory.Writes.Count, other.Memory.Writes.Count));
        // What is fixed answers.
        _machine.Write(5, Memory, 0xfec0_0000);
        Assert.Equal(0x77u, _machine.ReadMemory(0xfec0_0000));
        // Beyond the ports, beyond all addresses.
        _machine.Write(5, Ports, 0x1_c000);
        Assert.Equal(0xffu, _machine.ReadPort(0xc000, 1));
        _machine.Write(5, Ports, 0xcf8 & ~0x1fu);
        Assert.NotEqual(TestFunction.PortsMark, _machine.ReadPort(0xcfc, 1));
        _machine.Write(5, Wide + 4, 0xffff_fffe);
        _machine.Write(5, Wide + 4, 0x10);
        Assert.Equal(TestFunction.WideMark, _machine.ReadMemory(0x10_ffff_ffff));
    }

    [Fact]
    public void A_reset_takes_it_off_the_buses()
    {
        _machine.Write(Device, Memory, 0xe000_0000);
        Answer();
        _function.Pin(true);

        _function.Reset();

        Assert.False(_machine.Line.Level);
        Assert.Equal(0xffu, _machine.ReadMemory(0xe000_0000));
        Assert.Equal((0u, 0u), (_machine.Read(Device, Memory), _machine.Read(Device, 4, 2)));
    }

    [Fact]
    public void The_pin_is_a_level_that_command_switches_off_and_status_tells_of()
    {
        _function.Pin(true);
        Assert.True(_machine.Line.Level);
        Assert.Equal(0x18u, _machine.Read(Device, 6, 2));
        Answer(0x400);
        Assert.False(_machine.Line.Level);
        Assert.Equal(0x18u, _machine.Read(Device, 6, 1));
        Answer(0);
        Assert.True(_machine.Line.Level);
        _function.Pin(false);
        Assert.False(_machine.Line.Level);
        Assert.Equal(0x10u, _machine.Read(Device, 6, 2));
    }

    [Fact]
    public void The_reset_control_port_is_still_among_the_ports()
    {
        _machine.Ports.Write(0xcf9, [6]);

        Assert.Equal(1, _machine.Resets);
        Assert.Equal(0x5678_1234u, _machine.Read(Device, 0));
    }

    [Fact]
    public void Two_functions_cannot_have_one_place() =>
        Assert.Throws<ArgumentException>(() => _machine.Bus.Add(Device, 0, new TestFunction(_machine.Wires("another"))));
}
