// Echo requests (ping). Those to this side are answered here; others go out through the host's echo sockets, where it
// allows them (net.ipv4.ping_group_range, icmp(7)) or this process may open raw ones.
using System.Buffers.Binary;
using Lamina.Backends.Net.Wire;
using Lamina.Core.Net;
using Lamina.Host.Net;

namespace Lamina.Backends.Net.User.Transport;

/// <summary>All of a network's echo requests.</summary>
internal sealed class EchoTable(UserContext context) : IDisposable
{
    private const int MostFlows = 256, AnswersAtOnce = 64;
    private const int IdentifierAt = 4;

    private readonly FlowTable<EchoFlow> _flows = new(Math.Min(MostFlows, context.Options.MostFlows));
    private readonly byte[] _buffer = new byte[Ip.MostPayload];

    internal int Count => _flows.Count;

    internal long NextDeadline => _flows.NextDeadline;

    /// <summary>Takes an echo request of the guest's; its sum is right.</summary>
    internal void Receive(in IpPacket packet)
    {
        if (packet.Destination.IsGroup) return;
        if (context.Addresses.IsOurs(packet.Destination))
        {
            Answer(packet.Destination, packet.Source, packet.Payload);
            return;
        }
        var route = context.Policy.Find(packet.Destination, null);
        if (route.Host is null)
        {
            context.Errors.Send(packet, route.Reason);
            return;
        }
        var key = new FlowKey(packet.Source, BinaryPrimitives.ReadUInt16BigEndian(packet.Payload[IdentifierAt..]), packet.Destination, 0);
        var now = context.Now();
        var flow = _flows.Find(key, now);
        if (flow is null)
        {
            flow = EchoFlow.Open(this, key, out var isUnreachable);
            if (flow is null)
            {
                context.Errors.Send(packet, isUnreachable ? Unreachable.Network : Unreachable.Prohibited);
                return;
            }
            _flows.Add(key, flow, now);
        }
        flow.Send(packet.Payload);
    }

    internal void RunTimers(long now) => _flows.Sweep(now);

    public void Dispose() => _flows.Dispose();

    private void Answer(IpAddr from, IpAddr to, ReadOnlySpan<byte> message)
    {
        var answer = context.Link.Payload(to.IsV4, message.Length);
        message.CopyTo(answer);
        (answer[0], answer[1]) = (to.IsV4 ? Icmp.EchoReply4 : Icmp.EchoReply6, 0);
        IcmpErrors.Send4Or6(context.Link, from, to, answer.Length);
    }

    private sealed class EchoFlow : Flow
    {
        private readonly EchoTable _table;
        private readonly FlowKey _key;
        private readonly bool _raw;

        private EchoFlow(EchoTable table, in FlowKey key, bool raw) => (_table, _key, _raw) = (table, key, raw);

        internal override long IdleMilliseconds => 30_000;

        internal static EchoFlow? Open(EchoTable table, in FlowKey key, out bool isUnreachable)
        {
            var v6 = !key.Peer.IsV4;
            isUnreachable = false;
            var socket = HostSocket.TryCreate(HostSocketKind.Echo, v6, out _);
            var raw = socket is null;
            socket ??= HostSocket.TryCreate(HostSocketKind.RawIcmp, v6, out _);
            if (socket is null) return null;
            isUnreachable = true;
            var flow = new EchoFlow(table, key, raw);
            return flow.TryConnect(socket, key.Peer.ToIPAddress(), 0, table.Context.Events) ? flow : null;
        }

        internal void Send(ReadOnlySpan<byte> message)
        {
            var request = _table._buffer.AsSpan(0, message.Length);
            message.CopyTo(request);
            // A raw socket sends what it is given; for ICMPv6 and for echo sockets the host computes the sum.
            BinaryPrimitives.WriteUInt16BigEndian(request[2..], 0);
            if (_key.Peer.IsV4) BinaryPrimitives.WriteUInt16BigEndian(request[2..], InternetChecksum.Finish(InternetChecksum.Add(0, request)));
            _ = Socket.Send(request);
        }

        public override void Ready(bool readable, bool writable, bool failed)
        {
            for (var i = 0; i < AnswersAtOnce; i++)
            {
                var count = Socket.Receive(_table._buffer);
                if (count < 0) return;
                var message = _table._buffer.AsSpan(0, count);
                // raw(7): a raw IPv4 socket gets the IP header, too.
                if (_raw && _key.Peer.IsV4) message = message.Length >= Ip.Header4 && (message[0] & 15) * 4 <= message.Length ? message[((message[0] & 15) * 4)..] : default;
                if (message.Length < Icmp.HeaderLength || message[0] != (_key.Peer.IsV4 ? Icmp.EchoReply4 : Icmp.EchoReply6)) continue;
                // An echo socket has an identifier of its own; a raw one sees everybody's.
                if (_raw && BinaryPrimitives.ReadUInt16BigEndian(message[IdentifierAt..]) != _key.GuestPort) continue;
                BinaryPrimitives.WriteUInt16BigEndian(message[IdentifierAt..], _key.GuestPort);
                _table.Answer(_key.Peer, _key.Guest, message);
            }
        }
    }

    private UserContext Context => context;
}
