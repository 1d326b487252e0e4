// Has a card announce itself several times when its machine goes on at another place: once soon, and again with growing intervals, since what it is plugged into may be connected, or ready to
// learn, a moment later. By the machine's clock, so that nothing is sent while it stands still. QEMU does the same, with the same times.
using Lamina.Core.Inspection;
using Lamina.Core.Time;

namespace Lamina.Devices.Ethernet;

/// <summary>Announces one card.</summary>
public sealed class CardAnnouncer : IInspected, IDisposable
{
    private const int Rounds = 5;
    private const long Millisecond = 1_000_000, First = 50 * Millisecond, Step = 100 * Millisecond;

    private readonly Lock _lock = new();
    private readonly IMachineClock _clock;
    private readonly Action _announce;
    private readonly IDeviceTimer _timer;
    private int _left;

    /// <summary>Makes one that announces nothing yet.</summary>
    /// <param name="clock">The machine's clock.</param>
    /// <param name="announce">Announces the card once. Called on the timer thread.</param>
    public CardAnnouncer(IMachineClock clock, Action announce)
    {
        ArgumentNullException.ThrowIfNull(clock);
        (_clock, _announce, _timer) = (clock, announce, clock.CreateTimer(Next));
    }

    /// <summary>Begins. One that has begun begins anew.</summary>
    public void Begin()
    {
        lock (_lock)
        {
            _left = Rounds;
            _timer.Arm(_clock.NowNanoseconds + First);
        }
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node)
    {
        ArgumentNullException.ThrowIfNull(node);
        node.Say("announcements to come", Volatile.Read(ref _left));
    }

    /// <inheritdoc/>
    public void Dispose() => _timer.Dispose();

    private void Next()
    {
        lock (_lock)
        {
            if (_left == 0) return;
            _left--;
            // 50 ms, and then 50, 150, 250, 350 behind one another.
            if (_left > 0) _timer.Arm(_clock.NowNanoseconds + First + (Rounds - 1 - _left) * Step);
        }
        _announce();
    }
}
