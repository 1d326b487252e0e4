// The network cards of copies. On a network with others a copy must not be met under the address of the machine that it is a copy of, and that address
// stands in its guest's memory. So its cards get addresses of their own, and have no cable until the guest's agent has seen to it that the guest uses them.
using System.Security.Cryptography;

namespace Lamina.Hypervisor.Stored;

/// <summary>A network card's address, as 02:00:00:00:00:01.</summary>
/// <param name="Was">That which the guest uses.</param>
/// <param name="Is">That which it is to use.</param>
internal sealed record CardAddress(string Was, string Is);

/// <summary>Gives copies their cards.</summary>
internal static class CopiedCards
{
    /// <summary>Refuses a machine with a card that is plugged into what takes no second machine.</summary>
    /// <exception cref="MachineException">It has one.</exception>
    internal static void Check(string name, MachineDefinition definition)
    {
        foreach (var card in definition.DevicesOf<NetworkDevice>())
        {
            var alone = card.Link switch
            {
                NetworkLink.Tap { Interface: { } tap } => $"the host's interface {tap}, which takes one machine; leave its name out ('lamina set {name} --device {card.Name},interface='), and each gets one of its own",
                NetworkLink.Socket socket => $"the program at {socket.Path}, which may take one machine; only machines on user networks, switches and taps without a name can be forked",
                NetworkLink.Own => "a network of the program that runs it, which has none for a copy",
                _ => null,
            };
            if (alone is not null) throw new MachineException($"the machine {name} has a network card at {alone}");
        }
    }

    /// <summary>The definition of a copy with addresses of its own: those that its folder knows, or new ones.</summary>
    /// <param name="definition">The machine's.</param>
    /// <param name="to">The copy.</param>
    internal static MachineDefinition WithAddresses(MachineDefinition definition, MachineHome to)
    {
        if (!definition.DevicesOf<NetworkDevice>().Any(IsShared)) return definition;
        var known = File.Exists(to.Started) ? ByName(MachineFile.ReadStarted(to)) : [];
        var names = definition.Complete().Devices;
        return definition with
        {
            Devices = [.. definition.Devices.Select((device, index) => device is NetworkDevice card && IsShared(card)
                ? card with { Mac = known.GetValueOrDefault(names[index].Name)?.Mac ?? Address.MakeMac(RandomNumberGenerator.GetBytes(Address.OwnLength)) }
                : device)],
        };
    }

    /// <summary>The same definition without cables to networks with others.</summary>
    internal static MachineDefinition Pulled(MachineDefinition definition) => definition with
    {
        Devices = [.. definition.Devices.Select(device => device is NetworkDevice card && IsShared(card) ? card with { Plugged = false } : device)],
    };

    /// <summary>The addresses that a copy's guest is to use, each with that which it uses now.</summary>
    /// <param name="was">The machine as its guest saw it.</param>
    /// <param name="now">The copy.</param>
    internal static IReadOnlyList<CardAddress> Between(MachineDefinition was, MachineDefinition now)
    {
        var known = ByName(was);
        return [.. ByName(now).Values.Where(IsShared).Select(card => new CardAddress(known[card.Name].Mac!, card.Mac!))];
    }

    private static bool IsShared(NetworkDevice card) => card.Link is NetworkLink.Switch or NetworkLink.Tap;

    private static Dictionary<string, NetworkDevice> ByName(MachineDefinition definition) => definition.Complete().DevicesOf<NetworkDevice>().ToDictionary(card => card.Name, StringComparer.Ordinal);
}
