// The socket device against drivers that keep to the rules and such that do not.
using Lamina.Core.Sockets;
using Lamina.Devices.Virtio.Vsock;
using Xunit;

namespace Lamina.Tests.Devices.Virtio;

public sealed class VirtioVsockTests : IDisposable
{
    private const uint Cid = 7, Port = 1234, HostPort = 80;
    private const ulong Rings = TestGuest.Ram, Buffers = TestGuest.Ram + 0x1_0000, Outgoing = TestGuest.Ram + 0x8_0000;
    private const uint BufferBytes = 4096;

    private readonly Sockets _sockets = new();
    private readonly TestGuest _guest;
    private SplitDriver _receive = null!, _transmit = null!;
    private int _offered;

    public VirtioVsockTests()
    {
        _guest = new TestGuest(new VirtioVsock(Cid, _sockets));
        Start();
    }

    public void Dispose() => _guest.Dispose();

    private sealed class Stream : IHostStream
    {
        public List<byte> ToGuest { get; } = [];

        public List<byte> FromGuest { get; } = [];

        public int Available => ToGuest.Count;

        public bool IsAtEnd { get; set; }

        public bool IsBroken { get; set; }

        public int Unsent { get; set; }

        public bool Sticks { get; set; }

        public uint? Accepted { get; private set; }

        public bool WriteEnded { get; private set; }

        public bool Disposed { get; private set; }

        public void Accept(uint port) => Accepted = port;

        public int Read(Span<byte> into)
        {
            var count = Math.Min(into.Length, ToGuest.Count);
            ToGuest[..count].ToArray().CopyTo(into);
            ToGuest.RemoveRange(0, count);
            return count;
        }

        public void Write(ReadOnlySpan<byte> data)
        {
            FromGuest.AddRange(data);
            if (Sticks) Unsent += data.Length;
        }

        public void EndWrite() => WriteEnded = true;

        public void Dispose() => Disposed = true;
    }

    private sealed class Sockets : ISocketHost
    {
        public ISocketGuest Guest { get; private set; } = null!;

        public List<Stream> Streams { get; } = [];

        public void Attach(ISocketGuest guest) => Guest = guest;

        public IHostStream? Connect(uint port)
        {
            if (port != HostPort) return null;
            Streams.Add(new Stream());
            return Streams[^1];
        }
    }

    private sealed record Packet(VsockHeader Header, byte[] Data);

    private void Start(int buffers = 32)
    {
        _guest.Negotiate(TestFeatures.Plain);
        Assert.True(_guest.Memory.TryWrite(Rings, new byte[0x2000]));
        _receive = new SplitDriver(_guest, 0, 64, Rings).Place();
        _transmit = new SplitDriver(_guest, 1, 64, Rings + 0x1000).Place();
        _offered = 0;
        _guest.DriverOk();
        for (var i = 0; i < buffers; i++) OfferBuffer();
        _guest.Notify(0);
    }

    private void OfferBuffer() => _receive.Offer(new Part(Buffers + ((ulong)(_offered++ % 64) * BufferBytes), BufferBytes, Writable: true));

    private void Send(VsockOperation operation, byte[]? data = null, uint flags = 0, uint credit = 65536, uint forwarded = 0, uint port = Port, uint hostPort = HostPort,
        ulong source = Cid, ulong destination = 2, ushort type = 1, uint? length = null)
    {
        var bytes = new byte[VsockSpec.HeaderLength + (data?.Length ?? 0)];
        new VsockHeader(source, destination, port, hostPort, length ?? (uint)(data?.Length ?? 0), type, operation, flags, credit, forwarded).Write(bytes);
        data?.CopyTo(bytes, VsockSpec.HeaderLength);
        _guest.Memory.TryWrite(Outgoing, bytes);
        _transmit.Offer(new Part(Outgoing, (uint)bytes.Length));
        _guest.Notify(1);
        Assert.NotNull(_transmit.TakeUsed());
    }

