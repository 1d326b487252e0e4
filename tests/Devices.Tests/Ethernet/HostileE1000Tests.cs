// Drivers that mean ill: random registers, rings and descriptors. Nothing outside of the guest's memory is touched, every call comes to its end, and no
// frame is longer than a packet can be.
using Lamina.Core.Net;
using Lamina.Core.State;
using Lamina.Devices.Ethernet;
using Xunit;

namespace Lamina.Tests.Devices.Ethernet;

public sealed class HostileE1000Tests
{
    private const uint End = 1 << 24;

    public static TheoryData<string, bool> Kinds => new() { { "e1000", false }, { "e1000", true }, { "e1000e", false }, { "e1000e", true } };

    private static readonly int[] s_registers =
    [
        0x0, 0x8, 0x10, 0x14, 0x18, 0x20, 0xc0, 0xc4, 0xc8, 0xd0, 0xd8, 0xdc, 0xe0, 0xe4, 0xe8, 0x100, 0x400, 0x2170, 0x2800, 0x2808, 0x2810, 0x2818, 0x2818, 0x2820, 0x282c, 0x2900, 0x2908, 0x2910, 0x2918,
        0x3800, 0x3808, 0x3810, 0x3818, 0x3818, 0x3818, 0x3820, 0x382c, 0x3900, 0x3908, 0x3910, 0x3918, 0x5000, 0x5008, 0x5818, 0x5b50, 0x5c00, 0x5400, 0x5404,
    ];

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Random_drivers_do_no_harm(string model, bool cuts)
    {
        using var guest = new E1000Guest(model == "e1000" ? E1000Model.E1000 : E1000Model.E1000e, cuts ? new Lamina.Tests.Devices.Virtio.TestNet().Offloads : NetOffloads.None).Started();
        var random = new Random(8254 + model.Length);
        var rounds = Environment.GetEnvironmentVariable("LAMINA_TEST_ALL") == "1" ? 10_000_000 : 1_000_000;
        var frame = TestFrames.Of(1000);
        var longest = 0;
        for (var round = 0; round < rounds / 4; round++)
        {
            switch (random.Next(12))
            {
                case < 6:
                    guest.Write(s_registers[random.Next(s_registers.Length)], Value());
                    break;
                case < 8:
                    guest.Read(random.Next(4) == 0 ? random.Next(0x8000) * 4 : s_registers[random.Next(s_registers.Length)]);
                    break;
                case 8:
                    guest.Write(random.Next(0x8000) * 4, Value());
                    break;
                case 9:
                    // A ring of what is nearly right: mostly ends, small lengths, contexts.
                    guest.Memory.TryWrite((ulong)random.Next(0x400) * 16 + E1000Guest.TransmitRing, (ulong)random.Next(2) * (uint)random.Next() | (uint)random.Next(0x7f_ffff));
                    guest.Memory.TryWrite((ulong)random.Next(0x400) * 16 + E1000Guest.TransmitRing + 8, (uint)random.Next(0x800) | (uint)random.Next(256) << 24 | (uint)random.Next(4) << 20);
                    guest.Memory.TryWrite((ulong)random.Next(0x400) * 16 + E1000Guest.TransmitRing + 12, (uint)random.NextInt64(uint.MaxValue));
                    break;
                case 10:
                    guest.Receive(frame.AsSpan(0, random.Next(14, frame.Length)));
                    break;
                default:
                    if (random.Next(50) == 0) guest.Started(Value() | 2);
                    guest.Clock.Advance(random.Next(100_000));
                    break;
            }
            guest.Workers.Run(3);
            foreach (var (sent, offload) in guest.Net.Sent)
            {
                longest = Math.Max(longest, sent.Length);
                Assert.True(!offload.NeedsChecksum || offload.ChecksumStart + offload.ChecksumOffset + 2 <= sent.Length);
                Assert.True(offload.Segmentation == NetOffloads.None || (offload.SegmentSize > 0 && offload.HeaderLength <= sent.Length));
            }
            guest.Net.Sent.Clear();
        }
        Assert.InRange(longest, 15, 65535 + 58);
        // It works for a driver that behaves.
        guest.Write(0, 1 << 26);
        guest.Started();
        guest.Write(0x3810, 0);
        guest.Write(0x3818, 0);
        guest.Workers.Run();
        guest.Net.Sent.Clear();
        Assert.True(guest.Receive(frame));
        Assert.Equal(3, guest.Received(0).Status & 3);

        uint Value() => random.Next(5) switch
        {
            0 => (uint)random.NextInt64(1L << 32),
            1 => 1u << random.Next(32),
            2 => (uint)random.Next(0x80) * 128,
            3 => (uint)random.Next(16),
            _ => (uint)random.Next(0x7f_ffff),
        };
    }

    [Theory]
    [InlineData("e1000")]
    [InlineData("e1000e")]
    public void A_frame_without_an_end_takes_no_more_memory_than_a_packet(string model)
    {
        using var guest = new E1000Guest(model == "e1000" ? E1000Model.E1000 : E1000Model.E1000e).Started();
        for (var i = 0; i < 20; i++)
        {
            for (var j = 0; j < 7; j++) guest.QueueRaw(E1000Guest.Data, 0xffff, 0);
            guest.Ring();
        }
        Assert.Empty(guest.Net.Sent);
        Assert.InRange(SavedFields.Write(1, guest.Card.Save).Length, 1, 100_000);
        guest.QueueRaw(E1000Guest.Data, 100 | End, 0);
        guest.Queue(TestFrames.Of(10), End);
        guest.Ring();
        Assert.Single(guest.Net.Sent);
    }

    [Theory]
    [InlineData("e1000")]
    [InlineData("e1000e")]
    public void Rings_and_buffers_that_are_nowhere_are_nothing(string model)
    {
        using var guest = new E1000Guest(model == "e1000" ? E1000Model.E1000 : E1000Model.E1000e).Started();
        guest.QueueRaw(0x4000_0000, 100 | End, 0);
        guest.Ring();
        Assert.Empty(guest.Net.Sent);
        guest.Memory.TryWrite(E1000Guest.ReceiveRing, 0x4000_0000ul);
        Assert.True(guest.Receive(TestFrames.Of(10)));
        guest.Write(0x3804, 1);
        guest.Write(0x3818, 7);
        guest.Workers.Run();
        guest.Write(0x2804, 1);
        Assert.True(guest.Receive(TestFrames.Of(10)));
        // A tail behind the ring's end, a ring of no length, heads anywhere.
        foreach (var register in (int[])[0x3818, 0x3810, 0x2818, 0x2810])
        {
            guest.Write(register, 0xffff);
            guest.Workers.Run();
            Assert.True(guest.Receive(TestFrames.Of(10)));
        }
        Assert.Empty(guest.Net.Sent);
    }
}
