// A guest's console that outlives those who look at it: what the guest prints is kept, the latest of it in memory and all of it (up to a
// bound) in a file; any number of programs see it from where they wish, and any of them types. The guest waits for the file alone, and
// only where the file does not keep up: a viewer that does not read misses what goes by, and is told how much.
using System.Text;
using Lamina.Core.Char;

namespace Lamina.Hypervisor.Consoles;

/// <summary>The channel between a console and its viewers.</summary>
internal sealed class ConsoleHub : ICharBackend
{
    /// <summary>How many bytes of the latest output are kept in memory.</summary>
    internal const int Capacity = 1 << 20;

    private readonly object _gate = new();
    private readonly SemaphoreSlim _typing = new(1, 1);
    private readonly byte[] _ring;
    private readonly ConsoleLog? _log;

    // Positions count from the first byte of output that ever was.
    private long _written, _logged;
    private TaskCompletionSource? _changed, _ready;
    private ICharReceiver? _receiver;
    private bool _refused, _ended;

    /// <summary>Makes it.</summary>
    /// <param name="log">Keeps all of the output, and is disposed of with the hub; or null.</param>
    /// <param name="capacity">How many bytes of the latest output are kept in memory.</param>
    /// <param name="before">What was printed before, and is in the log: no longer than the capacity. Null: nothing.</param>
    internal ConsoleHub(ConsoleLog? log, int capacity = Capacity, byte[]? before = null)
    {
        (_log, _ring) = (log, new byte[capacity]);
        before?.CopyTo(_ring, 0);
        _written = _logged = before?.Length ?? 0;
        log?.Start(TakeForLog);
    }

    /// <inheritdoc/>
    public long Lost => _log?.Lost ?? 0;

    /// <summary>Whether what is printed goes nowhere.</summary>
    internal bool IsMuted { get; set; }

    /// <summary>How much was printed so far, and from where on it is still here.</summary>
    internal (long Oldest, long Written) Kept
    {
        get
        {
            lock (_gate) return (Math.Max(0, _written - _ring.Length), _written);
        }
    }

    /// <inheritdoc/>
    public int Write(ReadOnlySpan<byte> data)
    {
        lock (_gate)
        {
            if (_ended || IsMuted) return data.Length;
            if (_log is not null)
            {
                var room = (int)(_ring.Length - (_written - _logged));
                _refused |= data.Length > room;
                data = data[..Math.Min(data.Length, room)];
            }
            var taken = data.Length;
            if (data.Length > _ring.Length)
            {
                _written += data.Length - _ring.Length;
                data = data[^_ring.Length..];
            }
            var at = (int)(_written % _ring.Length);
            var first = Math.Min(data.Length, _ring.Length - at);
            data[..first].CopyTo(_ring.AsSpan(at));
            data[first..].CopyTo(_ring);
            _written += data.Length;
            if (taken > 0) Change();
            return taken;
        }
    }

    /// <inheritdoc/>
    public void Attach(ICharReceiver receiver)
    {
        lock (_gate) _receiver = receiver;
        ReadyToReceive();
    }

    /// <inheritdoc/>
    public void ReadyToReceive()
    {
        lock (_gate)
        {
            _ready?.TrySetResult();
            _ready = null;
        }
    }

    /// <summary>Reads output from a position on, waiting for some.</summary>
    /// <param name="position">Where; becomes where the next read begins. What is not here any more is skipped.</param>
    /// <param name="destination">Takes it.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>How many bytes were read and how many skipped before them; none where the machine has ended.</returns>
    internal async ValueTask<(int Count, long Skipped)> ReadAsync(long position, Memory<byte> destination, CancellationToken cancellationToken)
    {
        while (true)
        {
            Task changed;
            lock (_gate)
            {
                var from = Math.Max(position, _written - _ring.Length);
                var count = (int)Math.Min(destination.Length, _written - from);
                if (count > 0)
                {
                    Copy(from, destination.Span[..count]);
                    return (count, from - position);
                }
                if (_ended) return (0, 0);
                changed = (_changed ??= NewSource()).Task;
            }
            await changed.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Types bytes. Done when the device has taken all of them; programs that type at once follow one another.</summary>
    /// <returns>False where the machine has ended.</returns>
    internal async Task<bool> TypeAsync(ReadOnlyMemory<byte> data, CancellationToken cancellationToken)
    {
        await _typing.WaitAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            while (!data.IsEmpty)
            {
                ICharReceiver? receiver;
                Task ready;
                lock (_gate)
                {
                    if (_ended) return false;
                    receiver = _receiver;
                    ready = (_ready ??= NewSource()).Task;
                }
                data = data[(receiver?.Receive(data.Span) ?? 0)..];
                if (!data.IsEmpty) await ready.WaitAsync(cancellationToken).ConfigureAwait(false);
            }
            return true;
        }
        finally
        {
            _typing.Release();
        }
    }

    /// <summary>Ends the output; what was printed is still given to those who read.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            if (_ended) return;
            _ended = true;
            Change();
        }
        ReadyToReceive();
        _log?.Dispose();
    }

    // What a viewer is told in the stream where it was too slow.
    internal static byte[] SkippedText(long bytes) => Encoding.ASCII.GetBytes($"\r\n[{bytes} bytes of output were skipped]\r\n");

    // On the log's thread: what it has not written yet; 0 where there is no more.
    private int TakeForLog(Span<byte> destination)
    {
        ICharReceiver? goesOn;
        int count;
        lock (_gate)
        {
            while (_written == _logged && !_ended) Monitor.Wait(_gate);
            count = (int)Math.Min(destination.Length, _written - _logged);
            Copy(_logged, destination[..count]);
            _logged += count;
            // Not at each piece that goes: a guest that is let go on has room for a while.
            goesOn = _refused && _written - _logged <= _ring.Length / 2 ? _receiver : null;
            _refused &= goesOn is null;
        }
        goesOn?.ReadyToSend();
        return count;
    }

    private void Copy(long from, Span<byte> destination)
    {
        var at = (int)(from % _ring.Length);
        var first = Math.Min(destination.Length, _ring.Length - at);
        _ring.AsSpan(at, first).CopyTo(destination);
        _ring.AsSpan(0, destination.Length - first).CopyTo(destination[first..]);
    }

    private void Change()
    {
        Monitor.PulseAll(_gate);
        _changed?.TrySetResult();
        _changed = null;
    }

    private static TaskCompletionSource NewSource() => new(TaskCreationOptions.RunContinuationsAsynchronously);
}
