// The local APICs that the kernel has for a machine (KVM_CAP_SPLIT_IRQCHIP): messages go to them as message-signalled interrupts,
// the ends of those that came by level come back as exits, which the kernel makes for what its routing table names.
// api.rst, 4.52 (routing), 4.70 (KVM_SIGNAL_MSI), 7.5 (split irqchip).
using Lamina.Core.Interrupts;
using Lamina.Host;
using static Lamina.Engines.Kvm.KvmApi;

namespace Lamina.Engines.Kvm;

/// <summary>Local APICs in the kernel.</summary>
internal sealed unsafe class KvmLocalApics : IEngineLocalApics, IInterruptLine
{
    private const int Inputs = 24;

    private readonly DeviceFile _machine;
    private readonly IReadOnlyList<KvmVcpu> _vcpus;
    private readonly Lock _gate = new();
    private readonly InterruptMessage?[] _routes = new InterruptMessage?[Inputs];
    private IInterruptEndListener? _ends;
    private IExternalInterruptController? _external;
    private volatile bool _externalAsserted;

    /// <summary>Has the kernel make them, before any vCPU.</summary>
    /// <param name="machine">The machine.</param>
    /// <param name="vcpus">Its vCPUs by index, as they are created.</param>
    /// <exception cref="HostException">The kernel refuses.</exception>
    internal KvmLocalApics(DeviceFile machine, IReadOnlyList<KvmVcpu> vcpus)
    {
        (_machine, _vcpus) = (machine, vcpus);
        var enable = new kvm_enable_cap { cap = KVM_CAP_SPLIT_IRQCHIP };
        enable.args[0] = Inputs;
        var result = machine.Request(KVM_ENABLE_CAP, &enable);
        if (result < 0) throw new HostException($"the kernel's KVM makes no local APICs ({DeviceFile.Describe(-result)}); use --irqchip user");
    }

    /// <summary>Whether the kernel is to have them.</summary>
    /// <param name="irqchip">What was asked for.</param>
    /// <param name="capability">What the kernel can.</param>
    /// <exception cref="HostException">They were asked for and the kernel cannot.</exception>
    internal static bool AreWanted(KvmIrqchip irqchip, Func<int, int> capability)
    {
        if (irqchip == KvmIrqchip.User) return false;
        int[] needed = [KVM_CAP_SPLIT_IRQCHIP, KVM_CAP_SIGNAL_MSI, KVM_CAP_IRQ_ROUTING, KVM_CAP_MP_STATE];
        if (needed.All(number => capability(number) > 0)) return true;
        throw new HostException("the kernel's KVM has no local APICs apart from the other interrupt controllers (Linux 4.4); use --irqchip user");
    }

    /// <inheritdoc/>
    public IInterruptLine ExternalLine => this;

    /// <summary>Whether the 8259 pair has an interrupt for the bootstrap processor.</summary>
    internal bool ExternalAsserted => _externalAsserted;

    /// <inheritdoc/>
    public void Connect(IInterruptEndListener ends, IExternalInterruptController external) => (_ends, _external) = (ends, external);

    /// <inheritdoc/>
    public void SetLevel(bool asserted)
    {
        _externalAsserted = asserted;
        if (asserted && _vcpus.Count > 0) _vcpus[0].InterruptPending();
    }

    /// <inheritdoc/>
    public bool Deliver(in InterruptMessage message)
    {
        var (address, data) = message.ToMsi();
        var msi = new kvm_msi { address_lo = address, data = data };
        return _machine.Request(KVM_SIGNAL_MSI, &msi) > 0;
    }

    /// <inheritdoc/>
    public void SetRoute(int input, InterruptMessage? message)
    {
        lock (_gate)
        {
            if (_routes[input] == message) return;
            _routes[input] = message;
            var buffer = stackalloc byte[8 + Inputs * sizeof(kvm_irq_routing_entry)];
            var entries = (kvm_irq_routing_entry*)(buffer + 8);
            var count = 0u;
            for (var n = 0; n < Inputs; n++)
            {
                if (_routes[n] is not { } route) continue;
                var (address, data) = route.ToMsi();
                entries[count++] = new kvm_irq_routing_entry { gsi = (uint)n, type = KVM_IRQ_ROUTING_MSI, address_lo = address, data = data };
            }
            *(ulong*)buffer = count;
            var result = _machine.Request(KVM_SET_GSI_ROUTING, buffer);
            if (result < 0) throw new HostException($"the kernel's KVM takes no routes of interrupts ({DeviceFile.Describe(-result)}); use --irqchip user");
        }
    }

    /// <inheritdoc/>
    public void Reset()
    {
        foreach (var vcpu in _vcpus) vcpu.ResetLocalApic();
    }

    /// <inheritdoc/>
    public LocalApicImage GetLocalApic(int vcpu) => _vcpus[vcpu].GetLocalApic();

    /// <inheritdoc/>
    public void SetLocalApic(int vcpu, LocalApicImage image) => _vcpus[vcpu].SetLocalApic(image);

    /// <summary>The guest ended a level-triggered interrupt.</summary>
    internal void EndInterrupt(byte vector) => _ends?.EndInterrupt(vector);

    /// <summary>Takes the vector of the external interrupt.</summary>
    internal int AcknowledgeExternal() => _external?.Acknowledge() ?? -1;
}
