// The small parts: addresses, sums, rings, gaps and fragments.
using System.Net;
using Lamina.Backends.Net.User;
using Lamina.Backends.Net.User.Transport;
using Lamina.Backends.Net.Wire;
using Xunit;

namespace Lamina.Tests.Backends.Net;

public class WireTests
{
    [Theory]
    [InlineData("192.0.2.1", true, false, false)]
    [InlineData("224.0.0.251", true, true, false)]
    [InlineData("169.254.1.1", true, false, true)]
    [InlineData("2001:db8::1", false, false, false)]
    [InlineData("ff02::1", false, true, false)]
    [InlineData("fe80::1", false, false, true)]
    [InlineData("febf::1", false, false, true)]
    [InlineData("fec0::1", false, false, false)]
    public void Addresses_know_what_they_are(string text, bool v4, bool group, bool link)
    {
        var address = IpAddr.Of(IPAddress.Parse(text));

        Assert.Equal((v4, group, link), (address.IsV4, address.IsGroup, address.IsLinkLocal));
        Assert.Equal(text, address.ToString());
        Assert.Equal(IPAddress.Parse(text), address.ToIPAddress());
    }

    [Fact]
    public void The_gateways_link_address_is_made_of_its_hardware_address() =>
        Assert.Equal("fe80::4c:41ff:fe4d:4902", new Addresses(new UserNetOptions()).Link6.ToString());

    [Fact]
    public void Sums_are_those_of_RFC_1071()
    {
        // RFC 1071, 3: the example's sum is ddf2.
        Assert.Equal(0xddf2, Checksum.Fold(Checksum.Add(0, [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])));
        Assert.Equal(0xddf2 + 0x0100, Checksum.Fold(Checksum.Add(0, [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7, 0x01])));
    }

    [Fact]
    public void A_sum_of_any_length_is_that_of_its_words()
    {
        var random = new Random(5);
        for (var length = 0; length < 200; length++)
        {
            var bytes = new byte[length];
            random.NextBytes(bytes);
            ulong plain = 0;
            for (var i = 0; i < length; i++) plain += (ulong)bytes[i] << (i % 2 == 0 ? 8 : 0);

            Assert.Equal(Checksum.Fold(plain), Checksum.Fold(Checksum.Add(0, bytes)));
        }
    }

    [Fact]
    public void A_ring_keeps_the_order_however_it_grows_and_wraps()
    {
        var random = new Random(3);
        var ring = new ByteRing();
        var model = new List<byte>();
        byte next = 0;
        for (var i = 0; i < 5000; i++)
        {
            switch (random.Next(3))
            {
                case 0:
                    var bytes = new byte[random.Next(3000)];
                    foreach (ref var b in bytes.AsSpan()) b = next++;
                    ring.Append(bytes);
                    model.AddRange(bytes);
                    break;
                case 1 when model.Count < 200_000:
                    var space = ring.SpaceFor(random.Next(1, 5000));
                    Assert.False(space.IsEmpty);
                    foreach (ref var b in space) model.Add(b = next++);
                    ring.Commit(space.Length);
                    break;
                default:
                    var count = random.Next(model.Count + 1);
                    Assert.Equal(model[..ring.First.Length], ring.First.ToArray());
                    ring.Drop(count);
                    model.RemoveRange(0, count);
                    break;
            }
            Assert.Equal(model.Count, ring.Count);
            var from = random.Next(model.Count + 1);
            var copy = new byte[random.Next(model.Count - from + 1)];
            if (copy.Length != 0) ring.CopyTo(from, copy);
            Assert.Equal(model.GetRange(from, copy.Length), copy);
        }
    }

    [Fact]
    public void Early_data_is_bounded()
    {
        var early = new OutOfOrder();
        for (uint i = 1; i < 10_000; i++) early.Add(i * 10, new byte[10], 100_000);
        Assert.InRange(early.Bytes, 10, 2560);

        early = new OutOfOrder();
        for (uint i = 1; i < 100; i++) early.Add(i * 2000, new byte[1000], 5000);
        Assert.Equal(5000, early.Bytes);
    }

    [Fact]
    public void Fragments_that_overlap_make_no_packet()
    {
        var reassembly = new Reassembly(() => 0);
        var key = new FragmentKey(UserLab.Guest, UserLab.Gateway, 1, 17);

        Assert.Null(reassembly.Add(key, 0, new byte[16], more: true));
        Assert.Null(reassembly.Add(key, 8, new byte[16], more: true));
        Assert.Null(reassembly.Add(key, 16, new byte[8], more: false));
        Assert.Null(reassembly.Add(key, 24, new byte[8], more: false));
    }

    [Fact]
    public void A_repeated_fragment_is_harmless()
    {
        var reassembly = new Reassembly(() => 0);
        var key = new FragmentKey(UserLab.Guest, UserLab.Gateway, 1, 17);

        Assert.Null(reassembly.Add(key, 0, [1, 2, 3, 4, 5, 6, 7, 8], more: true));
        Assert.Null(reassembly.Add(key, 0, [1, 2, 3, 4, 5, 6, 7, 8], more: true));

        Assert.Equal([1, 2, 3, 4, 5, 6, 7, 8, 9], reassembly.Add(key, 8, [9], more: false)!.Value.ToArray());
        Assert.Equal(0, reassembly.Count);
    }

    [Theory]
    [InlineData(65528, 8, false)]
    [InlineData(0, 7, true)]
    [InlineData(8, 0, true)]
    public void Fragments_that_cannot_be_are_not_kept(int offset, int length, bool more)
    {
        var reassembly = new Reassembly(() => 0);

        Assert.Null(reassembly.Add(new FragmentKey(UserLab.Guest, UserLab.Gateway, 1, 17), offset, new byte[length], more));

        Assert.Equal(0, reassembly.Count);
    }

    [Fact]
    public void Packets_that_never_become_whole_are_few_and_forgotten()
    {
        long now = 0;
        var reassembly = new Reassembly(() => now);
        for (uint i = 0; i < 1000; i++) Assert.Null(reassembly.Add(new FragmentKey(UserLab.Guest, UserLab.Gateway, i, 17), 8, new byte[8], more: true));
        Assert.Equal(16, reassembly.Count);

        now = 40_000;
        Assert.Null(reassembly.Add(new FragmentKey(UserLab.Guest, UserLab.Gateway, 5000, 17), 8, new byte[8], more: true));

        Assert.Equal(1, reassembly.Count);
    }
}
