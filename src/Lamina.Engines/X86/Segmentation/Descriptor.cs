// Segment and gate descriptors as they lie in memory. SDM vol. 3, 3.4.5, 5.8.3, 6.11, 7.2.
namespace Lamina.Engines.X86.Segmentation;

/// <summary>One 8-byte descriptor, with the upper half of a 16-byte one where the mode has them.</summary>
/// <param name="Raw">The first 8 bytes.</param>
/// <param name="High">Bytes 8 to 15 of a system descriptor in IA-32e mode, else 0.</param>
internal readonly record struct Descriptor(ulong Raw, ulong High = 0)
{
    /// <summary>Attributes in the layout of <see cref="SegmentAttributes"/>.</summary>
    public uint Attributes => (uint)(Raw >> 40) & 0xf0ff;

    public uint Type => (uint)(Raw >> 40) & 15;

    public bool IsSystem => (Raw & (1UL << 44)) == 0;

    public uint Dpl => (uint)(Raw >> 45) & 3;

    public bool IsPresent => (Raw & (1UL << 47)) != 0;

    public bool IsCode => (Raw & (0x18UL << 40)) == 0x18UL << 40;

    public bool IsConforming => (Raw & (0x1cUL << 40)) == 0x1cUL << 40;

    public bool IsReadableOrData => !IsSystem && (!IsCode || (Type & SegmentAttributes.Readable) != 0);

    public bool IsWritableData => !IsSystem && !IsCode && (Type & SegmentAttributes.Writable) != 0;

    public bool IsLong => (Raw & (1UL << 53)) != 0;

    public bool IsBig => (Raw & (1UL << 54)) != 0;

    public ulong Base => ((Raw >> 16) & 0xff_ffff) | ((Raw >> 32) & 0xff00_0000) | (High << 32);

    public uint Limit
    {
        get
        {
            var limit = (uint)(Raw & 0xffff) | (uint)((Raw >> 32) & 0xf_0000);
            return (Raw & (1UL << 55)) != 0 ? (limit << 12) | 0xfff : limit;
        }
    }

    // Gates

    public ushort GateSelector => (ushort)(Raw >> 16);

    public uint GateOffset16 => (uint)Raw & 0xffff;

    public uint GateOffset32 => ((uint)Raw & 0xffff) | ((uint)(Raw >> 32) & 0xffff_0000);

    public ulong GateOffset64 => GateOffset32 | (High << 32);

    public int GateParameterCount => (int)(Raw >> 32) & 31;

    public int GateStackTable => (int)(Raw >> 32) & 7;

    /// <summary>The register that a load of this descriptor makes.</summary>
    public SegmentRegister ToRegister(ushort selector) => new() { Base = Base, Limit = Limit, Attributes = Attributes, Selector = selector };
}
