// A bounded ring of output between a guest and a slow host. When it is full, the guest waits for the reader, which paces
// a guest that prints faster than its terminal shows; but a reader that takes nothing for a while is held to be stopped,
// and from then on what does not fit is dropped without waiting, until the reader moves again. So a slow reader loses
// nothing and a stopped one stalls nobody for long. Alternatively the oldest bytes give way and nobody waits at all.
namespace Lamina.Backends.Char;

/// <summary>What a full queue does with more output.</summary>
internal enum WhenFull
{
    /// <summary>The writer waits while the reader makes progress; then new bytes are dropped.</summary>
    Wait,

    /// <summary>The oldest bytes are dropped.</summary>
    DropOldest,

    /// <summary>Everything is dropped, now and later, full or not: there is no reader any more.</summary>
    DropAll,
}

internal sealed class OutputQueue(int capacity, TimeSpan patience)
{
    private readonly object _gate = new();
    private readonly byte[] _ring = new byte[capacity];
    private int _start;
    private int _length;
    private long _taken;
    private bool _stalled;

    // Who sleeps: others are woken only where somebody does, since output often comes byte by byte.
    private bool _readerWaits;
    private int _writersWaiting;
    private bool _closed;
    private WhenFull _whenFull = WhenFull.Wait;

    /// <summary>How many bytes were dropped.</summary>
    internal long Lost { get; private set; }

    /// <summary>How many bytes the reader took; tells whether it still moves.</summary>
    internal long Taken
    {
        get
        {
            lock (_gate) return _taken;
        }
    }

    internal bool IsEmpty
    {
        get
        {
            lock (_gate) return _length == 0;
        }
    }

    /// <summary>Changes what happens when the queue is full; wakes writers that wait by the old rule.</summary>
    internal void SetWhenFull(WhenFull rule)
    {
        lock (_gate)
        {
            _whenFull = rule;
            _stalled = false;
            if (rule == WhenFull.DropAll)
            {
                Lost += _length;
                _length = 0;
            }
            Monitor.PulseAll(_gate);
        }
    }

    /// <summary>Puts bytes at the end. Any thread; writers that come at once may be interleaved.</summary>
    /// <returns>Whether some of them met an empty queue, so that a reader who found it empty has to be told.</returns>
    internal bool Write(ReadOnlySpan<byte> data)
    {
        lock (_gate)
        {
            var metEmpty = false;
            if (_closed || _whenFull == WhenFull.DropAll)
            {
                Lost += data.Length;
                return false;
            }
            while (!data.IsEmpty && (_length < capacity || MakeRoom(data.Length)))
            {
                var end = (_start + _length) % capacity;
                var piece = Math.Min(data.Length, Math.Min(capacity - _length, capacity - end));
                data[..piece].CopyTo(_ring.AsSpan(end));
                metEmpty |= _length == 0;
                _length += piece;
                data = data[piece..];
                if (_readerWaits) Monitor.PulseAll(_gate);
            }
            Lost += data.Length;
            return metEmpty;
        }
    }

    /// <summary>Takes bytes from the front, waiting for some.</summary>
    /// <returns>How many; 0 where the queue is closed and empty.</returns>
    internal int Take(Span<byte> destination)
    {
        lock (_gate)
        {
            _readerWaits = true;
            while (_length == 0 && !_closed) Monitor.Wait(_gate);
            _readerWaits = false;
            return TakeNow(destination);
        }
    }

    /// <summary>Takes bytes from the front without waiting.</summary>
    internal int TryTake(Span<byte> destination)
    {
        lock (_gate) return TakeNow(destination);
    }

    /// <summary>Puts taken bytes back to the front; those that have no place there any more are dropped.</summary>
    internal void PutBack(ReadOnlySpan<byte> data)
    {
        lock (_gate)
        {
            var fits = Math.Min(data.Length, capacity - _length);
            Lost += data.Length - fits;
            data = data[^fits..];
            _start = (_start + capacity - fits) % capacity;
            _length += fits;
            for (var i = 0; i < fits; i++) _ring[(_start + i) % capacity] = data[i];
        }
    }

    /// <summary>Says that nothing more is written; the reader takes what is left and then sees the end.</summary>
    internal void Close()
    {
        lock (_gate)
        {
            _closed = true;
            Monitor.PulseAll(_gate);
        }
    }

    private int TakeNow(Span<byte> destination)
    {
        var count = Math.Min(destination.Length, _length);
        var first = Math.Min(count, capacity - _start);
        _ring.AsSpan(_start, first).CopyTo(destination);
        _ring.AsSpan(0, count - first).CopyTo(destination[first..]);
        _start = (_start + count) % capacity;
        _length -= count;
        _taken += count;
        _stalled &= count == 0;
        if (_writersWaiting != 0) Monitor.PulseAll(_gate);
        return count;
    }

    // Called with the queue full. False: the rest of the output is dropped.
    private bool MakeRoom(int wanted)
    {
        while (_length == capacity && !_stalled && !_closed && _whenFull == WhenFull.Wait)
        {
            var taken = _taken;
            _writersWaiting++;
            var inTime = Monitor.Wait(_gate, patience);
            _writersWaiting--;
            if (!inTime && taken == _taken) _stalled = true;
        }
        if (_length < capacity) return _whenFull != WhenFull.DropAll;
        if (_whenFull != WhenFull.DropOldest) return false;
        var dropped = Math.Min(wanted, capacity);
        _start = (_start + dropped) % capacity;
        _length -= dropped;
        Lost += dropped;
        return true;
    }
}
