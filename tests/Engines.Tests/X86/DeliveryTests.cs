// Exceptions and interrupts: frames byte by byte in every mode, error codes, nesting up to shutdown, and IRET back.
using Lamina.Engines.X86;
using Lamina.Engines.X86.Segmentation;
using Xunit;

namespace Lamina.Tests.Engines.X86;

public sealed unsafe class DeliveryTests
{
    private const uint Interrupt32 = 0xe, Trap32 = 0xf, Interrupt16 = 6, Task = 5;

    private static void SetGate32(TestMachine machine, int vector, ulong gate) => machine.Write(TestMachine.Idt + (ulong)vector * 8, gate);

    private static void SetGate64(TestMachine machine, int vector, ulong gate, uint high = 0)
    {
        machine.Write(TestMachine.Idt + (ulong)vector * 16, gate);
        machine.Write(TestMachine.Idt + (ulong)vector * 16 + 8, (ulong)high);
    }

    /// <summary>Makes #UD the pending fault, as the processor itself would.</summary>
    private static void RaiseUd(TestMachine machine) => machine.AssertFault(machine.Run(0x0f, 0x0b), Vector.InvalidOpcode);

    [Fact]
    public void RealModePushesThreeWords()
    {
        using var machine = new TestMachine();
        machine.EnterReal();
        machine.Context->Cs.Selector = 0x10;
        machine.Context->Cs.Base = 0x100;
        machine.Write(6 * 4, 0x1234_5678u);
        machine.Flags = Rflags.IF | Rflags.TF | Rflags.CF;
        RaiseUd(machine);

        Assert.Equal(Outcome.Branched, machine.Processor.DeliverFault());

        Assert.Equal([TestMachine.Code, 0x10, 0x303], machine.Stack(3, 2));
        Assert.Equal((0x5678ul, 0x1234, 0x1_2340ul), (machine.Context->Rip, machine.Context->Cs.Selector, machine.Context->Cs.Base));
        Assert.Equal(Rflags.CF | 2, machine.Flags);
    }

    [Fact]
    public void RealModeWithoutAVectorTableShutsDown()
    {
        using var machine = new TestMachine();
        machine.EnterReal();
        machine.Context->IdtrLimit = 0;
        RaiseUd(machine);

        Assert.Equal(Outcome.Shutdown, machine.Processor.DeliverFault());
    }

    [Theory]
    [InlineData(Interrupt32, 4, false)]
    [InlineData(Trap32, 4, true)]
    [InlineData(Interrupt16, 2, false)]
    public void ProtectedModeSamePrivilegePushesFlagsCsAndIp(uint type, int width, bool keepsIf)
    {
        using var machine = new TestMachine();
        machine.EnterProtected();
        SetGate32(machine, 13, TestMachine.Gate(TestMachine.Code32, 0x8765, type));
        machine.Flags = Rflags.IF | Rflags.ZF;
        machine.Rax = 0x1234;
        machine.AssertFault(machine.Run(0x0f, 0x22, 0xe0), Vector.GeneralProtection, 0); // MOV CR4 with reserved bits

        Assert.Equal(Outcome.Branched, machine.Processor.DeliverFault());

        var flags = Rflags.IF | Rflags.ZF | 2 | (width == 4 ? Rflags.RF : 0);
        Assert.Equal([0, TestMachine.Code, TestMachine.Code32, flags], machine.Stack(4, width));
        Assert.Equal(TestMachine.StackTop - (ulong)(4 * width), machine.Rsp);
        Assert.Equal(keepsIf, (machine.Flags & Rflags.IF) != 0);
        Assert.Equal(0x8765ul, machine.Context->Rip);
    }

    [Fact]
    public void ProtectedModeSwitchesToTheStackOfTheTss()
    {
        using var machine = new TestMachine();
        machine.EnterProtected(cpl: 3);
        SetGate32(machine, 0x80, TestMachine.Gate(TestMachine.Code32, 0x9999, Trap32, dpl: 3));
        machine.Flags = Rflags.IF;

        Assert.Equal(Outcome.Branched, machine.Run(0xcd, 0x80));

        Assert.Equal(TestMachine.KernelStack - 20, machine.Rsp);
        Assert.Equal([TestMachine.Code + 2, TestMachine.UserCode32, Rflags.IF | 2, TestMachine.StackTop, TestMachine.UserData32], machine.Stack(5, 4));
        Assert.Equal((0u, TestMachine.Data32), (machine.Context->Cpl, machine.Context->Ss.Selector));
        Assert.Equal(TestMachine.UserData32, machine.Context->Ds.Selector);

        // and back
        Assert.Equal(Outcome.Branched, machine.RunAt(0x9999, 0xcf));
        Assert.Equal((3u, TestMachine.StackTop, TestMachine.Code + 2), (machine.Context->Cpl, machine.Rsp, machine.Context->Rip));
    }

