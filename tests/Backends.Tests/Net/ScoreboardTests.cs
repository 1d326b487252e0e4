// What the guest tells of ranges it has, against a plain set of numbers; and guests that tell what cannot be.
using Lamina.Backends.Net.User.Transport;
using Xunit;

namespace Lamina.Tests.Backends.Net;

public sealed class ScoreboardTests
{
    private const int Mss = 10;

    // So that everything wraps around.
    private const uint Una = uint.MaxValue - 200, End = 199;

    [Fact]
    public void Whatever_ranges_come_in_whatever_order_it_says_what_a_set_of_numbers_says()
    {
        var random = new Random(1);
        for (var run = 0; run < 500; run++)
        {
            var (board, told) = (new Scoreboard(), new SortedSet<int>());
            var una = 0;
            for (var step = 0; step < 30; step++)
            {
                var (start, length) = (random.Next(una, 395), random.Next(0, 30));
                var end = Math.Min(start + length, 400);
                var isNew = board.Add(Una + (uint)start, Una + (uint)end, Una + (uint)una, End);
                var before = told.Count;
                if (start > una) told.UnionWith(Enumerable.Range(start, end - start));
                Assert.Equal(told.Count != before, isNew);
                if (random.Next(10) == 0)
                {
                    una = random.Next(una, 100 + una / 2);
                    told.RemoveWhere(at => at < una);
                    board.Advance(Una + (uint)una);
                }
                var sentAgain = random.Next(una, 400);

                Assert.Equal(Pipe(told, una, sentAgain), board.Pipe(Una + (uint)una, End, Una + (uint)sentAgain, Mss));
                var found = board.TryFindLost(Una + (uint)sentAgain, Mss, out var lostStart, out var lostLength);
                var expected = Enumerable.Range(sentAgain, 400 - sentAgain).FirstOrDefault(at => !told.Contains(at) && told.Any(other => other > at), -1);
                Assert.Equal(expected >= 0 && IsLost(told, expected), found);
                if (!found) continue;
                Assert.Equal(Una + (uint)expected, lostStart);
                Assert.Equal(Math.Min(Mss, told.First(at => at > expected) - expected), lostLength);
            }
        }
    }

    [Theory]
    [InlineData(10, 10)]
    [InlineData(20, 10)]
    [InlineData(-5, 10)]
    [InlineData(0, 10)]
    [InlineData(390, 401)]
    [InlineData(500, 600)]
    public void What_cannot_be_says_nothing(int start, int end)
    {
        var board = new Scoreboard();

        Assert.False(board.Add(Una + (uint)start, Una + (uint)end, Una, End));
        Assert.False(board.IsLost(Una, Mss));
    }

    [Fact]
    public void No_guest_makes_it_grow_without_bound()
    {
        var (board, taken) = (new Scoreboard(), 0);

        for (var i = 1u; i < 100_000; i += 2)
            if (board.Add(i, i + 1, 0, 100_000)) taken++;

        Assert.InRange(taken, 16, 1024);
    }

    // RFC 6675, 4, number by number.
    private static bool IsLost(SortedSet<int> told, int at)
    {
        var above = told.Where(other => other > at).ToArray();
        return above.Length > 2 * Mss || above.Count(other => !told.Contains(other - 1)) >= 3;
    }

    private static int Pipe(SortedSet<int> told, int una, int sentAgain) =>
        Enumerable.Range(una, 400 - una).Where(at => !told.Contains(at)).Sum(at => (IsLost(told, at) ? 0 : 1) + (at < sentAgain ? 1 : 0));
}
