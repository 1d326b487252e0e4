// Frames through a gigabit card's rings, compared byte by byte with what software makes of them: sums, segments, tags, long frames, kinds of
// descriptors.
using System.Buffers.Binary;
using Lamina.Core.Net;
using Lamina.Devices.Ethernet;
using Xunit;

namespace Lamina.Tests.Devices.Ethernet;

public sealed class E1000FrameTests
{
    private const uint End = 1 << 24, Report = 1 << 27, Extended = 1 << 29 | 1 << 20, Cut = 1 << 26, Tagged = 1 << 30;

    public static TheoryData<string> Models => ["e1000", "e1000e"];

    private static E1000Guest Make(string model, NetOffloads offloads = NetOffloads.None) => new(model == "e1000" ? E1000Model.E1000 : E1000Model.E1000e, offloads);

    [Theory]
    [MemberData(nameof(Models))]
    public void A_frame_is_sent_out_of_several_buffers_and_its_descriptors_are_done(string model)
    {
        using var guest = Make(model).Started();
        var frame = TestFrames.Of(100);
        guest.Queue(frame.AsSpan(0, 20), 0);
        guest.Queue(frame.AsSpan(20, 50), Report);
        guest.Queue(frame.AsSpan(70), End | Report);
        guest.Ring();

        Assert.Equal([frame], guest.Net.Sent.Select(sent => sent.Frame));
        Assert.Equal([0, 1, 1], Enumerable.Range(0, 3).Select(i => guest.Bytes(E1000Guest.TransmitRing + (ulong)(16 * i) + 12, 1)[0] & 1));
        Assert.Equal((3u, 1), (guest.Read(0x3810), guest.Net.Flushes));
        // Short ones are filled up where that is wanted; others are sent as they are.
        guest.Write(0x400, 1 << 1 | 1 << 3);
        guest.Queue(frame.AsSpan(0, 20), End);
        guest.Ring();
        Assert.Equal([.. frame.AsSpan(0, 20), .. new byte[40]], guest.Net.Sent[^1].Frame);
    }

    [Theory]
    [InlineData("e1000", false, false)]
    [InlineData("e1000", true, true)]
    [InlineData("e1000e", false, true)]
    [InlineData("e1000e", true, false)]
    public void Sums_are_made_or_left_to_the_network(string model, bool v6, bool udp)
    {
        var whole = TestFrames.Of(101, v6, udp);
        var (network, transport, at) = ((byte)14, (byte)(14 + (v6 ? 40 : 20)), (byte)(14 + (v6 ? 40 : 20) + (udp ? 6 : 16)));
        // As a driver hands it over: the sum of the pseudo header, and none of IPv4's.
        var handed = (byte[])whole.Clone();
        BinaryPrimitives.WriteUInt16BigEndian(handed.AsSpan(at), InternetChecksum.Fold(PacketHeaders.Of(whole).PseudoSum(whole, whole.Length - transport)));
        if (!v6) handed.AsSpan(24, 2).Clear();

        using var guest = Make(model).Started();
        guest.QueueContext(network, 24, (ushort)(transport - 1), transport, at);
        guest.Queue(handed, Extended | End, v6 ? 2u << 8 : 3u << 8);
        // The same by a legacy descriptor, which can do one sum only.
        var legacy = (byte[])handed.Clone();
        if (!v6) whole.AsSpan(24, 2).CopyTo(legacy.AsSpan(24));
        guest.Queue(legacy, End | 1 << 26 | (uint)at << 16, (uint)transport << 8);
        guest.Ring();
        Assert.Equal(2, guest.Net.Sent.Count);
        foreach (var (frame, offload) in guest.Net.Sent) Assert.Equal((Convert.ToHexString(whole), default), (Convert.ToHexString(frame), offload));

        using var leaving = new E1000Guest(guest.Model).Started();
        leaving.QueueContext(network, 24, (ushort)(transport - 1), transport, at);
        leaving.Queue(handed, Extended | End, v6 ? 2u << 8 : 3u << 8);
        leaving.Ring();
        if (!v6) whole.AsSpan(24, 2).CopyTo(handed.AsSpan(24));
        Assert.Equal(Convert.ToHexString(handed), Convert.ToHexString(leaving.Net.Sent[0].Frame));
        Assert.Equal(new FrameOffload { NeedsChecksum = true, ChecksumStart = transport, ChecksumOffset = (ushort)(at - transport) }, leaving.Net.Sent[0].Offload);
    }

