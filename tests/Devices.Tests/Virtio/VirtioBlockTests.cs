// The block device from its driver's side: every request type, what the configuration space says, and drivers that ask for
// what no disk can do.
using System.Buffers.Binary;
using System.Text;
using Lamina.Core.Logging;
using Lamina.Devices.Virtio.Block;
using Lamina.Host;
using Xunit;

namespace Lamina.Tests.Devices.Virtio;

public sealed class VirtioBlockTests : IDisposable
{
    private const int Sectors = 128;
    private const ulong RingAt = TestGuest.Ram, Header = TestGuest.Ram + 0x1_0000, Status = Header + 0x100, Data = TestGuest.Ram + 0x2_0000;
    private const uint In = 0, Out = 1, FlushRequest = 4, GetId = 8, Discard = 11, WriteZeroes = 13;
    private const byte Ok = 0, IoError = 1, Unsupported = 2;
    private const ulong ReadOnlyFeature = 1 << 5, BlockSizeFeature = 1 << 6, FlushFeature = 1 << 9, TopologyFeature = 1 << 10, CacheFeature = 1 << 11, QueuesFeature = 1 << 12, DiscardFeature = 1 << 13, ZeroesFeature = 1 << 14;

    private readonly List<string> _reports = [];
    private TestDisk _disk = new(Sectors);
    private TestGuest _guest = null!;
    private SplitDriver _ring = null!;

    public void Dispose() => _guest?.Dispose();

    [Fact]
    public void The_configuration_space_tells_size_topology_and_limits()
    {
        Start(options: new VirtioBlockOptions { Queues = 3 });

        Assert.Equal(2u, _guest.Read(0x08));
        var config = _guest.ReadConfig(0, 60);
        Assert.Equal((ulong)Sectors, BinaryPrimitives.ReadUInt64LittleEndian(config));
        Assert.Equal(254u, Word(config, 12));
        Assert.Equal(512u, Word(config, 20));
        Assert.Equal([3, 0, 8, 0], config[24..28]);
        Assert.Equal(128u, Word(config, 28));
        Assert.Equal(1, config[32]);
        Assert.Equal(3, BinaryPrimitives.ReadUInt16LittleEndian(config.AsSpan(34)));
        Assert.Equal((32u, 128u, 32u, 1), (Word(config, 40), Word(config, 44), Word(config, 52), config[56]));
        Assert.Equal(new byte[4], _guest.ReadConfig(60, 4));
    }

    [Theory]
    [InlineData(null, 512, 4096, 65536, 512, 3, 8, 128, 128)]
    [InlineData(4096, 512, 4096, 65536, 4096, 0, 1, 16, 128)]
    [InlineData(4096, 512, 512, 512, 4096, 0, 1, 0, 8)]
    [InlineData(null, 4096, 4096, 65536, 4096, 0, 1, 16, 128)]
    [InlineData(512, 4096, 4096, 4096, 512, 3, 8, 8, 8)]
    public void The_driver_is_told_of_blocks_and_the_capacity_stays_in_sectors(int? said, int logical, int physical, int optimal, int blockSize, byte exponent, ushort least, int best, int alignment)
    {
        _disk = new TestDisk(Sectors) { Limits = new(logical, physical, optimal, optimal) };
        Start(options: new VirtioBlockOptions { BlockSize = said });

        Assert.Equal(BlockSizeFeature | TopologyFeature, _guest.OfferedFeatures() & (BlockSizeFeature | TopologyFeature));
        var config = _guest.ReadConfig(0, 60);
        Assert.Equal((ulong)Sectors, BinaryPrimitives.ReadUInt64LittleEndian(config));
        Assert.Equal(((uint)blockSize, exponent, least, (uint)best, (uint)alignment), (Word(config, 20), config[24], BinaryPrimitives.ReadUInt16LittleEndian(config.AsSpan(26)), Word(config, 28), Word(config, 44)));
    }

    // virtio 1.2, 5.2.5: the block size does not affect the units of the protocol.
    [Fact]
    public void A_driver_that_asks_for_half_a_block_gets_it()
    {
        Start(options: new VirtioBlockOptions { BlockSize = 4096 });

        Assert.Equal((Ok, Ok), (Request(Out, 3, new Part(Data, 512)), Request(In, 9, new Part(Data, 1024, true))));

        Assert.Equal(["write 3+1", "read 9+2"], _disk.Calls);
    }

