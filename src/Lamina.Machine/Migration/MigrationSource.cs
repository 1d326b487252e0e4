// The side of a migration that a machine leaves: its disks and its memory go over the link while it runs, round by round what was written meanwhile, until
// what is left is soon sent. Then it stands still, the rest and its state go, and when the other side has taken all of that up the machine is
// its. Up to there nothing that fails does more to the guest than to hold it up for a moment.
using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using Lamina.Backends.Disk;
using Lamina.Core.Block;
using Lamina.Core.Memory;
using Lamina.Host;
using Lamina.Saving;

namespace Lamina.Migration;

/// <summary>Sends one machine.</summary>
/// <param name="life">The machine.</param>
/// <param name="memory">Its RAM.</param>
/// <param name="disks">The disks that it writes.</param>
/// <param name="peer">Leads to the other side.</param>
/// <param name="options">How it goes.</param>
internal sealed class MigrationSource(IDepartingMachine life, GuestMemory memory, IReadOnlyList<LayeredDisk> disks, Stream peer, MigrationOptions options) : IDisposable
{
    private const int Page = HostReservation.PageSize;

    // A guest that writes as fast as the link carries gets less and less of its processors, in percent, before this is given up.
    private static readonly int[] Throttles = [60, 40, 20, 10, 5];

    // Where the memory may follow, it does when this step has not helped: it is enough for guests that write up to 1.6 times as fast as the link carries, and takes nothing on that can go wrong. Each further step takes
    // two rounds of all that the guest writes at a fraction of its speed, which is longer than the same takes to follow once.
    private const int FollowsBehind = 0;

    // A round is no step forward that leaves more than this of what the last one left.
    private const double Progresses = 0.8;

    private const int MostRounds = 200, StallsBefore = 2;

    // So little goes at once, whatever the link is.
    private const ulong Little = 256 * 1024;

    private readonly FrameStream _frames = new(peer);
    private readonly BlockMemory _block = new(BlockChanges.PartLength);
    private MemoryChanges? _pages;
    private BlockChanges[] _blocks = [];
    private int _rounds;
    private double _bytesPerSecond;
    private bool _isThrottled, _mayFollow, _follows;

    private ulong Left => (ulong)_pages!.Count * Page + LeftOfDisks;

    private ulong LeftOfDisks => _blocks.Aggregate(0ul, (sum, disk) => sum + (ulong)disk.Count * BlockChanges.PartLength);

    /// <summary>Sends it. When this returns it has ended here; where it throws it goes on as if nothing had been.</summary>
    /// <exception cref="MachineException">It cannot go, or the other side cannot take it.</exception>
    /// <exception cref="IOException">The link or the host fails.</exception>
    internal Task<MigrationOutcome> RunAsync(CancellationToken cancellationToken) =>
        HeardAsync(options.Silence, "the other side", ends => RunAsync(() => life.GiveAsync(options.Patience, GiveAsync), ends), cancellationToken);

    /// <summary>Hands it to a process that opens what this one has open. The disks stay where they are.</summary>
    /// <exception cref="MachineException">It cannot go, or the other side cannot take it; or it is lost.</exception>
    /// <exception cref="IOException">The link or the host fails.</exception>
    internal Task<HandOverOutcome> HandOverAsync(HandOverOptions how, CancellationToken cancellationToken) =>
        HeardAsync(how.Silence, "the new process", ends => RunAsync(() => HandOverAsync(how), ends), cancellationToken);