    [Theory]
    [InlineData("e1000", false, 5000, 1460)]
    [InlineData("e1000", true, 1000, 100)]
    [InlineData("e1000e", false, 1460, 1460)]
    [InlineData("e1000e", false, 60000, 32)]
    [InlineData("e1000e", true, 65000, 1440)]
    public void Long_segments_are_cut(string model, bool v6, int payload, int size)
    {
        const byte flags = 0x99;
        using var guest = Make(model).Started();
        var whole = Handed(payload, v6, flags);
        var (transport, headers) = (14 + (v6 ? 40 : 20), 14 + (v6 ? 60 : 40));
        Queue(guest, whole, v6, headers, size);
        guest.Ring();

        var expected = new List<string>();
        for (var done = 0; done < payload; done += size)
        {
            var count = Math.Min(size, payload - done);
            var frame = TestFrames.Of(count, v6, sums: false);
            whole.AsSpan(headers + done, count).CopyTo(frame.AsSpan(headers));
            if (!v6) BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(18), (ushort)(0x1234 + done / size));
            BinaryPrimitives.WriteUInt32BigEndian(frame.AsSpan(transport + 4), (uint)(1000 + done));
            // CWR in the first only, FIN and PSH in the last only.
            frame[transport + 13] = (byte)(0x10 | (done == 0 ? 0x80 : 0) | (done + count == payload ? 0x09 : 0));
            TestFrames.PutSums(frame, 14);
            expected.Add(Convert.ToHexString(frame));
        }
        Assert.Equal(expected, guest.Net.Sent.Select(sent => Convert.ToHexString(sent.Frame)));
        Assert.All(guest.Net.Sent, sent => Assert.Equal(default, sent.Offload));
        Assert.Equal(((uint)expected.Count, 1u, 0u), (guest.Read(0x4080), guest.Read(0x40f8), guest.Read(0x40fc)));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void A_network_that_cuts_is_left_to_it(bool v6)
    {
        using var guest = new E1000Guest(E1000Model.E1000e).Started();
        var (transport, headers) = (14 + (v6 ? 40 : 20), 14 + (v6 ? 60 : 40));
        Queue(guest, Handed(9000, v6, 0x18), v6, headers, 1400);
        guest.Ring();

        var (frame, offload) = Assert.Single(guest.Net.Sent);
        Assert.Equal(new FrameOffload
        {
            NeedsChecksum = true,
            ChecksumStart = (ushort)transport,
            ChecksumOffset = 16,
            Segmentation = v6 ? NetOffloads.Tcp6Segmentation : NetOffloads.Tcp4Segmentation,
            SegmentSize = 1400,
            HeaderLength = (ushort)headers,
        }, offload);
        var whole = TestFrames.Of(9000, v6);
        BinaryPrimitives.WriteUInt16BigEndian(whole.AsSpan(transport + 16), InternetChecksum.Fold(PacketHeaders.Of(whole).PseudoSum(whole, whole.Length - transport)));
        Assert.Equal(Convert.ToHexString(whole), Convert.ToHexString(frame));
    }

    // As a driver hands it over: no lengths, no sums.
    private static byte[] Handed(int payload, bool v6, byte flags)
    {
        var whole = TestFrames.Of(payload, v6, sums: false, flags: flags);
        whole.AsSpan(v6 ? 18 : 16, 2).Clear();
        return whole;
    }

    private static void Queue(E1000Guest guest, byte[] whole, bool v6, int headers, int size)
    {
        var transport = (byte)(14 + (v6 ? 40 : 20));
        guest.QueueContext(14, 24, (ushort)(transport - 1), transport, (byte)(transport + 16), headers, size, 1 << 26 | 1 << 24);
        guest.Queue(whole.AsSpan(0, headers), Extended | Cut, 3 << 8);
        guest.Queue(whole.AsSpan(headers), Extended | Cut | End | Report, 3 << 8);
    }

