// UDP between the guest and the host's sockets (RFC 768; timeouts of RFC 4787, 4.3): a connected socket for each pair of
// addresses that the guest sends between, so that only who was asked can answer; and published ports.
using System.Buffers.Binary;
using System.Net;
using Lamina.Backends.Net.Wire;
using Lamina.Host.Net;

namespace Lamina.Backends.Net.User.Transport;

/// <summary>All of a network's UDP.</summary>
internal sealed class UdpTable(UserContext context) : IDisposable
{
    private const long IdleMilliseconds = 120_000, DnsIdleMilliseconds = 10_000;
    private const int DatagramsAtOnce = 64;

    private readonly FlowTable<UdpFlow> _flows = new(context.Options.MostFlows);
    private readonly List<PublishedUdp> _published = [];
    private readonly byte[] _buffer = new byte[Ip.MostPayload];

    internal int Count => _flows.Count;

    internal long NextDeadline => _flows.NextDeadline;

    /// <summary>Opens a published port.</summary>
    /// <returns>It, with the address that it really has.</returns>
    /// <exception cref="Host.HostException">It cannot be had.</exception>
    internal PublishedPort Publish(PublishedPort port)
    {
        var opened = new PublishedUdp(this, port);
        _published.Add(opened);
        return opened.Port;
    }

    /// <summary>Closes a published port, and with it the way back to its clients.</summary>
    internal void Unpublish(PublishedPort port)
    {
        var index = _published.FindIndex(known => known.Port == port);
        if (index < 0) return;
        _published[index].Dispose();
        _published.RemoveAt(index);
    }

    /// <summary>Takes a datagram of the guest's; its length and sum are right.</summary>
    internal void Receive(in IpPacket packet)
    {
        var from = BinaryPrimitives.ReadUInt16BigEndian(packet.Payload);
        var to = BinaryPrimitives.ReadUInt16BigEndian(packet.Payload[2..]);
        if (from == 0 || to == 0) return;
        var data = packet.Payload[Udp.HeaderLength..];
        var now = context.Now();
        foreach (var published in _published)
            if (published.TrySend(packet, from, to, data)) return;

        var key = new FlowKey(packet.Source, from, packet.Destination, to);
        var flow = _flows.Find(key, now);
        if (flow is null)
        {
            var route = context.Policy.Find(packet.Destination, to);
            if (route.Host is null || (flow = UdpFlow.Open(this, key, route.Host)) is null)
            {
                context.Errors.Send(packet, route.Host is null ? route.Reason : Unreachable.Network);
                return;
            }
            _flows.Add(key, flow, now);
        }
        if (flow.Send(data) is HostError.ConnectionRefused) context.Errors.Send(packet, Unreachable.Port);
    }

    internal void RunTimers(long now)
    {
        _flows.Sweep(now);
        foreach (var port in _published) port.Sweep(now);
    }

    public void Dispose()
    {
        _flows.Dispose();
        foreach (var port in _published) port.Dispose();
    }

    private void SendToGuest(in FlowKey key, ReadOnlySpan<byte> data)
    {
        // What came from the host may be as long as a UDP datagram can be over IPv4.
        var datagram = context.Link.Payload(key.Guest.IsV4, Udp.HeaderLength + data.Length);
        BinaryPrimitives.WriteUInt16BigEndian(datagram, key.PeerPort);
        BinaryPrimitives.WriteUInt16BigEndian(datagram[2..], key.GuestPort);
        BinaryPrimitives.WriteUInt16BigEndian(datagram[4..], (ushort)datagram.Length);
        data.CopyTo(datagram[Udp.HeaderLength..]);
        _ = context.Link.Send(key.Peer, key.Guest, IpProtocol.Udp, datagram.Length, new SendOptions(Udp.ChecksumAt));
    }

    /// <summary>An exchange that the guest began.</summary>
    private sealed class UdpFlow : Flow
    {
        private readonly UdpTable _table;
        private readonly FlowKey _key;
        private readonly IPEndPoint _server;

        private UdpFlow(UdpTable table, in FlowKey key, IPEndPoint server) => (_table, _key, _server) = (table, key, server);

        internal override long IdleMilliseconds => _key.PeerPort == Udp.Dns ? DnsIdleMilliseconds : UdpTable.IdleMilliseconds;

        private bool IsForwarded => !_server.Address.Equals(_key.Peer.ToIPAddress());

        internal static UdpFlow? Open(UdpTable table, in FlowKey key, IPEndPoint to)
        {
            var socket = HostSocket.TryCreate(HostSocketKind.Udp, to.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6, out _);
            if (socket is null) return null;
            var flow = new UdpFlow(table, key, to);
            return flow.TryConnect(socket, to.Address, to.Port, table.Context.Events) ? flow : null;
        }

