// What every engine tells of the pages that its vCPUs write, and what memory tells of those that devices write.
using Lamina.Core.Engine;
using Lamina.Core.Memory;
using Lamina.Engines.Kvm;
using Lamina.Tests.Engine.Shared.Guest;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Lamina.Tests.Engine.Shared;

public sealed class WriteLogTests
{
    private const uint From = 0x4_0000, Step = 0x2000, Page = 4096, ByDevice = 0x4_2000;
    private const ulong EverySecond = 0xAAAA_AAAA_AAAA_AAAA;

    // Stores to every second page from 256 KiB on.
    private static readonly GuestProgram s_everySecondPage = new(GuestMode.Long, c =>
    {
        var again = c.CreateLabel();
        c.mov(ebx, From);
        c.Label(ref again);
        c.mov(__dword_ptr[rbx + 0x1004], eax);
        c.add(ebx, Step);
        c.cmp(ebx, (uint)Layout.RamSize);
        c.jb(again);
    }, (_, _) => { });

    public static TheoryData<string> Engines => [.. EngineKind.All];

    [Theory]
    [MemberData(nameof(Engines))]
    public void Each_reader_is_told_of_what_CPUs_and_devices_wrote(string engine)
    {
        using var machine = new SmallMachine(engine);
        ReadBoth(machine);
    }

    // A ring that holds them all, one that is full twice on the way, a bitmap.
    [Theory]
    [InlineData(4096)]
    [InlineData(512)]
    [InlineData(0)]
    public void KVM_tells_it_by_rings_and_by_bitmaps(int ringEntries)
    {
        EngineKind.Create(EngineKind.Kvm);
        using var machine = new SmallMachine(new KvmEngine { DirtyRingEntries = ringEntries });
        ReadBoth(machine);
    }

    private static void ReadBoth(SmallMachine machine)
    {
        var state = s_everySecondPage.Load(machine);
        // Once without a reader, so that all has been stored to before.
        machine.Run(state);
        using var all = machine.Memory.Writes.Open(new MemoryRange(0, machine.Memory.End));
        using var late = machine.Memory.Writes.Open(new MemoryRange(From, 64 * Page));
        ulong[] pages = new ulong[all.Words], few = new ulong[late.Words];

        machine.Run(state);
        machine.Load(ByDevice, [1]);
        all.Take(pages);

        const int first = (int)(From / Page / 64), end = (int)(Layout.RamSize / Page / 64);
        Assert.Equal(EverySecond | 1ul << 2, pages[first]);
        Assert.All(pages[(first + 1)..end], word => Assert.Equal(EverySecond, word));
        Assert.All(pages[end..], word => Assert.Equal(0ul, word));

        // To the other one all of it is still to be told, and what came since.
        machine.Load(ByDevice + 2 * Page, [1]);
        late.Take(few);
        Assert.Equal([EverySecond | 1 << 2 | 1 << 4], few);
        all.Take(pages);
        Assert.Equal(1ul << 4, pages[first]);
        Assert.All(pages[(first + 1)..], word => Assert.Equal(0ul, word));

        // Again: what was told is looked for anew.
        late.Dispose();
        machine.Run(state);
        all.Take(pages);
        Assert.All(pages[first..end], word => Assert.Equal(EverySecond, word));
        Assert.Throws<ObjectDisposedException>(() => late.Take(few));
    }

