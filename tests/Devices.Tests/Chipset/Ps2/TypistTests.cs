// Who types for programs: in order, no quicker than the guest reads, not in a pause, and not for ever.
using Lamina.Core.Input;
using Lamina.Devices.Chipset.Ps2;
using Xunit;

namespace Lamina.Tests.Devices.Chipset.Ps2;

public sealed class TypistTests
{
    private static readonly TimeSpan Pace = TimeSpan.FromMilliseconds(10);

    private readonly Ps2Rig _rig = new Ps2Rig().Started();
    private readonly Typist _typist;

    public TypistTests() => _typist = new Typist(_rig.Clock, _rig.Controller);

    private static IReadOnlyList<KeyStroke> Strokes(string text) => KeyboardLayout.All[0].Write(text).Strokes;

    private int[] Watch(long time)
    {
        var codes = new List<int>();
        for (var past = 0L; past < time; past += Ps2Rig.ByteTime) codes.AddRange(_rig.Read());
        return [.. codes];
    }

    [Fact]
    public async Task A_text_arrives_whole_and_its_end_is_told_when_it_was_read()
    {
        var typed = _typist.TypeAsync(Strokes("aB"), Pace)!;
        Assert.False(typed.IsCompleted);
        Assert.Equal([0x1e, 0x9e, 0x2a, 0x30, 0xb0, 0xaa], Watch(1_000_000_000));
        Assert.True(await typed);
    }

    [Fact]
    public async Task Orders_come_one_behind_the_other()
    {
        var (first, second) = (_typist.TypeAsync(Strokes("ab"), Pace)!, _typist.TypeAsync(Strokes("c"), Pace)!);
        Assert.Equal([0x1e, 0x9e, 0x30, 0xb0, 0x2e, 0xae], Watch(1_000_000_000));
        Assert.True(await first && await second);
    }

    [Fact]
    public async Task A_guest_that_reads_nothing_is_typed_to_no_longer_and_a_key_is_not_left_down()
    {
        var typed = _typist.TypeAsync(Strokes("abc"), Pace)!;
        _rig.Clock.Advance(20_000_000_000);
        Assert.False(await typed);
        Assert.Equal([0x1e, 0x9e], _rig.Read());
    }

    [Fact]
    public async Task A_reset_ends_it()
    {
        var typed = _typist.TypeAsync(Strokes("abc"), Pace)!;
        _typist.Reset();
        Assert.False(await typed);
    }

    [Fact]
    public void No_more_than_so_much_waits()
    {
        for (var i = 0; i < Typist.MostWaiting / Typist.MostStrokes; i++) Assert.NotNull(_typist.TypeAsync(Strokes(new string('a', Typist.MostStrokes)), Pace));
        Assert.Null(_typist.TypeAsync(Strokes("a"), Pace));
    }
}
