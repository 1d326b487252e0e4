using Lamina.Cli;
using Xunit;

namespace Lamina.Tests.Cli;

public sealed class ValuesTests
{
    [Theory]
    [InlineData("0", 0ul)]
    [InlineData("4096", 4096ul)]
    [InlineData("4096B", 4096ul)]
    [InlineData("16M", 16ul << 20)]
    [InlineData("16m", 16ul << 20)]
    [InlineData("16MB", 16ul << 20)]
    [InlineData("512MiB", 512ul << 20)]
    [InlineData("1 GiB", 1ul << 30)]
    [InlineData("2T", 2ul << 40)]
    [InlineData("15E", 15ul << 60)]
    public void Sizes_are_read_in_powers_of_1024(string text, ulong bytes)
    {
        Assert.True(ByteSize.TryParse(text, out var parsed));
        Assert.Equal(bytes, parsed);
    }

    [Theory]
    [InlineData("")]
    [InlineData("M")]
    [InlineData("-1M")]
    [InlineData("+1M")]
    [InlineData("1.5G")]
    [InlineData("1X")]
    [InlineData("1Mi")]
    [InlineData("1MM")]
    [InlineData("0x10")]
    [InlineData(" 1")]
    [InlineData("16E")]
    [InlineData("99999999999999999999")]
    [InlineData("18446744073709551615K")]
    public void What_is_no_size_is_refused(string text) => Assert.False(ByteSize.TryParse(text, out _));

    [Theory]
    [InlineData(0ul, "0 B")]
    [InlineData(1023ul, "1023 B")]
    [InlineData(1024ul, "1 KiB")]
    [InlineData(18_585_140ul, "17.7 MiB")]
    [InlineData(ulong.MaxValue, "16 EiB")]
    public void Sizes_are_written_for_people(ulong bytes, string text) => Assert.Equal(text, ByteSize.Format(bytes));

    [Theory]
    [InlineData("90", 90_000)]
    [InlineData("90s", 90_000)]
    [InlineData("1.5s", 1_500)]
    [InlineData("500ms", 500)]
    [InlineData("5m", 300_000)]
    [InlineData("5min", 300_000)]
    [InlineData("2h", 7_200_000)]
    [InlineData("1d", 86_400_000)]
    public void Durations_are_read_with_their_unit(string text, double milliseconds)
    {
        Assert.True(Duration.TryParse(text, out var duration));
        Assert.Equal(milliseconds, duration.TotalMilliseconds);
    }

    [Theory]
    [InlineData("")]
    [InlineData("s")]
    [InlineData("0")]
    [InlineData("0.1ms")]
    [InlineData("-5s")]
    [InlineData("5 s")]
    [InlineData("5y")]
    [InlineData("1.2.3s")]
    [InlineData("1e3s")]
    [InlineData("99999999999999999999d")]
    [InlineData("NaN")]
    public void What_is_no_duration_is_refused(string text) => Assert.False(Duration.TryParse(text, out _));

    [Theory]
    [InlineData("xterm-256color", 24, 80, " TERM=xterm-256color LINES=24 COLUMNS=80")]
    [InlineData("xterm", 0, 0, " TERM=xterm")]
    [InlineData(null, 24, 80, " LINES=24 COLUMNS=80")]
    [InlineData("evil init=/bin/sh", 24, 80, " LINES=24 COLUMNS=80")]
    public void The_guest_is_told_of_a_terminal_only_what_is_plain(string? kind, int lines, int columns, string words) =>
        Assert.Equal(words, TerminalWords.Describe(kind, lines, columns));

    [Theory]
    [InlineData("run", "run", 0)]
    [InlineData("rnu", "run", 1)]
    [InlineData("--memry", "--memory", 1)]
    [InlineData("", "run", 3)]
    [InlineData("image", "run", 5)]
    public void The_distance_of_words_counts_slips_of_the_hand(string a, string b, int distance) => Assert.Equal(distance, Spelling.Distance(a, b));
}
