// The block device over a disk with a ring: requests under way end when the test says so, in any order, and well or badly.
using System.Diagnostics.CodeAnalysis;
using Lamina.Core.Block;
using Lamina.Core.Logging;
using Lamina.Devices.Virtio.Block;
using Lamina.Host;
using Lamina.Host.Io;
using Xunit;

namespace Lamina.Tests.Devices.Virtio;

public sealed class VirtioBlockRingTests : IDisposable
{
    private const ulong RingAt = TestGuest.Ram, Header = TestGuest.Ram + 0x1_0000, Status = Header + 0x1000, Data = TestGuest.Ram + 0x2_0000;
    private const uint In = 0, Out = 1, FlushRequest = 4;
    private const byte Ok = 0, IoError = 1, Pending = 0xee;

    private readonly TestDisk _disk = new(128) { Ring = new TestRing() };
    private readonly TestWorkers _helpers = new();
    private readonly List<string> _reports = [];
    private readonly List<bool> _stalls = [];
    private VirtioBlock _block = null!;
    private TestGuest _guest = null!;
    private SplitDriver _queue = null!;

    private TestRing Ring => _disk.Ring!;

    public void Dispose()
    {
        // A reset would wait for them.
        while (Ring.IsBusy) Ring.End(0, null);
        _block?.Queues[0].UnderWay!.End();
        _helpers.Run();
        _guest?.Dispose();
        _block?.Dispose();
    }

    [Fact]
    public void Requests_under_way_end_in_any_order()
    {
        Start();
        _disk.Content.AsSpan(0, 512).Fill(1);
        _disk.Content.AsSpan(512, 512).Fill(2);
        Assert.Equal([Pending, Pending, Pending], Answers((In, 0, 512), (In, 1, 512), (Out, 5, 512)));
        Assert.Equal(["read 0+1", "read 1+1", "write 5+1"], Ring.Submitted);
        _guest.Watcher.Writes.Clear();

        End(1);
        Assert.Equal([Pending, Ok, Pending], Statuses(3));
        Assert.Contains((Data + 512, 512ul), _guest.Watcher.Writes);
        End(1);
        End(0);

        Assert.Equal([Ok, Ok, Ok], Statuses(3));
        Assert.Equal((1, 2), (_guest.Load<byte>(Data), _guest.Load<byte>(Data + 512)));
        Assert.Equal([513u, 1u, 513u], Enumerable.Range(0, 3).Select(_ => _queue.TakeUsed()!.Value.Length));
        Assert.Equal((3, 1024, 512), (_block.Requests, _block.BytesRead, _block.BytesWritten));
        Assert.Empty(_disk.Calls);
    }

    [Fact]
    public void One_request_alone_is_carried_out_at_once_but_not_beside_others_under_way()
    {
        Start();

        Assert.Equal([Ok], Answers((In, 0, 512)));
        Assert.Equal([Pending, Pending], Answers((In, 0, 512), (In, 1, 512)));
        Assert.Equal([Pending], Answers((In, 2, 512)));

        Assert.Equal(["read 0+1"], _disk.Calls);
        Assert.Equal(3, Ring.Submitted.Count);
    }

    [Fact]
    public void What_the_ring_does_not_take_goes_to_the_workers()
    {
        Start();
        Ring.Room = 1;

        Answers((In, 0, 512), (Out, 1, 512), (FlushRequest, 0, 0), (In, 200, 512));
        Assert.Equal(["read 0+1"], Ring.Submitted);
        _helpers.Run();
        End(0);

        Assert.Equal([Ok, Ok, Ok, IoError], Statuses(4));
        Assert.Equal(["write 1+1", "flush"], _disk.Calls);
    }

    [Fact]
    public void A_write_that_is_to_be_durable_when_it_ends_goes_to_the_workers()
    {
        Start(new VirtioBlockOptions { WriteThrough = true });

        Answers((Out, 0, 512), (Out, 1, 512));
        _helpers.Run();

        Assert.Equal([Ok, Ok], Statuses(2));
        Assert.Empty(Ring.Submitted);
        Assert.Equal(2, _disk.Calls.Count(call => call == "flush"));
    }

