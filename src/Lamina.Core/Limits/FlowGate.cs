// A limit on what flows between a device and its backend: bytes and operations a second, with a burst. Each of the two is a token bucket,
// kept as the one moment at which it is no longer in debt (the "virtual scheduling" form of ITU-T I.371, Annex A): what passes moves the
// moment on, and while it lies ahead nothing passes. Whoever is kept waiting is told by a timer when it is over, so that nobody looks
// again and again. The gate knows no queues and no backends; devices ask it before they take a request, and tell it what they took.
using Lamina.Core.Inspection;
using Lamina.Core.Time;

namespace Lamina.Core.Limits;

/// <summary>What may flow.</summary>
/// <param name="Bytes">Bytes a second, at least 1; null for any number.</param>
/// <param name="Operations">Operations a second, at least 1; null for any number.</param>
/// <param name="Burst">How long a rest makes up for itself, in nanoseconds: so much of a second's worth may pass at once after it.</param>
public readonly record struct FlowLimit(ulong? Bytes, ulong? Operations, long Burst)
{
    /// <summary>Whether there is no limit.</summary>
    public bool IsNone => Bytes is null && Operations is null;
}

/// <summary>Who is kept waiting by a gate. Told on any thread, with no lock of the gate's held but where it is said.</summary>
public interface IHeldBack
{
    /// <summary>It is not to ask again before <see cref="GoOn"/>. Told from within the question, with the gate's lock held.</summary>
    void HoldBack();

    /// <summary>It may ask again, and may be kept waiting again.</summary>
    void GoOn();
}

/// <summary>A gate that lets through as much as a limit allows. Its time is the machine's, and stands while that is paused.</summary>
public sealed class FlowGate : IDisposable
{
    // In nanoseconds.
    private const ulong Second = 1_000_000_000;
    private const long Never = long.MaxValue / 2;

    private readonly IMachineClock _clock;
    private readonly IDeviceTimer _timer;
    private readonly Lock _gate = new();
    private readonly List<IHeldBack> _waiting = [];
    private FlowLimit _limit;
    private Bucket _bytes, _operations;
    private long _waits;

    // So that who has no limit takes no lock.
    private volatile bool _isOpen;

    /// <summary>An open gate.</summary>
    public FlowGate(IMachineClock clock, FlowLimit limit)
    {
        (_clock, _limit, _isOpen) = (clock, limit, limit.IsNone);
        _timer = clock.CreateTimer(Open);
        // As if it had always been at rest.
        _bytes.FreeAt = _operations.FreeAt = -Never;
    }

    /// <summary>What may flow. A change holds from now on: what was borrowed by the old one is forgotten, and nobody goes on waiting for it.</summary>
    public FlowLimit Limit
    {
        get
        {
            lock (_gate) return _limit;
        }
        set
        {
            lock (_gate)
            {
                (_limit, _isOpen) = (value, value.IsNone);
                _bytes.FreeAt = _operations.FreeAt = _clock.NowNanoseconds;
            }
            Open();
        }
    }

    /// <summary>How often somebody was kept waiting.</summary>
    public long Waits => Interlocked.Read(ref _waits);

    /// <summary>Asks whether a request may be taken now. Who may not is held back, and told when to ask again.</summary>
    public bool TryPass(IHeldBack asks)
    {
        if (_isOpen) return true;
        lock (_gate)
        {
            var free = FreeAt;
            if (free <= _clock.NowNanoseconds) return true;
            _waits++;
            asks.HoldBack();
            if (!_waiting.Contains(asks)) _waiting.Add(asks);
            _timer.Arm(free);
            return false;
        }
    }

    /// <summary>Tells of a request that was taken. It may be larger than what was left: the next one waits the longer.</summary>
    /// <param name="bytes">How many bytes it moves.</param>
    public void Charge(ulong bytes)
    {
        if (_isOpen) return;
        lock (_gate)
        {
            var rested = _clock.NowNanoseconds - _limit.Burst;
            _bytes.Charge(_limit.Bytes, bytes, rested);
            _operations.Charge(_limit.Operations, 1, rested);
        }
    }

    /// <summary>Says what may flow.</summary>
    public void Inspect(InspectNode node) => node.Locked(_gate, () =>
    {
        if (_limit.Bytes is { } bytes) node.Say("bytes a second", bytes);
        if (_limit.Operations is { } operations) node.Say("operations a second", operations);
        if (!_limit.IsNone) node.Say("burst nanoseconds", _limit.Burst);
    });

    /// <summary>Nobody is told any more.</summary>
    public void Dispose() => _timer.Dispose();

    // A bucket without a limit is never in debt.
    private long FreeAt => Math.Max(_limit.Bytes is null ? long.MinValue : _bytes.FreeAt, _limit.Operations is null ? long.MinValue : _operations.FreeAt);

    // Without the lock: who is told takes locks of its own, under which others ask this.
    private void Open()
    {
        IHeldBack[] free;
        lock (_gate)
        {
            if (_waiting.Count == 0) return;
            // A timer may be early.
            if (FreeAt is var at && at > _clock.NowNanoseconds)
            {
                _timer.Arm(at);
                return;
            }
            free = [.. _waiting];
            _waiting.Clear();
        }
        foreach (var asks in free) asks.GoOn();
    }

    private struct Bucket
    {
        // When it is out of debt, in nanoseconds, and what is left of a nanosecond's worth.
        internal long FreeAt;
        private ulong _rest;

        // A request that would take longer than any machine lives takes that long.
        internal void Charge(ulong? rate, ulong count, long rested)
        {
            if (rate is not { } perSecond) return;
            var cost = (UInt128)count * Second + _rest;
            var whole = cost / perSecond;
            _rest = (ulong)(cost - whole * perSecond);
            FreeAt = (long)Int128.Min(Never, Math.Max(FreeAt, rested) + (Int128)UInt128.Min(whole, Never));
        }
    }
}
