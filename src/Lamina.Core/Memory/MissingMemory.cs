// RAM of which a part is elsewhere yet, while the guest runs already: what touches it waits until it has come. CPUs, and the kernel for them, are held up by the host
// (PageFaults). What this program's own code touches is looked at here before it is: a thread that stood still in the midst of managed code would keep the garbage collector from
// its work, and with it whoever is to bring the page. Nothing here knows where pages come from: who does takes wishes, puts pages in, or says that none will come.
// While this lasts no page of RAM is given back to the host, so that one that is there stays there.
using System.Collections.Immutable;
using System.Diagnostics;
using System.Threading.Channels;
using Lamina.Host;

namespace Lamina.Core.Memory;

/// <summary>What is missing of a guest's RAM.</summary>
public sealed class MissingMemory : IDisposable
{
    private const ulong Page = HostReservation.PageSize;

    // Not seen to be there; elsewhere; wished for; to come, though it may not be wanted any more.
    [Flags]
    private enum PageState : byte
    {
        There = 0,
        Unknown = 1,
        Missing = 2,
        Wished = 4,
        Due = 8,
    }

    private readonly object _gate = new();
    private readonly HostReservation _memory;
    private readonly PageFaults _faults;
    private readonly ImmutableArray<MemoryRange> _ranges;
    private readonly PageState[] _pages;
    private readonly Channel<ulong> _wishes = Channel.CreateUnbounded<ulong>();
    private readonly Queue<(ulong Address, long Since)> _waits = [];
    private Thread? _thread;
    private ulong _markedTo;
    private long _due, _wished;
    private bool _registered, _disposed;
    private volatile bool _isLost;

