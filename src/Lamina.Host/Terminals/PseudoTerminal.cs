// A terminal made by this process: one end looks like a terminal to whoever opens it, the other is ours.
using System.Text;
using Lamina.Host.Interop;

namespace Lamina.Host.Terminals;

/// <summary>A pseudo-terminal pair. pty(7).</summary>
public sealed unsafe class PseudoTerminal : IDisposable
{
    private PseudoTerminal(int controller, int terminal, string path) => (Controller, Descriptor, Path) = (controller, terminal, path);

    /// <summary>Our end: what is written here is typed at the terminal; what is read is its output.</summary>
    public int Controller { get; }

    /// <summary>The terminal's end, kept open so that the pair lives while nobody else has it open.</summary>
    public int Descriptor { get; }

    /// <summary>The path under which others open the terminal.</summary>
    public string Path { get; }

    /// <summary>Makes a pair.</summary>
    /// <exception cref="HostException">The host has none left.</exception>
    public static PseudoTerminal Create()
    {
        const string failure = "cannot create a pseudo-terminal; mount devpts at /dev/pts or raise kernel.pty.max";
        var controller = Libc.posix_openpt(Libc.O_RDWR | Libc.O_NOCTTY | Libc.O_CLOEXEC);
        if (controller < 0) throw HostException.FromErrno(failure);
        var name = stackalloc byte[128];
        string? path = null;
        var terminal = -1;
        if (Libc.grantpt(controller) == 0 && Libc.unlockpt(controller) == 0 && Libc.ptsname_r(controller, name, 128) == 0)
        {
            path = Encoding.UTF8.GetString(System.Runtime.InteropServices.MemoryMarshal.CreateReadOnlySpanFromNullTerminated(name));
            terminal = Libc.open(path, Libc.O_RDWR | Libc.O_NOCTTY | Libc.O_CLOEXEC);
        }
        if (terminal >= 0) return new PseudoTerminal(controller, terminal, path!);
        var exception = HostException.FromErrno(failure);
        _ = Libc.close(controller);
        throw exception;
    }

    /// <summary>Sets the size of the window that the terminal pretends to be.</summary>
    public void Resize(ushort columns, ushort rows)
    {
        var size = new Libc.WinSize { ws_col = columns, ws_row = rows };
        _ = Libc.ioctl(Controller, Libc.TIOCSWINSZ, &size);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _ = Libc.close(Descriptor);
        _ = Libc.close(Controller);
    }
}