    private Packet? TakePacket()
    {
        if (_receive.TakeUsed() is not { } used) return null;
        var bytes = new byte[used.Length];
        Assert.True(_guest.Memory.TryRead(_guest.Load<ulong>(_receive.Descriptors + 16 * used.Id), bytes));
        return new Packet(VsockHeader.Read(bytes), bytes[VsockSpec.HeaderLength..]);
    }

    private Packet Expect(VsockOperation operation)
    {
        var packet = TakePacket();
        Assert.NotNull(packet);
        Assert.Equal(operation, packet.Header.Operation);
        Assert.Equal((2ul, (ulong)Cid), (packet.Header.Source, packet.Header.Destination));
        Assert.Equal((uint)packet.Data.Length, packet.Header.Length);
        return packet;
    }

    private Stream Connected(uint credit = 65536)
    {
        Send(VsockOperation.Request, credit: credit);
        var answer = Expect(VsockOperation.Response).Header;
        Assert.Equal((HostPort, Port), (answer.SourcePort, answer.DestinationPort));
        return _sockets.Streams[^1];
    }

    private void Ready()
    {
        _sockets.Guest.Ready();
        _guest.Workers.Run();
    }

    [Fact]
    public void The_guest_reads_its_address() => Assert.Equal([7, 0, 0, 0, 0, 0, 0, 0, 0, 0], _guest.ReadConfig(0, 10));

    [Theory]
    [InlineData(2u)]
    [InlineData(uint.MaxValue)]
    public void No_guest_has_a_reserved_address(uint cid) => Assert.Throws<ArgumentOutOfRangeException>(() => new VirtioVsock(cid, _sockets));

    [Fact]
    public void What_one_side_sends_the_other_gets()
    {
        var stream = Connected();

        Send(VsockOperation.Data, [1, 2, 3]);
        stream.ToGuest.AddRange([4, 5]);
        Ready();

        Assert.Equal([1, 2, 3], stream.FromGuest);
        Assert.Equal([4, 5], Expect(VsockOperation.Data).Data);
        Assert.Null(TakePacket());
    }

    [Fact]
    public void A_port_where_nobody_listens_is_refused()
    {
        Send(VsockOperation.Request, hostPort: 81);

        Assert.Equal(81u, Expect(VsockOperation.Reset).Header.SourcePort);
    }

    [Fact]
    public void The_host_connects_and_is_told_when_the_guest_accepts()
    {
        var stream = new Stream();
        Assert.True(_sockets.Guest.Connect(Port, stream));
        _guest.Workers.Run();
        var asked = Expect(VsockOperation.Request).Header;
        Assert.Null(stream.Accepted);

        Send(VsockOperation.Response, port: Port, hostPort: asked.SourcePort);
        stream.ToGuest.Add(9);
        Ready();

        Assert.Equal(asked.SourcePort, stream.Accepted);
        Assert.Equal([9], Expect(VsockOperation.Data).Data);
    }

    [Fact]
    public void A_connection_that_the_guest_refuses_ends()
    {
        var stream = new Stream();
        Assert.True(_sockets.Guest.Connect(Port, stream));
        _guest.Workers.Run();

        Send(VsockOperation.Reset, hostPort: Expect(VsockOperation.Request).Header.SourcePort);

        Assert.True(stream.Disposed);
    }

    [Fact]
    public void The_guest_gets_no_more_than_it_has_room_for()
    {
        var stream = Connected(credit: 100);
        stream.ToGuest.AddRange(new byte[250]);
        Ready();
        Assert.Equal(100, Expect(VsockOperation.Data).Data.Length);
        Assert.Null(TakePacket());

        Send(VsockOperation.CreditUpdate, credit: 100, forwarded: 60);

        Assert.Equal(60, Expect(VsockOperation.Data).Data.Length);
        Assert.Equal(90, stream.Available);
    }

