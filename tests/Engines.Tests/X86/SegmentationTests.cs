// Segment loads, far transfers, call gates, and the fast system calls, with their checks and error codes.
using Lamina.Engines.X86;
using Lamina.Engines.X86.Cpuid;
using Lamina.Engines.X86.Segmentation;
using Xunit;

namespace Lamina.Tests.Engines.X86;

public sealed unsafe class SegmentationTests
{
    private static readonly CpuModel s_intel = CpuModel.Create(SampleHosts.Intel(), new CpuModelOptions { TscHz = 2_000_000_000, HostUnaffected = _ => true });

    private static readonly byte[] s_movDsAx = [0x8e, 0xd8], s_movSsAx = [0x8e, 0xd0];

    private static TestMachine Protected(uint cpl, ulong free)
    {
        var machine = new TestMachine();
        machine.EnterProtected(cpl);
        machine.Write(TestMachine.Gdt + TestMachine.Free, free);
        machine.Context->GdtrLimit = TestMachine.Free + 7;
        return machine;
    }

    [Theory]
    [InlineData(0u, 0x50, 0x3u, 0u, true, 0, 0)] // data
    [InlineData(0u, 0x50, 0x3u, 3u, true, 0, 0)]
    [InlineData(3u, 0x53, 0x3u, 0u, true, Vector.GeneralProtection, 0x50)] // too much privilege
    [InlineData(0u, 0x53, 0x3u, 0u, true, Vector.GeneralProtection, 0x50)] // RPL above DPL
    [InlineData(0u, 0x50, 0xbu, 0u, true, 0, 0)] // readable code
    [InlineData(0u, 0x50, 0x9u, 0u, true, Vector.GeneralProtection, 0x50)] // execute only
    [InlineData(3u, 0x53, 0xfu, 0u, true, 0, 0)] // conforming code
    [InlineData(0u, 0x50, 0x3u, 0u, false, Vector.NotPresent, 0x50)]
    [InlineData(0u, 0x58, 0x3u, 0u, true, Vector.GeneralProtection, 0x58)] // outside the table
    [InlineData(0u, 0x54, 0x3u, 0u, true, Vector.GeneralProtection, 0x54)] // no LDT
    [InlineData(3u, 0x03, 0x3u, 0u, true, 0, 0)] // null
    public void LoadsOfDataSegmentsAreChecked(uint cpl, ushort selector, uint type, uint dpl, bool present, byte vector, uint code)
    {
        using var machine = Protected(cpl, TestMachine.Descriptor(0x1234, 0xff, type & ~1u, dpl, present: present));
        machine.Rax = selector;
        var old = machine.Context->Ds.Selector;

        var outcome = machine.Run(s_movDsAx);

        if (vector != 0)
        {
            machine.AssertFault(outcome, vector, code);
            Assert.Equal(old, machine.Context->Ds.Selector);
            return;
        }
        Assert.Equal(Outcome.Next, outcome);
        Assert.Equal(selector, machine.Context->Ds.Selector);
        if (selector < 4) Assert.NotEqual(0u, machine.Context->Ds.Attributes & SegmentAttributes.Unusable);
        else
        {
            Assert.Equal((0x1234ul, 0xffu), (machine.Context->Ds.Base, machine.Context->Ds.Limit));
            Assert.Equal(1, machine.Read<byte>(TestMachine.Gdt + 0x50 + 5) & 1); // accessed
        }
    }

    [Theory]
    [InlineData(0u, 0x50, 0x3u, 0u, true, 0, 0)]
    [InlineData(0u, 0x00, 0x3u, 0u, true, Vector.GeneralProtection, 0)]
    [InlineData(0u, 0x53, 0x3u, 0u, true, Vector.GeneralProtection, 0x50)] // RPL
    [InlineData(0u, 0x50, 0x3u, 3u, true, Vector.GeneralProtection, 0x50)] // DPL
    [InlineData(0u, 0x50, 0x1u, 0u, true, Vector.GeneralProtection, 0x50)] // read-only
    [InlineData(0u, 0x50, 0xbu, 0u, true, Vector.GeneralProtection, 0x50)] // code
    [InlineData(0u, 0x50, 0x3u, 0u, false, Vector.StackFault, 0x50)]
    public void LoadsOfTheStackSegmentAreCheckedAndHoldInterruptsOff(uint cpl, ushort selector, uint type, uint dpl, bool present, byte vector, uint code)
    {
        using var machine = Protected(cpl, TestMachine.Descriptor(0, 0xff, type, dpl, present: present));
        machine.Rax = selector;

        var outcome = machine.Run(s_movSsAx);

        if (vector != 0) machine.AssertFault(outcome, vector, code);
        else Assert.Equal(Outcome.Next, outcome);
        Assert.Equal(vector == 0, machine.Context->InterruptShadow != 0);
    }

