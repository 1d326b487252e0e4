using System.Buffers.Binary;
using Lamina.Core.Memory;
using Lamina.Core.Work;
using Lamina.Devices.Virtio;
using Lamina.Devices.Virtio.Console;
using Lamina.Devices.Virtio.Mmio;
using Xunit;

namespace Lamina.Tests.Devices.Virtio;

/// <summary>Registers, workers and backends at once, as on a machine with several vCPUs.</summary>
public class VirtioThreadTests
{
    private const ulong RingAt = TestGuest.Ram;
    private const ulong Data = TestGuest.Ram + 0x1_0000;

    /// <summary>Counts the writes to guest memory that are not the guest's CPUs'.</summary>
    private sealed class CountingWatcher : IGuestMemoryWatcher
    {
        [ThreadStatic]
        private static bool _isCpu;

        private long _count;

        public static bool IsCpu
        {
            set => _isCpu = value;
        }

        public long Count => Interlocked.Read(ref _count);

        public void Written(ulong address, ulong length)
        {
            if (!_isCpu) Interlocked.Increment(ref _count);
        }
    }

    private static void Write(VirtioMmio transport, ulong offset, uint value)
    {
        Span<byte> data = stackalloc byte[4];
        BinaryPrimitives.WriteUInt32LittleEndian(data, value);
        transport.Write(offset, data);
    }

    private static uint Read(VirtioMmio transport, ulong offset)
    {
        Span<byte> data = stackalloc byte[4];
        transport.Read(offset, data);
        return BinaryPrimitives.ReadUInt32LittleEndian(data);
    }

    private static void Start(VirtioMmio transport, bool packed)
    {
        foreach (var status in new uint[] { 1, 3 }) Write(transport, 0x70, status);
        Write(transport, 0x24, 1);
        Write(transport, 0x20, (uint)((packed ? TestFeatures.Packed : TestFeatures.Plain) >> 32));
        Write(transport, 0x70, 11);
        for (var queue = 0u; queue < 2; queue++)
        {
            Write(transport, 0x30, queue);
            Write(transport, 0x38, 16);
            Write(transport, 0x80, (uint)RingAt + queue * 0x1000);
            Write(transport, 0x90, (uint)RingAt + queue * 0x1000 + 0x400);
            Write(transport, 0xa0, (uint)RingAt + queue * 0x1000 + 0x800);
            Write(transport, 0x44, 1);
        }
        Write(transport, 0x70, 15);
    }

    [Theory]
    [InlineData(false), InlineData(true)]
    public void Resets_in_the_middle_of_traffic_leave_memory_alone_and_the_device_whole(bool packed)
    {
        using var memory = new GuestMemory([new MemoryRange(TestGuest.Ram, TestGuest.RamLength)]);
        var watcher = new CountingWatcher();
        memory.Watch(watcher);
        CountingWatcher.IsCpu = true;
        var backend = new TestBackend();
        var line = new TestLine();
        using var transport = new VirtioMmio(new VirtioConsole([new ConsolePort(backend)]), new VirtioOptions(memory, new ThreadWorkers()), line);
        var stop = false;
        var others = Enumerable.Range(1, 2).Select(seed => new Thread(() =>
        {
            while (!Volatile.Read(ref stop)) MakeTraffic(transport, memory, new Random(seed));
        })).Append(new Thread(() =>
        {
            while (!Volatile.Read(ref stop)) backend.Type(backend.Waiting < 1000 ? "input"u8 : default);
        })).ToList();
        others.ForEach(thread => thread.Start());

        // More where the host gives the other threads no time.
        for (var i = 0; i < 100 || i < 100_000 && watcher.Count == 0; i++)
        {
            Start(transport, packed);
            for (var j = 0; j < i % 20; j++) Thread.Yield();
            Write(transport, 0x70, 0);
            var before = watcher.Count;
            Assert.Equal(0u, Read(transport, 0x70));
            Assert.Equal(0u, Read(transport, 0x60));
            Assert.False(line.Level);
            for (var j = 0; j < 10; j++) Thread.Yield();
            Assert.Equal(before, watcher.Count);
        }

        Volatile.Write(ref stop, true);
        others.ForEach(thread => thread.Join());
        Assert.True(watcher.Count > 0, "the device never did anything");
        AssertWorks(transport, memory, backend);
    }

    // A guest CPU that fills the rings with anything, rings the doorbells and looks at registers.
    private static void MakeTraffic(VirtioMmio transport, GuestMemory memory, Random random)
    {
        CountingWatcher.IsCpu = true;
        Span<byte> descriptor = stackalloc byte[16];
        for (var i = 0; i < 1000; i++)
        {
            random.NextBytes(descriptor);
            BinaryPrimitives.WriteUInt64LittleEndian(descriptor, Data + (ulong)random.Next(0x1000));
            BinaryPrimitives.WriteUInt32LittleEndian(descriptor[8..], (uint)random.Next(256));
            // Mostly without indirect and next flags, so that not every chain is broken.
            if (random.Next(64) != 0) descriptor[12] &= 0x82;
            var ring = RingAt + (ulong)random.Next(2) * 0x1000;
            memory.TryWrite(ring + (ulong)random.Next(16) * 16, descriptor);
            memory.TryWrite(ring + 0x402, (ushort)random.Next(16));
            Write(transport, 0x50, (uint)random.Next(3));
            Read(transport, (ulong)random.Next(0x80) * 4);
            Write(transport, 0x64, 3);
        }
    }

    private static void AssertWorks(VirtioMmio transport, GuestMemory memory, TestBackend backend)
    {
        memory.TryWrite(RingAt, new byte[0x4000]);
        memory.TryWrite(Data, "works"u8);
        Start(transport, packed: false);
        backend.Output.Clear();
        memory.TryWrite(RingAt + 0x1000, Data);
        memory.TryWrite(RingAt + 0x1008, 5u);
        memory.TryWrite(RingAt + 0x1402, (ushort)1);
        Write(transport, 0x50, 1);
        Assert.True(SpinWait.SpinUntil(() => memory.TryRead(RingAt + 0x1802, out ushort used) && used == 1, TimeSpan.FromSeconds(30)));
        Assert.Equal("works"u8.ToArray(), backend.Output);
    }
}
