// Makes a machine's network cards from their spec, and opens what they are plugged into.
using System.Globalization;
using System.Net.NetworkInformation;
using System.Security.Cryptography;
using Lamina.Backends.Net.Switch;
using Lamina.Backends.Net.Tap;
using Lamina.Backends.Net.User;
using Lamina.Core.Net;
using Lamina.Core.Units;
using Lamina.Devices.Virtio.Net;

namespace Lamina.Networks;

/// <summary>A card and what it is plugged into.</summary>
internal sealed record NetworkCard(VirtioNet Device, INetBackend Backend);

/// <summary>Opens networks.</summary>
internal static class NetworkBackends
{
    private const int MacLength = 6, MostQueues = 8, LeastMtu = 1280, MostMtu = 65520;

    /// <summary>The cards of a spec; their backends belong to the units.</summary>
    /// <exception cref="MachineException">A value cannot be.</exception>
    /// <exception cref="IOException">The host refuses something; the message is a sentence.</exception>
    internal static IReadOnlyList<NetworkCard> Open(IReadOnlyList<NetworkSpec> networks, UnitTree units) =>
        [.. networks.Select((network, index) => Open(network, index, units))];

    /// <summary>Reads a card's address.</summary>
    /// <exception cref="MachineException">It is none, or a group's.</exception>
    internal static byte[] ReadMac(string text)
    {
        if (!PhysicalAddress.TryParse(text.Replace(':', '-'), out var address) || address.GetAddressBytes() is not { Length: MacLength } bytes || text.Length != MacLength * 3 - 1)
            throw new MachineException($"\"{text}\" is no network card's address; write six bytes as 02:00:00:00:00:01");
        if ((bytes[0] & 1) != 0 || bytes.All(b => b == 0)) throw new MachineException($"{text} cannot be a network card's address; its first byte must be even, and not all may be 0");
        return bytes;
    }

    private static NetworkCard Open(NetworkSpec network, int index, UnitTree units)
    {
        if (network.Queues is < 1 or > MostQueues) throw new MachineException($"a network card has 1 to {MostQueues} pairs of queues, not {network.Queues}");
        var mac = network.Mac is { } given ? ReadMac(given) : MakeMac(network.Target, index);
        INetBackend backend = network.Target switch
        {
            NetworkTarget.User user => OpenUser(user.Options),
            NetworkTarget.Tap tap => new TapBackend(tap.Name, tap.Bridge),
            NetworkTarget.Switch shared => new SwitchBackend(shared.Path, shared.Vlan, CheckMtu(shared.Mtu)),
            NetworkTarget.Socket socket => new SwitchBackend(socket.Path, VlanMembership.Trunk, CheckMtu(socket.Mtu), mayListen: false),
            NetworkTarget.Backend own => own.Channel,
            _ => throw new MachineException($"there is no network {network.Target.GetType().Name}"),
        };
        units.Add($"backends/network {index}", backend);
        return new NetworkCard(new VirtioNet(backend, new VirtioNetOptions(mac, network.Queues)), backend);
    }

    private static UserNetBackend OpenUser(UserNetOptions options)
    {
        _ = CheckMtu(options.Mtu);
        if (options.Network4.PrefixLength is < 8 or > 27) throw new MachineException($"{options.Network4} is no network for a guest; use one of a length from 8 to 27, as 10.0.2.0/24");
        if (options.Network6 is { PrefixLength: not 64 } network6) throw new MachineException($"{network6} is no IPv6 network for a guest; its length must be 64");
        return new UserNetBackend(options);
    }

    private static int CheckMtu(int mtu) =>
        mtu is >= LeastMtu and <= MostMtu ? mtu : throw new MachineException($"an MTU of {mtu} is not possible; use {LeastMtu} to {MostMtu}");

    // A link of the machine's own has no other card; elsewhere two machines must not have the same address.
    private static byte[] MakeMac(NetworkTarget target, int index)
    {
        byte[] mac = [0x02, 0x4c, 0x41, 0, 0, (byte)(index + 1)];
        if (target is not NetworkTarget.User) RandomNumberGenerator.Fill(mac.AsSpan(3));
        return mac;
    }

    /// <summary>An address as text.</summary>
    internal static string Format(ReadOnlySpan<byte> mac) => string.Join(':', mac.ToArray().Select(b => b.ToString("x2", CultureInfo.InvariantCulture)));
}
