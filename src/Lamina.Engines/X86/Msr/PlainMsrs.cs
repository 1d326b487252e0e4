// Model-specific registers that hold a value and do nothing else here: what kernels touch at boot. A row says who has the
// register, what it holds after RESET, and which bits a write may change. SDM vol. 4, table 2-2; AMD's PPRs for families
// 17h to 1Ah.
using Lamina.Engines.X86.Cpuid;

namespace Lamina.Engines.X86.Msr;

/// <summary>The values of the plain registers of one processor.</summary>
internal sealed class PlainMsrs
{
    private enum WriteRule
    {
        /// <summary>Bits outside the mask must keep their value, else #GP.</summary>
        Checked,

        /// <summary>Writes are accepted; bits outside the mask are dropped.</summary>
        Ignored,

        /// <summary>Any write is #GP.</summary>
        ReadOnly,
    }

    private readonly record struct Row(uint Index, CpuVendor? Vendor, ulong Reset, WriteRule Rule, ulong Mask);

    private static readonly Row[] s_rows =
    [
        new(0x17, CpuVendor.Intel, 0, WriteRule.ReadOnly, 0), // IA32_PLATFORM_ID
        new(0x2a, CpuVendor.Intel, 0, WriteRule.Ignored, 0), // EBL_CR_POWERON
        new(0x34, CpuVendor.Intel, 0, WriteRule.ReadOnly, 0), // SMI_COUNT
        new(0x3a, CpuVendor.Intel, 1, WriteRule.ReadOnly, 0), // IA32_FEATURE_CONTROL: locked, VMX off
        new(0x79, CpuVendor.Intel, 0, WriteRule.Ignored, 0), // IA32_BIOS_UPDT_TRIG
        new(0x140, CpuVendor.Intel, 0, WriteRule.ReadOnly, 0), // MISC_FEATURE_ENABLES
        new(MsrIndex.McgCap, null, 0, WriteRule.ReadOnly, 0), // no banks
        new(MsrIndex.McgStatus, null, 0, WriteRule.Checked, 7),
        new(0x199, CpuVendor.Intel, 0, WriteRule.Ignored, 0xffff), // IA32_PERF_CTL
        new(0x1a0, CpuVendor.Intel, 0x1801, WriteRule.Ignored, 0x4_0044_0089), // IA32_MISC_ENABLE: fast strings; no BTS, no PEBS
        new(0x1a2, CpuVendor.Intel, 0, WriteRule.ReadOnly, 0), // TEMPERATURE_TARGET
        new(0x1d9, null, 0, WriteRule.Checked, 3), // DEBUGCTL: LBR and BTF are remembered and do nothing
        new(0x1db, null, 0, WriteRule.ReadOnly, 0), // last branch and last exception records
        new(0x1dc, null, 0, WriteRule.ReadOnly, 0),
        new(0x1dd, null, 0, WriteRule.ReadOnly, 0),
        new(0x1de, null, 0, WriteRule.ReadOnly, 0),
        // Four event selects and four counters that no CPUID bit announces, or ones that a vendor's older processors have: they stay zero,
        // whatever is written, as on KVM without a virtual PMU. Kernels try them.
        .. Zeros(CpuVendor.Amd, 0xc001_0000, 8),
        .. Zeros(CpuVendor.Intel, 0xc1, 2),
        .. Zeros(CpuVendor.Intel, 0x186, 2),
        new(0xc001_0010, CpuVendor.Amd, 0, WriteRule.Ignored, 0x7c_0000), // SYSCFG: MTRR bits
        new(0xc001_0015, CpuVendor.Amd, 1 << 24, WriteRule.Ignored, 0x4b04_0158), // HWCR: the TSC counts at the P0 frequency
        new(0xc001_0016, CpuVendor.Amd, 0, WriteRule.Checked, 0x000f_ffff_ffff_f018), // IORR bases and masks
        new(0xc001_0017, CpuVendor.Amd, 0, WriteRule.Checked, 0x000f_ffff_ffff_f800),
        new(0xc001_0018, CpuVendor.Amd, 0, WriteRule.Checked, 0x000f_ffff_ffff_f018),
        new(0xc001_0019, CpuVendor.Amd, 0, WriteRule.Checked, 0x000f_ffff_ffff_f800),
        new(0xc001_001a, CpuVendor.Amd, 0, WriteRule.Checked, 0x000f_ffff_ff80_0000), // TOP_MEM
        new(0xc001_001d, CpuVendor.Amd, 0, WriteRule.Checked, 0x000f_ffff_ff80_0000), // TOP_MEM2
        new(0xc001_001f, CpuVendor.Amd, 0, WriteRule.Ignored, ulong.MaxValue), // NB_CFG
        new(0xc001_0020, CpuVendor.Amd, 0, WriteRule.Ignored, 0), // PATCH_LOADER
        new(0xc001_0055, CpuVendor.Amd, 0, WriteRule.Ignored, 0), // interrupt pending and C1E
        new(0xc001_0058, CpuVendor.Amd, 0, WriteRule.Ignored, 0), // MMIO configuration base: none
        new(0xc001_0114, CpuVendor.Amd, 0x18, WriteRule.Ignored, 0), // VM_CR: SVM disabled and locked
        new(0xc001_1022, CpuVendor.Amd, 0, WriteRule.Ignored, ulong.MaxValue), // DC_CFG
        new(0xc001_1023, CpuVendor.Amd, 0, WriteRule.Ignored, ulong.MaxValue), // BU_CFG
        new(0xc001_1029, CpuVendor.Amd, 2, WriteRule.Ignored, ~2UL), // DE_CFG: LFENCE always serializes
        new(0xc001_102a, CpuVendor.Amd, 0, WriteRule.Ignored, ulong.MaxValue), // BU_CFG2
    ];

