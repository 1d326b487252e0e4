// The side of a migration at which a machine arrives. What comes over the link is from another host: it reaches the RAM and the disks of the machine that
// is built for it, and nothing else, and what does not fit there ends it.
using System.Buffers.Binary;
using System.Text;
using Lamina.Backends.Disk;
using Lamina.Control;
using Lamina.Core.Block;
using Lamina.Core.Memory;
using Lamina.Core.State;
using Lamina.Host;
using Lamina.Migration;
using Lamina.Saving;

namespace Lamina;

/// <summary>A machine that comes from another process or host (<see cref="Machine.MigrateAsync"/>): it is described, then built here, then it comes and runs.</summary>
public sealed class MachineArrival : IAsyncDisposable
{
    private const int Page = HostReservation.PageSize;

    // Whoever gives says so at once, or hangs up.
    private static readonly TimeSpan GivenWithin = TimeSpan.FromMinutes(2);

    private readonly FrameStream _frames;
    private readonly SavedMachine _description;
    private readonly TaskCompletionSource _takenUp = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly BlockMemory _block = new(MigrationSpec.LongestFrame);
    private SavedStart? _start;
    private Machine? _machine;
    private GuestMemory? _memory;
    private SavedMachine? _state;
    private PageFaults? _faults;
    private string _noFaults = "it is not wanted there";
    private ArrivingMemory? _rest;
    private bool _runs;

    private MachineArrival(FrameStream frames, SavedMachine description) => (_frames, _description) = (frames, description);

    /// <summary>The most bytes of a state that are taken.</summary>
    internal long LongestState { get; set; } = MigrationSpec.LongestState;

    /// <summary>Whether the machine may go on here before all of its memory is there, where the host can have that; else it does not go on before (<see cref="MigrationOptions.PostCopy"/>).</summary>
    public bool TakesPostCopy { get; set; } = true;

