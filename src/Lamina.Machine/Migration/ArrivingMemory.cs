// What is missing of the memory of a machine that arrives, from the list of it on: asks for what somebody touches, puts in what comes, and says when all is there. Nothing that comes is trusted: a page that is
// not missing is not overwritten, and ends it. Before the machine is given an end leaves it where it is; from then on it cannot go on anywhere, and ends here in a sentence.
using System.Buffers.Binary;
using System.Diagnostics;
using System.Threading.Channels;
using Lamina.Core.Memory;
using Lamina.Host;

namespace Lamina.Migration;

/// <summary>Has the memory of one machine come.</summary>
internal sealed class ArrivingMemory : IDisposable
{
    private static readonly TimeSpan Look = TimeSpan.FromMilliseconds(500);

    private readonly FrameStream _frames;
    private readonly GuestMemory _memory;
    private readonly MissingMemory _missing;
    private readonly TimeSpan _patience;

    // One token: whoever has it writes.
    private readonly Channel<bool> _order = Channel.CreateBounded<bool>(1);
    private readonly CancellationTokenSource _ends = new();
    private readonly TaskCompletionSource<bool> _given = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource<MemoryFollowed> _come = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Lock _gate = new();
    private long _pages, _since;
    private bool _isOver, _machineEnded;
    private Task _work = Task.CompletedTask;

