// Model-specific registers: their write checks, what they drive, and the paravirtual clock's structures.
using Lamina.Core.Engine;
using Lamina.Core.Time;
using Lamina.Engines.X86;
using Lamina.Engines.X86.Cpuid;
using Lamina.Engines.X86.Memory;
using Lamina.Engines.X86.Msr;
using Xunit;

namespace Lamina.Tests.Engines.X86;

public sealed unsafe class MsrTests
{
    [Theory]
    [InlineData(0xc000_0082u, 0x8000_0000_0000ul, false)] // LSTAR, not canonical
    [InlineData(0xc000_0082u, 0xffff_8000_0000_0000ul, true)]
    [InlineData(0xc000_0100u, 0x8000_0000_0000ul, false)]
    [InlineData(0x174u, 0x10ul, true)]
    [InlineData(0x277u, 0x0007_0406_0007_0406ul, true)]
    [InlineData(0x277u, 2ul, false)] // a PAT type that does not exist
    [InlineData(0x2ffu, 0xc06ul, true)]
    [InlineData(0x2ffu, 0x1000ul, false)]
    [InlineData(0x2ffu, 2ul, false)]
    [InlineData(0x200u, 0x1_0000_0006ul, true)]
    [InlineData(0x200u, 1ul << 46, false)] // above MAXPHYADDR
    [InlineData(0x201u, 0xf_f000_0800ul, true)]
    [InlineData(0x201u, 1ul, false)]
    [InlineData(0x250u, 0x0606_0606_0606_0606ul, true)]
    [InlineData(0x250u, 0x0206_0606_0606_0606ul, false)]
    [InlineData(0xfeu, 0ul, false)] // MTRRCAP
    [InlineData(0xc000_0080u, 0x1001ul, false)] // EFER.SVME
    [InlineData(0xc000_0080u, 0x801ul, true)]
    [InlineData(0x1d9u, 4ul, false)]
    [InlineData(0x17au, 4ul, true)]
    [InlineData(0x179u, 0ul, false)]
    [InlineData(0x400u, 0ul, false)] // no machine-check banks
    [InlineData(0x12345u, 0ul, false)]
    [InlineData(0xc001_0000u, 0ul, true)]
    [InlineData(0xc001_0200u, 0ul, false)]
    public void WritesAreChecked(uint index, ulong value, bool accepted)
    {
        using var machine = new TestMachine();

        Assert.Equal(accepted, machine.Processor.TryWriteMsr(index, value));

        if (accepted)
        {
            Assert.True(machine.Processor.TryReadMsr(index, out var read));
            Assert.Equal(value, read);
        }
    }

    [Fact]
    public void UnknownRegistersAreGeneralProtectionAndTraced()
    {
        using var machine = new TestMachine();
        machine.EnterLong();
        machine.Rcx = 0x1234_5678;

        machine.AssertFault(machine.Run(0x0f, 0x32), Vector.GeneralProtection, 0);
        Assert.Contains("0x12345678", Assert.Single(machine.Trace), StringComparison.Ordinal);
    }

    [Fact]
    public void UserCodeMayNotTouchThem()
    {
        using var machine = new TestMachine();
        machine.EnterLong(cpl: 3);
        machine.Rcx = 0x10;

        machine.AssertFault(machine.Run(0x0f, 0x30), Vector.GeneralProtection, 0);
    }

    [Fact]
    public void EveryRegisterThatLinuxReadsUncheckedOnAmdIsThere()
    {
        using var machine = new TestMachine();
        foreach (var index in (uint[])[0x10, 0x1b, 0x3b, 0x8b, 0xfe, 0x179, 0x277, 0x2ff, 0xc000_0080, 0xc000_0103, 0xc001_0010, 0xc001_0015, 0xc001_001a, 0xc001_001d, 0xc001_1029])
            Assert.True(machine.Processor.TryReadMsr(index, out _), $"{index:x}");
        machine.Processor.TryReadMsr(0xc001_0015, out var hwcr);
        Assert.NotEqual(0ul, hwcr & 1 << 24);
        Assert.False(machine.Processor.TryReadMsr(0x17, out _)); // Intel's alone
    }

