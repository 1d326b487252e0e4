// Waits for what a guest's screen shows. The screen tells nobody by itself, so it is looked at now and then, which costs little as long as
// nothing has changed, and nothing when nobody waits.
using Lamina.Core.Display;

namespace Lamina.Screens;

/// <summary>Waits for a screen.</summary>
/// <param name="screen">The screen.</param>
/// <param name="hasEnded">Whether its machine has.</param>
/// <param name="time">By which it waits.</param>
internal sealed class ScreenWait(IScreen screen, Func<bool> hasEnded, TimeProvider time)
{
    private static readonly TimeSpan LookAgain = TimeSpan.FromMilliseconds(50);

    /// <summary>Until it shows a text within a row.</summary>
    /// <exception cref="MachineException">The machine has ended.</exception>
    internal async Task<ScreenText> ForTextAsync(string text, CancellationToken cancellationToken)
    {
        using var watch = Guarded(screen.Watch);
        while (true)
        {
            if (Guarded(watch.HasChanged) && Guarded(screen.Read) is { } shown && Enumerable.Range(0, shown.Rows).Any(row => shown.Line(row).Contains(text, StringComparison.Ordinal))) return shown;
            await Task.Delay(LookAgain, time, cancellationToken).ConfigureAwait(false);
        }
    }

    /// <summary>Until it has shown the same for some time.</summary>
    /// <exception cref="MachineException">The machine has ended.</exception>
    internal async Task ForStillnessAsync(TimeSpan length, CancellationToken cancellationToken)
    {
        using var watch = Guarded(screen.Watch);
        _ = Guarded(watch.HasChanged);
        var (seen, since) = (Guarded(() => screen.Look()), time.GetTimestamp());
        while (time.GetElapsedTime(since) < length)
        {
            await Task.Delay(LookAgain, time, cancellationToken).ConfigureAwait(false);
            // Registers and memory may have been written with what they held.
            if (!Guarded(watch.HasChanged) || Guarded(() => screen.Look()) is var now && now.Width == seen.Width && now.Pixels.AsSpan().SequenceEqual(seen.Pixels)) continue;
            (seen, since) = (now, time.GetTimestamp());
        }
    }

    private T Guarded<T>(Func<T> look)
    {
        try
        {
            if (!hasEnded()) return look();
        }
        catch (ObjectDisposedException)
        {
            // It ended meanwhile.
        }
        throw new MachineException(MachineError.State, "the machine has ended");
    }
}
