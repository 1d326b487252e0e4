using System.Text;
using Lamina.Core.Bus;
using Lamina.Devices.Virtio.Console;
using Xunit;

namespace Lamina.Tests.Devices.Virtio;

public class VirtioConsoleTests : IDisposable
{
    private const ulong Data = TestGuest.Ram + 0x4_0000;
    private const ulong Size = 1, Multiport = 2, Emergency = 4;

    private readonly TestBackend _backend = new();
    private readonly TestConnectedBackend _channel = new();
    private readonly TestBackend _second = new();
    private readonly List<TestGuest> _guests = [];

    public void Dispose() => _guests.ForEach(guest => guest.Dispose());

    private (TestGuest Guest, VirtioConsole Console) Make(params ConsolePort[] ports)
    {
        var console = new VirtioConsole(ports);
        var guest = new TestGuest(console);
        _guests.Add(guest);
        return (guest, console);
    }

    private (TestGuest Guest, VirtioConsole Console) MakeThree() =>
        Make(new ConsolePort(_backend), new ConsolePort(_channel, IsConsole: false, Name: "org.lamina.0"), new ConsolePort(_second));

    private static SplitDriver[] Start(TestGuest guest, int queues, ulong features = Size)
    {
        Assert.Equal(11u, guest.Negotiate(TestFeatures.Plain | features));
        var rings = Enumerable.Range(0, queues).Select(i => new SplitDriver(guest, (uint)i, 32, TestGuest.Ram + (ulong)i * 0x1000).Place()).ToArray();
        guest.DriverOk();
        guest.Workers.Run();
        return rings;
    }

    private static string Text(IEnumerable<byte> bytes) => Encoding.ASCII.GetString([.. bytes]);

    private static void Send(TestGuest guest, SplitDriver ring, string text)
    {
        guest.Memory.TryWrite(Data, Encoding.ASCII.GetBytes(text));
        ring.Offer(new Part(Data, (uint)text.Length));
        guest.Notify(ring.Index);
    }

    /// <summary>The text of the next used buffer; buffer i of a queue lies at a place of its own.</summary>
    private static string? Received(TestGuest guest, SplitDriver ring)
    {
        if (ring.TakeUsed() is not var (id, length)) return null;
        var bytes = new byte[length];
        guest.Memory.TryRead(Place(ring, id), bytes);
        return Text(bytes);
    }

    private static ulong Place(SplitDriver ring, uint id) => Data + 0x1_0000 + ring.Index * 0x8000 + id * 0x400;

    private static void GiveBuffers(TestGuest guest, SplitDriver ring, int count, uint length = 0x400)
    {
        for (var i = 0; i < count; i++) ring.Offer(new Part(Place(ring, (uint)i), length, true));
        guest.Notify(ring.Index);
    }

    private static void Control(TestGuest guest, SplitDriver ring, uint id, ushort kind, ushort value)
    {
        guest.Store(Data, id);
        guest.Store(Data + 4, kind);
        guest.Store(Data + 6, value);
        ring.Offer(new Part(Data, 8));
        guest.Notify(3);
    }

    private static List<string> Messages(TestGuest guest, SplitDriver ring)
    {
        var messages = new List<string>();
        while (ring.TakeUsed() is var (id, length))
        {
            var bytes = new byte[length];
            guest.Memory.TryRead(Place(ring, id), bytes);
            messages.Add(length < 8 ? $"short {length}"
                : $"{BitConverter.ToUInt32(bytes)} {BitConverter.ToUInt16(bytes, 4)} {BitConverter.ToUInt16(bytes, 6)} {Convert.ToHexString(bytes.AsSpan(8))}".TrimEnd());
        }
        return messages;
    }

    [Fact]
    public void One_console_is_a_plain_device()
    {
        var (guest, _) = Make(new ConsolePort(_backend));

        Assert.Equal(3u, guest.Read(0x08));
        Assert.Equal(Size | Emergency, guest.OfferedFeatures() & 0xff_ffff);
        guest.Write(0x30, 2);
        Assert.Equal(0u, guest.Read(0x34));
    }

