// Hands a machine's events to everybody who watches. Telling never waits: each reader has room for a number of events, and one that
// does not keep up loses the oldest and is told how many (the numbers of what it gets have a gap there).
using System.Runtime.CompilerServices;
using System.Threading.Channels;

namespace Lamina.Control;

/// <summary>The events of one machine.</summary>
/// <param name="time">Says when an event was.</param>
/// <param name="room">How many events are kept for a reader that does not read them.</param>
internal sealed class EventSource(TimeProvider time, int room = EventSource.Room)
{
    /// <summary>How many events wait for a reader.</summary>
    internal const int Room = 256;

    private readonly Lock _gate = new();
    private readonly List<Channel<MachineEvent>> _readers = [];
    private MachineEvent.Ended? _end;
    private long _last;

    /// <summary>Tells an event. Any thread; returns at once. After the end nothing is told.</summary>
    internal void Tell(MachineEvent what)
    {
        lock (_gate)
        {
            if (_end is not null) return;
            var told = what with { Number = ++_last, Time = time.GetUtcNow() };
            _end = told as MachineEvent.Ended;
            foreach (var reader in _readers)
            {
                reader.Writer.TryWrite(told);
                if (_end is not null) reader.Writer.Complete();
            }
            if (_end is not null) _readers.Clear();
        }
    }

    /// <summary>What happens from this call on, to be read once. It ends behind the machine's end, which is all that is told of a machine that has ended.</summary>
    internal IAsyncEnumerable<MachineEvent> Watch(CancellationToken cancellationToken)
    {
        var reader = Channel.CreateBounded<MachineEvent>(new BoundedChannelOptions(room) { FullMode = BoundedChannelFullMode.DropOldest, SingleReader = true });
        lock (_gate)
        {
            if (_end is null)
            {
                _readers.Add(reader);
                return ReadAsync(reader, _last, cancellationToken);
            }
            reader.Writer.TryWrite(_end);
            reader.Writer.Complete();
            return ReadAsync(reader, _end.Number - 1, cancellationToken);
        }
    }

    private async IAsyncEnumerable<MachineEvent> ReadAsync(Channel<MachineEvent> reader, long last, CancellationToken cancellationToken, [EnumeratorCancellation] CancellationToken enumerator = default)
    {
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, enumerator);
        try
        {
            await foreach (var told in reader.Reader.ReadAllAsync(both.Token).ConfigureAwait(false))
            {
                if (told.Number - last - 1 is > 0 and var missed) yield return new MachineEvent.Missed(missed) { Number = told.Number - 1, Time = told.Time };
                last = told.Number;
                yield return told;
            }
        }
        finally
        {
            lock (_gate) _readers.Remove(reader);
        }
    }
}
