// Waits for many descriptors at once: epoll(7), edge triggered where a caller remembers what is ready, level triggered
// where it does not.
using System.Runtime.InteropServices;
using Lamina.Host.Interop;

namespace Lamina.Host.Net;

/// <summary>What came of a descriptor.</summary>
/// <param name="Token">What it was added with.</param>
/// <param name="Readable">Bytes, a connection, the end or an error can be read.</param>
/// <param name="Writable">Bytes can be written, or a connect has ended.</param>
/// <param name="Failed">It is broken or hung up.</param>
public readonly record struct DescriptorEvent(ulong Token, bool Readable, bool Writable, bool Failed);

/// <summary>A set of descriptors to wait for. One thread waits; any thread adds and removes.</summary>
public sealed unsafe class DescriptorPoll : IDisposable
{
    private const int MostEvents = 64;
    private readonly DescriptorEvent[] _events = new DescriptorEvent[MostEvents];
    private int _descriptor;

    /// <summary>Makes an empty set.</summary>
    /// <exception cref="HostException">The process has no descriptor left.</exception>
    public DescriptorPoll()
    {
        _descriptor = Libc.epoll_create1(Libc.EPOLL_CLOEXEC);
        if (_descriptor < 0) throw HostException.FromErrno("cannot create a descriptor to wait with; raise the limit on open files (ulimit -n)");
    }

    /// <summary>Adds a descriptor to wait for reading; closing it removes it.</summary>
    public bool AddReadable(int descriptor, ulong token) => Add(descriptor, token, Libc.EPOLLIN);

    /// <summary>Adds a descriptor to be told of once whenever it becomes readable or writable; closing it removes it.</summary>
    public bool AddEdges(int descriptor, ulong token) => Add(descriptor, token, Libc.EPOLLIN | Libc.EPOLLOUT | Libc.EPOLLRDHUP | Libc.EPOLLET);

    /// <summary>Waits.</summary>
    /// <param name="timeoutMilliseconds">How long; -1 without end.</param>
    /// <returns>What happened, valid until the next wait; empty when the time is up, and now and then before.</returns>
    public ReadOnlySpan<DescriptorEvent> Wait(int timeoutMilliseconds)
    {
        var events = stackalloc Libc.EpollEvent[MostEvents];
        var count = Libc.epoll_wait(_descriptor, events, MostEvents, timeoutMilliseconds);
        for (var i = 0; i < count; i++)
        {
            var what = events[i].events;
            var failed = (what & (Libc.EPOLLERR | Libc.EPOLLHUP)) != 0;
            _events[i] = new DescriptorEvent(events[i].data, failed || (what & (Libc.EPOLLIN | Libc.EPOLLRDHUP)) != 0, failed || (what & Libc.EPOLLOUT) != 0, failed);
        }
        return _events.AsSpan(0, Math.Max(count, 0));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        var descriptor = Interlocked.Exchange(ref _descriptor, -1);
        if (descriptor >= 0) _ = Libc.close(descriptor);
    }

    private bool Add(int descriptor, ulong token, uint events)
    {
        var wanted = new Libc.EpollEvent { events = events, data = token };
        return Libc.epoll_ctl(_descriptor, Libc.EPOLL_CTL_ADD, descriptor, &wanted) == 0;
    }
}
