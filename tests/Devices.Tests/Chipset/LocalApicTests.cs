// The local APIC's acceptance, priorities, pins and commands against SDM vol. 3, chapter 11, in xAPIC mode.
using Lamina.Core.Bus;
using Lamina.Core.Interrupts;
using Lamina.Devices.Chipset;
using Xunit;

namespace Lamina.Tests.Devices.Chipset;

public sealed class LocalApicTests
{
    private const uint Masked = 1 << 16;

    private readonly ApicTestMachine _machine = new();

    private LocalApic Apic => _machine[0];

    private bool Send(byte vector, bool level = false) => _machine.Send(InterruptDeliveryMode.Fixed, vector, level: level);

    [Fact]
    public void Power_up_state()
    {
        var second = new ApicTestMachine(2)[1];

        Assert.Equal((0x0100_0000u, 0x0105_0014u, 0u, 0u), (second.Get(0x20), second.Get(0x30), second.Get(0x80), second.Get(0xd0)));
        Assert.Equal((0xffff_ffffu, 0xffu), (second.Get(0xe0), second.Get(0xf0)));
        for (ulong lvt = 0x320; lvt <= 0x370; lvt += 0x10) Assert.Equal(Masked, second.Get(lvt));
        Assert.Equal(0xfee0_0800ul, second.ReadMsr(0x1b));
        Assert.Equal(0xfee0_0900ul, Apic.ReadMsr(0x1b));
        Assert.False(second.HasInterrupt);
    }

    // What its CPU alone changes. A vCPU is told of an NMI with the lock held.
    [Theory]
    [InlineData(0x20, 0u)]
    [InlineData(0x30, 0x0105_0014u)]
    [InlineData(0x80, 0x53u)]
    [InlineData(0xd0, 0x0400_0000u)]
    [InlineData(0xe0, 0x0fff_ffffu)]
    [InlineData(0xf0, 0x1ffu)]
    [InlineData(0x300, 0x0000_00c1u)]
    [InlineData(0x310, 0x0900_0000u)]
    public void A_register_that_only_its_CPU_changes_is_read_while_another_thread_changes_others(ulong register, uint value)
    {
        _machine.Enabled();
        if (register is 0x80 or 0xd0 or 0xe0 or 0x300 or 0x310) Apic.Set(register, value);
        uint? seen = null;
        Apic.Attach(new ReadingSignal(() =>
        {
            var reader = new Thread(() => seen = Apic.Get(register)) { IsBackground = true };
            reader.Start();
            Assert.True(reader.Join(TimeSpan.FromSeconds(30)), "it waits for the lock");
        }));

        _machine.Send(InterruptDeliveryMode.Nmi, 0);

        Assert.Equal(value, seen);
    }

    private sealed class ReadingSignal(Action read) : IVcpuSignal
    {
        public void InterruptPending()
        {
        }

        public void NonMaskableInterrupt() => read();

        public void Init()
        {
        }

        public void StartUp(byte vector)
        {
        }
    }

    [Fact]
    public void The_bootstrap_processor_starts_with_the_8259_pair_on_lint0()
    {
        Assert.Equal(0x700u, Apic.Get(0x350));
    }

    [Fact]
    public void Vectors_are_only_taken_when_software_enabled()
    {
        Assert.False(Send(0x31));
        _machine.Enabled();
        Assert.True(Send(0x31));
        Assert.True(Apic.HasInterrupt);
    }

    [Fact]
    public void Higher_vectors_come_first_and_the_rest_wait_for_the_end()
    {
        _machine.Enabled();
        Send(0x31);
        Send(0x82);
        Send(0x81);

        Assert.Equal(0x82, Apic.Acknowledge());
        Assert.False(Apic.HasInterrupt);
        Assert.Equal(-1, Apic.Acknowledge());
        Apic.Set(0xb0, 0);
        Assert.Equal(0x81, Apic.Acknowledge());
        Apic.Set(0xb0, 0);
        Assert.Equal(0x31, Apic.Acknowledge());
    }

    [Fact]
    public void A_higher_class_interrupts_a_lower_one()
    {
        _machine.Enabled();
        Send(0x4f);
        Apic.Acknowledge();
        Send(0x4e);
        Assert.False(Apic.HasInterrupt);
        Send(0x50);
        Assert.True(Apic.HasInterrupt);
        Assert.Equal(0x50, Apic.Acknowledge());
        Assert.Equal(0x50u, Apic.Get(0xa0));
    }

