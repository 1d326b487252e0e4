// Page walks in every mode, against the rules of SDM vol. 3, 4.6.1 written down once more, independently.
using Lamina.Engines.X86;
using Lamina.Engines.X86.Decode;
using Lamina.Engines.X86.Paging;
using Xunit;

namespace Lamina.Tests.Engines.X86;

public sealed class PagingTests
{
    private const ulong Frame = 0x40_0000;

    /// <summary>May an access with these rights be made? SDM vol. 3, 4.6.1, sentence by sentence.</summary>
    private static bool Allowed(AccessKind kind, bool user, bool pageUser, bool pageWritable, bool noExecute, bool wp, bool smep, bool smap, bool ac)
    {
        if (user)
        {
            if (!pageUser) return false;
            return kind switch { AccessKind.Read => true, AccessKind.Write => pageWritable, _ => !noExecute };
        }
        if (kind == AccessKind.Execute) return pageUser ? !smep && !noExecute : !noExecute;
        if (pageUser && smap && !ac) return false;
        return kind == AccessKind.Read || pageWritable || !wp;
    }

    [Fact]
    public void FourLevelPermissionsFollowTheManualInEveryCombination()
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        for (var combination = 0; combination < 1 << 10; combination++)
        {
            bool Bit(int n) => (combination >> n & 1) != 0;
            var (pageUser, pageWritable, noExecute, upper) = (Bit(0), Bit(1), Bit(2), Bit(3));
            var (wp, smep, smap, ac, nxe, user) = (Bit(4), Bit(5), Bit(6), Bit(7), Bit(8), Bit(9));
            // The restriction stands in the last level, or in the first one only: both count.
            ulong restricted = 1 | (pageWritable ? 2u : 0) | (pageUser ? 4u : 0) | (noExecute && nxe ? 1UL << 63 : 0);
            ulong open = 7;
            machine.Write(TestMachine.PageTables, (TestMachine.PageTables + 0x1000) | (upper ? restricted : open));
            machine.Write(TestMachine.PageTables + 0x1000, (TestMachine.PageTables + 0x2000) | open);
            machine.Write(TestMachine.PageTables + 0x2000, (TestMachine.PageTables + 0x3000) | open);
            machine.Write(TestMachine.PageTables + 0x3000 + 8, Frame | (upper ? open : restricted));
            unsafe
            {
                machine.Context->Cr0 = 0x8000_0001 | (wp ? Cr0.WP : 0);
                machine.Context->Cr4 = Cr4.PAE | (smep ? Cr4.SMEP : 0) | (smap ? Cr4.SMAP : 0);
                machine.Context->Efer = Efer.LMA | Efer.LME | (nxe ? Efer.NXE : 0);
            }
            machine.Flags = ac ? Rflags.AC : 0;
            foreach (var kind in (AccessKind[])[AccessKind.Read, AccessKind.Write, AccessKind.Execute])
            {
                var expected = Allowed(kind, user, pageUser, pageWritable, noExecute && nxe, wp, smep, smap, ac);
                var actual = machine.Processor.TryTranslate(0x1234, kind, user, out var translation);
                Assert.True(expected == actual, $"{combination:x} {kind}");
                if (actual)
                {
                    Assert.Equal(Frame, translation.PhysicalPage);
                    Assert.Equal(4096ul, translation.PageSize);
                    Assert.Equal(Allowed(AccessKind.Read, user, pageUser, pageWritable, noExecute && nxe, wp, smep, smap, ac), translation.Readable);
                    Assert.Equal(Allowed(AccessKind.Execute, user, pageUser, pageWritable, noExecute && nxe, wp, smep, smap, ac), translation.Executable);
                    continue;
                }
                var code = PageFaultCode.Present | (user ? PageFaultCode.User : 0) | (kind == AccessKind.Write ? PageFaultCode.Write : 0)
                    | (kind == AccessKind.Execute && (smep || nxe) ? PageFaultCode.Fetch : 0);
                Assert.Equal(Fault.Page(0x1234, code), machine.Processor.Fault);
            }
        }
    }

    [Theory]
    [InlineData(3, 0x2000ul, 0x1000ul)]
    [InlineData(2, 0x0020_0000ul, 0x20_0000ul)]
    [InlineData(1, 0x4000_0000ul, 0x4000_0000ul)]
    public void FourLevelFindsPagesOfEverySize(int tables, ulong linear, ulong size)
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        machine.Write(TestMachine.PageTables + 0x1000, (TestMachine.PageTables + 0x2000) | 7);
        machine.Write(TestMachine.PageTables + 0x2000, (TestMachine.PageTables + 0x3000) | 7);
        if (tables == 3) machine.Write(TestMachine.PageTables + 0x3000 + 16, 0x5000ul | 3);
        if (tables == 2) machine.Write(TestMachine.PageTables + 0x2000 + 8, 0x0060_0000ul | 0x83);
        if (tables == 1) machine.Write(TestMachine.PageTables + 0x1000 + 8, 0x8000_0000ul | 0x183);

        Assert.True(machine.Processor.TryTranslate(linear + size - 0x1000 + 0x123, AccessKind.Read, false, out var translation));

        Assert.Equal(size, translation.PageSize);
        Assert.Equal((tables == 3 ? 0x5000ul : tables == 2 ? 0x0060_0000ul : 0x8000_0000) + size - 0x1000, translation.PhysicalPage);
        Assert.False(translation.Writable); // not dirty yet
    }

    [Theory]
    [InlineData(0, 1ul << 51)]
    [InlineData(0, 1ul << 46)]
    [InlineData(0, 0x80ul)] // PML4E.PS
    [InlineData(1, 1ul << 50)]
    [InlineData(1, 0x80ul | 1 << 13)] // 1 GiB page, misaligned
    [InlineData(2, 1ul << 47)]
    [InlineData(2, 0x80ul | 1 << 20)] // 2 MiB page, misaligned
    [InlineData(3, 1ul << 46)]
    public void ReservedBitsFaultAtEveryLevel(int level, ulong reserved)
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        for (var n = 0; n < 4; n++)
            machine.Write(TestMachine.PageTables + (ulong)n * 0x1000, (TestMachine.PageTables + (ulong)(n + 1) * 0x1000) | 7 | (n == level ? reserved : 0));

        Assert.False(machine.Processor.TryTranslate(0, AccessKind.Write, true, out _));

        Assert.Equal(Fault.Page(0, PageFaultCode.Present | PageFaultCode.Reserved | PageFaultCode.Write | PageFaultCode.User), machine.Processor.Fault);
    }

    [Fact]
    public unsafe void ExecuteDisableIsReservedWithoutNxe()
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        machine.Context->Efer &= ~Efer.NXE;
        machine.Write(TestMachine.PageTables, machine.Read<ulong>(TestMachine.PageTables) | 1UL << 63);

        Assert.False(machine.Processor.TryTranslate(0, AccessKind.Read, false, out _));
        Assert.Equal(PageFaultCode.Present | PageFaultCode.Reserved, machine.Processor.Fault.ErrorCode);
    }

    [Fact]
    public void AccessedAndDirtyBitsAreSetOnlyByAccessesThatSucceed()
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        var (root, leaf) = (TestMachine.PageTables, TestMachine.PageTables + 0x2000);
        machine.Write(leaf, 0x81ul); // supervisor, read-only

        Assert.False(machine.Processor.TryTranslate(0, AccessKind.Read, true, out _));
        Assert.Equal(0ul, (machine.Read<ulong>(root) | machine.Read<ulong>(leaf)) & 0x60);

        Assert.True(machine.Processor.TryTranslate(0, AccessKind.Read, false, out var read));
        Assert.Equal(0x20ul, machine.Read<ulong>(root) & 0x60);
        Assert.Equal(0x20ul, machine.Read<ulong>(leaf) & 0x60);
        Assert.False(read.Dirty);

        Assert.True(machine.Processor.TryTranslate(0, AccessKind.Write, false, out var written)); // CR0.WP is clear
        Assert.Equal(0x60ul, machine.Read<ulong>(leaf) & 0x60);
        Assert.True(written is { Dirty: true, Writable: true });
    }

    [Fact]
    public unsafe void GlobalNeedsCr4Pge()
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        machine.Write(TestMachine.PageTables + 0x2000, 0x187ul);

        Assert.True(machine.Processor.TryTranslate(0, AccessKind.Read, false, out var without));
        machine.Context->Cr4 |= Cr4.PGE;
        Assert.True(machine.Processor.TryTranslate(0, AccessKind.Read, false, out var with));

        Assert.False(without.Global);
        Assert.True(with.Global);
    }

    [Fact]
    public unsafe void TwoLevelPagingKnowsSmallLargeAnd36BitPages()
    {
        using var machine = new TestMachine();
        machine.EnterProtected();
        machine.Context->Cr0 |= Cr0.PG;
        machine.Context->Cr4 = Cr4.PSE;
        machine.Context->Cr3 = TestMachine.PageTables;
        machine.Write(TestMachine.PageTables, (uint)(TestMachine.PageTables + 0x1000) | 3);
        machine.Write(TestMachine.PageTables + 0x1000 + 4 * 5, 0x6000u | 3);
        machine.Write(TestMachine.PageTables + 4, 0x0040_0000u | 0x83 | 3 << 13); // address bits 33 and 32

        Assert.True(machine.Processor.TryTranslate(0x5678, AccessKind.Write, false, out var small));
        Assert.True(machine.Processor.TryTranslate(0x0040_1000, AccessKind.Read, false, out var large));
        machine.Write(TestMachine.PageTables + 4, 0x0040_0000u | 0x83 | 1 << 21);
        Assert.False(machine.Processor.TryTranslate(0x0040_1000, AccessKind.Read, false, out _));

        Assert.Equal(0x6000ul, small.PhysicalPage);
        Assert.Equal((3ul << 32) | 0x0040_1000, large.PhysicalPage);
        Assert.Equal(4ul << 20, large.PageSize);
        Assert.Equal(PageFaultCode.Present | PageFaultCode.Reserved, machine.Processor.Fault.ErrorCode);
    }

    [Fact]
    public unsafe void PaePagingUsesItsFourRegistersUntilCr3IsWritten()
    {
        using var machine = new TestMachine();
        machine.EnterProtected();
        machine.Context->Cr4 = Cr4.PAE;
        machine.Write(TestMachine.PageTables + 0x20, 0UL);
        machine.Write(TestMachine.PageTables + 0x28, (TestMachine.PageTables + 0x1000) | 1);
        machine.Write(TestMachine.PageTables + 0x30, 0UL);
        machine.Write(TestMachine.PageTables + 0x38, 0UL);
        machine.Write(TestMachine.PageTables + 0x1000, 0x20_0000ul | 0x83);
        machine.Context->Cr3 = TestMachine.PageTables + 0x20;
        machine.Rax = machine.Context->Cr0 | Cr0.PG;

        // The whole of the first gigabyte is unmapped: run the MOV CR0 itself through the executor only.
        Assert.Equal(Outcome.Next, machine.Run(0x0f, 0x22, 0xc0));
        Assert.True(machine.Processor.TryTranslate(0x4000_1234, AccessKind.Read, false, out var mapped));
        Assert.False(machine.Processor.TryTranslate(0x1234, AccessKind.Read, false, out _));
        machine.Write(TestMachine.PageTables + 0x28, 0UL); // not seen before the next load of CR3
        Assert.True(machine.Processor.TryTranslate(0x4000_1234, AccessKind.Read, false, out _));

        Assert.Equal(0x20_1000ul, mapped.PhysicalPage);
    }

    [Fact]
    public unsafe void PaePointersWithReservedBitsRefuseCr3()
    {
        using var machine = new TestMachine();
        machine.EnterProtected();
        machine.Context->Cr0 |= Cr0.PG;
        machine.Context->Cr4 = Cr4.PAE;
        machine.Write(TestMachine.PageTables, 1ul | 2); // R/W is reserved in a PDPTE
        var execute = new Instruction { Id = InstructionId.MovToCr, Reg = 3, Rm = 0, Length = 3 };
        machine.Rax = TestMachine.PageTables;

        machine.AssertFault(machine.Processor.Execute(in execute), Vector.GeneralProtection, 0);
        Assert.Equal(0ul, machine.Context->Cr3);
    }

    [Fact]
    public unsafe void TablesOutsideRamReadAsOnesAndDoNoHarm()
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        machine.Context->Cr3 = 0x1_0000_0000;

        Assert.False(machine.Processor.TryTranslate(0, AccessKind.Read, false, out _));
        Assert.Equal(PageFaultCode.Present | PageFaultCode.Reserved, machine.Processor.Fault.ErrorCode);
    }

    [Fact]
    public void AStoreAcrossPagesChecksBothBeforeItWrites()
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        machine.Write(TestMachine.PageTables + 0x2000 + 8, 0ul); // 2 MiB up: absent

        Assert.False(machine.Processor.TryWriteLinear(0x1f_fffc, [1, 2, 3, 4, 5, 6, 7, 8]));

        Assert.Equal(Fault.Page(0x20_0000, PageFaultCode.Write), machine.Processor.Fault);
        Assert.Equal(0u, machine.Read<uint>(0x1f_fffc));
    }

    [Fact]
    public void AStoreThatWasPlacedIsMadeThereWhateverBecomesOfThePageTables()
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        Assert.True(machine.Processor.TryPlaceStore(0x1f_fffc, 8, out var place));
        machine.Write(TestMachine.PageTables + 0x2000, 0ul); // as another CPU would
        machine.Write(TestMachine.PageTables + 0x2000 + 8, 0ul);

        machine.Processor.StoreAt(place, 0, [1, 2, 3, 4, 5, 6]);
        machine.Processor.StoreAt(place, 6, [7, 8]);

        Assert.False(machine.Processor.TryPlaceStore(0x1f_fffc, 8, out _));
        Assert.Equal(0x0807_0605_0403_0201ul, machine.Read<ulong>(0x1f_fffc));
    }

    [Fact]
    public void AccessesOutsideRamReachTheBusInPiecesAndTheOwnLocalApic()
    {
        using var machine = new TestMachine();
        machine.EnterProtected();
        machine.Bus.Reads.Enqueue(0x1122_3344);

        Assert.True(machine.Processor.TryReadLinear(0xd000_0000, 4, out var value));
        Assert.True(machine.Processor.TryWriteLinear(0xd000_0003, [1, 2, 3]));
        Assert.True(machine.Processor.TryWriteLinear(0xfee0_00b0, 4, 7));
        Assert.True(machine.Processor.TryReadLinear(0xfee0_0020, 4, out var id));

        Assert.Equal(0x1122_3344ul, value);
        Assert.Equal([("load", 0xd000_0000ul, 0ul, 4), ("store", 0xd000_0003, 1, 1), ("store", 0xd000_0004, 0x302, 2)], machine.Bus.Log);
        Assert.Equal((0xb0ul, 7u), Assert.Single(machine.Apic.Writes));
        Assert.Equal(0x5a5a_5a5aul, id);
    }

    [Fact]
    public unsafe void SystemAccessesAreNotLiftedOverSmapByAc()
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        machine.Context->Cr4 |= Cr4.SMAP;
        machine.Flags = Rflags.AC;
        Span<byte> data = stackalloc byte[8];

        Assert.True(machine.Processor.TryReadLinear(0x1000, data));
        Assert.False(machine.Processor.TryReadLinear(0x1000, data, systemAccess: true));
        Assert.Equal(PageFaultCode.Present, machine.Processor.Fault.ErrorCode);
    }

    [Fact]
    public unsafe void TheDebuggerReadsWithoutRightsOrTraces()
    {
        using var machine = new TestMachine();
        machine.EnterLong(cpl: 3);
        machine.Write(TestMachine.PageTables + 0x2000, 0x81ul); // supervisor
        machine.Write(0x6000, 0xabcdul);
        Span<byte> data = stackalloc byte[2];

        Assert.True(machine.Processor.TryReadForDebugger(0x6000, data));

        Assert.Equal([0xcd, 0xab], data.ToArray());
        Assert.Equal(0x81ul, machine.Read<ulong>(TestMachine.PageTables + 0x2000));
    }
}
