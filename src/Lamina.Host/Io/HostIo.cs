// Plain descriptors for those who must not lose a byte or hang: reads, writes and waits that answer with a value.
// .NET's streams are for files; these are for terminals, pipes and whatever a shell put behind descriptors 0 to 2.
using System.Runtime.InteropServices;
using Lamina.Host.Interop;

namespace Lamina.Host.Io;

/// <summary>What a wait is for, and what came of it.</summary>
[Flags]
public enum HostPoll
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>Bytes can be read, or the end has come.</summary>
    Readable = 1,

    /// <summary>Bytes can be written.</summary>
    Writable = 2,

    /// <summary>The other end is gone, or the descriptor is broken.</summary>
    Closed = 4,
}

/// <summary>Reads, writes and waits on descriptors.</summary>
public static unsafe class HostIo
{
    /// <summary>Standard input, output and error.</summary>
    public const int Input = 0, Output = 1, Error = 2;

    /// <summary>At most this much can be written to a pipe that is writable without blocking. POSIX PIPE_BUF on Linux.</summary>
    public const int AtomicPipeWrite = 4096;

    /// <summary>Whether a descriptor is a terminal.</summary>
    public static bool IsTerminal(int descriptor) => Libc.isatty(descriptor) == 1;

    /// <summary>Reads what is there, waiting where nothing is.</summary>
    /// <returns>The number of bytes; 0 at the end; -1 where reading fails.</returns>
    public static int Read(int descriptor, Span<byte> buffer)
    {
        fixed (byte* start = buffer)
        {
            nint count;
            do count = Libc.read(descriptor, start, (nuint)buffer.Length);
            while (count < 0 && Marshal.GetLastPInvokeError() is Libc.EINTR);
            return (int)count;
        }
    }

    /// <summary>Reads what is there, from a descriptor that does not block.</summary>
    /// <returns>The number of bytes; 0 at the end; -1 where reading fails; null where nothing is there just now.</returns>
    public static int? ReadNow(int descriptor, Span<byte> buffer)
    {
        var count = Read(descriptor, buffer);
        return count < 0 && Marshal.GetLastPInvokeError() is Libc.EAGAIN ? null : count;
    }

    /// <summary>Writes as much as can be written.</summary>
    /// <returns>The number of bytes; 0 where none could be taken just now; -1 where writing fails.</returns>
    public static int Write(int descriptor, ReadOnlySpan<byte> data)
    {
        fixed (byte* start = data)
        {
            nint count;
            do count = Libc.write(descriptor, start, (nuint)data.Length);
            while (count < 0 && Marshal.GetLastPInvokeError() is Libc.EINTR);
            return count < 0 && Marshal.GetLastPInvokeError() is Libc.EAGAIN ? 0 : (int)count;
        }
    }

    /// <summary>Waits for one or two descriptors.</summary>
    /// <param name="first">A descriptor and what to wait for.</param>
    /// <param name="second">Another, or none with a negative descriptor.</param>
    /// <param name="timeoutMilliseconds">How long; -1 without end.</param>
    /// <returns>What came of each; nothing for either when the time is up, and now and then before (a signal).</returns>
    public static (HostPoll First, HostPoll Second) Wait((int Descriptor, HostPoll For) first, (int Descriptor, HostPoll For) second, int timeoutMilliseconds)
    {
        var requests = stackalloc Libc.PollFd[2];
        requests[0] = new Libc.PollFd { fd = first.Descriptor, events = Events(first.For) };
        requests[1] = new Libc.PollFd { fd = second.Descriptor, events = Events(second.For) };
        if (Libc.poll(requests, 2, timeoutMilliseconds) <= 0) return (HostPoll.None, HostPoll.None);
        return (Result(requests[0].revents), Result(requests[1].revents));
    }

    private static short Events(HostPoll wanted) =>
        (short)((wanted.HasFlag(HostPoll.Readable) ? Libc.POLLIN : 0) | (wanted.HasFlag(HostPoll.Writable) ? Libc.POLLOUT : 0));

    private static HostPoll Result(short events) =>
        ((events & Libc.POLLIN) != 0 ? HostPoll.Readable : HostPoll.None)
        | ((events & Libc.POLLOUT) != 0 ? HostPoll.Writable : HostPoll.None)
        | ((events & (Libc.POLLERR | Libc.POLLHUP | Libc.POLLNVAL)) != 0 ? HostPoll.Closed : HostPoll.None);
}

/// <summary>What is woken when a descriptor becomes set, by whoever sets it: the host's kernel can, too.</summary>
public interface IWokenByDescriptor
{
    /// <summary>The descriptor, eventfd(2).</summary>
    int WakeDescriptor { get; }
}

/// <summary>A counter that threads set and wait for together with other descriptors. eventfd(2).</summary>
public sealed unsafe class EventDescriptor : IDisposable
{
    private readonly Lock _gate = new();
    private int _descriptor;

    /// <summary>Creates one that is not set.</summary>
    /// <exception cref="HostException">The process has no descriptor left.</exception>
    public EventDescriptor()
    {
        _descriptor = Libc.eventfd(0, Libc.EFD_CLOEXEC | Libc.EFD_NONBLOCK);
        if (_descriptor < 0) throw HostException.FromErrno("cannot create an event descriptor; raise the limit on open files (ulimit -n)");
    }

    /// <summary>The descriptor, readable while it is set.</summary>
    public int Descriptor => _descriptor;

    /// <summary>Sets it. Any thread, also after <see cref="Dispose"/>.</summary>
    public void Set()
    {
        ulong one = 1;
        lock (_gate)
        {
            if (_descriptor >= 0) _ = Libc.write(_descriptor, (byte*)&one, sizeof(ulong));
        }
    }

    /// <summary>Sleeps until it is set, and clears it. Not to be disposed meanwhile.</summary>
    public void Wait()
    {
        do HostIo.Wait((_descriptor, HostPoll.Readable), (-1, HostPoll.None), -1);
        while (!Clear());
    }

    /// <summary>Clears it. Whether it was set.</summary>
    public bool Clear()
    {
        ulong count;
        return Libc.read(_descriptor, (byte*)&count, sizeof(ulong)) == sizeof(ulong);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_descriptor >= 0) _ = Libc.close(_descriptor);
            _descriptor = -1;
        }
    }
}
