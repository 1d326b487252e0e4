// An NVMe controller as a driver finds it, and what it does with drivers that err or mean ill.
using System.Buffers.Binary;
using System.Text;
using Lamina.Core.Inspection;
using Lamina.Devices.Media;
using Lamina.Host;
using Lamina.Tests.Devices.Virtio;
using Xunit;

namespace Lamina.Tests.Devices.Nvme;

public sealed class NvmeTests
{
    private static byte[] Pattern(int length, int seed)
    {
        var bytes = new byte[length];
        new Random(seed).NextBytes(bytes);
        return bytes;
    }

    [Fact]
    public void It_is_enabled_and_says_who_it_is()
    {
        using var guest = new NvmeGuest();
        Assert.Equal((0x0010_1b36u, 0x010802u), (guest.Pci.Read(NvmeGuest.Device, 0), guest.Pci.Read(NvmeGuest.Device, 8) >> 8));
        Assert.Equal((0x0f01_03ffu, 0x20u, 0x1_0400u, 0u), (guest.Read(0), guest.Read(4), guest.Read(8), guest.Read(0x1c)));
        guest.Enable();
        Assert.Equal(1u, guest.Read(0x1c));
        Assert.Equal(0, guest.Admin(6, word10: 1, prp1: NvmeGuest.Data).Status);
        var controller = guest.Bytes(NvmeGuest.Data, 4096);
        Assert.Equal(("serial 7", "Lamina NVMe disk"), (Encoding.ASCII.GetString(controller, 4, 20).TrimEnd(), Encoding.ASCII.GetString(controller, 24, 40).TrimEnd()));
        Assert.Equal((8, 0x66, 0x44, 1), (controller[77], controller[512], controller[513], controller[516]));
        Assert.Equal(0, guest.Admin(6, ns: 1, word10: 0, prp1: NvmeGuest.Data).Status);
        var space = guest.Bytes(NvmeGuest.Data, 4096);
        Assert.Equal((4096ul, 9), (BinaryPrimitives.ReadUInt64LittleEndian(space), space[130]));
        Assert.Equal(0, guest.Admin(6, ns: 0, word10: 2, prp1: NvmeGuest.Data).Status);
        Assert.Equal([1, 0, 0, 0, 0, 0, 0, 0], guest.Bytes(NvmeGuest.Data, 8));
        Assert.Equal(0, guest.Admin(6, ns: 1, word10: 3, prp1: NvmeGuest.Data).Status);
        Assert.Equal([3, 16], guest.Bytes(NvmeGuest.Data, 2));
        Assert.Equal(0x0b, guest.Admin(6, ns: 7, word10: 0, prp1: NvmeGuest.Data).Status);
        Assert.Equal(0x02, guest.Admin(6, word10: 0x20, prp1: NvmeGuest.Data).Status);
        Assert.Equal(0x01, guest.Admin(0x99).Status);
    }

    [Fact]
    public void Blocks_are_written_and_read_over_pages_of_every_kind()
    {
        using var guest = new NvmeGuest().Started();
        var random = new Random(5);
        foreach (var (blocks, offset) in ((int, int)[])[(1, 0), (1, 512), (8, 0), (8, 4), (16, 0), (16, 2048), (17, 0), (100, 12), (2048, 0), (2047, 8)])
        {
            var written = Pattern(blocks * 512, blocks);
            var first = (uint)random.Next(4096 - blocks);
            var (prp1, prp2) = Lay(guest, NvmeGuest.Data + (ulong)offset, written.Length, written);

            Assert.Equal(0, guest.Move(1, writes: true, first, blocks, prp1, prp2));
            Assert.Equal(written, guest.Disk.Content.AsSpan((int)first * 512, written.Length).ToArray());

            (prp1, prp2) = Lay(guest, (NvmeGuest.Data * 4) + (ulong)offset, written.Length, new byte[written.Length]);
            Assert.Equal(0, guest.Move(1, writes: false, first, blocks, prp1, prp2));
            Assert.Equal(written, guest.Bytes((NvmeGuest.Data * 4) + (ulong)offset, written.Length));
        }
        Assert.Equal(0x41u, guest.Pci.Messages.Sent[^1].Data);

        // Pages in the order of their addresses, with a list at 0x80000 that goes on in further pages.
        static (ulong, ulong) Lay(NvmeGuest guest, ulong at, int length, byte[] content)
        {
            guest.Memory.TryWrite(at, content);
            var rest = length - (4096 - (int)(at % 4096));
            var next = (at / 4096 * 4096) + 4096;
            if (rest <= 4096) return (at, rest > 0 ? next : 0);
            // Not at the beginning of its page, so that it is soon full.
            const ulong list = 0x80000 + 4096 - 64;
            var entry = list;
            for (; rest > 0; rest -= 4096, next += 4096)
            {
                if (entry % 4096 == 4088 && rest > 4096)
                {
                    var further = (entry / 4096 * 4096) + 8192;
                    guest.Memory.TryWrite(entry, further);
                    entry = further;
                }
                guest.Memory.TryWrite(entry, next);
                entry += 8;
            }
            return (at, list);
        }
    }

