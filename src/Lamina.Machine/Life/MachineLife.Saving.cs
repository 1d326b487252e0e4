// How a machine is written down while it lives: it stands still for the cut, in which its devices say where they are, its disks get new images
// and its memory is kept from changing; what takes long is written when it runs again.
using System.Diagnostics;
using Lamina.Control;
using Lamina.Saving;

namespace Lamina.Life;

internal sealed partial class MachineLife
{
    private readonly Lock _writingGate = new();
    private readonly HashSet<Task> _writing = [];

    private async Task<MachineSaved> SaveAsync(string? folder, bool goesOn, IReadOnlyList<LayeredImage> layers, Func<Task<bool>>? commit)
    {
        RequireWhole();
        var begin = Stopwatch.GetTimestamp();
        var rest = await CutAsync<IUnwritten>(() => folder is null ? null : _hardware!.Save(folder, goesOn), layers, commit).ConfigureAwait(false);
        if (goesOn) await ApplyAsync().ConfigureAwait(false);
        var saved = new MachineSaved(folder ?? "", Stopwatch.GetElapsedTime(begin));
        if (rest is null)
        {
            Tell(new MachineEvent.Saved(saved));
            return saved;
        }
        rest.Look();
        return saved with { Written = Written(rest, saved) };
    }

    private async Task<MachineForked> ForkAsync(IReadOnlyList<LayeredImage> layers, Func<Task<bool>>? commit)
    {
        RequireWhole();
        _hardware!.PrepareFork();
        var begin = Stopwatch.GetTimestamp();
        var forked = await CutAsync(_hardware.Fork, layers, commit).ConfigureAwait(false);
        try
        {
            await ApplyAsync().ConfigureAwait(false);
            var stoodStill = Stopwatch.GetElapsedTime(begin);
            forked!.Finish(stoodStill);
            if (Holds.HasFlag(Holds.User)) _hardware.ShareMemory(forked);
            return forked;
        }
        catch
        {
            forked!.Dispose();
            throw;
        }
    }

    /// <summary>Puts a machine that its user has paused to where another one stood.</summary>
    /// <param name="to">That one.</param>
    /// <param name="goesOn">Whether it runs from there; else it stays paused.</param>
    internal Task RewindAsync(MachineForked to, bool goesOn) => EnqueueAsync(async () =>
    {
        if (_state != MachineState.Paused || !Holds.HasFlag(Holds.User)) throw new MachineException(MachineError.State, "a machine is paused before it becomes a copy of another one");
        RequireWhole();
        try
        {
            _hardware!.Rewind(to);
            if (goesOn) Release(Holds.User);
            await ApplyAsync().ConfigureAwait(false);
            return null;
        }
        catch (Exception failure)
        {
            // It is half-way between two states.
            await EndAsync(new MachineResult(MachineEnd.Failed, Message: failure.Message)).ConfigureAwait(false);
            throw;
        }
    }, CancellationToken.None);

    /// <summary>The memory that the guest has touched.</summary>
    internal async Task<ReadOnlyMemory<byte>> WorkingSetAsync() => (ReadOnlyMemory<byte>)(await EnqueueAsync(() => Task.FromResult<object?>(_state == MachineState.Ended ? default : _hardware!.WorkingSet()), CancellationToken.None).ConfigureAwait(false))!;

    /// <summary>Takes note of the memory that the guest has written since it went on.</summary>
    internal Task NoteWorkingSetAsync() => Enqueue(() =>
    {
        if (_state != MachineState.Ended) _hardware!.NoteWorkingSet();
        return Task.CompletedTask;
    });

    // The machine stands still for it, and nobody lets it go on but who calls this.
    private async Task<T?> CutAsync<T>(Func<T?> cut, IReadOnlyList<LayeredImage> layers, Func<Task<bool>>? commit) where T : class, IDisposable
    {
        T? made = null;
        Hold(Holds.Saving);
        try
        {
            await ApplyAsync().ConfigureAwait(false);
            if (_state == MachineState.Ended) throw new MachineException(MachineError.State, "the machine ended before it could be saved");
            var images = layers.Count == 0 ? [] : _hardware!.AddLayers(layers);
            try
            {
                made = cut();
                if (commit is not null && !await commit().ConfigureAwait(false)) throw new MachineException(MachineError.State, "whoever asked for the snapshot has gone; the machine goes on as it was");
                foreach (var image in images) image.Use();
                return made;
            }
            finally
            {
                foreach (var image in images) image.Dispose();
            }
        }
        catch
        {
            made?.Dispose();
            throw;
        }
        finally
        {
            Release(Holds.Saving);
        }
    }

    private Task Written(IUnwritten rest, MachineSaved saved)
    {
        var writing = Task.Run(() =>
        {
            using (rest) rest.Write();
            Tell(new MachineEvent.Saved(saved));
        });
        lock (_writingGate) _ = _writing.Add(writing);
        _ = writing.ContinueWith(
            written =>
            {
                // Whoever waits for it is told; the machine is as well as before.
                _ = written.Exception;
                lock (_writingGate) _ = _writing.Remove(written);
            },
            CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        return writing;
    }

    private async Task AllWrittenAsync()
    {
        Task[] writing;
        lock (_writingGate) writing = [.. _writing];
        await Task.WhenAll(writing).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }
}
