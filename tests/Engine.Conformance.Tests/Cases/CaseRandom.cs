// The random numbers of case generation: a fixed algorithm (splitmix64), so that a seed means the same case for ever.
namespace Lamina.Tests.Engine.Conformance.Cases;

/// <summary>A reproducible source of random numbers.</summary>
internal sealed class CaseRandom(ulong seed)
{
    private ulong _state = seed;

    /// <summary>Values that arithmetic likes to get wrong.</summary>
    private static ReadOnlySpan<ulong> Special =>
    [
        0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 33, 63, 64, 65, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff,
        0x1_0000_0000, 0x7fff_ffff_ffff_ffff, 0x8000_0000_0000_0000, ulong.MaxValue, ulong.MaxValue - 1, 0x5555_5555_5555_5555, 0xaaaa_aaaa_aaaa_aaaa,
    ];

    private static ReadOnlySpan<ulong> Floats =>
    [
        0x3f80_0000_3f80_0000, 0xbf80_0000_4000_0000, 0x7f80_0000_ff80_0000, 0x7fc0_0000_7f80_0001, 0x0000_0001_8000_0000, 0x4f00_0000_cf00_0000, 0x7f7f_ffff_0080_0000,
        0x3ff0_0000_0000_0000, 0xbff8_0000_0000_0000, 0x7ff0_0000_0000_0000, 0xfff0_0000_0000_0000, 0x7ff8_0000_0000_0000, 0x7ff0_0000_0000_0001, 0x0000_0000_0000_0001,
        0x8000_0000_0000_0000, 0x43e0_0000_0000_0000, 0x41e0_0000_0000_0000, 0x7fef_ffff_ffff_ffff, 0x0010_0000_0000_0000, 0x3c00_bc00_7c00_7e01, 0x4059_0000_0000_0000,
    ];

    /// <summary>The seed of case <paramref name="index"/> of a run.</summary>
    public static ulong SeedOf(ulong run, long index) => new CaseRandom(run ^ ((ulong)index * 0xd134_2543_de82_ef95)).Next();

    public ulong Next()
    {
        _state += 0x9e37_79b9_7f4a_7c15;
        var z = _state;
        z = (z ^ z >> 30) * 0xbf58_476d_1ce4_e5b9;
        z = (z ^ z >> 27) * 0x94d0_49bb_1331_11eb;
        return z ^ z >> 31;
    }

    /// <summary>0 to <paramref name="limit"/> - 1.</summary>
    public int Below(int limit) => (int)((Next() >> 32) * (ulong)limit >> 32);

    public bool Chance(int percent) => Below(100) < percent;

    public T Pick<T>(ReadOnlySpan<T> from) => from[Below(from.Length)];

    public T Pick<T>(IReadOnlyList<T> from) => from[Below(from.Count)];

    /// <summary>A register's value: often a special one, or near one.</summary>
    public ulong Value()
    {
        var value = Next();
        switch (Below(8))
        {
            case 0 or 1: return value;
            case 2: return value >> Below(64);
            case 3: return (ulong)((long)value >> Below(64));
            case 4: return (uint)value;
            case 5: return Pick(Special) + (ulong)(Below(5) - 2);
            default: return Pick(Special);
        }
    }

    /// <summary>Eight bytes of a vector: floating-point values of all kinds, integers, noise.</summary>
    public ulong VectorValue() => Below(8) switch
    {
        0 or 1 or 2 => Pick(Floats),
        3 => Pick(Special),
        4 => (ulong)BitConverter.DoubleToInt64Bits((Below(20000) - 10000) / 8.0),
        5 => (ulong)(uint)BitConverter.SingleToInt32Bits((Below(20000) - 10000) / 8f) << 32 | (uint)BitConverter.SingleToInt32Bits((Below(2000) - 1000) / 4f),
        _ => Next(),
    };
}
