// When a polling worker looks, holds and sleeps, against guests of several kinds, with a clock that moves with every look.
using Lamina.Backends.Work;
using Lamina.Core.Work;
using Xunit;

namespace Lamina.Tests.Backends.Work;

public sealed class PollingTests
{
    private const long Glance = 1000;

    // A guest that keeps some requests under way. It adds one every so often, as long as fewer than its depth wait to be told of.
    private sealed class Guest(int depth, long interval, int total) : IPolledWork
    {
        private readonly Queue<long> _queued = [];
        private long _next;
        private int _added, _done, _told;

        public long Now { get; set; }

        public int Tells { get; private set; }

        public int Wakes { get; set; }

        public long LongestWait { get; private set; }

        public bool IsFinished => _told == total;

        public bool IsWaiting
        {
            get
            {
                while (Now >= _next && _added < total && _added - _told < depth)
                {
                    _queued.Enqueue(Math.Max(_next, 0));
                    _added++;
                    _next = Now + interval;
                }
                return _queued.Count > 0;
            }
        }

        public bool Run()
        {
            for (var i = 0; i < 16 && IsWaiting; i++)
            {
                LongestWait = Math.Max(LongestWait, Now - _queued.Dequeue());
                _done++;
            }
            return IsWaiting;
        }

        public void Tell()
        {
            if (_told != _done) Tells++;
            // The guest that waited goes on only now.
            if (_added - _told == depth) _next = Now + interval;
            _told = _done;
        }

        public bool Rest() => !IsWaiting;

        public void Live()
        {
            var polling = new Polling(this, () => Now += Glance);
            while (!IsFinished)
            {
                while (!IsWaiting) Now += Glance;
                Wakes++;
                polling.Run();
            }
        }
    }

    [Fact]
    public void A_guest_that_adds_requests_all_the_time_is_told_of_several_at_once_and_need_not_notify()
    {
        var guest = new Guest(depth: 32, interval: 10_000, total: 10_000);

        guest.Live();

        Assert.InRange(guest.Tells, 1, 2500);
        Assert.InRange(guest.Wakes, 1, 500);
    }

    [Fact]
    public void A_guest_that_waits_for_every_request_is_told_at_once()
    {
        var guest = new Guest(depth: 1, interval: 10_000, total: 10_000);

        guest.Live();

        Assert.Equal(10_000, guest.Tells);
        // One request a trial is held, in vain, and never for longer than that.
        Assert.InRange(guest.Now, 10_000 * 10_000L, 10_000 * (10_000L + 10 * Glance + Polling.Hold / 10));
    }

    [Fact]
    public void A_guest_with_seldom_requests_is_not_looked_after()
    {
        var guest = new Guest(depth: 32, interval: 10 * Polling.Look, total: 1000);

        guest.Live();

        Assert.Equal(1000, guest.Tells);
        Assert.Equal(1000, guest.Wakes);
        Assert.InRange(guest.LongestWait, 0, 10 * Glance);
    }

    [Fact]
    public void Looks_in_vain_become_rare()
    {
        // Wakes come early when the worker sleeps, and never when it looks, as where guest and worker have one processor.
        var time = 0L;
        var polling = new Polling(new Scripted { OnRun = () => { }, OnRest = () => true }, () => time += Glance / 10);

        for (var i = 0; i < 10_000; i++)
        {
            time += Polling.Look / 4;
            polling.Run();
        }

        Assert.InRange(time, 10_000 * Polling.Look / 4, 10_000 * Polling.Look / 2);
    }

    [Fact]
    public void What_comes_between_the_last_look_and_sleep_is_done()
    {
        var rests = 0;
        var runs = 0;
        var work = new Scripted { OnRun = () => runs++, OnRest = () => ++rests == 3 };

        new Polling(work, () => 0).Run();

        Assert.Equal(3, runs);
    }

    private sealed class Scripted : IPolledWork
    {
        public required Action OnRun { get; init; }

        public required Func<bool> OnRest { get; init; }

        public bool IsWaiting => false;

        public bool Run()
        {
            OnRun();
            return false;
        }

        public void Tell()
        {
        }

        public bool Rest() => OnRest();
    }
}
