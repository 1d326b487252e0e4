// Opens what a console of a machine is connected to. A channel takes output from the moment it is made; input flows, and a
// terminal becomes raw, only when the machine starts.
using Lamina.Backends.Char;
using Lamina.Backends.Work;
using Lamina.Control;
using Lamina.Core.Char;
using Lamina.Core.Inspection;
using Lamina.Core.Units;
using Lamina.Host.Terminals;

namespace Lamina.Consoles;

/// <summary>A console's channel between the device and what the spec names.</summary>
/// <param name="inner">The channel to the host.</param>
/// <param name="memory">The program's end of it, where the program is the other end.</param>
/// <param name="terminal">The terminal behind it, where there is one.</param>
internal sealed class ConsoleChannel(ICharBackend inner, SerialConsole? memory = null, Terminal? terminal = null) : ICharBackend, IInspected, ICounted
{
    private ICharReceiver? _receiver;
    private bool _disposed;

    /// <summary>The program's end.</summary>
    internal SerialConsole? Memory => memory;

    /// <summary>The terminal.</summary>
    internal Terminal? Terminal => terminal;

    /// <summary>What listens for its clients, where it does.</summary>
    internal IListener? Listener => inner as IListener;

    /// <inheritdoc/>
    public long Lost => inner.Lost;

    /// <inheritdoc/>
    public void Inspect(InspectNode node)
    {
        node.Kind = $"channel to {inner switch { StdioCharBackend => "this terminal", MemoryCharBackend => "the program's memory", FileCharBackend => "a file", UnixSocketCharBackend => "a Unix socket", NullCharBackend => "nothing", _ => "the program" }}";
        if (inner is ICharConnection connection) node.Say("connected", connection.IsConnected);
        if (terminal is null) return;
        var (columns, rows) = terminal.Size;
        node.Say("columns", (long)columns);
        node.Say("rows", (long)rows);
    }

    /// <inheritdoc/>
    public void Count(CounterList counters) => counters.Total("channel_lost_bytes", Lost, "output that could not be brought to where it goes", CounterUnit.Bytes);

    /// <inheritdoc/>
    public int Write(ReadOnlySpan<byte> data) => inner.Write(data);

    /// <inheritdoc/>
    public void Linger() => Thread.Sleep(1);

    /// <inheritdoc/>
    public void Attach(ICharReceiver receiver) => _receiver = receiver;

    /// <inheritdoc/>
    public void ReadyToReceive() => inner.ReadyToReceive();

    /// <summary>Lets input flow to the device that has attached itself.</summary>
    internal void Start()
    {
        if (_receiver is { } receiver) inner.Attach(receiver);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        inner.Dispose();
    }
}

/// <summary>Whom a console's channel tells of what happens to it, and what it asks.</summary>
/// <param name="Hooks">The program's own channels.</param>
/// <param name="Log">Is told when output is being lost.</param>
/// <param name="Quit">Called when the user asks for the machine's end at its terminal.</param>
/// <param name="Failed">Told in a sentence that a channel cannot go on.</param>
/// <param name="IsHurried">Whether the machine's end was asked for.</param>
internal sealed record ConsoleCalls(MachineHooks Hooks, MachineLog Log, Action Quit, Action<string> Failed, Func<bool> IsHurried);

/// <summary>Opens serial targets.</summary>
internal static class ConsoleBackends
{
    // ECMA-48, 8.3.49; Ctrl-D at a terminal.
    private const byte EndOfTransmission = 4;

    /// <summary>Refuses a target that there cannot be, before anything is opened or fetched.</summary>
    /// <exception cref="IOException">Why, as a sentence.</exception>
    internal static void Check(ConsoleTarget target)
    {
        if (target is ConsoleTarget.Unix unix) SocketFile.Check(unix.Path);
        if (target is ConsoleTarget.File file) FileCharBackend.Check(file.Path);
    }

    /// <summary>The channel for a target; it belongs to the units.</summary>
    /// <param name="device">The name of the device that it is for.</param>
    /// <param name="target">Where it goes.</param>
    /// <param name="calls">Whom it tells of what.</param>
    /// <param name="units">Give it back at the end.</param>
    /// <exception cref="IOException">The host refuses it; the message is a sentence.</exception>
    internal static ConsoleChannel Open(string device, ConsoleTarget target, ConsoleCalls calls, UnitTree units)
    {
        var options = new StdioOptions { Drops = target.WhenFull == WhenFull.Drop, IsHurried = calls.IsHurried, Failed = calls.Failed, Quit = calls.Quit, EndMark = target.AtEnd == AtEnd.Eot ? EndOfTransmission : null };
        return units.AddAside($"backends/{device}", target switch
        {
            ConsoleTarget.Stdio => OpenStdio(options),
            ConsoleTarget.Memory memory => OpenMemory(memory.Capacity),
            ConsoleTarget.File file => new ConsoleChannel(new FileCharBackend(file.Path, log: calls.Log.Of($"devices/{device}"), options: options)),
            ConsoleTarget.Unix unix => new ConsoleChannel(new UnixSocketCharBackend(unix.Path, options)),
            ConsoleTarget.Own => new ConsoleChannel(calls.Hooks.Channels.GetValueOrDefault(device) ?? throw new MachineException($"the device {device} leads to a channel of the program's own, which gives it none")),
            _ => new ConsoleChannel(new NullCharBackend()),
        });
    }

    private static ConsoleChannel OpenStdio(StdioOptions options)
    {
        var stdio = new StdioCharBackend(options);
        return new ConsoleChannel(stdio, terminal: stdio.Terminal);
    }

    private static ConsoleChannel OpenMemory(int capacity)
    {
        var memory = new MemoryCharBackend(capacity);
        return new ConsoleChannel(memory, new SerialConsole(memory));
    }
}
