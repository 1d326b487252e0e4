// Hardware task switches by JMP, CALL and IRET, with 32- and 16-bit TSSs. SDM vol. 3, 7.3.
using Lamina.Engines.X86;
using Lamina.Engines.X86.Segmentation;
using Xunit;

namespace Lamina.Tests.Engines.X86;

public sealed unsafe class TaskSwitchTests
{
    private const ulong NewTss = 0x6000;
    private const ushort NewSelector = 0x48;

    internal static void WriteTask32(TestMachine machine, ulong at, uint eip, uint esp, uint flags = 2, ushort cs = TestMachine.Code32, ushort ss = TestMachine.Data32, ushort ldt = 0)
    {
        for (var n = 0ul; n < 104; n += 4) machine.Write(at + n, 0u);
        machine.Write(at + 32, eip);
        machine.Write(at + 36, flags);
        for (var n = 0u; n < 8; n++) machine.Write(at + 40 + n * 4, 0x1000 + n);
        machine.Write(at + 56, esp);
        foreach (var offset in (ulong[])[72, 84, 88, 92]) machine.Write(at + offset, (uint)TestMachine.Data32);
        machine.Write(at + 76, (uint)cs);
        machine.Write(at + 80, (uint)ss);
        machine.Write(at + 96, (uint)ldt);
    }

    private static TestMachine Prepare(uint type = 9)
    {
        var machine = new TestMachine();
        machine.EnterProtected();
        machine.Write(TestMachine.Gdt + NewSelector, TestMachine.Descriptor((uint)NewTss, 0x67, type, system: true));
        machine.Write(TestMachine.Gdt + TestMachine.TssSelector, machine.Read<ulong>(TestMachine.Gdt + TestMachine.TssSelector) | 2UL << 40);
        WriteTask32(machine, NewTss, 0x4000, 0x5800);
        return machine;
    }

    private static bool IsBusy(TestMachine machine, ushort selector) => (machine.Read<byte>(TestMachine.Gdt + selector + 5) & 2) != 0;

    private static readonly byte[] s_jump = [0xea, 0, 0, 0, 0, (byte)NewSelector, 0];
    private static readonly byte[] s_call = [0x9a, 0, 0, 0, 0, (byte)NewSelector, 0];

    [Fact]
    public void AJumpSavesTheOldTaskAndMovesTheBusyBit()
    {
        using var machine = Prepare();
        machine.Rax = 0xaaaa_aaaa;
        machine.Flags = Rflags.IF | Rflags.CF;

        Assert.Equal(Outcome.Branched, machine.Run(s_jump));

        Assert.Equal((0x4000ul, 0x5800ul, 0x1000ul, 0x1007ul), (machine.Context->Rip, machine.Rsp, machine.Rax, machine.Rdi));
        Assert.Equal((uint)TestMachine.Code + 7, machine.Read<uint>(TestMachine.Tss + 32));
        Assert.Equal((uint)(Rflags.IF | Rflags.CF | 2), machine.Read<uint>(TestMachine.Tss + 36));
        Assert.Equal(0xaaaa_aaaau, machine.Read<uint>(TestMachine.Tss + 40));
        Assert.Equal((uint)TestMachine.StackTop, machine.Read<uint>(TestMachine.Tss + 56));
        Assert.Equal((false, true), (IsBusy(machine, TestMachine.TssSelector), IsBusy(machine, NewSelector)));
        Assert.Equal((ushort)0, machine.Read<ushort>(NewTss));
        Assert.Equal(2ul, machine.Flags);
        Assert.NotEqual(0ul, machine.Context->Cr0 & Cr0.TS);
        Assert.Equal(0xbu, machine.Context->Tr.Attributes & 15);
    }

    [Fact]
    public void ACallNestsAndIretReturns()
    {
        using var machine = Prepare();

        Assert.Equal(Outcome.Branched, machine.Run(s_call));
        Assert.Equal((true, true), (IsBusy(machine, TestMachine.TssSelector), IsBusy(machine, NewSelector)));
        Assert.Equal(TestMachine.TssSelector, machine.Read<ushort>(NewTss));
        Assert.Equal(Rflags.NT | 2, machine.Flags);
        Assert.Equal(Outcome.Branched, machine.Run(0xcf));

        Assert.Equal((TestMachine.Code + 7, TestMachine.StackTop), (machine.Context->Rip, machine.Rsp));
        Assert.Equal((true, false), (IsBusy(machine, TestMachine.TssSelector), IsBusy(machine, NewSelector)));
        Assert.Equal(2ul, machine.Flags);
        Assert.Equal(2u, machine.Read<uint>(NewTss + 36)); // NT was cleared in the saved image
    }

