// Serial ports and consoles, and where they lead: a closed set of values. Opening one is the machine's work.
namespace Lamina.Definition;

/// <summary>What becomes of a console's output that its reader does not take, when more waits than is kept for it.</summary>
public enum WhenFull
{
    /// <summary>The guest's transmitter is held back until the reader takes more.</summary>
    Hold,

    /// <summary>It is dropped, and at the end it is said how much.</summary>
    Drop,
}

/// <summary>What the guest sees of the end of a console's input.</summary>
public enum AtEnd
{
    /// <summary>Nothing: no more comes.</summary>
    Nothing,

    /// <summary>Ctrl-D, by which a terminal tells of it.</summary>
    Eot,
}

/// <summary>Where a serial port or console reads and writes.</summary>
public abstract record ConsoleTarget
{
    private ConsoleTarget()
    {
    }

    /// <summary>What becomes of output that its reader does not take.</summary>
    public WhenFull WhenFull { get; init; }

    /// <summary>What the guest sees where input ends.</summary>
    public AtEnd AtEnd { get; init; }

    /// <summary>The process's standard input and output; a terminal is used raw while the machine runs.</summary>
    public sealed record Stdio : ConsoleTarget;

    /// <summary>Nowhere: output is dropped, input never comes.</summary>
    public sealed record Null : ConsoleTarget;

    /// <summary>The memory of the program that runs the machine, which reads and writes it there.</summary>
    /// <param name="Capacity">How many of the last bytes of output are kept.</param>
    public sealed record Memory(int Capacity = Memory.UsualCapacity) : ConsoleTarget
    {
        /// <summary>What is kept where nothing is said.</summary>
        public const int UsualCapacity = 16 << 20;
    }

    /// <summary>Output goes to a file, which is created or emptied; there is no input.</summary>
    public sealed record File(string Path) : ConsoleTarget;

    /// <summary>A Unix socket that is listened on; one client at a time.</summary>
    public sealed record Unix(string Path) : ConsoleTarget;

    /// <summary>A channel that the program which runs the machine gives it under the device's name.</summary>
    public sealed record Own : ConsoleTarget;

    /// <summary>Reads <c>stdio</c>, <c>null</c>, <c>file:PATH</c> or <c>unix:PATH</c>; an equals sign does as well as the colon.</summary>
    /// <exception cref="MachineException">The text is none of these.</exception>
    public static ConsoleTarget Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var end = text.AsSpan().IndexOfAny(':', '=');
        var (kind, path) = end < 0 ? (text, null) : (text[..end], text[(end + 1)..]);
        return (kind, path) switch
        {
            ("stdio", null) => new Stdio(),
            ("null", null) => new Null(),
            ("memory", null) => new Memory(),
            ("own", null) => new Own(),
            ("file", not (null or "")) => new File(path),
            ("unix", not (null or "")) => new Unix(path),
            _ => throw new MachineException($"\"{text}\" is no serial target; use stdio, null, file:PATH or unix:PATH"),
        };
    }

    /// <summary>The text that <see cref="Parse"/> reads.</summary>
    public sealed override string ToString() => this switch
    {
        Stdio => "stdio",
        Null => "null",
        Memory => "memory",
        Own => "own",
        File file => $"file:{file.Path}",
        Unix unix => $"unix:{unix.Path}",
        _ => "",
    };

    /// <summary>The properties of whatever has a target.</summary>
    internal static IReadOnlyList<Property<T>> Properties<T>(Func<T, ConsoleTarget> get, Func<T, ConsoleTarget, T> set) =>
    [
        new("to", ValueKind.Text, "stdio|null|file:PATH|unix:PATH", "where it leads: this terminal, nowhere, a file, or a socket to listen on")
        {
            Read = (it, text) => set(it, Parse(text ?? "") with { WhenFull = get(it).WhenFull, AtEnd = get(it).AtEnd }),
            Write = it => [get(it).ToString()],
        },
        Property.Choice<T, WhenFull>("when-full", "what becomes of output that its reader does not take: the guest waits, or it is dropped; hold by default", [("hold", WhenFull.Hold), ("drop", WhenFull.Drop)],
            it => get(it).WhenFull is WhenFull.Hold ? null : get(it).WhenFull, (it, rule) => set(it, get(it) with { WhenFull = rule })) with { AppliesTo = it => get(it) is Stdio or File or Unix },
        Property.Choice<T, AtEnd>("at-end", "what the guest sees where input ends: nothing, or Ctrl-D (EOT) as one types it at a terminal; nothing by default", [("nothing", AtEnd.Nothing), ("eot", AtEnd.Eot)],
            it => get(it).AtEnd is AtEnd.Nothing ? null : get(it).AtEnd, (it, end) => set(it, get(it) with { AtEnd = end })) with { AppliesTo = it => get(it) is Stdio },
        Property.Number<T>("capacity", "how many of the last bytes are kept in memory", (1, int.MaxValue), it => get(it) is Memory { Capacity: not Memory.UsualCapacity and var capacity } ? capacity : null,
            (it, capacity) => set(it, new Memory((int)capacity))) with { AppliesTo = it => get(it) is Memory },
    ];

    /// <summary>The same target with its path changed.</summary>
    internal ConsoleTarget MapPath(Func<string, string> map) => this switch
    {
        File file => file with { Path = map(file.Path) },
        Unix unix => unix with { Path = map(unix.Path) },
        _ => this,
    };
}

/// <summary>The first serial port (COM1, ttyS0). Every machine has one; where nothing is said it is kept in memory.</summary>
public sealed record SerialDevice : DeviceDefinition
{
    /// <summary>Where it leads.</summary>
    public ConsoleTarget To { get; init; } = new ConsoleTarget.Memory();

    /// <summary>What there is to say.</summary>
    public static Shape<SerialDevice> Shape { get; } = new("a serial port",
        [NameProperty<SerialDevice>(), .. ConsoleTarget.Properties<SerialDevice>(serial => serial.To, (serial, to) => serial with { To = to })]);

    /// <summary>Reads <c>TARGET[,OPTION…]</c>.</summary>
    /// <exception cref="MachineException">The text is no serial port.</exception>
    public static SerialDevice Parse(string text) => Words.Read(Shape, "to", new SerialDevice(), text);
}

/// <summary>The virtio console (hvc0). Every machine has one; where nothing is said it leads nowhere.</summary>
public sealed record ConsoleDevice : DeviceDefinition
{
    /// <summary>Where it leads.</summary>
    public ConsoleTarget To { get; init; } = new ConsoleTarget.Null();

    /// <summary>What there is to say.</summary>
    public static Shape<ConsoleDevice> Shape { get; } = new("a console",
        [NameProperty<ConsoleDevice>(), .. ConsoleTarget.Properties<ConsoleDevice>(console => console.To, (console, to) => console with { To = to })]);
}