    internal MissingMemory(HostReservation memory, PageFaults faults, IReadOnlyList<MemoryRange> ranges)
    {
        (_memory, _faults, _ranges) = (memory, faults, [.. ranges]);
        _pages = new PageState[_ranges.Sum(range => (long)(range.Length / Page))];
        Array.Fill(_pages, PageState.Unknown);
        _registered = true;
        try
        {
            // Before any page goes: what the host would make of a hole in a huge page is not what belongs there.
            foreach (var range in _ranges) _faults.Register(_memory, range.Start, range.Length);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>How many pages are to come yet.</summary>
    public long Left
    {
        get
        {
            lock (_gate) return _due;
        }
    }

    /// <summary>How many were wished for, since somebody waited for them.</summary>
    public long Wished
    {
        get
        {
            lock (_gate) return _wished;
        }
    }

    /// <summary>Addresses of pages that somebody waits for, each once.</summary>
    public ChannelReader<ulong> Wishes => _wishes.Reader;

    /// <summary>Whether no more will come.</summary>
    public bool IsLost => _isLost;

    /// <summary>Says of pages that they are elsewhere; before <see cref="Serve"/>. False, with nothing done, where they are not RAM, or do not lie behind those of the last time.</summary>
    /// <exception cref="HostException">The host keeps pages that are there.</exception>
    public bool TryMark(ulong address, ulong length)
    {
        if (length == 0 || (address | length) % Page != 0 || address < _markedTo || !TryFind(address, length, out var first)) return false;
        _memory.Discard(address, length);
        lock (_gate)
        {
            _markedTo = address + length;
            _pages.AsSpan(first, (int)(length / Page)).Fill(PageState.Unknown | PageState.Missing | PageState.Due);
            _due += (long)(length / Page);
        }
        return true;
    }

    /// <summary>From here on touches are served.</summary>
    public void Serve()
    {
        _thread = new Thread(Run) { IsBackground = true, Name = "missing pages" };
        _thread.Start();
    }

    /// <summary>Puts pages in their places that come. False, with nothing done, where one is not to come.</summary>
    /// <param name="address">Where the first one lies.</param>
    /// <param name="length">Their length in bytes.</param>
    /// <param name="content">What they hold; empty for zeros.</param>
    /// <exception cref="HostException">The host has no memory for them.</exception>
    public bool TryPut(ulong address, ulong length, ReadOnlySpan<byte> content)
    {
        if (length == 0 || (address | length) % Page != 0 || !TryFind(address, length, out var first)) return false;
        lock (_gate)
        {
            var pages = _pages.AsSpan(first, (int)(length / Page));
            foreach (var page in pages)
                if (!page.HasFlag(PageState.Due)) return false;
            if (_disposed || !_registered) return true;
            for (var i = 0; i < pages.Length;)
            {
                var isWanted = pages[i].HasFlag(PageState.Missing);
                var count = 1;
                while (i + count < pages.Length && pages[i + count].HasFlag(PageState.Missing) == isWanted) count++;
                var (at, bytes) = ((ulong)i * Page, (ulong)count * Page);
                if (isWanted && content.IsEmpty) _faults.PutZero(_memory, address + at, bytes);
                else if (isWanted) _faults.Put(_memory, address + at, content.Slice((int)at, (int)bytes));
                // One that the guest has given back meanwhile is zero.
                foreach (ref var page in pages.Slice(i, count)) page = isWanted ? PageState.There : page & PageState.Unknown;
                i += count;
            }
            _due -= pages.Length;
            Monitor.PulseAll(_gate);
        }
        return true;
    }

    /// <summary>How long ago somebody began to wait for the page that is waited for longest; zero where nobody does.</summary>
    public TimeSpan LongestWait()
    {
        lock (_gate)
        {
            while (_waits.TryPeek(out var first))
            {
                if (TryFind(first.Address, Page, out var page) && _pages[page].HasFlag(PageState.Missing)) return Stopwatch.GetElapsedTime(first.Since);
                _waits.Dequeue();
            }
            return TimeSpan.Zero;
        }
    }

    /// <summary>No more come. Nobody who looks before waits any more, nor may touch RAM; who is held up by the host is until <see cref="End"/>.</summary>
    public void Lose()
    {
        lock (_gate)
        {
            _isLost = true;
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>Holds nobody up any more: all is there, or the guest will run no further. What is missing then is zero.</summary>
    public void End()
    {
        lock (_gate)
        {
            if (_disposed || !_registered) return;
            _registered = false;
            foreach (var range in _ranges) _faults.Unregister(_memory, range.Start, range.Length);
            Monitor.PulseAll(_gate);
        }
        _wishes.Writer.TryComplete();
        _faults.End();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        End();
        lock (_gate)
        {
            if (_disposed) return;
            _disposed = true;
        }
        _thread?.Join();
        _faults.Dispose();
    }

    /// <summary>Waits until a part is there. What is not RAM of it is.</summary>
    /// <returns>False: it will not be.</returns>
    internal bool Require(ulong address, ulong length)
    {
        if (_isLost) return false;
        if (length == 0) return true;
        for (var page = address & ~(Page - 1); page < address + length; page += Page)
            if (TryFind(page, Page, out var index) && _pages[index] != PageState.There && !WaitFor(page, index)) return false;
        return !_isLost;
    }

    /// <summary>Whole pages of RAM become zero. What is missing of them is no more, and what is there stays there.</summary>
    internal void Zero(ulong address, ulong length)
    {
        for (var page = address; page < address + length; page += Page)
        {
            if (!TryFind(page, Page, out var index)) continue;
            lock (_gate)
            {
                // It is to come yet, and is not wanted then.
                var wasMissing = _pages[index].HasFlag(PageState.Missing);
                if (wasMissing) _pages[index] = PageState.Unknown | PageState.Due;
                if (!TrySettle(page, index)) return;
                if (wasMissing)
                {
                    Monitor.PulseAll(_gate);
                    continue;
                }
            }
            // Of the host's one page of zeros no other is made.
            var bytes = _memory.Slice(page, (int)Page);
            if (bytes.ContainsAnyExcept((byte)0)) bytes.Clear();
        }
    }

    private bool WaitFor(ulong page, int index)
    {
        lock (_gate)
        {
            if (!TryWant(page, index)) return false;
            while (_pages[index].HasFlag(PageState.Missing) && _registered && !_isLost) Monitor.Wait(_gate);
            return !_isLost;
        }
    }

    // With the gate: it is there afterwards, or wished for.
    private bool TryWant(ulong page, int index)
    {
        var state = _pages[index];
        if (!state.HasFlag(PageState.Missing)) return TrySettle(page, index);
        if (state.HasFlag(PageState.Wished)) return true;
        _pages[index] = state | PageState.Wished;
        _wished++;
        _waits.Enqueue((page, Stopwatch.GetTimestamp()));
        _ = _wishes.Writer.TryWrite(page);
        return true;
    }

    // With the gate: a page that is nowhere else is there, as it is or zero.
    private bool TrySettle(ulong page, int index)
    {
        try
        {
            if (_pages[index].HasFlag(PageState.Unknown) && _registered) _faults.PutZero(_memory, page, Page);
        }
        catch (HostException refused)
        {
            // Whoever follows the wishes says what becomes of it.
            _wishes.Writer.TryComplete(refused);
            return false;
        }
        _pages[index] &= ~PageState.Unknown;
        return true;
    }

    private void Run()
    {
        Span<ulong> touched = stackalloc ulong[16];
        while (_faults.Wait(_memory, touched) is var count and > 0)
        {
            foreach (var address in touched[..count])
            {
                var page = address & ~(Page - 1);
                if (!TryFind(page, Page, out var index)) continue;
                lock (_gate)
                {
                    if (!_registered) return;
                    if (!TryWant(page, index)) return;
                    // It may have come since.
                    if (!_pages[index].HasFlag(PageState.Missing)) _faults.Wake(_memory, page, Page);
                }
            }
        }
    }

    private bool TryFind(ulong address, ulong length, out int index)
    {
        ulong before = 0;
        foreach (ref readonly var range in _ranges.AsSpan())
        {
            if (range.Contains(address, length))
            {
                index = (int)((before + address - range.Start) / Page);
                return true;
            }
            before += range.Length;
        }
        index = 0;
        return false;
    }
}
