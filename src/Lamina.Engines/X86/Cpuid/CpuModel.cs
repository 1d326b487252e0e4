// What CPUID says to a guest, as data: a table made once per machine from the host's and from what is implemented.
// Whoever answers a guest's CPUID (the executor, or the KVM engine through its own table) asks here.
using System.Buffers.Binary;
using System.Collections.Frozen;
using Lamina.Core.Engine;
using Lamina.Engines.X86.Decode;
using Lamina.Host;

namespace Lamina.Engines.X86.Cpuid;

/// <summary>Choices that a CPU model is made with.</summary>
internal sealed record CpuModelOptions
{
    /// <summary>How many vCPUs the machine has: one package of single-threaded cores.</summary>
    public int VcpuCount { get; init; } = 1;

    /// <summary>The guest's time-stamp counter frequency in hertz.</summary>
    public required ulong TscHz { get; init; }

    /// <summary>The frequency that the local APIC's timer divides, in hertz.</summary>
    public ulong ApicTimerHz { get; init; } = 1_000_000_000;

    /// <summary>Which of the features that are there the guest gets.</summary>
    public CpuSelection Selection { get; init; } = CpuSelection.Host;

    /// <summary>The CPU that a saved guest saw, which it is to see again; null for one of this host's.</summary>
    public CpuIdentity? Saved { get; init; }

    /// <summary>The most bits of physical address that it says to have; null for as many as there are.</summary>
    public int? MostPhysicalBits { get; init; }

    /// <summary>Makes guests keep their own guards against branch speculation. See SpeculationFeatures.</summary>
    public bool SoftwareMitigations { get; init; }

    /// <summary>
    /// Guest code runs as it is on the host's CPU (hardware virtualization): guests are told of branch speculation what the
    /// given processor says, and keep their own guards.
    /// </summary>
    public bool RunsNatively { get; init; }

    /// <summary>IA32_ARCH_CAPABILITIES where <see cref="RunsNatively"/>.</summary>
    public ulong NativeArchCapabilities { get; init; }

    /// <summary>Offers the local APIC's TSC deadline.</summary>
    public bool TscDeadline { get; init; } = true;

    /// <summary>Whether the host's kernel calls the host unaffected by a vulnerability of this name.</summary>
    public Func<string, bool> HostUnaffected { get; init; } = SpeculationFeatures.HostUnaffected;
}

/// <summary>Whose manual the processor follows where Intel and AMD differ.</summary>
internal enum CpuVendor
{
    /// <summary>GenuineIntel.</summary>
    Intel,

    /// <summary>AuthenticAMD, HygonGenuine.</summary>
    Amd,
}

/// <summary>A guest CPU's identity and features.</summary>
internal sealed class CpuModel
{
    private readonly FrozenDictionary<(uint Leaf, uint Subleaf), CpuidResult> _table;
    private readonly uint _lastBasic, _lastExtended;
    private readonly (uint Offset, uint Size, bool Aligned)[] _components = new (uint, uint, bool)[64];

    internal CpuModel(CpuModelOptions options, CpuVendor vendor, Dictionary<(uint Leaf, uint Subleaf), CpuidResult> table, ulong archCapabilities)
    {
        Options = options;
        Vendor = vendor;
        _table = table.ToFrozenDictionary();
        _lastBasic = table[(0, 0)].Eax;
        _lastExtended = table[(0x8000_0000, 0)].Eax;
        PhysicalAddressBits = (int)(this[0x8000_0008].Eax & 0xff);
        HasGigabytePages = (this[0x8000_0001].Edx & CpuFeatures.GigabytePages) != 0;
        XcrMask = this[0xd].Eax;
        for (var n = 2u; n < 64; n++)
        {
            var component = table.GetValueOrDefault((0xdu, n));
            _components[n] = (component.Ebx, component.Eax, (component.Ecx & 2) != 0);
        }
        HasXsavec = (this[0xd, 1].Eax & CpuFeatures.Xsavec) != 0;
        HasXgetbv1 = (this[0xd, 1].Eax & CpuFeatures.Xgetbv1) != 0;
        HasRdpid = (this[7].Ecx & CpuFeatures.Rdpid) != 0;
        HasRdtscp = (this[0x8000_0001].Edx & CpuFeatures.Rdtscp) != 0;
        HasNx = (this[0x8000_0001].Edx & CpuFeatures.Nx) != 0;
        HasLongMode = (this[0x8000_0001].Edx & CpuFeatures.LongMode) != 0;
        HasAutomaticIbrs = (this[0x8000_0021].Eax & SpeculationFeatures.AutomaticIbrs) != 0;
        Cr4Mask = Cr4.TSD | Cr4.DE | Cr4.PSE | Cr4.PAE | Cr4.MCE | Cr4.PGE | Cr4.PCE | Cr4.OSFXSR | Cr4.OSXMMEXCPT
            | Offered(7, r => r.Ecx, CpuFeatures.Umip, Cr4.UMIP) | Offered(7, r => r.Ebx, CpuFeatures.FsGsBase, Cr4.FSGSBASE)
            | Offered(1, r => r.Ecx, CpuFeatures.Pcid, Cr4.PCIDE) | Offered(1, r => r.Ecx, CpuFeatures.Xsave, Cr4.OSXSAVE)
            | Offered(7, r => r.Ebx, CpuFeatures.Smep, Cr4.SMEP) | Offered(7, r => r.Ebx, CpuFeatures.Smap, Cr4.SMAP);
        EferMask = Efer.SCE | (HasLongMode ? Efer.LME | Efer.LMA : 0) | (HasNx ? Efer.NXE : 0) | (HasAutomaticIbrs ? Efer.AIBRSE : 0);
        Features = FeatureTable.In((leaf, subleaf) => this[leaf, subleaf]);
        InstructionSet = new InstructionSet(Features.Aggregate(Extensions.None, (all, feature) => all | feature.Extension), vendor == CpuVendor.Amd);
        HasMisalignedSse = Features.Any(feature => feature.Name == "misalignsse");
        ArchCapabilities = archCapabilities;
    }