    [Theory]
    [InlineData(4096, 1, NvmeGuest.Data, 0, 0x80)]
    [InlineData(4095, 2, NvmeGuest.Data, 0, 0x80)]
    [InlineData(0, 1, NvmeGuest.Data + 1, 0, 0x13)]
    [InlineData(0, 16, NvmeGuest.Data, 0x80004, 0x13)]
    [InlineData(0, 32, NvmeGuest.Data, 0x80004, 0x13)]
    [InlineData(0, 1, 0x4000_0000, 0, 0x04)]
    [InlineData(0, 16, NvmeGuest.Data, 0x4000_0000, 0x04)]
    [InlineData(0, 32, NvmeGuest.Data, 0x4000_0000, 0x04)]
    [InlineData(0, 2049, NvmeGuest.Data, 0x80000, 0x02)]
    public void What_cannot_be_is_refused(uint block, int count, ulong prp1, ulong prp2, int status)
    {
        using var guest = new NvmeGuest().Started();
        guest.Disk.Calls.Clear();
        foreach (var writes in (bool[])[false, true]) Assert.Equal(status, guest.Move(1, writes, block, count, prp1, prp2));
        Assert.Empty(guest.Disk.Calls);
    }

    [Fact]
    public void Flushes_zeroes_and_blocks_that_are_given_up_reach_the_disk()
    {
        using var guest = new NvmeGuest().Started();
        guest.Disk.Calls.Clear();
        Assert.Equal(0, guest.Do(1, 0).Status);
        Assert.Equal(0, guest.Do(1, 8, word10: 16, word12: 7 | 1 << 25).Status);
        guest.Memory.TryWrite(NvmeGuest.Data + 4, 3u);
        guest.Memory.TryWrite(NvmeGuest.Data + 8, 9ul);
        Assert.Equal(0, guest.Do(1, 9, prp1: NvmeGuest.Data, word10: 0, word11: 4).Status);
        Assert.Equal(0, guest.Do(1, 1, prp1: NvmeGuest.Data, word12: 1 << 30).Status);
        Assert.Equal(["flush", "unmap 16+8", "discard 9+3", "write 0+1", "flush"], guest.Disk.Calls);
        guest.Memory.TryWrite(NvmeGuest.Data + 8, 4095ul);
        Assert.Equal(0x80, guest.Do(1, 9, prp1: NvmeGuest.Data, word10: 0, word11: 4).Status);
        Assert.Equal(0x01, guest.Do(1, 5).Status);
        Assert.Equal(0x0b, guest.Do(1, 2, ns: 2, prp1: NvmeGuest.Data).Status);
    }

    [Fact]
    public void A_disk_that_is_not_to_be_written_is_not()
    {
        using var guest = new NvmeGuest(new TestDisk(64, readOnly: true)).Started();
        Assert.Equal(0x182, guest.Move(1, writes: true, 0, 1, NvmeGuest.Data));
        Assert.Equal(0x01, guest.Do(1, 8).Status);
        Assert.Equal(0, guest.Move(1, writes: false, 0, 1, NvmeGuest.Data));
        Assert.Equal(0, guest.Do(1, 0).Status);
    }

    [Fact]
    public void What_fails_on_the_host_is_an_error_of_that_command()
    {
        using var guest = new NvmeGuest().Started();
        guest.Disk.Failure = new IOException("the disk is broken");
        Assert.Equal(0x281, guest.Move(1, writes: false, 0, 1, NvmeGuest.Data));
        Assert.Equal(0x280, guest.Move(1, writes: true, 0, 1, NvmeGuest.Data));
        guest.Disk.Failure = null;
        Assert.Equal(0, guest.Move(1, writes: true, 0, 1, NvmeGuest.Data));
    }

