// The display's registers and memory as a guest reaches them.
using Lamina.Core.Memory;
using Lamina.Devices.Pci;
using Xunit;

namespace Lamina.Tests.Devices.Display;

public sealed class VgaTests : IDisposable
{
    private const ulong Window = 0xa_0000, Text = 0xb_8000;

    private readonly VgaTestMachine _machine = new();

    public void Dispose() => _machine.Dispose();

    [Fact]
    public void It_is_the_standard_VGA_with_16_MiB()
    {
        Assert.Equal(0x1111_1234u, _machine.Machine.Read(VgaTestMachine.Device, 0));
        Assert.Equal(0x03_0000u, _machine.Machine.Read(VgaTestMachine.Device, 8) >> 8);
        _machine.Machine.Write(VgaTestMachine.Device, 0x10, uint.MaxValue);
        Assert.Equal(0xff00_0008u, _machine.Machine.Read(VgaTestMachine.Device, 0x10));
        Assert.Equal(256, _machine.GetExtension(10));
    }

    [Fact]
    public void Video_memory_is_the_guests_own_where_its_register_has_it_and_stays_as_it_moves()
    {
        Assert.True(_machine.Memory.TryWrite(VgaTestMachine.VideoMemory + 0x12_3456, 0x1122_3344u));
        _machine.Machine.Write(VgaTestMachine.Device, 0x10, 0xe500_0000);
        Assert.False(_machine.Memory.IsRam(VgaTestMachine.VideoMemory, 4));
        Assert.True(_machine.Memory.TryRead<uint>(0xe512_3456, out var moved));
        Assert.Equal(0x1122_3344u, moved);
        // It is none of the machine's RAM.
        Assert.Equal(0x1a_0000ul, _machine.Memory.Size);
        Assert.Equal(2, _machine.Memory.Ranges.Count);

        _machine.Machine.Write(VgaTestMachine.Device, PciSpec.Command, 0, 2);
        Assert.False(_machine.Memory.IsRam(0xe500_0000, 4));
        _machine.Machine.Write(VgaTestMachine.Device, PciSpec.Command, 2, 2);
        Assert.True(_machine.Memory.TryRead<uint>(0xe512_3456, out moved));
        Assert.Equal(0x1122_3344u, moved);

        // Where RAM is: nowhere. And back.
        using (_machine.Memory.Map(0xe7ff_f000, 0x1000, MemoryKind.Rom, "other"))
        {
            _machine.Machine.Write(VgaTestMachine.Device, 0x10, 0xe700_0000);
            Assert.False(_machine.Memory.IsRam(0xe700_0000, 4));
        }
        _machine.Machine.Write(VgaTestMachine.Device, 0x10, VgaTestMachine.VideoMemory);
        Assert.True(_machine.Memory.TryRead<uint>(VgaTestMachine.VideoMemory + 0x12_3456, out moved));
        Assert.Equal(0x1122_3344u, moved);
    }

    [Fact]
    public void Ports_and_window_answer_as_long_as_COMMAND_has_them()
    {
        _machine.SetTextMode();
        _machine.Poke(Text, 0x41);
        Assert.Equal(0x41, _machine.Peek(Text));
        _machine.Machine.Write(VgaTestMachine.Device, PciSpec.Command, PciSpec.AnswersPorts, 2);
        Assert.Equal(0xff, _machine.Peek(Text));
        Assert.Equal(0x67, _machine.In(0x3cc));
        _machine.Machine.Write(VgaTestMachine.Device, PciSpec.Command, PciSpec.AnswersMemory, 2);
        Assert.Equal(0x41, _machine.Peek(Text));
        Assert.Equal(0xff, _machine.In(0x3cc));
        Assert.Equal(0xffff, _machine.In16(0x1ce));
        Assert.Equal(0x67u, _machine.Machine.ReadMemory(VgaTestMachine.Registers + 0x40c));
    }

    [Fact]
    public void The_miscellaneous_register_moves_the_CRT_controller_and_takes_the_window_away()
    {
        _machine.SetTextMode();
        Assert.Equal(0x4f, _machine.Get(0x3d4, 1));
        Assert.Equal(0xff, _machine.In(0x3b5));
        _machine.Out(0x3c2, 0x66);
        Assert.Equal(0xff, _machine.In(0x3d5));
        Assert.Equal(0x4f, _machine.Get(0x3b4, 1));
        _machine.Out(0x3c2, 0x65);
        _machine.Poke(Text, 0x41);
        Assert.Equal(0xff, _machine.Peek(Text));
    }

