// What is left of a machine's memory when it goes on at the other side before all of it is there: a list of it goes first. From then on pages that are asked for are sent, and, when the
// machine is given, the others as well; those that are asked for always come first. The machine stands still here, and does not run again once it is given.
using System.Buffers.Binary;
using System.Collections.Concurrent;
using System.Diagnostics;
using System.Threading.Channels;
using Lamina.Core.Memory;
using Lamina.Host;

namespace Lamina.Migration;

/// <summary>Has one machine's memory follow it.</summary>
/// <param name="frames">Leads to the other side; nobody else writes or reads.</param>
/// <param name="left">The pages that are left.</param>
/// <param name="sendPages">Sends pages: an address and how many.</param>
/// <param name="options">How it goes.</param>
/// <param name="bytesPerSecond">What the link carries.</param>
internal sealed class DepartingMemory(FrameStream frames, MemoryChanges left, Func<ulong, int, CancellationToken, ValueTask> sendPages, MigrationOptions options, double bytesPerSecond) : IDisposable
{
    private const int Page = HostReservation.PageSize;

    // With a page that is asked for go some behind it: a guest that touches one touches those soon.
    private const int Together = 8;

    // What is not asked for goes in pieces, each of which is answered. No more than this, or what the link carries in this time, is on its way: what is asked for has to wait for all of it.
    private const int Piece = 32, LeastOnItsWay = 4, MostOnItsWay = 32;
    private const double OnItsWaySeconds = 0.05;

    private static readonly TimeSpan Tells = TimeSpan.FromSeconds(1);

    private readonly List<MemoryRange> _list = [];
    private readonly HashSet<ulong> _asked = [];
    private readonly ConcurrentQueue<ulong> _wishes = new();
    private readonly Channel<bool> _news = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly CancellationTokenSource _ends = new();
    private readonly long _most = (long)Math.Clamp(bytesPerSecond * OnItsWaySeconds / (Piece * Page), LeastOnItsWay, MostOnItsWay);
    private long _pages, _runsAt, _answered, _askedCount;
    private volatile bool _isThere, _isBroken;

