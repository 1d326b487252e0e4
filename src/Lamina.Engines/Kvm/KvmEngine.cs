// The host's hardware virtualization as an engine. The kernel runs the guest's CPUs; the machine's own interrupt controllers,
// timers and clocks serve them as they serve the translator, so that the rest of the machine and its state are the same. Where
// it is asked for, the kernel has interrupt controllers, too.
using Lamina.Core.Engine;
using Lamina.Core.Inspection;
using Lamina.Core.Interrupts;
using Lamina.Core.Work;
using Lamina.Host;
using Lamina.Host.Io;
using Lamina.Host.Threads;
using static Lamina.Engines.Kvm.KvmApi;

namespace Lamina.Engines.Kvm;

/// <summary>Where the interrupt controllers of a machine on KVM are.</summary>
public enum KvmIrqchip
{
    /// <summary>All in the machine.</summary>
    User,

    /// <summary>The local APICs in the kernel, the I/O APIC and the 8259 pair in the machine.</summary>
    Split,

    /// <summary>All in the kernel.</summary>
    Kernel,

    /// <summary>As many in the kernel as it offers: all, the local APICs, none.</summary>
    Best,
}

/// <summary>Hardware virtualization through /dev/kvm.</summary>
/// <param name="irqchip">Where the interrupt controllers are.</param>
public sealed class KvmEngine(KvmIrqchip irqchip = KvmIrqchip.User) : IEngine
{
    /// <inheritdoc/>
    public string Name => "kvm";

    /// <summary>Entries of the ring in which a vCPU's written pages are told where the kernel has rings, a power of two; 0: a bitmap everywhere.</summary>
    internal int DirtyRingEntries { get; init; } = 4096;

    /// <inheritdoc/>
    public IEngineMachine CreateMachine(EngineMachineOptions options) => new KvmMachine(options, irqchip, DirtyRingEntries);
}

/// <summary>One machine's CPUs and address space in the kernel.</summary>
internal sealed unsafe class KvmMachine : IEngineMachine, IInspected, IEngineDoorbells
{
    // Three pages for the TSS that Intel's processors need in real mode, and one for their page table: below the 16 MiB that firmware
    // can have, where QEMU has them too. api.rst, 4.35 and 4.36.
    private const uint TssAddress = 0xfeff_d000;
    private const ulong IdentityMapAddress = 0xfeff_c000;

    private readonly KvmSystem _system = KvmSystem.Open();
    private readonly DeviceFile _machine;
    private readonly List<KvmVcpu> _vcpus = [];

    internal KvmMachine(EngineMachineOptions options, KvmIrqchip irqchip, int dirtyRingEntries)
    {
        Options = options;
        Hold = new KvmHold(_vcpus);
        try
        {
            _machine = _system.CreateMachine();
            // Its threads begin when the process may no longer have code made.
            ThreadInterrupt.Prepare();
            CheckLimits(options, _system.Capability);
            KernelIrqchip = KvmKernelIrqchip.Create(irqchip, _machine, _vcpus, _system.Capability);
            Memory = new KvmMemory(_machine, options.Memory, Hold, dirtyRingEntries, _system.Capability);
            Cpu = new KvmCpu(_system, options, KernelIrqchip is not null);
            Cpu.FilterMsrs(_machine);
            var identityMap = IdentityMapAddress;
            Require(_machine.Request(KVM_SET_IDENTITY_MAP_ADDR, &identityMap), "takes no page for its real mode");
            Require(_machine.Request(KVM_SET_TSS_ADDR, (void*)TssAddress), "takes no pages for its real mode");
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The interrupt controllers in the kernel; null where the machine has all.</summary>
    internal KvmKernelIrqchip? KernelIrqchip { get; }

    /// <inheritdoc/>
    public string CpuModel => Cpu.Model.Words;

    /// <inheritdoc/>
    public CpuIdentity CpuIdentity => Cpu.Model.Identity;

    /// <inheritdoc/>
    public IReadOnlyList<string> CpuWithheld => Cpu.Model.Withheld;

    /// <inheritdoc/>
    public IEngineIrqchip? Irqchip => KernelIrqchip;

    /// <inheritdoc/>
    public IEngineDoorbells? Doorbells => _system.Capability(KVM_CAP_IOEVENTFD) > 0 ? this : null;

    /// <summary>Whether the kernel tells and takes the PDPTE registers, rather than reading them from memory each time.</summary>
    internal bool KeepsPdptes => _system.Capability(KVM_CAP_SREGS2) > 0;

    /// <summary>The rings that tell of written pages; null where a bitmap does.</summary>
    internal KvmDirtyRings? DirtyRings => Memory.Rings;

    /// <summary>The guest's memory as the kernel has it.</summary>
    internal KvmMemory Memory { get; }

    /// <summary>Keeps the vCPUs out of the guest while its memory changes.</summary>
    internal KvmHold Hold { get; }

    /// <summary>What the machine was created with.</summary>
    internal EngineMachineOptions Options { get; }

    /// <summary>The CPU model.</summary>
    internal KvmCpu Cpu { get; }

    /// <inheritdoc/>
    public void Count(CounterList counters)
    {
        // What there is to count is the vCPUs'.
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node)
    {
        node.Kind = "KVM";
        node.Say("cpu model", CpuModel);
        node.Say("interrupt controllers in the kernel", KernelIrqchip is null ? "none" : KernelIrqchip is IEngineWholeIrqchip ? "all" : "local APICs");
        node.Say("dirty rings", DirtyRings is not null);
    }

    /// <summary>Checks that the kernel has room for a machine.</summary>
    /// <exception cref="HostException">It has not.</exception>
    internal static void CheckLimits(EngineMachineOptions options, Func<int, int> capability)
    {
        var slots = capability(KVM_CAP_NR_MEMSLOTS);
        if (options.Memory.Regions.Count > slots)
            throw new HostException($"the machine's memory has {options.Memory.Regions.Count} parts and the kernel's KVM maps at most {slots}; use the translator");
        var vcpus = capability(KVM_CAP_MAX_VCPUS);
        if (options.VcpuCount > vcpus)
            throw new HostException($"the kernel's KVM runs at most {vcpus} CPUs a machine, not {options.VcpuCount}; give the machine fewer");
    }

    /// <inheritdoc/>
    public IVcpu CreateVcpu(VcpuOptions options)
    {
        if (options.Apic is null != KernelIrqchip is not null) throw new ArgumentException("a vCPU has its local APIC either from the machine or from the engine", nameof(options));
        var result = _machine.Request(KVM_CREATE_VCPU, options.Index);
        Require(result, $"makes no vCPU {options.Index}");
        var vcpu = new KvmVcpu(options, this, DeviceFile.Own(result), _system.VcpuMappingLength);
        _vcpus.Add(vcpu);
        return vcpu;
    }

    /// <inheritdoc/>
    public bool TryConnect(ulong address, uint value, IWorker worker)
    {
        if (worker is not IWokenByDescriptor woken) return false;
        var doorbell = new kvm_ioeventfd { addr = address, len = sizeof(uint), datamatch = value, fd = woken.WakeDescriptor, flags = KVM_IOEVENTFD_FLAG_DATAMATCH };
        return _machine.Request(KVM_IOEVENTFD, &doorbell) >= 0;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Memory?.Leave();
        foreach (var vcpu in _vcpus) vcpu.Dispose();
        _machine?.Dispose();
        _system.Dispose();
    }

    private static void Require(int result, string what)
    {
        if (result < 0) throw new HostException($"the kernel's KVM {what} ({DeviceFile.Describe(-result)}); use the translator");
    }
}
