// Instructions without a twin in 64-bit mode, the stack instructions, and near branches, against results worked out here.
using Lamina.Core.Engine;
using Lamina.Engines.X86;
using Xunit;

namespace Lamina.Tests.Engines.X86;

public sealed unsafe class LegacyInstructionTests
{
    [Fact]
    public void DaaAndDasMakePackedDecimalSumsAndDifferences()
    {
        using var machine = new TestMachine();
        machine.EnterProtected();
        for (var left = 0; left < 100; left++)
            for (var right = 0; right < 100; right++)
            {
                var (a, b) = (left / 10 << 4 | left % 10, right / 10 << 4 | right % 10);
                machine.Rax = (byte)(a + b);
                machine.Flags = (a + b > 0xff ? Rflags.CF : 0) | ((a & 15) + (b & 15) > 15 ? Rflags.AF : 0);
                machine.RunAt(TestMachine.Code, 0x27);
                Assert.Equal((left + right) % 100, (int)(machine.Rax >> 4) * 10 + (int)(machine.Rax & 15));
                Assert.Equal(left + right > 99, (machine.Flags & Rflags.CF) != 0);

                machine.Rax = (byte)(a - b);
                machine.Flags = (a < b ? Rflags.CF : 0) | ((a & 15) < (b & 15) ? Rflags.AF : 0);
                machine.RunAt(TestMachine.Code, 0x2f);
                Assert.Equal((100 + left - right) % 100, (int)(machine.Rax >> 4) * 10 + (int)(machine.Rax & 15));
                Assert.Equal(left < right, (machine.Flags & Rflags.CF) != 0);
            }
    }

    [Fact]
    public void AaaAndAasMakeUnpackedDecimals()
    {
        using var machine = new TestMachine();
        machine.EnterProtected();
        for (var left = 0; left < 10; left++)
            for (var right = 0; right < 10; right++)
            {
                machine.Rax = (ulong)(left + right);
                machine.Flags = left + right > 15 ? Rflags.AF : 0;
                machine.RunAt(TestMachine.Code, 0x37);
                Assert.Equal((ulong)((left + right) / 10 << 8 | (left + right) % 10), machine.Rax);

                machine.Rax = 0x100 | (ulong)(byte)(left - right);
                machine.Flags = left < right ? Rflags.AF | Rflags.CF : 0;
                machine.RunAt(TestMachine.Code, 0x3f);
                Assert.Equal((10 + left - right) % 10, (int)(machine.Rax & 0xff));
                Assert.Equal(left < right, (machine.Flags & Rflags.CF) != 0);
            }
    }

    [Fact]
    public void AamAndAadConvertByAnyRadix()
    {
        using var machine = new TestMachine();
        machine.EnterProtected();
        machine.Rax = 0xff4d;
        machine.Run(0xd4, 10);
        Assert.Equal(0x0707ul, machine.Rax);
        machine.Run(0xd5, 10);
        Assert.Equal(77ul, machine.Rax);
        machine.AssertFault(machine.Run(0xd4, 0), Vector.DivideError);
    }

    [Theory]
    [InlineData(5, true)]
    [InlineData(-5, true)]
    [InlineData(6, false)]
    [InlineData(-6, false)]
    public void BoundChecksSignedLimits(int index, bool inside)
    {
        using var machine = new TestMachine();
        machine.EnterProtected();
        (machine.Rax, machine.Rbx) = ((uint)index, TestMachine.Data);
        machine.Write(TestMachine.Data, -5);
        machine.Write(TestMachine.Data + 4, 5);

        var outcome = machine.Run(0x62, 0x03);

        if (inside) Assert.Equal(Outcome.Next, outcome);
        else machine.AssertFault(outcome, Vector.BoundRange);
    }

    [Theory]
    [InlineData(0x08ul, 0x0bul, 0x0bul, true)]
    [InlineData(0x0bul, 0x08ul, 0x0bul, false)]
    public void ArplRaisesTheRequestedPrivilege(ulong destination, ulong source, ulong expected, bool raised)
    {
        using var machine = new TestMachine();
        machine.EnterProtected();
        (machine.Rax, machine.Rcx) = (destination, source);

        Assert.Equal(Outcome.Next, machine.Run(0x63, 0xc8));

        Assert.Equal((expected, raised), (machine.Rax, (machine.Flags & Rflags.ZF) != 0));
    }

    [Fact]
    public void FarPointersLoadBothOrNeither()
    {
        using var machine = new TestMachine();
        machine.EnterProtected();
        (machine.Rbx, machine.Rax) = (TestMachine.Data, 1);
        machine.Write(TestMachine.Data, 0x1234_5678u);
        machine.Write(TestMachine.Data + 4, (ushort)0xfff8);

        machine.AssertFault(machine.Run(0x0f, 0xb4, 0x03), Vector.GeneralProtection, 0xfff8); // LFS: outside nothing, but empty
        Assert.Equal(1ul, machine.Rax);
        machine.Write(TestMachine.Data + 4, TestMachine.Data32);
        Assert.Equal(Outcome.Next, machine.Run(0x0f, 0xb4, 0x03));
        Assert.Equal((0x1234_5678ul, TestMachine.Data32), (machine.Rax, machine.Context->Fs.Selector));
    }

    [Fact]
    public void PushaAndPopaSkipTheStackPointer()
    {
        using var machine = new TestMachine();
        machine.EnterProtected();
        for (var n = 0; n < 8; n++)
            if (n != 4) machine.Context->Gpr[n] = (ulong)n + 1;

        Assert.Equal(Outcome.Next, machine.Run(0x60));
        Assert.Equal([8, 7, 6, TestMachine.StackTop, 4, 3, 2, 1], machine.Stack(8, 4));
        machine.Rax = machine.Rdi = 0;
        Assert.Equal(Outcome.Next, machine.Run(0x61));

        Assert.Equal((1ul, 8ul, TestMachine.StackTop), (machine.Rax, machine.Rdi, machine.Rsp));
    }

