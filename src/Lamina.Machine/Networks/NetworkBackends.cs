// Opens what a machine's network cards are plugged into, and gives the cards addresses.
using System.Net;
using Lamina.Backends.Net.Switch;
using Lamina.Backends.Net.Tap;
using Lamina.Backends.Net.User;
using Lamina.Backends.Work;
using Lamina.Control;
using Lamina.Core.Net;
using Lamina.Host;
using Lamina.Host.Io;
using Lamina.Host.Net;

namespace Lamina.Networks;

/// <summary>Opens networks.</summary>
internal static class NetworkBackends
{
    /// <summary>The definition with an address for each card that has none, as its guest is going to see it.</summary>
    internal static MachineDefinition WithAddresses(MachineDefinition machine)
    {
        var cards = machine.DevicesOf<NetworkDevice>().ToList();
        return machine with { Devices = [.. machine.Devices.Select(device => device is NetworkDevice card ? card with { Mac = card.Mac ?? MakeMac(card.Link, cards.IndexOf(card)) } : device)] };
    }

    /// <summary>The published ports of networks, each with the address that it really has.</summary>
    internal static IReadOnlyList<Definition.PublishedPort> Published(IEnumerable<INetBackend> networks) =>
        [.. networks.OfType<UserNetBackend>().SelectMany(network => network.Published).Select(port => new Definition.PublishedPort(port.Host, port.GuestPort, port.IsUdp))];

    /// <summary>Published ports as a network takes them.</summary>
    internal static IReadOnlyList<Backends.Net.User.PublishedPort> Ports(IReadOnlyList<Definition.PublishedPort> ports) => [.. ports.Select(port => new Backends.Net.User.PublishedPort(port.Host, port.GuestPort, port.IsUdp))];

    /// <summary>Refuses a link that there cannot be on this host, before anything is opened or fetched. What may be different in a moment (a port that is in use) is found by who opens it.</summary>
    /// <exception cref="IOException">Why, as a sentence.</exception>
    internal static void Check(NetworkLink link)
    {
        switch (link)
        {
            case NetworkLink.Tap tap:
                TapInterface.Check(tap.Interface, tap.Bridge);
                break;
            case NetworkLink.Switch shared:
                SocketFile.Check(shared.Path);
                break;
            case NetworkLink.Socket socket:
                SocketFile.Check(socket.Path);
                if (!HostPath.IsSocket(socket.Path)) throw new HostException($"nobody listens at the socket {socket.Path}; start the program that the machine is to be connected to first");
                break;
            case NetworkLink.User user:
                // Any port will do: the address is what is looked at.
                foreach (var port in user.Published) HostSocket.Bind(port.IsUdp ? HostSocketKind.Udp : HostSocketKind.Tcp, new IPEndPoint(port.Host.Address, 0)).Dispose();
                break;
        }
    }

    /// <summary>Opens what a card is plugged into.</summary>
    /// <exception cref="MachineException">A value cannot be.</exception>
    /// <exception cref="IOException">The host refuses something; the message is a sentence.</exception>
    internal static INetBackend Open(NetworkDevice network, MachineHooks hooks) => network.Link switch
    {
        NetworkLink.User user => new UserNetBackend(Options(user)),
        NetworkLink.Tap tap => new TapBackend(tap.Interface, tap.Bridge),
        NetworkLink.Switch shared => new SwitchBackend(shared.Path, shared.Vlan == NetworkLink.Switch.Trunk ? VlanMembership.Trunk : new VlanMembership(shared.Vlan), shared.Mtu),
        NetworkLink.Socket socket => new SwitchBackend(socket.Path, VlanMembership.Trunk, socket.Mtu, mayListen: false),
        _ => hooks.Networks.GetValueOrDefault(network.Name) ?? throw new MachineException($"the device {network.Name} is plugged into a network of the program's own, which gives it none"),
    };

    private static UserNetOptions Options(NetworkLink.User user)
    {
        var usual = new UserNetOptions();
        return usual with
        {
            Network4 = user.Subnet ?? usual.Network4,
            Network6 = user.Ipv6 ? usual.Network6 : null,
            Mtu = user.Mtu,
            HostName = user.HostName,
            BootFile = user.BootFile,
            DnsServers = user.DnsServers,
            Dns = user.Dns,
            HostPorts = user.HostPorts,
            Allowed = user.Allowed is { } allowed ? [.. allowed.Select(destination => new Backends.Net.User.AllowedDestination(destination.Network, destination.Port))] : null,
            Published = Ports(user.Published),
        };
    }

    // A link of the machine's own has no other card; elsewhere two machines must not have the same address.
    private static string MakeMac(NetworkLink link, int index)
    {
        byte[] own = [0, 0, (byte)(index + 1)];
        if (link is not NetworkLink.User) HostRandom.Fill(own);
        return Address.MakeMac(own);
    }
}