    [Fact]
    public void Requests_and_service_show_in_their_registers()
    {
        _machine.Enabled();
        Send(0x41);
        Send(0xff, level: true);
        Assert.Equal((0x2u, 0x8000_0000u), (Apic.Get(0x220), Apic.Get(0x270)));
        Apic.Acknowledge();
        Assert.Equal((0x8000_0000u, 0u), (Apic.Get(0x170), Apic.Get(0x270)));
        Assert.Equal((0u, 0x8000_0000u), (Apic.Get(0x1a0), Apic.Get(0x1f0)));
    }

    [Fact]
    public void Equal_vectors_are_one_request()
    {
        _machine.Enabled();
        Send(0x41);
        Send(0x41);
        Assert.Equal([0x41], Apic.Drain());
    }

    [Fact]
    public void The_trigger_mode_is_that_of_the_latest_message()
    {
        _machine.Enabled();
        Send(0x41, level: true);
        Assert.Equal(2u, Apic.Get(0x1a0));
        Send(0x41);
        Assert.Equal(0u, Apic.Get(0x1a0));
    }

    [Fact]
    public void The_task_priority_holds_back_its_class()
    {
        _machine.Enabled();
        Apic.Set(0x80, 0x45);
        Send(0x4f);
        Assert.False(Apic.HasInterrupt);
        Assert.Equal(4, Apic.TaskPriority);
        Assert.Equal(0x45u, Apic.Get(0xa0));

        Apic.TaskPriority = 3;

        Assert.True(Apic.HasInterrupt);
        Assert.Equal(0x30u, Apic.Get(0x80));
        Assert.Equal(1, _machine.Signals[0].Pending);
    }

    [Fact]
    public void The_vcpu_is_told_when_an_interrupt_becomes_deliverable()
    {
        _machine.Enabled();
        Send(0x41);
        Send(0x42);
        Assert.Equal(1, _machine.Signals[0].Pending);
        Apic.Drain();
        Send(0x43);
        Assert.Equal(3, _machine.Signals[0].Pending);
    }

    [Fact]
    public void A_vcpu_that_attaches_late_is_told_what_waits()
    {
        var clock = new ManualClock();
        var bus = new ApicBus();
        var apic = new LocalApic(0, clock, bus);
        apic.Set(0xf0, 0x1ff);
        bus.Deliver(new InterruptMessage(0, false, InterruptDeliveryMode.Fixed, 0x41, false));
        var signal = new RecordingSignal();

        apic.Attach(signal);

        Assert.Equal(1, signal.Pending);
    }

    [Fact]
    public void Turning_the_software_enable_off_masks_the_table_and_holds_what_waits()
    {
        _machine.Enabled();
        Apic.Set(0x370, 0x50);
        Send(0x41);

        Apic.Set(0xf0, 0xff);
        Apic.Set(0x370, 0x50);

        Assert.Equal(Masked | 0x50, Apic.Get(0x370));
        Assert.False(Send(0x42));
        Assert.Equal(0x41, Apic.Acknowledge());
    }

    [Theory]
    [InlineData(0)]
    [InlineData(15)]
    public void Illegal_vectors_are_refused_and_reported(byte vector)
    {
        _machine.Enabled();
        Apic.Set(0x370, 0xfe);

        Assert.False(Send(vector));

        Assert.Equal(0u, Apic.Get(0x280));
        Apic.Set(0x280, 0);
        Assert.Equal(0x40u, Apic.Get(0x280));
        Apic.Set(0x280, 0);
        Assert.Equal(0u, Apic.Get(0x280));
        Assert.Equal([0xfe], Apic.Drain());
    }

    [Fact]
    public void An_error_entry_with_an_illegal_vector_ends_in_one_error()
    {
        _machine.Enabled();
        Apic.Set(0x370, 0x05);
        Send(3);
        Apic.Set(0x280, 0);
        Assert.Equal(0x40u, Apic.Get(0x280));
        Assert.False(Apic.HasInterrupt);
    }

    [Fact]
    public void Sending_an_illegal_vector_is_reported()
    {
        _machine.Enabled();
        Apic.Set(0x300, 0x4000f);
        Apic.Set(0x280, 0);
        Assert.Equal(0x20u, Apic.Get(0x280));
    }

