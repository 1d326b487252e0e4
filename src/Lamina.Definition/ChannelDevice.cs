// A channel between a program in the guest and one of the host: a port of a virtio console that is no console, and has a name. QEMU's guest
// agent is reached by one.
namespace Lamina.Definition;

/// <summary>A channel by name (/dev/virtio-ports/NAME in a Linux guest). virtio 1.2, 5.3: a port of a console device.</summary>
public sealed record ChannelDevice : DeviceDefinition
{
    /// <summary>The port that QEMU's guest agent uses (qemu-ga(8), --path).</summary>
    public const string QemuAgent = "org.qemu.guest_agent.0";

    /// <summary>The longest <see cref="Port"/>.</summary>
    public const int LongestPort = 64;

    /// <summary>The name by which the guest finds it.</summary>
    public string Port { get; init; } = "";

    /// <summary>The Unix socket where one program of the host at a time connects to it; empty: it leads to the program that runs the machine, where that takes it, or nowhere.</summary>
    public string Path { get; init; } = "";

    /// <summary>What there is to say.</summary>
    public static Shape<ChannelDevice> Shape { get; } = new("a channel",
        NameProperty<ChannelDevice>(),
        Property.Text<ChannelDevice>("port", "NAME", $"the name by which the guest finds it, like {QemuAgent}", channel => channel.Port.Length == 0 ? null : channel.Port, (channel, port) =>
            port.Length <= LongestPort && port.All(letter => char.IsAsciiLetterOrDigit(letter) || letter is '.' or '-' or '_') ? channel with { Port = port }
                : throw new MachineException($"\"{port}\" is no name of a channel; use at most {LongestPort} letters, digits, dots, hyphens and underscores, like {QemuAgent}")),
        Property.Path<ChannelDevice>("path", $"the Unix socket where a program of the host connects to it; without one that of {QemuAgent} leads to whoever asks the machine for an agent, and any other nowhere",
            channel => channel.Path.Length == 0 ? null : channel.Path, (channel, path) => channel with { Path = path }));

    /// <summary>Reads <c>NAME[,path=SOCKET]</c>.</summary>
    /// <exception cref="MachineException">The text is no channel.</exception>
    public static ChannelDevice Parse(string text) => Words.Read(Shape, "port", new ChannelDevice(), text);

    /// <inheritdoc/>
    public override string ToString() => Words.Write(Shape, "port", this);
}
