// A channel: a virtio console whose one port is none, but has a name.
using Lamina.Backends.Work;
using Lamina.Consoles;
using Lamina.Control;
using Lamina.Devices.Virtio.Console;

namespace Lamina.Parts;

/// <summary>A channel.</summary>
internal sealed class ChannelPart : IPart
{
    private readonly ChannelDevice _definition;
    private readonly ConsoleChannel _channel;

    internal ChannelPart(ChannelDevice channel, OpenContext context) =>
        (_definition, _channel) = (channel, ConsoleBackends.Open(channel.Name, TargetOf(channel, context.Hooks.Channels.ContainsKey(channel.Name)), context.Calls, context.Units));

    /// <summary>Refuses channels that can lead nowhere.</summary>
    internal static void Check(MachineDefinition machine)
    {
        foreach (var channel in machine.DevicesOf<ChannelDevice>()) ConsoleBackends.Check(TargetOf(channel, isTaken: false));
    }

    /// <inheritdoc/>
    public string Name => _definition.Name;

    /// <inheritdoc/>
    public IListener? Listener => _channel.Listener;

    /// <inheritdoc/>
    public void Conclude(MachineLog log) => ConsoleLoss.Tell("channel", _channel.Lost, log.Of($"devices/{Name}"));

    /// <inheritdoc/>
    public void Attach(string name, IPartPlaces places, PartContext context)
    {
        context.Units.AddAside($"channels/{Name}", _channel);
        places.Add(name, new VirtioConsole([new ConsolePort(_channel, IsConsole: false, _definition.Port)]));
    }

    /// <inheritdoc/>
    public void Start() => _channel.Start();

    private static ConsoleTarget TargetOf(ChannelDevice channel, bool isTaken) =>
        channel.Path.Length > 0 ? new ConsoleTarget.Unix(channel.Path) : isTaken ? new ConsoleTarget.Own() : new ConsoleTarget.Null();
}