    [Fact]
    public void The_first_CRT_registers_are_protected_but_for_a_bit()
    {
        _machine.SetTextMode();
        _machine.Set(0x3d4, 0x11, 0x80);
        _machine.Set(0x3d4, 1, 0);
        _machine.Set(0x3d4, 7, 0);
        _machine.Set(0x3d4, 0xe, 7);
        Assert.Equal((0x4f, 0x0f, 7), (_machine.Get(0x3d4, 1), _machine.Get(0x3d4, 7), _machine.Get(0x3d4, 0xe)));
    }

    [Fact]
    public void The_attribute_controller_alternates_between_index_and_value()
    {
        _machine.SetTextMode();
        _machine.SetAttribute(0x10, 0xff);
        _machine.In(0x3da);
        _machine.Out(0x3c0, 0x10);
        Assert.Equal(0xef, _machine.In(0x3c1));
        // The palette is closed while the picture is shown, the others are not.
        _machine.In(0x3da);
        foreach (var value in (int[])[3, 0x15, 0x23, 0x2a, 0x32, 0x05]) _machine.Out(0x3c0, value);
        _machine.In(0x3da);
        _machine.Out(0x3c0, 3);
        Assert.Equal(0x15, _machine.In(0x3c1));
        _machine.In(0x3da);
        _machine.Out(0x3c0, 0x12);
        Assert.Equal(5, _machine.In(0x3c1));
    }

    [Fact]
    public void Colours_have_three_parts_of_six_bits_or_of_eight()
    {
        _machine.SetColour(5, 0xff, 0x12, 0x7f);
        _machine.Out(0x3c7, 5);
        Assert.Equal(3, _machine.In(0x3c7));
        Assert.Equal((0x3f, 0x12, 0x3f), (_machine.In(0x3c9), _machine.In(0x3c9), _machine.In(0x3c9)));
        _machine.SetExtension(4, 0x20);
        _machine.SetColour(255, 0xff, 0x12, 0x7f);
        // Behind the last comes the first.
        foreach (var part in (int[])[1, 2, 3]) _machine.Out(0x3c9, part);
        _machine.Out(0x3c7, 255);
        Assert.Equal([0xff, 0x12, 0x7f, 1, 2, 3], Enumerable.Range(0, 6).Select(_ => (int)_machine.In(0x3c9)));
    }

    [Fact]
    public void The_beam_moves_with_the_clock()
    {
        _machine.SetTextMode();
        var seen = new HashSet<byte>();
        for (var i = 0; i < 1000; i++)
        {
            seen.Add(_machine.In(0x3da));
            _machine.Clock.Advance(20_000);
        }
        Assert.Equal([0, 1, 9], seen.Order().Select(status => (int)status));
    }

    [Fact]
    public void Write_mode_0_rotates_sets_combines_and_masks()
    {
        _machine.SetPlanarMode();
        _machine.Poke(Window, 0xf0);
        Assert.Equal([0xf0, 0xf0, 0xf0, 0xf0], Word(0));
        // Plane 0 from the CPU, plane 1 set, plane 2 reset, plane 3 closed; XOR with the latches, upper half alone.
        _ = _machine.Peek(Window);
        _machine.Set(0x3ce, 0, 0b0010);
        _machine.Set(0x3ce, 1, 0b0110);
        _machine.Set(0x3ce, 3, 0x18 | 1);
        _machine.Set(0x3ce, 8, 0xf0);
        _machine.Set(0x3c4, 2, 0b0111);
        _machine.Poke(Window, 0b0110_0001);
        Assert.Equal([0xf0 ^ 0b1011_0000, 0x00, 0xf0, 0xf0], Word(0));
    }

    [Fact]
    public void Write_modes_1_2_and_3_copy_spread_and_mask()
    {
        _machine.SetPlanarMode();
        _machine.Memory.TryWrite(VgaTestMachine.VideoMemory, 0x0403_0201u);
        _ = _machine.Peek(Window);
        _machine.Set(0x3ce, 5, 1);
        _machine.Poke(Window + 1, 0xee);
        Assert.Equal([1, 2, 3, 4], Word(1));
        _machine.Set(0x3ce, 5, 2);
        _machine.Set(0x3ce, 8, 0x0f);
        _machine.Poke(Window + 2, 0b1001);
        Assert.Equal([0x0f, 0x02 & 0xf0, 0x03 & 0xf0, 0x0f], Word(2));
        _machine.Set(0x3ce, 5, 3);
        _machine.Set(0x3ce, 0, 0b0100);
        _machine.Set(0x3ce, 8, 0x3c);
        _machine.Poke(Window + 3, 0xf0);
        Assert.Equal([0x01, 0x02, 0x33, 0x04], Word(3));
    }

