// The local APICs alone in the kernel (KVM_CAP_SPLIT_IRQCHIP): the ends of interrupts that came by level come back as exits,
// which the kernel makes for what its routing table names. api.rst, 4.52 (routing), 7.5 (split irqchip).
using Lamina.Core.Interrupts;
using Lamina.Host;
using static Lamina.Engines.Kvm.KvmApi;

namespace Lamina.Engines.Kvm;

/// <summary>Local APICs in the kernel, beside an I/O APIC and an 8259 pair in the machine.</summary>
internal sealed unsafe class KvmSplitIrqchip : KvmKernelIrqchip, IEngineLocalApics, IInterruptLine
{
    private const int Inputs = IoApicEntries.Count;

    private readonly Lock _gate = new();
    private readonly InterruptMessage?[] _routes = new InterruptMessage?[Inputs];
    private IInterruptEndListener? _ends;
    private IExternalInterruptController? _external;
    private volatile bool _externalAsserted;

    internal KvmSplitIrqchip(DeviceFile machine, IReadOnlyList<KvmVcpu> vcpus)
        : base(machine, vcpus)
    {
        var enable = new kvm_enable_cap { cap = KVM_CAP_SPLIT_IRQCHIP };
        enable.args[0] = Inputs;
        Require(machine.Request(KVM_ENABLE_CAP, &enable), "makes no local APICs");
    }

    /// <inheritdoc/>
    public IInterruptLine ExternalLine => this;

    /// <inheritdoc/>
    internal override bool ExternalAsserted => _externalAsserted;

    /// <inheritdoc/>
    public void Connect(IInterruptEndListener ends, IExternalInterruptController external) => (_ends, _external) = (ends, external);

    /// <inheritdoc/>
    public void SetLevel(bool asserted)
    {
        _externalAsserted = asserted;
        if (asserted && Vcpus.Count > 0) Vcpus[0].InterruptPending();
    }

    /// <inheritdoc/>
    public void SetRoute(int input, InterruptMessage? message)
    {
        lock (_gate)
        {
            if (_routes[input] == message) return;
            _routes[input] = message;
            Span<kvm_irq_routing_entry> entries = stackalloc kvm_irq_routing_entry[Inputs];
            var count = 0;
            for (var n = 0; n < Inputs; n++)
            {
                if (_routes[n] is not { } route) continue;
                var (address, data) = route.ToMsi();
                entries[count++] = new kvm_irq_routing_entry { gsi = (uint)n, type = KVM_IRQ_ROUTING_MSI, address_lo = address, data = data };
            }
            SetRouting(entries[..count]);
        }
    }

    /// <inheritdoc/>
    internal override void EndInterrupt(byte vector) => _ends?.EndInterrupt(vector);

    /// <inheritdoc/>
    internal override int AcknowledgeExternal() => _external?.Acknowledge() ?? -1;
}