        /// <summary>Sends; an error number, or 0.</summary>
        internal int Send(ReadOnlySpan<byte> data)
        {
            var sent = Socket.Send(data);
            if (sent == -HostError.ConnectionRefused) Refused();
            return sent < 0 ? -sent : 0;
        }

        public override void Ready(bool readable, bool writable, bool failed)
        {
            for (var i = 0; i < DatagramsAtOnce; i++)
            {
                var count = Socket.Receive(_table._buffer);
                if (count == -HostError.ConnectionRefused)
                {
                    Refused();
                    _table.TellRefused(_key);
                    continue;
                }
                if (count < 0 || count > Ip.MostPayload - Udp.HeaderLength) return;
                LastUsed = _table.Context.Now();
                _table.SendToGuest(_key, _table._buffer.AsSpan(0, count));
            }
        }

        private void Refused()
        {
            if (IsForwarded && _key.PeerPort == Udp.Dns) _table.Context.NameServers.Failed(_server);
        }
    }

    /// <summary>A port of the host's. Each client is known to the guest by a port of the gateway's.</summary>
    private sealed class PublishedUdp : IHostEvents, IDisposable
    {
        private const ushort FirstPort = 49152;
        private const int MostClients = 1024;

        private readonly UdpTable _table;
        private readonly ushort _guestPort;
        private readonly WatchedSocket _socket;
        private readonly Dictionary<ushort, Client> _byPort = [];
        private readonly Dictionary<IPEndPoint, Client> _byAddress = [];
        private ushort _next = FirstPort;

        internal PublishedUdp(UdpTable table, PublishedPort port)
        {
            (_table, _guestPort) = (table, (ushort)port.GuestPort);
            var socket = HostSocket.Bind(HostSocketKind.Udp, port.Host);
            Port = port with { Host = socket.LocalAddress ?? port.Host };
            _socket = WatchedSocket.Create(socket, table.Context.Events, this, edges: false) ?? throw new Host.HostException($"cannot wait for UDP port {port.Host.Port}; raise the limit on open files (ulimit -n)");
        }

        private sealed class Client(IPEndPoint address, ushort port)
        {
            internal IPEndPoint Address { get; } = address;

            internal ushort Port { get; } = port;

            internal long LastUsed { get; set; }
        }

        internal PublishedPort Port { get; }

        /// <summary>Sends an answer of the guest's, if it is one.</summary>
        internal bool TrySend(in IpPacket packet, ushort from, ushort to, ReadOnlySpan<byte> data)
        {
            if (from != _guestPort || packet.Destination != _table.Context.Addresses.Gateway4 || !_byPort.TryGetValue(to, out var client)) return false;
            client.LastUsed = _table.Context.Now();
            _ = _socket.Socket.SendTo(data, client.Address);
            return true;
        }

        public void Ready(bool readable, bool writable, bool failed)
        {
            for (var i = 0; i < DatagramsAtOnce; i++)
            {
                var count = _socket.Socket.ReceiveFrom(_table._buffer, out var from);
                if (count == -HostError.ConnectionRefused) continue;
                if (count < 0 || from is null || count > Ip.MostPayload - Udp.HeaderLength) return;
                var addresses = _table.Context.Addresses;
                _table.SendToGuest(new FlowKey(addresses.Guest4, _guestPort, addresses.Gateway4, ClientOf(from).Port), _table._buffer.AsSpan(0, count));
            }
        }

        internal void Sweep(long now)
        {
            foreach (var client in _byPort.Values)
                if (now - client.LastUsed >= IdleMilliseconds) Forget(client);
        }

        public void Dispose() => _socket.Dispose();

        private Client ClientOf(IPEndPoint address)
        {
            if (!_byAddress.TryGetValue(address, out var client))
            {
                if (_byPort.Count == MostClients) Forget(_byPort.Values.MinBy(known => known.LastUsed)!);
                while (_byPort.ContainsKey(_next)) _next = NextPort(_next);
                client = new Client(address, _next);
                _next = NextPort(_next);
                _byPort.Add(client.Port, client);
                _byAddress.Add(address, client);
            }
            client.LastUsed = _table.Context.Now();
            return client;
        }

        private void Forget(Client client)
        {
            _byPort.Remove(client.Port);
            _byAddress.Remove(client.Address);
        }

        private static ushort NextPort(ushort port) => port == ushort.MaxValue ? FirstPort : (ushort)(port + 1);
    }

    private UserContext Context => context;

    // The packet that was refused is gone; its header is enough for the guest to find the socket.
    private void TellRefused(in FlowKey key)
    {
        Span<byte> original = stackalloc byte[Ip.Header6 + Udp.HeaderLength];
        var packet = IpHeaders.Rebuild(original, key, IpProtocol.Udp);
        context.Errors.Send(packet, Unreachable.Port);
    }
}
