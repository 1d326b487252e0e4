// A machine's life on its way to another place: the moment in which it is given away, and the one in which it arrives.
using System.Diagnostics;
using Lamina.Control;
using Lamina.Core.Time;
using Lamina.Migration;
using Lamina.Saving;

namespace Lamina.Life;

internal sealed partial class MachineLife : IDepartingMachine
{
    // A clock of another host that is set otherwise is no time that has passed.
    private static readonly TimeSpan LongestWay = TimeSpan.FromSeconds(30);

    /// <inheritdoc/>
    public Task ThrottleAsync(int? percent) => Enqueue(() =>
    {
        if (_state != MachineState.Ended) Share?.Throttle(percent);
        return Task.CompletedTask;
    });

    /// <inheritdoc/>
    public async Task<MigrationOutcome> GiveAsync(TimeSpan patience, MachineGiver give) => (MigrationOutcome)(await EnqueueAsync(async () =>
    {
        if (_state is not (MachineState.Running or MachineState.Paused)) throw new MachineException(MachineError.State, $"a machine that is {Text(_state)} cannot go to another place");
        RequireWhole();
        Hold(Holds.Saving);
        try
        {
            var outcome = await GiveStandingAsync(patience, give).ConfigureAwait(false);
            // It never runs here again.
            await EndAsync(new MachineResult(MachineEnd.Migrated, Message: !outcome.IsConfirmed ? "the other side was given the machine, and did not say any more that it runs there"
                : outcome.Followed is { IsWhole: false } ? "the link broke before all of the machine's memory was at the other side, where it cannot go on and begins anew from its disks" : null)).ConfigureAwait(false);
            return outcome;
        }
        catch
        {
            Release(Holds.Saving);
            if (_state != MachineState.Ended) await ApplyAsync().ConfigureAwait(false);
            throw;
        }
    }, CancellationToken.None).ConfigureAwait(false))!;

    /// <inheritdoc/>
    public async Task<(TimeSpan StoodStill, string? Refusal)> HandOverAsync(TimeSpan patience, string keptIn, Func<SavedMachine, CancellationToken, Task> send, Func<bool, Task<string?>> give) => ((TimeSpan, string?))(await EnqueueAsync(async () =>
    {
        if (_state is not (MachineState.Running or MachineState.Paused)) throw new MachineException(MachineError.State, $"a machine that is {Text(_state)} cannot be handed over");
        RequireWhole();
        var since = Stopwatch.GetTimestamp();
        Hold(Holds.Saving);
        IUnwritten? rest = null;
        try
        {
            rest = await SendStandingAsync(patience, keptIn, send).ConfigureAwait(false);
        }
        catch
        {
            Release(Holds.Saving);
            if (_state != MachineState.Ended) await ApplyAsync().ConfigureAwait(false);
            throw;
        }
        var refusal = await LetGoAsync(rest, keptIn, give).ConfigureAwait(false);
        return (Stopwatch.GetElapsedTime(since), refusal);
    }, CancellationToken.None).ConfigureAwait(false))!;

    // Gives what is yet to be written of it, should it come to that; null where all is.
    private async Task<IUnwritten?> SendStandingAsync(TimeSpan patience, string keptIn, Func<SavedMachine, CancellationToken, Task> send)
    {
        await ApplyAsync().ConfigureAwait(false);
        RequireToGo();
        using var waits = new CancellationTokenSource(patience);
        try
        {
            await send(_hardware!.SaveState(), waits.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (waits.IsCancellationRequested)
        {
            throw TooSlow(patience);
        }
        var rest = _hardware.Save(keptIn, goesOn: true);
        try
        {
            rest?.Look();
            rest?.Settle();
            return rest;
        }
        catch
        {
            rest?.Dispose();
            throw;
        }
    }

    // It does not run here any more, whatever comes of it: another process opens what is closed here, or it is written down.
    private async Task<string?> LetGoAsync(IUnwritten? rest, string keptIn, Func<bool, Task<string?>> give)
    {
        using var owned = rest;
        var isPaused = Holds.HasFlag(Holds.User);
        var result = new MachineResult(MachineEnd.Failed, Message: "the machine could neither be handed over nor written down");
        Hurry();
        try
        {
            await CloseAsync().ConfigureAwait(false);
            var refusal = await give(isPaused).ConfigureAwait(false);
            if (refusal is not null) rest?.Write();
            else if (rest is null) Directory.Delete(keptIn, recursive: true);
            result = new MachineResult(refusal is null ? MachineEnd.Migrated : MachineEnd.Suspended);
            return refusal;
        }
        catch (Exception failure) when (failure is IOException or MachineException)
        {
            result = result with { Message = $"{result.Message}: {failure.Message}" };
            throw;
        }
        finally
        {
            Conclude(result);
        }
    }

    private void RequireToGo()
    {
        if (_state == MachineState.Ended) throw new MachineException(MachineError.State, "the machine ended on its way to another place");
        if (Holds.HasFlag(Holds.HostFull)) throw new MachineException(MachineError.State, "the machine waits for space on this host, and what it writes is nowhere yet; make room first");
    }

    /// <summary>Refuses what takes all of the memory, of which a part is not here yet.</summary>
    internal void RequireWhole()
    {
        if (_hardware is { IsWhole: false }) throw new MachineException(MachineError.Busy, "a part of the machine's memory is on its way here yet, from where it came; try again when all is here");
    }

    private static MachineException TooSlow(TimeSpan patience) => new(MachineError.Host, $"the other side took longer than {patience.TotalSeconds:0.###} s to take the machine over, which stays here");

    private async Task<MigrationOutcome> GiveStandingAsync(TimeSpan patience, MachineGiver give)
    {
        var since = Stopwatch.GetTimestamp();
        await ApplyAsync().ConfigureAwait(false);
        RequireToGo();
        using var waits = new CancellationTokenSource(patience);
        try
        {
            return await give(_hardware!.SaveState(), since, Holds.HasFlag(Holds.User), waits.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (waits.IsCancellationRequested)
        {
            throw TooSlow(patience);
        }
    }

    /// <summary>Keeps a machine that arrives from running when it is started. Called before.</summary>
    internal void HoldArriving() => Hold(Holds.Saving);

    /// <summary>Lets it run.</summary>
    /// <param name="from">Where the clocks stood where it comes from: what passed since then has passed for the guest, too.</param>
    /// <param name="isPaused">Whether it stays paused.</param>
    internal Task ArriveAsync(SavedClock from, bool isPaused) => Enqueue(async () =>
    {
        if (_state == MachineState.Ended) return;
        if (isPaused) Hold(Holds.User);
        var passed = DateTimeOffset.UtcNow - from.WallClock;
        if (!isPaused && passed > TimeSpan.Zero && passed < LongestWay) _hardware!.Advance(passed);
        Release(Holds.Saving);
        await ApplyAsync().ConfigureAwait(false);
    });
}
