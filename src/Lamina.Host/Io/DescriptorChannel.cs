// A connection between two processes of this host that carries messages and open files: a pair of sockets, unix(7), SOCK_SEQPACKET, or one
// message over a stream of bytes. Whoever receives them looks at what they are: the other side may send any file that it has.
using System.Runtime.InteropServices;
using Lamina.Host.Interop;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Host.Io;

/// <summary>What came over a channel.</summary>
/// <param name="Bytes">The message.</param>
/// <param name="Files">The open files that came with it; the receiver's to close.</param>
public sealed record ChannelMessage(byte[] Bytes, IReadOnlyList<SafeFileHandle> Files) : IDisposable
{
    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var file in Files) file.Dispose();
    }
}

/// <summary>One end of such a connection. One thread sends and one receives.</summary>
public sealed unsafe class DescriptorChannel : IDisposable
{
    /// <summary>The longest message in bytes.</summary>
    public const int LongestMessage = 64 * 1024;

    /// <summary>The most files that go with one. SCM_MAX_FD.</summary>
    public const int MostFiles = 253;

    private readonly SafeFileHandle _socket;

    /// <summary>An end that there is.</summary>
    /// <param name="socket">Its descriptor, which is this one's from now on.</param>
    public DescriptorChannel(SafeFileHandle socket) => _socket = socket;

    /// <summary>Makes a connection.</summary>
    /// <returns>One end, and the descriptor of the other, which is closed when a program is executed.</returns>
    /// <exception cref="HostException">The host refuses.</exception>
    public static (DescriptorChannel Own, SafeFileHandle Other) Make()
    {
        var ends = stackalloc int[2];
        if (Libc.socketpair(Libc.AF_UNIX, Libc.SOCK_SEQPACKET | Libc.SOCK_CLOEXEC, 0, ends) != 0) throw HostException.FromErrno("cannot make a pair of sockets");
        return (new DescriptorChannel(new SafeFileHandle(ends[0], ownsHandle: true)), new SafeFileHandle(ends[1], ownsHandle: true));
    }

    /// <summary>Whether there is a message, or the other end is gone.</summary>
    public bool HasSomething => HostIo.Wait(((int)_socket.DangerousGetHandle(), HostPoll.Readable), (-1, HostPoll.None), 0).First != HostPoll.None;

    /// <summary>Sends a message.</summary>
    /// <param name="bytes">It, of at least one byte.</param>
    /// <param name="files">Open files that go with it; the sender keeps its own.</param>
    /// <exception cref="HostException">The other end is gone, or takes no more.</exception>
    public void Send(ReadOnlySpan<byte> bytes, params ReadOnlySpan<SafeHandle> files) => Send(_socket, bytes, files);

    /// <summary>The same over the descriptor of any socket of a kind that carries files.</summary>
    public static void Send(SafeHandle socket, ReadOnlySpan<byte> bytes, params ReadOnlySpan<SafeHandle> files)
    {
        ArgumentNullException.ThrowIfNull(socket);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(files.Length, MostFiles);
        var room = stackalloc byte[ControlLength(MostFiles)];
        fixed (byte* first = bytes)
        {
            var vector = new Libc.IoVec { Base = first, Length = (nuint)bytes.Length };
            var message = new Libc.MsgHdr { Vectors = &vector, VectorCount = 1 };
            if (files.Length > 0)
            {
                var head = (Libc.CMsgHdr*)room;
                *head = new Libc.CMsgHdr { Length = (nuint)(sizeof(Libc.CMsgHdr) + files.Length * sizeof(int)), Level = Libc.SOL_SOCKET, Type = Libc.SCM_RIGHTS };
                for (var i = 0; i < files.Length; i++) ((int*)(head + 1))[i] = (int)files[i].DangerousGetHandle();
                message.Control = room;
                message.ControlLength = (nuint)ControlLength(files.Length);
            }
            nint sent;
            do sent = Libc.sendmsg((int)socket.DangerousGetHandle(), &message, Libc.MSG_NOSIGNAL);
            while (sent < 0 && Marshal.GetLastPInvokeError() == Libc.EINTR);
            if (sent != bytes.Length) throw HostException.FromErrno("another process takes no message");
        }
        GC.KeepAlive(socket);
    }

    /// <summary>Waits for a message.</summary>
    /// <param name="timeoutMilliseconds">How long; -1 without end.</param>
    /// <returns>It; null where the other end is gone, or the time is up.</returns>
    /// <exception cref="HostException">What came is longer than a message is.</exception>
    public ChannelMessage? Receive(int timeoutMilliseconds = -1) => Receive(_socket, timeoutMilliseconds);

    /// <summary>The same over the descriptor of any socket of a kind that carries files.</summary>
    public static ChannelMessage? Receive(SafeHandle socket, int timeoutMilliseconds = -1)
    {
        ArgumentNullException.ThrowIfNull(socket);
        var descriptor = (int)socket.DangerousGetHandle();
        var until = timeoutMilliseconds < 0 ? long.MaxValue : Environment.TickCount64 + timeoutMilliseconds;
        var bytes = new byte[LongestMessage];
        var room = stackalloc byte[ControlLength(MostFiles)];
        while (true)
        {
            // Nothing at all: a signal, or the time is up.
            var left = until == long.MaxValue ? -1 : (int)Math.Max(0, until - Environment.TickCount64);
            if (HostIo.Wait((descriptor, HostPoll.Readable), (-1, HostPoll.None), left).First == HostPoll.None)
            {
                if (left == 0) return null;
                continue;
            }
            fixed (byte* first = bytes)
            {
                var vector = new Libc.IoVec { Base = first, Length = LongestMessage };
                var message = new Libc.MsgHdr { Vectors = &vector, VectorCount = 1, Control = room, ControlLength = (nuint)ControlLength(MostFiles) };
                var count = Libc.recvmsg(descriptor, &message, Libc.MSG_CMSG_CLOEXEC | Libc.MSG_DONTWAIT);
                if (count < 0 && Marshal.GetLastPInvokeError() is Libc.EINTR or Libc.EAGAIN) continue;
                if (count <= 0) return null;
                var files = Files(in message);
                if ((message.Flags & (Libc.MSG_TRUNC | Libc.MSG_CTRUNC)) == 0) return new ChannelMessage(bytes[..(int)count], files);
                foreach (var file in files) file.Dispose();
                throw new HostException("another process says more than any message has");
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _socket.Dispose();

    private static List<SafeFileHandle> Files(in Libc.MsgHdr message)
    {
        List<SafeFileHandle> files = [];
        var head = (Libc.CMsgHdr*)message.Control;
        if (message.ControlLength < (nuint)sizeof(Libc.CMsgHdr) || head->Level != Libc.SOL_SOCKET || head->Type != Libc.SCM_RIGHTS) return files;
        var count = (int)(Math.Min(head->Length, message.ControlLength) - (nuint)sizeof(Libc.CMsgHdr)) / sizeof(int);
        for (var i = 0; i < count; i++) files.Add(new SafeFileHandle(((int*)(head + 1))[i], ownsHandle: true));
        return files;
    }

    // CMSG_SPACE(3).
    private static int ControlLength(int files) => sizeof(Libc.CMsgHdr) + (files * sizeof(int) + sizeof(nint) - 1) / sizeof(nint) * sizeof(nint);
}