    [Fact]
    public void TscAndItsAdjustmentMoveTogetherAndShiftTheDeadline()
    {
        using var machine = new TestMachine();

        Assert.True(machine.Processor.TryWriteMsr(MsrIndex.Tsc, machine.Clock.Tsc + 1000));
        Assert.True(machine.Processor.TryReadMsr(MsrIndex.TscAdjust, out var adjust));
        Assert.True(machine.Processor.TryWriteMsr(MsrIndex.TscDeadline, 50_000));
        Assert.True(machine.Processor.TryReadMsr(MsrIndex.TscDeadline, out var deadline));

        Assert.Equal(1000ul, adjust);
        Assert.Equal(machine.Clock.Tsc + 1000, machine.Processor.ReadTsc());
        Assert.Equal((49_000ul, 50_000ul), (machine.Apic.Msrs[MsrIndex.TscDeadline], deadline));
    }

    [Fact]
    public void ThePagingModeBitsOfEferAreGuarded()
    {
        using var machine = new TestMachine();
        machine.EnterLong();

        Assert.False(machine.Processor.TryWriteMsr(MsrIndex.Efer, 0)); // LME with paging on
        Assert.True(machine.Processor.TryWriteMsr(MsrIndex.Efer, Efer.LME)); // LMA is not software's
        Assert.Equal(Efer.LME | Efer.LMA, machine.Context->Efer);
        Assert.Contains("flush True", machine.Cache.Calls); // NXE went
    }

    [Fact]
    public void TheSystemTimeStructureLetsAGuestComputeTheTime()
    {
        using var machine = new TestMachine();
        machine.Write(TestMachine.Data, 6u);

        Assert.True(machine.Processor.TryWriteMsr(MsrIndex.SystemTime, TestMachine.Data | 1));

        Assert.Equal(8u, machine.Read<uint>(TestMachine.Data));
        Assert.Equal(1, machine.Read<byte>(TestMachine.Data + 29)); // stable
        Assert.InRange(TimeAt(machine, TestMachine.Data, machine.Clock.Tsc), 4_999_999_990ul, 5_000_000_000ul);
        var multiplier = machine.Read<uint>(TestMachine.Data + 24);
        var shift = machine.Read<sbyte>(TestMachine.Data + 28);
        UInt128 ticks = machine.Clock.TscHz;
        ticks = shift < 0 ? ticks >> -shift : ticks << shift;
        Assert.InRange((ulong)(ticks * multiplier >> 32), 999_999_990ul, 1_000_000_000ul);
    }

    // As pvclock_clocksource_read does it.
    private static ulong TimeAt(TestMachine machine, ulong structure, ulong tsc)
    {
        UInt128 ticks = tsc - machine.Read<ulong>(structure + 8);
        var shift = machine.Read<sbyte>(structure + 28);
        ticks = shift < 0 ? ticks >> -shift : ticks << shift;
        return machine.Read<ulong>(structure + 16) + (ulong)(ticks * machine.Read<uint>(structure + 24) >> 32);
    }

    [Fact]
    public void VcpusThatAskAtDifferentMomentsComputeTheSameTime()
    {
        using var machine = new TestMachine();
        // Time passes whenever a clock is read, and by the time-stamp counter more than by nanoseconds.
        var clock = new PassingClock();
        ulong[] places = [TestMachine.Data, TestMachine.Data + 0x40, TestMachine.Data + 0x80];
        ulong[] ahead = [0, 12_345, unchecked((ulong)-999)];
        for (var n = 0; n < places.Length; n++)
            new ParavirtualClock(machine.Memory, clock).WriteSystemTime(places[n] | 1, ahead[n]);

        for (var tsc = 1ul << 32; tsc < 1ul << 50; tsc += tsc / 3)
            Assert.Single(places.Select((place, n) => TimeAt(machine, place, tsc + ahead[n])).Distinct());
    }

    [Fact]
    public void AGuestWhoseStateIsPutBackIsToldThatItWasStopped()
    {
        using var machine = new TestMachine();
        var state = new VcpuState();
        Assert.True(machine.Processor.TryWriteMsr(MsrIndex.SystemTime, TestMachine.Data | 1));
        machine.Processor.Save(state);

        Assert.Empty(machine.Processor.Load(state));

        Assert.Equal(3, machine.Read<byte>(TestMachine.Data + 29));
    }

