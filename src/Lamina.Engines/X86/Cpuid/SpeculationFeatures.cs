// What a guest is told about speculative execution, and why it is told so.
//
// A guest's returns and indirect jumps are never executed as such: they go through the engine's own look-ups. So the
// sequences by which a kernel guards them (retpolines, untrained returns, branch-history clearing) guard nothing under
// translation and only cost time; the bits that make kernels leave them out are therefore offered. Nothing is taken
// from the guest that it would otherwise have. What the engine guarantees by its construction is offered as well: guest
// kernel memory is not reachable from guest user code through the user tables, whatever the host's page tables say
// (Meltdown, L1TF), and there is no TSX. What remains the host's affair (buffers that VERW clears, store bypass) is
// reported as the host's kernel reports it. With SoftwareMitigations the first group is left out.
// SDM vol. 4, IA32_ARCH_CAPABILITIES; APM vol. 3, Fn8000_0008 and Fn8000_0021.
namespace Lamina.Engines.X86.Cpuid;

internal static class SpeculationFeatures
{
    // CPUID 7.0 EDX (Intel).
    public const uint MdClear = 1 << 10, SpecCtrl = 1 << 26, ArchCapabilities = 1 << 29;

    // CPUID 0x80000008 EBX and 0x80000021 EAX (AMD).
    public const uint SsbNo = 1 << 26, BtcNo = 1 << 29;
    public const uint AutomaticIbrs = 1 << 8, SrsoNo = 1 << 29;

    // CPUID 0x80000021 ECX (AMD): TSA_SQ_NO, TSA_L1_NO.
    public const uint TsaNo = 1 << 1 | 1 << 2;

    // What a guest that runs natively is told as the processor has it. CPUID 7.0 EDX: MD_CLEAR, SPEC_CTRL, STIBP, L1D_FLUSH,
    // ARCH_CAPABILITIES, SSBD. CPUID 0x80000008 EBX: IBPB, IBRS, STIBP and their preferences, SSBD, VIRT_SSBD, PSFD, IBPB_RET.
    // CPUID 0x80000021 EAX: automatic IBRS, SBPB, IBPB_BRTYPE, SRSO_NO.
    public const uint Stibp = 1 << 27, Ssbd = 1u << 31, Leaf7EdxNative = MdClear | SpecCtrl | Stibp | 1 << 28 | ArchCapabilities | Ssbd;
    public const uint AmdIbpb = 1 << 12, AmdIbrs = 1 << 14, AmdStibp = 1 << 15, AmdSsbd = 1 << 24;
    public const uint Extended8EbxNative = AmdIbpb | AmdIbrs | AmdStibp | 1 << 16 | 1 << 17 | 1 << 19 | AmdSsbd | 1 << 25 | 1 << 28 | BtcNo | 1 << 30;
    public const uint Extended21EaxNative = AutomaticIbrs | 1 << 27 | 1 << 28 | SrsoNo;

    // IA32_ARCH_CAPABILITIES.
    private const ulong RdclNo = 1 << 0, IbrsAll = 1 << 1, SkipL1dFlush = 1 << 3, BitSsbNo = 1 << 4, MdsNo = 1 << 5, PschangeNo = 1 << 6;
    private const ulong TaaNo = 1 << 8, SbdrNo = 1 << 13, FbsdpNo = 1 << 14, PsdpNo = 1 << 15, BhiNo = 1 << 20, PbrsbNo = 1 << 24;
    private const ulong GdsNo = 1 << 26, RfdsNo = 1 << 27, ItsNo = 1UL << 62;

    /// <summary>IA32_ARCH_CAPABILITIES for a guest.</summary>
    /// <param name="softwareMitigations">The guest shall keep its own guards of branches.</param>
    /// <param name="hostUnaffected">Whether the host's kernel says "Not affected" for a name under /sys/devices/system/cpu/vulnerabilities.</param>
    public static ulong ArchCapabilitiesFor(bool softwareMitigations, Func<string, bool> hostUnaffected)
    {
        var value = RdclNo | SkipL1dFlush | PschangeNo | TaaNo | PbrsbNo;
        if (!softwareMitigations) value |= IbrsAll | BhiNo | ItsNo;
        if (hostUnaffected("mds")) value |= MdsNo;
        if (hostUnaffected("spec_store_bypass")) value |= BitSsbNo;
        if (hostUnaffected("mmio_stale_data")) value |= SbdrNo | FbsdpNo | PsdpNo;
        if (hostUnaffected("gather_data_sampling")) value |= GdsNo;
        if (hostUnaffected("reg_file_data_sampling")) value |= RfdsNo;
        return value;
    }

    /// <summary>Reads what the host's kernel says; a file that is missing counts as affected.</summary>
    public static bool HostUnaffected(string name)
    {
        try
        {
            return File.ReadAllText($"/sys/devices/system/cpu/vulnerabilities/{name}").StartsWith("Not affected", StringComparison.Ordinal);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }
}
