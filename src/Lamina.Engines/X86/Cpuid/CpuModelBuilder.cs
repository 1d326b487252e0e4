// Builds the CPUID table of a guest: the host's leaves cut to what is implemented, topology and timing by the machine,
// and the paravirtual leaves. Every leaf that a guest may see is made by one method here; others read as zeros.
namespace Lamina.Engines.X86.Cpuid;

internal sealed class CpuModelBuilder
{
    private const int MaximumPhysicalBits = 46;

    // "KVMKVMKVM\0\0\0": guests take the paravirtual clock of this interface. Linux Documentation/virt/kvm/x86/cpuid.rst.
    private const uint SignatureEbx = 0x4b4d564b, SignatureEcx = 0x564b4d56, SignatureEdx = 0x4d;
    private const uint NoIoDelay = 1 << 1, Clocksource2 = 1 << 3, ClocksourceStable = 1 << 24;

    private readonly HostCpuid _host;
    private readonly CpuModelOptions _options;
    private readonly CpuVendor _vendor;
    private readonly bool _avx, _avx512;
    private readonly Dictionary<(uint Leaf, uint Subleaf), CpuidResult> _table = [];

    public CpuModelBuilder(HostCpuid host, CpuModelOptions options)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(options.VcpuCount, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(options.VcpuCount, 255);
        _host = host;
        _options = options;
        _vendor = CpuModel.VendorOf(host[0]);
        var hasXsave = (host[1].Ecx & CpuFeatures.Xsave) != 0;
        _avx = hasXsave && (host[0xd].Eax & 4) != 0 && (host[1].Ecx & CpuFeatures.Avx) != 0;
        _avx512 = _avx && (host[0xd].Eax & 0xe0) == 0xe0 && (host[7].Ebx & CpuFeatures.Avx512F) != 0;
    }

    private ulong ArchCapabilities =>
        _options.RunsNatively ? _options.NativeArchCapabilities : _vendor == CpuVendor.Intel ? SpeculationFeatures.ArchCapabilitiesFor(_options.SoftwareMitigations, _options.HostUnaffected) : 0;

    private uint Cores => (uint)_options.VcpuCount;

    private int CoreBits => _options.VcpuCount == 1 ? 0 : 32 - System.Numerics.BitOperations.LeadingZeroCount(Cores - 1);

    public CpuModel Build()
    {
        Basic();
        StructuredFeatures();
        Topology();
        Xsave();
        Timing();
        Extended();
        Paravirtual();
        return new CpuModel(_options, _vendor, _table, ArchCapabilities);
    }

    private void Set(uint leaf, uint subleaf, uint eax, uint ebx, uint ecx, uint edx) => _table[(leaf, subleaf)] = new CpuidResult(eax, ebx, ecx, edx);

    private void Basic()
    {
        var vendor = _host[0];
        Set(0, 0, _vendor == CpuVendor.Intel ? 0x1fu : 0x16, vendor.Ebx, vendor.Ecx, vendor.Edx);
        var one = _host[1];
        var ecx = (one.Ecx & CpuFeatures.Leaf1EcxNative) | CpuFeatures.Leaf1EcxEmulated;
        if (!_avx) ecx &= ~CpuFeatures.Leaf1EcxAvx;
        if (!_options.TscDeadline) ecx &= ~CpuFeatures.TscDeadline;
        var edx = one.Edx & CpuFeatures.Leaf1EdxNative;
        if (Cores > 1) edx |= CpuFeatures.Htt;
        // EBX: CLFLUSH line size from the host, as many logical processors as vCPUs; the APIC ID is filled in per vCPU.
        Set(1, 0, one.Eax, (one.Ebx & 0xff00) | (Cores << 16), ecx, edx);
        if (_vendor == CpuVendor.Intel)
        {
            var two = _host[2];
            Set(2, 0, two.Eax, two.Ebx, two.Ecx, two.Edx);
            for (var n = 0u; n < 8; n++)
            {
                var cache = _host[4, n];
                if ((cache.Eax & 31) == 0) break;
                var level = (cache.Eax >> 5) & 7;
                var sharing = level >= 3 ? (1u << CoreBits) - 1 : 0;
                Set(4, n, (cache.Eax & 0x3ff) | (sharing << 14) | (((1u << CoreBits) - 1) << 26), cache.Ebx, cache.Ecx, cache.Edx & 7);
            }
        }
        Set(6, 0, CpuFeatures.Arat, 0, 0, 0);
    }