    // The vCPU has long had the right to store there, and has it again after each time that it was told.
    [Theory]
    [MemberData(nameof(Engines))]
    public void The_log_begins_goes_on_and_ends_while_a_vCPU_stores(string engine)
    {
        const uint counter = Layout.Data, stop = counter + 4;
        using var machine = new SmallMachine(engine);
        var program = new GuestProgram(GuestMode.Long, c =>
        {
            var again = c.CreateLabel();
            c.Label(ref again);
            c.inc(__dword_ptr[counter]);
            c.cmp(__dword_ptr[stop], 0);
            c.je(again);
        }, (_, _) => { });

        machine.Run(program.Load(machine), () =>
        {
            try
            {
                machine.WaitForMore(counter);
                using (var reader = machine.Memory.Writes.Open(new MemoryRange(counter, Page)))
                {
                    var page = new ulong[1];
                    for (var n = 0; n < 10; n++)
                    {
                        machine.WaitForMore(counter);
                        reader.Take(page);
                        Assert.Equal(1ul, page[0]);
                    }
                }
                machine.WaitForMore(counter);
            }
            finally
            {
                machine.Memory.TryWrite(stop, 1);
            }
        });
    }

    // As a migration does: what was written is copied again and again, until the machine stands.
    [Theory]
    [MemberData(nameof(Engines))]
    public void Whoever_copies_what_was_written_has_all_of_it_in_the_end(string engine)
    {
        const uint stop = Layout.Data, mask = 0x3f_fffc;
        using var machine = new SmallMachine(engine);
        using var region = machine.Memory.Map(Layout.RamSize, Layout.RamSize, MemoryKind.Ram, "more");
        // Stores, locked and string operations all over the second half of the memory, and now and then to a page with code.
        var program = new GuestProgram(GuestMode.Long, c =>
        {
            var again = c.CreateLabel();
            c.mov(esi, 12345);
            c.Label(ref again);
            c.imul(esi, esi, 1664525);
            c.add(esi, 1013904223);
            c.mov(eax, esi);
            c.shr(eax, 8);
            c.and(eax, mask);
            c.mov(__dword_ptr[rax + (int)Layout.RamSize], esi);
            c.xor(eax, 0x1_2340);
            c.@lock.xadd(__dword_ptr[rax + (int)Layout.RamSize], esi);
            c.xor(eax, 0x2_1000);
            c.and(eax, ~0xff);
            c.lea(edi, __[rax + (int)Layout.RamSize]);
            c.mov(ecx, 5);
            c.mov(eax, esi);
            c.rep.stosd();
            // A software-assisted KVM does not know it.
            if (!EngineKind.IsKvm(engine)) c.@lock.cmpxchg16b(__xmmword_ptr[rdi + 12]);
            c.inc(__dword_ptr[Layout.Code + 0x800]);
            c.cmp(__dword_ptr[stop], 0);
            c.je(again);
        }, (_, _) => { });
        var state = program.Load(machine);
        using var reader = machine.Memory.Writes.Open(new MemoryRange(0, 2 * Layout.RamSize));
        using var other = machine.Memory.Writes.Open(new MemoryRange(0, Layout.RamSize));
        var copy = new byte[2 * Layout.RamSize];
        Assert.True(machine.Memory.TryRead(0, copy));
        void WriteAsDevice()
        {
            for (var n = 0u; n < 5000; n++) machine.Memory.TryWrite(Layout.RamSize + (n * 40503 & mask), n);
        }

        void Copy()
        {
            for (var round = 0; round < 40; round++)
            {
                CopyWritten(machine, reader, copy);
                if (round % 10 == 5) other.Take(new ulong[other.Words]);
            }
            machine.Memory.TryWrite(stop, 1);
        }

        machine.Run(state, WriteAsDevice, Copy);
        CopyWritten(machine, reader, copy);

        var now = new byte[copy.Length];
        Assert.True(machine.Memory.TryRead(0, now));
        var same = now.AsSpan().CommonPrefixLength(copy);
        Assert.True(same == now.Length, $"a write to 0x{same:x} was not told");
    }

    private static void CopyWritten(SmallMachine machine, WriteLogReader reader, byte[] copy)
    {
        var pages = new ulong[reader.Words];
        reader.Take(pages);
        for (var page = 0; page < copy.Length / Page; page++)
        {
            if ((pages[page / 64] >> (page & 63) & 1) != 0) Assert.True(machine.Memory.TryRead((ulong)page * Page, copy.AsSpan(page * (int)Page, (int)Page)));
        }
    }
}
