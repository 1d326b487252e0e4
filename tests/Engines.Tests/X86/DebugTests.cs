// Debug exceptions: breakpoints of every kind, single step, RF, DR6, and who may touch the registers.
using Lamina.Engines.X86;
using Lamina.Engines.X86.Cpuid;
using Xunit;

namespace Lamina.Tests.Engines.X86;

public sealed unsafe class DebugTests
{
    private static readonly byte[] s_movDr7Rax = [0x0f, 0x23, 0xf8];

    private static TestMachine WithBreakpoint(ulong address, uint kind, uint length)
    {
        var machine = new TestMachine();
        machine.EnterLong();
        machine.Context->Dr0 = address;
        machine.Rax = 2 | kind << 16 | length << 18;
        Assert.Equal(Outcome.Next, machine.Run(s_movDr7Rax));
        Assert.Contains("debug", machine.Cache.Calls);
        return machine;
    }

    [Fact]
    public void AnInstructionBreakpointFaultsOnceAndRfLetsItPass()
    {
        using var machine = WithBreakpoint(0x8800, 0, 0);
        machine.Write(TestMachine.Idt + 16, TestMachine.Gate(TestMachine.Code64, 0x5000, 15));
        machine.Context->Rip = 0x8800;

        Assert.False(machine.Processor.CheckFetchBreakpoint());
        Assert.Equal(Outcome.Branched, machine.Processor.DeliverFault());
        Assert.Equal(1ul, machine.Context->Dr6 & 15);
        var frame = machine.Stack(3, 8);
        Assert.Equal((0x8800ul, 0ul), (frame[0], frame[2] & Rflags.RF)); // SDM vol. 3, 18.3.1.1: software sets RF

        machine.Context->Rip = 0x8800;
        machine.Flags = Rflags.RF;
        Assert.True(machine.Processor.CheckFetchBreakpoint());
        Assert.Equal(Outcome.Next, machine.Run(0x90));
        Assert.Equal(0ul, machine.Flags & Rflags.RF);
    }

    [Theory]
    [InlineData(1u, 0u, 0x9000ul, true, true)] // write
    [InlineData(1u, 0u, 0x9000ul, false, false)]
    [InlineData(3u, 0u, 0x9000ul, false, true)] // read or write
    [InlineData(1u, 3u, 0x9003ul, true, true)] // four bytes
    [InlineData(1u, 0u, 0x9001ul, true, false)]
    [InlineData(1u, 2u, 0x9007ul, true, true)] // eight bytes
    public void DataBreakpointsTrapAfterTheInstruction(uint kind, uint length, ulong accessed, bool write, bool hit)
    {
        using var machine = WithBreakpoint(0x9000, kind, length);
        machine.Rbx = accessed;

        Assert.Equal(Outcome.Next, write ? machine.Run(0x88, 0x0b) : machine.Run(0x8a, 0x0b));

        Assert.Equal(!hit, machine.Processor.CheckTraps(singleStep: false));
        if (hit) Assert.Equal(Fault.Debug(1, trap: true), machine.Processor.Fault);
        Assert.True(machine.Processor.CheckTraps(singleStep: false)); // reported once
    }

    [Fact]
    public void PortBreakpointsNeedDebugExtensions()
    {
        using var machine = WithBreakpoint(0x60, 2, 0);

        Assert.Equal(Outcome.Next, machine.Run(0xe4, 0x60));
        Assert.True(machine.Processor.CheckTraps(false));
        machine.Context->Cr4 |= Cr4.DE;
        Assert.Equal(Outcome.Next, machine.Run(0xe4, 0x60));
        Assert.False(machine.Processor.CheckTraps(false));
    }

    [Fact]
    public void ARepeatedStringStopsAtAWatchedElement()
    {
        using var machine = WithBreakpoint(0x9002, 1, 0);
        (machine.Rdi, machine.Rcx) = (0x9000, 10);

        Assert.Equal(Outcome.Branched, machine.Run(0xf3, 0xaa));
        Assert.False(machine.Processor.CheckTraps(false));

        Assert.Equal((0x9003ul, 7ul, TestMachine.Code + 3), (machine.Rdi, machine.Rcx, machine.Context->Rip));
        Assert.NotEqual(0ul, machine.Flags & Rflags.RF); // its own instruction breakpoint would not be hit again
    }

    [Fact]
    public void SingleStepTrapsSetBsAndMovSsHoldsThem()
    {
        using var machine = new TestMachine();
        machine.EnterProtected();
        machine.Flags = Rflags.TF;

        Assert.Equal(Outcome.Next, machine.Run(0x90));
        Assert.False(machine.Processor.CheckTraps(singleStep: true));
        Assert.Equal(1ul << 14, machine.Processor.Fault.Detail);
        machine.Rax = TestMachine.Data32;
        Assert.Equal(Outcome.Next, machine.Run(0x8e, 0xd0));
        Assert.True(machine.Processor.CheckTraps(singleStep: true));
        Assert.Equal(Outcome.Next, machine.Run(0x90));
        Assert.False(machine.Processor.CheckTraps(singleStep: true));
    }