    [Theory]
    [InlineData(0x81, Vector.GeneralProtection, 0x81u * 8 + 2)] // privilege
    [InlineData(0x82, Vector.GeneralProtection, 0x82u * 8 + 2)] // not a gate
    [InlineData(0x83, Vector.NotPresent, 0x83u * 8 + 2)]
    [InlineData(0x84, Vector.GeneralProtection, 0u)] // null selector
    [InlineData(0x85, Vector.GeneralProtection, 0x10u)] // data segment
    [InlineData(0x86, Vector.NotPresent, 0x50u)]
    [InlineData(0x87, Vector.GeneralProtection, 0xff8u)] // outside the GDT
    public void SoftwareInterruptsFaultWithoutTheExternalBit(int vector, byte expected, uint code)
    {
        using var machine = new TestMachine();
        machine.EnterProtected(cpl: 3);
        machine.Context->GdtrLimit = 0x5f;
        machine.Write(TestMachine.Gdt + 0x50, TestMachine.Descriptor(0, 0xfffff, 0xb, present: false, big: true, granular: true));
        SetGate32(machine, 0x81, TestMachine.Gate(TestMachine.Code32, 0, Trap32));
        SetGate32(machine, 0x82, TestMachine.Gate(TestMachine.Code32, 0, 12, dpl: 3));
        SetGate32(machine, 0x83, TestMachine.Gate(TestMachine.Code32, 0, Trap32, dpl: 3, present: false));
        SetGate32(machine, 0x84, TestMachine.Gate(0, 0, Trap32, dpl: 3));
        SetGate32(machine, 0x85, TestMachine.Gate(TestMachine.Data32, 0, Trap32, dpl: 3));
        SetGate32(machine, 0x86, TestMachine.Gate(0x50, 0, Trap32, dpl: 3));
        SetGate32(machine, 0x87, TestMachine.Gate(0xff8, 0, Trap32, dpl: 3));

        machine.AssertFault(machine.Run(0xcd, (byte)vector), expected, code);

        Assert.Equal((TestMachine.Code, 3u), (machine.Context->Rip, machine.Context->Cpl));
    }

    [Fact]
    public void ExternalInterruptsFaultWithTheExternalBit()
    {
        using var machine = new TestMachine();
        machine.EnterProtected();
        SetGate32(machine, 11, TestMachine.Gate(TestMachine.Code32, 0x7777, Interrupt32));
        SetGate32(machine, 0x30, TestMachine.Gate(TestMachine.Code32, 0, Interrupt32, present: false));

        Assert.Equal(Outcome.Branched, machine.Processor.DeliverInterrupt(0x30, InterruptKind.External));

        Assert.Equal(0x7777ul, machine.Context->Rip);
        Assert.Equal([0x30 * 8 + 3, TestMachine.Code, TestMachine.Code32], machine.Stack(3, 4));
    }

    [Fact]
    public void NonMaskableInterruptsStayBlockedUntilIret()
    {
        using var machine = new TestMachine();
        machine.EnterProtected();
        SetGate32(machine, 2, TestMachine.Gate(TestMachine.Code32, 0x7770, Interrupt32));

        Assert.Equal(Outcome.Branched, machine.Processor.DeliverInterrupt(2, InterruptKind.Nmi));
        Assert.NotEqual(0u, machine.Context->NmiBlocked);
        Assert.Equal(Outcome.Branched, machine.Run(0xcf));

        Assert.Equal(0u, machine.Context->NmiBlocked);
        Assert.Equal(TestMachine.Code, machine.Context->Rip);
    }

    [Fact]
    public void AContributoryFaultDuringAContributoryOneIsADoubleFault()
    {
        using var machine = new TestMachine();
        machine.EnterProtected();
        SetGate32(machine, 8, TestMachine.Gate(TestMachine.Code32, 0x4444, Interrupt32));
        machine.Rax = 0x1234;
        machine.AssertFault(machine.Run(0x0f, 0x22, 0xe0), Vector.GeneralProtection, 0); // its gate is empty: #GP again

        Assert.Equal(Outcome.Branched, machine.Processor.DeliverFault());

        Assert.Equal(0x4444ul, machine.Context->Rip);
        Assert.Equal([0, TestMachine.Code, TestMachine.Code32, 2], machine.Stack(4, 4));
    }

    [Fact]
    public void ABenignFaultWithoutAGateBecomesTheFaultOfItsDelivery()
    {
        using var machine = new TestMachine();
        machine.EnterProtected();
        SetGate32(machine, 13, TestMachine.Gate(TestMachine.Code32, 0x4444, Interrupt32));
        RaiseUd(machine);

        Assert.Equal(Outcome.Branched, machine.Processor.DeliverFault());

        Assert.Equal(6ul * 8 + 3, machine.Stack(1, 4)[0]);
    }