    [Fact]
    public void Several_ports_make_a_multiport_device_with_the_specifications_queues()
    {
        var (guest, _) = MakeThree();

        Assert.Equal(Size | Multiport | Emergency, guest.OfferedFeatures() & 0xff_ffff);
        Assert.Equal(3u, BitConverter.ToUInt32(guest.ReadConfig(4, 4)));
        var sizes = Enumerable.Range(0, 9).Select(i =>
        {
            guest.Write(0x30, (uint)i);
            return guest.Read(0x34);
        });
        Assert.Equal([128u, 128, 32, 32, 128, 128, 128, 128, 0], sizes);
    }

    [Fact]
    public void A_named_channel_alone_needs_multiport_too()
    {
        var (guest, _) = Make(new ConsolePort(_backend, IsConsole: false, Name: "agent"));

        Assert.NotEqual(0ul, guest.OfferedFeatures() & Multiport);
    }

    [Theory]
    [InlineData(0), InlineData(32)]
    public void A_number_of_ports_that_cannot_be_is_refused(int count)
    {
        Assert.Throws<ArgumentException>(() => new VirtioConsole([.. Enumerable.Range(0, count).Select(_ => new ConsolePort(_backend))]));
    }

    [Fact]
    public void A_name_that_is_too_long_is_refused()
    {
        Assert.Throws<ArgumentException>(() => new VirtioConsole([new ConsolePort(_backend, false, new string('x', 513))]));
    }

    [Fact]
    public void Output_goes_to_the_backend_in_order()
    {
        var (guest, _) = Make(new ConsolePort(_backend));
        var rings = Start(guest, 2);

        Send(guest, rings[1], "hello, ");
        Send(guest, rings[1], "world");

        Assert.Equal("hello, world", Text(_backend.Output));
        Assert.Equal((0u, 0u), rings[1].TakeUsed());
        Assert.Equal((1u, 0u), rings[1].TakeUsed());
    }

    [Fact]
    public void Output_in_many_and_long_parts_arrives_whole()
    {
        var (guest, _) = Make(new ConsolePort(_backend));
        var rings = Start(guest, 2);
        var bytes = new byte[100_000];
        new Random(1).NextBytes(bytes);
        guest.Memory.TryWrite(Data, bytes);

        rings[1].Offer(new Part(Data, 1), new Part(Data + 1, 0), new Part(Data + 1, 70_000), new Part(Data + 70_001, 29_999));
        guest.Notify(1);

        Assert.Equal(bytes, _backend.Output);
    }

    [Fact]
    public void Input_fills_the_guests_buffers_and_interrupts_it()
    {
        var (guest, _) = Make(new ConsolePort(_backend));
        var rings = Start(guest, 2);
        GiveBuffers(guest, rings[0], 2, length: 4);

        _backend.Type("abcdef"u8);
        guest.Workers.Run();

        Assert.Equal("abcd", Received(guest, rings[0]));
        Assert.Equal("ef", Received(guest, rings[0]));
        Assert.True(guest.Line.Level);
    }

    [Fact]
    public void Input_waits_for_a_buffer()
    {
        var (guest, _) = Make(new ConsolePort(_backend));
        var rings = Start(guest, 2);
        _backend.Type("abc"u8);
        guest.Workers.Run();
        Assert.Null(rings[0].TakeUsed());

        GiveBuffers(guest, rings[0], 1);

        Assert.Equal("abc", Received(guest, rings[0]));
    }

    [Fact]
    public void Input_before_the_driver_waits_in_the_backend()
    {
        var (guest, _) = Make(new ConsolePort(_backend));
        _backend.Type("abc"u8);
        Assert.Equal(3, _backend.Waiting);

        var rings = Start(guest, 2);
        Assert.True(_backend.ReadyCalls > 0);
        _backend.Type();
        GiveBuffers(guest, rings[0], 1);

        Assert.Equal("abc", Received(guest, rings[0]));
        Assert.Equal(0, _backend.Waiting);
    }