    /// <summary>Makes the model for this host.</summary>
    public static CpuModel ForHost(CpuModelOptions options) => Create(HostCpuid.Read(), options);

    /// <summary>Makes the model for a given host processor.</summary>
    /// <exception cref="HostException">It lacks what is asked for; the sentence names it.</exception>
    public static CpuModel Create(HostCpuid host, CpuModelOptions options)
    {
        var everything = new CpuModelBuilder(host, options).Build();
        if (options.Saved is { } saved) return SavedCpu.Make(everything, saved);
        var kept = options.Selection.Resolve(everything.Features);
        // What needs something that the processor lacks goes as well.
        var hidden = FeatureTable.All.Where(feature => !kept.Contains(feature) && feature.IsIn(everything[feature.Leaf, feature.Subleaf])).ToArray();
        return hidden.Length == 0 ? everything : new CpuModelBuilder(host.Without(hidden), options).Build();
    }

    /// <summary>Those of the table's features that it has.</summary>
    public IReadOnlySet<CpuFeature> Features { get; }

    /// <summary>The model as a choice that names every feature (CpuSelection).</summary>
    public string Words => string.Join(",+", FeatureTable.All.Where(Features.Contains).Select(feature => feature.Name).Prepend(FeatureTable.Levels[0].Name));

    /// <summary>The CPU as data: what goes with a saved machine.</summary>
    public CpuIdentity Identity => new([.. _table.OrderBy(entry => entry.Key).Select(entry => new CpuLeaf(entry.Key.Leaf, entry.Key.Subleaf, entry.Value.Eax, entry.Value.Ebx, entry.Value.Ecx, entry.Value.Edx))], ArchCapabilities);

    /// <summary>What a saved guest was told of its processor, and could not use, that does not hold here, and is told no longer: names.</summary>
    public IReadOnlyList<string> Withheld { get; init; } = [];

    /// <summary>What its instructions are decoded by.</summary>
    public InstructionSet InstructionSet { get; }

    /// <summary>What it was made with.</summary>
    public CpuModelOptions Options { get; }

    /// <summary>Whose rules hold.</summary>
    public CpuVendor Vendor { get; }

    /// <summary>MAXPHYADDR.</summary>
    public int PhysicalAddressBits { get; }

    /// <summary>The XCR0 bits that may be set.</summary>
    public ulong XcrMask { get; }

    /// <summary>The CR4 bits that may be set.</summary>
    public ulong Cr4Mask { get; }

    /// <summary>The EFER bits that may be set.</summary>
    public ulong EferMask { get; }

    /// <summary>IA32_ARCH_CAPABILITIES; 0 where there is none.</summary>
    public ulong ArchCapabilities { get; }

    /// <summary>CPUID feature of the name.</summary>
    public bool HasGigabytePages { get; }

    /// <inheritdoc cref="HasGigabytePages"/>
    public bool HasXsavec { get; }

    /// <inheritdoc cref="HasGigabytePages"/>
    public bool HasXgetbv1 { get; }

    /// <inheritdoc cref="HasGigabytePages"/>
    public bool HasRdpid { get; }

    /// <inheritdoc cref="HasGigabytePages"/>
    public bool HasRdtscp { get; }

    /// <inheritdoc cref="HasGigabytePages"/>
    public bool HasNx { get; }

    /// <inheritdoc cref="HasGigabytePages"/>
    public bool HasLongMode { get; }

    /// <inheritdoc cref="HasGigabytePages"/>
    public bool HasAutomaticIbrs { get; }

    /// <summary>Whether MXCSR has a bit that makes misaligned operands legal.</summary>
    public bool HasMisalignedSse { get; }

    /// <summary>The table as it stands: what the KVM engine gives to the kernel, and tests look at.</summary>
    public IReadOnlyDictionary<(uint Leaf, uint Subleaf), CpuidResult> Table => _table;

    private CpuidResult this[uint leaf, uint subleaf = 0] => _table.TryGetValue((leaf, subleaf), out var result) ? result : default;

