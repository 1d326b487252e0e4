// A mouse behind its controller: packets of movements, the kinds that a driver knocks for, what it may command.
using Lamina.Core.Input;
using Lamina.Devices.Chipset.Ps2;
using Xunit;

namespace Lamina.Tests.Devices.Chipset.Ps2;

public sealed class Ps2MouseTests
{
    private readonly Ps2Rig _rig = new Ps2Rig().Started();

    private I8042 Controller => _rig.Controller;

    private int[] Ask(params int[] values)
    {
        var answers = new List<int>();
        foreach (var value in values)
        {
            _rig.Mouse(value);
            answers.AddRange(_rig.Read());
        }
        Assert.All(answers, answer => Assert.True(answer >= 0x100));
        return [.. answers.Select(answer => answer & 0xff)];
    }

    private int[] Packet() => [.. _rig.Read().Select(value => value & 0xff)];

    [Fact]
    public void Movements_are_to_the_right_and_upwards()
    {
        Controller.Move(5, -7, 0, PointerButtons.None);
        Assert.Equal([0x08, 5, 7], Packet());
        Controller.Move(-5, 7, 0, PointerButtons.Left | PointerButtons.Middle);
        Assert.Equal([0x3d, 0xfb, 0xf9], Packet());
        Controller.Move(0, 0, 0, PointerButtons.Right);
        Assert.Equal([0x0a, 0, 0], Packet());
        Controller.Move(0, 0, 0, PointerButtons.Right);
        Assert.Empty(Packet());
    }

    [Fact]
    public void What_does_not_fit_one_packet_comes_in_more_and_what_nobody_reads_is_added_up()
    {
        Controller.Move(300, 0, 0, PointerButtons.None);
        for (var i = 0; i < 100; i++) Controller.Move(1, 0, 0, PointerButtons.None);
        Assert.Equal([0x08, 255, 0, 0x08, 145, 0], Packet());
    }

    [Fact]
    public void A_driver_that_knocks_gets_a_wheel_and_then_five_buttons()
    {
        Assert.Equal([0xfa, 0], Ask(0xf2));
        Ask(0xf3, 200, 0xf3, 100, 0xf3, 80);
        Assert.Equal([0xfa, 3], Ask(0xf2));
        Controller.Move(1, 0, -2, PointerButtons.None);
        Assert.Equal([0x08, 1, 0, 0xfe], Packet());
        Ask(0xf3, 200, 0xf3, 200, 0xf3, 80);
        Assert.Equal([0xfa, 4], Ask(0xf2));
        Controller.Move(0, 0, 1, PointerButtons.Back | PointerButtons.Forward);
        Assert.Equal([0x08, 0, 0, 0x31], Packet());
        Assert.Equal([0xfa, 0xaa, 0], Ask(0xff));
        Assert.Equal([0xfa, 0], Ask(0xf2));
    }

    [Fact]
    public void Its_state_is_told()
    {
        Ask(0xe8, 3, 0xf3, 60, 0xe7);
        Controller.Move(0, 0, 0, PointerButtons.Left);
        Packet();
        Assert.Equal([0xfa, 0x34, 3, 60], Ask(0xe9));
        Ask(0xf5);
        Controller.Move(9, 9, 0, PointerButtons.None);
        Assert.Empty(Packet());
        Ask(0xf6);
        Assert.Equal([0xfa, 0x04, 2, 100], Ask(0xe9));
    }

    [Fact]
    public void In_remote_mode_it_says_what_it_is_asked_for()
    {
        Ask(0xf0);
        Controller.Move(3, 0, 0, PointerButtons.None);
        Controller.Move(3, 0, 0, PointerButtons.None);
        Assert.Equal([0xfa, 0x08, 6, 0], Ask(0xeb));
        Ask(0xea);
        Controller.Move(1, 0, 0, PointerButtons.None);
        Assert.Equal([0x08, 1, 0], Packet());
    }

    [Fact]
    public void It_echoes_until_it_is_told_not_to()
    {
        Ask(0xee);
        Assert.Equal([0x12, 0xf4], Ask(0x12, 0xf4));
        Assert.Equal([0xfa], Ask(0xec));
        Assert.Equal([0xfe], Ask(0x12));
    }

    [Fact]
    public void A_key_that_is_held_and_a_mouse_that_moves_hold_neither_up()
    {
        for (var i = 0; i < 50; i++)
        {
            Controller.Press(new KeyCode(0x1e));
            Controller.Move(1, 0, 0, PointerButtons.Left);
        }
        Controller.Release(new KeyCode(0x1e));
        var bytes = _rig.Read();
        Assert.Equal(0x9e, bytes.Last(value => value < 0x100));
        var moved = bytes.Where(value => value >= 0x100).Select(value => value & 0xff).Chunk(3).ToArray();
        Assert.All(moved, packet => Assert.Equal(0x09, packet[0]));
        Assert.Equal(50, moved.Sum(packet => packet[1]));
    }
}