    [Fact]
    public void Read_mode_0_gives_a_plane_and_1_compares_colours()
    {
        _machine.SetPlanarMode();
        _machine.Memory.TryWrite(VgaTestMachine.VideoMemory, 0x00ff_0f55u);
        for (var plane = 0; plane < 4; plane++)
        {
            _machine.Set(0x3ce, 4, plane);
            Assert.Equal(0x00ff_0f55u >> (8 * plane) & 0xff, _machine.Peek(Window));
        }
        _machine.Set(0x3ce, 5, 8);
        _machine.Set(0x3ce, 2, 0b0101);
        _machine.Set(0x3ce, 7, 0xf);
        Assert.Equal(0x50, _machine.Peek(Window));
        _machine.Set(0x3ce, 7, 0b0101);
        Assert.Equal(0x55, _machine.Peek(Window));
        _machine.Set(0x3ce, 7, 0);
        Assert.Equal(0xff, _machine.Peek(Window));
    }

    [Fact]
    public void Text_alternates_between_two_planes_and_chained_bytes_between_four()
    {
        _machine.SetTextMode();
        _machine.Poke(Text, 0x41, 0x07, 0x42, 0x70);
        Assert.Equal([0x41, 0x07, 0, 0], Word(0));
        Assert.Equal([0x42, 0x70, 0, 0], Word(1));
        Assert.Equal(0x70, _machine.Peek(Text + 3));
        // The other windows do not answer in this mode.
        Assert.Equal(0xff, _machine.Peek(Window));
        Assert.Equal(0xff, _machine.Peek(0xb_0000));

        _machine.SetByteMode();
        _machine.Poke(Window + 4, 1, 2, 3, 4);
        Assert.Equal([1, 2, 3, 4], Word(1));
        _machine.Set(0x3c4, 2, 0b1010);
        _machine.Poke(Window + 4, 5, 6, 7, 8);
        Assert.Equal([1, 6, 3, 8], Word(1));
    }

    [Fact]
    public void Banks_move_the_window_over_linear_memory()
    {
        _machine.SetByteMode();
        _machine.SetLinearMode(800, 600, 32);
        _machine.SetExtension(5, 0x37);
        _machine.Poke(Window + 0x1234, 0x5a);
        Assert.True(_machine.Memory.TryRead<byte>(VgaTestMachine.VideoMemory + 0x37_1234, out var value));
        Assert.Equal(0x5a, value);
        _machine.SetExtension(5, 0x100);
        Assert.Equal(0x37, _machine.GetExtension(5));
        _machine.SetExtension(4, 0);
        Assert.Equal(0, _machine.GetExtension(5));
    }

    [Theory]
    [InlineData(1024, 768, 32, 1024, 768, 1024, 4096)]
    [InlineData(1023, 5000, 8, 1016, 2048, 1016, 16513)]
    [InlineData(0, 0, 16, 8, 1, 8, 65535)]
    [InlineData(65535, 65535, 32, 2560, 1638, 2560, 1638)]
    [InlineData(640, 480, 4, 640, 480, 640, 52428)]
    public void A_picture_fits_into_video_memory(int width, int height, int depth, int isWidth, int isHeight, int line, int lines)
    {
        _machine.SetLinearMode(width, height, depth);
        Assert.Equal((isWidth, isHeight, line, lines), (_machine.GetExtension(1), _machine.GetExtension(2), _machine.GetExtension(6), _machine.GetExtension(7)));
    }

    [Fact]
    public void Larger_lines_and_offsets_are_taken_as_far_as_memory_goes()
    {
        _machine.SetLinearMode(800, 600, 16);
        _machine.SetExtension(6, 1024);
        _machine.SetExtension(8, 16);
        _machine.SetExtension(9, 100);
        Assert.Equal((1024, 8192, 16, 100), (_machine.GetExtension(6), _machine.GetExtension(7), _machine.GetExtension(8), _machine.GetExtension(9)));
        _machine.SetExtension(9, 8000);
        Assert.Equal((0, 0), (_machine.GetExtension(8), _machine.GetExtension(9)));
        // The largest of each, where asked.
        _machine.SetExtension(4, 3);
        Assert.Equal((2560, 2048, 32), (_machine.GetExtension(1), _machine.GetExtension(2), _machine.GetExtension(3)));
    }

    [Fact]
    public void A_mode_begins_with_black_unless_it_is_to_keep_what_there_is()
    {
        _machine.Memory.TryWrite(VgaTestMachine.VideoMemory + 123, (byte)1);
        _machine.SetExtension(4, 0xc1);
        Assert.True(_machine.Memory.TryRead<byte>(VgaTestMachine.VideoMemory + 123, out var kept));
        Assert.Equal(1, kept);
        _machine.SetLinearMode(1280, 1024, 32);
        Assert.True(_machine.Memory.TryRead<byte>(VgaTestMachine.VideoMemory + 123, out var cleared));
        Assert.Equal(0, cleared);
    }