    [Theory]
    [InlineData(128, 1024)]
    [InlineData(128, 0)]
    [InlineData(127, 4096)]
    public void Blocks_that_no_disk_has_are_refused(int sectors, int blockSize) =>
        Assert.Throws<ArgumentException>(() => new VirtioBlock(new TestDisk(sectors), new VirtioBlockOptions { BlockSize = blockSize }));

    [Fact]
    public void Features_follow_what_the_disk_can_do()
    {
        const ulong writable = DiscardFeature | ZeroesFeature, cached = FlushFeature | CacheFeature;
        Assert.Equal(writable | cached, Offered(new TestDisk(1), new VirtioBlockOptions()));
        Assert.Equal(ReadOnlyFeature | cached, Offered(new TestDisk(1, readOnly: true), new VirtioBlockOptions()));
        Assert.Equal(writable, Offered(new TestDisk(1), new VirtioBlockOptions { WriteThrough = true }));
        Assert.Equal(ZeroesFeature | QueuesFeature | cached, Offered(new TestDisk(1), new VirtioBlockOptions { Discard = false, Queues = 2 }));

        static ulong Offered(TestDisk disk, VirtioBlockOptions options)
        {
            using var guest = new TestGuest(new VirtioBlock(disk, options));
            return guest.OfferedFeatures() & (ReadOnlyFeature | QueuesFeature | writable | cached);
        }
    }

    [Fact]
    public void What_was_written_is_read_in_pieces_of_any_size()
    {
        Start();
        var data = Enumerable.Range(0, 2048).Select(i => (byte)(i * 7)).ToArray();
        _guest.Memory.TryWrite(Data, data);

        Assert.Equal(Ok, Request(Out, 5, new Part(Data, 700), new Part(Data + 700, 1348)));
        Assert.Equal(Ok, Request(In, 5, new Part(Data + 0x1000, 1, true), new Part(Data + 0x2000, 2047, true)));

        Assert.Equal(data, _disk.Content[2560..4608]);
        Assert.Equal((data[0], data[1], data[2047]), (_guest.Load<byte>(Data + 0x1000), _guest.Load<byte>(Data + 0x2000), _guest.Load<byte>(Data + 0x2000 + 2046)));
        Assert.Equal(2049u, _lastLength);
        Assert.Equal(["write 5+4", "read 5+4"], _disk.Calls);
    }

    [Fact]
    public void The_engine_is_told_of_every_byte_that_a_read_changed()
    {
        Start();
        _guest.Watcher.Writes.Clear();

        Request(In, 0, new Part(Data, 512, true), new Part(Data + 0x1000, 512, true));

        Assert.Contains((Data, 512ul), _guest.Watcher.Writes);
        Assert.Contains((Data + 0x1000, 512ul), _guest.Watcher.Writes);
        Assert.Contains((Status, 1ul), _guest.Watcher.Writes);
    }

    [Fact]
    public void The_status_may_share_a_descriptor_with_the_data()
    {
        Start();
        _disk.Content.AsSpan(0, 512).Fill(9);
        WriteHeader(In, 0);

        _ring.Offer(new Part(Header, 16), new Part(Data, 513, true));
        _guest.Notify(0);

        Assert.Equal((9, Ok), (_guest.Load<byte>(Data + 511), _guest.Load<byte>(Data + 512)));
    }

    [Fact]
    public void The_header_may_be_in_pieces_and_share_a_descriptor_with_the_data()
    {
        Start();
        WriteHeader(Out, 1);
        _guest.Memory.TryWrite(Header + 16, Enumerable.Repeat((byte)4, 512).ToArray());

        _ring.Offer(new Part(Header, 3), new Part(Header + 3, 525), new Part(Status, 1, true));
        _guest.Notify(0);

        Assert.Equal(Ok, _guest.Load<byte>(Status));
        Assert.Equal(4, _disk.Content[512]);
    }

    [Theory]
    [InlineData(In, Sectors - 1, 1024)]
    [InlineData(In, Sectors, 512)]
    [InlineData(In, long.MaxValue / 256, 512)]
    [InlineData(In, -1, 512)]
    [InlineData(In, 0, 513)]
    [InlineData(In, 0, 511)]
    [InlineData(Out, Sectors - 1, 1024)]
    [InlineData(Out, -1, 512)]
    [InlineData(Out, 0, 100)]
    public void A_request_outside_the_disk_or_of_half_a_sector_is_an_error(uint type, long sector, uint length)
    {
        Start();

        Assert.Equal(IoError, Request(type, (ulong)sector, new Part(Data, length, type == In)));

        Assert.Empty(_disk.Calls);
        Assert.False(_guest.NeedsReset);
    }