    /// <param name="frames">Leads to the other side.</param>
    /// <param name="memory">The machine's memory, which nobody uses yet.</param>
    /// <param name="faults">Tells who touches it; the memory's from here on.</param>
    /// <param name="patience">How long a page that is asked for may take, and how long the other side may say nothing.</param>
    /// <exception cref="HostException">The host cannot have that.</exception>
    internal ArrivingMemory(FrameStream frames, GuestMemory memory, PageFaults faults, TimeSpan patience)
    {
        (_frames, _memory, _patience) = (frames, memory, patience);
        _missing = memory.BeginMissing(faults);
        _ = _order.Writer.TryWrite(true);
        // Whoever does not look is told by another way.
        _ = _given.Task.ContinueWith(static task => task.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
        _ = _come.Task.ContinueWith(static task => task.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
    }

    /// <summary>Ends the machine in a sentence, which was given; set before it is.</summary>
    internal Action<string>? Lost { get; set; }

    /// <summary>What a sentence about that ends with: what to do.</summary>
    internal string Advice { get; set; } = "start it anew from its disks";

    /// <summary>Why it is over, where it failed.</summary>
    internal Exception? Failure { get; private set; }

    /// <summary>Done when all is there; fails where the machine cannot go on.</summary>
    internal Task<MemoryFollowed> Come => _come.Task;

    /// <summary>Takes a list of what is missing. False: it is none.</summary>
    /// <exception cref="HostException">The host keeps what is there.</exception>
    internal bool TryMark(ReadOnlySpan<byte> content)
    {
        if (content.IsEmpty || content.Length % MigrationSpec.MissingLength != 0) return false;
        for (; !content.IsEmpty; content = content[MigrationSpec.MissingLength..])
            if (!_missing.TryMark(BinaryPrimitives.ReadUInt64LittleEndian(content), BinaryPrimitives.ReadUInt64LittleEndian(content[sizeof(ulong)..]))) return false;
        return true;
    }

    /// <summary>The list is whole: from here on pages are asked for and taken, by this alone.</summary>
    internal void Begin()
    {
        _pages = _missing.Left;
        _missing.Serve();
        _work = Task.WhenAll(Task.Run(ReadAsync), Task.Run(AskAsync), Task.Run(WatchAsync));
    }

    /// <summary>Says something between the pages that are asked for.</summary>
    /// <exception cref="IOException">The link is broken.</exception>
    internal async Task SendAsync(MigrationFrame kind, ReadOnlyMemory<byte> content, CancellationToken cancellationToken)
    {
        _ = await _order.Reader.ReadAsync(cancellationToken).ConfigureAwait(false);
        try
        {
            await _frames.SendAsync(kind, content.Span, cancellationToken).ConfigureAwait(false);
        }
        finally
        {
            _ = _order.Writer.TryWrite(true);
        }
    }

    /// <summary>Waits until the machine is given.</summary>
    /// <returns>Whether it is paused.</returns>
    /// <exception cref="MachineException">It is not.</exception>
    /// <exception cref="IOException">The link is broken.</exception>
    internal Task<bool> GivenAsync(CancellationToken cancellationToken) => _given.Task.WaitAsync(cancellationToken);

    /// <summary>The machine has ended by itself, and wants no more.</summary>
    internal void MachineEnded()
    {
        lock (_gate)
        {
            if (_isOver) return;
            _machineEnded = true;
        }
        _ends.Cancel();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Fail(new IOException("whoever took it in has ended"));
        // Nobody waits for what is under way: it ends by itself, by what was cancelled.
        _ = _work.ContinueWith(_ => _ends.Dispose(), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
    }

    private async Task ReadAsync()
    {
        try
        {
            while (_missing.Left > 0 || !_given.Task.IsCompleted)
            {
                using var silent = CancellationTokenSource.CreateLinkedTokenSource(_ends.Token);
                // Until it is given nothing need come.
                if (_given.Task.IsCompleted) silent.CancelAfter(_patience);
                var (kind, content) = await ReadAsync(silent.Token).ConfigureAwait(false);
                await TakeAsync(kind, content).ConfigureAwait(false);
            }
            Complete();
            await SendAsync(MigrationFrame.There, default, _ends.Token).ConfigureAwait(false);
        }
        catch (Exception cut) when (cut is IOException or MachineException or OperationCanceledException or ObjectDisposedException)
        {
            if (IsOfEndedMachine) await TrySayThereAsync().ConfigureAwait(false);
            else Fail(cut);
        }
    }

    private bool IsOfEndedMachine
    {
        get
        {
            lock (_gate) return _machineEnded && !_isOver;
        }
    }

    private async ValueTask<(MigrationFrame Kind, ReadOnlyMemory<byte> Content)> ReadAsync(CancellationToken silent)
    {
        try
        {
            return await _frames.ReadAsync(silent).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!_ends.IsCancellationRequested)
        {
            throw new IOException($"the other side has sent nothing for {_patience.TotalSeconds:0.###} s");
        }
    }

    private async ValueTask TakeAsync(MigrationFrame kind, ReadOnlyMemory<byte> content)
    {
        const int Head = sizeof(ulong);
        switch (kind)
        {
            case MigrationFrame.Pages when content.Length > Head && (content.Length - Head) % HostReservation.PageSize == 0 && _missing.TryPut(Number(content), (ulong)(content.Length - Head), content.Span[Head..]):
            case MigrationFrame.ZeroPages when content.Length == 2 * Head && _missing.TryPut(Number(content), Number(content[Head..]), default):
                break;
            case MigrationFrame.Round when content.IsEmpty:
                await SendAsync(MigrationFrame.Taken, default, _ends.Token).ConfigureAwait(false);
                break;
            case MigrationFrame.Given when content.Length == 1 && !_given.Task.IsCompleted:
                Interlocked.Exchange(ref _since, Stopwatch.GetTimestamp());
                _given.TrySetResult(content.Span[0] != 0);
                break;
            case MigrationFrame.Cancelled when !_given.Task.IsCompleted:
                throw new MachineException(MachineError.Host, "the machine stays where it is: the migration was given up there");
            default:
                throw new MachineException(MachineError.Host, $"what comes over the link does not fit the machine ({kind})");
        }
    }

    private static ulong Number(ReadOnlyMemory<byte> content) => BinaryPrimitives.ReadUInt64LittleEndian(content.Span);

    private async Task AskAsync()
    {
        var address = new byte[sizeof(ulong)];
        try
        {
            await foreach (var wish in _missing.Wishes.ReadAllAsync(_ends.Token).ConfigureAwait(false))
            {
                BinaryPrimitives.WriteUInt64LittleEndian(address, wish);
                await SendAsync(MigrationFrame.Wish, address, _ends.Token).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException)
        {
            // It is over.
        }
        catch (Exception cut) when (cut is IOException or ObjectDisposedException)
        {
            Fail(cut);
        }
    }

    private async Task WatchAsync()
    {
        try
        {
            while (_missing.Left > 0)
            {
                if (_missing.LongestWait() > _patience) Fail(new IOException($"a page that was asked for has not come for {_patience.TotalSeconds:0.###} s"));
                await Task.Delay(Look < _patience ? Look : _patience, _ends.Token).ConfigureAwait(false);
            }
        }
        catch (OperationCanceledException)
        {
            // It is over.
        }
    }

    private void Complete()
    {
        lock (_gate)
        {
            if (_isOver) return;
            _isOver = true;
        }
        var followed = new MemoryFollowed(_pages, _missing.Wished, Stopwatch.GetElapsedTime(Interlocked.Read(ref _since)), IsWhole: true);
        _memory.EndMissing();
        _come.TrySetResult(followed);
    }

    private async Task TrySayThereAsync()
    {
        Complete();
        try
        {
            using var patience = new CancellationTokenSource(_patience);
            await SendAsync(MigrationFrame.There, default, patience.Token).ConfigureAwait(false);
        }
        catch (Exception gone) when (gone is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // It learns by the end of the link.
        }
    }

    // In this order: the machine's end is on its way and its CPUs are told to stop; no code of the machine's reads memory any more, nor accesses a device by a CPU that goes on; and only then whoever is held up
    // by the host goes on, with zeros, which reach nothing but the CPU itself.
    private void Fail(Exception why)
    {
        lock (_gate)
        {
            if (_isOver) return;
            _isOver = true;
        }
        Failure = why;
        var wasGiven = _given.Task.IsCompletedSuccessfully;
        var sentence = $"the machine cannot go on: {_missing.Left} pages of its memory have not come ({why.Message.TrimEnd('.')}), and where it came from it has ended; {Advice}";
        if (wasGiven) Lost?.Invoke(sentence);
        _missing.Lose();
        _missing.End();
        _ = _given.TrySetException(why);
        _ = _come.TrySetException(new MachineException(MachineError.Host, sentence, why));
        _ends.Cancel();
    }
}