    [Fact]
    public void Input_beyond_the_devices_room_stays_in_the_backend_and_none_is_lost()
    {
        var (guest, _) = Make(new ConsolePort(_backend));
        var rings = Start(guest, 2);
        var bytes = new byte[10_000];
        for (var i = 0; i < bytes.Length; i++) bytes[i] = (byte)('a' + i % 23);
        _backend.Type(bytes);
        Assert.InRange(_backend.Waiting, 1, bytes.Length - 1);

        var received = new StringBuilder();
        for (var i = 0; i < 40; i++)
        {
            var before = _backend.ReadyCalls;
            rings[0].Offer(new Part(Place(rings[0], (uint)i % 32), 0x400, true));
            guest.Notify(0);
            while (Received(guest, rings[0]) is { } piece) received.Append(piece);
            if (_backend.ReadyCalls > before) _backend.Type();
            guest.Workers.Run();
        }

        Assert.Equal(Text(bytes), received.ToString());
    }

    [Fact]
    public void The_emergency_register_writes_before_any_driver()
    {
        var (guest, _) = Make(new ConsolePort(_backend));

        guest.Transport.Write(0x108, [(byte)'p', 0, 0, 0]);
        guest.Transport.Write(0x108, "q"u8);
        guest.Transport.Write(0x104, "xxxx"u8);
        guest.Transport.Write(0x109, "y"u8);

        Assert.Equal("pq", Text(_backend.Output));
        Assert.Equal(new byte[4], guest.ReadConfig(8, 4));
    }

    [Fact]
    public void A_resize_changes_the_configuration_and_its_generation_and_interrupts()
    {
        var (guest, console) = Make(new ConsolePort(_backend));
        Start(guest, 2);
        var generation = guest.Read(0xfc);

        console.Resize(0, 132, 43);

        Assert.Equal([132, 0, 43, 0], guest.ReadConfig(0, 4));
        Assert.NotEqual(generation, guest.Read(0xfc));
        Assert.Equal(2u, guest.Acknowledge());
        console.Resize(0, 132, 43);
        Assert.Equal(0u, guest.Acknowledge());
    }

    [Fact]
    public void A_resize_before_the_driver_is_what_it_finds()
    {
        var (guest, console) = Make(new ConsolePort(_backend));
        console.Resize(0, 80, 25);

        Assert.False(guest.Line.Level);
        Assert.Equal([80, 0, 25, 0], guest.ReadConfig(0, 4));
    }

    [Fact]
    public void Ports_are_announced_once_and_introduced_when_the_driver_is_ready_for_them()
    {
        var (guest, console) = MakeThree();
        console.Resize(0, 80, 25);
        _channel.SetConnected(true);
        var rings = Start(guest, 8, Size | Multiport);
        GiveBuffers(guest, rings[2], 20);
        Assert.Empty(Messages(guest, rings[2]));

        Control(guest, rings[3], 0, 0, 1);
        Assert.Equal(["0 1 1", "1 1 1", "2 1 1"], Messages(guest, rings[2]));
        Control(guest, rings[3], 0, 0, 1);
        Assert.Empty(Messages(guest, rings[2]));

        Control(guest, rings[3], 0, 3, 1);
        Assert.Equal(["0 4 1", "0 6 1", "0 5 0 50001900"], Messages(guest, rings[2]));
        Control(guest, rings[3], 1, 3, 1);
        Assert.Equal(["1 7 1 " + Convert.ToHexString("org.lamina.0"u8), "1 6 1"], Messages(guest, rings[2]));
        Control(guest, rings[3], 2, 3, 1);
        Assert.Equal(["2 4 1", "2 6 1"], Messages(guest, rings[2]));
    }

    [Fact]
    public void Messages_wait_for_buffers_and_cannot_be_piled_up()
    {
        var (guest, _) = MakeThree();
        var rings = Start(guest, 8, Multiport);
        for (var i = 0; i < 1000; i++)
        {
            Control(guest, rings[3], 0, 0, 1);
            Control(guest, rings[3], 0, 3, 1);
            Control(guest, rings[3], 0xffff_ffff, 3, 1);
            Control(guest, rings[3], 2, 77, 1);
        }

        GiveBuffers(guest, rings[2], 20);

        Assert.Equal(["0 1 1", "0 4 1", "0 6 1", "1 1 1", "2 1 1"], Messages(guest, rings[2]));
        Assert.False(guest.NeedsReset);
    }

