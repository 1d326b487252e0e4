// A virtio console, connected to what its definition names.
using Lamina.Backends.Work;
using Lamina.Consoles;
using Lamina.Control;
using Lamina.Devices.Virtio.Console;
using Lamina.Life;

namespace Lamina.Parts;

/// <summary>A console.</summary>
internal sealed class ConsolePart : IPart
{
    private readonly ConsoleDevice _definition;
    private VirtioConsole? _device;
    private Action<string>? _fail;

    internal ConsolePart(ConsoleDevice console, OpenContext context) =>
        (_definition, Channel) = (console, ConsoleBackends.Open(console.Name, console.To, context.Calls, context.Units));

    /// <summary>Refuses consoles that can lead nowhere.</summary>
    internal static void Check(MachineDefinition machine)
    {
        foreach (var console in machine.DevicesOf<ConsoleDevice>()) ConsoleBackends.Check(console.To);
    }

    /// <inheritdoc/>
    public string Name => _definition.Name;

    /// <summary>What it is connected to.</summary>
    internal ConsoleChannel Channel { get; }

    /// <inheritdoc/>
    public IListener? Listener => Channel.Listener;

    private long Lost => Channel.Lost + (_device?.Lost ?? 0);

    /// <inheritdoc/>
    public void Conclude(MachineLog log) => ConsoleLoss.Tell("virtio console", Lost, log.Of($"devices/{Name}"));

    /// <inheritdoc/>
    public void Attach(string name, IPartPlaces places, PartContext context)
    {
        // At the end it goes after the device, with what is still to be written, and before the vCPUs that its input could have woken.
        context.Units.AddAside($"consoles/{Name}", Channel);
        _fail = context.Events.Fail;
        places.Add(name, _device = new VirtioConsole([new ConsolePort(Channel)]));
    }

    /// <inheritdoc/>
    public void Start()
    {
        Channel.Start();
        if (Channel.Terminal is not { } terminal) return;
        void TellSize() => _device!.Resize(0, terminal.Size.Columns, terminal.Size.Rows);
        terminal.Resized += Guard.Around("terminal", TellSize, _fail!);
        TellSize();
    }
}
