// A character device's other end in this process's memory: for programs that use the library, and for tests, which drive
// a guest as a person would: wait for a prompt, type, wait for the answer.
// What is kept of the output is bounded: the oldest goes first.
using System.Text;
using Lamina.Core.Char;

namespace Lamina.Backends.Char;

/// <summary>Captures output and types input.</summary>
/// <param name="capacity">How many bytes of output are kept.</param>
public sealed class MemoryCharBackend(int capacity = 16 << 20) : ICharBackend
{
    private readonly object _gate = new();
    private readonly SemaphoreSlim _typing = new(1, 1);

    // Made by those who wait; null while nobody does.
    private TaskCompletionSource? _changed;
    private TaskCompletionSource? _ready;

    private ICharReceiver? _receiver;
    private byte[] _bytes = new byte[Math.Min(capacity, 4096)];
    private int _length;

    // How many bytes of output are gone from the front, how far the text was searched, and how far it was read; all
    // counted from the first byte of output that ever was.
    private long _dropped;
    private long _searched;
    private long _read;
    private bool _ended;

    /// <summary>The kept output as text (UTF-8; what is none shows as replacement characters).</summary>
    public string Text
    {
        get
        {
            lock (_gate) return Encoding.UTF8.GetString(_bytes, 0, _length);
        }
    }

    /// <summary>The kept output.</summary>
    public byte[] ToArray()
    {
        lock (_gate) return _bytes[.._length];
    }

    /// <inheritdoc/>
    public int Write(ReadOnlySpan<byte> data)
    {
        var length = data.Length;
        lock (_gate)
        {
            if (_ended) return length;
            if (data.Length > capacity)
            {
                _dropped += _length + data.Length - capacity;
                _length = 0;
                data = data[^capacity..];
            }
            if (data.Length > capacity - _length) Forget(Math.Max(data.Length - (capacity - _length), capacity / 4));
            if (_length + data.Length > _bytes.Length) Array.Resize(ref _bytes, (int)Math.Min(capacity, Math.Max(_bytes.Length * 2L, _length + data.Length)));
            data.CopyTo(_bytes.AsSpan(_length));
            _length += data.Length;
            Change();
        }
        return length;
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

    /// <summary>Waits until the output contains a text behind what the previous call found.</summary>
    /// <param name="text">The text, not empty.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <returns>The output from where the previous call ended up to and with the text.</returns>
    /// <exception cref="EndOfStreamException">The output ended without it.</exception>
    public async Task<string> WaitForTextAsync(string text, CancellationToken cancellationToken = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(text);
        var wanted = Encoding.UTF8.GetBytes(text);
        // Up to where there is no occurrence: what was looked through is not looked through again at every new byte.
        long without = 0;
        while (true)
        {
            Task changed;
            lock (_gate)
            {
                var start = (int)(Math.Max(_searched, _dropped) - _dropped);
                var from = Math.Max(start, (int)(without - _dropped));
                var at = _bytes.AsSpan(from, _length - from).IndexOf(wanted);
                if (at >= 0)
                {
                    var end = from + at + wanted.Length;
                    _searched = _dropped + end;
                    return Encoding.UTF8.GetString(_bytes, start, end - start);
                }
                without = _dropped + Math.Max(start, _length - wanted.Length + 1);
                if (_ended) throw new EndOfStreamException($"the guest's output ended without \"{text}\"");
                changed = (_changed ??= NewSource()).Task;
            }
            await changed.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Reads output as a stream does: what follows the previous call's, waiting for some.</summary>
    /// <returns>How many bytes; 0 where the output ended.</returns>
    public async ValueTask<int> ReadAsync(Memory<byte> destination, CancellationToken cancellationToken = default)
    {
        while (true)
        {
            Task changed;
            lock (_gate)
            {
                var from = (int)(Math.Max(_read, _dropped) - _dropped);
                var count = Math.Min(destination.Length, _length - from);
                if (count != 0 || _ended || destination.IsEmpty)
                {
                    _bytes.AsSpan(from, count).CopyTo(destination.Span);
                    _read = _dropped + from + count;
                    return count;
                }
                changed = (_changed ??= NewSource()).Task;
            }
            await changed.WaitAsync(cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Types a text. Done when the device has taken all of it; calls that overlap follow one another.</summary>
    public Task WriteAsync(string text, CancellationToken cancellationToken = default) => WriteAsync(Encoding.UTF8.GetBytes(text), cancellationToken);

    /// <summary>Types bytes. Done when the device has taken all of them; calls that overlap follow one another.</summary>
    /// <exception cref="EndOfStreamException">The machine ended before.</exception>
    public async Task WriteAsync(ReadOnlyMemory<byte> data, CancellationToken cancellationToken = default)
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
                    if (_ended) throw new EndOfStreamException("the guest ended before it took all of its input");
                    receiver = _receiver;
                    ready = (_ready ??= NewSource()).Task;
                }
                var taken = receiver?.Receive(data.Span) ?? 0;
                data = data[taken..];
                if (!data.IsEmpty) await ready.WaitAsync(cancellationToken).ConfigureAwait(false);
            }
        }
        finally
        {
            _typing.Release();
        }
    }

    /// <summary>Ends the output: those who wait for more are told. What was captured stays.</summary>
    public void Dispose()
    {
        lock (_gate)
        {
            _ended = true;
            Change();
        }
        ReadyToReceive();
    }

    private static TaskCompletionSource NewSource() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    private void Forget(int count)
    {
        count = Math.Min(count, _length);
        _bytes.AsSpan(count, _length - count).CopyTo(_bytes);
        _length -= count;
        _dropped += count;
    }

    private void Change()
    {
        _changed?.TrySetResult();
        _changed = null;
    }
}