    private ulong Offered(uint leaf, Func<CpuidResult, uint> register, uint feature, ulong bits) =>
        (register(this[leaf]) & feature) != 0 ? bits : 0;

    /// <summary>Where an XSAVE component lies in the standard format, its size, and whether the compacted format aligns it to 64 bytes.</summary>
    public (uint Offset, uint Size, bool Aligned) Component(int number) => _components[number];

    /// <summary>The length of a standard-format XSAVE area that holds these components. SDM vol. 1, 13.4.</summary>
    public uint StandardSize(ulong components)
    {
        var size = 576u;
        for (var n = 2; n < 64; n++)
            if ((components >> n & 1) != 0) size = Math.Max(size, _components[n].Offset + _components[n].Size);
        return size;
    }

    /// <summary>The length of a compacted XSAVE area that holds these components.</summary>
    public uint CompactedSize(ulong components)
    {
        var size = 576u;
        for (var n = 2; n < 64; n++)
        {
            if ((components >> n & 1) == 0) continue;
            if (_components[n].Aligned) size = (size + 63) & ~63u;
            size += _components[n].Size;
        }
        return size;
    }

    /// <summary>Refuses a state that this model cannot be in.</summary>
    /// <exception cref="ArgumentException">A sentence that says what it has which the model lacks.</exception>
    public void Require(VcpuState state)
    {
        const int headerEnd = 576, headerAt = 512;
        var components = state.Xsave.Length >= headerEnd ? BinaryPrimitives.ReadUInt64LittleEndian(state.Xsave.AsSpan(headerAt)) : 0;
        // x87 and SSE are there without XSAVE, too, and XCR0 is 1 then.
        var lacking = (Name("XCR0", state.Xcr0 & ~(XcrMask | 1)) + Name("vector components", components & ~(XcrMask | 3))
            + Name("CR4", state.Cr4 & ~Cr4Mask) + Name("EFER", state.Efer & ~EferMask)).TrimStart(' ', ',');
        if (lacking.Length != 0)
            throw new ArgumentException($"the saved state uses what this CPU model does not offer ({lacking}); restore it on a machine with the CPU model that it was saved with", nameof(state));

        static string Name(string what, ulong bits) => bits == 0 ? "" : $", {what} 0x{bits:x}";
    }

    /// <summary>Answers CPUID on one vCPU.</summary>
    /// <param name="leaf">EAX.</param>
    /// <param name="subleaf">ECX.</param>
    /// <param name="vcpu">Index of the vCPU: its APIC ID.</param>
    /// <param name="cr4">CR4, for OSXSAVE.</param>
    /// <param name="xcr0">XCR0, for the size of the XSAVE area.</param>
    /// <param name="apicEnabled">IA32_APIC_BASE's global enable.</param>
    public CpuidResult Query(uint leaf, uint subleaf, int vcpu, ulong cr4, ulong xcr0, bool apicEnabled)
    {
        var last = leaf >= 0x8000_0000 ? _lastExtended : _lastBasic;
        var beyond = leaf > last && (leaf & 0xffff_ff00) != 0x4000_0000;
        if (beyond && Vendor == CpuVendor.Amd) return default;
        if (beyond) leaf = _lastBasic; // Intel: the highest basic leaf. SDM vol. 2, CPUID.
        if (!_table.TryGetValue((leaf, subleaf), out var result))
        {
            if (leaf is 0xb or 0x1f) return new CpuidResult(0, 0, subleaf & 0xff, (uint)vcpu);
            if (HasSubleaves(leaf) || !_table.TryGetValue((leaf, 0), out result)) return default;
        }
        switch (leaf)
        {
            case 1:
                result = result with
                {
                    Ebx = (result.Ebx & 0x00ff_ffff) | ((uint)vcpu << 24),
                    Ecx = result.Ecx | ((cr4 & Cr4.OSXSAVE) != 0 ? CpuFeatures.Osxsave : 0),
                    Edx = apicEnabled ? result.Edx : result.Edx & ~CpuFeatures.Apic,
                };
                break;
            case 0xb or 0x1f:
                result = result with { Edx = (uint)vcpu };
                break;
            case 0xd when subleaf == 0 && XcrMask != 0:
                result = result with { Ebx = StandardSize(xcr0) };
                break;
            case 0xd when subleaf == 1 && HasXsavec:
                result = result with { Ebx = CompactedSize(xcr0) };
                break;
            case 0x8000_0001 when !apicEnabled && Vendor == CpuVendor.Amd:
                result = result with { Edx = result.Edx & ~CpuFeatures.Apic };
                break;
            case 0x8000_001e:
                result = result with { Eax = (uint)vcpu, Ebx = (uint)vcpu };
                break;
        }
        return result;
    }

    /// <summary>Whose manual a processor follows that answers leaf 0 so.</summary>
    internal static CpuVendor VendorOf(in CpuidResult zero) => zero.Ebx == 0x756e6547 ? CpuVendor.Intel : CpuVendor.Amd; // "Genu"

    internal static bool HasSubleaves(uint leaf) => leaf is 4 or 7 or 0xb or 0xd or 0x1f or 0x8000_001d;
}