    [Theory]
    [InlineData(0x000)]
    [InlineData(0x2f0)]
    [InlineData(0x3f0)]
    [InlineData(0xff0)]
    public void Reserved_registers_are_reported(ulong offset)
    {
        Assert.Equal(0u, Apic.Get(offset));
        Apic.Set(0x280, 0);
        Assert.Equal(0x80u, Apic.Get(0x280));
        Apic.Set(offset, 1);
        Apic.Set(0x280, 0);
        Assert.Equal(0x80u, Apic.Get(0x280));
    }

    [Fact]
    public void Read_only_registers_ignore_writes_without_an_error()
    {
        foreach (var offset in new ulong[] { 0x20, 0x30, 0xa0, 0x100, 0x180, 0x200, 0x390 })
        {
            var before = Apic.Get(offset);
            Apic.Set(offset, 0xffff_ffff);
            Assert.Equal(before, Apic.Get(offset));
        }
        Apic.Set(0x280, 0);
        Assert.Equal(0u, Apic.Get(0x280));
    }

    [Fact]
    public void Registers_are_written_whole_and_read_in_parts()
    {
        Apic.Set(0xd0, 0x1200_0000);
        Assert.Equal(0x12, Apic.Mmio.In(0xd3));
        var half = new byte[2];
        Assert.Equal(AccessResult.Ok, Apic.Mmio.Read(0xd2, half));
        Assert.Equal(new byte[] { 0x00, 0x12 }, half);
        Assert.Equal(AccessResult.InvalidSize, Apic.Mmio.Write(0xd3, [1]));
        Assert.Equal(AccessResult.InvalidSize, Apic.Mmio.Write(0xd0, new byte[8]));
        Assert.Equal(AccessResult.InvalidSize, Apic.Mmio.Write(0xd4, new byte[4]));
        Assert.Equal(AccessResult.InvalidSize, Apic.Mmio.Read(0xd2, new byte[4]));
        Assert.Equal(AccessResult.InvalidSize, Apic.Mmio.Read(0xd4, new byte[4]));
    }

    [Fact]
    public void The_command_register_keeps_both_halves_and_is_never_busy()
    {
        _machine.Enabled();
        Apic.Set(0x310, 0x0500_1234);
        Apic.Set(0x300, 0x1041);
        Assert.Equal((0x0500_0000u, 0x41u), (Apic.Get(0x310), Apic.Get(0x300)));
    }

    [Fact]
    public void A_self_interrupt_by_shorthand()
    {
        _machine.Enabled();
        Apic.Set(0x300, 0x40044);
        Assert.Equal([0x44], Apic.Drain());
    }

    [Fact]
    public void The_page_can_be_moved_and_disabled()
    {
        Assert.Equal(0xfee0_0000ul, Apic.MmioBase);
        Apic.WriteMsr(0x1b, 0x1_2345_6100);
        Assert.Null(Apic.MmioBase);
        Assert.Equal(AccessResult.Unclaimed, Apic.Mmio.Read(0x20, new byte[4]));
        Apic.WriteMsr(0x1b, 0x1_2345_6900);
        Assert.Equal(0x1_2345_6000ul, Apic.MmioBase);
    }

    [Theory]
    [InlineData(0xfee0_0901ul)]
    [InlineData(0xfee0_0a00ul)]
    [InlineData(0xfee0_0500ul)]
    [InlineData(1ul << 52 | 0xfee0_0900)]
    public void Reserved_bits_and_modes_of_the_base_are_refused(ulong value)
    {
        Assert.False(Apic.TryWriteMsr(0x1b, value));
        Assert.Equal(0xfee0_0900ul, Apic.ReadMsr(0x1b));
    }

    [Fact]
    public void The_base_is_bounded_by_the_physical_address_width()
    {
        var apic = new LocalApic(0, _machine.Clock, new ApicBus(), physicalAddressBits: 40);
        Assert.False(apic.TryWriteMsr(0x1b, 1ul << 40 | 0x900));
        Assert.True(apic.TryWriteMsr(0x1b, 1ul << 39 | 0x900));
    }

    [Fact]
    public void Disabling_forgets_the_registers()
    {
        _machine.Enabled();
        Send(0x41);
        Apic.WriteMsr(0x1b, 0xfee0_0100);
        Assert.False(Apic.HasInterrupt);
        Assert.False(Send(0x42));
        Apic.WriteMsr(0x1b, 0xfee0_0900);
        Assert.Equal(0xffu, Apic.Get(0xf0));
        Assert.Equal(Masked, Apic.Get(0x350));
    }