    [Theory]
    [InlineData(16, 40, 1460)]
    [InlineData(14, 20, 1460)]
    [InlineData(14, 54, 0)]
    [InlineData(14, 54, 31)]
    [InlineData(200, 54, 1460)]
    [InlineData(14, 255, 1460)]
    public void What_cannot_be_cut_is_dropped(byte network, int headers, int size)
    {
        using var guest = Make("e1000").Started();
        guest.QueueContext(network, 24, 33, 34, 50, headers, size, 1 << 26 | 1 << 24);
        guest.Queue(Handed(100, v6: false, 0x18), Extended | Cut | End, 3 << 8);
        guest.Ring();

        Assert.Empty(guest.Net.Sent);
        Assert.Equal((1u, 1L), (guest.Read(0x40fc), guest.Card.Dropped));
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Tags_are_put_in_and_taken_out(string model)
    {
        const ushort tag = 0x6123;
        using var guest = Make(model).Started();
        guest.Write(0, guest.Read(0) | 1 << 30);
        var plain = TestFrames.Of(101);
        byte[] tagged = [.. plain.AsSpan(0, 12), 0x81, 0x00, tag >> 8, tag & 0xff, .. plain.AsSpan(12)];
        guest.Queue(plain, End | Tagged, (uint)tag << 16);
        // With a sum to make, and to be cut, behind the tag.
        guest.QueueContext(14, 24, 33, 34, 50);
        byte[] unsummed = [.. plain.AsSpan(0, 24), 0, 0, .. plain.AsSpan(26)];
        guest.Queue(unsummed, Extended | End | Tagged, 1 << 8 | (uint)tag << 16);
        guest.QueueContext(14, 24, 33, 34, 50, 54, 101, 1 << 26 | 1 << 24);
        guest.Queue(Handed(101, v6: false, 0x18), Extended | Cut | End | Tagged, 3 << 8 | (uint)tag << 16);
        guest.Ring();
        Assert.Equal(Enumerable.Repeat(Convert.ToHexString(tagged), 3), guest.Net.Sent.Select(sent => Convert.ToHexString(sent.Frame)));

        Assert.True(guest.Receive(tagged));
        Assert.True(guest.Receive(plain));
        Assert.Equal((Convert.ToHexString(plain), tag, 8), (Convert.ToHexString(guest.Received(0).Bytes), guest.Received(0).Tag, guest.Received(0).Status & 8));
        Assert.Equal((Convert.ToHexString(plain), 0), (Convert.ToHexString(guest.Received(1).Bytes), guest.Received(1).Status & 8));
        guest.Write(0, guest.Read(0) & ~(1u << 30));
        Assert.True(guest.Receive(tagged));
        Assert.Equal(Convert.ToHexString(tagged), Convert.ToHexString(guest.Received(2).Bytes));
        // Only those that are in the table.
        guest.Write(0x100, guest.Read(0x100) | 1 << 18);
        Assert.True(guest.Receive(tagged));
        Assert.Equal(3u, guest.Read(0x2810));
        guest.Write(0x5600 + (0x123 >> 5) * 4, 1u << (0x123 & 31));
        Assert.True(guest.Receive(tagged));
        Assert.True(guest.Receive(plain));
        Assert.Equal(5u, guest.Read(0x2810));
    }

    [Theory]
    [InlineData("e1000", false)]
    [InlineData("e1000", true)]
    [InlineData("e1000e", false)]
    [InlineData("e1000e", true)]
    public void Sums_of_what_comes_are_looked_at(string model, bool v6)
    {
        using var guest = Make(model).Started();
        guest.Write(0x5000, 3 << 8);
        var tcp = TestFrames.Of(101, v6);
        var udp = TestFrames.Of(101, v6, udp: true);
        var broken = (byte[])tcp.Clone();
        broken[^1] ^= 1;
        Assert.True(guest.Receive(tcp));
        Assert.True(guest.Receive(udp));
        Assert.True(guest.Receive(broken));
        Assert.True(guest.Receive(broken, sumsAreRight: true));
        guest.Write(0x5000, 0);
        Assert.True(guest.Receive(tcp));

        var ip = v6 ? 0 : 0x40;
        var isExpress = model == "e1000e";
        Assert.Equal((0x20 | ip, 0), (guest.Received(0).Status & 0x74, guest.Received(0).Errors));
        Assert.Equal(((isExpress ? 0x30 : 0x20) | ip, 0), (guest.Received(1).Status & 0x74, guest.Received(1).Errors));
        Assert.Equal((0x20 | ip, 0x20), (guest.Received(2).Status & 0x74, guest.Received(2).Errors));
        Assert.Equal((0x20 | ip, 0), (guest.Received(3).Status & 0x74, guest.Received(3).Errors));
        Assert.Equal((0x04, 0), (guest.Received(4).Status & 0x74, guest.Received(4).Errors));
        // The sum of all of it, which some drivers check with.
        Assert.Equal(InternetChecksum.Fold(InternetChecksum.Add(0, tcp)), guest.Received(4).Sum);
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void Long_frames_take_several_buffers_of_the_size_that_is_set(string model)
    {
        using var guest = Make(model);
        foreach (var (control, size) in ((uint, int)[])[(0, 2048), (1 << 16, 1024), (2 << 16, 512), (3 << 16, 256), (1 << 25 | 1 << 16, 16384), (1 << 25 | 2 << 16, 8192), (1 << 25 | 3 << 16, 4096)])
        {
            guest.Started(1 << 1 | 1 << 5 | 1 << 26 | control);
            guest.Write(0x2810, 0);
            var frame = TestFrames.Of((size * 3) + 5 > 9000 ? 9000 : (size * 3) + 5 - 54);
            Assert.True(guest.Receive(frame));
            var needed = (frame.Length + size - 1) / size;
            Assert.Equal((uint)needed, guest.Read(0x2810));
            Assert.Equal(Convert.ToHexString(frame), string.Concat(Enumerable.Range(0, needed).Select(i => Convert.ToHexString(guest.Received(i).Bytes))));
            Assert.Equal(Enumerable.Range(0, needed).Select(i => i == needed - 1 ? 3 : 1), Enumerable.Range(0, needed).Select(i => guest.Received(i).Status & 3));
        }
        // With its check sequence; and not wanted.
        guest.Started(1 << 1);
        guest.Write(0x2810, 0);
        Assert.True(guest.Receive(TestFrames.Of(6)));
        Assert.Equal(64, guest.Received(0).Bytes.Length);
        Assert.True(guest.Receive(TestFrames.Of(1518 - 54 + 1)));
        Assert.Equal((1u, 1u), (guest.Read(0x2810), guest.Read(0x40ac)));
        Assert.True(guest.Receive(TestFrames.Of(1518 - 54)));
        Assert.Equal(2u, guest.Read(0x2810));
    }

    [Theory]
    [MemberData(nameof(Models))]
    public void A_full_ring_takes_no_more_until_there_is_room(string model)
    {
        using var guest = Make(model).Started(1 << 1 | 1 << 15 | 1 << 26 | 1 << 8);
        guest.Write(0xd0, 1 << 4);
        for (var i = 0; i < 7; i++)
        {
            Assert.True(guest.Receive(TestFrames.Of(10)));
            // A quarter of it is left.
            Assert.Equal(i >= 4, guest.Pci.Line.Level);
        }
        Assert.False(guest.Receive(TestFrames.Of(10)));
        var asked = guest.Net.ReadyCalls;
        guest.Write(0x2818, 0);
        Assert.True(guest.Net.ReadyCalls > asked);
        Assert.True(guest.Receive(TestFrames.Of(10)));
        Assert.False(guest.Receive(TestFrames.Of(10)));
        // One that it could never hold is lost.
        guest.Write(0x100, 1 << 1 | 1 << 5 | 3 << 16);
        Assert.True(guest.Receive(TestFrames.Of(9000)));
    }

    [Fact]
    public void Extended_descriptors_tell_more()
    {
        using var guest = Make("e1000e").Started();
        guest.Write(0x5008, 1 << 15);
        var frame = TestFrames.Of(101);
        Assert.True(guest.Receive(frame));
        var first = guest.Bytes(E1000Guest.ReceiveRing, 16);
        // IPv4's identification and the packet's sum; both sums looked at; the length.
        Assert.Equal((0x1234, InternetChecksum.Fold(InternetChecksum.Add(0, frame))), (BinaryPrimitives.ReadUInt16LittleEndian(first.AsSpan(4)), BinaryPrimitives.ReadUInt16LittleEndian(first.AsSpan(6))));
        Assert.Equal((0x63u, (ushort)frame.Length), (BinaryPrimitives.ReadUInt32LittleEndian(first.AsSpan(8)), BinaryPrimitives.ReadUInt16LittleEndian(first.AsSpan(12))));
        Assert.Equal(frame, guest.Bytes(E1000Guest.Buffers, frame.Length));
        frame[22] ^= 1;
        Assert.True(guest.Receive(frame));
        Assert.Equal(0x4000_0063u, BinaryPrimitives.ReadUInt32LittleEndian(guest.Bytes(E1000Guest.ReceiveRing + 24, 4)));
    }

    // The key and the sums of Microsoft's specification of receive side scaling ("Verifying the RSS hash calculation").
    [Theory]
    [InlineData("66.9.149.187", "161.142.100.80", 2794, 1766, 0x51ccc178u, 0x323e8fc2u)]
    [InlineData("199.92.111.2", "65.69.140.83", 14230, 4739, 0xc626b0eau, 0xd718262au)]
    [InlineData("24.19.198.95", "12.22.207.184", 12898, 38024, 0x5c2b394au, 0xd2d0a5deu)]
    public void Flows_are_hashed_and_led_to_rings(string from, string to, int fromPort, int toPort, uint withPorts, uint without)
    {
        byte[] key = [0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa];
        using var guest = Make("e1000e").Started();
        guest.Write(0x5008, 1 << 15);
        guest.Write(0x5000, 1 << 13 | 3 << 8);
        for (var i = 0; i < 40; i += 4) guest.Write(0x5c80 + i, BinaryPrimitives.ReadUInt32LittleEndian(key.AsSpan(i)));
        guest.Write(0x5818, 1 | 3 << 16);
        var frame = TestFrames.Of(10);
        System.Net.IPAddress.Parse(from).GetAddressBytes().CopyTo(frame, 26);
        System.Net.IPAddress.Parse(to).GetAddressBytes().CopyTo(frame, 30);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(34), (ushort)fromPort);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(36), (ushort)toPort);

        Assert.True(guest.Receive(frame));
        Assert.Equal(1 | (ulong)withPorts << 32, BinaryPrimitives.ReadUInt64LittleEndian(guest.Bytes(E1000Guest.ReceiveRing, 8)));
        guest.Write(0x5818, 1 | 2 << 16);
        Assert.True(guest.Receive(frame));
        Assert.Equal(2 | (ulong)without << 32, BinaryPrimitives.ReadUInt64LittleEndian(guest.Bytes(E1000Guest.ReceiveRing + 16, 8)));
        // To the second ring, where the table says so.
        guest.Write(0x2900, (uint)E1000Guest.SecondReceiveRing);
        guest.Write(0x2908, 128);
        guest.Write(0x2918, 7);
        guest.Memory.TryWrite(E1000Guest.SecondReceiveRing, E1000Guest.Buffers + 0x8000);
        for (var i = 0; i < 128; i += 4) guest.Write(0x5c00 + i, 0x8080_8080);
        guest.Write(0xd0, 1 << 21);
        Assert.True(guest.Receive(frame));
        Assert.Equal((2u, 1u, true), (guest.Read(0x2810), guest.Read(0x2910), guest.Pci.Line.Level));
        Assert.Equal(0x102u, BinaryPrimitives.ReadUInt32LittleEndian(guest.Bytes(E1000Guest.SecondReceiveRing, 4)));
    }

