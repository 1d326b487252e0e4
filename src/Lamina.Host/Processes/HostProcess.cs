// What a process does about itself: leaves the terminal and the session that it was started in, and gives its standard streams away.
using Lamina.Host.Interop;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Host.Processes;

/// <summary>This process.</summary>
public static class HostProcess
{
    private const int SigKill = 9;

    /// <summary>Whether it is root's.</summary>
    public static bool IsRoot => Libc.geteuid() == 0;

    /// <summary>Leaves the terminal and the session of whoever started it: no key and no closed terminal reaches it any more. setsid(2).</summary>
    public static void Detach() => _ = Libc.setsid();

    /// <summary>What this process has as its standard input, which leads to nothing from then on.</summary>
    /// <exception cref="HostException">There is none.</exception>
    public static SafeFileHandle TakeStandardInput()
    {
        var moved = Libc.fcntl(0, Libc.F_DUPFD_CLOEXEC, 3);
        if (moved < 0) throw HostException.FromErrno("there is no standard input");
        var nothing = Libc.open("/dev/null", Libc.O_RDONLY | Libc.O_CLOEXEC, 0);
        if (nothing >= 0)
        {
            _ = Libc.dup2(nothing, 0);
            _ = Libc.close(nothing);
        }
        return new SafeFileHandle(moved, ownsHandle: true);
    }

    /// <summary>Ends a process at once. Nothing happens where there is none of that number, or it is another user's. kill(2), SIGKILL.</summary>
    public static void Kill(int process)
    {
        // 0 and below are groups of processes.
        if (process > 1) _ = Libc.kill(process, SigKill);
    }

    /// <summary>Lets standard input and output lead to nothing, and standard error to a file, so that whoever reads the other ends sees them end.</summary>
    /// <param name="errors">The file; it is appended to. What cannot be written to it leads to nothing.</param>
    public static void LeaveStandardStreams(string errors)
    {
        var nothing = Libc.open("/dev/null", Libc.O_RDWR | Libc.O_CLOEXEC, 0);
        if (nothing < 0) return;
        var file = Libc.open(errors, Libc.O_WRONLY | Libc.O_APPEND | Libc.O_CLOEXEC, 0);
        _ = Libc.dup2(nothing, 0);
        _ = Libc.dup2(nothing, 1);
        _ = Libc.dup2(file < 0 ? nothing : file, 2);
        _ = Libc.close(nothing);
        if (file >= 0) _ = Libc.close(file);
    }
}
