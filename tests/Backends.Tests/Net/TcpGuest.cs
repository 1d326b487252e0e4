// One TCP connection as a guest would hold it, segment by segment: the test decides what is sent, lost or answered.
using System.Buffers.Binary;
using Lamina.Backends.Net.User.Transport;
using Lamina.Backends.Net.Wire;
using Xunit;

namespace Lamina.Tests.Backends.Net;

/// <summary>A segment that the guest got.</summary>
internal sealed record Segment(byte Flags, uint Sequence, uint Acknowledgement, ushort Window, byte[] Data, int? Scale, int Mss, bool SackPermitted, (uint Start, uint End)[] Ranges)
{
    public bool Has(byte flag) => (Flags & flag) != 0;
}

internal sealed class TcpGuest(UserLab lab, IpAddr peer, ushort peerPort, ushort port = 40000)
{
    public const uint FirstSequence = 0xffff_fff0;

    private readonly IpAddr _address = peer.IsV4 ? UserLab.Guest : UserLab.Guest6;

    /// <summary>The next sequence number to be sent.</summary>
    public uint Next { get; set; } = FirstSequence;

    /// <summary>The next sequence number that is expected.</summary>
    public uint Expected { get; set; }

    /// <summary>The window that is told, before scaling.</summary>
    public ushort Window { get; set; } = 60000;

    public int PeerScale { get; private set; }

    public int Mss { get; init; } = 1460;

    /// <summary>The window scale that the guest tells; negative for none.</summary>
    public int Scale { get; init; } = -1;

    /// <summary>Whether the guest permits selective acknowledgements.</summary>
    public bool Sack { get; init; }

    public static TcpGuest Connect(UserLab lab, IpAddr peer, int port, ushort from = 40000)
    {
        var guest = new TcpGuest(lab, peer, (ushort)port, from);
        guest.Connect();
        return guest;
    }

    public void Connect()
    {
        SendSyn();
        var answer = Take();
        Assert.Equal(Tcp.Syn | Tcp.Ack, answer.Flags);
        Assert.Equal(FirstSequence + 1, answer.Acknowledgement);
        PeerScale = answer.Scale ?? 0;
        Next = FirstSequence + 1;
        Expected = answer.Sequence + 1;
        Send(Tcp.Ack);
    }

    /// <summary>Answers a connection from the host.</summary>
    public static TcpGuest Accept(UserLab lab, ushort guestPort)
    {
        var frame = lab.Take(frame => frame.IsTcp && BinaryPrimitives.ReadUInt16BigEndian(frame.Payload.AsSpan(2)) == guestPort && frame.Payload[13] == Tcp.Syn);
        var guest = new TcpGuest(lab, frame.Source, BinaryPrimitives.ReadUInt16BigEndian(frame.Payload), guestPort) { Expected = Read(frame).Sequence + 1 };
        guest.Send(Tcp.Syn | Tcp.Ack);
        guest.Next++;
        return guest;
    }

    public void SendSyn()
    {
        byte[] options = Scale < 0 ? [2, 4, (byte)(Mss >> 8), (byte)Mss] : [2, 4, (byte)(Mss >> 8), (byte)Mss, 1, 3, 3, (byte)Scale];
        SendRaw(Tcp.Syn, FirstSequence, 0, [], Sack ? [.. options, 1, 1, 4, 2] : options);
    }

    /// <summary>Acknowledges, with ranges of what came behind a gap (RFC 2018).</summary>
    public void Acknowledge(params (uint Start, uint End)[] ranges)
    {
        var options = new byte[ranges.Length == 0 ? 0 : 4 + 8 * ranges.Length];
        if (ranges.Length != 0) (options[0], options[1], options[2], options[3]) = (1, 1, 5, (byte)(options.Length - 2));
        for (var i = 0; i < ranges.Length; i++)
        {
            BinaryPrimitives.WriteUInt32BigEndian(options.AsSpan(4 + 8 * i), ranges[i].Start);
            BinaryPrimitives.WriteUInt32BigEndian(options.AsSpan(8 + 8 * i), ranges[i].End);
        }
        SendRaw(Tcp.Ack, Next, Expected, [], options);
    }

