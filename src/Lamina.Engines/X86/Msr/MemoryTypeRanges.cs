// The MTRRs, as registers: they are checked and remembered, and have no effect, as RAM is always cached here.
// SDM vol. 3, 12.11.
namespace Lamina.Engines.X86.Msr;

/// <summary>MTRRs of one processor.</summary>
internal sealed class MemoryTypeRanges(int physicalAddressBits)
{
    /// <summary>IA32_MTRRCAP: 8 variable ranges, fixed ranges, write-combining.</summary>
    public const ulong Capabilities = 8 | 1 << 8 | 1 << 10;

    private readonly ulong[] _variable = new ulong[16];
    private readonly ulong[] _fixed = new ulong[11];
    private ulong _default;

    public void Reset()
    {
        Array.Clear(_variable);
        Array.Clear(_fixed);
        _default = 0;
    }

    public bool TryRead(uint index, out ulong value)
    {
        value = 0;
        if (index == MsrIndex.MtrrCap) value = Capabilities;
        else if (index == MsrIndex.MtrrDefaultType) value = _default;
        else if (index is >= MsrIndex.MtrrPhysicalFirst and <= MsrIndex.MtrrPhysicalLast) value = _variable[index - MsrIndex.MtrrPhysicalFirst];
        else if (FixedIndex(index) is var n and >= 0) value = _fixed[n];
        else return false;
        return true;
    }

    /// <summary>Writes; false: #GP, or not an MTRR.</summary>
    public bool TryWrite(uint index, ulong value)
    {
        var addressBits = ((1UL << physicalAddressBits) - 1) & ~0xfffUL;
        if (index == MsrIndex.MtrrDefaultType)
        {
            if ((value & ~0xcffUL) != 0 || !IsType((byte)value)) return false;
            _default = value;
            return true;
        }
        if (index is >= MsrIndex.MtrrPhysicalFirst and <= MsrIndex.MtrrPhysicalLast)
        {
            var isMask = (index & 1) != 0;
            if (isMask ? (value & ~(addressBits | 0x800)) != 0 : (value & ~(addressBits | 0xff)) != 0 || !IsType((byte)value)) return false;
            _variable[index - MsrIndex.MtrrPhysicalFirst] = value;
            return true;
        }
        if (FixedIndex(index) is not (var n and >= 0)) return false;
        for (var shift = 0; shift < 64; shift += 8)
            if (!IsType((byte)(value >> shift))) return false;
        _fixed[n] = value;
        return true;
    }

    public void Save(IDictionary<uint, ulong> msrs)
    {
        msrs[MsrIndex.MtrrDefaultType] = _default;
        for (var n = 0u; n < 16; n++) msrs[MsrIndex.MtrrPhysicalFirst + n] = _variable[n];
        foreach (var index in FixedRegisters) msrs[index] = _fixed[FixedIndex(index)];
    }

    public void Load(IReadOnlyDictionary<uint, ulong> msrs)
    {
        Reset();
        foreach (var (index, value) in msrs) TryWrite(index, value);
    }

    private static ReadOnlySpan<uint> FixedRegisters => [0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f];

    private static int FixedIndex(uint index) => FixedRegisters.IndexOf(index);

    // UC, WC, WT, WP, WB. SDM vol. 3, table 12-8.
    private static bool IsType(byte type) => type is 0 or 1 or 4 or 5 or 6;
}
