// The small parts: addresses, sums, rings, gaps and fragments.
using System.Net;
using Lamina.Backends.Net.User;
using Lamina.Backends.Net.User.Transport;
using Lamina.Backends.Net.Wire;
using Lamina.Core.Net;
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
        Assert.Equal(0xddf2, InternetChecksum.Fold(InternetChecksum.Add(0, [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])));
        Assert.Equal(0xddf2 + 0x0100, InternetChecksum.Fold(InternetChecksum.Add(0, [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7, 0x01])));
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

            Assert.Equal(InternetChecksum.Fold(plain), InternetChecksum.Fold(InternetChecksum.Add(0, bytes)));
        }
    }

    [Fact]
    public void A_ring_keeps_the_order_however_it_grows_and_wraps()
    {
        var random = new Random(3);
        var budget = new BufferBudget(64 << 20);
        var ring = new ByteRing(budget);
        var model = new List<byte>();
        byte next = 0;
        for (var i = 0; i < 5000; i++)
        {
            switch (random.Next(3))
            {
                case 0:
                    var bytes = new byte[random.Next(3000)];
                    foreach (ref var b in bytes.AsSpan()) b = next++;
                    Assert.Equal(bytes.Length, ring.Append(bytes));
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
        ring.Release();
        Assert.Equal((0, 0), (budget.Taken, ring.Count));
    }

    [Fact]
    public void Rings_take_what_there_is_and_each_may_have_a_little()
    {
        var budget = new BufferBudget(90 << 10);
        var (large, small) = (new ByteRing(budget), new ByteRing(budget));

        // 64 KiB of 128: half of what it would like, since there is not more.
        Assert.Equal(64 << 10, large.Append(new byte[100 << 10]));
        Assert.True(large.SpaceFor(1).IsEmpty);
        Assert.Equal(32 << 10, small.Append(new byte[64 << 10]));
        Assert.Equal(BufferBudget.Least, new ByteRing(budget).Append(new byte[64 << 10]));
        Assert.Equal(BufferBudget.Least, budget.Limit);

        // With little left, an empty ring keeps no room.
        large.Drop(64 << 10);
        small.Drop(32 << 10);
        Assert.Equal(28 << 10, budget.Taken);
        Assert.Equal(64 << 10, large.Append(new byte[64 << 10]));
    }

    [Fact]
    public void Early_data_is_bounded()
    {
        var budget = new BufferBudget(1 << 20);
        var early = new OutOfOrder(budget);
        for (uint i = 1; i < 10_000; i++) early.Add(i * 10, new byte[10], 100_000);
        Assert.InRange(early.Bytes, 10, 2560);

        // Each counts with what is kept about it.
        Assert.Equal(early.Bytes + 64 * (early.Bytes / 10), budget.Taken);
        early.Clear();
        Assert.Equal(0, budget.Taken);

        for (uint i = 1; i < 100; i++) early.Add(i * 2000, new byte[1000], 5000);
        Assert.Equal(5000, early.Bytes);
        Assert.Equal(1000, early.Take(2000).Length);
        Assert.Equal(4 * 1064, budget.Taken);

        var last = new OutOfOrder(budget);
        for (uint i = 1; i < 100; i++) last.Add(i * 200_000, new byte[100_000], int.MaxValue);
        Assert.InRange(budget.Taken, (1 << 20) - 100_000, 1 << 20);
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
