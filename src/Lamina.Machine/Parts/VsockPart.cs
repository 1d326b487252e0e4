// Sockets between host and guest, by way of Unix sockets of the host's.
using Lamina.Backends.Vsock;
using Lamina.Backends.Work;
using Lamina.Core.Sockets;
using Lamina.Devices.Virtio.Vsock;

namespace Lamina.Parts;

/// <summary>Sockets between host and guest.</summary>
internal sealed class VsockPart : IPart
{
    private readonly VsockDevice _definition;
    private readonly ISocketHost _sockets;

    internal VsockPart(VsockDevice sockets, OpenContext context) =>
        (_definition, _sockets) = (sockets, context.Units.AddAside("backends/sockets", new UnixSocketHost(sockets.Path, context.Calls.Failed)));

    /// <summary>Refuses places where there can be no socket.</summary>
    internal static void Check(MachineDefinition machine)
    {
        foreach (var sockets in machine.DevicesOf<VsockDevice>()) SocketFile.Check(sockets.Path);
    }

    /// <inheritdoc/>
    public string Name => _definition.Name;

    /// <inheritdoc/>
    public IListener? Listener => _sockets as IListener;

    /// <inheritdoc/>
    public void Attach(string name, IPartPlaces places, PartContext context) => places.Add(name, new VirtioVsock(_definition.Cid, _sockets));
}
