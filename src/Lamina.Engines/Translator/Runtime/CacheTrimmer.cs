// Gives back what a machine that has become quiet does not need. Most of what a boot translates never runs again: after a
// while of quiet everything is dropped, and what the machine still does is translated anew. So that a machine which rests
// between bursts of the same work does not pay for it each time, the quiet that it takes doubles with every turn.
using Lamina.Engines.Translator.Settings;

namespace Lamina.Engines.Translator.Runtime;

internal sealed class CacheTrimmer : IDisposable
{
    // A quiet machine may still translate a little: timers, a daemon.
    private const int QuietInstructions = 2000;

    private const int FirstQuietLooks = 2, MostQuietLooks = 120;

    private readonly TranslationStore _store;
    private readonly int _worthwhile;
    private readonly ITimer _timer;
    private readonly Lock _look = new();
    private long _translated;
    private int _quiet, _enough = FirstQuietLooks;
    private bool _disposed;

    /// <summary>Starts looking, every <see cref="Period"/>.</summary>
    public CacheTrimmer(TranslationStore store, TranslatorSettings settings)
    {
        _store = store;
        _worthwhile = settings.QuietCodeBytes;
        _timer = settings.Time.CreateTimer(static self => ((CacheTrimmer)self!).Look(), this, Period, Period);
    }

    /// <summary>Time between looks.</summary>
    public static TimeSpan Period { get; } = TimeSpan.FromSeconds(5);

    /// <summary>How often translations were dropped.</summary>
    public long Trims { get; private set; }

    /// <inheritdoc/>
    public void Dispose()
    {
        _timer.Dispose();
        lock (_look) _disposed = true;
    }

    private void Look()
    {
        lock (_look)
        {
            if (_disposed || _store.World.HasEnded) return;
            var translated = _store.InstructionsTranslated;
            var isQuiet = translated - _translated < QuietInstructions && _store.World.Vcpus.All(vcpu => vcpu.Place == VcpuPlace.Parked);
            _translated = translated;
            _quiet = isQuiet ? _quiet + 1 : 0;
            if (_quiet < _enough || _store.Buffer.Used <= _worthwhile) return;
            _quiet = 0;
            _enough = Math.Min(_enough * 2, MostQuietLooks);
            _store.GiveBack();
            Trims++;
        }
        // What described the translations is garbage now, and the collector would keep its room for the next.
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
    }
}