    [Fact]
    public void Registers_in_memory_are_the_monitors_the_VGAs_the_extensions_and_the_byte_order()
    {
        var monitor = Enumerable.Range(0, 128).Select(i => (byte)_machine.Machine.ReadMemory(VgaTestMachine.Registers + (ulong)i)).ToArray();
        Assert.Equal([0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0], monitor[..8]);
        Assert.Equal(0, monitor.Sum(part => part) % 256);
        Assert.Equal(1280, monitor[56] | (monitor[58] & 0xf0) << 4);
        Assert.Equal(800, monitor[59] | (monitor[61] & 0xf0) << 4);
        Assert.Equal(0u, _machine.Machine.ReadMemory(VgaTestMachine.Registers + 0x3ff));

        Write(0x4c2 - 0xc0, 0x67);
        Assert.Equal(0x67, _machine.In(0x3cc));
        _machine.Machine.Memory.Write(VgaTestMachine.Registers + 0x404, [4, 0x0e]);
        Assert.Equal(0x0e, _machine.Get(0x3c4, 4));
        _machine.Machine.Memory.Write(VgaTestMachine.Registers + 0x502, [0x20, 0x03, 0x58, 0x02]);
        Assert.Equal((800, 600), (_machine.GetExtension(1), _machine.GetExtension(2)));
        Assert.Equal(0x0258_0320u, _machine.Machine.ReadMemory(VgaTestMachine.Registers + 0x502, 4));
        Assert.Equal(0xb0c5u, _machine.Machine.ReadMemory(VgaTestMachine.Registers + 0x500, 2));
        Assert.Equal((8u, 0x1e1e_1e1eu), (_machine.Machine.ReadMemory(VgaTestMachine.Registers + 0x600, 4), _machine.Machine.ReadMemory(VgaTestMachine.Registers + 0x604, 4)));
        _machine.Machine.WriteMemory(VgaTestMachine.Registers + 0x604, 0xbebe_bebe);
        _machine.Machine.WriteMemory(VgaTestMachine.Registers + 0x604, 0x1234_5678);
        Assert.Equal(0xbebe_bebeu, _machine.Machine.ReadMemory(VgaTestMachine.Registers + 0x604, 4));

        void Write(int offset, byte value) => _machine.Machine.Memory.Write(VgaTestMachine.Registers + (ulong)offset, [value]);
    }

    [Fact]
    public void Who_watches_is_told_of_registers_of_the_window_and_of_what_is_stored_in_place()
    {
        using var watch = _machine.Display.Watch();
        Assert.True(watch.HasChanged());
        Assert.False(watch.HasChanged());
        _machine.Memory.TryWrite(VgaTestMachine.VideoMemory + 0xff_fff0, 1);
        Assert.True(watch.HasChanged());
        Assert.False(watch.HasChanged());
        _machine.SetTextMode();
        Assert.True(watch.HasChanged());
        _ = _machine.Peek(Text);
        _ = _machine.In(0x3da);
        Assert.False(watch.HasChanged());
        _machine.Poke(Text, 1);
        Assert.True(watch.HasChanged());
        _machine.Machine.Write(VgaTestMachine.Device, 0x10, 0xe500_0000);
        Assert.True(watch.HasChanged());
        _machine.Memory.TryWrite(0xe500_0000, 1);
        Assert.True(watch.HasChanged());
        _machine.Machine.Write(VgaTestMachine.Device, PciSpec.Command, 0, 2);
        Assert.True(watch.HasChanged());
        Assert.False(watch.HasChanged());
    }

    [Fact]
    public void A_reset_leaves_nothing_of_what_was_there()
    {
        _machine.SetTextMode();
        _machine.Poke(Text, 0x41);
        _machine.Display.Reset();
        Assert.Equal(0xff, _machine.In(0x3cc));
        Assert.Equal("blank", _machine.Display.Mode);
        _machine.Machine.Write(VgaTestMachine.Device, 0x10, VgaTestMachine.VideoMemory);
        _machine.Machine.Write(VgaTestMachine.Device, PciSpec.Command, 3, 2);
        Assert.Equal([0, 0, 0, 0], Word(0));
        Assert.Equal(0, _machine.In(0x3cc));
    }

    private int[] Word(int word)
    {
        Assert.True(_machine.Memory.TryRead<uint>(VgaTestMachine.VideoMemory + (4 * (ulong)word), out var value));
        return [.. Enumerable.Range(0, 4).Select(plane => (int)(value >> (8 * plane) & 0xff))];
    }
}
