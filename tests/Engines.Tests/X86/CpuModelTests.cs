// CPUID: what is offered is a subset of the host's or emulated, and nothing forbidden ever shows.
using Lamina.Engines.X86;
using Lamina.Engines.X86.Cpuid;
using Xunit;

namespace Lamina.Tests.Engines.X86;

public sealed class CpuModelTests
{
    private static readonly CpuModelOptions s_options = new() { TscHz = 2_596_100_000, VcpuCount = 6, HostUnaffected = _ => false };

    public static TheoryData<string> Hosts => ["host", "amd", "intel", "old"];

    private static (HostCpuid Host, CpuModel Model) Make(string name)
    {
        var host = name switch { "amd" => SampleHosts.Amd(), "intel" => SampleHosts.Intel(), "old" => SampleHosts.OldIntel(), _ => HostCpuid.Read() };
        return (host, CpuModel.Create(host, s_options));
    }

    [Theory]
    [MemberData(nameof(Hosts))]
    public void FeaturesAreTheHostsOrEmulated(string name)
    {
        var (host, model) = Make(name);
        CpuidResult Guest(uint leaf, uint subleaf = 0) => model.Table[(leaf, subleaf)];

        Assert.Equal(0u, Guest(1).Ecx & ~host[1].Ecx & ~CpuFeatures.Leaf1EcxEmulated);
        Assert.Equal(0u, Guest(1).Edx & ~host[1].Edx & ~CpuFeatures.Htt);
        Assert.Equal(0u, Guest(7).Ebx & ~host[7].Ebx & ~CpuFeatures.TscAdjust);
        Assert.Equal(0u, Guest(7).Ecx & ~host[7].Ecx);
        Assert.Equal(0u, Guest(7).Edx & ~host[7].Edx & ~(SpeculationFeatures.ArchCapabilities | SpeculationFeatures.SpecCtrl));
        Assert.Equal(0u, Guest(7, 1).Eax & ~host[7, 1].Eax);
        Assert.Equal(0u, Guest(0x8000_0001).Edx & ~host[0x8000_0001].Edx);
        Assert.Equal(0u, Guest(0x8000_0001).Ecx & ~host[0x8000_0001].Ecx & ~CpuFeatures.CmpLegacy);
        Assert.Equal(0ul, model.XcrMask & ~((ulong)host[0xd].Eax));
    }

    [Theory]
    [MemberData(nameof(Hosts))]
    public void WhatIsNotImplementedIsHidden(string name)
    {
        var (_, model) = Make(name);
        var one = model.Table[(1, 0)];
        var seven = model.Table[(7, 0)];

        Assert.Equal(0u, one.Ecx & (1 << 3 | 1 << 5 | 1 << 6 | 1 << 15 | 1 << 18)); // MONITOR, VMX, SMX, PDCM, DCA
        Assert.Equal(0u, one.Edx & (1 << 1)); // VME
        Assert.Equal(0u, seven.Ebx & (1 << 2 | 1 << 4 | 1 << 11 | 1 << 12 | 1 << 14 | 1 << 15 | 1 << 25)); // SGX, HLE, RTM, PQM, MPX, PQE, PT
        Assert.Equal(0u, seven.Ecx & (1 << 3 | 1 << 4 | 1 << 5 | 1 << 7 | 1 << 16 | 1 << 30)); // PKU, OSPKE, WAITPKG, CET, LA57, SGX_LC
        Assert.Equal(0u, seven.Edx & (1 << 20 | 1 << 22 | 1 << 24 | 1 << 25)); // CET-IBT, AMX
        Assert.Equal(0u, model.Table[(0x8000_0001, 0)].Ecx & (1 << 2 | 1 << 9 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 16 | 1 << 29)); // SVM, OSVW, IBS, XOP, SKINIT, FMA4, MWAITX
        Assert.NotEqual(0u, one.Ecx & CpuFeatures.Hypervisor);
        Assert.Equal(0ul, model.XcrMask & ~0xe7ul);
        if (model.XcrMask != 0) Assert.Equal(0u, model.Table[(0xd, 1)].Eax & 8); // XSAVES
    }

    [Theory]
    [MemberData(nameof(Hosts))]
    public void IdentityIsTheHosts(string name)
    {
        var (host, model) = Make(name);
        var guest = model.Query(0, 0, 0, 0, 1, true);

        Assert.Equal((host[0].Ebx, host[0].Ecx, host[0].Edx), (guest.Ebx, guest.Ecx, guest.Edx));
        Assert.Equal(host[1].Eax, model.Query(1, 0, 0, 0, 1, true).Eax);
        Assert.Equal(host[0x8000_0002], model.Query(0x8000_0002, 0, 0, 0, 1, true));
    }

