// Gigabit cards as a driver finds them: who they are, their memory and PHY, the link, interrupts and when they come, filters, statistics, stops.
using Lamina.Core.Inspection;
using Lamina.Core.Limits;
using Lamina.Devices.Ethernet;
using Xunit;

namespace Lamina.Tests.Devices.Ethernet;

public sealed class E1000Tests
{
    private const uint LinkChanged = 4, Received = 0x80, WrittenBack = 1, QueueEmpty = 2;

    public static TheoryData<string> Models => ["e1000", "e1000e"];

    private static E1000Guest Make(string model, FlowLimit? limit = null) => new(model == "e1000" ? E1000Model.E1000 : E1000Model.E1000e, limit: limit);

    [Theory]
    [InlineData("e1000", 0x100e, 0x0c20)]
    [InlineData("e1000e", 0x10d3, 0x0cb1)]
    public void It_says_who_it_is(string model, int device, int phy)
    {
        using var guest = Make(model);

        Assert.Equal((uint)device << 16 | 0x8086, guest.Pci.Read(E1000Guest.Device, 0));
        Assert.Equal(0x0200_00u, guest.Pci.Read(E1000Guest.Device, 8) >> 8);
        Assert.Equal((0x0141, phy), (guest.Phy(2), guest.Phy(3)));
        Assert.Equal((0x0041_4c02u, 0x8000_0700u), (guest.Read(0x5400), guest.Read(0x5404)));
        // What is not there says so.
        guest.Write(0x20, 2u << 26 | 5 << 21);
        Assert.Equal(5u << 28, guest.Read(0x20) & 5u << 28);
        Assert.Equal((model == "e1000e", model == "e1000e"), (guest.Pci.Capability(E1000Guest.Device, 5) != 0, guest.Pci.Capability(E1000Guest.Device, 0x11) != 0));
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Its_memory_has_the_address_and_a_right_sum(string model)
    {
        using var guest = Make(model);
        var words = Enumerable.Range(0, 64).Select(guest.Word).ToArray();

        Assert.Equal([0x4c02, 0x0041, 0x0700], words[..3]);
        Assert.Equal(0xbaba, (ushort)words.Sum(word => word));
        Assert.Equal(0xffff, guest.Word(model == "e1000" ? 77 : 1000));
    }

    [Fact]
    public void Its_memory_is_read_bit_by_bit()
    {
        using var guest = Make("e1000");
        guest.Write(0x10, 1 << 6);
        Assert.Equal(3u << 7, guest.Read(0x10) & 3u << 7);

        Assert.Equal((0x4c02, 0x0700), (Clock(6, 0, 16), Clock(6, 2, 16)));
        // It goes on with the next word, and is not written to.
        Assert.Equal(0x0041_0700, Clock(6, 1, 32));
        Clock(5, 1, 16);
        Assert.Equal(0x0041, Clock(6, 1, 16));

        int Clock(uint opcode, uint address, int bits)
        {
            guest.Write(0x10, 0x40);
            guest.Write(0x10, 0x42);
            for (var i = 8; i >= 0; i--) Bit((opcode << 6 | address) >> i & 1);
            var read = 0;
            for (var i = 0; i < bits; i++) read = read << 1 | (int)Bit(0);
            guest.Write(0x10, 0x40);
            return read;
        }

        uint Bit(uint value)
        {
            guest.Write(0x10, 0x42 | value << 2);
            guest.Write(0x10, 0x43 | value << 2);
            var read = guest.Read(0x10) >> 3 & 1;
            guest.Write(0x10, 0x42 | value << 2);
            return read;
        }
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Registers_are_reached_at_ports_and_at_their_old_places(string model)
    {
        using var guest = Make(model);

        guest.Pci.Ports.Write(E1000Guest.Ports, BitConverter.GetBytes(0x5204));
        guest.Pci.Ports.Write(E1000Guest.Ports + 4, BitConverter.GetBytes(0x1234_5678));

        Assert.Equal(0x1234_5678u, guest.Read(0x5204));
        Assert.Equal((0x5204u, 0x1234_5678u), (guest.Pci.ReadPort(E1000Guest.Ports, 4), guest.Pci.ReadPort(E1000Guest.Ports + 4, 4)));
        Assert.Equal(0x1234_5678u, guest.Read(0x204));
        guest.Write(0x110, 0xabcd_efff);
        Assert.Equal(0xabcd_eff0, guest.Read(0x2800));
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void At_another_place_the_network_is_told_where_the_card_is(string model)
    {
        using var guest = Make(model);

        guest.Card.IsPlugged = false;
        guest.Card.Announce();
        Assert.Empty(guest.Net.Sent);
        guest.Card.IsPlugged = true;
        guest.Card.Announce();

        var frame = Assert.Single(guest.Net.Sent).Frame;
        Assert.Equal((60, 0x8035), (frame.Length, frame[12] << 8 | frame[13]));
        Assert.Equal(frame[6..12], frame[22..28]);
        Assert.NotEqual(new byte[6], frame[6..12]);
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void The_link_goes_down_and_up_and_says_so(string model)
    {
        using var guest = Make(model);
        guest.Write(0xd0, LinkChanged);
        Assert.Equal((0x83u, 0x796du), (guest.Read(0x8) & 0xc3, guest.Phy(1)));

        guest.Card.IsPlugged = false;
        Assert.True(guest.Pci.Line.Level);
        Assert.Equal((0u, 0x7949u, 0u), (guest.Read(0x8) & 2, guest.Phy(1), guest.Phy(5)));
        Assert.Equal(LinkChanged, guest.Read(0xc0) & LinkChanged);
        Assert.False(guest.Pci.Line.Level);
        guest.Card.IsPlugged = true;
        Assert.True(guest.Pci.Line.Level);
        _ = guest.Read(0xc0);
        guest.Net.SetLink(false);
        guest.Net.SetLink(true);
        Assert.Equal(LinkChanged, guest.Read(0xc0) & LinkChanged);
        // An agreement made anew is told of, and one with less to offer is slower.
        guest.Phy(9, 0);
        guest.Phy(0, 0x1340);
        Assert.Equal((LinkChanged, 0x41u), (guest.Read(0xc0) & LinkChanged, guest.Read(0x8) & 0xc1));
        // A PHY that is off hears nothing.
        guest.Phy(0, 0x1800);
        Assert.Equal(0u, guest.Read(0x8) & 2);
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void A_reset_forgets_all_but_the_address(string model)
    {
        using var guest = Make(model).Started();
        guest.Write(0xd0, 0xff);
        guest.Write(0xc8, 0x10);
        guest.Write(0x5400, 0);
        Assert.True(guest.Pci.Line.Level);

        guest.Write(0x0, 1 << 26);

        Assert.False(guest.Pci.Line.Level);
        Assert.Equal((0u, 0u, 0u, 0u, 0x0041_4c02u), (guest.Read(0xd0), guest.Read(0xc0), guest.Read(0x100), guest.Read(0x2818), guest.Read(0x5400)));
        Assert.Equal(0u, guest.Read(0) & 1 << 26);
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Causes_are_set_masked_and_cleared(string model)
    {
        using var guest = Make(model);

        guest.Write(0xc8, Received);
        Assert.False(guest.Pci.Line.Level);
        guest.Write(0xd0, Received | WrittenBack);
        Assert.True(guest.Pci.Line.Level);
        guest.Write(0xd8, Received);
        Assert.False(guest.Pci.Line.Level);
        Assert.Equal((WrittenBack, Received), (guest.Read(0xd0), guest.Read(0xc8)));
        guest.Write(0xc8, WrittenBack);
        guest.Write(0xc0, WrittenBack);
        Assert.False(guest.Pci.Line.Level);
        Assert.Equal(Received, guest.Read(0xc0));
        Assert.Equal(0u, guest.Read(0xc0));
    }

    [Fact]
    public void Reading_causes_says_whether_one_was_asserted_and_masks_them()
    {
        using var guest = Make("e1000e");
        guest.Write(0x18, 1 << 27);
        guest.Write(0xe0, Received);
        guest.Write(0xd0, Received | WrittenBack);
        guest.Write(0xc8, Received);

        Assert.Equal(Received | 1u << 31, guest.Read(0xc0));
        Assert.Equal(WrittenBack, guest.Read(0xd0));
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Interrupts_are_kept_apart_as_long_as_the_driver_wants(string model)
    {
        using var guest = Make(model);
        guest.Write(0xc4, 1000);
        guest.Write(0xd0, Received);

        guest.Write(0xc8, Received);
        Assert.True(guest.Pci.Line.Level);
        _ = guest.Read(0xc0);
        guest.Clock.Advance(255_000);
        guest.Write(0xc8, Received);
        Assert.False(guest.Pci.Line.Level);
        guest.Clock.ExpireEarly();
        Assert.False(guest.Pci.Line.Level);
        guest.Clock.Advance(1000);
        Assert.True(guest.Pci.Line.Level);
        Assert.Equal(2u, guest.Read(0x4100));
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void What_was_received_is_told_of_when_no_more_comes(string model)
    {
        using var guest = Make(model).Started();
        guest.Write(0xd0, Received);
        guest.Write(0x2820, 10);
        guest.Write(0x282c, 15);

        Assert.True(guest.Receive(TestFrames.Of(10)));
        guest.Clock.Advance(9 * 1024);
        Assert.True(guest.Receive(TestFrames.Of(10)));
        guest.Clock.Advance(5 * 1024);
        Assert.False(guest.Pci.Line.Level);
        // The absolute delay is over.
        guest.Clock.Advance(1024);
        Assert.True(guest.Pci.Line.Level);
        _ = guest.Read(0xc0);
        Assert.True(guest.Receive(TestFrames.Of(10)));
        guest.Write(0x2820, 1u << 31 | 10);
        Assert.True(guest.Pci.Line.Level);
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void What_was_sent_is_told_of_later_where_its_descriptor_says_so(string model)
    {
        using var guest = Make(model).Started();
        guest.Write(0xd0, WrittenBack);
        guest.Write(0x3820, 10);

        guest.Queue(TestFrames.Of(10), 9u << 24 | 1u << 31);
        guest.Ring();
        Assert.False(guest.Pci.Line.Level);
        guest.Clock.Advance(10 * 1024);
        Assert.True(guest.Pci.Line.Level);
        Assert.Equal(WrittenBack, guest.Read(0xc0) & WrittenBack);
        guest.Queue(TestFrames.Of(10), 9u << 24);
        guest.Ring();
        Assert.True(guest.Pci.Line.Level);
        Assert.Equal(QueueEmpty | WrittenBack, guest.Read(0xc0) & 3);
    }

    [Fact]
    public void Each_ring_has_messages_of_its_own()
    {
        using var guest = Make("e1000e").Started();
        guest.EnableTable();
        guest.Write(0x18, 1 << 24);
        guest.Write(0xe0, uint.MaxValue);
        guest.Write(0xdc, 5u << 20);
        guest.Write(0xe4, 0x000a_0908);
        guest.Write(0xd0, 5u << 20 | 1 << 24 | LinkChanged);

        // The table's causes: received on the first ring, sent by it, all others.
        Assert.True(guest.Receive(TestFrames.Of(10)));
        Assert.Equal([0x40u], guest.Pci.Messages.Sent.Select(message => message.Data));
        Assert.Equal(0u, guest.Read(0xd0) & 1 << 20);
        Assert.True(guest.Receive(TestFrames.Of(10)));
        Assert.Single(guest.Pci.Messages.Sent);
        guest.Write(0xd0, 1 << 20);
        Assert.Equal([0x40u, 0x40u], guest.Pci.Messages.Sent.Select(message => message.Data));
        guest.Queue(TestFrames.Of(10), 9u << 24);
        guest.Ring();
        guest.Card.IsPlugged = false;
        Assert.Equal([0x40u, 0x40u, 0x41u, 0x42u], guest.Pci.Messages.Sent.Select(message => message.Data));
        Assert.Equal(1u << 24 | LinkChanged, guest.Read(0xc0) & (1 << 24 | LinkChanged));
        Assert.False(guest.Pci.Line.Level);
        // Kept apart for each message.
        guest.Write(0xe8, 1000);
        guest.Card.IsPlugged = true;
        guest.Write(0xd0, 1 << 20);
        Assert.True(guest.Receive(TestFrames.Of(10)));
        guest.Write(0xd0, 1 << 20);
        Assert.True(guest.Receive(TestFrames.Of(10)));
        // The cable's is masked by its message still.
        Assert.Equal([0x40u], guest.Pci.Messages.Sent.Skip(4).Select(message => message.Data));
        guest.Clock.Advance(256_000);
        Assert.Equal([0x40u, 0x40u], guest.Pci.Messages.Sent.Skip(4).Select(message => message.Data));
    }

    [Fact]
    public void One_message_takes_the_pins_place()
    {
        using var guest = Make("e1000e");
        var at = guest.Pci.Capability(E1000Guest.Device, 5);
        guest.Pci.Write(E1000Guest.Device, at + 4, 0xfee0_0000);
        guest.Pci.Write(E1000Guest.Device, at + 12, 0x55, 2);
        guest.Pci.Write(E1000Guest.Device, at + 2, 1, 2);
        guest.Write(0xd0, Received);

        guest.Write(0xc8, Received);
        guest.Write(0xc8, Received);
        Assert.Single(guest.Pci.Messages.Sent);
        _ = guest.Read(0xc0);
        guest.Write(0xc8, Received);
        Assert.Equal([0x55u, 0x55u], guest.Pci.Messages.Sent.Select(message => message.Data));
        Assert.False(guest.Pci.Line.Level);
    }

    [Fact]
    public void A_semaphore_is_whose_who_reads_it_first()
    {
        using var guest = Make("e1000e");

        Assert.Equal((0u, 1u), (guest.Read(0x5b50) & 1, guest.Read(0x5b50) & 1));
        guest.Write(0x5b50, 0);
        Assert.Equal(0u, guest.Read(0x5b50) & 1);
        guest.Write(0xf00, 0x20);
        Assert.Equal(0x20u, guest.Read(0xf00));
        // A driver waits for it to give up memory before it resets it.
        Assert.Equal(1u << 19, guest.Read(8) & 1 << 19);
        guest.Write(0, guest.Read(0) | 4);
        Assert.Equal(0u, guest.Read(8) & 1 << 19);
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Frames_are_filtered_by_address(string model)
    {
        using var guest = Make(model).Started(1 << 1);
        var kinds = new (byte[] To, uint Unicast, uint Multicast, uint Broadcast)[]
        {
            ([.. E1000Guest.Mac], 0, 0, 0), ([0x02, 0, 0, 0, 0, 1], 1 << 3, 0, 0), ([0x33, 0x33, 0, 0, 0, 1], 0, 1 << 4, 0), ([0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 0, 1 << 4, 1 << 15),
        };
        foreach (var (to, unicast, multicast, broadcast) in kinds)
        {
            foreach (var mode in (uint[])[0, 1 << 3, 1 << 4, 1 << 15])
            {
                guest.Started(1 << 1 | mode);
                guest.Write(0x2810, 0);
                Assert.True(guest.Receive(TestFrames.Of(10, to: to)));
                var wanted = to[5] == 7 || (mode & (unicast | multicast | broadcast)) != 0;
                Assert.Equal(wanted ? 1u : 0, guest.Read(0x2810));
                // Not told apart by an address of its own: the driver is to look.
                if (wanted) Assert.Equal((mode & (unicast | multicast)) != 0, (guest.Received(0).Status & 0x80) != 0);
            }
        }
        // A second address; and bits of multicast, by each of four places in the address.
        guest.Started(1 << 1);
        guest.Write(0x5408, 0x0000_0002);
        guest.Write(0x540c, 0x8000_0100);
        guest.Write(0x2810, 0);
        Assert.True(guest.Receive(TestFrames.Of(10, to: [0x02, 0, 0, 0, 0, 1])));
        Assert.Equal(1u, guest.Read(0x2810));
        foreach (var (offset, hash) in ((uint, int)[])[(0, 0xbca), (1, 0x794), (2, 0xf29), (3, 0xca5)])
        {
            guest.Started(1 << 1 | offset << 12);
            guest.Write(0x2810, 0);
            Assert.True(guest.Receive(TestFrames.Of(10, to: [0x01, 0, 0, 0, 0xa5, 0xbc])));
            Assert.Equal(0u, guest.Read(0x2810));
            guest.Write(0x5200 + ((hash >> 5) * 4), 1u << (hash & 31));
            Assert.True(guest.Receive(TestFrames.Of(10, to: [0x01, 0, 0, 0, 0xa5, 0xbc])));
            Assert.Equal(1u, guest.Read(0x2810));
            guest.Write(0x5200 + ((hash >> 5) * 4), 0);
        }
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void It_counts_and_a_counter_that_was_read_begins_anew(string model)
    {
        using var guest = Make(model).Started();
        Assert.True(guest.Receive(TestFrames.Of(6)));
        Assert.True(guest.Receive(TestFrames.Of(500, to: [0xff, 0xff, 0xff, 0xff, 0xff, 0xff])));
        guest.Queue(TestFrames.Of(1000), 9u << 24);
        guest.Ring();

        Assert.Equal((2u, 1u, 1u, 1u), (guest.Read(0x4074), guest.Read(0x405c + 0), guest.Read(0x405c + 16), guest.Read(0x4078)));
        Assert.Equal((1u, 0u, 1u), (guest.Read(0x4080), guest.Read(0x40d8), guest.Read(0x40ec)));
        Assert.Equal((64u + 558, 0u, 1058u), (guest.Read(0x4088), guest.Read(0x408c), guest.Read(0x4090)));
        Assert.Equal((0u, 0u, 1058u, 0u), (guest.Read(0x4074), guest.Read(0x4088), guest.Read(0x40c8), guest.Read(0x4080)));
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void While_it_stands_still_frames_are_held_and_nothing_is_touched(string model)
    {
        using var guest = Make(model).Started();
        guest.Write(0xd0, 0xff);
        guest.Card.Pause();
        guest.Queue(TestFrames.Of(10), 9u << 24);
        guest.Ring();
        var before = guest.Bytes(0, 8 << 20);

        Assert.False(guest.Receive(TestFrames.Of(10)));
        guest.Net.SetLink(false);
        guest.Clock.Advance(1_000_000_000);
        guest.Workers.Run();
        Assert.Equal((0, false), (guest.Net.Sent.Count, guest.Pci.Line.Level));
        Assert.True(before.AsSpan().SequenceEqual(guest.Bytes(0, 8 << 20)));
        guest.Net.SetLink(true);
        var asked = guest.Net.ReadyCalls;

        guest.Card.Resume();
        guest.Workers.Run();
        Assert.Equal((1, true, true), (guest.Net.Sent.Count, guest.Net.ReadyCalls > asked, guest.Receive(TestFrames.Of(10))));
        Assert.True(guest.Pci.Line.Level);
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void A_limit_holds_frames_back_both_ways(string model)
    {
        using var guest = Make(model, new FlowLimit(null, 10, 0)).Started();
        for (var i = 0; i < 3; i++) guest.Queue(TestFrames.Of(10), 9u << 24);
        guest.Ring();
        Assert.Single(guest.Net.Sent);
        Assert.Equal((true, false), (guest.Receive(TestFrames.Of(10)), guest.Receive(TestFrames.Of(10))));

        guest.Clock.Advance(100_000_000);
        guest.Workers.Run();
        Assert.Equal((2, true), (guest.Net.Sent.Count, guest.Receive(TestFrames.Of(10))));
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Without_a_cable_or_a_driver_frames_are_lost_and_not_held(string model)
    {
        using var guest = Make(model);
        Assert.True(guest.Receive(TestFrames.Of(10)));
        guest.Started();
        guest.Card.IsPlugged = false;
        Assert.True(guest.Receive(TestFrames.Of(10)));
        guest.Queue(TestFrames.Of(10), 9u << 24);
        guest.Ring();
        Assert.Empty(guest.Net.Sent);
        Assert.Equal((0u, 1u), (guest.Read(0x2810), guest.Read(0x3810)));
        // Nor may it reach memory that it was not given.
        guest.Card.IsPlugged = true;
        guest.Pci.Write(E1000Guest.Device, 4, 3, 2);
        Assert.True(guest.Receive(TestFrames.Of(10)));
        Assert.Equal(0u, guest.Read(0x2810));
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void It_can_be_looked_at(string model)
    {
        using var guest = Make(model).Started();
        var node = new InspectNode("card");

        guest.Card.Inspect(node);

        Assert.Equal((true, false), (node["link is up"], node["stands still"]));
        Assert.Equal(8L, node.Find("transmit ring 0")!["entries"]);
    }
}