    private static IEnumerable<Row> Zeros(CpuVendor vendor, uint first, int count) =>
        Enumerable.Range(0, count).Select(n => new Row(first + (uint)n, vendor, 0, WriteRule.Ignored, 0));

    private readonly CpuVendor _vendor;
    private readonly ulong[] _values = new ulong[s_rows.Length];

    /// <summary>Registers of a vendor's processor, in their RESET state.</summary>
    public PlainMsrs(CpuVendor vendor)
    {
        _vendor = vendor;
        Reset();
    }

    /// <summary>Puts every register into its RESET state.</summary>
    public void Reset()
    {
        for (var n = 0; n < s_rows.Length; n++) _values[n] = s_rows[n].Reset;
    }

    /// <summary>Reads; false where there is no such register.</summary>
    public bool TryRead(uint index, out ulong value)
    {
        var row = Find(index);
        value = row < 0 ? 0 : _values[row];
        return row >= 0;
    }

    /// <summary>Writes; false: #GP.</summary>
    public bool TryWrite(uint index, ulong value)
    {
        var row = Find(index);
        if (row < 0 || s_rows[row].Rule == WriteRule.ReadOnly) return false;
        var mask = s_rows[row].Mask;
        if (s_rows[row].Rule == WriteRule.Checked && ((value ^ _values[row]) & ~mask) != 0) return false;
        _values[row] = (_values[row] & ~mask) | (value & mask);
        return true;
    }

    /// <summary>Copies registers that may have changed.</summary>
    public void Save(IDictionary<uint, ulong> msrs)
    {
        for (var n = 0; n < s_rows.Length; n++)
            if (s_rows[n].Mask != 0 && IsOurs(n)) msrs[s_rows[n].Index] = _values[n];
    }

    /// <summary>Puts back what <see cref="Save"/> copied.</summary>
    public void Load(IReadOnlyDictionary<uint, ulong> msrs)
    {
        for (var n = 0; n < s_rows.Length; n++)
            if (IsOurs(n) && msrs.TryGetValue(s_rows[n].Index, out var value)) _values[n] = (s_rows[n].Reset & ~s_rows[n].Mask) | (value & s_rows[n].Mask);
    }

    private bool IsOurs(int row) => s_rows[row].Vendor is not { } vendor || vendor == _vendor;

    private int Find(uint index)
    {
        for (var n = 0; n < s_rows.Length; n++)
            if (s_rows[n].Index == index && IsOurs(n)) return n;
        return -1;
    }
}