    [Fact]
    public void A_request_that_fails_is_an_IO_error_and_told_of()
    {
        Start();
        Answers((In, 0, 512), (In, 1, 512));

        End(0, new IOException("the disk is gone"));
        End(0);

        Assert.Equal([IoError, Ok], Statuses(2));
        Assert.Contains("the disk is gone", Assert.Single(_reports), StringComparison.Ordinal);
        Assert.Equal((2, 1), (_block.Requests, _block.Failures));
    }

    [Fact]
    public void A_request_that_finds_the_host_full_waits_for_space()
    {
        Start(new VirtioBlockOptions { WaitsForSpace = _stalls.Add });
        Answers((Out, 0, 512), (Out, 1, 512));

        End(0, new HostException("full") { IsDiskFull = true });
        End(0);
        Assert.Equal([Pending, Ok], Statuses(2));
        _block.Retry();
        _helpers.Run();

        Assert.Equal([Ok, Ok], Statuses(2));
        Assert.Equal([true, false], _stalls);
    }

    [Fact]
    public void A_reset_waits_for_what_is_under_way_and_drops_it()
    {
        Start();
        Answers((In, 0, 512), (In, 1, 512));
        var reset = new Thread(() => _guest.Write(0x70, 0)) { IsBackground = true };
        reset.Start();
        Assert.True(SpinWait.SpinUntil(() => _guest.Transport.Status == 0, TimeSpan.FromSeconds(30)));
        Assert.True(reset.IsAlive);

        // As the queue's worker does, which the ring wakes.
        Ring.End(0, null);
        _block.Queues[0].UnderWay!.End();
        Assert.True(reset.IsAlive);
        Ring.End(0, null);
        _block.Queues[0].UnderWay!.End();

        Assert.True(reset.Join(TimeSpan.FromSeconds(30)));
        Assert.Null(_queue.TakeUsed());
        Assert.Equal(0, _block.BytesWritten);
    }

    [Fact]
    public void A_pause_waits_for_what_is_under_way_and_with_workers_and_tells_of_it_afterwards()
    {
        Start();
        Ring.Room = 2;
        Answers((In, 0, 512), (Out, 5, 512), (Out, 6, 512));
        _guest.Acknowledge();
        using var begun = new ManualResetEventSlim();
        var pause = new Thread(() =>
        {
            begun.Set();
            _guest.Transport.Pause();
        })
        { IsBackground = true };
        pause.Start();
        begun.Wait(TestContext.Current.CancellationToken);
        void StillPausing()
        {
            for (var i = 0; i < 100; i++) Thread.Yield();
            Assert.True(pause.IsAlive, "the pause did not wait");
        }

        // As the queue's worker does, which the ring wakes; and the helpers.
        StillPausing();
        Ring.End(0, _disk);
        _block.Queues[0].UnderWay!.End();
        StillPausing();
        while (Ring.IsBusy) Ring.End(0, _disk);
        _block.Queues[0].UnderWay!.End();
        StillPausing();
        _helpers.Run();

        Assert.True(pause.Join(TimeSpan.FromSeconds(30)));
        Assert.Equal(["write 6+1"], _disk.Calls);
        Assert.Equal([Ok, Ok, Ok], Statuses(3));
        Assert.Equal((0u, false), (_guest.Read(0x60), _guest.Line.Level));
        _guest.Transport.Resume();
        Assert.Equal((1u, true), (_guest.Read(0x60), _guest.Line.Level));
    }

    [Fact]
    public void What_waits_for_space_is_not_tried_while_the_machine_is_paused_but_as_soon_as_it_goes_on()
    {
        Start(new VirtioBlockOptions { WaitsForSpace = _stalls.Add });
        Answers((Out, 0, 512), (Out, 1, 512));
        End(0, new HostException("full") { IsDiskFull = true });
        End(0);
        _guest.Acknowledge();

        _guest.Transport.Pause();
        _block.Retry();
        _helpers.Run();
        _guest.Workers.Run();
        Assert.Equal([Pending, Ok], Statuses(2));
        Assert.Empty(_disk.Calls);
        _guest.Transport.Resume();
        _helpers.Run();

        Assert.Equal([Ok, Ok], Statuses(2));
        Assert.Equal(["write 0+1"], _disk.Calls);
        Assert.Equal([true, false], _stalls);
    }