    [Fact]
    public void A_port_that_was_not_announced_cannot_be_ready()
    {
        var (guest, _) = MakeThree();
        var rings = Start(guest, 8, Multiport);
        GiveBuffers(guest, rings[2], 20);

        Control(guest, rings[3], 1, 3, 1);

        Assert.Empty(Messages(guest, rings[2]));
    }

    [Fact]
    public void Control_messages_that_are_too_short_or_tell_of_failure_are_ignored()
    {
        var (guest, _) = MakeThree();
        var rings = Start(guest, 8, Multiport);
        GiveBuffers(guest, rings[2], 20);
        guest.Store(Data, 0ul);
        rings[3].Offer(new Part(Data, 7));
        guest.Notify(3);
        Assert.NotNull(rings[3].TakeUsed());

        Control(guest, rings[3], 0, 0, 0);

        Assert.Empty(Messages(guest, rings[2]));
    }

    [Fact]
    public void A_control_buffer_that_is_too_small_gets_what_fits()
    {
        var (guest, _) = MakeThree();
        var rings = Start(guest, 8, Multiport);
        GiveBuffers(guest, rings[2], 3, length: 5);

        Control(guest, rings[3], 0, 0, 1);

        Assert.Equal(["short 5", "short 5", "short 5"], Messages(guest, rings[2]));
    }

    [Fact]
    public void The_guest_learns_when_a_peer_comes_and_goes()
    {
        var (guest, _) = MakeThree();
        var rings = Start(guest, 8, Multiport);
        GiveBuffers(guest, rings[2], 20);
        Control(guest, rings[3], 0, 0, 1);
        Control(guest, rings[3], 1, 3, 1);
        Assert.Contains("1 6 0", Messages(guest, rings[2]));

        _channel.SetConnected(true);
        guest.Workers.Run();
        Assert.Equal(["1 6 1"], Messages(guest, rings[2]));
        _channel.SetConnected(false);
        guest.Workers.Run();
        Assert.Equal(["1 6 0"], Messages(guest, rings[2]));
    }

    [Fact]
    public void A_port_takes_input_while_the_guest_has_it_open_only()
    {
        var (guest, _) = MakeThree();
        var rings = Start(guest, 8, Multiport);
        GiveBuffers(guest, rings[4], 4);
        Control(guest, rings[3], 0, 0, 1);
        Control(guest, rings[3], 1, 3, 1);
        _channel.Type("abc"u8);
        Assert.Equal(3, _channel.Waiting);

        Control(guest, rings[3], 1, 6, 1);
        Assert.True(_channel.ReadyCalls > 0);
        _channel.Type();
        guest.Workers.Run();
        Assert.Equal("abc", Received(guest, rings[4]));

        Control(guest, rings[3], 1, 6, 0);
        _channel.Type("d"u8);
        Assert.Equal(1, _channel.Waiting);
    }

    [Fact]
    public void Each_port_has_its_own_output()
    {
        var (guest, _) = MakeThree();
        var rings = Start(guest, 8, Multiport);

        Send(guest, rings[1], "zero");
        Send(guest, rings[5], "one");
        Send(guest, rings[7], "two");

        Assert.Equal("zero", Text(_backend.Output));
        Assert.Equal("one", Text(_channel.Output));
        Assert.Equal("two", Text(_second.Output));
    }

    [Fact]
    public void A_resize_of_a_ready_console_port_is_a_message_with_columns_first()
    {
        var (guest, console) = MakeThree();
        var rings = Start(guest, 8, Multiport);
        GiveBuffers(guest, rings[2], 20);
        Control(guest, rings[3], 0, 0, 1);
        Control(guest, rings[3], 2, 3, 1);
        Messages(guest, rings[2]);

        console.Resize(2, 100, 30);
        console.Resize(1, 7, 7);
        guest.Workers.Run();

        Assert.Equal(["2 5 0 64001E00"], Messages(guest, rings[2]));
    }

