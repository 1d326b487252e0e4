// The local APIC in x2APIC mode against SDM vol. 3, 11.12.
using Lamina.Core.Interrupts;
using Lamina.Devices.Chipset;
using Xunit;

namespace Lamina.Tests.Devices.Chipset;

public sealed class X2ApicTests
{
    private readonly ApicTestMachine _machine = new ApicTestMachine(20).Enabled();

    private LocalApic Enter(int vcpu)
    {
        _machine[vcpu].EnterX2Apic();
        return _machine[vcpu];
    }

    [Fact]
    public void The_registers_only_answer_in_their_mode()
    {
        Assert.False(_machine[0].TryReadMsr(0x802, out _));
        Assert.False(_machine[0].TryWriteMsr(0x808, 0));
        var apic = Enter(0);
        Assert.True(apic.TryReadMsr(0x802, out _));
        Assert.Null(apic.MmioBase);
    }

    [Fact]
    public void Transitions_follow_the_figure()
    {
        var apic = Enter(0);
        Assert.False(apic.TryWriteMsr(0x1b, 0xfee0_0900));
        Assert.False(apic.TryWriteMsr(0x1b, 0xfee0_0500));
        Assert.True(apic.TryWriteMsr(0x1b, 0xfee0_0100));
        Assert.False(apic.TryWriteMsr(0x1b, 0xfee0_0d00));
        Assert.True(apic.TryWriteMsr(0x1b, 0xfee0_0900));
        Assert.True(apic.TryWriteMsr(0x1b, 0xfee0_0d00));
    }

    [Fact]
    public void Identity_and_logical_identity_are_32_bits_wide()
    {
        Assert.Equal((19ul, 0x0001_0008ul), (Enter(19).ReadMsr(0x802), _machine[19].ReadMsr(0x80d)));
    }

    [Theory]
    [InlineData(0x801)]
    [InlineData(0x804)]
    [InlineData(0x809)]
    [InlineData(0x80b)]
    [InlineData(0x80c)]
    [InlineData(0x80e)]
    [InlineData(0x82f)]
    [InlineData(0x831)]
    [InlineData(0x83f)]
    [InlineData(0x840)]
    [InlineData(0x8ff)]
    public void Registers_that_cannot_be_read(uint index) => Assert.False(Enter(0).TryReadMsr(index, out _));

    [Theory]
    [InlineData(0x802)]
    [InlineData(0x803)]
    [InlineData(0x80a)]
    [InlineData(0x80d)]
    [InlineData(0x80e)]
    [InlineData(0x810)]
    [InlineData(0x81f)]
    [InlineData(0x827)]
    [InlineData(0x82f)]
    [InlineData(0x831)]
    [InlineData(0x839)]
    [InlineData(0x840)]
    public void Registers_that_cannot_be_written(uint index) => Assert.False(Enter(0).TryWriteMsr(index, 0));

    [Theory]
    [InlineData(0x808, 0x100ul)]
    [InlineData(0x80b, 1ul)]
    [InlineData(0x80f, 0x2000ul)]
    [InlineData(0x828, 1ul)]
    [InlineData(0x830, 0x2000ul)]
    [InlineData(0x830, 0x10_0000ul)]
    [InlineData(0x832, 0x100ul)]
    [InlineData(0x833, 0x2000ul)]
    [InlineData(0x835, 0x2_0000ul)]
    [InlineData(0x837, 0x100ul)]
    [InlineData(0x838, 0x1_0000_0000ul)]
    [InlineData(0x83e, 0x4ul)]
    [InlineData(0x83f, 0x100ul)]
    public void Reserved_bits_are_refused(uint index, ulong value) => Assert.False(Enter(0).TryWriteMsr(index, value));

    [Fact]
    public void State_is_kept_on_entering()
    {
        var apic = _machine[0];
        apic.Set(0x80, 0x30);
        _machine.Send(InterruptDeliveryMode.Fixed, 0x41);
        Enter(0);
        Assert.Equal((0x30ul, 0x1fful, 0x2ul), (apic.ReadMsr(0x808), apic.ReadMsr(0x80f), apic.ReadMsr(0x822)));
        Assert.Equal(0x41, apic.Acknowledge());
        apic.WriteMsr(0x80b, 0);
        Assert.Equal(0ul, apic.ReadMsr(0x812));
    }

    [Fact]
    public void Commands_are_one_write_with_a_wide_destination()
    {
        var apic = Enter(0);
        apic.WriteMsr(0x830, 19ul << 32 | 0x41);
        Assert.Equal([0x41], _machine[19].Drain());
        Assert.Equal(19ul << 32 | 0x41, apic.ReadMsr(0x830));
    }

    [Fact]
    public void Destination_255_is_not_everybody()
    {
        Enter(0).WriteMsr(0x830, 0xfful << 32 | 0x41);
        Assert.All(_machine.Controllers.LocalApics, apic => Assert.False(apic.HasInterrupt));
        _machine[0].WriteMsr(0x830, 0xffff_fffful << 32 | 0x41);
        Assert.All(_machine.Controllers.LocalApics, apic => Assert.True(apic.HasInterrupt));
    }

    [Fact]
    public void Logical_destinations_are_clusters_of_sixteen()
    {
        for (var i = 0; i < 20; i++) Enter(i);

        _machine[0].WriteMsr(0x830, 0x0001_000aul << 32 | 0x841);

        var hit = Enumerable.Range(0, 20).Where(i => _machine[i].HasInterrupt);
        Assert.Equal([17, 19], hit);
    }

    [Fact]
    public void Self_ipi_leaves_the_command_register_alone()
    {
        var apic = Enter(0);
        apic.WriteMsr(0x83f, 0x77);
        Assert.Equal(0x77, apic.Acknowledge());
        Assert.Equal(0ul, apic.ReadMsr(0x830));

        apic.WriteMsr(0x83f, 0x07);
        apic.WriteMsr(0x828, 0);
        Assert.Equal(0x20ul, apic.ReadMsr(0x828));
    }

    [Fact]
    public void Init_leaves_the_mode()
    {
        var apic = Enter(3);
        apic.Init();
        Assert.Equal((3ul, 0xfful), (apic.ReadMsr(0x802), apic.ReadMsr(0x80f)));
    }
}