    // A program that is not what it should be may say nothing at all.
    private async Task<T> HeardAsync<T>(TimeSpan silence, string who, Func<CancellationToken, Task<T>> run, CancellationToken cancellationToken)
    {
        using var silent = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        _frames.Moves = () => silent.CancelAfter(silence);
        try
        {
            return await run(silent.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (silent.IsCancellationRequested && !cancellationToken.IsCancellationRequested)
        {
            throw new MachineException(MachineError.Host, string.Create(CultureInfo.InvariantCulture, $"{who} has said nothing for {silence.TotalSeconds:0.###} s"));
        }
        finally
        {
            _frames.Moves = null;
        }
    }

    private async Task<HandOverOutcome> HandOverAsync(HandOverOptions how)
    {
        var (stoodStill, refusal) = await life.HandOverAsync(how.Patience, how.KeptIn, SendRestAsync, isPaused => HandAsync(how, isPaused)).ConfigureAwait(false);
        return new HandOverOutcome(stoodStill, (ulong)_frames.Written, _rounds, refusal);
    }

    private async Task<T> RunAsync<T>(Func<Task<T>> give, CancellationToken cancellationToken)
    {
        try
        {
            await _frames.SendPiecesAsync(MigrationFrame.Description, (await life.DescribeStateAsync().ConfigureAwait(false)).Encode(), cancellationToken).ConfigureAwait(false);
            TakeOffer((await _frames.ExpectAsync(MigrationFrame.Ready, cancellationToken).ConfigureAwait(false)).Span);
            Begin();
            await SendRoundsAsync(cancellationToken).ConfigureAwait(false);
            cancellationToken.ThrowIfCancellationRequested();
            return await give().ConfigureAwait(false);
        }
        catch (Exception failure)
        {
            if (_isThrottled) await life.ThrottleAsync(null).ConfigureAwait(false);
            if (failure is not IOException) await TryCancelAsync().ConfigureAwait(false);
            else if (await TryReadRefusalAsync().ConfigureAwait(false) is { } refusal) throw refusal;
            throw;
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        // Another migration's are not this one's to end.
        for (var i = 0; i < _blocks.Length; i++)
            if (disks[i].Changes == _blocks[i]) disks[i].Changes = null;
        _pages?.Dispose();
        _block.Dispose();
    }

    private void Begin()
    {
        _blocks = [.. disks.Select(disk => new BlockChanges(disk.Length))];
        for (var i = 0; i < disks.Count; i++)
        {
            if (disks[i].Changes is not null) throw new MachineException(MachineError.Busy, "the machine is on its way to another place already; wait for that, or end it");
            disks[i].Changes = _blocks[i];
        }
        _pages = new MemoryChanges(memory);
    }

    private void TakeOffer(ReadOnlySpan<byte> offer)
    {
        if (!options.PostCopy) return;
        _mayFollow = offer is [1, ..];
        if (!_mayFollow) options.Notice?.Invoke($"the machine does not go on there before all of its memory is: {(offer is [0, _, ..] ? FrameStream.Sentence(offer[1..]) : "the program there does not know of that")}");
    }

    private async Task SendRoundsAsync(CancellationToken cancellationToken)
    {
        var (stalls, throttle) = (0, -1);
        for (var before = ulong.MaxValue; ;)
        {
            await SendRoundAsync(cancellationToken).ConfigureAwait(false);
            _pages!.Collect();
            var left = Left;
            options.Progress?.Invoke(new MigrationProgress(_rounds, (ulong)_frames.Written, left, _bytesPerSecond));
            if (left <= Little || left <= _bytesPerSecond * options.Downtime.TotalSeconds) return;
            if (left > before * Progresses) stalls++;
            before = left;
            if (stalls < StallsBefore && _rounds < MostRounds) continue;
            stalls = 0;
            if (_mayFollow && throttle >= FollowsBehind && LeftOfDisks <= Math.Max(Little, _bytesPerSecond * options.Downtime.TotalSeconds))
            {
                _follows = true;
                return;
            }
            if (++throttle == Throttles.Length || _rounds >= MostRounds) throw TooFast(left);
            _isThrottled = true;
            await life.ThrottleAsync(Throttles[throttle]).ConfigureAwait(false);
        }
    }

    private MachineException TooFast(ulong left) => new(MachineError.Host, string.Create(CultureInfo.InvariantCulture,
        $"the guest writes its memory faster than the link carries it ({ByteSize.Format((ulong)_bytesPerSecond)} a second; {ByteSize.Format(left)} are left after {_rounds} rounds); the machine stays here. Let it stand still for longer ({Math.Ceiling(left / Math.Max(_bytesPerSecond, 1) * 1000)} ms would do now), or pause it first"));

    private async Task SendRoundAsync(CancellationToken cancellationToken)
    {
        var (begin, written) = (Stopwatch.GetTimestamp(), _frames.Written);
        await SendChangedAsync(cancellationToken).ConfigureAwait(false);
        await _frames.SendAsync(MigrationFrame.Round, 0, cancellationToken).ConfigureAwait(false);
        await _frames.ExpectAsync(MigrationFrame.Taken, cancellationToken).ConfigureAwait(false);
        _rounds++;
        // A short one says nothing of the link.
        if (_frames.Written - written > (long)Little || _bytesPerSecond == 0) _bytesPerSecond = (_frames.Written - written) / Stopwatch.GetElapsedTime(begin).TotalSeconds;
    }

    private async Task SendChangedAsync(CancellationToken cancellationToken)
    {
        await SendChangedBlocksAsync(cancellationToken).ConfigureAwait(false);
        for (ulong from = 0; _pages!.TryTake(MigrationSpec.PagesTogether, ref from, out var address, out var pages);)
            await SendPagesAsync(address, pages, cancellationToken).ConfigureAwait(false);
    }

    private async Task SendChangedBlocksAsync(CancellationToken cancellationToken)
    {
        for (var i = 0; i < disks.Count; i++)
            for (ulong from = 0; _blocks[i].TryTake(ref from, out var offset, out var length);)
                await SendBlockAsync(i, offset, length, cancellationToken).ConfigureAwait(false);
    }

    // What is zero the other side has by itself, at first.
    private async ValueTask SendBlockAsync(int disk, ulong offset, int length, CancellationToken cancellationToken)
    {
        const int Head = sizeof(int) + sizeof(ulong);
        var extent = disks[disk].Extent(offset);
        var isZero = extent.IsZero && extent.Length >= (uint)length;
        if (!isZero)
        {
            Read(disk, offset, length);
            isZero = !_block.Bytes[..length].ContainsAnyExcept((byte)0);
        }
        if (isZero && _rounds == 0) return;
        BinaryPrimitives.WriteInt32LittleEndian(_frames.Content, disk);
        BinaryPrimitives.WriteUInt64LittleEndian(_frames.Content[sizeof(int)..], offset);
        if (isZero)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(_frames.Content[Head..], (ulong)length);
            await _frames.SendAsync(MigrationFrame.ZeroBlocks, Head + sizeof(ulong), cancellationToken).ConfigureAwait(false);
            return;
        }
        _block.Bytes[..length].CopyTo(_frames.Content[Head..]);
        await _frames.SendAsync(MigrationFrame.Blocks, Head + length, cancellationToken).ConfigureAwait(false);
    }

    private void Read(int disk, ulong offset, int length)
    {
        var into = new BlockBuffer();
        into.Add(_block, 0, length);
        disks[disk].Read(offset, into);
    }

    private async ValueTask SendPagesAsync(ulong address, int pages, CancellationToken cancellationToken)
    {
        for (var first = 0; first < pages;)
        {
            var content = _frames.Content[sizeof(ulong)..];
            var isZero = ReadPage(first, content);
            var count = 1;
            while (first + count < pages && ReadPage(first + count, content[(count * Page)..]) == isZero) count++;
            var at = address + (ulong)first * Page;
            first += count;
            if (isZero && _rounds == 0) continue;
            BinaryPrimitives.WriteUInt64LittleEndian(_frames.Content, at);
            if (isZero) BinaryPrimitives.WriteUInt64LittleEndian(_frames.Content[sizeof(ulong)..], (ulong)count * Page);
            await _frames.SendAsync(isZero ? MigrationFrame.ZeroPages : MigrationFrame.Pages, sizeof(ulong) + (isZero ? sizeof(ulong) : count * Page), cancellationToken).ConfigureAwait(false);
        }

        bool ReadPage(int page, Span<byte> into)
        {
            var bytes = into[..Page];
            if (!memory.TryRead(address + (ulong)page * Page, bytes)) bytes.Clear();
            return !bytes.ContainsAnyExcept((byte)0);
        }
    }

    // The machine stands still. Until it is given nothing has changed here.
    private async Task<MigrationOutcome> GiveAsync(SavedMachine state, long since, bool isPaused, CancellationToken patience)
    {
        if (_follows) return await GiveFirstAsync(state, since, isPaused, patience).ConfigureAwait(false);
        await SendAllAsync(state, patience).ConfigureAwait(false);
        await _frames.ExpectAsync(MigrationFrame.Loaded, patience).ConfigureAwait(false);
        options.Give?.Invoke();
        var isConfirmed = await TryGiveAsync(isPaused, options.Patience).ConfigureAwait(false);
        return new MigrationOutcome(Stopwatch.GetElapsedTime(since), (ulong)_frames.Written, _rounds, isConfirmed);
    }

    // The memory follows.
    private async Task<MigrationOutcome> GiveFirstAsync(SavedMachine state, long since, bool isPaused, CancellationToken patience)
    {
        _pages!.Collect();
        using var rest = new DepartingMemory(_frames, _pages, SendPagesAsync, options, _bytesPerSecond);
        await SendChangedBlocksAsync(patience).ConfigureAwait(false);
        await rest.SendListAsync(patience).ConfigureAwait(false);
        await SendStateAsync(state, patience).ConfigureAwait(false);
        await rest.UntilLoadedAsync(patience).ConfigureAwait(false);
        options.Give?.Invoke();
        // Silence is the rest's affair from here on.
        _frames.Moves = null;
        var (stoodStill, isConfirmed, followed) = await rest.GiveAsync(isPaused, since, (left, asked) =>
            options.Progress?.Invoke(new MigrationProgress(_rounds, (ulong)_frames.Written, (ulong)left * Page, _bytesPerSecond) { PagesAsked = asked })).ConfigureAwait(false);
        return new MigrationOutcome(stoodStill, (ulong)_frames.Written, _rounds, isConfirmed) { Followed = followed };
    }

    private async Task SendAllAsync(SavedMachine state, CancellationToken patience)
    {
        _pages!.Collect();
        await SendChangedAsync(patience).ConfigureAwait(false);
        await SendStateAsync(state, patience).ConfigureAwait(false);
    }

    private async Task SendStateAsync(SavedMachine state, CancellationToken patience)
    {
        await _frames.SendPiecesAsync(MigrationFrame.State, state.Encode(), patience).ConfigureAwait(false);
        await _frames.SendAsync(MigrationFrame.Whole, 0, patience).ConfigureAwait(false);
    }

    // False: it may have heard that the machine is its, so that it is not this one's any more.
    private async Task<bool> TryGiveAsync(bool isPaused, TimeSpan patience)
    {
        try
        {
            await _frames.SendAsync(MigrationFrame.Given, [isPaused ? (byte)1 : (byte)0], CancellationToken.None).ConfigureAwait(false);
            using var wait = new CancellationTokenSource(patience);
            await _frames.ExpectAsync(MigrationFrame.Runs, wait.Token).ConfigureAwait(false);
            return true;
        }
        catch (Exception unknown) when (unknown is IOException or OperationCanceledException or ObjectDisposedException or MachineException)
        {
            return false;
        }
    }

    private async Task SendRestAsync(SavedMachine state, CancellationToken patience)
    {
        await SendAllAsync(state, patience).ConfigureAwait(false);
        await _frames.ExpectAsync(MigrationFrame.Taken, patience).ConfigureAwait(false);
    }

    // All is closed here. What cannot be given is told in a sentence.
    private async Task<string?> HandAsync(HandOverOptions how, bool isPaused)
    {
        try
        {
            how.Released?.Invoke();
            using var wait = new CancellationTokenSource(how.Patience);
            await _frames.ExpectAsync(MigrationFrame.Loaded, wait.Token).ConfigureAwait(false);
        }
        catch (Exception failure) when (failure is IOException or MachineException or OperationCanceledException or ObjectDisposedException)
        {
            await TryCancelAsync().ConfigureAwait(false);
            return failure is MachineException ? failure.Message : "the new process ended, or does not answer";
        }
        _ = await TryGiveAsync(isPaused, how.Patience).ConfigureAwait(false);
        how.Taken?.Invoke();
        return null;
    }

    private async Task TryCancelAsync()
    {
        try
        {
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(1));
            await _frames.SendAsync(MigrationFrame.Cancelled, 0, patience.Token).ConfigureAwait(false);
        }
        catch (Exception gone) when (gone is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // It knows by the end of the link.
        }
    }

    // Whoever hangs up may have said why.
    private async Task<MachineException?> TryReadRefusalAsync()
    {
        try
        {
            using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(1));
            while (true)
            {
                var (kind, content) = await _frames.ReadAsync(patience.Token).ConfigureAwait(false);
                if (kind == MigrationFrame.Refused) return FrameStream.Refusal(content.Span);
            }
        }
        catch (Exception gone) when (gone is IOException or OperationCanceledException or ObjectDisposedException or MachineException)
        {
            return null;
        }
    }
}