    [Theory]
    [InlineData(100u, 1000u)]
    [InlineData(0u, 0xffff_ffffu)]
    public void Credit_that_cannot_be_gives_nothing(uint credit, uint forwarded)
    {
        var stream = Connected();
        Send(VsockOperation.CreditUpdate, credit: credit, forwarded: forwarded);
        stream.ToGuest.AddRange(new byte[250]);

        Ready();

        Assert.Null(TakePacket());
        Assert.False(_guest.NeedsReset);
    }

    [Fact]
    public void The_guest_is_told_of_room_when_the_host_has_taken_much_and_when_it_asks()
    {
        var stream = Connected();
        stream.Sticks = true;
        for (var i = 0; i < 4; i++) Send(VsockOperation.Data, new byte[VsockSpec.BufferLength / 4]);
        Assert.Null(TakePacket());

        stream.Unsent = 100;
        Ready();
        var told = Expect(VsockOperation.CreditUpdate).Header;
        Send(VsockOperation.CreditRequest);

        Assert.Equal((VsockSpec.BufferLength, VsockSpec.BufferLength - 100), (told.Buffer, told.Forwarded));
        Expect(VsockOperation.CreditUpdate);
        Assert.Null(TakePacket());
    }

    [Theory]
    [InlineData(VsockSpec.BufferLength, 1)]
    [InlineData(VsockSpec.BufferLength - 1, 2)]
    public void A_guest_that_sends_more_than_it_may_loses_the_connection(uint unsent, int more)
    {
        var stream = Connected();
        stream.Unsent = (int)unsent;

        Send(VsockOperation.Data, new byte[more]);

        Assert.True(stream.Disposed);
        Assert.Empty(stream.FromGuest);
        Expect(VsockOperation.Reset);
    }

    [Fact]
    public void An_end_in_each_direction_is_passed_on()
    {
        var stream = Connected();
        stream.ToGuest.Add(1);
        stream.IsAtEnd = true;
        Ready();
        Expect(VsockOperation.Data);
        Assert.Equal(VsockSpec.ShutdownSend, Expect(VsockOperation.Shutdown).Header.Flags);
        Assert.Null(TakePacket());

        Send(VsockOperation.Data, [2]);
        Send(VsockOperation.Shutdown, flags: VsockSpec.ShutdownSend);
        Assert.True(stream.WriteEnded);
        Assert.False(stream.Disposed);
        Send(VsockOperation.Shutdown, flags: VsockSpec.ShutdownReceive | VsockSpec.ShutdownSend);

        Expect(VsockOperation.Reset);
        Assert.True(stream.Disposed);
        Assert.Equal([2], stream.FromGuest);
    }

    [Fact]
    public void What_the_guest_sent_reaches_the_host_before_the_connection_ends()
    {
        var stream = Connected();
        stream.Sticks = true;
        Send(VsockOperation.Data, [1]);
        Send(VsockOperation.Shutdown, flags: VsockSpec.ShutdownReceive | VsockSpec.ShutdownSend);
        Assert.False(stream.Disposed);

        stream.Unsent = 0;
        Ready();

        Expect(VsockOperation.Reset);
        Assert.True(stream.Disposed);
    }

    [Fact]
    public void A_hosts_end_that_breaks_resets_the_connection_behind_its_data()
    {
        var stream = Connected();
        stream.ToGuest.Add(1);
        stream.IsBroken = stream.IsAtEnd = true;

        Ready();

        Expect(VsockOperation.Data);
        Expect(VsockOperation.Reset);
    }

    [Fact]
    public void What_makes_no_sense_is_answered_with_a_reset()
    {
        Send(VsockOperation.Data, [1]);
        Expect(VsockOperation.Reset);
        Send(VsockOperation.Response);
        Expect(VsockOperation.Reset);
        Send((VsockOperation)77);
        Expect(VsockOperation.Reset);
        Send(VsockOperation.Request, type: 2);
        Expect(VsockOperation.Reset);
        var stream = Connected();
        Send(VsockOperation.Request);
        Expect(VsockOperation.Reset);
        Assert.True(stream.Disposed);
        Assert.Single(_sockets.Streams);
    }