    [Fact]
    public void ANullIdtShutsDown()
    {
        using var machine = new TestMachine();
        machine.EnterProtected();
        machine.Context->IdtrLimit = 0;
        RaiseUd(machine);

        Assert.Equal(Outcome.Shutdown, machine.Processor.DeliverFault());
    }

    [Fact]
    public void LongModePushesFiveWordsOnAnAlignedStack()
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        SetGate64(machine, 6, TestMachine.Gate(TestMachine.Code64, 0x1234_5678, Interrupt32), high: 0xffff_8000);
        machine.Rsp = 0x8ff9;
        machine.Flags = Rflags.IF | Rflags.AC;
        RaiseUd(machine);

        Assert.Equal(Outcome.Branched, machine.Processor.DeliverFault());

        Assert.Equal(0x8ff0ul - 40, machine.Rsp);
        Assert.Equal([TestMachine.Code, TestMachine.Code64, Rflags.IF | Rflags.AC | Rflags.RF | 2, 0x8ff9, TestMachine.Data32], machine.Stack(5, 8));
        Assert.Equal(0xffff_8000_1234_5678, machine.Context->Rip);
        Assert.Equal(Rflags.AC | 2, machine.Flags);
        Assert.Equal(TestMachine.Data32, machine.Context->Ss.Selector);
    }

    [Fact]
    public void LongModeUserPageFaultGoesToTheKernelStackWithItsAddress()
    {
        using var machine = new TestMachine();
        machine.EnterLong(cpl: 3);
        SetGate64(machine, 14, TestMachine.Gate(TestMachine.Code64, 0x5000, Interrupt32));
        machine.Rax = 0x4000_0000;
        machine.AssertFault(machine.Run(0x88, 0x18), Vector.PageFault, PageFaultCode.User | PageFaultCode.Write); // MOV [RAX], BL

        Assert.Equal(Outcome.Branched, machine.Processor.DeliverFault());

        Assert.Equal(TestMachine.KernelStack - 48, machine.Rsp);
        Assert.Equal([6, TestMachine.Code, TestMachine.UserCode64, Rflags.RF | 2, TestMachine.StackTop, TestMachine.UserData32], machine.Stack(6, 8));
        Assert.Equal(0x4000_0000ul, machine.Context->Cr2);
        Assert.Equal((0u, (ushort)0), (machine.Context->Cpl, machine.Context->Ss.Selector));

        // IRETQ drops the error code's word first
        machine.Rsp += 8;
        Assert.Equal(Outcome.Branched, machine.RunAt(0x5000, 0x48, 0xcf));
        Assert.Equal((3u, TestMachine.StackTop, TestMachine.UserData32, TestMachine.Code), (machine.Context->Cpl, machine.Rsp, machine.Context->Ss.Selector, machine.Context->Rip));
        Assert.Equal(Rflags.RF | 2, machine.Flags);
    }

    [Fact]
    public void ReturningToLessPrivilegeDropsSelectorsButKeepsTheBasesOf64BitMode()
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        machine.Context->Gs.Base = 0x1234_5678_9000;
        var frame = TestMachine.StackTop - 40;
        foreach (var (index, value) in ((ulong, ulong)[])[(0, 0x5000), (1, TestMachine.UserCode64), (2, 2), (3, 0x6000), (4, TestMachine.UserData32)])
            machine.Write(frame + index * 8, value);
        machine.Rsp = frame;

        Assert.Equal(Outcome.Branched, machine.Run(0x48, 0xcf));

        Assert.Equal((3u, (ushort)0, 0x1234_5678_9000ul), (machine.Context->Cpl, machine.Context->Gs.Selector, machine.Context->Gs.Base));
        Assert.NotEqual(0u, machine.Context->Gs.Attributes & SegmentAttributes.Unusable);
    }

    [Fact]
    public void LongModeInterruptStackTableIsUsedAtEveryPrivilege()
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        machine.Write(TestMachine.Tss + 0x24 + 8 * 2, 0x6008ul); // IST3
        SetGate64(machine, 6, TestMachine.Gate(TestMachine.Code64, 0x5000, Interrupt32, low: 3));
        RaiseUd(machine);

        Assert.Equal(Outcome.Branched, machine.Processor.DeliverFault());

        Assert.Equal(0x6000ul - 40, machine.Rsp);
    }

    [Theory]
    [InlineData(0x81, TestMachine.Code32, 14u, 8u)] // a 32-bit handler segment
    [InlineData(0x82, TestMachine.Code64, 6u, 0x82u * 8 + 2)] // a 16-bit gate
    public void LongModeRefusesHandlersThatAreNot64Bit(int vector, ushort selector, uint type, uint code)
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        SetGate64(machine, vector, TestMachine.Gate(selector, 0x5000, type));

        machine.AssertFault(machine.Run(0xcd, (byte)vector), Vector.GeneralProtection, code);
    }

    [Fact]
    public void LongModeStackThatIsNotCanonicalEndsInADoubleFault()
    {
        using var machine = new TestMachine();
        machine.EnterLong(cpl: 3);
        machine.Write(TestMachine.Tss + 4, 0x8000_0000_0000ul);
        machine.Write(TestMachine.Tss + 0x24, 0x6000ul); // IST1
        SetGate64(machine, 13, TestMachine.Gate(TestMachine.Code64, 0x5000, Interrupt32));
        SetGate64(machine, 12, TestMachine.Gate(TestMachine.Code64, 0x5100, Interrupt32));
        SetGate64(machine, 8, TestMachine.Gate(TestMachine.Code64, 0x5200, Interrupt32, low: 1));
        machine.AssertFault(machine.Run(0xf4), Vector.GeneralProtection, 0);

        Assert.Equal(Outcome.Branched, machine.Processor.DeliverFault());

        Assert.Equal(0x5200ul, machine.Context->Rip);
    }

    [Fact]
    public void Virtual8086PushesTheDataSegmentsAndReturns()
    {
        using var machine = new TestMachine();
        machine.EnterVirtual8086();
        SetGate32(machine, 13, TestMachine.Gate(TestMachine.Code32, 0x5000, Interrupt32));
        (machine.Context->Es.Selector, machine.Context->Ds.Selector, machine.Context->Fs.Selector, machine.Context->Gs.Selector) = (1, 2, 3, 4);
        machine.Context->Ss.Selector = 5;
        machine.Context->Ss.Base = 0x50;
        machine.AssertFault(machine.Run(0xcd, 0x21), Vector.GeneralProtection, 0); // IOPL is 0

        Assert.Equal(Outcome.Branched, machine.Processor.DeliverFault());

        Assert.Equal([0, TestMachine.Code, 0, Rflags.VM | Rflags.RF | 2, TestMachine.StackTop, 5, 1, 2, 3, 4], machine.Stack(10, 4));
        Assert.Equal((0u, 0, 0, TestMachine.KernelStack - 40), (machine.Context->Cpl, (int)machine.Context->Ds.Selector, (int)machine.Context->Gs.Selector, machine.Rsp));

        machine.Rsp += 4;
        Assert.Equal(Outcome.Branched, machine.RunAt(0x5000, 0xcf));
        Assert.True(machine.Processor.IsVirtual8086);
        Assert.Equal((3u, 1, 4, 0x50ul, TestMachine.Code), (machine.Context->Cpl, (int)machine.Context->Es.Selector, (int)machine.Context->Gs.Selector, machine.Context->Ss.Base, machine.Context->Rip));
        Assert.Equal(0xf3u, machine.Context->Ds.Attributes);
    }

    [Fact]
    public void Int3AndIntoAreNotSubjectToIoplInVirtual8086Mode()
    {
        using var machine = new TestMachine();
        machine.EnterVirtual8086();
        SetGate32(machine, 3, TestMachine.Gate(TestMachine.Code32, 0x5000, Trap32, dpl: 3));

        Assert.Equal(Outcome.Branched, machine.Run(0xcc));
        Assert.Equal(0x5000ul, machine.Context->Rip);
    }

    [Fact]
    public void AFarHandlerOfTheDoubleFaultCanBeATask()
    {
        using var machine = new TestMachine();
        machine.EnterProtected();
        const ulong newTss = 0x6000;
        machine.Write(TestMachine.Gdt + 0x48, TestMachine.Descriptor((uint)newTss, 0x67, 9, system: true));
        SetGate32(machine, 8, TestMachine.Gate(0x48, 0, Task));
        TaskSwitchTests.WriteTask32(machine, newTss, eip: 0x4321, esp: 0x5800);
        machine.Rax = 0x1234;
        machine.AssertFault(machine.Run(0x0f, 0x22, 0xe0), Vector.GeneralProtection, 0);

        Assert.Equal(Outcome.Branched, machine.Processor.DeliverFault());

        Assert.Equal((0x4321ul, 0x57fcul, (ushort)0x48), (machine.Context->Rip, machine.Rsp, machine.Context->Tr.Selector));
        Assert.Equal(0ul, machine.Stack(1, 4)[0]);
        Assert.Equal(TestMachine.Code, machine.Read<uint>(TestMachine.Tss + 32)); // EIP of the interrupted task
        Assert.Equal(TestMachine.TssSelector, machine.Read<ushort>(newTss)); // back link
        Assert.NotEqual(0ul, machine.Flags & Rflags.NT);
    }
}