    [Fact]
    public void The_serial_number_is_given_as_far_as_there_is_room()
    {
        Start(options: new VirtioBlockOptions { Serial = "LAMINA-0001" });

        Assert.Equal(Ok, Request(GetId, 0, new Part(Data, 20, true)));
        Assert.Equal(Ok, Request(GetId, 0, new Part(Data + 0x100, 4, true)));

        Span<byte> id = stackalloc byte[20];
        _guest.Memory.TryRead(Data, id);
        Assert.Equal("LAMINA-0001\0\0\0\0\0\0\0\0\0", Encoding.ASCII.GetString(id));
        Assert.Equal((byte)'I', _guest.Load<byte>(Data + 0x103));
        Assert.Equal(0, _guest.Load<byte>(Data + 0x104));
    }

    [Fact]
    public void Unknown_requests_are_not_supported()
    {
        Start();

        Assert.Equal(Unsupported, Request(2, 0));
        Assert.Equal(Unsupported, Request(14, 0));
        Assert.Equal(Unsupported, Request(uint.MaxValue, 0, new Part(Data, 512, true)));
    }

    [Fact]
    public void Discards_and_zeroes_reach_the_disk_with_their_flags()
    {
        Start();
        PutRanges((3, 8, 0), (100, 28, 0));
        Assert.Equal(Ok, Request(Discard, 0, new Part(Data, 32)));
        PutRanges((0, 1, 0), (2, 0, 0), (4, 4, 1));
        Assert.Equal(Ok, Request(WriteZeroes, 0, new Part(Data, 48)));

        Assert.Equal(["discard 3+8", "discard 100+28", "zero 0+1", "unmap 4+4"], _disk.Calls);
    }

    [Theory]
    [InlineData(Discard, 0, 8, 1, Unsupported)]
    [InlineData(WriteZeroes, 0, 8, 2, Unsupported)]
    [InlineData(WriteZeroes, 120, 9, 0, IoError)]
    [InlineData(Discard, -1, 2, 0, IoError)]
    [InlineData(Discard, 0, uint.MaxValue, 0, IoError)]
    public void A_range_that_cannot_be_leaves_all_ranges_of_its_request_alone(uint type, long sector, uint sectors, uint flags, byte expected)
    {
        Start();
        PutRanges((0, 8, 0), ((ulong)sector, sectors, flags));

        Assert.Equal(expected, Request(type, 0, new Part(Data, 32)));

        Assert.Empty(_disk.Calls);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(15)]
    [InlineData(33 * 16)]
    public void Ranges_must_be_whole_and_not_too_many(uint length)
    {
        Start();

        Assert.Equal(IoError, length == 0 ? Request(Discard, 0) : Request(Discard, 0, new Part(Data, length)));
    }

    [Fact]
    public void What_was_not_negotiated_is_not_supported()
    {
        Start(features: TestFeatures.Plain);
        PutRanges((0, 8, 0));

        Assert.Equal(Unsupported, Request(Discard, 0, new Part(Data, 16)));
        Assert.Equal(Unsupported, Request(WriteZeroes, 0, new Part(Data, 16)));
    }

    [Fact]
    public void A_read_only_disk_takes_no_writes()
    {
        _disk = new TestDisk(Sectors, readOnly: true);
        Start();

        Assert.Equal(IoError, Request(Out, 0, new Part(Data, 512)));
        Assert.Equal(Ok, Request(FlushRequest, 0));
        Assert.Equal(Ok, Request(In, 0, new Part(Data, 512, true)));
        Assert.Equal(["read 0+1"], _disk.Calls);
    }

    [Fact]
    public void A_driver_that_cannot_flush_gets_writes_that_are_durable()
    {
        Start(features: TestFeatures.Plain);

        Request(Out, 0, new Part(Data, 512));

        Assert.Equal(["write 0+1", "flush"], _disk.Calls);
    }

    [Fact]
    public void A_driver_that_can_flush_decides_itself_and_may_change_its_mind()
    {
        Start();
        Request(Out, 0, new Part(Data, 512));
        _guest.Transport.Write(0x100 + 32, [0]);
        Request(Out, 1, new Part(Data, 512));
        _guest.Transport.Write(0x100 + 32, [1]);
        Request(Out, 2, new Part(Data, 512));
        Request(FlushRequest, 0);

        Assert.Equal(["write 0+1", "write 1+1", "flush", "write 2+1", "flush"], _disk.Calls);
        Assert.Equal(1, _guest.ReadConfig(32, 1)[0]);
    }

