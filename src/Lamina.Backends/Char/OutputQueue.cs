// A bounded ring of output between a guest and its reader. A full one takes no more, which holds the guest back until the reader
// moves; or it drops the newest, or the oldest, or all, and counts what. Writers never wait.
namespace Lamina.Backends.Char;

/// <summary>What a full queue does with more output.</summary>
internal enum WhenFull
{
    /// <summary>It is not taken.</summary>
    Hold,

    /// <summary>It is dropped.</summary>
    DropNewest,

    /// <summary>The oldest bytes are dropped.</summary>
    DropOldest,

    /// <summary>Everything is dropped, now and later, full or not: there is no reader any more.</summary>
    DropAll,
}

/// <param name="capacity">How many bytes it holds.</param>
/// <param name="room">Told, with no lock held and on the thread that made room, that a writer who was refused may write again.</param>
internal sealed class OutputQueue(int capacity, Action? room = null)
{
    private readonly object _gate = new();
    private readonly byte[] _ring = new byte[capacity];
    private int _start;
    private int _length;
    private long _taken;
    private long _lost;

    // Who sleeps: the reader is woken only where it does, since output often comes byte by byte.
    private bool _readerWaits;
    private bool _writerRefused;
    private bool _closed;
    private WhenFull _whenFull = WhenFull.Hold;

    /// <summary>How many bytes were dropped.</summary>
    internal long Lost
    {
        get
        {
            lock (_gate) return _lost;
        }
    }

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

    /// <summary>Changes what happens when the queue is full.</summary>
    internal void SetWhenFull(WhenFull rule)
    {
        lock (_gate)
        {
            _whenFull = rule;
            if (rule == WhenFull.DropAll)
            {
                _lost += _length;
                _length = 0;
            }
        }
        TellOfRoom();
    }

    /// <summary>Counts bytes as dropped that the reader took and could not bring on.</summary>
    internal void Lose(int count)
    {
        lock (_gate) _lost += count;
    }

    /// <summary>Puts bytes at the end. Any thread; writers that come at once may be interleaved.</summary>
    /// <returns>How many were taken, dropped ones among them; less than given only where the queue holds writers back.</returns>
    internal int Write(ReadOnlySpan<byte> data) => Write(data, out _);

    /// <summary>The same, for a reader that does not sleep in <see cref="Take"/>.</summary>
    /// <param name="data">The bytes.</param>
    /// <param name="metEmpty">Whether they met an empty queue, so that a reader who found it empty has to be told.</param>
    internal int Write(ReadOnlySpan<byte> data, out bool metEmpty)
    {
        lock (_gate)
        {
            metEmpty = _length == 0 && !data.IsEmpty;
            if (_closed || _whenFull == WhenFull.DropAll)
            {
                _lost += data.Length;
                return data.Length;
            }
            if (_whenFull == WhenFull.DropOldest) ForgetFor(data.Length);
            // Of more than there is room for under this rule the end stays.
            var from = _whenFull == WhenFull.DropOldest ? Math.Max(0, data.Length - capacity) : 0;
            var fits = data.Slice(from, Math.Min(data.Length - from, capacity - _length));
            var end = (_start + _length) % capacity;
            var first = Math.Min(fits.Length, capacity - end);
            fits[..first].CopyTo(_ring.AsSpan(end));
            fits[first..].CopyTo(_ring);
            _length += fits.Length;
            if (_readerWaits && _length != 0) Monitor.PulseAll(_gate);
            _lost += _whenFull == WhenFull.Hold ? 0 : data.Length - fits.Length;
            if (_whenFull != WhenFull.Hold) return data.Length;
            _writerRefused |= fits.Length < data.Length;
            return fits.Length;
        }
    }

    /// <summary>Takes bytes from the front, waiting for some.</summary>
    /// <returns>How many; 0 where the queue is closed and empty.</returns>
    internal int Take(Span<byte> destination)
    {
        int count;
        lock (_gate)
        {
            _readerWaits = true;
            while (_length == 0 && !_closed) Monitor.Wait(_gate);
            _readerWaits = false;
            count = CopyFront(destination);
            RemoveFront(count);
        }
        TellOfRoom();
        return count;
    }

    /// <summary>Copies bytes from the front, without waiting, and leaves them there. For a queue that drops no old bytes meanwhile.</summary>
    internal int Peek(Span<byte> destination)
    {
        lock (_gate) return CopyFront(destination);
    }

    /// <summary>Takes bytes away that <see cref="Peek"/> has given.</summary>
    internal void Remove(int count)
    {
        lock (_gate) RemoveFront(Math.Min(count, _length));
        TellOfRoom();
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

    private int CopyFront(Span<byte> destination)
    {
        var count = Math.Min(destination.Length, _length);
        var first = Math.Min(count, capacity - _start);
        _ring.AsSpan(_start, first).CopyTo(destination);
        _ring.AsSpan(0, count - first).CopyTo(destination[first..]);
        return count;
    }

    private void RemoveFront(int count)
    {
        _start = (_start + count) % capacity;
        _length -= count;
        _taken += count;
    }

    private void ForgetFor(int wanted)
    {
        var dropped = Math.Min(Math.Max(0, wanted - (capacity - _length)), _length);
        _start = (_start + dropped) % capacity;
        _length -= dropped;
        _lost += dropped;
    }

    // Not at each byte that leaves: a writer that is let go on has room for a while.
    private void TellOfRoom()
    {
        lock (_gate)
        {
            if (!_writerRefused || (_whenFull == WhenFull.Hold && _length > capacity - ((capacity + 3) / 4))) return;
            _writerRefused = false;
        }
        room?.Invoke();
    }
}