    [Fact]
    public void A_write_that_finds_no_space_waits_for_some()
    {
        var told = new List<bool>();
        using var guest = new NvmeGuest(drive: new DriveOptions { WaitsForSpace = told.Add }).Started();
        guest.Disk.Failure = new HostException("no space") { IsDiskFull = true };
        var id = guest.Submit(1, 1, 1, NvmeGuest.Data, 0, 0, 0, 0);
        guest.Wait();
        Assert.Null(guest.Take(1));
        Assert.Equal([true], told);
        guest.Controller.Retry();
        guest.Wait();
        Assert.Null(guest.Take(1));
        guest.Disk.Failure = null;
        guest.Controller.Retry();
        guest.Wait();
        Assert.Equal((id, 0), (guest.Take(1)!.Value.Command, 0));
        Assert.Equal([true, false], told);
    }

    [Fact]
    public void Queues_are_made_and_given_up_by_the_rules()
    {
        using var guest = new NvmeGuest().Started();
        Assert.Equal(0x101, guest.Admin(5, prp1: 0x90000, word10: 7 << 16 | 1, word11: 1).Status);
        Assert.Equal(0x101, guest.Admin(5, prp1: 0x90000, word10: 7 << 16 | 3, word11: 1).Status);
        Assert.Equal(0x101, guest.Admin(5, prp1: 0x90000, word10: 7 << 16, word11: 1).Status);
        Assert.Equal(0x102, guest.Admin(5, prp1: 0x90000, word10: 2, word11: 1).Status);
        Assert.Equal(0x102, guest.Admin(5, prp1: 0x90000, word10: 1024 << 16 | 2, word11: 1).Status);
        Assert.Equal(0x108, guest.Admin(5, prp1: 0x90000, word10: 7 << 16 | 2, word11: 3 << 16 | 3).Status);
        Assert.Equal(0x002, guest.Admin(5, prp1: 0x90000, word10: 7 << 16 | 2, word11: 2).Status);
        Assert.Equal(0x002, guest.Admin(5, prp1: 0x4000_0000, word10: 7 << 16 | 2, word11: 1).Status);
        Assert.Equal(0x013, guest.Admin(5, prp1: 0x90010, word10: 7 << 16 | 2, word11: 1).Status);
        Assert.Equal(0x100, guest.Admin(1, prp1: 0x90000, word10: 7 << 16 | 2, word11: 2 << 16 | 1).Status);
        Assert.Equal(0x10c, guest.Admin(4, word10: 1).Status);
        Assert.Equal(0x101, guest.Admin(0, word10: 2).Status);
        Assert.Equal(0, guest.Admin(0, word10: 1).Status);
        Assert.Equal(0, guest.Admin(4, word10: 1).Status);
        guest.CreateQueues(1);
        Assert.Equal(0, guest.Move(1, writes: false, 0, 1, NvmeGuest.Data));
        // As many as there are, whatever is asked for.
        Assert.Equal((0, 0x1_0001u), guest.Admin(9, word10: 7, word11: 0x3f003f));
        Assert.Equal((0, 0x1_0001u), guest.Admin(10, word10: 7));
        Assert.Equal((0, 1u), guest.Admin(10, word10: 6));
        Assert.Equal(0x002, guest.Admin(10, word10: 0x77).Status);
    }

    [Fact]
    public void Requests_for_events_are_parked_and_an_event_is_told_once_until_its_log_is_read()
    {
        using var guest = new NvmeGuest().Started();
        var ids = Enumerable.Range(0, 4).Select(_ => guest.Submit(0, 12, 0, 0, 0, 0, 0, 0)).ToArray();
        guest.Wait();
        Assert.Null(guest.Take(0));
        Assert.Equal(0x105, guest.Admin(12).Status);
        guest.Write(0x1000 + 8, 100);
        guest.Wait();
        Assert.Equal((ids[0], 0, 0x01_0100u), guest.Take(0));
        guest.Write(0x1000 + 16, 0);
        guest.Wait();
        Assert.Null(guest.Take(0));
        guest.Submit(0, 2, 0, NvmeGuest.Data, 0, 15 << 16 | 1, 0, 0);
        guest.Wait();
        Assert.Equal(0, guest.Take(0)!.Value.Status);
        Assert.Equal((ids[1], 0, 0x01_0000u), guest.Take(0));
        Assert.Equal(0, guest.Admin(2, prp1: NvmeGuest.Data, word10: 127 << 16 | 2).Status);
        Assert.Equal(100, guest.Bytes(NvmeGuest.Data, 512)[3]);
        Assert.Equal(0x109, guest.Admin(2, prp1: NvmeGuest.Data, word10: 127 << 16 | 0x70).Status);
    }