    [Fact]
    public void The_workers_place_is_the_ring_and_goes_with_the_device()
    {
        Start();

        Assert.Same(Ring, _block.Queues[0].UnderWay!.Place);
        _guest.Dispose();
        _block.Dispose();

        Assert.True(Ring.IsDisposed);
    }

    private void Start(VirtioBlockOptions? options = null)
    {
        _block = new VirtioBlock(_disk, (options ?? new VirtioBlockOptions()) with { Parallel = 2, WritesWait = true, Log = Log.To(line => _reports.Add(line.Message), LogLevel.Trace).CreateLog("test") }, _helpers);
        _guest = new TestGuest(_block);
        _guest.Negotiate(TestFeatures.Plain | _guest.OfferedFeatures() & 0xffff);
        _queue = new SplitDriver(_guest, 0, 256, RingAt).Place();
        _guest.DriverOk();
    }

    private byte[] Answers(params (uint Type, uint Sector, uint Length)[] requests)
    {
        var data = Data;
        for (var i = 0u; i < requests.Length; i++)
        {
            var (type, sector, length) = requests[i];
            var header = Header + i * 16;
            _guest.Store(header, type);
            _guest.Store(header + 4, 0u);
            _guest.Store(header + 8, (ulong)sector);
            _guest.Store(Status + i, Pending);
            _queue.Offer([new Part(header, 16), .. length == 0 ? [] : new[] { new Part(data, length, type == In) }, new Part(Status + i, 1, true)]);
            data += length;
        }
        _guest.Notify(0);
        return Statuses(requests.Length);
    }

    private byte[] Statuses(int count) => [.. Enumerable.Range(0, count).Select(i => _guest.Load<byte>(Status + (uint)i))];

    // Has one of those under way end, and the queue's worker find it.
    private void End(int which, IOException? failure = null)
    {
        Ring.End(which, failure is null ? _disk : null, failure);
        _guest.Notify(0);
    }
}

/// <summary>A ring whose requests end when the test says so.</summary>
internal sealed class TestRing : IBlockRing
{
    private readonly List<(bool IsWrite, ulong Offset, IoVector[] Memory, object Request)> _prepared = [], _underWay = [];
    private readonly Queue<BlockEnding> _ended = [];

    public int Room { get; set; } = int.MaxValue;

    public bool IsDisposed { get; private set; }

    public bool IsBusy => _underWay.Count != 0;

    public List<string> Submitted { get; } = [];

    public bool HasEnded => _ended.Count != 0;

    public int WakeDescriptor => -1;

    public bool TryBegin(bool isWrite, ulong offset, ReadOnlySpan<IoVector> memory, object request)
    {
        if (_prepared.Count + _underWay.Count >= Room) return false;
        _prepared.Add((isWrite, offset, memory.ToArray(), request));
        return true;
    }

    public void Submit()
    {
        foreach (var (isWrite, offset, memory, _) in _prepared) Submitted.Add($"{(isWrite ? "write" : "read")} {offset / 512}+{memory.Sum(vector => vector.Length) / 512}");
        _underWay.AddRange(_prepared);
        _prepared.Clear();
    }

    /// <summary>Ends a request that is under way: does it on a disk's content, if one is given.</summary>
    public void End(int which, TestDisk? disk, IOException? failure = null)
    {
        var (isWrite, offset, memory, request) = _underWay[which];
        _underWay.RemoveAt(which);
        foreach (var vector in disk is null ? [] : memory)
        {
            var content = disk!.Content.AsSpan((int)offset, vector.Length);
            if (isWrite) vector.Span.CopyTo(content);
            else content.CopyTo(vector.Span);
            offset += (uint)vector.Length;
        }
        _ended.Enqueue(new BlockEnding(request, isWrite, failure));
    }

    public bool TryEnd([NotNullWhen(true)] out BlockEnding? ending) => _ended.TryDequeue(out ending);

    public void Sleep()
    {
    }

    public void Wake()
    {
    }

    public void Dispose() => IsDisposed = true;
}
