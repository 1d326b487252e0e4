// /dev/kvm: opened, its version and what the engine cannot do without checked, each with a sentence for the person who is to
// mend it; and what the kernel says that its guests' CPUs can have.
using Lamina.Engines.X86.Cpuid;
using Lamina.Host;
using static Lamina.Engines.Kvm.KvmApi;

namespace Lamina.Engines.Kvm;

/// <summary>The kernel's side of hardware virtualization.</summary>
internal sealed unsafe class KvmSystem : IDisposable
{
    /// <summary>Where the kernel's module offers itself.</summary>
    internal const string DefaultPath = "/dev/kvm";

    private const uint MsrFeaturesArchCapabilities = 0x10a;
    private const int MaximumCpuidEntries = 256;

    private static readonly (int Capability, string Name)[] s_needed =
    [
        (KVM_CAP_USER_MEMORY, "user memory"), (KVM_CAP_IMMEDIATE_EXIT, "immediate exits (Linux 4.12)"), (KVM_CAP_XSAVE, "XSAVE state"), (KVM_CAP_XCRS, "XCR state"),
        (KVM_CAP_VCPU_EVENTS, "vCPU events"), (KVM_CAP_DEBUGREGS, "debug registers"), (KVM_CAP_SET_GUEST_DEBUG, "guest debugging"),
        (KVM_CAP_X86_USER_SPACE_MSR, "MSRs in user space (Linux 5.10)"), (KVM_CAP_X86_MSR_FILTER, "MSR filters (Linux 5.10)"),
    ];

    private readonly DeviceFile _file;

    private KvmSystem(DeviceFile file) => _file = file;

    /// <summary>Opens the device.</summary>
    /// <exception cref="HostException">It is not there, not permitted, or too old.</exception>
    internal static KvmSystem Open(string path = DefaultPath)
    {
        var file = DeviceFile.TryOpen(path, out var error) ?? throw new HostException(Refusal(path, error));
        var system = new KvmSystem(file);
        try
        {
            CheckInterface(path, file.Request(KVM_GET_API_VERSION), capability => file.Request(KVM_CHECK_EXTENSION, capability));
            return system;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Why a device cannot be opened, and what to do.</summary>
    internal static string Refusal(string path, int error) => error switch
    {
        DeviceFile.NotFound => $"there is no {path}: load the module kvm_intel or kvm_amd and enable virtualization in the firmware, or use the translator",
        DeviceFile.NoDevice => $"{path} has no driver: this CPU has no virtualization or the firmware turned it off; use the translator",
        DeviceFile.AccessDenied or DeviceFile.NotPermitted => $"{path} may not be opened by this user: add the user to the group kvm ({string.Join(" && ", KvmSupport.CommandsForAccess(path, "USER"))}, then log in again), or use the translator",
        _ => $"{path} cannot be opened ({DeviceFile.Describe(error)}); use the translator",
    };

    /// <summary>Checks what a device says of itself.</summary>
    /// <exception cref="HostException">It is not what the engine needs.</exception>
    internal static void CheckInterface(string path, int version, Func<int, int> capability)
    {
        if (version < 0) throw new HostException($"{path} is not the kernel's virtualization device ({DeviceFile.Describe(-version)}); use the translator");
        if (version != KVM_API_VERSION)
            throw new HostException($"{path} speaks version {version} of its interface and version {KVM_API_VERSION} is needed; use a newer kernel, or the translator");
        foreach (var (number, name) in s_needed)
            if (capability(number) <= 0) throw new HostException($"the kernel's KVM lacks {name}; use a newer kernel, or the translator");
    }

    /// <summary>The number that a capability has; 0 where it is not there.</summary>
    internal int Capability(int capability) => Math.Max(0, _file.Request(KVM_CHECK_EXTENSION, capability));

    /// <summary>The length of the memory that a vCPU shares with the kernel.</summary>
    internal int VcpuMappingLength => _file.Request(KVM_GET_VCPU_MMAP_SIZE);

    /// <summary>Creates a machine.</summary>
    /// <exception cref="HostException">The kernel refuses.</exception>
    internal DeviceFile CreateMachine()
    {
        int result;
        do result = _file.Request(KVM_CREATE_VM);
        while (result == -DeviceFile.Interrupted);
        if (result >= 0) return DeviceFile.Own(result);
        throw new HostException(-result is DeviceFile.Busy
            ? "another hypervisor of this host has the CPU's virtualization for itself; end it, or use the translator"
            : $"the kernel makes no virtual machine ({DeviceFile.Describe(-result)}); use the translator");
    }

    /// <summary>What the kernel can give to guests, as a processor's CPUID.</summary>
    /// <exception cref="HostException">The kernel refuses.</exception>
    internal HostCpuid ReadSupportedCpuid()
    {
        var entries = CpuidBuffer(MaximumCpuidEntries);
        fixed (byte* buffer = entries)
        {
            *(uint*)buffer = MaximumCpuidEntries;
            var result = _file.Request(KVM_GET_SUPPORTED_CPUID, buffer);
            if (result < 0) throw new HostException($"the kernel does not say what CPU it can give to guests ({DeviceFile.Describe(-result)}); use the translator");
            var table = new Dictionary<(uint, uint), CpuidResult>();
            var entry = (kvm_cpuid_entry2*)(buffer + 8);
            for (var n = *(uint*)buffer; n > 0; n--, entry++) table[(entry->function, entry->index)] = new CpuidResult(entry->eax, entry->ebx, entry->ecx, entry->edx);
            return new HostCpuid(table);
        }
    }

    /// <summary>IA32_ARCH_CAPABILITIES as the kernel can give it to guests; 0 where there is none.</summary>
    internal ulong ReadArchCapabilities()
    {
        var request = new kvm_msrs { nmsrs = 1, entry = new kvm_msr_entry { index = MsrFeaturesArchCapabilities } };
        return _file.Request(KVM_GET_MSRS, &request) == 1 ? request.entry.data : 0;
    }

    /// <summary>Room for a count and so many CPUID entries.</summary>
    internal static byte[] CpuidBuffer(int entries) => new byte[8 + entries * sizeof(kvm_cpuid_entry2)];

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();
}