    [Fact]
    public void Headers_and_data_go_to_buffers_of_their_own()
    {
        using var guest = Make("e1000e").Started(1 << 1 | 1 << 5 | 1 << 10 | 1 << 26);
        guest.Write(0x5008, 1 << 15);
        // Headers of 128 bytes; data of 4 KiB, 1 KiB, none.
        guest.Write(0x2170, 1 | 4 << 8 | 1 << 16);
        guest.Write(0x2810, 0);
        guest.Write(0x2818, 6);
        for (var i = 0; i < 4; i++)
            for (var buffer = 0; buffer < 4; buffer++) guest.Memory.TryWrite(E1000Guest.ReceiveRing + (ulong)((i * 32) + (buffer * 8)), E1000Guest.Buffers + (ulong)((i * 0x10000) + (buffer * 0x2000)));
        var frame = TestFrames.Of(9000);

        Assert.True(guest.Receive(frame));

        Assert.Equal(4u, guest.Read(0x2810));
        var bytes = new List<byte>();
        for (var i = 0; i < 2; i++)
        {
            var descriptor = guest.Bytes(E1000Guest.ReceiveRing + (ulong)(i * 32), 32);
            var lengths = new[] { U16(12), U16(18), U16(20), U16(22) };
            Assert.Equal(i == 0 ? [54, 4096, 1024, 0] : new[] { 0, 3880, 0, 0 }, lengths);
            Assert.Equal(i == 0 ? 0x8000 | 54 : 0, U16(16));
            Assert.Equal(i == 0 ? 1u : 0x63, BinaryPrimitives.ReadUInt32LittleEndian(descriptor.AsSpan(8)));
            for (var buffer = 0; buffer < 4; buffer++) bytes.AddRange(guest.Bytes(E1000Guest.Buffers + (ulong)((i * 0x10000) + (buffer * 0x2000)), lengths[buffer]));

            int U16(int at) => BinaryPrimitives.ReadUInt16LittleEndian(descriptor.AsSpan(at));
        }
        Assert.Equal(Convert.ToHexString(frame), Convert.ToHexString([.. bytes]));
    }
}
