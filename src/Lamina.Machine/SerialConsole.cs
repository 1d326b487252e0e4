// A console whose other end is the program: what the guest wrote can be read and waited for, and input can be sent.
// It is the character backend of SerialTarget.Memory. Output beyond the capacity drops the oldest.
using System.Text;
using Lamina.Core.Char;

namespace Lamina;

/// <summary>The program's end of a guest's console.</summary>
public sealed class SerialConsole
{
    private readonly Lock _gate = new();
    private readonly int _capacity;
    private readonly StringBuilder _text = new();
    private readonly Decoder _decoder = Encoding.UTF8.GetDecoder();
    private readonly Queue<byte> _input = new();
    private readonly Channel _channel;
    private TaskCompletionSource? _changed;
    private ICharReceiver? _receiver;
    private bool _delivering, _again, _ended;

    // Positions count characters since the guest's first; the text starts with character number _dropped.
    private long _dropped, _read;

    internal SerialConsole(int capacity)
    {
        _capacity = Math.Max(capacity, 1);
        _channel = new Channel(this);
    }

    internal ICharBackend Backend => _channel;

    /// <summary>All that the guest wrote so far, as far as it is kept.</summary>
    public string Text
    {
        get
        {
            lock (_gate) return _text.ToString();
        }
    }

    /// <summary>Sends input to the guest; it arrives as fast as the guest takes it.</summary>
    public void Write(string text)
    {
        lock (_gate)
            foreach (var value in Encoding.UTF8.GetBytes(text)) _input.Enqueue(value);
        Deliver();
    }

    /// <summary>Sends a line as a terminal does: the text and a line feed.</summary>
    public void WriteLine(string line) => Write(line + "\n");

    /// <summary>
    /// Waits until the guest has written a text after what was read before, and returns everything up to its end.
    /// The next call goes on behind it.
    /// </summary>
    /// <exception cref="MachineException">The machine ended first.</exception>
    /// <exception cref="OperationCanceledException">Cancelled, or the time passed.</exception>
    public async Task<string> ReadUntilAsync(string text, CancellationToken cancellation = default)
    {
        ArgumentException.ThrowIfNullOrEmpty(text);
        long searched = 0;
        while (true)
        {
            Task changed;
            lock (_gate)
            {
                if (Find(text, searched) is { } end) return Take(end);
                if (_ended) throw new MachineException($"the machine ended before its console showed \"{text}\"");
                searched = _dropped + _text.Length - text.Length + 1;
                changed = (_changed ??= new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task;
            }
            await changed.WaitAsync(cancellation).ConfigureAwait(false);
        }
    }

    /// <summary>Lets those who wait know that nothing more will come.</summary>
    internal void End()
    {
        lock (_gate)
        {
            _ended = true;
            Changed();
        }
    }

    // The position behind the first occurrence at or after a position; null where there is none.
    private long? Find(string text, long from)
    {
        var start = Math.Max(Math.Max(from, _read), _dropped);
        var at = _text.ToString((int)(start - _dropped), (int)(_dropped + _text.Length - start)).IndexOf(text, StringComparison.Ordinal);
        return at < 0 ? null : start + at + text.Length;
    }

    private string Take(long end)
    {
        var start = Math.Max(_read, _dropped);
        _read = end;
        return _text.ToString((int)(start - _dropped), (int)(end - start));
    }

    private void Changed()
    {
        _changed?.SetResult();
        _changed = null;
    }

    private void Append(ReadOnlySpan<byte> data)
    {
        Span<char> chars = stackalloc char[256];
        lock (_gate)
        {
            for (; !data.IsEmpty; data = data[Math.Min(data.Length, 128)..])
                _text.Append(chars[.._decoder.GetChars(data[..Math.Min(data.Length, 128)], chars, flush: false)]);
            if (_text.Length > _capacity + (_capacity / 8))
            {
                var excess = _text.Length - _capacity;
                _text.Remove(0, excess);
                _dropped += excess;
            }
            Changed();
        }
    }

    // One delivery at a time, on a pool thread, as the receiver wants it. A call that finds one under way makes it look again.
    private void Deliver()
    {
        lock (_gate)
        {
            _again = true;
            if (_delivering || _receiver is null || _input.Count == 0) return;
            _delivering = true;
        }
        ThreadPool.UnsafeQueueUserWorkItem(static console => console.DeliverAll(), this, preferLocal: false);
    }

    private void DeliverAll()
    {
        var piece = new byte[64];
        while (true)
        {
            int count;
            ICharReceiver receiver;
            lock (_gate)
            {
                if (!_again || _input.Count == 0)
                {
                    _delivering = false;
                    return;
                }
                (_again, receiver, count) = (false, _receiver!, 0);
                foreach (var value in _input)
                {
                    piece[count++] = value;
                    if (count == piece.Length) break;
                }
            }
            var taken = receiver.Receive(piece.AsSpan(0, count));
            lock (_gate)
            {
                for (var i = 0; i < taken; i++) _input.Dequeue();
                if (taken == count) _again = true;
            }
        }
    }

    private sealed class Channel(SerialConsole console) : ICharBackend
    {
        public void Write(ReadOnlySpan<byte> data) => console.Append(data);

        public void Attach(ICharReceiver receiver)
        {
            lock (console._gate) console._receiver = receiver;
            console.Deliver();
        }

        public void ReadyToReceive() => console.Deliver();

        public void Dispose() => console.End();
    }
}