    private void StructuredFeatures()
    {
        var zero = _host[7];
        var one = _host[7, 1];
        var (ebx, ecx, edx, eax1) = (zero.Ebx & CpuFeatures.Leaf7EbxNative, zero.Ecx & CpuFeatures.Leaf7EcxNative,
            zero.Edx & CpuFeatures.Leaf7EdxNative, one.Eax & CpuFeatures.Leaf71EaxNative);
        if (!_avx512) (ebx, ecx, edx, eax1) = (ebx & ~CpuFeatures.Leaf7EbxAvx512, ecx & ~CpuFeatures.Leaf7EcxAvx512, edx & ~CpuFeatures.Leaf7EdxAvx512, eax1 & ~CpuFeatures.Leaf71EaxAvx512);
        if (!_avx) (ebx, ecx, eax1) = (ebx & ~CpuFeatures.Leaf7EbxAvx, ecx & ~CpuFeatures.Leaf7EcxAvx, eax1 & ~CpuFeatures.Leaf71EaxAvx);
        ebx |= CpuFeatures.TscAdjust;
        if (_options.RunsNatively)
        {
            edx |= zero.Edx & SpeculationFeatures.Leaf7EdxNative;
        }
        else if (_vendor == CpuVendor.Intel)
        {
            edx |= SpeculationFeatures.ArchCapabilities | (zero.Edx & SpeculationFeatures.MdClear);
            if (!_options.SoftwareMitigations) edx |= SpeculationFeatures.SpecCtrl;
        }
        Set(7, 0, 1, ebx, ecx, edx);
        Set(7, 1, eax1, 0, 0, 0);
    }

    /// <summary>One package of cores with one thread each; APIC IDs are the vCPUs' indices.</summary>
    private void Topology()
    {
        foreach (var leaf in (ReadOnlySpan<uint>)[0xb, 0x1f])
        {
            if (leaf == 0x1f && _vendor != CpuVendor.Intel) continue;
            Set(leaf, 0, 0, 1, 0x100, 0);
            Set(leaf, 1, (uint)CoreBits, Cores, 0x201, 0);
        }
    }

    private void Xsave()
    {
        if ((_host[1].Ecx & CpuFeatures.Xsave) == 0) return;
        ulong mask = 3;
        if (_avx) mask |= 4;
        if (_avx512) mask |= 0xe0;
        var size = 576u;
        for (var n = 2u; n < 8; n++)
        {
            if ((mask >> (int)n & 1) == 0) continue;
            var component = _host[0xd, n];
            size = Math.Max(size, component.Ebx + component.Eax);
            Set(0xd, n, component.Eax, component.Ebx, component.Ecx & 2, 0);
        }
        Set(0xd, 0, (uint)mask, 576, size, 0);
        var forms = _host[0xd, 1].Eax & (CpuFeatures.Xsaveopt | CpuFeatures.Xsavec | CpuFeatures.Xgetbv1);
        Set(0xd, 1, forms, 0, 0, 0);
    }

    private void Timing()
    {
        var kilohertz = (uint)(_options.TscHz / 1000);
        // TSC = crystal * EBX / EAX; the crystal is what the local APIC's timer counts. SDM vol. 3, 20.7.3. Where no small ratio
        // is exact, the crystal takes the difference (some parts in a million), so that the TSC's frequency comes out right.
        var (numerator, denominator) = Ratio(_options.TscHz, _options.ApicTimerHz, largestNumerator: uint.MaxValue / (_options.ApicTimerHz / 1000 + 1000));
        var crystal = ((UInt128)_options.TscHz * denominator + numerator / 2) / numerator;
        Set(0x15, 0, denominator, numerator, (uint)crystal, 0);
        Set(0x16, 0, kilohertz / 1000, kilohertz / 1000, 100, 0);
    }

