// Two ends of a stream of bytes between this process and one that it starts: unix(7), SOCK_STREAM.
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Lamina.Host.Interop;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Host.Io;

/// <summary>Pairs of sockets.</summary>
public static unsafe class SocketPair
{
    /// <summary>Makes one.</summary>
    /// <returns>One end, and the descriptor of the other, which is closed when a program is executed.</returns>
    /// <exception cref="HostException">The host refuses.</exception>
    public static (NetworkStream Own, SafeFileHandle Other) Make()
    {
        var ends = stackalloc int[2];
        if (Libc.socketpair(Libc.AF_UNIX, Libc.SOCK_STREAM | Libc.SOCK_CLOEXEC, 0, ends) != 0) throw HostException.FromErrno("cannot make a pair of sockets");
        return (Open(new SafeFileHandle(ends[0], ownsHandle: true)), new SafeFileHandle(ends[1], ownsHandle: true));
    }

    /// <summary>The stream of an end that there is.</summary>
    /// <param name="end">Its descriptor, which is the stream's from now on.</param>
    public static NetworkStream Open(SafeFileHandle end)
    {
        ArgumentNullException.ThrowIfNull(end);
        var socket = new SafeSocketHandle(end.DangerousGetHandle(), ownsHandle: true);
        end.SetHandleAsInvalid();
        return new NetworkStream(new Socket(socket), ownsSocket: true);
    }
}
