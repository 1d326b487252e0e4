// A thread looks for its wake-up only after a sleep that was short. The clock here goes on by a step each time that it is looked at.
using Lamina.Host.Threads;
using Xunit;

namespace Lamina.Tests.Backends.Host;

public sealed class ShortSleepsTests
{
    private readonly ThreadParker _place = new();
    private long _now, _step;
    private int _looked, _wakesAt;

    [Fact]
    public void Looks_begin_and_grow_with_short_sleeps_and_end_with_a_long_one()
    {
        var sleeps = new ShortSleeps(Now);
        Assert.Equal(0, sleeps.Look);
        Sleep(sleeps, ShortSleeps.Most, wakesAt: 1);
        var first = sleeps.Look;
        Assert.InRange(first, 1, ShortSleeps.Most / 2);

        // What is there when it is looked for is taken, and the next look is as long.
        Sleep(sleeps, 1, wakesAt: 1);
        Assert.Equal((first, false), (sleeps.Look, _place.TakeSignal()));

        // It comes when the look is over: that one was too short, and then too long.
        Sleep(sleeps, first, wakesAt: 2);
        Assert.Equal(2 * first, sleeps.Look);
        Sleep(sleeps, ShortSleeps.Most, wakesAt: 2);
        Assert.Equal(0, sleeps.Look);
    }

    [Fact]
    public void Nobody_looks_where_there_is_one_processor()
    {
        var sleeps = new ShortSleeps(Now, alone: true);
        _place.Unpark();

        sleeps.Park(_place);

        Assert.Equal((0L, 0), (sleeps.Look, _looked));
    }

    private long Now()
    {
        if (++_looked == _wakesAt) _place.Unpark();
        return _now += _step;
    }

    private void Sleep(ShortSleeps sleeps, long step, int wakesAt)
    {
        (_step, _looked, _wakesAt) = (step, 0, wakesAt);
        sleeps.Park(_place);
    }
}