    [Theory]
    [MemberData(nameof(Hosts))]
    public void EachVcpuSeesItsOwnApicIdInEveryLeaf(string name)
    {
        var (_, model) = Make(name);

        Assert.Equal(5u, model.Query(1, 0, 5, 0, 1, true).Ebx >> 24);
        Assert.Equal(6u, model.Query(1, 0, 5, 0, 1, true).Ebx >> 16 & 0xff);
        Assert.Equal(new CpuidResult(3, 6, 0x201, 5), model.Query(0xb, 1, 5, 0, 1, true));
        Assert.Equal(new CpuidResult(0, 1, 0x100, 5), model.Query(0xb, 0, 5, 0, 1, true));
        Assert.Equal(new CpuidResult(0, 0, 2, 5), model.Query(0xb, 2, 5, 0, 1, true));
        if (model.Vendor == CpuVendor.Amd) Assert.Equal(5u, model.Query(0x8000_001e, 0, 5, 0, 1, true).Eax);
    }

    [Fact]
    public void DynamicBitsFollowTheRegisters()
    {
        var (_, model) = Make("amd");

        Assert.Equal(0u, model.Query(1, 0, 0, 0, 1, true).Ecx & CpuFeatures.Osxsave);
        Assert.NotEqual(0u, model.Query(1, 0, 0, Cr4.OSXSAVE, 1, true).Ecx & CpuFeatures.Osxsave);
        Assert.Equal(0u, model.Query(1, 0, 0, 0, 1, apicEnabled: false).Edx & CpuFeatures.Apic);
        Assert.Equal(576u, model.Query(0xd, 0, 0, 0, 1, true).Ebx);
        Assert.Equal(832u, model.Query(0xd, 0, 0, 0, 7, true).Ebx);
        Assert.Equal(0xa80u, model.Query(0xd, 0, 0, 0, 0xe7, true).Ebx);
        Assert.Equal(0xa80u, model.Query(0xd, 0, 0, 0, 7, true).Ecx);
        Assert.Equal(576u + 256 + 64 + 512 + 1024, model.Query(0xd, 1, 0, 0, 0xe7, true).Ebx);
    }

    [Theory]
    [InlineData(100_000_000ul)]
    [InlineData(1_999_999_000ul)]
    [InlineData(2_596_100_000ul)]
    [InlineData(4_200_123_000ul)]
    public void TheTimingLeavesGiveTheFrequencyAndFit32Bits(ulong hertz)
    {
        var model = CpuModel.Create(SampleHosts.Intel(), s_options with { TscHz = hertz });
        var leaf = model.Query(0x15, 0, 0, 0, 1, true);

        Assert.InRange(leaf.Ecx, 999_900_000u, 1_000_100_000u);
        Assert.InRange((double)leaf.Ecx * leaf.Ebx / leaf.Eax / hertz, 0.99999999, 1.00000001);
        Assert.True((ulong)leaf.Ecx / 1000 * leaf.Ebx <= uint.MaxValue);
        Assert.Equal((uint)(hertz / 1000), model.Query(0x4000_0010, 0, 0, 0, 1, true).Eax);
    }

    [Fact]
    public void LeavesBeyondTheLastFollowTheVendor()
    {
        Assert.Equal(default, Make("amd").Model.Query(0x77, 0, 0, 0, 1, true));
        var intel = Make("intel").Model;
        Assert.Equal(intel.Query(0x1f, 0, 0, 0, 1, true), intel.Query(0x77, 0, 0, 0, 1, true));
        Assert.Equal(default, intel.Query(0x4000_0055, 0, 0, 0, 1, true));
    }

    [Fact]
    public void TheParavirtualSignatureOffersTheStableClock()
    {
        var model = Make("amd").Model;
        var signature = model.Query(0x4000_0000, 0, 0, 0, 1, true);

        Assert.Equal((0x4b4d564bu, 0x564b4d56u, 0x4du), (signature.Ebx, signature.Ecx, signature.Edx));
        Assert.Equal(1u << 1 | 1 << 3 | 1 << 24, model.Query(0x4000_0001, 0, 0, 0, 1, true).Eax);
    }

    [Fact]
    public void SoftwareMitigationsAreAChoice()
    {
        var fast = Make("old").Model;
        var careful = CpuModel.Create(SampleHosts.OldIntel(), s_options with { SoftwareMitigations = true });

        Assert.NotEqual(0ul, fast.ArchCapabilities & 2);
        Assert.Equal(0ul, careful.ArchCapabilities & 2);
        Assert.Equal(1ul, fast.ArchCapabilities & careful.ArchCapabilities & 1); // RDCL_NO: by construction
        Assert.Equal(0ul, fast.ArchCapabilities & 1 << 5); // MDS_NO only if the host says so
    }

    [Fact]
    public void AHostWithoutAvxOffersNeitherAvxNorItsState()
    {
        var model = Make("old").Model;

        Assert.Equal(0ul, model.XcrMask);
        Assert.Equal(0u, model.Table[(1, 0)].Ecx & (CpuFeatures.Avx | CpuFeatures.Xsave | CpuFeatures.Fma));
        Assert.Equal(0ul, model.Cr4Mask & (Cr4.OSXSAVE | Cr4.SMAP | Cr4.FSGSBASE));
        Assert.False(model.HasGigabytePages);
    }
}