    /// <summary>How long a page of the memory may take that is asked for, and how long the other side may say nothing, while a part of the memory is missing and the machine runs.</summary>
    public TimeSpan PageWithin { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>What to do with a machine that ended since the rest of its memory did not come: a part of a sentence, which its result's message ends with.</summary>
    public string Advice { get; set; } = "start it anew from its disks";

    /// <summary>
    /// How the memory of a machine that runs has come: null at once where it was all there before. Done when all is there, or the machine has ended by itself. It fails where the rest does not come, and the machine has
    /// ended as <see cref="MachineEnd.Failed"/>, or is about to. Until it is done the link is this one's.
    /// </summary>
    /// <param name="cancellationToken">Ends the wait.</param>
    public async Task<MemoryFollowed?> MemoryAsync(CancellationToken cancellationToken = default) => _rest is { } rest ? await rest.Come.WaitAsync(cancellationToken).ConfigureAwait(false) : null;

    /// <summary>What the machine was where it comes from.</summary>
    public MachineDefinition Definition => _description.Definition;

    /// <summary>Waits for the description of a machine.</summary>
    /// <param name="peer">Leads to where it comes from; the caller's to close.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    /// <exception cref="MachineException">What comes is none.</exception>
    /// <exception cref="IOException">The link is broken.</exception>
    public static async Task<MachineArrival> BeginAsync(Stream peer, CancellationToken cancellationToken = default)
    {
        ArgumentNullException.ThrowIfNull(peer);
        var frames = new FrameStream(peer);
        // One piece: a description has no parts.
        var (kind, content) = await frames.ReadAsync(cancellationToken).ConfigureAwait(false);
        if (kind != MigrationFrame.Description) throw new MachineException(MachineError.Host, "what comes over the link does not begin with a machine's description");
        return new MachineArrival(frames, Decode(content));
    }

    /// <summary>Builds the machine, which waits for what is yet to come.</summary>
    /// <param name="hooks">What the program connects it with.</param>
    /// <param name="change">Names what is elsewhere here, as for <see cref="Machine.Restore(string, MachineHooks?, Func{MachineDefinition, MachineDefinition}?)"/>. Its disks are as long as where it comes from, and empty.</param>
    /// <exception cref="MachineException">Something that it names is not as it must be.</exception>
    public Machine Build(MachineHooks hooks, Func<MachineDefinition, MachineDefinition> change)
    {
        ArgumentNullException.ThrowIfNull(hooks);
        ArgumentNullException.ThrowIfNull(change);
        // A process that locks itself could not any more.
        if (_memory is null && TakesPostCopy) _faults = PageFaults.TryOpen(out _noFaults);
        (_machine, _start) = Machine.WaitFor(_description, hooks with
        {
            TakenUp = () =>
            {
                hooks.TakenUp?.Invoke();
                _takenUp.TrySetResult();
            },
        }, change, _memory);
        return _machine;
    }

    /// <summary>
    /// Takes in all but the disks of a machine that is handed over (<see cref="Machine.HandOverAsync"/>), before it is built: this is done when it stands still there. When all is closed there it is built,
    /// and goes on (<see cref="GoOnAsync"/>).
    /// </summary>
    /// <param name="cancellationToken">Ends it.</param>
    /// <exception cref="MachineException">What comes does not fit, or the machine stays where it is.</exception>
    /// <exception cref="IOException">The link is broken, or the host has no memory for it.</exception>
    public async Task ReceiveAsync(CancellationToken cancellationToken = default)
    {
        if (_machine is not null || _memory is not null) throw new InvalidOperationException("the machine is there already");
        if (!_description.Ranges.SequenceEqual(MachineBuilder.RamOf(Definition))) throw Misfit(MigrationFrame.Description);
        try
        {
            _memory = new GuestMemory(_description.Ranges);
        }
        catch (ArgumentException)
        {
            throw Misfit(MigrationFrame.Description);
        }
        await _frames.SendAsync(MigrationFrame.Ready, 0, cancellationToken).ConfigureAwait(false);
        _state = await ReceiveAsync(_memory, [], cancellationToken).ConfigureAwait(false);
        await _frames.SendAsync(MigrationFrame.Taken, 0, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Has the machine go on that was received and is built. It runs when this returns; where this throws, it does not, and never will here.</summary>
    /// <param name="given">Called when the machine was given, before it goes on and says so. Or null.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <returns>Done when the machine has ended.</returns>
    /// <exception cref="MachineException">It cannot run here, or was not given.</exception>
    /// <exception cref="IOException">The link is broken.</exception>
    public async Task<Task<MachineResult>> GoOnAsync(Action? given = null, CancellationToken cancellationToken = default)
    {
        if (_machine is not { } machine || _state is not { } state) throw new InvalidOperationException("the machine is received and built first");
        try
        {
            var run = await BeginAsync(machine, state).ConfigureAwait(false);
            try
            {
                await _frames.SendAsync(MigrationFrame.Loaded, 0, cancellationToken).ConfigureAwait(false);
            }
            catch (IOException)
            {
                // Whoever had it is gone, and has closed it before: there is nobody else whose it could be.
            }
            await LetRunAsync(machine, state, given, mayBeLeft: true, cancellationToken).ConfigureAwait(false);
            return run;
        }
        catch (Exception failure) when (failure is MachineException or IOException)
        {
            await _frames.TryRefuseAsync(failure.Message).ConfigureAwait(false);
            throw;
        }
    }

    /// <summary>Takes the machine in. It runs when this returns; where this throws, it does not, and never will here.</summary>
    /// <param name="complete">Called when all of it is here and it could run, before the other side is told: whatever makes it a machine of this host. Or null.</param>
    /// <param name="given">Called when the machine was given, before it goes on and says so: from then on it is nowhere but here, even if this process ends. Or null.</param>
    /// <param name="cancellationToken">Ends it.</param>
    /// <returns>Done when the machine has ended.</returns>
    /// <exception cref="MachineException">It cannot run here, or was not given.</exception>
    /// <exception cref="IOException">The link is broken.</exception>
    public async Task<Task<MachineResult>> TakeAsync(Action? complete = null, Action? given = null, CancellationToken cancellationToken = default)
    {
        var machine = _machine ?? throw new InvalidOperationException("the machine is built first");
        try
        {
            await _frames.SendAsync(MigrationFrame.Ready, Offer(machine.Memory), cancellationToken).ConfigureAwait(false);
            var state = await ReceiveAsync(machine.Memory, machine.WrittenDisks, cancellationToken).ConfigureAwait(false);
            foreach (var disk in machine.WrittenDisks) disk.Flush();
            if (_rest is { } rest)
            {
                (rest.Lost, rest.Advice) = (machine.Fail, Advice);
                rest.Begin();
            }
            else LetGoOfFaults();
            var run = await BeginAsync(machine, state).ConfigureAwait(false);
            complete?.Invoke();
            await SayAsync(MigrationFrame.Loaded, cancellationToken).ConfigureAwait(false);
            await LetRunAsync(machine, state, given, mayBeLeft: false, cancellationToken).ConfigureAwait(false);
            if (_rest is { } follows) _ = run.ContinueWith(_ => follows.MachineEnded(), CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
            return run;
        }
        catch (Exception failure) when (failure is MachineException or IOException)
        {
            // What the machine makes of memory that does not come says less.
            var why = _rest?.Failure is { } cut and (MachineException or IOException) ? cut : failure;
            _rest?.Dispose();
            await _frames.TryRefuseAsync(why.Message).ConfigureAwait(false);
            if (why != failure) throw why is MachineException ? new MachineException(MachineError.Host, why.Message, failure) : new IOException(why.Message, failure);
            throw;
        }
    }

    private byte[] Offer(GuestMemory memory)
    {
        if (_faults is not null && memory.CanMiss) return [1];
        var sentence = Encoding.UTF8.GetBytes(_faults is null ? _noFaults : "the machine's memory there is of a kind that cannot be missing");
        return [0, .. sentence.AsSpan(0, Math.Min(sentence.Length, MigrationSpec.LongestSentence - 1))];
    }

    private void LetGoOfFaults()
    {
        _faults?.Dispose();
        _faults = null;
    }

    private async Task SayAsync(MigrationFrame kind, CancellationToken cancellationToken)
    {
        if (_rest is { } rest) await rest.SendAsync(kind, default, cancellationToken).ConfigureAwait(false);
        else await _frames.SendAsync(kind, 0, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Says to where it comes from why the machine cannot be here, before it is built.</summary>
    /// <param name="sentence">Why.</param>
    /// <param name="cancellationToken">Ends the wait.</param>
    public Task RefuseAsync(string sentence, CancellationToken cancellationToken = default) => _frames.TryRefuseAsync(sentence).WaitAsync(cancellationToken);

    /// <summary>Ends what never came to run, and what waits for memory yet (<see cref="MemoryAsync"/>); a machine that runs is its owner's.</summary>
    public async ValueTask DisposeAsync()
    {
        _block.Dispose();
        _rest?.Dispose();
        LetGoOfFaults();
        if (!_runs && _machine is not null) await _machine.DisposeAsync().ConfigureAwait(false);
        if (_machine is null) _memory?.Dispose();
    }

    // It is given what it needs to run, and does not until it is given away there.
    private async Task<Task<MachineResult>> BeginAsync(Machine machine, SavedMachine state)
    {
        _start!.TakeUp(state);
        machine.HoldArriving();
        var run = machine.RunAsync(CancellationToken.None);
        if (await Task.WhenAny(run, _takenUp.Task).ConfigureAwait(false) == run) throw new MachineException(MachineError.Host, $"the machine cannot go on here: {(await run.ConfigureAwait(false)).Message}");
        return run;
    }

    private async Task LetRunAsync(Machine machine, SavedMachine state, Action? given, bool mayBeLeft, CancellationToken cancellationToken)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        patience.CancelAfter(GivenWithin);
        var isPaused = false;
        try
        {
            if (_rest is { } rest) isPaused = await rest.GivenAsync(patience.Token).ConfigureAwait(false);
            else
            {
                var (kind, content) = await _frames.ReadAsync(patience.Token).ConfigureAwait(false);
                if (kind != MigrationFrame.Given || content.Length != 1) throw NotGiven(null);
                isPaused = content.Span[0] != 0;
            }
        }
        catch (Exception cut) when (cut is IOException or OperationCanceledException)
        {
            // Whoever had it would have said that it stays there.
            if (!mayBeLeft || cut is not IOException) throw NotGiven(cut);
        }
        try
        {
            _runs = true;
            given?.Invoke();
            await machine.ArriveAsync(state.Clock, isPaused).ConfigureAwait(false);
        }
        catch (Exception cut) when (cut is IOException or OperationCanceledException)
        {
            throw NotGiven(cut);
        }
        try
        {
            await SayAsync(MigrationFrame.Runs, cancellationToken).ConfigureAwait(false);
        }
        catch (Exception gone) when (gone is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // It runs, whether that is heard or not.
        }
    }

    private static MachineException NotGiven(Exception? inner) => new(MachineError.Host, "the machine was not given in the end; it is where it came from", inner);

    private async Task<SavedMachine> ReceiveAsync(GuestMemory memory, IReadOnlyList<LayeredDisk> disks, CancellationToken cancellationToken)
    {
        var state = new MemoryStream();
        while (true)
        {
            var (kind, content) = await _frames.ReadAsync(cancellationToken).ConfigureAwait(false);
            switch (kind)
            {
                // What comes then is not the guest's any more that it was written by.
                case MigrationFrame.Pages or MigrationFrame.ZeroPages when _rest is not null:
                    throw Misfit(kind);
                case MigrationFrame.Pages:
                    TakePages(memory, content.Span);
                    break;
                case MigrationFrame.ZeroPages:
                    TakeZeroPages(memory, content.Span);
                    break;
                case MigrationFrame.Blocks or MigrationFrame.ZeroBlocks:
                    TakeBlocks(disks, kind, content.Span);
                    break;
                case MigrationFrame.Missing when _rest is not null || (_faults is not null && memory.CanMiss):
                    TakeMissing(memory, content.Span);
                    break;
                case MigrationFrame.Round when content.IsEmpty:
                    foreach (var disk in disks) disk.Flush();
                    await _frames.SendAsync(MigrationFrame.Taken, 0, cancellationToken).ConfigureAwait(false);
                    break;
                case MigrationFrame.State when state.Length + content.Length <= LongestState:
                    await state.WriteAsync(content, cancellationToken).ConfigureAwait(false);
                    break;
                case MigrationFrame.Whole when content.IsEmpty:
                    return Decode(state.GetBuffer().AsMemory(0, (int)state.Length));
                case MigrationFrame.Cancelled:
                    throw new MachineException(MachineError.Host, "the machine stays where it is: the migration was given up there");
                default:
                    throw Misfit(kind);
            }
        }
    }

    private void TakeMissing(GuestMemory memory, ReadOnlySpan<byte> content)
    {
        if (_rest is null)
        {
            var faults = _faults!;
            // The memory's from here on.
            _faults = null;
            _rest = new ArrivingMemory(_frames, memory, faults, PageWithin);
        }
        if (!_rest.TryMark(content)) throw Misfit(MigrationFrame.Missing);
    }

    private static void TakePages(GuestMemory memory, ReadOnlySpan<byte> content)
    {
        if (content.Length <= sizeof(ulong) || (content.Length - sizeof(ulong)) % Page != 0) throw Misfit(MigrationFrame.Pages);
        var address = BinaryPrimitives.ReadUInt64LittleEndian(content);
        if (address % Page != 0 || !memory.TryWrite(address, content[sizeof(ulong)..])) throw Misfit(MigrationFrame.Pages);
    }

    private static void TakeZeroPages(GuestMemory memory, ReadOnlySpan<byte> content)
    {
        if (content.Length != 2 * sizeof(ulong)) throw Misfit(MigrationFrame.ZeroPages);
        var (address, length) = (BinaryPrimitives.ReadUInt64LittleEndian(content), BinaryPrimitives.ReadUInt64LittleEndian(content[sizeof(ulong)..]));
        if ((address | length) % Page != 0 || !memory.TryDiscard(address, length)) throw Misfit(MigrationFrame.ZeroPages);
    }

    private void TakeBlocks(IReadOnlyList<LayeredDisk> disks, MigrationFrame kind, ReadOnlySpan<byte> content)
    {
        const int Head = sizeof(int) + sizeof(ulong);
        if (content.Length <= Head) throw Misfit(kind);
        var (number, offset) = (BinaryPrimitives.ReadInt32LittleEndian(content), BinaryPrimitives.ReadUInt64LittleEndian(content[sizeof(int)..]));
        if ((uint)number >= (uint)disks.Count) throw Misfit(kind);
        var disk = disks[number];
        var isZero = kind == MigrationFrame.ZeroBlocks;
        if (isZero && content.Length != Head + sizeof(ulong)) throw Misfit(kind);
        var length = isZero ? BinaryPrimitives.ReadUInt64LittleEndian(content[Head..]) : (ulong)(content.Length - Head);
        if (length == 0 || (offset | length) % IBlockBackend.SectorSize != 0 || offset > disk.Length || length > disk.Length - offset) throw Misfit(kind);
        if (isZero)
        {
            disk.WriteZeroes(offset, length, mayUnmap: true);
            return;
        }
        content[Head..].CopyTo(_block.Bytes);
        var from = new BlockBuffer();
        from.Add(_block, 0, (int)length);
        disk.Write(offset, from);
    }

    private static SavedMachine Decode(ReadOnlyMemory<byte> content)
    {
        try
        {
            return SavedMachine.Decode(content);
        }
        catch (StateException wrong)
        {
            throw new MachineException(MachineError.Host, $"the machine that comes {wrong.Message}", wrong);
        }
    }

    private static MachineException Misfit(MigrationFrame kind) => new(MachineError.Host, $"what comes over the link does not fit the machine ({kind})");
}
