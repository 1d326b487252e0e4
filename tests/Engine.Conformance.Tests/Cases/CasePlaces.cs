// Where cases of several instructions have their data and their code.
using Lamina.Tests.Engine.Conformance.Oracle;

namespace Lamina.Tests.Engine.Conformance.Cases;

/// <summary>Places that are worth meeting.</summary>
internal static class CasePlaces
{
    /// <summary>An address at the edges of pages, of all kinds of them, or in the middle of data, or not canonical.</summary>
    /// <param name="random">Chooses.</param>
    /// <param name="near">How far from an edge.</param>
    public static ulong Data(CaseRandom random, ulong near) => random.Below(10) switch
    {
        < 6 => CaseLayout.Data + (ulong)random.Below(5) * CaseLayout.PageSize + near,
        < 9 => CaseLayout.Data + 0x400 + (ulong)random.Below(0x2000),
        _ => random.Pick<ulong>([0, 1ul << 47, ulong.MaxValue << 46, random.Next()]) + near,
    };

    /// <summary>Where in the image code of some bytes starts: mostly anywhere in its pages, else so that it crosses into the second.</summary>
    public static int Code(CaseRandom random, int length) =>
        CaseLayout.CodeInImage + (random.Chance(20) ? CaseLayout.PageSize - random.Below(length) : random.Below(CaseLayout.CodeSize - length - 16));
}
