// Where a console of a machine goes: a closed set of values. Opening one is the builder's work.
using Lamina.Core.Char;

namespace Lamina;

/// <summary>Where a serial port or console reads and writes.</summary>
public abstract record SerialTarget
{
    private SerialTarget()
    {
    }

    /// <summary>The process's standard input and output; a terminal is used raw while the machine runs.</summary>
    public sealed record Stdio : SerialTarget;

    /// <summary>Nowhere: output is dropped, input never comes.</summary>
    public sealed record Null : SerialTarget;

    /// <summary>The program's memory: read and write it with <see cref="Machine.Serial"/>.</summary>
    /// <param name="Capacity">How many of the last bytes of output are kept.</param>
    public sealed record Memory(int Capacity = 16 << 20) : SerialTarget;

    /// <summary>Output goes to a file, which is created or emptied; there is no input.</summary>
    public sealed record File(string Path) : SerialTarget;

    /// <summary>A Unix socket that is listened on; one client at a time.</summary>
    public sealed record Unix(string Path) : SerialTarget;

    /// <summary>A channel of the caller's own. The machine attaches to it and disposes it.</summary>
    public sealed record Backend(ICharBackend Channel) : SerialTarget;

    /// <summary>Reads <c>stdio</c>, <c>null</c>, <c>file:PATH</c> or <c>unix:PATH</c>.</summary>
    /// <exception cref="MachineException">The text is none of these.</exception>
    public static SerialTarget Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var colon = text.IndexOf(':', StringComparison.Ordinal);
        var (kind, path) = colon < 0 ? (text, "") : (text[..colon], text[(colon + 1)..]);
        return (kind, path) switch
        {
            ("stdio", "") when colon < 0 => new Stdio(),
            ("null", "") when colon < 0 => new Null(),
            ("file", not "") => new File(path),
            ("unix", not "") => new Unix(path),
            _ => throw new MachineException($"\"{text}\" is no serial target; use stdio, null, file:PATH or unix:PATH"),
        };
    }
}