    [Fact]
    public void What_the_host_refuses_is_an_error_of_the_request_and_reported_a_few_times()
    {
        Start();
        _disk.Failure = new IOException("the host's disk is full");

        for (var i = 0; i < 20; i++) Assert.Equal(IoError, Request(Out, 0, new Part(Data, 512)));
        _disk.Failure = null;

        Assert.Equal(Ok, Request(Out, 0, new Part(Data, 512)));
        Assert.Equal(5, _reports.Count);
        Assert.Contains("the host's disk is full", _reports[0], StringComparison.Ordinal);
        Assert.False(_guest.NeedsReset);
    }

    [Fact]
    public void A_request_without_header_or_status_breaks_the_device_until_it_is_reset()
    {
        foreach (var parts in (Part[][])[[new Part(Header, 15), new Part(Status, 1, true)], [new Part(Header, 16)], [new Part(Status, 1, true)], [new Part(Header, 16), new Part(Status, 0, true)]])
        {
            Start();
            WriteHeader(In, 0);
            _ring.Offer(parts);
            _guest.Notify(0);

            Assert.True(_guest.NeedsReset);
            Assert.Null(_ring.TakeUsed());
            Assert.Empty(_disk.Calls);
            _guest.Dispose();
        }
    }

    [Fact]
    public void Many_requests_are_all_answered_and_other_queues_have_their_turn()
    {
        Start(options: new VirtioBlockOptions { Queues = 2 });
        for (uint i = 0; i < 60; i++)
        {
            WriteHeader(In, i, Header + i * 16);
            _ring.Offer(new Part(Header + i * 16, 16), new Part(Data + i * 512, 512, true), new Part(Status + 0x1000 + i, 1, true));
        }
        _guest.Notify(0);

        var answered = 0;
        while (_ring.TakeUsed() is { Length: 513 }) answered++;
        Assert.Equal(60, answered);
        Assert.Equal(60, _disk.Calls.Count);
    }

    [Theory]
    [InlineData(In, 512, 0)]
    [InlineData(Out, 512, 0)]
    [InlineData(In, 512 << 10, 1)]
    [InlineData(Out, 512 << 10, 1)]
    public void The_driver_is_told_of_a_large_request_before_the_next_one_begins(uint type, uint length, int interrupts)
    {
        _disk = new TestDisk(2048);
        Start();
        var seen = new List<int>();
        _disk.Beginning = () => seen.Add(_guest.Line.Rises);

        Assert.Equal([Ok, Ok], Answers((type, 0, length), (type, 1024, length)));

        Assert.Equal([0, interrupts], seen);
        Assert.Equal(1, _guest.Line.Rises);
    }

    [Fact]
    public void Requests_at_once_are_answered_each_and_a_reset_waits_for_them()
    {
        using var gate = new ManualResetEventSlim();
        _disk.Gate = gate;
        using var block = new VirtioBlock(_disk, new VirtioBlockOptions { Parallel = 4 }, new ThreadWorkers());
        StartDevice(block, TestFeatures.Plain);
        for (uint i = 0; i < 8; i++)
        {
            WriteHeader(In, i, Header + i * 16);
            _ring.Offer(new Part(Header + i * 16, 16), new Part(Data + i * 512, 512, true), new Part(Status + 0x1000 + i, 1, true));
        }
        _guest.Notify(0);
        Until(() => _disk.InProgress == 4);
        Assert.Null(_ring.TakeUsed());
        gate.Set();
        var answered = 0;
        Until(() =>
        {
            while (_ring.TakeUsed() is { Length: 513 }) answered++;
            return answered == 8;
        });

        gate.Reset();
        for (uint i = 0; i < 8; i++) _ring.Offer(new Part(Header + i * 16, 16), new Part(Data + i * 512, 512, true), new Part(Status + 0x1000 + i, 1, true));
        _guest.Notify(0);
        Until(() => _disk.InProgress == 4);
        var reset = new Thread(() => _guest.Write(0x70, 0)) { IsBackground = true };
        reset.Start();
        Until(() => _guest.Transport.Status == 0);
        Assert.True(reset.IsAlive);
        gate.Set();
        Assert.True(reset.Join(TimeSpan.FromSeconds(30)));
        Assert.Equal(0, _disk.InProgress);
        Assert.Null(_ring.TakeUsed());
        Assert.Equal(12, _disk.Calls.Count);

        static void Until(Func<bool> condition) => Assert.True(SpinWait.SpinUntil(condition, TimeSpan.FromSeconds(30)));
    }

