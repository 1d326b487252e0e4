// Which pages of guest memory were written, by CPUs and by devices, for as many as want to know it: who copies a running machine,
// who shows a frame buffer. Devices' writes come through GuestMemory, CPUs' from the engines, which take the trouble only while
// somebody reads, and only where. A page may be told of that was not written; none that was is left out.
using System.Collections.Immutable;
using Lamina.Host;

namespace Lamina.Core.Memory;

/// <summary>Finds out where CPUs write: an engine. Called with the memory's gate held, on any thread.</summary>
public interface IWriteTracker
{
    /// <summary>Says where writes are to be found out from now on, nowhere else. What was found before in these ranges is told first.</summary>
    /// <param name="ranges">Whole pages, in no order; they may overlap. Empty: nowhere.</param>
    /// <exception cref="HostException">The host refuses.</exception>
    void Track(ImmutableArray<MemoryRange> ranges);

    /// <summary>Tells the log (<see cref="WriteLog.Mark"/>) of each page that a CPU has written since it was told of it last.</summary>
    /// <exception cref="HostException">The host refuses.</exception>
    void Collect();
}

/// <summary>The log of one guest's memory.</summary>
public sealed class WriteLog
{
    private readonly Lock _gate;
    private readonly ulong _end;
    private ImmutableArray<IWriteTracker> _trackers = [];
    private ImmutableArray<WriteLogReader> _readers = [];

    internal WriteLog(Lock gate, ulong end) => (_gate, _end) = (gate, end);

    /// <summary>Begins to read: no page of the range has been written yet.</summary>
    /// <param name="range">What is of interest: whole pages below the memory's end, whatever lies there now and later.</param>
    /// <exception cref="ArgumentException">These are none.</exception>
    /// <exception cref="HostException">The host refuses.</exception>
    public WriteLogReader Open(MemoryRange range)
    {
        if (range.Length == 0 || (range.Start | range.Length) % HostReservation.PageSize != 0 || !new MemoryRange(0, _end).Contains(range.Start, range.Length))
            throw new ArgumentException($"writes are logged for whole pages below 0x{_end:x}", nameof(range));
        var reader = new WriteLogReader(this, range);
        lock (_gate)
        {
            _readers = _readers.Add(reader);
            try
            {
                Track();
            }
            catch
            {
                _readers = _readers.Remove(reader);
                throw;
            }
        }
        return reader;
    }

    /// <summary>Adds one who finds out where CPUs write.</summary>
    /// <exception cref="HostException">It cannot, and somebody reads.</exception>
    public void Attach(IWriteTracker tracker)
    {
        lock (_gate)
        {
            if (_readers.Length > 0) tracker.Track([.. _readers.Select(reader => reader.Range)]);
            _trackers = _trackers.Add(tracker);
        }
    }

    /// <summary>It is asked no more.</summary>
    public void Detach(IWriteTracker tracker)
    {
        lock (_gate) _trackers = _trackers.Remove(tracker);
    }

    /// <summary>Bytes were written, and all see them. For engines; takes no lock.</summary>
    public void Mark(ulong address, ulong length)
    {
        foreach (var reader in _readers) reader.Mark(address, length);
    }

    internal void Collect(WriteLogReader reader)
    {
        lock (_gate)
        {
            ObjectDisposedException.ThrowIf(!_readers.Contains(reader), reader);
            foreach (var tracker in _trackers) tracker.Collect();
        }
    }

    internal void Close(WriteLogReader reader)
    {
        lock (_gate)
        {
            if (!_readers.Contains(reader)) return;
            _readers = _readers.Remove(reader);
            Track();
        }
    }

    private void Track()
    {
        ImmutableArray<MemoryRange> ranges = [.. _readers.Select(reader => reader.Range)];
        foreach (var tracker in _trackers) tracker.Track(ranges);
    }
}

/// <summary>One who wants to know which pages were written.</summary>
public sealed class WriteLogReader : IDisposable
{
    private const int PageSize = HostReservation.PageSize, WordBits = 64;

    private readonly WriteLog _log;
    private readonly ulong[] _written;

    internal WriteLogReader(WriteLog log, MemoryRange range)
    {
        (_log, Range) = (log, range);
        _written = new ulong[(range.Length / PageSize + WordBits - 1) / WordBits];
    }

    /// <summary>What is of interest.</summary>
    public MemoryRange Range { get; }

    /// <summary>How many words <see cref="Take"/> fills.</summary>
    public int Words => _written.Length;

    /// <summary>
    /// Copies which pages were written since they were last taken, and begins anew: whoever copies a page afterwards has what was written
    /// before, or is told of it the next time. Any thread that holds no lock which a device takes when a CPU accesses it.
    /// </summary>
    /// <param name="bitmap">Bit n of the whole: page n of the range, of 4 KiB. At least <see cref="Words"/>.</param>
    /// <exception cref="HostException">The host does not tell.</exception>
    public void Take(Span<ulong> bitmap)
    {
        if (bitmap.Length < Words) throw new ArgumentException("the bitmap is too short for the range", nameof(bitmap));
        _log.Collect(this);
        for (var n = 0; n < _written.Length; n++) bitmap[n] = Volatile.Read(ref _written[n]) == 0 ? 0 : Interlocked.Exchange(ref _written[n], 0);
    }

    /// <summary>Ends; the last one who reads takes all costs with it.</summary>
    public void Dispose() => _log.Close(this);

    internal void Mark(ulong address, ulong length)
    {
        if (length == 0 || address >= Range.End || address + length <= Range.Start) return;
        var first = (Math.Max(address, Range.Start) - Range.Start) / PageSize;
        var last = (Math.Min(address + length, Range.End) - 1 - Range.Start) / PageSize;
        for (var word = first / WordBits; word <= last / WordBits; word++)
        {
            var mask = ulong.MaxValue;
            if (word == first / WordBits) mask &= ulong.MaxValue << (int)(first % WordBits);
            if (word == last / WordBits) mask &= ulong.MaxValue >> (int)(WordBits - 1 - last % WordBits);
            // Always, though the bit may be set: it may be on the point of being taken, and the bytes were written before it.
            Interlocked.Or(ref _written[word], mask);
        }
    }
}
