// The CPU model of a guest on KVM: the same table as the translator's, made from what the kernel can give instead of what
// the host has; handed to the kernel vCPU by vCPU. And which MSRs the kernel keeps: those that the processor itself uses
// while the guest runs. All others are answered by KvmMsrs.
using Lamina.Core.Engine;
using Lamina.Engines.X86.Cpuid;
using Lamina.Engines.X86.Msr;
using Lamina.Host;
using static Lamina.Engines.Kvm.KvmApi;

namespace Lamina.Engines.Kvm;

/// <summary>The CPU model of one machine.</summary>
internal sealed unsafe class KvmCpu
{
    /// <summary>Makes it.</summary>
    /// <exception cref="HostException">The kernel does not say what it can give, or cannot give what is asked for.</exception>
    internal KvmCpu(KvmSystem system, EngineMachineOptions options, bool kernelApics)
    {
        var supported = system.ReadSupportedCpuid();
        Model = CpuModel.Create(supported, new CpuModelOptions
        {
            TscHz = options.Clock.TscHz,
            VcpuCount = options.VcpuCount,
            Selection = CpuSelection.Parse(options.CpuModel),
            Saved = options.CpuIdentity,
            MostPhysicalBits = options.MostPhysicalAddressBits,
            RunsNatively = true,
            NativeArchCapabilities = (supported[7].Edx & SpeculationFeatures.ArchCapabilities) != 0 ? system.ReadArchCapabilities() : 0,
            // On Intel the kernel takes writes of the deadline for its own local APIC, even where the machine has another.
            TscDeadline = kernelApics || supported[0].Ebx != IntelEbx,
        });
        (var seven, var eight) = (Model.Table[(7, 0)].Edx, Model.Table[(0x8000_0008, 0)].Ebx);
        var hasSpecCtrl = (seven & (SpeculationFeatures.SpecCtrl | SpeculationFeatures.Stibp | SpeculationFeatures.Ssbd)) != 0
            || (eight & (SpeculationFeatures.AmdIbrs | SpeculationFeatures.AmdStibp | SpeculationFeatures.AmdSsbd)) != 0;
        var hasPredCmd = (seven & SpeculationFeatures.SpecCtrl) != 0 || (eight & SpeculationFeatures.AmdIbpb) != 0;
        List<uint> kept = [MsrIndex.SysenterCs, MsrIndex.SysenterEsp, MsrIndex.SysenterEip, MsrIndex.Pat, MsrIndex.Star];
        if (Model.HasLongMode) kept.AddRange([MsrIndex.Lstar, MsrIndex.Cstar, MsrIndex.Sfmask, MsrIndex.KernelGsBase]);
        if (Model.HasRdtscp || Model.HasRdpid) kept.Add(MsrIndex.TscAux);
        if (hasSpecCtrl) kept.Add(MsrIndex.SpecCtrl);
        KeptMsrs = [.. kept];
        PassedMsrs = [.. kept, MsrIndex.Efer, MsrIndex.FsBase, MsrIndex.GsBase];
        if (hasPredCmd) PassedMsrs = [.. PassedMsrs, MsrIndex.PredCmd];
        if (kernelApics) PassedMsrs = [.. PassedMsrs, MsrIndex.ApicBase, MsrIndex.TscDeadline];
    }

    private const uint IntelEbx = 0x756e6547; // "Genu"

    /// <summary>What CPUID says.</summary>
    internal CpuModel Model { get; }

    /// <summary>MSRs whose values the kernel has, but for those of struct kvm_sregs.</summary>
    internal IReadOnlyList<uint> KeptMsrs { get; }

    /// <summary>MSRs that guests read and write without leaving the kernel.</summary>
    internal IReadOnlyList<uint> PassedMsrs { get; }

    /// <summary>Gives a vCPU its CPUID table.</summary>
    /// <exception cref="HostException">The kernel refuses it.</exception>
    internal void SetCpuid(DeviceFile vcpu, int index)
    {
        var buffer = KvmSystem.CpuidBuffer(Model.Table.Count);
        // Holds: the buffer has room for as many entries as the table has.
        fixed (byte* start = buffer)
        {
            *(uint*)start = (uint)Model.Table.Count;
            var entry = (kvm_cpuid_entry2*)(start + 8);
            foreach (var (leaf, subleaf) in Model.Table.Keys)
            {
                var result = Model.Query(leaf, subleaf, index, cr4: 0, xcr0: 1, apicEnabled: true);
                *entry++ = new kvm_cpuid_entry2
                {
                    function = leaf,
                    index = subleaf,
                    flags = CpuModel.HasSubleaves(leaf) ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0,
                    eax = result.Eax,
                    ebx = result.Ebx,
                    ecx = result.Ecx,
                    edx = result.Edx,
                };
            }
            var set = vcpu.Request(KVM_SET_CPUID2, start);
            if (set < 0) throw new HostException($"the kernel refuses the guest's CPU model ({DeviceFile.Describe(-set)}); use the translator");
        }
    }

    /// <summary>Sends all accesses to other MSRs to user space.</summary>
    /// <exception cref="HostException">The kernel refuses.</exception>
    internal void FilterMsrs(DeviceFile machine)
    {
        var enable = new kvm_enable_cap { cap = KVM_CAP_X86_USER_SPACE_MSR };
        enable.args[0] = KVM_MSR_EXIT_REASON_INVAL | KVM_MSR_EXIT_REASON_UNKNOWN | KVM_MSR_EXIT_REASON_FILTER;
        byte allowed = 1;
        var filter = stackalloc byte[sizeof(uint) * 2 + KVM_MSR_FILTER_MAX_RANGES * sizeof(kvm_msr_filter_range)];
        *(uint*)filter = KVM_MSR_FILTER_DEFAULT_DENY;
        var range = (kvm_msr_filter_range*)(filter + sizeof(uint) * 2);
        new Span<kvm_msr_filter_range>(range, KVM_MSR_FILTER_MAX_RANGES).Clear();
        foreach (var index in PassedMsrs)
            *range++ = new kvm_msr_filter_range { flags = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE, nmsrs = 1, @base = index, bitmap = &allowed };
        var result = machine.Request(KVM_ENABLE_CAP, &enable);
        if (result >= 0) result = machine.Request(KVM_X86_SET_MSR_FILTER, filter);
        if (result < 0) throw new HostException($"the kernel takes no filter of MSRs ({DeviceFile.Describe(-result)}); use the translator");
    }
}