    [Theory]
    [InlineData(0u, 0, true)]
    [InlineData(0u, 3, false)]
    [InlineData(3u, 3, false)]
    public void LongModeTakesANullStackSegmentBelowLevelThree(uint cpl, ushort selector, bool accepted)
    {
        using var machine = new TestMachine();
        machine.EnterLong(cpl);
        machine.Rax = selector;

        var outcome = machine.Run(s_movSsAx);

        if (accepted) Assert.Equal(Outcome.Next, outcome);
        else machine.AssertFault(outcome, Vector.GeneralProtection, 0);
    }

    [Fact]
    public void RealModeLoadsKeepTheLimit()
    {
        using var machine = new TestMachine();
        machine.EnterReal();
        machine.Context->Ds.Limit = uint.MaxValue; // "unreal" mode
        machine.Rax = 0x1234;

        Assert.Equal(Outcome.Next, machine.Run(s_movDsAx));

        Assert.Equal((0x1_2340ul, uint.MaxValue), (machine.Context->Ds.Base, machine.Context->Ds.Limit));
    }

    [Theory]
    [InlineData(0x3u, false, 0xfcul, true)] // up: to the limit
    [InlineData(0x3u, false, 0xfdul, false)]
    [InlineData(0x7u, true, 0xfful, false)] // down: from behind the limit
    [InlineData(0x7u, true, 0x100ul, true)]
    [InlineData(0x7u, false, 0xfffdul, false)] // down, 16-bit: to 64 KiB
    [InlineData(0x1u, false, 0x10ul, false)] // read-only
    public void LimitsAndTypesAreCheckedForStores(uint type, bool big, ulong offset, bool allowed)
    {
        using var machine = Protected(0, TestMachine.Descriptor(0x1_0000, 0xff, type, big: big));
        machine.LoadSegment(3, TestMachine.Free);
        machine.Rbx = offset;

        var outcome = machine.Run(0x89, 0x03); // MOV [EBX], EAX

        if (allowed) Assert.Equal(Outcome.Next, outcome);
        else machine.AssertFault(outcome, Vector.GeneralProtection, 0);
    }

    [Fact]
    public void StackAccessesOutsideTheLimitAreStackFaults()
    {
        using var machine = Protected(0, TestMachine.Descriptor(0, 0xff, 3, big: true));
        machine.LoadSegment(2, TestMachine.Free);
        machine.Rsp = 0x102;

        machine.AssertFault(machine.Run(0x50), Vector.StackFault, 0);
        Assert.Equal(0x102ul, machine.Rsp);
    }

    [Theory]
    [InlineData(0x3ul, Vector.GeneralProtection)] // [RBX]
    [InlineData(0x4ul, Vector.StackFault)] // [RSP]
    public void NonCanonicalAddressesFaultBySegment(ulong register, byte vector)
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        machine.Context->Gpr[register] = 0x8000_0000_0000 - 3; // straddles the hole

