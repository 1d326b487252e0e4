// What the translator's tables take of the host is bounded, whatever a guest does to its page tables.
using System.Globalization;
using Lamina.Core.Engine;
using Lamina.Core.Inspection;
using Lamina.Engines.Translator;
using GsBaseChange = Lamina.Engines.Translator.Code.GsBaseChange;
using Lamina.Engines.Translator.Runtime;
using Lamina.Engines.Translator.Settings;
using Lamina.Host;
using Lamina.Tests.Engine.Shared.Guest;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Lamina.Tests.Engine.Shared;

[Collection(Alone.Name)]
public sealed class TableBoundTests
{
    private const ulong TopTable = 0x4_0000, GibTable = 0x4_1000, LargeTable = 0x4_2000, UsedEntry = 0x67, UsedGib = 0xe7, UsedLarge = 0xe7;

    // So many times 8 GiB are all 48-bit addresses.
    private const uint Parts = 1 << 15;
    private const byte Return = 0xC3;
    private const long Piece = 1L << 40;

    // 64 MiB and a 128th of the guest's memory; what goes beyond it is given back at once.
    private const long Bound = (64 << 20) + (long)Layout.RamSize / 128 + (64 << 10);

    /// <summary>Two tables that repeat themselves map the guest's first GiB everywhere; it is stored to, or dropped from the tables, once a GiB.</summary>
    private static GuestProgram EveryGib(bool mapped) => new(GuestMode.Long, c =>
    {
        var again = c.CreateLabel();
        c.mov(rdi, (1ul << 30) + Layout.Data);
        c.mov(r8, 1ul << 30);
        c.mov(ecx, mapped ? 30_000 : 12_000);
        c.Label(ref again);
        if (mapped) c.mov(__dword_ptr[rdi], ecx);
        else c.invlpg(__byte_ptr[rdi]);
        c.add(rdi, r8);
        c.dec(ecx);
        c.jnz(again);
    }, (_, state) => Assert.Equal(0u, (uint)state.Gpr[GprIndex.Rcx]))
    {
        Prepare = machine =>
        {
            Repeat(machine, TopTable, GibTable | UsedEntry);
            Repeat(machine, GibTable, UsedGib);
        },
        Adjust = state => state.Cr3 = TopTable,
    };

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_guest_that_reaches_for_all_addresses_makes_the_host_take_no_more_than_the_bound(bool mapped)
    {
        EngineKind.SkipWhereOnlyKvmIsAsked();
        using var machine = new SmallMachine(EngineKind.Translator);
        var program = EveryGib(mapped);
        var before = PageTables();

        program.Check(machine, program.Run(machine));

        Assert.InRange(machine.Count("vcpu_table_peak_bytes"), 1 << 20, Bound);
        Assert.InRange(machine.Count("vcpu_tables_given_back"), 4, 100);
        // Others test beside this one, and take some.
        Assert.InRange(PageTables() - before, -Bound, 2 * Bound);
    }

    /// <summary>Three tables that repeat themselves map the guest's first 2 MiB everywhere; each 8 GiB are loaded from once.</summary>
    [Fact]
    public void A_guest_that_has_large_pages_everywhere_makes_their_map_take_a_part_of_the_bound()
    {
        EngineKind.SkipWhereOnlyKvmIsAsked();
        using var machine = new SmallMachine(EngineKind.Translator);
        var program = new GuestProgram(GuestMode.Long, c =>
        {
            var again = c.CreateLabel();
            c.mov(rdi, Layout.Handlers);
            c.mov(r8, 8ul << 30);
            c.mov(ecx, Parts);
            c.Label(ref again);
            c.mov(eax, __dword_ptr[rdi]);
            c.add(rdi, r8);
            // Behind the first half of the addresses the second half begins.
            c.shl(rdi, 16);
            c.sar(rdi, 16);
            c.dec(ecx);
            c.jnz(again);
        }, (_, state) => Assert.Equal(0u, (uint)state.Gpr[GprIndex.Rcx]))
        {
            Prepare = machine =>
            {
                Repeat(machine, TopTable, GibTable | UsedEntry);
                Repeat(machine, GibTable, LargeTable | UsedEntry);
                Repeat(machine, LargeTable, UsedLarge);
            },
            Adjust = state => state.Cr3 = TopTable,
        };

        program.Check(machine, program.Run(machine));

        Assert.InRange(machine.Count("vcpu_table_peak_bytes"), 1 << 20, Bound);
        Assert.InRange(machine.Count("vcpu_tables_given_back"), 1, 100);
        // All that it could take is 128 MiB.
        Assert.InRange(((TranslatorVcpu)machine.Vcpu).LargePages.Resident, 4096ul, (ulong)Bound);
    }

