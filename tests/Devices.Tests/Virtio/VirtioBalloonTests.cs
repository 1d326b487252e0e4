// The memory balloon from its driver's side. A page that went back to the host reads as zeros.
using System.Buffers.Binary;
using Lamina.Core.Memory;
using Lamina.Devices.Virtio.Balloon;
using Xunit;

namespace Lamina.Tests.Devices.Virtio;

public sealed class VirtioBalloonTests : IDisposable
{
    private const ulong RingAt = TestGuest.Ram, Data = TestGuest.Ram + 0x10_0000, Pages = TestGuest.Ram + 0x20_0000;
    private const ulong Statistics = 1 << 1, Reporting = 1 << 5;
    private const uint Page = 4096;

    private readonly TestGuest _guest;
    private VirtioBalloon _balloon = null!;

    public VirtioBalloonTests() => _guest = new TestGuest(memory => _balloon = new VirtioBalloon(memory));

    public void Dispose() => _guest.Dispose();

    [Fact]
    public void The_target_is_told_and_the_drivers_answer_is_heard()
    {
        Start(Statistics | Reporting);
        _balloon.Target = 5 * Page + 100;

        Assert.Equal(2u, _guest.Acknowledge() & 2);
        Assert.Equal(5u, BinaryPrimitives.ReadUInt32LittleEndian(_guest.ReadConfig(0, 4)));
        _guest.Write(0x104, 3);
        _guest.Write(0x100, 77);
        Assert.Equal((5ul * Page, 3ul * Page), (_balloon.Target, _balloon.Actual));
    }

    [Fact]
    public void Pages_that_are_put_into_the_balloon_go_back_to_the_host()
    {
        var rings = Start(Statistics | Reporting);
        Fill(Pages, 6);
        uint[] numbers = [Number(0), Number(1), Number(5), Number(3), Number(2)];
        for (var i = 0; i < numbers.Length; i++) _guest.Store(Data + (ulong)i * 4, numbers[i]);
        _guest.Watcher.Writes.Clear();

        rings[0].Offer(new Part(Data, 20));
        _guest.Notify(0);

        Assert.Equal([true, true, true, true, false, true], Enumerable.Range(0, 6).Select(IsZero));
        Assert.Equal(5 * Page, _balloon.Returned);
        Assert.Contains((Pages, 2ul * Page), _guest.Watcher.Writes);
        Assert.Contains((Pages + 2 * Page, 2ul * Page), _guest.Watcher.Writes);
        Assert.Equal((0u, 0u), rings[0].TakeUsed());
    }

    [Fact]
    public void Free_pages_that_are_reported_go_back_to_the_host()
    {
        var rings = Start(Statistics | Reporting);
        Fill(Pages, 4);

        rings[3].Offer(new Part(Pages, 2 * Page, true), new Part(Pages + 3 * Page, Page, true));
        _guest.Notify(3);

        Assert.Equal([true, true, false, true], Enumerable.Range(0, 4).Select(IsZero));
        Assert.Equal(3 * Page, _balloon.Returned);
    }

    [Fact]
    public void A_part_of_a_page_stays_and_so_does_what_is_no_memory()
    {
        var rings = Start(Statistics | Reporting);
        Fill(Pages, 3);
        rings[3].Offer(new Part(Pages + 1, 2 * Page, true));
        _guest.Notify(3);
        Assert.Equal([false, true, false], Enumerable.Range(0, 3).Select(IsZero));

        _guest.Store(Data, uint.MaxValue);
        _guest.Store(Data + 4, 0u);
        rings[0].Offer(new Part(Data, 7));
        rings[0].Offer(new Part(Data, 0));
        _guest.Notify(0);

        Assert.Equal(Page, _balloon.Returned);
        Assert.False(_guest.NeedsReset);
        Assert.NotNull(rings[0].TakeUsed());
    }

    [Fact]
    public void Without_statistics_the_queue_of_free_pages_is_the_third()
    {
        var rings = Start(Reporting);
        Fill(Pages, 1);

        rings[2].Offer(new Part(Pages, Page, true));
        _guest.Notify(2);

        Assert.True(IsZero(0));
    }

    [Fact]
    public void Statistics_are_kept_and_asked_for_anew()
    {
        var rings = Start(Statistics | Reporting);
        PutStatistic(0, 4, 1234);
        PutStatistic(1, 5, 9999);
        PutStatistic(2, 77, 1);
        rings[2].Offer(new Part(Data, 30));
        _guest.Notify(2);

        Assert.Equal((1234ul, 9999ul), (_balloon.Statistics[BalloonStatistic.Free], _balloon.Statistics[BalloonStatistic.Total]));
        Assert.Equal(2, _balloon.Statistics.Count);
        Assert.Null(rings[2].TakeUsed());
        _balloon.RequestStatistics();
        _balloon.RequestStatistics();
        _guest.Workers.Run();
        Assert.Equal((0u, 0u), rings[2].TakeUsed());
        Assert.Null(rings[2].TakeUsed());
        PutStatistic(0, 4, 5678);
        rings[2].Offer(new Part(Data, 10));
        _guest.Notify(2);
        Assert.Equal(5678ul, _balloon.Statistics[BalloonStatistic.Free]);

        _guest.Write(0x70, 0);
        _balloon.RequestStatistics();
        Assert.Empty(_balloon.Statistics);
    }

    private static uint Number(uint page) => (uint)(Pages / Page) + page;

    private SplitDriver[] Start(ulong features)
    {
        Assert.Equal(11u, _guest.Negotiate(TestFeatures.Plain | features));
        SplitDriver[] rings = [.. Enumerable.Range(0, 4).Select(i => new SplitDriver(_guest, (uint)i, 16, RingAt + (ulong)i * 0x1000).Place())];
        _guest.DriverOk();
        return rings;
    }

    private void Fill(ulong at, int pages) => _guest.Memory.TryWrite(at, Enumerable.Repeat((byte)1, pages * (int)Page).ToArray());

    private bool IsZero(int page)
    {
        var bytes = new byte[Page];
        _guest.Memory.TryRead(Pages + (ulong)page * Page, bytes);
        return bytes.AsSpan().IndexOfAnyExcept((byte)0) < 0;
    }

    private void PutStatistic(ulong index, ushort tag, ulong value)
    {
        _guest.Store(Data + index * 10, tag);
        _guest.Store(Data + index * 10 + 2, value);
    }
}
