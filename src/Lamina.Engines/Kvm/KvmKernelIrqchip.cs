// Interrupt controllers that the kernel has for a machine: what is the same whether it has the local APICs alone
// (KvmSplitIrqchip) or all of them (KvmWholeIrqchip). Messages go to them as message-signalled interrupts.
// api.rst, 4.70 (KVM_SIGNAL_MSI).
using Lamina.Core.Interrupts;
using Lamina.Host;
using static Lamina.Engines.Kvm.KvmApi;

namespace Lamina.Engines.Kvm;

/// <summary>Interrupt controllers in the kernel, the local APICs always among them.</summary>
/// <param name="machine">The machine.</param>
/// <param name="vcpus">Its vCPUs by index, as they are created.</param>
internal abstract unsafe class KvmKernelIrqchip(DeviceFile machine, IReadOnlyList<KvmVcpu> vcpus) : IEngineIrqchip
{
    /// <summary>The machine.</summary>
    protected DeviceFile Machine => machine;

    /// <summary>Its vCPUs by index.</summary>
    protected IReadOnlyList<KvmVcpu> Vcpus => vcpus;

    /// <summary>Has the kernel make what is asked for, before any vCPU.</summary>
    /// <returns>Null where nothing is asked for.</returns>
    /// <exception cref="HostException">The kernel cannot, or refuses.</exception>
    internal static KvmKernelIrqchip? Create(KvmIrqchip irqchip, DeviceFile machine, IReadOnlyList<KvmVcpu> vcpus, Func<int, int> capability)
    {
        return Resolve(irqchip, capability) switch
        {
            KvmIrqchip.Split => new KvmSplitIrqchip(machine, vcpus),
            KvmIrqchip.Kernel => new KvmWholeIrqchip(machine, vcpus),
            _ => null,
        };
    }

    /// <summary>The place that a choice comes to with a kernel.</summary>
    /// <exception cref="HostException">The kernel cannot have what is asked for.</exception>
    internal static KvmIrqchip Resolve(KvmIrqchip irqchip, Func<int, int> capability)
    {
        int[] always = [KVM_CAP_SIGNAL_MSI, KVM_CAP_IRQ_ROUTING, KVM_CAP_MP_STATE];
        bool Has(int kind) => capability(kind) > 0 && always.All(number => capability(number) > 0);
        return irqchip switch
        {
            KvmIrqchip.Best => Has(KVM_CAP_IRQCHIP) ? KvmIrqchip.Kernel : Has(KVM_CAP_SPLIT_IRQCHIP) ? KvmIrqchip.Split : KvmIrqchip.User,
            KvmIrqchip.Kernel when !Has(KVM_CAP_IRQCHIP) => throw new HostException("the kernel's KVM has no interrupt controllers of its own; use --irqchip user"),
            KvmIrqchip.Split when !Has(KVM_CAP_SPLIT_IRQCHIP) =>
                throw new HostException("the kernel's KVM has no local APICs apart from the other interrupt controllers (Linux 4.4); use --irqchip user"),
            _ => irqchip,
        };
    }

    /// <summary>Whether an interrupt controller of the machine's has an external interrupt for the bootstrap processor.</summary>
    internal virtual bool ExternalAsserted => false;

    /// <summary>The guest ended a level-triggered interrupt of an I/O APIC that is the machine's.</summary>
    internal virtual void EndInterrupt(byte vector)
    {
    }

    /// <summary>Takes the vector of the machine's external interrupt; -1 where none waits.</summary>
    internal virtual int AcknowledgeExternal() => -1;

    /// <inheritdoc/>
    public bool Deliver(in InterruptMessage message)
    {
        var (address, data) = message.ToMsi();
        var msi = new kvm_msi { address_lo = address, data = data };
        return machine.Request(KVM_SIGNAL_MSI, &msi) > 0;
    }

    /// <inheritdoc/>
    public virtual void Reset()
    {
        foreach (var vcpu in vcpus) vcpu.ResetLocalApic();
    }

    /// <inheritdoc/>
    public LocalApicImage GetLocalApic(int vcpu) => vcpus[vcpu].GetLocalApic();

    /// <inheritdoc/>
    public void SetLocalApic(int vcpu, LocalApicImage image) => vcpus[vcpu].SetLocalApic(image);

    /// <summary>Replaces the routing table.</summary>
    /// <param name="entries">What each GSI leads to; one may stand there several times.</param>
    /// <exception cref="HostException">The kernel refuses it.</exception>
    protected void SetRouting(ReadOnlySpan<kvm_irq_routing_entry> entries)
    {
        const int head = 8;
        var buffer = stackalloc byte[head + entries.Length * sizeof(kvm_irq_routing_entry)];
        *(ulong*)buffer = (ulong)entries.Length;
        // Holds: the buffer has room for the head and all entries.
        entries.CopyTo(new Span<kvm_irq_routing_entry>(buffer + head, entries.Length));
        Require(machine.Request(KVM_SET_GSI_ROUTING, buffer), "takes no routes of interrupts");
    }

    /// <summary>Fails where a request did.</summary>
    /// <exception cref="HostException">It did.</exception>
    protected static void Require(int result, string what)
    {
        if (result < 0) throw new HostException($"the kernel's KVM {what} ({DeviceFile.Describe(-result)}); use --irqchip user");
    }
}
