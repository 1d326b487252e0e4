// A switch: sends each frame to the port where its destination was seen, or to all others (IEEE 802.1Q, 8.8), with an
// address table for each VLAN that forgets what has been silent. It knows nothing of sockets or machines.
using Lamina.Backends.Net.User;
using Lamina.Backends.Net.Wire;

namespace Lamina.Backends.Net.Switch;

/// <summary>One port.</summary>
internal interface ISwitchPort
{
    /// <summary>Takes a frame; drops it where it has no room.</summary>
    void Deliver(ReadOnlySpan<byte> frame);
}

/// <summary>The switch.</summary>
internal sealed class VirtualSwitch(Func<long> now)
{
    // IEEE 802.1Q, 8.8.3: 300 s.
    private const long AgeMilliseconds = 300_000;
    private const int MostAddresses = 4096;

    private readonly List<ISwitchPort> _ports = [];
    private readonly Dictionary<(int Vlan, ulong Mac), (ISwitchPort Port, long Seen)> _addresses = [];

    /// <summary>How many addresses are known.</summary>
    internal int Known => _addresses.Count;

    internal void Add(ISwitchPort port) => _ports.Add(port);

    internal void Remove(ISwitchPort port)
    {
        _ports.Remove(port);
        foreach (var (address, entry) in _addresses)
            if (entry.Port == port) _addresses.Remove(address);
    }

    /// <summary>Takes a frame that came in at a port.</summary>
    internal void Forward(ISwitchPort from, ReadOnlySpan<byte> frame)
    {
        var vlan = VlanPort.IdOf(frame);
        var (destination, source) = (UserStack.ReadMac(frame), UserStack.ReadMac(frame[Ethernet.MacLength..]));
        Learn((vlan, source), from);
        if (!Ethernet.IsGroup(destination) && _addresses.TryGetValue((vlan, destination), out var entry) && now() - entry.Seen < AgeMilliseconds)
        {
            if (entry.Port != from) entry.Port.Deliver(frame);
            return;
        }
        foreach (var port in _ports)
            if (port != from) port.Deliver(frame);
    }

    private void Learn((int Vlan, ulong Mac) address, ISwitchPort port)
    {
        if (Ethernet.IsGroup(address.Mac)) return;
        var time = now();
        if (_addresses.Count >= MostAddresses && !_addresses.ContainsKey(address))
        {
            foreach (var (old, entry) in _addresses)
                if (time - entry.Seen >= AgeMilliseconds) _addresses.Remove(old);
            if (_addresses.Count >= MostAddresses) return;
        }
        _addresses[address] = (port, time);
    }
}
