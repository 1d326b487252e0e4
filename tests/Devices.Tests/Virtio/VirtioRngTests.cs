using Lamina.Core.Entropy;
using Lamina.Devices.Virtio.Rng;
using Xunit;

namespace Lamina.Tests.Devices.Virtio;

public class VirtioRngTests : IDisposable
{
    private const ulong RingAt = TestGuest.Ram;
    private const ulong Data = TestGuest.Ram + 0x1_0000;

    private readonly VirtioRng _rng = new(new Counting());
    private readonly TestGuest _guest;

    public VirtioRngTests() => _guest = new TestGuest(_rng);

    public void Dispose() => _guest.Dispose();

    /// <summary>"Random" bytes 1, 2, 3 … that show what came from where.</summary>
    private sealed class Counting : IEntropySource
    {
        private byte _next = 1;

        public void Fill(Span<byte> destination)
        {
            foreach (ref var b in destination) b = _next++;
        }
    }

    private SplitDriver Start()
    {
        Assert.Equal(11u, _guest.Negotiate(TestFeatures.Plain));
        var ring = new SplitDriver(_guest, 0, 64, RingAt).Place();
        _guest.DriverOk();
        return ring;
    }

    [Fact]
    public void It_is_an_entropy_device_with_one_queue_and_an_empty_configuration_space()
    {
        Assert.Equal(4u, _guest.Read(0x08));
        Assert.Equal(64u, _guest.Read(0x34));
        _guest.Write(0x30, 1);
        Assert.Equal(0u, _guest.Read(0x34));
        Assert.Equal(new byte[4], _guest.ReadConfig(0, 4));
        _guest.Transport.Write(0x100, [1, 2, 3, 4]);
        Assert.Equal(new byte[4], _guest.ReadConfig(0, 4));
    }

    [Fact]
    public void A_buffer_is_filled_across_its_parts()
    {
        var ring = Start();
        ring.Offer(new Part(Data, 3, true), new Part(Data + 0x100, 5, true));

        _guest.Notify(0);

        Assert.Equal((0u, 8u), ring.TakeUsed());
        Assert.Equal(0x0003_0201u, _guest.Load<uint>(Data));
        Assert.Equal(0x0706_0504u, _guest.Load<uint>(Data + 0x100));
        Assert.Equal(8, _guest.Load<byte>(Data + 0x104));
        Assert.Equal(8, _rng.Bytes);
        Assert.Equal(1, _rng.Requests);
    }

    [Fact]
    public void A_huge_buffer_is_filled_in_part_only()
    {
        var ring = Start();
        ring.Offer(new Part(Data, 0x20_0000, true));

        _guest.Notify(0);

        Assert.Equal((0u, 65536u), ring.TakeUsed());
        Assert.Equal(0, _guest.Load<int>(Data + 65536));
    }

    [Fact]
    public void An_empty_buffer_comes_back_empty()
    {
        var ring = Start();
        ring.Offer(new Part(Data, 0, true));

        _guest.Notify(0);

        Assert.Equal((0u, 0u), ring.TakeUsed());
    }

    [Fact]
    public void A_readable_buffer_breaks_the_device()
    {
        var ring = Start();
        ring.Offer(new Part(Data, 8), new Part(Data + 8, 8, true));

        _guest.Notify(0);

        Assert.True(_guest.NeedsReset);
        Assert.Null(ring.TakeUsed());
    }

    [Fact]
    public void A_ring_full_of_requests_is_answered_whole()
    {
        var ring = Start();
        for (var i = 0; i < 64; i++) ring.Offer(new Part(Data + (ulong)i * 16, 16, true));

        _guest.Notify(0);

        for (var i = 0; i < 64; i++) Assert.Equal(16u, ring.TakeUsed()!.Value.Length);
        Assert.Equal(64, _rng.Requests);
    }
}