    [Theory]
    [InlineData(0xc001_0000u)]
    [InlineData(0xc001_0003u)]
    [InlineData(0xc001_0004u)]
    [InlineData(0xc001_0007u)]
    public void CountersThatNobodyAnnouncesTakeWritesAndStayZero(uint index)
    {
        using var machine = new TestMachine();

        Assert.True(machine.Processor.TryWriteMsr(index, 0x530076));

        Assert.True(machine.Processor.TryReadMsr(index, out var value));
        Assert.Equal(0ul, value);
    }

    [Fact]
    public void RegistersOfCountersBelongToTheirVendor()
    {
        foreach (var (index, vendor) in ((uint, CpuVendor)[])[(0xc1, CpuVendor.Intel), (0xc2, CpuVendor.Intel), (0x186, CpuVendor.Intel), (0x187, CpuVendor.Intel), (0xc001_0000, CpuVendor.Amd)])
            foreach (var of in Enum.GetValues<CpuVendor>())
                Assert.Equal(of == vendor, new PlainMsrs(of).TryWrite(index, 5));
    }

    private sealed class PassingClock : IMachineClock
    {
        private long _reads;

        public long NowNanoseconds => 1_000_000 + 700 * ++_reads;

        public DateTimeOffset WallClock => DateTimeOffset.UnixEpoch.AddSeconds(1_700_000_005);

        public ulong TscHz => 2_000_000_000;

        public ulong ReadTsc() => 2_000_000 + 1_900 * (ulong)++_reads;

        public IDeviceTimer CreateTimer(Action expired) => throw new NotSupportedException("a processor by itself has no timers");
    }

    [Theory]
    [InlineData(2_596_100_000ul)]
    [InlineData(999_999_999ul)]
    [InlineData(100_000ul)]
    [InlineData(6_000_000_000ul)]
    public void TheClocksScaleIsPreciseForEveryFrequency(ulong hertz)
    {
        var (multiplier, shift) = ParavirtualClock.Scale(hertz);

        UInt128 ticks = hertz;
        ticks = shift < 0 ? ticks >> -shift : ticks << shift;
        Assert.InRange((double)(ticks * multiplier >> 32), 999_999_990, 1_000_000_000);
        Assert.True(multiplier > uint.MaxValue / 2);
    }

    [Fact]
    public void TheWallClockStructureHoldsTheTimeOfBoot()
    {
        using var machine = new TestMachine();

        Assert.True(machine.Processor.TryWriteMsr(MsrIndex.WallClock, TestMachine.Data));

        Assert.Equal((2u, 1_700_000_000u, 0u), (machine.Read<uint>(TestMachine.Data), machine.Read<uint>(TestMachine.Data + 4), machine.Read<uint>(TestMachine.Data + 8)));
    }

    [Fact]
    public void AClockAddressOutsideRamIsHarmless()
    {
        using var machine = new TestMachine();

        Assert.True(machine.Processor.TryWriteMsr(MsrIndex.SystemTime, 0xffff_ffff_ffff_fff1));
        Assert.True(machine.Processor.TryWriteMsr(MsrIndex.WallClock, ulong.MaxValue));
    }

    [Fact]
    public void EveryRegisterAndValueIsAnsweredWithoutAnException()
    {
        using var machine = new TestMachine();
        var random = new Random(1);
        foreach (var start in (uint[])[0, 0xc000_0000, 0xc001_0000, 0x4b56_4d00, 0x4000_0000])
        {
            for (var index = start; index < start + 0x1200; index++)
            {
                _ = machine.Processor.TryReadMsr(index, out _);
                foreach (var value in (ulong[])[0, ulong.MaxValue, 1UL << random.Next(64), (ulong)random.NextInt64()])
                    if (index != MsrIndex.Efer) _ = machine.Processor.TryWriteMsr(index, value);
            }
        }
    }

