// Waiting for a screen, by a clock that a test turns.
using Lamina.Core.Display;
using Lamina.Screens;
using Lamina.Tests.Machines.Life;
using Xunit;

namespace Lamina.Tests.Machines.Screens;

public sealed class ScreenWaitTests
{
    private static readonly TimeSpan Tick = TimeSpan.FromMilliseconds(50);

    private readonly TurnedTime _time = new();
    private readonly TestScreen _screen = new();
    private bool _ended;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    private ScreenWait Wait => new(_screen, () => _ended, _time);

    private async Task TurnAsync(Task until, TimeSpan by)
    {
        for (var passed = TimeSpan.Zero; passed < by && !until.IsCompleted; passed += Tick)
        {
            _time.Advance(Tick);
            await Task.Yield();
        }
    }

    [Fact]
    public async Task A_text_is_found_where_it_stands_in_one_row()
    {
        _screen.Show("login", ":");
        var wait = Wait.ForTextAsync("login:", Token);
        await TurnAsync(wait, TimeSpan.FromSeconds(1));
        Assert.False(wait.IsCompleted);
        _screen.Show("", "host login: ");
        while (!wait.IsCompleted) await TurnAsync(wait, Tick);
        Assert.Equal("host login:", (await wait).Line(1));
        Assert.Equal(0, _screen.Watches);
    }

    [Fact]
    public async Task A_screen_that_does_not_change_is_not_looked_at()
    {
        var wait = Wait.ForTextAsync("never", Token);
        await TurnAsync(wait, TimeSpan.FromSeconds(10));
        Assert.Equal(1, _screen.Looks);
        _ended = true;
        while (!wait.IsCompleted) await TurnAsync(wait, Tick);
        Assert.Equal(MachineError.State, (await Assert.ThrowsAsync<MachineException>(() => wait)).Error);
    }

    [Fact]
    public async Task Stillness_begins_anew_with_each_change_and_not_with_what_is_the_same()
    {
        var (wait, turned) = (Wait.ForStillnessAsync(TimeSpan.FromSeconds(1), Token), TimeSpan.Zero);
        while (!wait.IsCompleted)
        {
            if (turned < TimeSpan.FromSeconds(3)) _screen.Show($"{turned}");
            else _screen.Changed();
            await TurnAsync(wait, Tick);
            turned += Tick;
        }
        await wait;
        Assert.InRange(turned, TimeSpan.FromSeconds(3.9), TimeSpan.MaxValue);
    }

    private sealed class TestScreen : IScreen
    {
        private string[] _rows = [""];
        private int _changes;

        internal int Watches { get; private set; }

        internal int Looks { get; private set; }

        public string Mode => "text";

        internal void Show(params string[] rows)
        {
            _rows = rows;
            Changed();
        }

        internal void Changed() => _changes++;

        public ScreenPicture Look(ScreenPicture? reuse = null) => new(1, 1, [(uint)string.Concat(_rows).GetHashCode(StringComparison.Ordinal)]);

        public ScreenText Read()
        {
            Looks++;
            return new ScreenText(20, _rows.Length, [.. _rows.SelectMany(row => row.PadRight(20)).Select(letter => new ScreenCell(letter, 7))], null);
        }

        ScreenText? IScreen.Read() => Read();

        public IScreenWatch Watch()
        {
            Watches++;
            return new Follower(this);
        }

        private sealed class Follower(TestScreen screen) : IScreenWatch
        {
            private int _seen = -1;

            public bool HasChanged()
            {
                var changed = screen._changes != _seen;
                _seen = screen._changes;
                return changed;
            }

            public void Dispose() => screen.Watches--;
        }
    }
}