    [Fact]
    public void Commands_wait_where_there_is_no_room_for_their_ends()
    {
        using var guest = new NvmeGuest().Started();
        for (var i = 0; i < NvmeGuest.Entries - 1; i++) guest.Submit(1, 0, 1, 0, 0, 0, 0, 0);
        guest.Wait();
        for (var i = 0; i < NvmeGuest.Entries - 1; i++) guest.Submit(1, 0, 1, 0, 0, 0, 0, 0);
        guest.Wait();
        Assert.Equal(NvmeGuest.Entries - 1, guest.Disk.Calls.Count);
        var ends = 0;
        while (guest.Take(1) is not null)
        {
            ends++;
            guest.Wait();
        }
        Assert.Equal(2 * (NvmeGuest.Entries - 1), ends);
    }

    [Fact]
    public void Places_in_memory_stand_for_doorbells_until_a_reset()
    {
        using var guest = new NvmeGuest().Started();
        const ulong shadow = 0xa0000, indexes = 0xa1000;
        Assert.Equal(0x13, guest.Admin(0x7c, prp1: shadow + 4, prp2: indexes).Status);
        Assert.Equal(0x02, guest.Admin(0x7c, prp1: 0x4000_0000, prp2: indexes).Status);
        Assert.Equal(0, guest.Admin(0x7c, prp1: shadow, prp2: indexes).Status);
        // The first is told by the doorbell; the worker asks for the next.
        guest.Submit(1, 0, 1, 0, 0, 0, 0, 0, rings: false);
        guest.Memory.TryWrite(shadow + 8, (uint)guest.TailOf(1));
        guest.Write(0x1008, (uint)guest.TailOf(1));
        guest.Wait();
        Assert.NotNull(guest.Take(1));
        Assert.Equal(1, BitConverter.ToInt32(guest.Bytes(indexes + 8, 4)));
        // While it works it finds what was put there meanwhile.
        guest.Disk.Beginning = () =>
        {
            guest.Disk.Beginning = null;
            guest.Submit(1, 0, 1, 0, 0, 0, 0, 0, rings: false);
            guest.Memory.TryWrite(shadow + 8, (uint)guest.TailOf(1));
        };
        guest.Submit(1, 0, 1, 0, 0, 0, 0, 0, rings: false);
        guest.Memory.TryWrite(shadow + 8, (uint)guest.TailOf(1));
        guest.Write(0x1008, (uint)guest.TailOf(1));
        guest.Wait();
        Assert.NotNull(guest.Take(1));
        Assert.NotNull(guest.Take(1));
        guest.Write(0x14, 0);
        guest.Started();
        guest.Memory.TryWrite(shadow + 8, 5u);
        Assert.Equal(0, guest.Do(1, 0).Status);
        Assert.Null(guest.Take(1));
    }

    [Fact]
    public void Without_messages_the_pin_is_up_while_an_end_was_not_taken()
    {
        using var guest = new NvmeGuest();
        guest.Enable();
        guest.Submit(0, 6, 1, NvmeGuest.Data, 0, 0, 0, 0);
        guest.Wait();
        Assert.True(guest.Pci.Line.Level);
        guest.Write(0x0c, 1);
        Assert.False(guest.Pci.Line.Level);
        guest.Write(0x10, 1);
        Assert.True(guest.Pci.Line.Level);
        Assert.NotNull(guest.Take(0));
        Assert.False(guest.Pci.Line.Level);
    }

    [Theory]
    [InlineData(0x24, 0u)]
    [InlineData(0x24, 0x0fff_0007u)]
    [InlineData(0x28, 0x4000_0000u)]
    [InlineData(0x30, 0x4000_0000u)]
    public void Queues_of_the_admin_that_cannot_be_are_fatal_until_it_is_disabled(int register, uint value)
    {
        using var guest = new NvmeGuest();
        guest.Write(0x24, 0x0007_0007);
        guest.Write(0x28, 0x10000);
        guest.Write(0x30, 0x11000);
        guest.Write(register, value);
        guest.Write(0x14, 0x0046_0001);
        Assert.Equal(2u, guest.Read(0x1c));
        guest.Write(0x14, 0);
        Assert.Equal(0u, guest.Read(0x1c));
        guest.Started();
        Assert.Equal(0, guest.Do(1, 0).Status);
    }

    [Fact]
    public void A_shutdown_has_all_be_durable_first()
    {
        using var guest = new NvmeGuest().Started();
        guest.Disk.Calls.Clear();
        guest.Write(0x14, 0x0046_4001);
        guest.Wait();
        Assert.Equal(9u, guest.Read(0x1c));
        Assert.Equal(["flush"], guest.Disk.Calls);
    }

