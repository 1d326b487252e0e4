// When a worker looks for work by itself, and when it tells of what it did. Both cost a guest much: a notification is an exit
// and the waking of a thread, an interrupt is an exit and several accesses to registers. So while requests come fast, the
// worker looks a little longer before it sleeps, and keeps what is done to itself as long as the guest adds requests all
// the same. Each is tried, and goes on only while it succeeds: a guest that waits for every request is never kept waiting,
// and a host whose processors have others to run is not kept busy.
using Lamina.Core.Work;

namespace Lamina.Backends.Work;

/// <summary>Carries out polled work, from a wake to the next sleep.</summary>
/// <param name="work">The work.</param>
/// <param name="now">A clock in nanoseconds.</param>
internal sealed class Polling(IPolledWork work, Func<long> now)
{
    /// <summary>The look before a sleep, in nanoseconds: about what sleeping and waking cost.</summary>
    internal const long Look = 40_000;

    /// <summary>How long what is done may be kept to itself for the next request, and for all of them together.</summary>
    internal const long Hold = 20_000, LongestHold = 100_000;

    /// <summary>Of so many batches one tries whether holding succeeds, where it did not before.</summary>
    internal const int TrialEvery = 32;

    // A hold that fails costs so much of what was gained by those that succeeded.
    private const int MostConfidence = 8, FailureCosts = 4;

    // After looks in vain it takes so many wakes that came early, at most, for another one.
    private const int MostDoubt = 8;

    private bool _looks;
    private int _doubt = 1;
    private int _early;
    private long _asleepSince = long.MinValue / 2;
    private int _confidence;
    private int _batches;

    /// <summary>Does all there is; returns when the other side will wake the worker.</summary>
    public void Run()
    {
        // Woken so soon that looking might have been worth it.
        if (!_looks && now() - _asleepSince < Look && ++_early >= _doubt) (_looks, _early) = (true, 0);
        do RunAll();
        while (!work.Rest());
        _asleepSince = now();
    }

    private void RunAll()
    {
        var held = 0L;
        while (true)
        {
            var more = work.Run();
            if (!more && MayHold(ref held)) continue;
            work.Tell();
            held = 0;
            if (more || work.IsWaiting) continue;
            if (!_looks) return;
            if (!LookFor(Look)) break;
            _doubt = Math.Max(_doubt / 2, 1);
        }
        _looks = false;
        _doubt = Math.Min(_doubt * 2, MostDoubt);
    }

    // Whether the next request came before what is done had to be told.
    private bool MayHold(ref long heldSince)
    {
        if (_confidence == 0 && ++_batches % TrialEvery != 0) return false;
        var time = now();
        if (heldSince == 0) heldSince = time;
        if (time - heldSince > LongestHold) return false;
        var came = LookFor(Hold);
        _confidence = came ? Math.Min(_confidence + 1, MostConfidence) : Math.Max(_confidence - FailureCosts, 0);
        return came;
    }

    private bool LookFor(long duration)
    {
        if (work.IsWaiting) return true;
        var end = now() + duration;
        while (now() < end)
        {
            Thread.SpinWait(8);
            if (work.IsWaiting) return true;
        }
        return false;
    }
}
