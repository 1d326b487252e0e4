// A user-mode network without a guest: the test writes the frames a guest would send and reads those it would get, with a
// clock that stands until the test moves it. The host's end are real sockets of the loopback.
using System.Buffers.Binary;
using System.Net;
using Lamina.Backends.Net.User;
using Lamina.Backends.Net.Wire;
using Lamina.Core.Net;
using Xunit;

namespace Lamina.Tests.Backends.Net;

/// <summary>A frame that the guest got, read.</summary>
internal sealed record Frame(byte[] Bytes, FrameOffload Offload)
{
    public ushort Type => BinaryPrimitives.ReadUInt16BigEndian(Bytes.AsSpan(12));

    public byte[] Packet => Bytes[14..];

    public bool IsV4 => Type == Ethernet.Ip4;

    public byte Protocol => IsV4 ? Packet[9] : Packet[6];

    public byte[] Payload => Packet[(IsV4 ? 20 : 40)..];

    public IpAddr Source => IsV4 ? IpAddr.Read(Packet.AsSpan(12, 4)) : IpAddr.Read(Packet.AsSpan(8, 16));

    public IpAddr Destination => IsV4 ? IpAddr.Read(Packet.AsSpan(16, 4)) : IpAddr.Read(Packet.AsSpan(24, 16));

    public bool IsTcp => Type is Ethernet.Ip4 or Ethernet.Ip6 && Protocol == IpProtocol.Tcp;

    public bool IsUdp => Type is Ethernet.Ip4 or Ethernet.Ip6 && Protocol == IpProtocol.Udp;
}

/// <summary>The guest's card.</summary>
internal sealed class TestCard : INetReceiver
{
    public List<Frame> Frames { get; } = [];

    public NetOffloads Offloads { get; set; }

    /// <summary>How many frames are taken before there is no room.</summary>
    public int Room { get; set; } = int.MaxValue;

    public bool Receive(ReadOnlySpan<byte> frame, in FrameOffload offload)
    {
        if (Room == 0) return false;
        if (Room != int.MaxValue) Room--;
        Frames.Add(new Frame(frame.ToArray(), offload));
        return true;
    }
}

internal sealed class UserLab : IDisposable
{
    public const ulong GuestMac = 0x024c_4100_0001;

    public static readonly IpAddr Guest = Ip("10.0.2.15"), Gateway = Ip("10.0.2.2"), NameServer = Ip("10.0.2.3");
    public static readonly IpAddr Guest6 = Ip("fd6c:616d:696e:6100::15"), Gateway6 = Ip("fd6c:616d:696e:6100::2");

    public UserLab(UserNetOptions? options = null, NetOffloads offloads = NetOffloads.None)
    {
        Stack = new UserStack(options ?? new UserNetOptions { HostPorts = [] }, () => Now);
        Card.Offloads = offloads;
        Stack.Link.Attach(Card);
        Stack.Link.ReadOffloads();
    }

    public long Now { get; set; } = 1_000_000;

    public TestCard Card { get; } = new();

    public UserStack Stack { get; }

    public static IpAddr Ip(string text) => IpAddr.Of(IPAddress.Parse(text));

    public void Dispose() => Stack.Dispose();

    /// <summary>Lets the host's sockets work until something is so.</summary>
    public void Until(Func<bool> condition)
    {
        var deadline = Environment.TickCount64 + (long)Waiting.Limit.TotalMilliseconds;
        while (!condition())
        {
            Assert.True(Environment.TickCount64 < deadline, "what was waited for never came");
            Stack.Events.Dispatch(Stack.Events.Wait(10));
            Stack.Flush();
        }
    }

    /// <summary>Lets the host's sockets work for as long as there is something to do at once.</summary>
    public void Settle()
    {
        ReadOnlySpan<Lamina.Host.Net.DescriptorEvent> events;
        while (!(events = Stack.Events.Wait(5)).IsEmpty) Stack.Events.Dispatch(events);
        Stack.Flush();
    }

    /// <summary>Receives at the host's end while the network goes on.</summary>
    public byte[] ReceiveAt(System.Net.Sockets.Socket host, int count)
    {
        var bytes = new byte[count];
        var done = 0;
        Until(() =>
        {
            while (host.Available > 0 && done < count) done += host.Receive(bytes.AsSpan(done));
            return done == count;
        });
        return bytes;
    }

    /// <summary>Lets time pass.</summary>
    public void Pass(long milliseconds)
    {
        Now += milliseconds;
        Stack.RunTimers();
        Stack.Flush();
    }

    public Frame Take(Func<Frame, bool> wanted)
    {
        Until(() => Card.Frames.Any(wanted));
        var frame = Card.Frames.First(wanted);
        Card.Frames.Remove(frame);
        return frame;
    }