    [Fact]
    public void A_shutdown_that_loses_what_was_written_does_not_say_that_it_is_complete()
    {
        using var guest = new NvmeGuest().Started();
        guest.Disk.Failure = new IOException("the disk is broken");
        guest.Write(0x14, 0x0046_4001);
        guest.Wait();
        Assert.Equal(3u, guest.Read(0x1c));
    }

    [Fact]
    public async Task A_pause_waits_for_the_command_and_nothing_more_happens()
    {
        using var guest = new NvmeGuest(workers: new ThreadWorkers());
        guest.Wait = () => Assert.True(SpinWait.SpinUntil(() => guest.Take(0) is { Status: 0 } || guest.Read(0x1c) == 2, TimeSpan.FromMinutes(1)));
        guest.Enable();
        guest.Disk.Gate = new ManualResetEventSlim();
        // Its ring by hand: who waits for an end takes it.
        guest.Submit(0, 5, 0, 0x30000, 0, 7 << 16 | 1, 1 << 16 | 3, 0);
        guest.Wait();
        guest.Submit(0, 1, 0, 0x20000, 0, 7 << 16 | 1, 1 << 16 | 1, 0);
        guest.Wait();
        var command = new byte[128];
        (command[0], command[24 + 2], command[64], command[64 + 24 + 2]) = (2, 0x10, 2, 0x11);
        (command[4], command[68]) = (1, 1);
        guest.Memory.TryWrite(0x20000, command);
        guest.Write(0x1008, 2);
        Assert.True(SpinWait.SpinUntil(() => guest.Disk.InProgress == 1, TimeSpan.FromMinutes(1)));
        var pause = Task.Run(guest.Controller.Pause, TestContext.Current.CancellationToken);
        Assert.True(SpinWait.SpinUntil(StandsStill, TimeSpan.FromMinutes(1)));
        Assert.False(pause.IsCompleted);
        guest.Disk.Gate.Set();
        await pause.WaitAsync(TimeSpan.FromMinutes(1), TestContext.Current.CancellationToken);
        Assert.Equal(["read 0+1"], guest.Disk.Calls);
        guest.Controller.Resume();
        Assert.True(SpinWait.SpinUntil(() => { lock (guest.Disk.Calls) return guest.Disk.Calls.Count == 2; }, TimeSpan.FromMinutes(1)));

        bool StandsStill()
        {
            var node = new InspectNode("nvme");
            guest.Controller.Inspect(node);
            return node["stands still"] is true;
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public void Whatever_a_guest_writes_it_goes_on_and_stays_within_its_memory(int seed)
    {
        using var guest = new NvmeGuest(new TestDisk(64)).Started();
        var random = new Random(seed);
        var bytes = new byte[64];
        for (var i = 0; i < 250_000; i++)
        {
            switch (random.Next(6))
            {
                case 0:
                    guest.Write(random.Next(0x10) * 4, Value());
                    break;
                case 1:
                    guest.Write(0x1000 + (random.Next(0x28) * 4), (uint)random.Next(10));
                    break;
                case 2:
                    // A command that looks like one.
                    random.NextBytes(bytes);
                    bytes[0] = (byte)random.Next(0x0d);
                    bytes[1] = 0;
                    foreach (var at in (int[])[4, 24, 28, 32, 36, 40, 44, 48]) BitConverter.TryWriteBytes(bytes.AsSpan(at), at is 28 or 36 ? 0 : Value());
                    guest.Memory.TryWrite(NvmeGuest.Submissions(random.Next(3)) + (ulong)(random.Next(8) * 64), bytes);
                    break;
                case 3:
                    _ = guest.Read(random.Next(0x800) * 4);
                    break;
                case 4:
                    if (random.Next(50) == 0) guest.Enable();
                    break;
                default:
                    guest.Workers.Run(20);
                    break;
            }
        }
        guest.Workers.Run();
        guest.Disk.Calls.Clear();
        guest.Controller.Reset();
        guest.Connect();
        guest.Started();
        Assert.Equal(0, guest.Do(1, 0).Status);
        Assert.Equal(["flush"], guest.Disk.Calls);

        uint Value() => random.Next(5) switch { 0 => 0, 1 => (uint)random.Next(16), 2 => (uint)random.Next(256) << 12, 3 => (uint)random.Next(8) << 16 | (uint)random.Next(4), _ => (uint)random.NextInt64(1L << 32) };
    }
}
