// The few combinations of flags, implicit registers and operand sizes that a row names by number. Arrays rather than
// spans over constant data: before a method is optimised, making such a span costs a call into the runtime.
namespace Lamina.Engines.X86.Decode.Tables;

/// <summary>What the numbers in a row's second word stand for.</summary>
internal static class Patterns
{
    /// <summary>Flags read (bits 0-15), written (16-31) and undefined (32-47), at their places in RFLAGS.</summary>
    internal static readonly ulong[] Flags =
    [
        0,
        0x000_0000_0001, // FlRc
        0x000_0000_0800, // FlRo
        0x000_0000_0004, // FlRp
        0x000_0000_0080, // FlRs
        0x000_0000_0040, // FlRz
        0x000_0001_0000, // FlWc
        0x000_0040_0000, // FlWz
        0x000_0000_0041, // FlRcz
        0x000_0000_0880, // FlRso
        0x000_0801_0000, // FlWco
        0x000_0001_0001, // FlRcWc
        0x000_0800_0800, // FlRoWo
        0x000_0000_08C0, // FlRzso
        0x000_0801_0001, // FlRcWco
        0x800_0801_0000, // FlWcoUo
        0x000_0000_00D5, // FlRcpazs
        0x000_00D5_0000, // FlWcpazs
        0x000_08D4_0000, // FlWpazso
        0x000_0000_08D5, // FlRcpazso
        0x800_0801_0001, // FlRcWcoUo
        0x000_08D5_0000, // FlWcpazso
        0x000_08D5_0001, // FlRcWcpazso
        0x010_08D5_0000, // FlWcpazsoUa
        0x810_08D5_0000, // FlWcpazsoUao
        0x014_08D5_0000, // FlWcpazsoUpa
        0x894_0895_0000, // FlWcpasoUpaso
        0x811_08D5_0000, // FlWcpazsoUcao
        0x094_08D5_0000, // FlWcpazsoUpas
        0x800_08D5_0011, // FlRcaWcpazsoUo
        0x894_08D5_0000, // FlWcpazsoUpaso
        0x0D4_08D5_0000, // FlWcpazsoUpazs
        0x895_08D5_0000, // FlWcpazsoUcpaso
        0x8C4_08D5_0010, // FlRaWcpazsoUpzso
        0x000_08D5_08D5, // FlRcpazsoWcpazso
        0x8D5_08D5_0000, // FlWcpazsoUcpazso
    ];

    /// <summary>General registers read (bits 0-15) and written (16-31).</summary>
    internal static readonly uint[] Implicit =
    [
        0,
        0x0000_0001, // ImRa
        0x0000_0002, // ImRc
        0x0000_0004, // ImRd
        0x0001_0000, // ImWa
        0x0002_0000, // ImWc
        0x0000_0003, // ImRac
        0x0000_0005, // ImRad
        0x0000_0080, // ImRDi
        0x0005_0000, // ImWad
        0x0010_0000, // ImWSp
        0x0000_000B, // ImRacb
        0x0000_0007, // ImRacd
        0x0001_0001, // ImRaWa
        0x0004_0001, // ImRaWd
        0x0000_0802, // ImRc11
        0x0002_0002, // ImRcWc
        0x0001_0004, // ImRdWa
        0x0007_0000, // ImWacd
        0x0802_0000, // ImWc11
        0x0001_0009, // ImRabWa
        0x0002_0005, // ImRadWc
        0x0005_0001, // ImRaWad
        0x0005_0002, // ImRcWad
        0x0005_0005, // ImRadWad
        0x0010_0006, // ImRcdWSp
        0x0010_0010, // ImRSpWSp
        0x0080_0081, // ImRaDiWDi
        0x0080_0084, // ImRdDiWDi
        0x0040_0044, // ImRdSiWSi
        0x0041_0040, // ImRSiWaSi
        0x0005_000F, // ImRacdbWad
        0x000F_0003, // ImRacWacdb
        0x0030_0020, // ImRBpWSpBp
        0x00C0_00C0, // ImRSiDiWSiDi
        0x0030_0030, // ImRSpBpWSpBp
        0x0010_00FF, // ImRacdbSpBpSiDiWSp
        0x00FF_0010, // ImRSpWacdbSpBpSiDi
    ];

    /// <summary>Fixed sizes of memory operands: none, M1 to M512, Mxsave.</summary>
    internal static readonly ushort[] MemorySizes = [0, 1, 2, 4, 8, 10, 16, 32, 64, 512, 576];
}