    [Fact]
    public void Of_several_requests_those_that_wait_for_the_disk_are_handed_over_and_the_others_are_not()
    {
        _disk = new TestDisk(1024) { IsCached = true };
        var helpers = new TestWorkers();
        using var block = new VirtioBlock(_disk, new VirtioBlockOptions { Parallel = 2 }, helpers);
        StartDevice(block, features: null);

        Assert.Equal([Ok, Ok, Ok], Answers((In, 0, 512), (Out, 1, 512), (In, 2, 512)));
        Assert.Equal(0, helpers.Created);

        _disk.IsCached = false;
        Assert.Equal([Pending, Ok, Pending, Pending], Answers((In, 0, 512), (Out, 1, 512), (In, 2, 512), (In, 3, 512)));
        Assert.Equal(2, helpers.Created);
        helpers.Run();
        Assert.Equal([Ok, Ok, Ok, Ok], Statuses(4));

        _disk.IsCached = true;
        Assert.Equal([Pending, Ok, Pending], Answers((FlushRequest, 0, 0), (In, 0, 512), (In, 0, 128 << 10)));
        helpers.Run();
        Assert.Equal([Ok, Ok, Ok], Statuses(3));
        Assert.Equal(2, helpers.Created);
        Assert.Equal(10, block.Requests);
    }

    [Fact]
    public void One_request_alone_is_not_handed_over_and_writes_are_where_they_wait()
    {
        var helpers = new TestWorkers();
        using var block = new VirtioBlock(_disk, new VirtioBlockOptions { Parallel = 2, WritesWait = true }, helpers);
        StartDevice(block, features: null);

        Assert.Equal([Ok], Answers((In, 0, 512)));
        Assert.Equal([Ok], Answers((Out, 0, 512)));
        Assert.Equal([Ok], Answers((FlushRequest, 0, 0)));
        Assert.Equal([Pending, Pending], Answers((Out, 0, 512), (Out, 1, 512)));
        helpers.Run();
        Assert.Equal([Ok, Ok], Statuses(2));
    }

    [Fact]
    public void What_was_read_in_part_before_a_request_was_handed_over_is_told_to_the_engine()
    {
        var helpers = new TestWorkers();
        using var block = new VirtioBlock(_disk, new VirtioBlockOptions { Parallel = 1 }, helpers);
        StartDevice(block, features: null);
        _guest.Watcher.Writes.Clear();

        Answers((In, 0, 512), (Out, 0, 512));
        var told = _guest.Watcher.Writes.ToArray();
        helpers.Run();

        Assert.Contains((Data, 512ul), told);
        Assert.Equal(["write 0+1", "read 0+1"], _disk.Calls);
    }

    [Fact]
    public void A_write_that_finds_the_host_full_waits_for_space_and_the_queue_goes_on()
    {
        var (helpers, changes) = (new TestWorkers(), new List<bool>());
        using var block = new VirtioBlock(_disk, new VirtioBlockOptions { Parallel = 2, WaitsForSpace = changes.Add, Log = Log.To(line => _reports.Add(line.Message), LogLevel.Trace).CreateLog("test") }, helpers);
        StartDevice(block, features: null);
        _disk.IsCached = true;
        _guest.Store(Data, (byte)7);
        _disk.Failure = Full;

        Assert.Equal([Pending, Pending], Answers((Out, 0, 512), (Out, 1, 512)));
        Assert.Equal([true], changes);
        block.Retry();
        helpers.Run();
        Assert.Equal([Pending, Pending], Statuses(2));
        _disk.Failure = null;
        Assert.Equal([Pending, Pending], Statuses(2));
        block.Retry();
        helpers.Run();

        Assert.Equal([Ok, Ok], Statuses(2));
        Assert.Equal([true, false], changes);
        Assert.Equal(7, _disk.Content[0]);
        Assert.Empty(_reports);
        Assert.Equal((2, 0), (block.Requests, block.Failures));
    }

