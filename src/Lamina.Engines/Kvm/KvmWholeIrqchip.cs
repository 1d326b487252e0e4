// All interrupt controllers in the kernel (KVM_CREATE_IRQCHIP): I/O APIC, 8259 pair and local APICs. Devices' lines are driven by
// KVM_IRQ_LINE: an irqfd would have a worker of the kernel's do later what that does at once, and nothing in the kernel drives our lines.
// Nor is its 8254 used (KVM_CREATE_PIT2): its state does not tell how far counter 0 has come, so that no pause could be exact.
// The kernel does not lead the 8259 pair's output to input 0 of the I/O APIC as well. api.rst, 4.24 to 4.27, 4.52.
using Lamina.Core.Interrupts;
using Lamina.Host;
using static Lamina.Engines.Kvm.KvmApi;

namespace Lamina.Engines.Kvm;

/// <summary>All interrupt controllers in the kernel.</summary>
internal sealed unsafe class KvmWholeIrqchip : KvmKernelIrqchip, IEngineWholeIrqchip
{
    private const int PicInputs = 8;
    private const ulong IoApicAddress = 0xfec0_0000, LevelTriggered = 1 << 15;

    // The inputs that may be level triggered, of master and slave. ICH9, ELCR1 and ELCR2.
    private const byte MasterLevels = 0xf8, SlaveLevels = 0xde;

    private readonly IrqchipImage _reset;

    internal KvmWholeIrqchip(DeviceFile machine, IReadOnlyList<KvmVcpu> vcpus)
        : base(machine, vcpus)
    {
        Require(machine.Request(KVM_CREATE_IRQCHIP), "makes no interrupt controllers");
        List<kvm_irq_routing_entry> routes = [];
        for (var gsi = InterruptRouterSpec.ExternalGsi + 1; gsi < InterruptRouterSpec.Gsis; gsi++)
        {
            routes.Add(Route(gsi, KVM_IRQCHIP_IOAPIC, gsi));
            if (InterruptRouterSpec.PicInputOf(gsi) is { } input) routes.Add(Route(gsi, (uint)(input / PicInputs), input % PicInputs));
        }
        SetRouting(routes.ToArray());
        _reset = Save();
    }

    /// <inheritdoc/>
    public void SetLine(int gsi, bool asserted)
    {
        var line = new kvm_irq_level { irq = (uint)gsi, level = asserted ? 1u : 0 };
        Require(Machine.Request(KVM_IRQ_LINE, &line), "takes no interrupt");
    }

    /// <inheritdoc/>
    public override void Reset()
    {
        var now = Save();
        var ioApic = _reset.IoApic;
        ioApic.Lines = now.IoApic.Lines;
        Load(new IrqchipImage(ioApic, _reset.Master with { Lines = now.Master.Lines }, _reset.Slave with { Lines = now.Slave.Lines }));
        base.Reset();
    }

    /// <inheritdoc/>
    public IrqchipImage Save()
    {
        var chip = Get(KVM_IRQCHIP_IOAPIC);
        var ioApic = new IoApicState { Select = (byte)chip.ioapic.ioregsel, Id = (byte)(chip.ioapic.id & 0xf), Lines = chip.ioapic.irr };
        for (var n = 0; n < IoApicEntries.Count; n++) ioApic.Entries[n] = chip.ioapic.redirtbl[n];
        return new IrqchipImage(ioApic, FromKernel(Get(KVM_IRQCHIP_PIC_MASTER).pic), FromKernel(Get(KVM_IRQCHIP_PIC_SLAVE).pic));
    }

    /// <inheritdoc/>
    public void Load(IrqchipImage image)
    {
        Set(new kvm_irqchip { chip_id = KVM_IRQCHIP_PIC_SLAVE, pic = ToKernel(image.Slave, SlaveLevels) });
        Set(new kvm_irqchip { chip_id = KVM_IRQCHIP_PIC_MASTER, pic = ToKernel(image.Master, MasterLevels) });
        var chip = new kvm_irqchip { chip_id = KVM_IRQCHIP_IOAPIC };
        (chip.ioapic.base_address, chip.ioapic.ioregsel, chip.ioapic.id) = (IoApicAddress, image.IoApic.Select, image.IoApic.Id);
        for (var n = 0; n < IoApicEntries.Count; n++)
        {
            var entry = image.IoApic.Entries[n];
            chip.ioapic.redirtbl[n] = entry;
            // The kernel takes what is set here for risen just now; an edge that is over must not come again.
            if ((entry & LevelTriggered) != 0) chip.ioapic.irr |= image.IoApic.Lines & 1u << n;
        }
        Set(chip);
    }

    private static kvm_irq_routing_entry Route(int gsi, uint chip, int input) =>
        new() { gsi = (uint)gsi, type = KVM_IRQ_ROUTING_IRQCHIP, irqchip = chip, pin = (uint)input };

    private kvm_irqchip Get(uint chip)
    {
        var state = new kvm_irqchip { chip_id = chip };
        Require(Machine.Request(KVM_GET_IRQCHIP, &state), "does not tell the registers of its interrupt controllers");
        return state;
    }

    private void Set(kvm_irqchip state) => Require(Machine.Request(KVM_SET_IRQCHIP, &state), "takes no registers of interrupt controllers");

    // The kernel's chip has no state before its initialisation; a vector base of zero is that of one that has not been through it.
    private static Pic8259State FromKernel(in kvm_pic_state pic) => new()
    {
        Requests = pic.irr,
        InService = pic.isr,
        Mask = pic.imr,
        Lines = pic.last_irr,
        LevelTriggered = pic.elcr,
        VectorBase = pic.irq_base,
        HighestPriority = pic.priority_add,
        ExpectedIcw = pic.init_state == 0 ? (byte)0 : (byte)(pic.init_state + 1),
        NeedsIcw4 = pic.init4 != 0,
        Initialised = pic.irq_base != 0,
        AutoEoi = pic.auto_eoi != 0,
        SpecialNested = pic.special_fully_nested_mode != 0,
        RotateOnAutoEoi = pic.rotate_on_auto_eoi != 0,
        SpecialMask = pic.special_mask != 0,
        Poll = pic.poll != 0,
        ReadInService = pic.read_reg_select != 0,
    };

    private static kvm_pic_state ToKernel(in Pic8259State pic, byte levels) => new()
    {
        irr = pic.Requests,
        isr = pic.InService,
        imr = pic.Mask,
        last_irr = pic.Lines,
        elcr = (byte)(pic.LevelTriggered & levels),
        elcr_mask = levels,
        irq_base = pic.VectorBase,
        priority_add = pic.HighestPriority,
        init_state = pic.ExpectedIcw == 0 ? (byte)0 : (byte)(pic.ExpectedIcw - 1),
        init4 = ToByte(pic.NeedsIcw4),
        auto_eoi = ToByte(pic.AutoEoi),
        special_fully_nested_mode = ToByte(pic.SpecialNested),
        rotate_on_auto_eoi = ToByte(pic.RotateOnAutoEoi),
        special_mask = ToByte(pic.SpecialMask),
        poll = ToByte(pic.Poll),
        read_reg_select = ToByte(pic.ReadInService),
    };

    private static byte ToByte(bool value) => value ? (byte)1 : (byte)0;
}
