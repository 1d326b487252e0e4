// A network card that has come to another place, and its driver.
using Lamina.Devices.Virtio.Net;
using Xunit;

namespace Lamina.Tests.Devices.Virtio;

public sealed partial class VirtioNetTests
{
    [Fact]
    public void At_another_place_the_network_is_told_where_the_card_is_and_the_driver_asked_to_tell_it()
    {
        Start(ControlQueue | GuestAnnounce | 1 << 16);
        var (card, generation) = ((VirtioNet)_net.Receiver, _guest.Read(0xfc));

        card.Announce();

        // RFC 903: everybody is asked for the address that belongs to the card's.
        byte[] request = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, .. Mac, 0x80, 0x35, 0, 1, 8, 0, 6, 4, 0, 3, .. Mac, 0, 0, 0, 0, .. Mac, 0, 0, 0, 0, .. new byte[18]];
        Assert.Equal(request, Assert.Single(_net.Sent).Frame);
        Assert.Equal(2u, _guest.Acknowledge());
        Assert.Equal([3, 0], _guest.ReadConfig(6, 2));
        Assert.NotEqual(generation, _guest.Read(0xfc));
        Assert.Equal(0, Command(3, 0));
        Assert.Equal([1, 0], _guest.ReadConfig(6, 2));
        // Nobody asked for this one, and there is no other command.
        Assert.Equal(1, Command(3, 0));
        card.Announce();
        Assert.Equal(1, Command(3, 1));
        Assert.Equal([3, 0], _guest.ReadConfig(6, 2));
        // A driver that begins anew was not asked.
        _guest.Write(0x70, 0);
        Assert.Equal([1, 0], _guest.ReadConfig(6, 2));
    }

    [Fact]
    public void A_driver_that_announces_nothing_is_not_asked_and_a_card_without_a_network_says_nothing()
    {
        Start(ControlQueue | ControlMac | 1 << 16);
        var card = (VirtioNet)_net.Receiver;
        Assert.Equal(0, Command(1, 1, 2, 0, 0, 0, 0, 8));
        _guest.Acknowledge();

        card.Announce();

        // By the address that the driver gave it.
        Assert.Equal([2, 0, 0, 0, 0, 8], Assert.Single(_net.Sent).Frame[6..12]);
        Assert.Equal(0u, _guest.Acknowledge());
        Assert.Equal([1, 0], _guest.ReadConfig(6, 2));
        Assert.Equal(1, Command(3, 0));
        card.IsPlugged = false;
        card.Announce();
        card.IsPlugged = true;
        _net.SetLink(false);
        card.Announce();
        Assert.Single(_net.Sent);
    }
}