    [Fact]
    public void A_reset_forgets_what_waits_for_space()
    {
        var (helpers, changes) = (new TestWorkers(), new List<bool>());
        using var block = new VirtioBlock(_disk, new VirtioBlockOptions { Parallel = 2, WaitsForSpace = changes.Add }, helpers);
        StartDevice(block, features: null);
        _disk.Failure = Full;
        Answers((Out, 0, 512));

        _guest.Write(0x70, 0);
        _disk.Failure = null;
        block.Retry();
        helpers.Run();

        Assert.Equal([true, false], changes);
        Assert.Equal(["write 0+1"], _disk.Calls);
    }

    [Fact]
    public void Only_a_full_host_is_waited_for()
    {
        var changes = new List<bool>();
        using var block = new VirtioBlock(_disk, new VirtioBlockOptions { Parallel = 2, WaitsForSpace = changes.Add }, new TestWorkers());
        StartDevice(block, features: null);
        _disk.Failure = new IOException("broken");

        Assert.Equal([IoError], Answers((Out, 0, 512)));
        Assert.Empty(changes);
    }

    [Theory]
    [InlineData(21, 1)]
    [InlineData(0, 17)]
    [InlineData(0, 0)]
    public void A_device_that_cannot_be_is_refused(int serialLength, int queues) =>
        Assert.Throws<ArgumentException>(() => new VirtioBlock(_disk, new VirtioBlockOptions { Serial = new string('x', serialLength), Queues = serialLength == 0 ? queues : 1 }));

    private static readonly HostException Full = new("there is no space") { IsDiskFull = true };

    private const byte Pending = 0xee;

    private uint _lastLength;

    // Offers requests all at once, each with memory of its own; what they were answered by the time the queue's worker rests.
    private byte[] Answers(params (uint Type, uint Sector, uint Length)[] requests)
    {
        var data = Data;
        for (var i = 0u; i < requests.Length; i++)
        {
            var (type, sector, length) = requests[i];
            WriteHeader(type, sector, Header + i * 16);
            _guest.Store(Status + 0x1000 + i, Pending);
            _ring.Offer([new Part(Header + i * 16, 16), .. length == 0 ? [] : new[] { new Part(data, length, type == In) }, new Part(Status + 0x1000 + i, 1, true)]);
            data += length;
        }
        _guest.Notify(0);
        return Statuses(requests.Length);
    }

    private byte[] Statuses(int count) => [.. Enumerable.Range(0, count).Select(i => _guest.Load<byte>(Status + 0x1000 + (uint)i))];

    private static uint Word(byte[] config, int at) => BinaryPrimitives.ReadUInt32LittleEndian(config.AsSpan(at));

    private void Start(ulong? features = null, VirtioBlockOptions? options = null)
    {
        var block = new VirtioBlock(_disk, (options ?? new VirtioBlockOptions()) with { Log = Log.To(line => _reports.Add(line.Message), LogLevel.Trace).CreateLog("test") });
        StartDevice(block, features);
    }

    private void StartDevice(VirtioBlock block, ulong? features)
    {
        _guest = new TestGuest(block);
        var offered = _guest.OfferedFeatures() & 0xffff;
        Assert.Equal(11u, _guest.Negotiate(features ?? TestFeatures.Plain | offered));
        _ring = new SplitDriver(_guest, 0, 256, RingAt).Place();
        _guest.DriverOk();
    }

    private void WriteHeader(uint type, ulong sector, ulong at = Header)
    {
        _guest.Store(at, type);
        _guest.Store(at + 4, 0u);
        _guest.Store(at + 8, sector);
    }

    private byte Request(uint type, ulong sector, params Part[] data)
    {
        WriteHeader(type, sector);
        _guest.Store(Status, (byte)0xee);
        Part[] readable = [new Part(Header, 16), .. data.Where(part => !part.Writable)];
        _ring.Offer([.. readable, .. data.Where(part => part.Writable), new Part(Status, 1, true)]);
        _guest.Notify(0);
        _lastLength = _ring.TakeUsed()!.Value.Length;
        return _guest.Load<byte>(Status);
    }

    private void PutRanges(params (ulong Sector, uint Sectors, uint Flags)[] ranges)
    {
        for (var i = 0; i < ranges.Length; i++)
        {
            var at = Data + (ulong)i * 16;
            _guest.Store(at, ranges[i].Sector);
            _guest.Store(at + 8, ranges[i].Sectors);
            _guest.Store(at + 12, ranges[i].Flags);
        }
    }
}