    public void Send(byte flags, ReadOnlySpan<byte> data = default, uint? sequence = null) => SendRaw(flags, sequence ?? Next, (flags & Tcp.Ack) != 0 ? Expected : 0, data, []);

    /// <summary>Sends data in order.</summary>
    public void SendData(ReadOnlySpan<byte> data)
    {
        Send(Tcp.Ack | Tcp.Psh, data);
        Next += (uint)data.Length;
    }

    public void SendRaw(byte flags, uint sequence, uint acknowledgement, ReadOnlySpan<byte> data, byte[] options)
    {
        var segment = new byte[20 + options.Length + data.Length];
        BinaryPrimitives.WriteUInt16BigEndian(segment, port);
        BinaryPrimitives.WriteUInt16BigEndian(segment.AsSpan(2), peerPort);
        BinaryPrimitives.WriteUInt32BigEndian(segment.AsSpan(4), sequence);
        BinaryPrimitives.WriteUInt32BigEndian(segment.AsSpan(8), acknowledgement);
        (segment[12], segment[13]) = ((byte)((20 + options.Length) / 4 << 4), flags);
        BinaryPrimitives.WriteUInt16BigEndian(segment.AsSpan(14), Window);
        options.CopyTo(segment, 20);
        data.CopyTo(segment.AsSpan(20 + options.Length));
        lab.SendIp(_address, peer, IpProtocol.Tcp, segment, Tcp.ChecksumAt);
        lab.Stack.Flush();
    }

    /// <summary>The next segment for this connection.</summary>
    public Segment Take(Func<Segment, bool>? wanted = null) => Read(lab.Take(frame => IsOurs(frame) && (wanted is null || wanted(Read(frame)))));

    /// <summary>The segments that have come so far.</summary>
    public List<Segment> TakeAll()
    {
        List<Segment> segments = [.. lab.Card.Frames.Where(IsOurs).Select(Read)];
        lab.Card.Frames.RemoveAll(IsOurs);
        return segments;
    }

    /// <summary>Takes data in order and acknowledges it, until so many bytes came or the peer finished.</summary>
    public byte[] ReceiveAll(int? count = null)
    {
        var data = new List<byte>();
        while (count is null || data.Count < count)
        {
            var segment = Take();
            Assert.False(segment.Has(Tcp.Rst), "the connection was reset");
            if (segment.Sequence != Expected || (segment.Data.Length == 0 && !segment.Has(Tcp.Fin))) continue;
            data.AddRange(segment.Data);
            Expected += (uint)segment.Data.Length + (segment.Has(Tcp.Fin) ? 1u : 0);
            Send(Tcp.Ack);
            if (segment.Has(Tcp.Fin)) break;
        }
        return [.. data];
    }

    public static Segment Read(Frame frame)
    {
        UserLab.AssertSums(frame);
        Assert.True(TcpSegment.TryRead(frame.Payload, out var segment));
        return new Segment(segment.Flags, segment.Sequence, segment.Acknowledgement, segment.Window, segment.Payload.ToArray(), segment.WindowScale, segment.Mss, segment.SackPermitted, ReadRanges(segment.SackBlocks));
    }

    private static (uint, uint)[] ReadRanges(ReadOnlySpan<byte> blocks)
    {
        var ranges = new (uint, uint)[blocks.Length / 8];
        for (var i = 0; i < ranges.Length; i++) ranges[i] = (BinaryPrimitives.ReadUInt32BigEndian(blocks[(8 * i)..]), BinaryPrimitives.ReadUInt32BigEndian(blocks[(8 * i + 4)..]));
        return ranges;
    }

    private bool IsOurs(Frame frame) =>
        frame.IsTcp && frame.Source == peer && BinaryPrimitives.ReadUInt16BigEndian(frame.Payload) == peerPort && BinaryPrimitives.ReadUInt16BigEndian(frame.Payload.AsSpan(2)) == port;
}
