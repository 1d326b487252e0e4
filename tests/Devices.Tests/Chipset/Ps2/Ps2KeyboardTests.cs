// A keyboard behind its controller: what a guest reads of keys that go down and up, and what it may command.
using Lamina.Core.Input;
using Lamina.Devices.Chipset.Ps2;
using Xunit;

namespace Lamina.Tests.Devices.Chipset.Ps2;

public sealed class Ps2KeyboardTests
{
    private readonly Ps2Rig _rig = new();

    private I8042 Controller => _rig.Controller;

    private static KeyCode Key(string name) => KeyNames.Find(name) ?? throw new ArgumentException(name);

    private void Strike(params string[] names)
    {
        foreach (var name in names) Controller.Press(Key(name));
        foreach (var name in names.Reverse()) Controller.Release(Key(name));
    }

    [Fact]
    public void Every_key_says_in_set_1_what_it_is_called_by()
    {
        _rig.Started();
        foreach (var key in KeyNames.All.Select(Key).Distinct().Where(key => key != KeyCode.Pause && key != KeyCode.PrintScreen))
        {
            Controller.Press(key);
            Controller.Release(key);
            int[] prefix = key.Extended ? [0xe0] : [];
            Assert.Equal([.. prefix, key.Code, .. prefix, key.Code | 0x80], _rig.Read());
        }
    }

    [Theory]
    [InlineData("a", "1c f0 1c")]
    [InlineData("f7", "83 f0 83")]
    [InlineData("enter", "5a f0 5a")]
    [InlineData("kp_enter", "e0 5a e0 f0 5a")]
    [InlineData("delete", "e0 71 e0 f0 71")]
    [InlineData("ctrl_r", "e0 14 e0 f0 14")]
    [InlineData("pause", "e1 14 77 e1 f0 14 f0 77")]
    [InlineData("print", "e0 12 e0 7c e0 f0 7c e0 f0 12")]
    public void Keys_say_in_set_2_what_the_manual_has(string name, string codes)
    {
        _rig.Started(translated: false);
        Strike(name);
        Assert.Equal(codes, string.Join(' ', _rig.Read().Select(code => $"{code:x2}")));
    }

    [Theory]
    [InlineData("pause", "e1 1d 45 e1 9d c5")]
    [InlineData("print", "e0 2a e0 37 e0 b7 e0 aa")]
    [InlineData("ctrl-pause", "1d e0 46 e0 c6 9d")]
    [InlineData("alt-print", "38 54 d4 b8")]
    [InlineData("shift-print", "2a e0 37 e0 b7 aa")]
    public void Keys_with_sequences_of_their_own_come_translated(string stroke, string codes)
    {
        _rig.Started();
        Strike(stroke.Split('-'));
        Assert.Equal(codes, string.Join(' ', _rig.Read().Select(code => $"{code:x2}")));
    }

    [Fact]
    public void A_guest_may_choose_set_1_and_ask_for_what_it_has()
    {
        _rig.Started(translated: false);
        _rig.Data(0xf0);
        _rig.Data(1);
        _rig.Data(0xf0);
        _rig.Data(0);
        Assert.Equal([0xfa, 0xfa, 0xfa, 0xfa, 1], _rig.Read());
        Strike("a", "up");
        Assert.Equal([0x1e, 0xe0, 0x48, 0xe0, 0xc8, 0x9e], _rig.Read());
        _rig.Data(0xf0);
        _rig.Data(3);
        _rig.Data(0xf0);
        _rig.Data(0);
        Assert.Equal([0xfa, 0xfa, 0xfa, 0xfa, 1], _rig.Read());
    }

    [Fact]
    public void It_is_known_reset_and_lit()
    {
        _rig.Started(translated: false);
        _rig.Data(0xf2);
        Assert.Equal([0xfa, 0xab, 0x83], _rig.Read());
        _rig.Data(0xed);
        _rig.Data(7);
        Assert.Equal([0xfa, 0xfa], _rig.Read());
        Assert.Equal(KeyboardLights.CapsLock | KeyboardLights.NumLock | KeyboardLights.ScrollLock, Controller.Lights);
        _rig.Data(0xee);
        _rig.Data(0xfe);
        _rig.Data(0x00);
        Assert.Equal([0xee, 0xee, 0xfe], _rig.Read());
        _rig.Data(0xff);
        Assert.Equal([0xfa, 0xaa], _rig.Read());
        Assert.Equal(KeyboardLights.None, Controller.Lights);
    }