    public void Send(ulong to, ushort type, ReadOnlySpan<byte> packet, ulong from = GuestMac)
    {
        var frame = new byte[14 + packet.Length];
        GuestLink.WriteMac(frame, to);
        GuestLink.WriteMac(frame.AsSpan(6), from);
        BinaryPrimitives.WriteUInt16BigEndian(frame.AsSpan(12), type);
        packet.CopyTo(frame.AsSpan(14));
        Stack.Input(frame, default);
    }

    /// <summary>Sends an IP packet; the transport's sum is put at an offset, unless that is negative.</summary>
    public void SendIp(IpAddr from, IpAddr to, byte protocol, ReadOnlySpan<byte> payload, int checksumAt = -1, byte hopLimit = 64, int fragment = 0, ushort identification = 7)
    {
        var bytes = payload.ToArray();
        if (checksumAt >= 0)
        {
            BinaryPrimitives.WriteUInt16BigEndian(bytes.AsSpan(checksumAt), 0);
            var start = protocol == IpProtocol.Icmp4 ? 0 : Checksum.Pseudo(from, to, protocol, bytes.Length);
            BinaryPrimitives.WriteUInt16BigEndian(bytes.AsSpan(checksumAt), InternetChecksum.Finish(InternetChecksum.Add(start, bytes)));
        }
        Send(Addresses.GatewayMac, from.IsV4 ? Ethernet.Ip4 : Ethernet.Ip6, Packet(from, to, protocol, bytes, hopLimit, fragment, identification));
    }

    public static byte[] Packet(IpAddr from, IpAddr to, byte protocol, ReadOnlySpan<byte> payload, byte hopLimit = 64, int fragment = 0, ushort identification = 7)
    {
        var header = from.IsV4 ? 20 : 40;
        var packet = new byte[header + payload.Length];
        payload.CopyTo(packet.AsSpan(header));
        if (from.IsV4)
        {
            (packet[0], packet[8], packet[9]) = (0x45, hopLimit, protocol);
            BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(2), (ushort)packet.Length);
            BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(4), identification);
            BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(6), (ushort)fragment);
            from.Write(packet.AsSpan(12));
            to.Write(packet.AsSpan(16));
            BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(10), InternetChecksum.Finish(InternetChecksum.Add(0, packet.AsSpan(0, 20))));
        }
        else
        {
            (packet[0], packet[6], packet[7]) = (0x60, protocol, hopLimit);
            BinaryPrimitives.WriteUInt16BigEndian(packet.AsSpan(4), (ushort)payload.Length);
            from.Write(packet.AsSpan(8));
            to.Write(packet.AsSpan(24));
        }
        return packet;
    }

    public void SendUdp(IpAddr from, ushort fromPort, IpAddr to, ushort toPort, ReadOnlySpan<byte> data) =>
        SendIp(from, to, IpProtocol.Udp, Datagram(fromPort, toPort, data), Udp.ChecksumAt);

    public static byte[] Datagram(ushort fromPort, ushort toPort, ReadOnlySpan<byte> data)
    {
        var datagram = new byte[8 + data.Length];
        BinaryPrimitives.WriteUInt16BigEndian(datagram, fromPort);
        BinaryPrimitives.WriteUInt16BigEndian(datagram.AsSpan(2), toPort);
        BinaryPrimitives.WriteUInt16BigEndian(datagram.AsSpan(4), (ushort)datagram.Length);
        data.CopyTo(datagram.AsSpan(8));
        return datagram;
    }

    /// <summary>Checks that a frame's IP and transport sums are right, or left undone as it says.</summary>
    public static void AssertSums(Frame frame)
    {
        if (frame.IsV4) Assert.True(InternetChecksum.IsRight(0, frame.Packet.AsSpan(0, 20)), "IP's sum is wrong");
        var payload = frame.Payload;
        if (frame.Offload.NeedsChecksum)
        {
            var at = frame.Offload.ChecksumStart + frame.Offload.ChecksumOffset;
            Assert.Equal(frame.IsV4 ? 34 : 54, frame.Offload.ChecksumStart);
            Assert.Equal(InternetChecksum.Fold(Checksum.Pseudo(frame.Source, frame.Destination, frame.Protocol, payload.Length)), BinaryPrimitives.ReadUInt16BigEndian(frame.Bytes.AsSpan(at)));
            return;
        }
        var start = frame.Protocol == IpProtocol.Icmp4 ? 0 : Checksum.Pseudo(frame.Source, frame.Destination, frame.Protocol, payload.Length);
        Assert.True(InternetChecksum.IsRight(start, payload), "the transport's sum is wrong");
    }
}
