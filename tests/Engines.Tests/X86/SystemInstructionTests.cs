// System instructions: control and debug registers, ports, flags, invalidation, and what is known but not offered.
using System.Runtime.InteropServices;
using Lamina.Engines.X86;
using Lamina.Engines.X86.Memory;
using Xunit;

namespace Lamina.Tests.Engines.X86;

public sealed unsafe class SystemInstructionTests
{
    private static readonly byte[] s_movCr0Rax = [0x0f, 0x22, 0xc0], s_movCr3Rax = [0x0f, 0x22, 0xd8], s_movCr4Rax = [0x0f, 0x22, 0xe0];

    [Theory]
    [InlineData(Cr0.PG, true)] // PG without PE
    [InlineData(Cr0.PE | Cr0.NW, true)] // NW without CD
    [InlineData(Cr0.PE | 1UL << 32, true)]
    [InlineData(Cr0.PE | Cr0.PG | Cr0.WP, false)]
    [InlineData(Cr0.PE | Cr0.PG, false)]
    [InlineData(Cr0.PE, true)] // leaving paging in 64-bit mode
    public void Cr0IsGuarded(ulong value, bool faults)
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        machine.Rax = value;
        var old = machine.Context->Cr0;

        var outcome = machine.Run(s_movCr0Rax);