    /// <summary>
    /// The continued-fraction approximation of a ratio with a bounded numerator: guests multiply the crystal's kilohertz
    /// with it in 32 bits.
    /// </summary>
    private static (uint Numerator, uint Denominator) Ratio(ulong dividend, ulong divisor, ulong largestNumerator)
    {
        ulong p0 = 0, q0 = 1, p1 = 1, q1 = 0;
        while (divisor != 0)
        {
            var quotient = dividend / divisor;
            var (p2, q2) = (quotient * p1 + p0, quotient * q1 + q0);
            if (p2 > largestNumerator && q1 != 0) break;
            (p0, q0, p1, q1) = (p1, q1, p2, q2);
            (dividend, divisor) = (divisor, dividend % divisor);
        }
        return ((uint)p1, (uint)q1);
    }

    private void Extended()
    {
        var last = _vendor == CpuVendor.Amd ? 0x8000_0021u : 0x8000_0008;
        var vendor = _vendor == CpuVendor.Amd ? _host[0] : default;
        Set(0x8000_0000, 0, last, vendor.Ebx, vendor.Ecx, vendor.Edx);
        var one = _host[0x8000_0001];
        var ecx = one.Ecx & CpuFeatures.ExtendedEcxNative;
        if (_vendor == CpuVendor.Amd && Cores > 1) ecx |= CpuFeatures.CmpLegacy;
        Set(0x8000_0001, 0, one.Eax, one.Ebx, ecx, one.Edx & CpuFeatures.ExtendedEdxNative);
        for (var leaf = 0x8000_0002; leaf <= 0x8000_0006; leaf++)
        {
            var same = _host[leaf];
            Set(leaf, 0, same.Eax, same.Ebx, same.Ecx, same.Edx);
        }
        Set(0x8000_0007, 0, 0, 0, 0, CpuFeatures.InvariantTsc);
        var eight = _host[0x8000_0008];
        var bits = Math.Clamp(eight.Eax & 0xff, 36, (uint)(_options.MostPhysicalBits ?? MaximumPhysicalBits));
        if (_vendor == CpuVendor.Intel)
        {
            Set(0x8000_0008, 0, bits | 48 << 8, eight.Ebx & CpuFeatures.Extended8EbxNative, 0, 0);
            return;
        }
        var ebx = eight.Ebx & (CpuFeatures.Extended8EbxNative | SpeculationFeatures.SsbNo | SpeculationFeatures.BtcNo);
        if (_options.RunsNatively) ebx |= eight.Ebx & SpeculationFeatures.Extended8EbxNative;
        else if (!_options.SoftwareMitigations) ebx |= SpeculationFeatures.BtcNo;
        Set(0x8000_0008, 0, bits | 48 << 8, ebx, (Cores - 1) | ((uint)CoreBits << 12), 0);
        var perf = _host[0x8000_001a];
        Set(0x8000_001a, 0, perf.Eax, 0, 0, 0);
        AmdCaches();
        Set(0x8000_001e, 0, 0, 0, 0, 0);
        var eax = (_host[0x8000_0021].Eax & (CpuFeatures.Extended21EaxNative | SpeculationFeatures.SrsoNo)) | CpuFeatures.NullSelectorClearsBase;
        if (_options.RunsNatively) eax |= _host[0x8000_0021].Eax & SpeculationFeatures.Extended21EaxNative;
        else if (!_options.SoftwareMitigations) eax |= SpeculationFeatures.AutomaticIbrs | SpeculationFeatures.SrsoNo;
        Set(0x8000_0021, 0, eax, 0, _host[0x8000_0021].Ecx & SpeculationFeatures.TsaNo, 0);
    }

    private void AmdCaches()
    {
        for (var n = 0u; n < 8; n++)
        {
            var cache = _host[0x8000_001d, n];
            if ((cache.Eax & 31) == 0) break;
            var sharing = ((cache.Eax >> 5) & 7) >= 3 ? Cores - 1 : 0;
            Set(0x8000_001d, n, (cache.Eax & 0x3ff) | (sharing << 14), cache.Ebx, cache.Ecx, cache.Edx & 3);
        }
    }

    private void Paravirtual()
    {
        Set(0x4000_0000, 0, 0x4000_0010, SignatureEbx, SignatureEcx, SignatureEdx);
        Set(0x4000_0001, 0, NoIoDelay | Clocksource2 | ClocksourceStable, 0, 0, 0);
        // Kilohertz of the TSC and of the local APIC's timer.
        Set(0x4000_0010, 0, (uint)(_options.TscHz / 1000), (uint)(_options.ApicTimerHz / 1000), 0, 0);
    }
}
