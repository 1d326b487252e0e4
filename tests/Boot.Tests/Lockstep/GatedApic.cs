// The local APIC as the engine sees it in a machine that runs in lockstep: interrupts come through only when the run opens
// the gate, which it does between two instructions that both machines have in common. Accesses to MSRs are told.
using Lamina.Core.Bus;
using Lamina.Core.Interrupts;

namespace Lamina.Tests.Boot.Lockstep;

/// <summary>A local APIC behind a gate.</summary>
/// <param name="inner">The machine's.</param>
/// <param name="accessed">Called at each access to an MSR, before it is made: index, value, whether it is written.</param>
/// <param name="mmio">The register page.</param>
internal sealed class GatedApic(ILocalInterruptController inner, Action<uint, ulong, bool> accessed, IBusDevice mmio) : ILocalInterruptController
{
    private bool _open;

    public bool HasInterrupt => _open && inner.HasInterrupt;

    public byte TaskPriority
    {
        get => inner.TaskPriority;
        set => inner.TaskPriority = value;
    }

    public ulong? MmioBase => inner.MmioBase;

    public IBusDevice Mmio => mmio;

    /// <summary>Lets through what waits now. Whether anything does.</summary>
    public bool Open() => _open = inner.HasInterrupt;

    public int Acknowledge()
    {
        _open = false;
        return inner.Acknowledge();
    }

    public bool TryReadMsr(uint index, out ulong value)
    {
        accessed(index, 0, false);
        return inner.TryReadMsr(index, out value);
    }

    public bool TryWriteMsr(uint index, ulong value)
    {
        accessed(index, value, true);
        return inner.TryWriteMsr(index, value);
    }

    public void Init() => inner.Init();

    public void Reset() => inner.Reset();
}