    [Fact]
    public void A_driver_that_knows_one_port_only_uses_port_zero_of_many()
    {
        var (guest, _) = MakeThree();
        var rings = Start(guest, 2);
        GiveBuffers(guest, rings[0], 1);

        Send(guest, rings[1], "out");
        _backend.Type("in"u8);
        guest.Workers.Run();

        Assert.Equal("out", Text(_backend.Output));
        Assert.Equal("in", Received(guest, rings[0]));
    }

    [Fact]
    public void A_reset_forgets_ports_and_waiting_input()
    {
        var (guest, _) = Make(new ConsolePort(_backend));
        Start(guest, 2);
        _backend.Type("old"u8);

        guest.Memory.TryWrite(TestGuest.Ram, new byte[0x2000]);
        var rings = Start(guest, 2);
        GiveBuffers(guest, rings[0], 1);

        Assert.Null(Received(guest, rings[0]));
        _backend.Type("new"u8);
        guest.Workers.Run();
        Assert.Equal("new", Received(guest, rings[0]));
    }

    [Fact]
    public void Empty_receive_buffers_come_back_empty_and_cost_no_input()
    {
        var (guest, _) = Make(new ConsolePort(_backend));
        var rings = Start(guest, 2);
        rings[0].Offer(new Part(Place(rings[0], 0), 0, true));
        rings[0].Offer(new Part(Place(rings[0], 1), 8, true));

        _backend.Type("abc"u8);
        guest.Workers.Run();

        Assert.Equal("", Received(guest, rings[0]));
        Assert.Equal("abc", Received(guest, rings[0]));
    }

    [Fact]
    public void Configuration_space_behind_the_structure_is_zero_and_ignores_writes()
    {
        var (guest, _) = Make(new ConsolePort(_backend));

        Assert.Equal(AccessResult.Ok, guest.Transport.Write(0x100, [9, 9, 9, 9]));
        Assert.Equal(AccessResult.Ok, guest.Transport.Write(0x140, [9, 9, 9, 9]));

        Assert.Equal(new byte[4], guest.ReadConfig(0, 4));
        Assert.Equal(new byte[8], guest.ReadConfig(0x40, 8));
        Assert.Empty(_backend.Output);
    }

    [Fact]
    public void Output_that_is_not_taken_keeps_its_buffer_until_it_is()
    {
        var (guest, _) = Make(new ConsolePort(_backend));
        var rings = Start(guest, 2);
        _backend.Room = 3;

        Send(guest, rings[1], "hello");
        guest.Memory.TryWrite(Data + 0x100, "!"u8);
        rings[1].Offer(new Part(Data + 0x100, 1));
        guest.Notify(1);

        Assert.Equal("hel", Text(_backend.Output));
        Assert.Null(rings[1].TakeUsed());
        _backend.MakeRoom(2);
        guest.Workers.Run();
        Assert.Equal((0u, 0u), rings[1].TakeUsed());
        Assert.Null(rings[1].TakeUsed());

        _backend.MakeRoom();
        guest.Workers.Run();
        Assert.Equal("hello!", Text(_backend.Output));
        Assert.Equal((1u, 0u), rings[1].TakeUsed());
    }

    [Fact]
    public void A_reset_takes_back_the_buffer_that_waits()
    {
        var (guest, console) = Make(new ConsolePort(_backend));
        var rings = Start(guest, 2);
        _backend.Room = 0;
        Send(guest, rings[1], "never");

        guest.Write(0x70, 0);
        _backend.MakeRoom();
        guest.Workers.Run();
        Assert.Empty(_backend.Output);

        // A driver that begins anew has empty rings.
        guest.Memory.TryWrite(TestGuest.Ram, new byte[0x2000]);
        rings = Start(guest, 2);
        Send(guest, rings[1], "anew");
        Assert.Equal("anew", Text(_backend.Output));
        Assert.Equal(0, console.Lost);
    }

    [Fact]
    public void An_emergency_that_nobody_takes_is_counted()
    {
        var (guest, console) = Make(new ConsolePort(_backend));
        _backend.Room = 0;

        guest.Transport.Write(0x108, "x"u8);

        Assert.Equal(1, console.Lost);
    }
}