    [Fact]
    public void A_byte_stays_for_a_bytes_time_however_often_it_is_read()
    {
        _rig.Started();
        Strike("a");
        Assert.Equal(0x15, _rig.Status);
        Assert.Equal([0x1e, 0x1e, 0x1e], new[] { Controller.Data.In(0), Controller.Data.In(0), Controller.Data.In(0) });
        Assert.Equal(0, _rig.Status & 1);
        _rig.Clock.Advance(Ps2Rig.ByteTime);
        Assert.Equal(1, _rig.Status & 1);
        Assert.Equal(0x9e, Controller.Data.In(0));
    }

    [Fact]
    public void Each_byte_has_an_edge_of_its_own()
    {
        _rig.Started();
        var before = _rig.KeyboardLine.Edges;
        Strike("a", "b");
        Assert.Equal(4, _rig.Read().Length);
        Assert.Equal(4, _rig.KeyboardLine.Edges - before);
        Assert.False(_rig.KeyboardLine.Level);
    }

    [Fact]
    public void The_controllers_answer_waits_for_what_a_device_sent()
    {
        _rig.Started();
        Controller.Press(Key("a"));
        _rig.Command(0x20);
        Assert.Equal([0x1e, 0x47], _rig.Read(2));
    }

    [Fact]
    public void Disabled_it_keeps_what_was_typed()
    {
        _rig.Started();
        _rig.Command(0xad);
        Strike("a");
        Assert.Empty(_rig.Read());
        _rig.Command(0xae);
        Assert.Equal([0x1e, 0x9e], _rig.Read());
    }

    [Fact]
    public void A_guest_that_does_not_read_loses_keys_and_never_one_that_goes_up()
    {
        _rig.Started();
        foreach (var name in "abcdefghijklmnopqrstuvwxyz") Controller.Press(Key($"{name}"));
        foreach (var name in "abcdefghijklmnopqrstuvwxyz") Controller.Release(Key($"{name}"));
        var codes = _rig.Read();
        Assert.NotEmpty(codes);
        foreach (var pressed in codes.Where(code => code < 0x80)) Assert.Contains(pressed | 0x80, codes);
        Strike("a");
        Assert.Equal([0x1e, 0x9e], _rig.Read());
    }

    [Fact]
    public void What_is_typed_in_a_pause_comes_behind_it()
    {
        _rig.Started();
        var line = _rig.KeyboardLine.Edges;
        Controller.Pause();
        Strike("a");
        for (var i = 0; i < 10_000; i++) Controller.Move(1, 1, 0, PointerButtons.None);
        _rig.Clock.Advance(Ps2Rig.ByteTime);
        Assert.Equal((0, line, false), (_rig.Status & 1, _rig.KeyboardLine.Edges, Controller.IsReady));
        Controller.Resume();
        Assert.Equal([0x1e, 0x9e], _rig.Read().Where(code => code < 0x100));
    }

    [Fact]
    public void A_system_that_probes_finds_both()
    {
        // As Linux' i8042 driver goes about it: loop-back of the auxiliary side, test, and whether enabling it shows.
        _rig.Command(0xd3);
        _rig.Data(0x5a);
        Assert.Equal((0x21, 0x5a), (_rig.Status & 0x21, (int)Controller.Data.In(0)));
        _rig.Command(0xa9);
        Assert.Equal(0, (int)Controller.Data.In(0));
        _rig.Command(0xa8);
        _rig.Command(0x20);
        Assert.Equal(0, Controller.Data.In(0) & 0x20);
        _rig.Command(0xa7);
        _rig.Command(0x20);
        Assert.Equal(0x20, Controller.Data.In(0) & 0x20);
        _rig.Command(0xab);
        Assert.Equal(0, (int)Controller.Data.In(0));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public void Whatever_guest_and_user_do_it_goes_on(int seed)
    {
        var random = new Random(seed);
        for (var i = 0; i < 200_000; i++)
        {
            switch (random.Next(8))
            {
                case 0:
                    Controller.Press(new KeyCode((byte)random.Next(256), random.Next(2) == 0));
                    break;
                case 1:
                    Controller.Release(new KeyCode((byte)random.Next(256), random.Next(2) == 0));
                    break;
                case 2:
                    Controller.Move(random.Next(), -random.Next(), random.Next(-1000, 1000), (PointerButtons)random.Next());
                    break;
                case 3:
                    _rig.Data(random.Next(256));
                    break;
                case 4:
                    _rig.Command(random.Next(256));
                    break;
                case 5:
                    _rig.Clock.Advance(random.NextInt64(2 * Ps2Rig.ByteTime));
                    break;
                default:
                    _ = Controller.Data.In(0) + Controller.Command.In(0);
                    break;
            }
        }
        // Whatever that was: a reset of both, and they are there.
        Controller.Reset();
        _rig.Started();
        Strike("a");
        Assert.Equal([0x1e, 0x9e], _rig.Read());
    }
}