        if (!faults)
        {
            Assert.Equal((Outcome.Next, value | Cr0.ET), (outcome, machine.Context->Cr0));
            // Nothing is void when WP changes; when it is set what it forbids is.
            Assert.DoesNotContain("flush True", machine.Cache.Calls);
            Assert.Equal((value & ~old & Cr0.WP) != 0, machine.Cache.Calls.Contains("write protection"));
            return;
        }
        machine.AssertFault(outcome, Vector.GeneralProtection, 0);
        Assert.Equal(old, machine.Context->Cr0);
    }

    [Theory]
    [InlineData(Cr4.PAE | Cr4.PGE | Cr4.SMEP, 0ul, false)]
    [InlineData(0ul, 0ul, true)] // PAE must stay in IA-32e mode
    [InlineData(Cr4.PAE | 1ul << 12, 0ul, true)] // LA57
    [InlineData(Cr4.PAE | 1ul << 0, 0ul, true)] // VME
    [InlineData(Cr4.PAE | 1ul << 40, 0ul, true)]
    [InlineData(Cr4.PAE | Cr4.PCIDE, 0ul, false)]
    [InlineData(Cr4.PAE | Cr4.PCIDE, 0x18ul, true)] // CR3 holds a PCID already
    public void Cr4IsGuarded(ulong value, ulong cr3Low, bool faults)
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        machine.Context->Cr3 |= cr3Low;
        machine.Rax = value;

        var outcome = machine.Run(s_movCr4Rax);

        if (faults) machine.AssertFault(outcome, Vector.GeneralProtection, 0);
        else Assert.Equal((Outcome.Next, value), (outcome, machine.Context->Cr4));
    }

    [Fact]
    public void Cr3TellsTheCacheWhatToKeep()
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        machine.Context->Cr4 |= Cr4.PCIDE;
        machine.Rax = 1UL << 63 | TestMachine.PageTables | 5;

        Assert.Equal(Outcome.Next, machine.Run(s_movCr3Rax));
        Assert.Equal($"space {TestMachine.PageTables:x} {TestMachine.PageTables | 5:x} True", machine.Cache.Calls[^1]);
        machine.Rax = 1UL << 50;
        machine.AssertFault(machine.Run(s_movCr3Rax), Vector.GeneralProtection, 0);
    }

    [Fact]
    public void Cr8IsTheLocalApicsPriority()
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        machine.Rax = 9;

        Assert.Equal(Outcome.Next, machine.Run(0x44, 0x0f, 0x22, 0xc0));
        Assert.Equal(9, machine.Apic.TaskPriority);
        machine.Rax = 16;
        machine.AssertFault(machine.Run(0x44, 0x0f, 0x22, 0xc0), Vector.GeneralProtection, 0);
    }

    [Theory]
    [InlineData(0ul, false)]
    [InlineData(2ul, false)] // bit 1: AVX needs SSE, and bit 0 is required
    [InlineData(7ul, true)]
    [InlineData(5ul, false)]
    [InlineData(0xe7ul, true)]
    [InlineData(0x27ul, false)]
    [InlineData(0xe3ul, false)]
    [InlineData(0x207ul, false)] // PKRU
    public void Xcr0TakesOnlyCombinationsThatExist(ulong value, bool accepted)
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        machine.Context->Cr4 |= Cr4.OSXSAVE;
        (machine.Rax, machine.Rcx, machine.Rdx) = (value, 0, 0);

        Assert.Equal(accepted ? Outcome.Next : Outcome.Fault, machine.Run(0x0f, 0x01, 0xd1));
        Assert.Equal(accepted ? value : 1, machine.Context->Xcr0);
    }

    [Fact]
    public void InterruptFlagInstructionsObeyIoplAndHoldOffOneInstruction()
    {
        using var machine = new TestMachine();
        machine.EnterProtected(cpl: 3);
        machine.AssertFault(machine.Run(0xfb), Vector.GeneralProtection, 0);
        machine.Flags = Rflags.IOPL;

        Assert.Equal(Outcome.Next, machine.Run(0xfb));
        Assert.NotEqual(0u, machine.Context->InterruptShadow);
        Assert.Equal(Outcome.Next, machine.Run(0xfb)); // IF is set already: no new shadow
        Assert.Equal(0u, machine.Context->InterruptShadow);
        Assert.Equal(Outcome.Next, machine.Run(0xfa));
        Assert.Equal(Rflags.IOPL | 2, machine.Flags);
    }

    [Theory]
    [InlineData(0u, 0ul, 0x0025_7fd5ul, 0x24_7fd5ul)]
    [InlineData(3u, 0ul, 0x0025_7fd5ul, 0x24_4dd5ul)] // neither IOPL nor IF
    [InlineData(3u, Rflags.IOPL, 0x0025_4dd5ul, 0x24_7dd5ul)] // IF but not IOPL
    public void PopfChangesWhatThePrivilegeAllows(uint cpl, ulong before, ulong value, ulong expected)
    {
        using var machine = new TestMachine();
        machine.EnterProtected(cpl);
        machine.Flags = before;
        machine.Write(TestMachine.StackTop, (uint)value);
        if (before != 0) expected = (expected & ~Rflags.IF) | (value & Rflags.IF);

        Assert.Equal(Outcome.Next, machine.Run(0x9d));

        Assert.Equal(expected | 2, machine.Flags);
        Assert.Equal(TestMachine.StackTop + 4, machine.Rsp);
    }

    [Fact]
    public void PushfHidesVmAndRf()
    {
        using var machine = new TestMachine();
        machine.EnterVirtual8086();
        machine.Flags = Rflags.VM | Rflags.RF | Rflags.IOPL | Rflags.CF;

        Assert.Equal(Outcome.Next, machine.Run(0x66, 0x9c));

        Assert.Equal([Rflags.IOPL | Rflags.CF | 2], machine.Stack(1, 4));
    }

    [Theory]
    [InlineData(0x60, 1, true)] // clear in the map
    [InlineData(0x61, 1, false)]
    [InlineData(0x60, 2, false)] // the second port is denied
    [InlineData(0xffff, 1, false)] // beyond the limit
    public void PortsAreGuardedByTheTasksMap(ushort port, int size, bool allowed)
    {
        using var machine = new TestMachine();
        machine.EnterProtected(cpl: 3);
        machine.Write(TestMachine.Tss + 102, (ushort)0x100);
        machine.Context->Tr.Limit = 0x100 + 0x60 / 8 + 1;
        machine.Write(TestMachine.Tss + 0x100 + 0x60 / 8, (ushort)2);
        (machine.Rdx, machine.Rax) = (port, 0x1234);

        var outcome = size == 1 ? machine.Run(0xee) : machine.Run(0x66, 0xef);

        if (allowed) Assert.Equal([("out", port, 0x34, 1)], machine.Bus.Log);
        else
        {
            machine.AssertFault(outcome, Vector.GeneralProtection, 0);
            Assert.Empty(machine.Bus.Log);
        }
    }

    [Fact]
    public void InReadsTheBusIntoTheOperandAlone()
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        machine.Rax = 0xffff_ffff_ffff_0000;
        machine.Bus.Reads.Enqueue(0xab);
        machine.Bus.Reads.Enqueue(0x1234_5678);

        Assert.Equal(Outcome.Next, machine.Run(0xe4, 0x71));
        Assert.Equal(0xffff_ffff_ffff_00abul, machine.Rax);
        Assert.Equal(Outcome.Next, machine.Run(0xe5, 0x72));
        Assert.Equal(0x1234_5678ul, machine.Rax);
    }

    [Fact]
    public void StringPortReadsCheckTheirDestinationBeforeTheDeviceIsAsked()
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        (machine.Rdi, machine.Rcx, machine.Rdx) = (TestMachine.RamSize - 2, 4, 0x1f0);
        machine.Bus.Reads.Enqueue(0x1111);

        machine.AssertFault(machine.Run(0xf3, 0x66, 0x6d), Vector.PageFault, PageFaultCode.Write); // REP INSW

        Assert.Equal((TestMachine.RamSize, 3ul, TestMachine.Code), (machine.Rdi, machine.Rcx, machine.Context->Rip));
        Assert.Single(machine.Bus.Log);
        Assert.Equal(0x1111, machine.Read<ushort>(TestMachine.RamSize - 2));
    }

    [Fact]
    public void LongStringsAreDoneInPartsWithExactRegisters()
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        (machine.Rdi, machine.Rcx, machine.Rax) = (0x20_0000, 5000, 0x77);

        Assert.Equal(Outcome.Branched, machine.Run(0xf3, 0xaa));
        Assert.Equal(TestMachine.Code, machine.Context->Rip);
        Assert.Equal((0x20_0000ul + 5000, true), (machine.Rdi + machine.Rcx, machine.Rcx is > 0 and < 5000));
        Assert.Equal(0x77, machine.Read<byte>(machine.Rdi - 1));
        Assert.Equal(0, machine.Read<byte>(machine.Rdi));
        while (machine.Step() == Outcome.Branched) { }

        Assert.Equal((0ul, 0x20_0000ul + 5000, TestMachine.Code + 2), (machine.Rcx, machine.Rdi, machine.Context->Rip));
    }

    [Fact]
    public void DescriptorTablesAreLoadedAndStoredByModeAndPrivilege()
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        machine.Rbx = TestMachine.Data;
        machine.Write(TestMachine.Data, (ushort)0x1ff);
        machine.Write(TestMachine.Data + 2, 0xffff_8000_0000_1000ul);

        Assert.Equal(Outcome.Next, machine.Run(0x0f, 0x01, 0x1b)); // LIDT
        Assert.Equal((0xffff_8000_0000_1000ul, 0x1ffu), (machine.Context->IdtrBase, machine.Context->IdtrLimit));
        machine.Write(TestMachine.Data + 2, 0x1000_0000_0000_0000ul);
        machine.AssertFault(machine.Run(0x0f, 0x01, 0x13), Vector.GeneralProtection, 0);
        Assert.Equal(Outcome.Next, machine.Run(0x0f, 0x01, 0x0b)); // SIDT
        Assert.Equal(0xffff_8000_0000_1000ul, machine.Read<ulong>(TestMachine.Data + 2));

        machine.Context->Cpl = 3;
        Assert.Equal(Outcome.Next, machine.Run(0x0f, 0x01, 0x0b));
        machine.Context->Cr4 |= Cr4.UMIP;
        machine.AssertFault(machine.Run(0x0f, 0x01, 0x0b), Vector.GeneralProtection, 0);
        machine.AssertFault(machine.Run(0x0f, 0x01, 0xe0), Vector.GeneralProtection, 0); // SMSW
    }

    [Fact]
    public void TheTaskRegisterMarksItsDescriptorBusy()
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        machine.Rax = TestMachine.TssSelector;
        machine.Write(TestMachine.Gdt + 0x48, 0xffff_8000ul); // upper half of the base

        Assert.Equal(Outcome.Next, machine.Run(0x0f, 0x00, 0xd8));

        Assert.Equal(0xffff_8000_0000_0000 | TestMachine.Tss, machine.Context->Tr.Base);
        Assert.Equal(0x8b, machine.Read<byte>(TestMachine.Gdt + 0x45));
        machine.AssertFault(machine.Run(0x0f, 0x00, 0xd8), Vector.GeneralProtection, TestMachine.TssSelector); // busy now
    }

    [Theory]
    [InlineData(0ul, 0ul, 0x5000ul, "page 5000")]
    [InlineData(0ul, 7ul, 0x5000ul, "pcid 7")]
    [InlineData(1ul, 7ul, 0ul, "pcid 7")]
    [InlineData(2ul, 0ul, 0ul, "flush True")]
    [InlineData(3ul, 0ul, 0ul, "flush False")]
    [InlineData(4ul, 0ul, 0ul, null)]
    [InlineData(0ul, 0x1000ul, 0ul, null)]
    [InlineData(0ul, 0ul, 0x8000_0000_0000ul, null)]
    public void InvpcidTellsTheCache(ulong type, ulong pcid, ulong linear, string? call)
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        machine.Context->Cr4 |= Cr4.PCIDE;
        (machine.Rax, machine.Rbx) = (type, TestMachine.Data);
        machine.Write(TestMachine.Data, pcid);
        machine.Write(TestMachine.Data + 8, linear);
        machine.Cache.Calls.Clear();

        var outcome = machine.Run(0x66, 0x0f, 0x38, 0x82, 0x03);

        if (call is null) machine.AssertFault(outcome, Vector.GeneralProtection, 0);
        else Assert.Equal(call, machine.Cache.Calls[^1]);
    }

    [Fact]
    public void InvlpgTakesNonCanonicalAddressesWithoutEffect()
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        machine.Rbx = 0x8000_0000_0000;
        machine.Cache.Calls.Clear();

        Assert.Equal(Outcome.Next, machine.Run(0x0f, 0x01, 0x3b));
        Assert.Empty(machine.Cache.Calls);
        machine.Rbx = 0x1234;
        Assert.Equal(Outcome.Next, machine.Run(0x0f, 0x01, 0x3b));
        Assert.Equal(["page 1234"], machine.Cache.Calls);
    }

    [Theory]
    [InlineData("0F01C1", 0u, 0xffff_ffff_ffff_fc18ul)] // VMCALL
    [InlineData("0F01D9", 0u, 0xffff_ffff_ffff_fc18ul)] // VMMCALL
    [InlineData("0F01D9", 3u, ulong.MaxValue)]
    public void HypercallsAreAnsweredAsUnknown(string hex, uint cpl, ulong result)
    {
        using var machine = new TestMachine();
        machine.EnterLong(cpl);

        Assert.Equal(Outcome.Next, machine.Run(Convert.FromHexString(hex)));
        Assert.Equal(result, machine.Rax);
    }

    [Theory]
    [InlineData("0F01C8")] // MONITOR
    [InlineData("0F01C9")] // MWAIT
    [InlineData("0FAA")] // RSM
    [InlineData("0F01D5")] // XEND
    [InlineData("C6F800")] // XABORT
    [InlineData("0FC72B")] // XSAVES
    [InlineData("660F38F803")] // MOVDIR64B
    public void WhatIsNotOfferedIsAnInvalidOpcode(string hex)
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        machine.Context->Cr4 |= Cr4.OSXSAVE;
        machine.Rbx = TestMachine.Data;

        machine.AssertFault(machine.Run(Convert.FromHexString(hex)), Vector.InvalidOpcode);
    }

    [Fact]
    public void HltWaitsAndNeedsPrivilege()
    {
        using var machine = new TestMachine();
        machine.EnterLong();

        Assert.Equal(Outcome.Halted, machine.Run(0xf4));
        Assert.Equal(TestMachine.Code + 1, machine.Context->Rip);
        machine.Context->Cpl = 3;
        machine.AssertFault(machine.Run(0xf4), Vector.GeneralProtection, 0);
    }

    [Fact]
    public void SwapgsAndTheBaseInstructionsMoveTheBases()
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        (machine.Context->Gs.Base, machine.Context->KernelGsBase) = (0x1111, 0x2222);

        Assert.Equal(Outcome.Next, machine.Run(0x0f, 0x01, 0xf8));
        Assert.Equal((0x2222ul, 0x1111ul), (machine.Context->Gs.Base, machine.Context->KernelGsBase));
        machine.AssertFault(machine.Run(0xf3, 0x48, 0x0f, 0xae, 0xc8), Vector.InvalidOpcode); // CR4.FSGSBASE is clear
        machine.Context->Cr4 |= Cr4.FSGSBASE;
        Assert.Equal(Outcome.Next, machine.Run(0xf3, 0x48, 0x0f, 0xae, 0xc8));
        Assert.Equal(0x2222ul, machine.Rax);
        machine.Rax = 0x8000_0000_0000;
        machine.AssertFault(machine.Run(0xf3, 0x48, 0x0f, 0xae, 0xd0), Vector.GeneralProtection, 0); // WRFSBASE
    }

    [Theory]
    [InlineData(0ul, 0ul, "0FAE03", Vector.InvalidOpcode)] // XSAVE forms: /0 is FXSAVE; see below
    [InlineData(Cr0.TS, 0ul, "0FAE03", Vector.DeviceNotAvailable)]
    [InlineData(Cr0.EM, 0ul, "0FAE03", Vector.DeviceNotAvailable)]
    [InlineData(0ul, 0ul, "0FAE23", Vector.InvalidOpcode)] // XSAVE without OSXSAVE
    [InlineData(Cr0.TS, Cr4.OSXSAVE, "0FAE23", Vector.DeviceNotAvailable)]
    [InlineData(0ul, Cr4.OSXSAVE, "0FAE6308", Vector.GeneralProtection)] // misaligned
    [InlineData(0ul, 0ul, "0FAE4308", Vector.GeneralProtection)]
    [InlineData(Cr0.TS | Cr0.MP, 0ul, "9B", Vector.DeviceNotAvailable)]
    public void StateInstructionsNeedTheirStateEnabled(ulong cr0, ulong cr4, string hex, byte vector)
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        machine.Context->Cr0 |= cr0;
        machine.Context->Cr4 |= cr4;
        machine.Rbx = TestMachine.Data;

        var outcome = machine.Run(Convert.FromHexString(hex));

        if (hex == "0FAE03" && cr0 == 0) Assert.Equal(Outcome.Next, outcome);
        else machine.AssertFault(outcome, vector, vector == Vector.GeneralProtection ? 0u : null);
    }

    [Theory]
    [InlineData(512, 1ul << 9)] // XSTATE_BV outside XCR0
    [InlineData(520, 1ul)] // XCOMP_BV without the format bit
    [InlineData(528, 1ul)] // reserved header bytes
    [InlineData(24, 1ul << 31)] // MXCSR
    public void XrstorRefusesImagesThatCannotBe(int offset, ulong value)
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        machine.Context->Cr4 |= Cr4.OSXSAVE;
        machine.Context->Xcr0 = 7;
        (machine.Rax, machine.Rdx, machine.Rbx) = (7, 0, TestMachine.Data);
        machine.Write(TestMachine.Data + (ulong)offset, value);

        machine.AssertFault(machine.Run(0x0f, 0xae, 0x2b), Vector.GeneralProtection, 0);
    }

    [Fact]
    public void RdtscObeysTsdAndCpuidIsAnsweredFromTheTable()
    {
        using var machine = new TestMachine();
        machine.EnterLong(cpl: 3);

        Assert.Equal(Outcome.Next, machine.Run(0x0f, 0x31));
        Assert.Equal(machine.Clock.Tsc, machine.Rdx << 32 | machine.Rax);
        machine.Context->Cr4 |= Cr4.TSD;
        machine.AssertFault(machine.Run(0x0f, 0x31), Vector.GeneralProtection, 0);
        (machine.Rax, machine.Rcx) = (0x4000_0000, 0);
        Assert.Equal(Outcome.Next, machine.Run(0x0f, 0xa2));
        Assert.Equal((0x4000_0010ul, 0x4b4d564bul), (machine.Rax, machine.Rbx));
    }

    [Fact]
    public void AGatherThatFaultsKeepsWhatItLoadedAndGoesOn()
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        machine.Context->Cr4 |= Cr4.OSFXSR | Cr4.OSXSAVE;
        machine.Context->Xcr0 = 7;
        var vectors = new XsaveImage(machine.Context->XsaveArea, TestMachine.SharedModel);
        vectors.WriteVector(3, MemoryMarshal.AsBytes<uint>([0x8000_0000, 0, 0xffff_ffff, 0x8000_0000]));
        vectors.WriteVector(2, MemoryMarshal.AsBytes<int>([0, 1, 2, 3]));
        vectors.WriteVector(1, MemoryMarshal.AsBytes<uint>([1, 2, 3, 4]));
        machine.Rbx = TestMachine.RamSize - 8; // element 2 is behind the mapped end
        machine.Write(TestMachine.RamSize - 8, 0x1111u);
        ReadOnlySpan<byte> gather = [0xc4, 0xe2, 0x61, 0x90, 0x0c, 0x93]; // VPGATHERDD XMM1, [RBX+XMM2*4], XMM3
        var registers = new uint[4];

        machine.AssertFault(machine.Run(gather), Vector.PageFault, 0);
        vectors.ReadVector(1, MemoryMarshal.AsBytes(registers.AsSpan()));
        Assert.Equal([0x1111u, 2, 3, 4], registers);
        vectors.ReadVector(3, MemoryMarshal.AsBytes(registers.AsSpan()));
        Assert.Equal([0u, 0, 0xffff_ffff, 0x8000_0000], registers);

        machine.Rbx = TestMachine.Data;
        machine.Write(TestMachine.Data + 8, 0x3333_0000_0000ul | 0x2222);
        Assert.Equal(Outcome.Next, machine.Run(gather));
        vectors.ReadVector(1, MemoryMarshal.AsBytes(registers.AsSpan()));
        Assert.Equal([0x1111u, 2, 0x2222, 0x3333], registers);
        vectors.ReadVector(3, MemoryMarshal.AsBytes(registers.AsSpan()));
        Assert.Equal(new uint[4], registers);
    }

    [Fact]
    public void MaskedStoresAcrossAMissingPageWriteNothing()
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        machine.Context->Cr4 |= Cr4.OSFXSR;
        var vectors = new XsaveImage(machine.Context->XsaveArea, TestMachine.SharedModel);
        vectors.WriteVector(1, Enumerable.Repeat((byte)0x77, 16).ToArray());
        vectors.WriteVector(2, Enumerable.Repeat((byte)0x80, 16).ToArray());
        machine.Rdi = TestMachine.RamSize - 8;

        machine.AssertFault(machine.Run(0x66, 0x0f, 0xf7, 0xca), Vector.PageFault, PageFaultCode.Write);

        Assert.Equal(0ul, machine.Read<ulong>(TestMachine.RamSize - 8));
    }

    [Fact]
    public void Wide16ByteExchangesNeedAlignmentAndAreMadeOnRam()
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        machine.Rsi = TestMachine.Data + 8;
        machine.AssertFault(machine.Run(0x48, 0x0f, 0xc7, 0x0e), Vector.GeneralProtection, 0);
        machine.Rsi = TestMachine.Data;
        (machine.Rax, machine.Rdx, machine.Rbx, machine.Rcx) = (0, 0, 0x1111, 0x2222);

        Assert.Equal(Outcome.Next, machine.Run(0xf0, 0x48, 0x0f, 0xc7, 0x0e));

        Assert.Equal((0x1111ul, 0x2222ul, true), (machine.Read<ulong>(TestMachine.Data), machine.Read<ulong>(TestMachine.Data + 8), (machine.Flags & Rflags.ZF) != 0));
        Assert.Contains($"ram {TestMachine.Data:x} 16", machine.Cache.Calls);
    }
}
