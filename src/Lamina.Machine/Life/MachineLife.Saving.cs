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
        var begin = Stopwatch.GetTimestamp();
        IUnwritten? rest = null;
        Hold(Holds.Saving);
        try
        {
            await ApplyAsync().ConfigureAwait(false);
            if (_state == MachineState.Ended) throw new MachineException(MachineError.State, "the machine ended before it could be saved");
            var images = layers.Count == 0 ? [] : _hardware!.AddLayers(layers);
            try
            {
                if (folder is not null) rest = _hardware!.Save(folder, goesOn);
                if (commit is not null && !await commit().ConfigureAwait(false)) throw new MachineException(MachineError.State, "whoever asked for the snapshot has gone; the machine goes on as it was");
                foreach (var image in images) image.Use();
            }
            finally
            {
                foreach (var image in images) image.Dispose();
            }
        }
        catch
        {
            rest?.Dispose();
            throw;
        }
        finally
        {
            Release(Holds.Saving);
        }
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
