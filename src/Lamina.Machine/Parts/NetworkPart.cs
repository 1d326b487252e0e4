// A network card and what it is plugged into.
using Lamina.Backends.Net;
using Lamina.Backends.Net.User;
using Lamina.Backends.Work;
using Lamina.Core.Limits;
using Lamina.Core.Net;
using Lamina.Core.State;
using Lamina.Devices.Ethernet;
using Lamina.Devices.Virtio.Net;
using Lamina.Networks;

namespace Lamina.Parts;

/// <summary>A network card.</summary>
internal sealed class NetworkPart : IPart
{
    private readonly NetworkDevice _definition;
    private readonly int _index;
    private Action<bool>? _plug;
    private CardAnnouncer? _announcer;

    internal NetworkPart(NetworkDevice card, int index, OpenContext context) =>
        (_definition, _index, Backend) = (card, index, context.Units.AddAside($"backends/network {index}", NetworkBackends.Open(card, context.Hooks)));

    /// <summary>Refuses links that there cannot be.</summary>
    internal static void Check(MachineDefinition machine)
    {
        foreach (var card in machine.DevicesOf<NetworkDevice>()) NetworkBackends.Check(card.Link);
    }

    /// <inheritdoc/>
    public string Name => _definition.Name;

    /// <inheritdoc/>
    public IReadOnlyList<FlowGate> Gates { get; private set; } = [];

    /// <summary>What it is plugged into.</summary>
    internal INetBackend Backend { get; }

    /// <inheritdoc/>
    public IListener? Listener => Backend as IListener;

    /// <inheritdoc/>
    public void Attach(string name, IPartPlaces places, PartContext context)
    {
        if (Backend is NetThread thread)
        {
            thread.Failed += context.Events.Fail;
            thread.Log = context.Log.Of($"devices/{Name}");
        }
        // Who is on the other side of a wire is not part of the machine; a network of its own is.
        var network = $"networks/{_index}";
        if (Backend is ISavedUnit) context.Units.Add(network, Backend);
        else context.Units.AddAside(network, Backend);
        var (sending, receiving) = (context.Gate(_definition.Limit), context.Gate(_definition.Limit));
        Gates = [sending, receiving];
        var mac = Address.ReadMac(_definition.Mac!);
        if (_definition.Model == NetworkModel.Virtio)
        {
            var device = new VirtioNet(Backend, new VirtioNetOptions(mac, _definition.Queues) { Sending = sending, Receiving = receiving }) { IsPlugged = _definition.Plugged };
            _plug = plugged => device.IsPlugged = plugged;
            places.Add(name, device);
            AddAnnouncer(context, device.Announce);
            return;
        }
        var options = new E1000Options(_definition.Model == NetworkModel.E1000 ? E1000Model.E1000 : E1000Model.E1000e, mac) { Sending = sending, Receiving = receiving };
        places.Add(name, wires =>
        {
            var card = new E1000Card(wires, Backend, options, context.Memory, context.Workers, context.Clock) { IsPlugged = _definition.Plugged };
            _plug = plugged => card.IsPlugged = plugged;
            AddAnnouncer(context, card.Announce);
            return card;
        });
    }

    /// <summary>Has it announce itself where it is on a network with others: the machine goes on at another place than before.</summary>
    internal void Announce() => _announcer?.Begin();

    // On a network of its own nobody is to learn where it is, and what a program does for a network is its affair.
    private void AddAnnouncer(PartContext context, Action announce)
    {
        if (_definition.Link is NetworkLink.User or NetworkLink.Own) return;
        _announcer = context.Units.AddAside($"announcers/{_index}", new CardAnnouncer(context.Clock, announce));
    }

    /// <summary>Puts the cable in or pulls it.</summary>
    internal void Plug(bool plugged) => _plug!(plugged);

    /// <summary>Leads these ports of the host's to the guest, and no others.</summary>
    /// <exception cref="MachineException">Its network has no ports.</exception>
    /// <exception cref="IOException">One cannot be had; all is as it was before.</exception>
    internal void Publish(IReadOnlyList<Definition.PublishedPort> ports)
    {
        if (Backend is not UserNetBackend network) throw new MachineException($"the card {Name} is on a network without ports of the host's; those are for a network of the kind user");
        network.Publish(NetworkBackends.Ports(ports));
    }

    /// <inheritdoc/>
    public void Start() => Backend.Start();
}