    [Fact]
    public void What_is_not_from_the_guest_or_not_for_the_host_is_dropped()
    {
        Send(VsockOperation.Request, source: 8);
        Send(VsockOperation.Request, destination: 3);
        Send(VsockOperation.Data, [1], length: uint.MaxValue);
        Send(VsockOperation.Reset);

        Assert.Null(TakePacket());
        Assert.Empty(_sockets.Streams);
        Assert.False(_guest.NeedsReset);
    }

    [Fact]
    public void Connections_are_limited()
    {
        for (uint port = 0; port < VsockSpec.MostConnections + 1; port++)
        {
            Send(VsockOperation.Request, port: port);
            Expect(port < VsockSpec.MostConnections ? VsockOperation.Response : VsockOperation.Reset);
            OfferBuffer();
        }

        Assert.Equal(VsockSpec.MostConnections, _sockets.Streams.Count);
        Assert.False(_sockets.Guest.Connect(Port, new Stream()));
    }

    [Fact]
    public void A_guest_that_takes_no_answers_can_cause_only_so_many()
    {
        Start(buffers: 0);
        for (var i = 0; i < VsockSpec.MostResets; i++) Send(VsockOperation.Data);

        // This one waits in the queue until the guest has taken answers.
        _transmit.Offer(new Part(Outgoing, VsockSpec.HeaderLength));
        _guest.Notify(1);
        Assert.Null(_transmit.TakeUsed());
        OfferBuffer();
        _guest.Notify(0);

        Expect(VsockOperation.Reset);
        Assert.NotNull(_transmit.TakeUsed());
    }

    [Fact]
    public void Packets_without_a_header_and_buffers_without_room_break_the_device()
    {
        _transmit.Offer(new Part(Outgoing, VsockSpec.HeaderLength - 1));
        _guest.Notify(1);
        Assert.True(_guest.NeedsReset);

        Start(buffers: 0);
        Assert.False(_guest.NeedsReset);
        _receive.Offer(new Part(Buffers, VsockSpec.HeaderLength - 1, Writable: true));
        Send(VsockOperation.Data);
        Assert.True(_guest.NeedsReset);
    }

    [Fact]
    public void A_reset_closes_all_connections_and_what_comes_after_it_is_refused()
    {
        var stream = Connected();

        _guest.Write(0x70, 0);

        Assert.True(stream.Disposed);
        Assert.False(_sockets.Guest.Connect(Port, new Stream()));
        stream.ToGuest.Add(1);
        Ready();
        Start();
        Connected();
    }

    [Fact]
    public void Random_packets_do_no_harm()
    {
        var random = new Random(5);
        for (var i = 0; i < 20_000; i++)
        {
            Send((VsockOperation)random.Next(9), new byte[random.Next(64)], (uint)random.Next(4), random.Next(4) == 0 ? (uint)random.NextInt64() : 1000, (uint)random.Next(100), (uint)random.Next(4), HostPort + (uint)random.Next(2),
                type: (ushort)(random.Next(20) == 0 ? 2 : 1));
            if (_sockets.Streams.Count != 0 && random.Next(3) == 0)
            {
                var stream = _sockets.Streams[random.Next(_sockets.Streams.Count)];
                stream.ToGuest.AddRange(new byte[random.Next(300)]);
                (stream.IsAtEnd, stream.IsBroken, stream.Sticks) = (random.Next(4) == 0, random.Next(8) == 0, random.Next(2) == 0);
                Ready();
            }
            while (TakePacket() is not null) OfferBuffer();
            _guest.Notify(0);
            if (_sockets.Streams.Count > 100) _sockets.Streams.RemoveAll(stream => stream.Disposed);
        }

        Assert.False(_guest.NeedsReset);
        Start();
        Connected();
    }
}
