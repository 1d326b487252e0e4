// A controller's registers: one place for each that holds what is written to it or counts, found by its offset in memory. What a register
// does beside is its controller's business. Those that this has no place for read as 0 and take nothing.
using Lamina.Core.State;
using static Lamina.Devices.Ethernet.E1000Spec;

namespace Lamina.Devices.Ethernet;

/// <summary>The registers.</summary>
internal sealed class E1000Registers
{
    private const int End = 0xc000;

    // Where a register's value is, by the offset's words; 0 for none. One map for all, as a register means the same in all of the family.
    private static readonly ushort[] s_places = new ushort[End / sizeof(uint)];
    private static readonly int s_count = MakePlaces();

    // What the manual says of a register's width, where it is not a whole word: rings' addresses, lengths and places, delays.
    private const uint AddressBits = 0xffff_fff0, LengthBits = 0xf_ff80, PlaceBits = 0xffff;

    private readonly E1000Model _model;
    private readonly uint[] _values = new uint[s_count];

    internal E1000Registers(E1000Model model, ReadOnlySpan<byte> mac)
    {
        _model = model;
        Reset(mac);
    }

    /// <summary>A register's value; nothing where there is no such register.</summary>
    internal uint this[int offset]
    {
        get => _values[s_places[offset / sizeof(uint)]];
        set
        {
            if (s_places[offset / sizeof(uint)] is > 0 and var place) _values[place] = value;
        }
    }

    /// <summary>As after a reset.</summary>
    internal void Reset(ReadOnlySpan<byte> mac)
    {
        Array.Clear(_values);
        this[CTRL] = CtrlFullDuplex | CtrlSetLinkUp | CtrlSpeed1000;
        this[VET] = 0x8100;
        this[RXCSUM] = _model.IsExpress ? IpChecksum | TransportChecksum : 0;
        this[0x1000] = _model.IsExpress ? 0x0014_0014u : 0x0010_0030;
        this[0x0e00] = 0x0706_8302;
        this[0x0410] = 0x0060_200a;
        // The first address is the card's own, out of its memory.
        this[RA] = (uint)(mac[0] | mac[1] << 8 | mac[2] << 16 | mac[3] << 24);
        this[RA + 4] = (uint)(mac[4] | mac[5] << 8) | AddressValid;
        if (!_model.IsExpress) return;
        // All set up by hardware that could be waited for.
        this[EEMNGCTL] = 1u << 31 | 1 << 18;
        this[0x3840] = this[0x3940] = 3;
    }

    /// <summary>The register that an offset stands for: some have places from before as well (82540EM: 13.3, table 13-2, "alias").</summary>
    internal static int Resolve(ulong offset)
    {
        var at = (int)Math.Min(offset & ~3ul, MemoryLength);
        return at switch
        {
            >= End => End - sizeof(uint),
            0x108 => RDTR,
            >= 0x110 and <= 0x128 => RDBAL + at - 0x110,
            >= 0x420 and <= 0x438 => TDBAL + at - 0x420,
            0x440 => TIDV,
            >= 0x040 and < 0x0c0 => RA + at - 0x040,
            >= 0x200 and < 0x400 => MTA + at - 0x200,
            >= 0x600 and < 0x800 => VFTA + at - 0x600,
            _ => at,
        };
    }

    /// <summary>Stores what is written, as far as the register takes it.</summary>
    internal void Store(int offset, uint value)
    {
        var ring = offset is >= RDBAL and < RDBAL + 2 * RingStride or >= TDBAL and < TDBAL + 2 * RingStride ? offset & (RingStride - 1) : -1;
        this[offset] = ring switch
        {
            RDBAL & (RingStride - 1) => value & AddressBits,
            RDLEN & (RingStride - 1) => value & LengthBits,
            RDH & (RingStride - 1) or RDT & (RingStride - 1) => value & PlaceBits,
            _ => value,
        };
    }

    /// <summary>Counts; a counter that is full stays so (13.7).</summary>
    internal void Count(int statistic, uint count = 1)
    {
        ref var value = ref _values[s_places[statistic / sizeof(uint)]];
        value = uint.MaxValue - value < count ? uint.MaxValue : value + count;
    }

    /// <summary>Counts octets, in a register of 64 bits.</summary>
    internal void CountOctets(int low, uint octets)
    {
        var sum = (this[low] | (ulong)this[low + 4] << 32) + octets;
        (this[low], this[low + 4]) = ((uint)sum, (uint)(sum >> 32));
    }

    /// <summary>Reads a statistic, which is 0 from then on; one of 64 bits when its upper half is read.</summary>
    internal uint TakeStatistic(int offset)
    {
        var value = this[offset];
        switch (offset)
        {
            case GORCL or GOTCL or TORL or TOTL:
                break;
            case GORCL + 4 or GOTCL + 4 or TORL + 4 or TOTL + 4:
                this[offset] = this[offset - 4] = 0;
                break;
            default:
                this[offset] = 0;
                break;
        }
        return value;
    }

    internal void Exchange(SavedFields fields) => fields.Values(1, _values);

    private static int MakePlaces()
    {
        var next = 1;
        // The order is that of saved states: what is added goes to the end.
        foreach (var (first, count) in ((int, int)[])
        [
            (CTRL, 1), (EECD, 4), (MDIC, 1), (0x0028, 3), (VET, 1), (ICR, 2), (IMS, 1), (EIAC, 3), (EITR, 5), (RCTL, 1), (0x0170, 1), (0x0178, 1), (TCTL, 2), (0x0410, 1), (0x0458, 1),
            (0x0e00, 1), (0x0f00, 1), (0x0f08, 1), (0x0f10, 1), (0x1000, 1), (0x1008, 1), (EEMNGCTL, 1), (0x2160, 1), (0x2168, 1), (PSRCTL, 1),
            (RDBAL, 3), (RDH, 1), (RDT, 1), (RDTR, 1), (0x2828, 2), (RDBAL + RingStride, 3), (RDH + RingStride, 1), (RDT + RingStride, 1), (0x2928, 1), (0x2c00, 1),
            (TDBAL, 3), (TDH, 1), (TDT, 1), (TIDV, 1), (0x3828, 2), (0x3840, 1), (TDBAL + RingStride, 3), (TDH + RingStride, 1), (TDT + RingStride, 1), (0x3928, 1), (0x3940, 1),
            (FirstStatistic, (EndOfStatistics - FirstStatistic) / sizeof(uint)), (RXCSUM, 1), (RFCTL, 1), (MTA, MulticastWords), (RA, 2 * Addresses), (VFTA, VlanWords),
            (0x5800, 1), (0x5808, 1), (0x5810, 1), (MRQC, 1), (0x5820, 1), (0x5838, 1), (0x5860, 1), (0x5b00, 1), (0x5b30, 1), (SWSM, 2), (0x5b64, 1), (RETA, 32), (RSSRK, 10),
            (0xb608, 1), (0xb614, 1), (0xb620, 1), (0xb634, 2),
        ])
        {
            for (var i = 0; i < count; i++) s_places[(first / sizeof(uint)) + i] = (ushort)next++;
        }
        return next;
    }
}