    /// <summary>Sends the list of what is missing.</summary>
    /// <exception cref="IOException">The link is broken.</exception>
    internal async Task SendListAsync(CancellationToken cancellationToken)
    {
        _list.AddRange(left.Ranges());
        _pages = left.Count;
        foreach (var ranges in _list.Chunk(MigrationSpec.MissingTogether))
        {
            for (var i = 0; i < ranges.Length; i++)
            {
                BinaryPrimitives.WriteUInt64LittleEndian(frames.Content[(i * MigrationSpec.MissingLength)..], ranges[i].Start);
                BinaryPrimitives.WriteUInt64LittleEndian(frames.Content[(i * MigrationSpec.MissingLength + sizeof(ulong))..], ranges[i].Length);
            }
            await frames.SendAsync(MigrationFrame.Missing, ranges.Length * MigrationSpec.MissingLength, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Answers until the other side has taken the machine up.</summary>
    /// <exception cref="MachineException">It cannot.</exception>
    /// <exception cref="IOException">The link is broken.</exception>
    internal async Task UntilLoadedAsync(CancellationToken cancellationToken)
    {
        while (true)
        {
            var (kind, content) = await frames.ReadAsync(cancellationToken).ConfigureAwait(false);
            if (kind == MigrationFrame.Loaded) return;
            if (kind == MigrationFrame.Refused) throw FrameStream.Refusal(content.Span);
            if (kind != MigrationFrame.Wish) throw Misfit(kind);
            await SendAskedAsync(Wish(content.Span), cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Gives the machine away and sends all the rest. It throws nothing: from here on it is not this side's.</summary>
    /// <param name="isPaused">Whether it is paused.</param>
    /// <param name="since">When it came to stand still.</param>
    /// <param name="progress">Told how far it is, with the pages that are left and those that were asked for; on the thread that writes.</param>
    /// <returns>For how long it stood still, whether it was said that it runs, and what became of the memory.</returns>
    internal async Task<(TimeSpan StoodStill, bool IsConfirmed, MemoryFollowed Followed)> GiveAsync(bool isPaused, long since, Action<long, long> progress)
    {
        var begin = Stopwatch.GetTimestamp();
        Task? reads = null;
        try
        {
            await frames.SendAsync(MigrationFrame.Given, [isPaused ? (byte)1 : (byte)0], CancellationToken.None).ConfigureAwait(false);
            reads = Task.Run(ReadAsync, CancellationToken.None);
            await WriteAsync(progress).ConfigureAwait(false);
        }
        catch (Exception cut) when (IsCut(cut))
        {
            _isBroken = true;
        }
        if (!_isThere) await _ends.CancelAsync().ConfigureAwait(false);
        if (reads is not null) await reads.ConfigureAwait(false);
        var (runsAt, asked) = (Interlocked.Read(ref _runsAt), Interlocked.Read(ref _askedCount));
        return (runsAt == 0 ? Stopwatch.GetElapsedTime(since) : Stopwatch.GetElapsedTime(since, runsAt), runsAt != 0, new MemoryFollowed(_pages, asked, Stopwatch.GetElapsedTime(begin), _isThere));
    }

    /// <inheritdoc/>
    public void Dispose() => _ends.Dispose();

    private async Task WriteAsync(Action<long, long> progress)
    {
        var (from, sent, told) = (0ul, 0L, 0L);
        while (!_isThere || Interlocked.Read(ref _runsAt) == 0)
        {
            if (_isBroken) return;
            if (_wishes.TryDequeue(out var asked))
            {
                // What lies behind it is likely to be touched next.
                from = asked;
                await SendAskedAsync(asked, _ends.Token).ConfigureAwait(false);
            }
            else if (sent - Interlocked.Read(ref _answered) < _most && TryTakeNext(ref from, out var address, out var pages))
            {
                await sendPages(address, pages, _ends.Token).ConfigureAwait(false);
                await frames.SendAsync(MigrationFrame.Round, 0, _ends.Token).ConfigureAwait(false);
                sent++;
                if (told == 0 || Stopwatch.GetElapsedTime(told) >= Tells)
                {
                    progress(left.Count, Interlocked.Read(ref _askedCount));
                    told = Stopwatch.GetTimestamp();
                }
            }
            else _ = await _news.Reader.ReadAsync(_ends.Token).ConfigureAwait(false);
        }
    }

    private bool TryTakeNext(ref ulong from, out ulong address, out int pages)
    {
        if (left.TryTake(Piece, ref from, out address, out pages)) return true;
        from = 0;
        return left.TryTake(Piece, ref from, out address, out pages);
    }

    private async ValueTask SendAskedAsync(ulong address, CancellationToken cancellationToken)
    {
        // It may be on its way.
        if (!left.Has(address)) return;
        var from = address;
        if (left.TryTake(Together, ref from, out var first, out var pages)) await sendPages(first, pages, cancellationToken).ConfigureAwait(false);
    }

    private async Task ReadAsync()
    {
        try
        {
            while (!_isThere || Interlocked.Read(ref _runsAt) == 0)
            {
                using var silent = CancellationTokenSource.CreateLinkedTokenSource(_ends.Token);
                silent.CancelAfter(options.Silence);
                var (kind, content) = await frames.ReadAsync(silent.Token).ConfigureAwait(false);
                switch (kind)
                {
                    case MigrationFrame.Wish:
                        _wishes.Enqueue(Wish(content.Span));
                        break;
                    case MigrationFrame.Taken:
                        Interlocked.Increment(ref _answered);
                        break;
                    case MigrationFrame.Runs:
                        Interlocked.CompareExchange(ref _runsAt, Stopwatch.GetTimestamp(), 0);
                        break;
                    case MigrationFrame.There:
                        _isThere = true;
                        break;
                    default:
                        throw Misfit(kind);
                }
                _ = _news.Writer.TryWrite(true);
            }
            // A side that wants no more does not read what is being written to it.
            await _ends.CancelAsync().ConfigureAwait(false);
        }
        catch (Exception cut) when (IsCut(cut))
        {
            _isBroken = true;
            // Who writes may wait for a side that reads no more.
            await _ends.CancelAsync().ConfigureAwait(false);
        }
    }

    // Each page of the list once: so many there can be, and no more.
    private ulong Wish(ReadOnlySpan<byte> content)
    {
        if (content.Length != sizeof(ulong)) throw Misfit(MigrationFrame.Wish);
        var address = BinaryPrimitives.ReadUInt64LittleEndian(content);
        if (address % Page != 0 || !IsListed(address) || !_asked.Add(address)) throw Misfit(MigrationFrame.Wish);
        Interlocked.Increment(ref _askedCount);
        return address;
    }

    private bool IsListed(ulong address)
    {
        var (low, high) = (0, _list.Count);
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (_list[middle].End <= address) low = middle + 1;
            else high = middle;
        }
        return low < _list.Count && _list[low].Contains(address, Page);
    }

    private static bool IsCut(Exception failure) => failure is IOException or MachineException or OperationCanceledException or ObjectDisposedException;

    private static MachineException Misfit(MigrationFrame kind) => new(MachineError.Host, $"the other side of the migration says what does not fit ({kind})");
}
