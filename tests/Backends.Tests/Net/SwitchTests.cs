// Switches that machines share: who gets which frame, how VLANs keep apart, streams that make no sense, and what happens
// when the machine that runs the switch ends.
using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Net.Sockets;
using Lamina.Backends.Net.Switch;
using Lamina.Backends.Net.User;
using Lamina.Backends.Net.Wire;
using Lamina.Core.Logging;
using Lamina.Core.Net;
using Lamina.Host;
using Xunit;

namespace Lamina.Tests.Backends.Net;

public sealed class SwitchTests : IDisposable
{
    private const ulong MacA = 0x0200_0000_000a, MacB = 0x0200_0000_000b, MacC = 0x0200_0000_000c;

    private readonly TestFolder _folder = new();
    private readonly List<Member> _members = [];

    public void Dispose()
    {
        foreach (var member in _members) member.Dispose();
        _folder.Dispose();
    }

    private static byte[] Frame(ulong to, ulong from, int vlan = 0, string text = "frame", int length = 60)
    {
        var frame = new byte[length];
        GuestLink.WriteMac(frame, to);
        GuestLink.WriteMac(frame.AsSpan(6), from);
        var at = 12;
        if (vlan != 0)
        {
            BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(12), 0x8100);
            BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(14), (ushort)vlan);
            at = 16;
        }
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(at), 0x88b5);
        System.Text.Encoding.ASCII.GetBytes(text, frame.AsSpan(at + 2));
        return frame;
    }

    private sealed class Port : ISwitchPort
    {
        public List<byte[]> Frames { get; } = [];

        public void Deliver(ReadOnlySpan<byte> frame) => Frames.Add(frame.ToArray());
    }

    private sealed class Member : INetReceiver, IDisposable
    {
        public Member(string path, VlanMembership vlan, bool mayListen = true)
        {
            Backend = new SwitchBackend(path, vlan, mayListen: mayListen);
            Backend.Attach(this);
            Backend.Start();
        }

        public SwitchBackend Backend { get; }

        public BlockingCollection<byte[]> Frames { get; } = [];

        public NetOffloads Offloads => NetOffloads.None;

        public bool Receive(ReadOnlySpan<byte> frame, in FrameOffload offload)
        {
            Frames.Add(frame.ToArray());
            return true;
        }

        public void Send(byte[] frame)
        {
            Backend.Send(frame, default);
            Backend.Flush();
        }

        public byte[] Take() => Frames.TryTake(out var frame, Waiting.Limit) ? frame : throw new TimeoutException("no frame came");

        public void Dispose() => Backend.Dispose();
    }

    private Member Join(VlanMembership? vlan = null)
    {
        var member = new Member(_folder["switch"], vlan ?? VlanMembership.Untagged);
        _members.Add(member);
        return member;
    }

    [Fact]
    public void A_switch_learns_where_addresses_are_and_forgets_what_is_silent()
    {
        long now = 0;
        var network = new VirtualSwitch(() => now);
        Port a = new(), b = new(), c = new();
        foreach (var port in (Port[])[a, b, c]) network.Add(port);

        network.Forward(a, Frame(MacB, MacA));
        Assert.Equal((0, 1, 1), (a.Frames.Count, b.Frames.Count, c.Frames.Count));
        network.Forward(b, Frame(MacA, MacB));
        Assert.Equal((1, 1, 1), (a.Frames.Count, b.Frames.Count, c.Frames.Count));
        network.Forward(c, Frame(Ethernet.Broadcast, MacC));
        Assert.Equal((2, 2, 1), (a.Frames.Count, b.Frames.Count, c.Frames.Count));
        // To where it came from: nowhere.
        network.Forward(a, Frame(MacA, MacA));
        Assert.Equal((2, 2, 1), (a.Frames.Count, b.Frames.Count, c.Frames.Count));

        now = 400_000;
        network.Forward(c, Frame(MacA, MacC));
        Assert.Equal((3, 3, 1), (a.Frames.Count, b.Frames.Count, c.Frames.Count));
        network.Remove(b);
        network.Forward(c, Frame(MacB, MacC));
        Assert.Equal((4, 3, 1), (a.Frames.Count, b.Frames.Count, c.Frames.Count));
    }

    [Fact]
    public void An_address_may_be_at_different_ports_in_different_VLANs()
    {
        var network = new VirtualSwitch(() => 0);
        Port a = new(), b = new(), c = new();
        foreach (var port in (Port[])[a, b, c]) network.Add(port);
        network.Forward(a, Frame(Ethernet.Broadcast, MacA, vlan: 5));
        network.Forward(b, Frame(Ethernet.Broadcast, MacA, vlan: 6));
        a.Frames.Clear();
        b.Frames.Clear();

        network.Forward(c, Frame(MacA, MacC, vlan: 5));
        Assert.Equal((1, 0), (a.Frames.Count, b.Frames.Count));
        network.Forward(c, Frame(MacA, MacC, vlan: 6));
        Assert.Equal((1, 1), (a.Frames.Count, b.Frames.Count));
    }

    [Fact]
    public void A_port_with_endless_addresses_fills_no_memory()
    {
        long now = 0;
        var network = new VirtualSwitch(() => now);
        Port a = new(), b = new();
        network.Add(a);
        network.Add(b);
        for (ulong i = 0; i < 20_000; i++) network.Forward(a, Frame(MacB, 0x0400_0000_0000 + i));
        Assert.Equal(4096, network.Known);

        now = 400_000;
        network.Forward(b, Frame(MacA, MacB));
        Assert.Equal(1, network.Known);
    }

    [Fact]
    public void Machines_at_one_path_reach_one_another()
    {
        Member a = Join(), b = Join(), c = Join();
        Assert.True(a.Backend.IsSwitch && !b.Backend.IsSwitch && a.Backend.IsLinkUp && b.Backend.IsLinkUp);

        b.Send(Frame(Ethernet.Broadcast, MacB, text: "to all"));
        Assert.Equal(Frame(Ethernet.Broadcast, MacB, text: "to all"), a.Take());
        Assert.Equal(Frame(Ethernet.Broadcast, MacB, text: "to all"), c.Take());
        a.Send(Frame(MacB, MacA, text: "to b"));
        Assert.Equal(Frame(MacB, MacA, text: "to b"), b.Take());
        c.Send(Frame(MacB, MacC, text: "also to b", length: 1500));
        Assert.Equal(Frame(MacB, MacC, text: "also to b", length: 1500), b.Take());
        Assert.Empty(a.Frames);
    }

    [Fact]
    public void VLANs_keep_machines_apart()
    {
        Member untagged = Join(), five = Join(new VlanMembership(5)), alsoFive = Join(new VlanMembership(5)), six = Join(new VlanMembership(6)), trunk = Join(VlanMembership.Trunk);

        five.Send(Frame(Ethernet.Broadcast, MacA, text: "five"));

        // The machine of an access port sees no tag; a trunk sees it.
        Assert.Equal(Frame(Ethernet.Broadcast, MacA, text: "five"), alsoFive.Take());
        Assert.Equal(Frame(Ethernet.Broadcast, MacA, vlan: 5, text: "five", length: 64), trunk.Take());
        // A machine of an access port cannot get into another VLAN by a tag of its own.
        five.Send(Frame(Ethernet.Broadcast, MacA, vlan: 6, text: "sneaky"));
        untagged.Send(Frame(Ethernet.Broadcast, MacB, vlan: 6, text: "sneaky"));
        trunk.Send(Frame(Ethernet.Broadcast, MacC, vlan: 6, text: "six", length: 64));
        Assert.Equal(Frame(Ethernet.Broadcast, MacC, text: "six"), six.Take());
        untagged.Send(Frame(Ethernet.Broadcast, MacB, text: "plain"));
        Assert.Equal(Frame(Ethernet.Broadcast, MacB, text: "plain"), trunk.Take());
        Assert.Empty(six.Frames);
        Assert.Empty(alsoFive.Frames);
    }

    [Fact]
    public void A_frame_that_is_too_long_with_its_tag_is_dropped_and_costs_nobody_the_connection()
    {
        Member five = Join(new VlanMembership(5)), alsoFive = Join(new VlanMembership(5));

        // The first member is the switch: only when a frame of the second has come is it known to have been let in.
        foreach (var (sender, receiver) in (((Member, Member)[])[(alsoFive, five), (five, alsoFive)]))
        {
            sender.Send(Frame(Ethernet.Broadcast, MacA, length: Ethernet.LongestFrame));
            sender.Send(Frame(Ethernet.Broadcast, MacA, length: Ethernet.LongestFrame - Ethernet.VlanTagLength));
            Assert.Equal(Ethernet.LongestFrame - Ethernet.VlanTagLength, receiver.Take().Length);
        }
    }

    [Fact]
    public void Whoever_is_connected_when_a_frame_is_sent_gets_it()
    {
        Join();
        for (var round = 0; round < 20; round++)
        {
            // All of them may be waiting still to be accepted when the frame comes.
            Member sender = Join(), first = Join(), second = Join();
            sender.Send(Frame(Ethernet.Broadcast, MacA, text: $"round {round}"));
            foreach (var member in (Member[])[first, second]) Assert.Equal(Frame(Ethernet.Broadcast, MacA, text: $"round {round}"), member.Take());
        }
    }

    [Fact]
    public void When_the_switch_ends_another_machine_takes_over()
    {
        Member a = Join(), b = Join(), c = Join();

        a.Dispose();

        Waiting.Until(() => b.Backend.IsSwitch != c.Backend.IsSwitch && b.Backend.IsLinkUp && c.Backend.IsLinkUp);
        byte[] frame = [];
        Waiting.Until(() =>
        {
            b.Send(Frame(Ethernet.Broadcast, MacB));
            return c.Frames.TryTake(out frame!, 100);
        });
        Assert.Equal(Frame(Ethernet.Broadcast, MacB), frame);
    }

    [Theory]
    [InlineData(new byte[] { 0xff, 0xff, 0xff, 0xff })]
    [InlineData(new byte[] { 0, 0, 0, 0 })]
    [InlineData(new byte[] { 0, 0, 0, 13 })]
    [InlineData(new byte[] { 0, 2, 0, 0 })]
    [InlineData(new byte[] { 0x80, 0, 0, 60 })]
    public void A_stream_that_makes_no_sense_is_closed(byte[] bytes)
    {
        Member a = Join(), b = Join();
        using var stranger = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { ReceiveTimeout = 30000 };
        stranger.Connect(new UnixDomainSocketEndPoint(_folder["switch"]));

        stranger.Send(bytes);

        Assert.Equal(0, stranger.Receive(new byte[1]));
        b.Send(Frame(Ethernet.Broadcast, MacB));
        Assert.Equal(Frame(Ethernet.Broadcast, MacB), a.Take());
    }

    [Fact]
    public void A_frame_in_pieces_is_put_together()
    {
        var a = Join();
        using var stranger = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        stranger.Connect(new UnixDomainSocketEndPoint(_folder["switch"]));
        byte[] bytes = [0, 0, 0, 60, .. Frame(Ethernet.Broadcast, MacB, text: "one"), 0, 0, 0, 60, .. Frame(Ethernet.Broadcast, MacB, text: "two")];

        foreach (var b in bytes) stranger.Send([b]);

        Assert.Equal(Frame(Ethernet.Broadcast, MacB, text: "one"), a.Take());
        Assert.Equal(Frame(Ethernet.Broadcast, MacB, text: "two"), a.Take());
    }

    [Fact]
    public void A_switch_has_so_many_members_and_hangs_up_on_one_more()
    {
        Member a = Join();
        var connected = new List<Socket>();
        try
        {
            for (var i = 0; i < 257; i++)
            {
                var socket = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified) { ReceiveTimeout = (int)Waiting.Limit.TotalMilliseconds };
                connected.Add(socket);
                socket.Connect(new UnixDomainSocketEndPoint(_folder["switch"]));
            }

            Assert.Equal(0, connected[^1].Receive(new byte[1]));
            a.Send(Frame(Ethernet.Broadcast, MacA));
            Assert.NotEqual(0, connected[0].Receive(new byte[1]));
            Assert.NotEqual(0, connected[255].Receive(new byte[1]));
        }
        finally
        {
            connected.ForEach(socket => socket.Dispose());
        }
    }

    [Fact]
    public void A_member_that_does_not_read_holds_nobody_up()
    {
        Member a = Join(), b = Join();
        using var lazy = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified);
        lazy.Connect(new UnixDomainSocketEndPoint(_folder["switch"]));

        for (var i = 0; i < 3000; i++) b.Send(Frame(Ethernet.Broadcast, MacB, length: 1500));

        // Some are lost where the switch has no time for them, too; in the end there is room again.
        Waiting.Until(() =>
        {
            b.Send(Frame(Ethernet.Broadcast, MacB, text: "last"));
            return a.Take().Length == 60;
        });
    }

    [Fact]
    public void A_program_that_must_be_there_and_is_not_is_told_of()
    {
        var refused = Assert.Throws<HostException>(() => new Member(_folder["nobody"], VlanMembership.Trunk, mayListen: false));

        Assert.Contains("nobody listens at the socket", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void A_switch_that_ends_when_its_folder_is_gone_leaves_its_members_with_a_sentence_and_without_a_link()
    {
        var place = Directory.CreateDirectory(_folder["place"]).FullName;
        var path = Path.Combine(place, "switch");
        using var first = new Member(path, VlanMembership.Untagged);
        using var second = new Member(path, VlanMembership.Untagged);
        using var said = new BlockingCollection<string>();
        second.Backend.Log = Log.To(line => said.Add(line.Message)).CreateLog("test");
        Assert.True(first.Backend.IsSwitch);

        Directory.Delete(place, recursive: true);
        first.Dispose();

        Assert.True(said.TryTake(out var sentence, Waiting.Limit));
        Assert.Equal($"the guest's network card has no link: the folder of the socket {path} does not exist; make it first", sentence);
        Assert.False(second.Backend.IsLinkUp);
        // As soon as it can be had again it is.
        Directory.CreateDirectory(place);
        Waiting.Until(() => second.Backend.IsSwitch);
        Assert.Empty(said);
    }

    [Fact]
    public void Paths_that_cannot_be_are_refused_in_a_sentence()
    {
        File.WriteAllText(_folder["file"], "");

        Assert.Contains("is not a socket", Assert.Throws<HostException>(() => new Member(_folder["file"], VlanMembership.Untagged)).Message, StringComparison.Ordinal);
        Assert.Contains("does not exist", Assert.Throws<HostException>(() => new Member(_folder["missing/switch"], VlanMembership.Untagged)).Message, StringComparison.Ordinal);
        Assert.Contains("too long", Assert.Throws<HostException>(() => new Member(_folder[new string('x', 120)], VlanMembership.Untagged)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void The_socket_is_the_owners_alone_and_goes_with_the_last_machine()
    {
        var a = Join();

        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_folder["switch"]));
        a.Dispose();

        Assert.False(Path.Exists(_folder["switch"]));
    }
}
