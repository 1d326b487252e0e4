// When a card announces itself that has come to another place.
using Lamina.Devices.Ethernet;
using Lamina.Tests.Devices.Chipset;
using Xunit;

namespace Lamina.Tests.Devices.Ethernet;

public sealed class CardAnnouncerTests
{
    private const long Millisecond = 1_000_000;

    private readonly ManualClock _clock = new();
    private readonly List<long> _announced = [];

    [Fact]
    public void It_is_announced_soon_and_again_with_growing_intervals_and_no_more()
    {
        using var announcer = new CardAnnouncer(_clock, () => _announced.Add(_clock.NowNanoseconds / Millisecond));
        Pass(2000);
        Assert.Empty(_announced);

        announcer.Begin();
        Pass(5000);

        Assert.Equal([2050, 2100, 2250, 2500, 2850], _announced);
    }

    [Fact]
    public void What_begins_again_meanwhile_begins_anew()
    {
        using var announcer = new CardAnnouncer(_clock, () => _announced.Add(_clock.NowNanoseconds / Millisecond));
        announcer.Begin();
        Pass(60);

        announcer.Begin();
        Pass(5000);

        Assert.Equal([50, 110, 160, 310, 560, 910], _announced);
    }

    private void Pass(int milliseconds)
    {
        for (var i = 0; i < milliseconds; i++) _clock.Advance(Millisecond);
    }
}
