// What the translator's tables take of the host is bounded, whatever a guest does to its page tables.
using System.Globalization;
using Lamina.Core.Engine;
using Lamina.Tests.Engine.Shared.Guest;
using Xunit;
using static Iced.Intel.AssemblerRegisters;

namespace Lamina.Tests.Engine.Shared;

public sealed class TableBoundTests
{
    private const ulong TopTable = 0x4_0000, GibTable = 0x4_1000, UsedEntry = 0x67, UsedGib = 0xe7;

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
            for (var n = 0ul; n < 512; n++)
            {
                Assert.True(machine.Memory.TryWrite(TopTable + n * 8, GibTable | UsedEntry));
                Assert.True(machine.Memory.TryWrite(GibTable + n * 8, UsedGib));
            }
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

    // What the host's page tables of this process take. Man page proc_pid_status(5).
    private static long PageTables() =>
        long.Parse(File.ReadLines("/proc/self/status").First(line => line.StartsWith("VmPTE:", StringComparison.Ordinal)).Split(' ', StringSplitOptions.RemoveEmptyEntries)[^2].Trim(), CultureInfo.InvariantCulture) << 10;
}