    [Fact]
    public void AStateSavedOnOneProcessorIsTheSameOnAnother()
    {
        using var first = new TestMachine();
        using var second = new TestMachine();
        first.EnterLong(cpl: 3);
        for (var n = 0; n < 16; n++) first.Context->Gpr[n] = (ulong)n * 0x0101_0101_0101;
        first.Flags = Rflags.IF | Rflags.CF | Rflags.AC;
        (first.Context->Cr2, first.Context->Dr7, first.Context->Dr0) = (0x1234, 0x401, 0x5678);
        first.Context->Xcr0 = 7;
        new XsaveImage(first.Context->XsaveArea, TestMachine.SharedModel).WriteVector(3, Enumerable.Range(1, 32).Select(n => (byte)n).ToArray());
        foreach (var (index, value) in ((uint, ulong)[])[(0xc000_0081, 0x0023_0008_0000_0000), (0xc000_0082, 0xffff_ffff_8000_0000), (0x2ff, 0xc06), (0x3b, 77), (0xc000_0102, 0x7000)])
            Assert.True(first.Processor.TryWriteMsr(index, value));
        var state = new VcpuState();
        var again = new VcpuState();

        first.Processor.Save(state);
        second.Processor.Load(state);
        second.Processor.Save(again);

        Assert.Equivalent(state, again, strict: true);
        Assert.Equal(3u, second.Context->Cpl);
        Assert.Equal(77ul, second.Context->TscOffset);
    }

    [Fact]
    public void CountersOfStatesPutBackAtDifferentMomentsStayTogether()
    {
        using var machine = new TestMachine();
        var state = new VcpuState();
        Assert.True(machine.Processor.TryWriteMsr(MsrIndex.TscAdjust, 500));
        machine.Processor.Save(state);

        machine.Clock.Tsc += 12_345;
        machine.Processor.Load(state);

        Assert.Equal(machine.Clock.Tsc + 500, machine.Processor.ReadTsc());
    }

    [Fact]
    public void WhatAStateHasThatTheProcessorHasNotIsTold()
    {
        using var machine = new TestMachine();
        var state = new VcpuState();
        machine.Processor.Save(state);
        state.Msrs[0x1234_5678] = 1;
        state.Msrs[0x1234_5679] = 0;

        Assert.Equal(["MSR 0x12345678 with 0x1"], machine.Processor.Load(state));
    }

    [Fact]
    public void AStateThatTheProcessorCannotBeInIsRefusedByName()
    {
        using var machine = new TestMachine();
        var state = new VcpuState();
        machine.Processor.Save(state);
        state.Xcr0 |= 1 << 9;
        state.Cr4 |= 1 << 12;

        var refused = Assert.Throws<ArgumentException>(() => machine.Processor.Load(state));

        Assert.Contains("(XCR0 0x200, CR4 0x1000)", refused.Message, StringComparison.Ordinal);
        Assert.Equal((0ul, 1ul), (machine.Context->Cr4, machine.Context->Xcr0));
    }

    [Fact]
    public void ResetAndInitFollowTheManualsTable()
    {
        using var machine = new TestMachine();
        machine.EnterLong(cpl: 3);
        machine.Context->TscAux = 5;
        machine.Context->Xcr0 = 7;

        machine.Processor.Init();
        Assert.Equal((0xfff0ul, 0xffff_0000ul, (ushort)0xf000, 0x6000_0010ul, 5ul, 7ul), (machine.Context->Rip, machine.Context->Cs.Base, machine.Context->Cs.Selector, machine.Context->Cr0, machine.Context->TscAux, machine.Context->Xcr0));
        Assert.Equal(TestMachine.SharedModel.Query(1, 0, 0, 0, 1, true).Eax, (uint)machine.Rdx);
        Assert.Equal(1, machine.Apic.Inits);
        machine.Processor.StartUp(0x9a);
        Assert.Equal((0x9_a000ul, 0ul, (ushort)0x9a00), (machine.Context->Cs.Base, machine.Context->Rip, machine.Context->Cs.Selector));
        machine.Processor.Reset();
        Assert.Equal((0ul, 1ul, 1), (machine.Context->TscAux, machine.Context->Xcr0, machine.Apic.Inits));
    }
}
