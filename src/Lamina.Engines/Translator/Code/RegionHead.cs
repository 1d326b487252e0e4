// What lies before the tables of an address-translation region (Runtime/AddressRegion) for generated code to read: how much
// was filled in, and what the page walker is to ask of an entry.
using System.Runtime.InteropServices;

namespace Lamina.Engines.Translator.Code;

/// <summary>What a region tells generated code about itself.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct RegionHead
{
    /// <summary>Entries in the fill log that are not global: page numbers, from its start on.</summary>
    public ulong LocalCount;

    /// <summary>Those that are global, from its end downwards.</summary>
    public ulong GlobalCount;

    /// <summary>How many entries there may be in all before C# is to count what they take.</summary>
    public ulong FillLimit;

    /// <summary>Which region of the vCPU this is.</summary>
    public ulong Number;

    /// <summary>What the write hints get or'ed to a page number here.</summary>
    public ulong HintTag;

    /// <summary>Page walker: bits that every level's entry must have for a read, for a write.</summary>
    public ulong WalkRead, WalkWrite;

    /// <summary>Page walker: the U/S bit where a page that users may access must be left to C# (SMAP in force), else 0.</summary>
    public ulong WalkForbidden;

    /// <summary>Some of the pieces of the tables, a page each, of which C# has counted that they are there, by their number's low bits.</summary>
    public fixed ulong KnownPieces[KnownPieceCount];

    /// <summary>Entries of <see cref="KnownPieces"/>, a power of two.</summary>
    public const int KnownPieceCount = 256;

    /// <summary>Entries in a piece, as a power of two: it is for 2 MiB of addresses.</summary>
    public const int PieceShift = 9;
}