        machine.AssertFault(register == 3 ? machine.Run(0x89, 0x03) : machine.Run(0x89, 0x04, 0x24), vector, 0);
    }

    [Theory]
    [InlineData(0u, TestMachine.Code16, 0, 0u)]
    [InlineData(3u, TestMachine.Code32, Vector.GeneralProtection, 8u)] // more privilege
    [InlineData(0u, TestMachine.UserCode32, Vector.GeneralProtection, 0x20u)] // less
    [InlineData(0u, TestMachine.Data32, Vector.GeneralProtection, 0x10u)]
    [InlineData(0u, 3, Vector.GeneralProtection, 0u)]
    public void FarJumpsAreChecked(uint cpl, ushort selector, byte vector, uint code)
    {
        using var machine = new TestMachine();
        machine.EnterProtected(cpl);

        var outcome = machine.Run(0xea, 0x34, 0x12, 0, 0, (byte)selector, 0);

        if (vector != 0) machine.AssertFault(outcome, vector, code);
        else Assert.Equal((Outcome.Branched, 0x1234ul, selector), (outcome, machine.Context->Rip, machine.Context->Cs.Selector));
    }

    [Fact]
    public void ACallGateSwitchesStacksAndCopiesParameters()
    {
        using var machine = new TestMachine();
        machine.EnterProtected(cpl: 3);
        machine.Write(TestMachine.Gdt + TestMachine.Free, TestMachine.Gate(TestMachine.Code32, 0x4567, 12, dpl: 3, low: 2));
        machine.Write(TestMachine.StackTop, 0x1111u);
        machine.Write(TestMachine.StackTop + 4, 0x2222u);

        Assert.Equal(Outcome.Branched, machine.Run(0x9a, 0, 0, 0, 0, (byte)TestMachine.Free | 3, 0));

        Assert.Equal([TestMachine.Code + 7, TestMachine.UserCode32, 0x1111, 0x2222, TestMachine.StackTop, TestMachine.UserData32], machine.Stack(6, 4));
        Assert.Equal((0x4567ul, 0u, TestMachine.Data32), (machine.Context->Rip, machine.Context->Cpl, machine.Context->Ss.Selector));

        // RET FAR 8 goes back and releases the parameters on both stacks; segments above the new privilege become null.
        machine.LoadSegment(3, TestMachine.Data32);
        Assert.Equal(Outcome.Branched, machine.RunAt(0x4567, 0xca, 8, 0));
        Assert.Equal((3u, TestMachine.StackTop + 8, TestMachine.Code + 7, (ushort)0), (machine.Context->Cpl, machine.Rsp, machine.Context->Rip, machine.Context->Ds.Selector));
        Assert.Equal(TestMachine.UserData32, machine.Context->Es.Selector);
    }

    [Fact]
    public void A64BitCallGatePushesQuadwords()
    {
        using var machine = new TestMachine();
        machine.EnterLong(cpl: 3);
        machine.Write(TestMachine.Gdt + TestMachine.Free, TestMachine.Gate(TestMachine.Code64, 0x4567, 12, dpl: 3));
        machine.Write(TestMachine.Gdt + TestMachine.Free + 8, 0UL);
        machine.Write(TestMachine.Data, 0u);
        machine.Write(TestMachine.Data + 4, (ushort)(TestMachine.Free | 3));

        Assert.Equal(Outcome.Branched, machine.Run(0xff, 0x1c, 0x25, 0x00, 0xa0, 0, 0)); // CALL FAR [0xA000]

        Assert.Equal([TestMachine.Code + 7, TestMachine.UserCode64, TestMachine.StackTop, TestMachine.UserData32], machine.Stack(4, 8));
        Assert.Equal((0u, (ushort)0), (machine.Context->Cpl, machine.Context->Ss.Selector));
    }

    [Fact]
    public void LongModeIsEnteredThroughCompatibilityMode()
    {
        using var machine = new TestMachine();
        machine.EnterProtected();
        machine.MapIdentity();
        machine.Context->Cr4 = Cr4.PAE;
        machine.Context->Efer = Efer.LME;
        machine.Context->Cr3 = TestMachine.PageTables;
        machine.Rax = machine.Context->Cr0 | Cr0.PG;

        Assert.Equal(Outcome.Next, machine.Run(0x0f, 0x22, 0xc0));
        Assert.True(machine.Processor.IsLongMode);
        Assert.False(machine.Processor.Is64Bit);
        Assert.Equal(Outcome.Branched, machine.Run(0xea, 0x00, 0x80, 0, 0, (byte)TestMachine.Code64, 0));

        Assert.True(machine.Processor.Is64Bit);
        machine.Rax = 1;
        machine.AssertFault(machine.Run(0x0f, 0x22, 0xc0), Vector.GeneralProtection, 0); // PG cannot be cleared in 64-bit mode
    }

    [Fact]
    public void SyscallAndSysretCrossThePrivilegeBorder()
    {
        using var machine = new TestMachine();
        machine.EnterLong(cpl: 3);
        machine.Context->Efer |= Efer.SCE;
        machine.Context->Star = 0x0023_0008ul << 32;
        machine.Context->Lstar = 0x5000;
        machine.Context->Sfmask = Rflags.IF | Rflags.DF;
        machine.Flags = Rflags.IF | Rflags.DF | Rflags.ZF;

        Assert.Equal(Outcome.Branched, machine.Run(0x0f, 0x05));

        Assert.Equal((0x5000ul, 0u, (ushort)8, (ushort)0x10), (machine.Context->Rip, machine.Context->Cpl, machine.Context->Cs.Selector, machine.Context->Ss.Selector));
        Assert.Equal((TestMachine.Code + 2, Rflags.IF | Rflags.DF | Rflags.ZF | 2, Rflags.ZF | 2), (machine.Rcx, machine.Context->Gpr[11], machine.Flags));
        Assert.Equal((0xa09bu, 0xc093u), (machine.Context->Cs.Attributes, machine.Context->Ss.Attributes));

        Assert.Equal(Outcome.Branched, machine.Run(0x48, 0x0f, 0x07));

        Assert.Equal((TestMachine.Code + 2, 3u, (ushort)0x33, (ushort)0x2b), (machine.Context->Rip, machine.Context->Cpl, machine.Context->Cs.Selector, machine.Context->Ss.Selector));
        Assert.Equal(Rflags.IF | Rflags.DF | Rflags.ZF | 2, machine.Flags);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void SysretToANonCanonicalAddressDependsOnTheVendor(bool intel)
    {
        using var machine = new TestMachine(intel ? s_intel : null);
        machine.EnterLong();
        machine.Context->Efer |= Efer.SCE;
        machine.Rcx = 0x8000_0000_0000;

        var outcome = machine.Run(0x48, 0x0f, 0x07);

        if (intel) machine.AssertFault(outcome, Vector.GeneralProtection, 0);
        else Assert.Equal((Outcome.Branched, 3u), (outcome, machine.Context->Cpl));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void SysenterInLongModeIsIntelsAlone(bool intel)
    {
        using var machine = new TestMachine(intel ? s_intel : null);
        machine.EnterLong(cpl: 3);
        (machine.Context->SysenterCs, machine.Context->SysenterEsp, machine.Context->SysenterEip) = (8, 0x6000, 0x5000);

        var outcome = machine.Run(0x0f, 0x34);

        if (intel) Assert.Equal((Outcome.Branched, 0x5000ul, 0x6000ul, 0u), (outcome, machine.Context->Rip, machine.Rsp, machine.Context->Cpl));
        else machine.AssertFault(outcome, Vector.InvalidOpcode);
    }

    [Theory]
    [InlineData(0x00, 0x50ul, 0x3u, 0u, true)] // LSL-able data
    [InlineData(0x02, 0x50ul, 0x3u, 0u, true)]
    [InlineData(0x02, 0x50ul, 0xeu, 0u, false)] // an interrupt gate
    [InlineData(0x03, 0x50ul, 0xcu, 0u, false)] // a call gate has no limit
    [InlineData(0x02, 0x50ul, 0xcu, 0u, true)]
    [InlineData(0x02, 0x58ul, 0x3u, 0u, false)]
    [InlineData(0x02, 0x00ul, 0x3u, 0u, false)]
    public void LarAndLslSayWhatMayBeLookedAt(byte instruction, ulong selector, uint type, uint dpl, bool visible)
    {
        var system = type is 0xe or 0xc;
        using var machine = Protected(0, TestMachine.Descriptor(0, 0x12345, type, dpl, system: system));
        machine.Rbx = selector;
        machine.Rax = 0xdead;

        Assert.Equal(Outcome.Next, machine.Run(0x0f, instruction == 0 ? (byte)3 : instruction, 0xc3));

        Assert.Equal(visible, (machine.Flags & Rflags.ZF) != 0);
        if (!visible) Assert.Equal(0xdeadul, machine.Rax);
        else if (instruction != 2) Assert.Equal(0x12345ul, machine.Rax);
        else Assert.Equal((system ? 0x8000ul : 0x9000) | (ulong)type << 8, machine.Rax);
    }
}