    [Fact]
    public void Messages_that_are_not_vectors_reach_the_vcpu()
    {
        _machine.Send(InterruptDeliveryMode.Nmi, 0);
        _machine.Send(InterruptDeliveryMode.StartUp, 0x9a);
        Assert.Equal(1, _machine.Signals[0].NonMaskable);
        Assert.Equal([(byte)0x9a], _machine.Signals[0].StartUps);
        Assert.False(_machine.Send(InterruptDeliveryMode.Smi, 0));
    }

    [Fact]
    public void An_init_resets_nothing_before_the_vcpu_takes_it_and_then_what_the_vcpu_wrote_meanwhile_too()
    {
        _machine.Enabled();

        _machine.Send(InterruptDeliveryMode.Init, 0);
        var before = Apic.Get(0xf0);
        Apic.Set(0xf0, 0x1fe);
        Apic.Set(0x80, 0x20);
        Apic.Init();

        Assert.Equal((1, 0x1ffu), (_machine.Signals[0].Inits, before));
        Assert.Equal((0u, 0xffu), (Apic.Get(0x80), Apic.Get(0xf0)));
    }

    [Fact]
    public void Init_resets_all_but_the_base()
    {
        _machine.Enabled();
        Apic.WriteMsr(0x1b, 0xfed0_0900);
        Send(0x41);
        Apic.Set(0x80, 0x20);

        Apic.Init();

        Assert.False(Apic.HasInterrupt);
        Assert.Equal((0u, 0xffu, Masked), (Apic.Get(0x80), Apic.Get(0xf0), Apic.Get(0x350)));
        Assert.Equal(0xfed0_0900ul, Apic.ReadMsr(0x1b));
    }

    [Fact]
    public void Reset_forgets_everything_but_the_identity()
    {
        var apic = new ApicTestMachine(2).Enabled()[1];
        apic.EnterX2Apic();
        apic.WriteMsr(0x808, 0x40);

        apic.Reset();

        Assert.Equal(0xfee0_0800ul, apic.ReadMsr(0x1b));
        Assert.Equal((0x0100_0000u, 0u, 0xffu), (apic.Get(0x20), apic.Get(0x80), apic.Get(0xf0)));
    }

    [Fact]
    public void Lint1_delivers_what_its_entry_says()
    {
        var nmi = _machine.Controllers.Bus!.NmiLine;
        nmi.Pulse();
        Assert.Equal(0, _machine.Signals[0].NonMaskable);
        _machine.Enabled();
        Apic.Set(0x360, 0x400);
        nmi.Pulse();
        Assert.Equal(1, _machine.Signals[0].NonMaskable);
        Apic.Set(0x360, 0x55);
        nmi.SetLevel(true);
        nmi.SetLevel(true);
        Assert.Equal([0x55], Apic.Drain());
    }

    [Fact]
    public void Lint1_of_a_disabled_apic_is_the_nmi_pin()
    {
        Apic.WriteMsr(0x1b, 0xfee0_0100);
        _machine.Controllers.Bus!.NmiLine.Pulse();
        Assert.Equal(1, _machine.Signals[0].NonMaskable);
    }

    [Fact]
    public void Lint0_can_deliver_a_vector_by_level()
    {
        _machine.Enabled();
        var pin = _machine.Controllers.Bus!.ExternalLine;
        Apic.Set(0x350, 0x8061);
        pin.SetLevel(true);
        Assert.Equal(0xc061u, Apic.Get(0x350));
        Assert.Equal(0x61, Apic.Acknowledge());
        Apic.Set(0xb0, 0);
        Assert.Equal(0x61, Apic.Acknowledge());
        pin.SetLevel(false);
        Apic.Set(0xb0, 0);
        Assert.Equal(0x8061u, Apic.Get(0x350));
        Assert.False(Apic.HasInterrupt);
    }

    [Fact]
    public void Lint0_can_deliver_a_vector_by_edge()
    {
        _machine.Enabled();
        Apic.Set(0x350, 0x61);
        _machine.Controllers.Bus!.ExternalLine.SetLevel(true);
        Assert.Equal([0x61], Apic.Drain());
    }

    [Fact]
    public void Only_ids_up_to_254_exist()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => new LocalApic(255, _machine.Clock, new ApicBus()));
        Assert.Throws<ArgumentException>(() => new LocalApic(1, _machine.Clock, new ApicBus()));
    }
}