    [Fact]
    public void ATaskCanBeInVirtual8086Mode()
    {
        using var machine = Prepare();
        WriteTask32(machine, NewTss, 0x100, 0x200, flags: (uint)Rflags.VM | 2, cs: 0x1000, ss: 0x2000);

        Assert.Equal(Outcome.Branched, machine.Run(s_jump));

        Assert.Equal((3u, 0x1_0000ul, 0x2_0000ul, 0xf3u), (machine.Context->Cpl, machine.Context->Cs.Base, machine.Context->Ss.Base, machine.Context->Cs.Attributes));
    }

    [Fact]
    public void A16BitTaskLoadsWords()
    {
        using var machine = Prepare(type: 1);
        machine.Write(NewTss + 14, (ushort)0x4000);
        machine.Write(NewTss + 16, (ushort)0x0202);
        for (var n = 0u; n < 8; n++) machine.Write(NewTss + 18 + n * 2, (ushort)(0x100 + n));
        machine.Write(NewTss + 34, TestMachine.Data32);
        machine.Write(NewTss + 36, TestMachine.Code16);
        machine.Write(NewTss + 38, TestMachine.Data32);
        machine.Write(NewTss + 40, TestMachine.Data32);
        machine.Write(NewTss + 42, (ushort)0);

        Assert.Equal(Outcome.Branched, machine.Run(s_jump));

        Assert.Equal((0x4000ul, 0xffff_0100ul, 0x202ul, (ushort)0), (machine.Context->Rip, machine.Rax, machine.Flags, machine.Context->Fs.Selector));
    }

    [Theory]
    [InlineData(TestMachine.Data32, TestMachine.Data32, 0, Vector.InvalidTss, 0x10u)] // CS is data
    [InlineData(TestMachine.Code32, TestMachine.Code32, 0, Vector.InvalidTss, 0x08u)] // SS is code
    [InlineData(TestMachine.Code32, TestMachine.Data32, 0x10, Vector.InvalidTss, 0x10u)] // LDT is data
    [InlineData(0, TestMachine.Data32, 0, Vector.InvalidTss, 0u)]
    public void FaultsBehindTheCommitPointBelongToTheNewTask(ushort cs, ushort ss, ushort ldt, byte vector, uint code)
    {
        using var machine = Prepare();
        WriteTask32(machine, NewTss, 0x4000, 0x5800, cs: cs, ss: ss, ldt: ldt);

        machine.AssertFault(machine.Run(s_jump), vector, code);

        Assert.Equal((0x4000ul, NewSelector), (machine.Context->Rip, machine.Context->Tr.Selector));
    }

    [Theory]
    [InlineData(0x66u, 9u, true, Vector.InvalidTss)] // too short
    [InlineData(0x67u, 9u, false, Vector.NotPresent)]
    [InlineData(0x67u, 11u, true, Vector.GeneralProtection)] // busy
    public void FaultsBeforeTheCommitPointLeaveTheOldTask(uint limit, uint type, bool present, byte vector)
    {
        using var machine = Prepare();
        machine.Write(TestMachine.Gdt + NewSelector, TestMachine.Descriptor((uint)NewTss, limit, type, system: true, present: present));

        machine.AssertFault(machine.Run(s_jump), vector, NewSelector);

        Assert.Equal((TestMachine.Code, TestMachine.TssSelector), (machine.Context->Rip, machine.Context->Tr.Selector));
    }

    [Fact]
    public void TheTrapBitOfATssRaisesADebugException()
    {
        using var machine = Prepare();
        machine.Write(NewTss + 100, (ushort)1);

        Assert.Equal(Outcome.Branched, machine.Run(s_jump));
        Assert.False(machine.Processor.CheckTraps(singleStep: false));

        Assert.Equal((Vector.Debug, 1ul << 15), (machine.Processor.Fault.Vector, machine.Processor.Fault.Detail));
    }
}