    [Fact]
    public void AnInterruptInstructionSwallowsItsSingleStep()
    {
        using var machine = new TestMachine();
        machine.EnterProtected();
        machine.Write(TestMachine.Idt + 0x80 * 8, TestMachine.Gate(TestMachine.Code32, 0x5000, 15));
        machine.Flags = Rflags.TF;

        Assert.Equal(Outcome.Branched, machine.Run(0xcd, 0x80));

        Assert.True(machine.Processor.CheckTraps(singleStep: true));
        Assert.Equal(0ul, machine.Flags & Rflags.TF);
    }

    [Fact]
    public void ATrapFlagThatSysretRestoresTrapsBeforeTheNextInstruction()
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        machine.Context->Efer |= Efer.SCE;
        machine.Context->Star = 0x0023_0008ul << 32;
        (machine.Rcx, machine.Context->Gpr[11]) = (0x5000, Rflags.TF);

        Assert.Equal(Outcome.Branched, machine.Run(0x48, 0x0f, 0x07));

        Assert.True(machine.Processor.HasPendingTraps);
        Assert.False(machine.Processor.CheckTraps(singleStep: false));
        Assert.Equal((Fault.Debug(1 << 14, trap: true), 0x5000ul), (machine.Processor.Fault, machine.Context->Rip));
    }

    [Fact]
    public void ABreakpointThatWaitedBehindMovSsIsAPartOfIcebp()
    {
        using var machine = WithBreakpoint(0x9000, 3, 3);
        machine.Write(TestMachine.Idt + 16, TestMachine.Gate(TestMachine.Code64, 0x5000, 15));
        machine.Write(0x9000, (uint)TestMachine.Data32);
        machine.Rbx = 0x9000;

        Assert.Equal(Outcome.Next, machine.Run(0x8e, 0x13)); // MOV SS, [RBX]
        Assert.True(machine.Processor.CheckTraps(singleStep: false));
        Assert.Equal(Outcome.Branched, machine.Run(0xf1));

        Assert.True(machine.Processor.CheckTraps(singleStep: false));
        Assert.Equal((1ul, 0x5000ul), (machine.Context->Dr6 & 15, machine.Context->Rip));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void InstructionBreakpointsBehindMovSsDependOnTheVendor(bool intel)
    {
        using var machine = new TestMachine(intel ? CpuModel.Create(SampleHosts.Intel(), new CpuModelOptions { TscHz = 2_000_000_000, HostUnaffected = _ => true }) : null);
        machine.EnterProtected();
        (machine.Context->Dr0, machine.Context->Dr7) = (TestMachine.Code + 2, 0x402);
        machine.Rax = TestMachine.Data32;

        Assert.Equal(Outcome.Next, machine.Run(0x8e, 0xd0));

        Assert.Equal(intel, machine.Processor.CheckFetchBreakpoint());
    }

    [Fact]
    public void ChangesOfTheTrapFlagAreTold()
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        machine.Write(TestMachine.StackTop, Rflags.TF);
        machine.Cache.Calls.Clear();

        Assert.Equal(Outcome.Next, machine.Run(0x9d));

        Assert.Contains("mode", machine.Cache.Calls);
    }

    [Fact]
    public void GeneralDetectGuardsTheRegistersAndIsClearedByTheException()
    {
        using var machine = new TestMachine();
        machine.EnterProtected();
        machine.Write(TestMachine.Idt + 8, TestMachine.Gate(TestMachine.Code32, 0x5000, 15));
        machine.Context->Dr7 = 0x400 | 1 << 13;

        machine.AssertFault(machine.Run(0x0f, 0x21, 0xc0), Vector.Debug);
        Assert.Equal(Outcome.Branched, machine.Processor.DeliverFault());

        Assert.Equal((1ul << 13, 0x400ul), (machine.Context->Dr6 & 1 << 13, machine.Context->Dr7));
    }

    [Fact]
    public void AliasesAndReservedBitsOfTheRegisters()
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        machine.Rax = 0xffff_ffff;
        Assert.Equal(Outcome.Next, machine.Run(0x0f, 0x23, 0xe0)); // DR4 is DR6
        Assert.Equal(0xffff_efffUL, machine.Context->Dr6);
        machine.Rax = 1UL << 32;
        machine.AssertFault(machine.Run(s_movDr7Rax), Vector.GeneralProtection, 0);
        machine.Context->Cr4 |= Cr4.DE;
        machine.AssertFault(machine.Run(0x0f, 0x23, 0xe0), Vector.InvalidOpcode);
        machine.Context->Cpl = 3;
        machine.AssertFault(machine.Run(s_movDr7Rax), Vector.GeneralProtection, 0);
    }

    [Fact]
    public void IcebpIsNotSubjectToTheGatesPrivilege()
    {
        using var machine = new TestMachine();
        machine.EnterProtected(cpl: 3);
        machine.Write(TestMachine.Idt + 8, TestMachine.Gate(TestMachine.Code32, 0x5000, 15));

        Assert.Equal(Outcome.Branched, machine.Run(0xf1));

        Assert.Equal(TestMachine.Code + 1, machine.Stack(1, 4)[0]);
    }
}