    [Fact]
    public void EnterBuildsADisplayAndLeaveDropsIt()
    {
        using var machine = new TestMachine();
        machine.EnterProtected();
        machine.Rbp = TestMachine.Data;
        machine.Write(TestMachine.Data - 4, 0x1111u);
        machine.Write(TestMachine.Data - 8, 0x2222u);

        Assert.Equal(Outcome.Next, machine.Run(0xc8, 0x10, 0, 3));

        Assert.Equal((TestMachine.StackTop - 4, TestMachine.StackTop - 16 - 16), (machine.Rbp, machine.Rsp));
        Assert.Equal((0x2222u, 0x1111u, (uint)TestMachine.Data), (machine.Read<uint>(TestMachine.StackTop - 12), machine.Read<uint>(TestMachine.StackTop - 8), machine.Read<uint>(TestMachine.StackTop - 4)));
        Assert.Equal((uint)machine.Rbp, machine.Read<uint>(TestMachine.StackTop - 16));
        Assert.Equal(Outcome.Next, machine.Run(0xc9));
        Assert.Equal((TestMachine.Data, TestMachine.StackTop), (machine.Rbp, machine.Rsp));
    }

    /// <summary>The frame's address is that of all of ESP, where only SP counts on the stack. SDM vol. 2, ENTER (FrameTemp).</summary>
    [Fact]
    public void EnterOnAStackOf16BitsKeepsTheUpperHalfOfTheStackPointer()
    {
        using var machine = new TestMachine();
        machine.EnterProtected();
        machine.Write(TestMachine.Gdt + TestMachine.Free, TestMachine.Descriptor(0, 0xffff, 3));
        machine.LoadSegment(SegmentIndex.Ss, TestMachine.Free);
        (machine.Rsp, machine.Rbp) = (0x1_0000, 0x1234_5678);

        Assert.Equal(Outcome.Next, machine.Run(0xc8, 8, 0, 0));

        Assert.Equal((0x1_fffcul, 0x1_fff4ul), (machine.Rbp, machine.Rsp));
        Assert.Equal(0x1234_5678u, machine.Read<uint>(0xfffc));
    }

    [Fact]
    public void PopToAnAddressThatUsesTheStackPointerCountsItsIncrement()
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        machine.Write(TestMachine.StackTop, 0x1234_5678ul);

        Assert.Equal(Outcome.Next, machine.Run(0x8f, 0x44, 0x24, 0x08)); // POP [RSP+8]

        Assert.Equal(0x1234_5678ul, machine.Read<ulong>(TestMachine.StackTop + 16));
        Assert.Equal(TestMachine.StackTop + 8, machine.Rsp);
    }

    [Fact]
    public void A16BitStackWrapsInItsSegment()
    {
        using var machine = new TestMachine();
        machine.EnterReal();
        machine.Context->Ss.Base = 0x2_0000;
        machine.Rsp = 0xabcd_0000;
        machine.Rax = 0x1234;

        Assert.Equal(Outcome.Next, machine.Run(0x50));

        Assert.Equal((0xabcd_fffeul, 0x1234), (machine.Rsp, machine.Read<ushort>(0x2_fffe)));
    }

    [Theory]
    [InlineData("E2FE", 2ul, false, true)] // LOOP
    [InlineData("E2FE", 1ul, false, false)]
    [InlineData("E1FE", 2ul, true, true)] // LOOPE
    [InlineData("E1FE", 2ul, false, false)]
    [InlineData("E0FE", 2ul, false, true)]
    [InlineData("E3FE", 0ul, false, true)] // JRCXZ
    [InlineData("74FE", 0ul, true, true)]
    [InlineData("75FE", 0ul, true, false)]
    public void LoopsAndConditionsBranchByCountAndFlags(string hex, ulong count, bool zero, bool taken)
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        machine.Rcx = count;
        machine.Flags = zero ? Rflags.ZF : 0;

        var outcome = machine.Run(Convert.FromHexString(hex));

        Assert.Equal(taken ? (Outcome.Branched, TestMachine.Code) : (Outcome.Next, TestMachine.Code + 2), (outcome, machine.Context->Rip));
        if (hex[0] == 'E' && hex[1] < '3') Assert.Equal(count - 1, machine.Rcx);
    }

    [Fact]
    public void BranchesOutOfTheSegmentOrTheCanonicalRangeFaultAtTheBranch()
    {
        using var machine = new TestMachine();
        machine.EnterReal();
        machine.Context->Rip = 0xfff0;
        machine.AssertFault(machine.Run(0x66, 0xe9, 0, 0, 1, 0), Vector.GeneralProtection, 0);
        Assert.Equal(0xfff0ul, machine.Context->Rip);

        using var other = new TestMachine();
        other.EnterLong();
        other.Rax = 0x8000_0000_0000;
        other.AssertFault(other.Run(0xff, 0xd0), Vector.GeneralProtection, 0);
        Assert.Equal(TestMachine.StackTop, other.Rsp);
    }

    [Fact]
    public void CallsAndReturnsKeepTheirStack()
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        Assert.Equal(Outcome.Branched, machine.Run(0xe8, 0xfb, 0x0f, 0, 0));
        Assert.Equal((TestMachine.Code + 0x1000, TestMachine.Code + 5), (machine.Context->Rip, machine.Stack(1, 8)[0]));
        Assert.Equal(Outcome.Branched, machine.Run(0xc2, 0x10, 0));
        Assert.Equal((TestMachine.Code + 5, TestMachine.StackTop + 16), (machine.Context->Rip, machine.Rsp));
    }
}