    [Theory]
    [InlineData(1, 14, 16, 16)]
    [InlineData(8, 14, 12, 11)]
    [InlineData(8, 8, 10, 10)]
    [InlineData(24, 14, 4, 3)]
    public void Address_spaces_beyond_the_bound_share_regions(int cpus, int wanted, int regions, int regionsBesideALostOne)
    {
        EngineKind.SkipWhereOnlyKvmIsAsked();
        const uint spaces = 40, firstSpace = 0x10_0000;
        var settings = new TranslatorSettings { UserRegions = wanted };
        using var machine = new SmallMachine(new TranslatorEngine(settings), cpus);
        var program = new GuestProgram(GuestMode.Long, c =>
        {
            var again = c.CreateLabel();
            c.mov(eax, firstSpace);
            c.mov(ecx, spaces);
            c.Label(ref again);
            c.mov(cr3, rax);
            c.inc(__dword_ptr[Layout.Data]);
            c.add(eax, 4096);
            c.dec(ecx);
            c.jnz(again);
        }, (machine, _) => Assert.Equal(spaces, machine.Read<uint>(Layout.Data)))
        {
            Prepare = machine =>
            {
                for (var n = 0u; n < spaces; n++) Assert.True(machine.Memory.TryWrite(firstSpace + n * 4096, machine.Read<ulong>(Layout.PageTables)));
            },
        };

        program.Check(machine, program.Run(machine));

        var counters = new CounterList();
        machine.Vcpu.Count(counters);
        Assert.Equal(HostGsBase.Of(settings) == GsBaseChange.Lost ? regionsBesideALostOne : regions, counters.All.Single(counter => counter.Name == "vcpu_regions").Value);
    }

    /// <summary>A vCPU takes TiBs of addresses, of which a process has 128.</summary>
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void A_CPU_that_there_are_no_addresses_for_is_refused_and_leaves_none_taken(int enough)
    {
        EngineKind.SkipWhereOnlyKvmIsAsked();
        var taken = new Stack<HostReservation>();
        try
        {
            while (TryTake() is { } piece) taken.Push(piece);
            // A region takes a little more than a piece.
            for (var i = 0; i < 2 * enough; i++) taken.Pop().Dispose();
            var before = Addresses();

            var refused = Assert.Throws<HostException>(() => new SmallMachine(EngineKind.Translator));

            Assert.Contains("lift the limit on virtual memory", refused.Message, StringComparison.Ordinal);
            Assert.InRange(Addresses() - before, -Piece / 2, Piece / 2);
        }
        finally
        {
            foreach (var piece in taken) piece.Dispose();
        }
    }

    [Fact]
    public void A_large_page_of_code_is_dropped_whole_even_where_its_size_was_forgotten_with_the_tables()
    {
        EngineKind.SkipWhereOnlyKvmIsAsked();
        const uint window = 0x4000_0000, entry = Layout.PageTables + 0x3000, elsewhere = 0x20_0000;
        using var machine = new SmallMachine(EngineKind.Translator);
        var program = new GuestProgram(GuestMode.Long, c =>
        {
            var again = c.CreateLabel();
            c.mov(ebp, window + Layout.Handlers);
            c.call(rbp);
            c.mov(rdi, 1ul << 39);
            c.mov(r8, 1ul << 30);
            c.mov(ecx, 12_000);
            c.Label(ref again);
            c.mov(eax, __dword_ptr[rdi]);
            c.add(rdi, r8);
            c.dec(ecx);
            c.jnz(again);
            c.mov(__dword_ptr[entry], elsewhere | (int)UsedLarge);
            c.invlpg(__byte_ptr[window + 0x12345]);
            c.call(rbp);
        }, (_, state) => Assert.Equal(0x101u, (uint)state.Gpr[GprIndex.Rbx]))
        {
            Prepare = machine =>
            {
                Repeat(machine, TopTable, GibTable | UsedEntry);
                Assert.True(machine.Memory.TryWrite(TopTable, machine.Read<ulong>(Layout.PageTables)));
                Repeat(machine, GibTable, UsedGib);
                Assert.True(machine.Memory.TryWrite(entry, UsedLarge));
                machine.Load(Layout.Handlers, [0xFE, 0xC3, Return]);             // inc bl
                machine.Load(Layout.Handlers + elsewhere, [0xFE, 0xC7, Return]); // inc bh
            },
            Adjust = state => (state.Cr3, state.Gpr[GprIndex.Rbx]) = (TopTable, 0),
        };

        program.Check(machine, program.Run(machine));

        Assert.InRange(machine.Count("vcpu_tables_given_back"), 1, 100);
    }

    private static void Repeat(SmallMachine machine, ulong table, ulong entry)
    {
        for (var n = 0ul; n < 512; n++) Assert.True(machine.Memory.TryWrite(table + n * 8, entry));
    }

    // What the host's page tables of this process take. Man page proc_pid_status(5).
    private static HostReservation? TryTake()
    {
        try
        {
            return HostReservation.Reserve(Piece);
        }
        catch (HostException)
        {
            return null;
        }
    }

    private static long PageTables() => Status("VmPTE:");

    private static long Addresses() => Status("VmSize:");

    private static long Status(string name) =>
        long.Parse(File.ReadLines("/proc/self/status").First(line => line.StartsWith(name, StringComparison.Ordinal)).Split([' ', '\t'], StringSplitOptions.RemoveEmptyEntries)[^2], CultureInfo.InvariantCulture) << 10;
}
