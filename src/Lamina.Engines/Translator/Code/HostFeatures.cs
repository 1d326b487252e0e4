// Which instructions the host's processor has that generated code may use where it has them. The processor is asked, and not the runtime:
// a program that was compiled ahead of time for any processor answers IsSupported for the one that it was compiled for.
using System.Runtime.Intrinsics.X86;

namespace Lamina.Engines.Translator.Code;

/// <summary>The host's optional instructions.</summary>
internal static class HostFeatures
{
    // SDM vol. 2, CPUID: 1.ECX[27, 28], 7.0.EBX[3]; D.0.EBX is the size of what XCR0 has enabled, 576 bytes without AVX (vol. 1, 13.4).
    private const uint Osxsave = 1 << 27, AvxBit = 1 << 28, Bmi1Bit = 1 << 3;
    private const int XsaveLeaf = 0xd, SizeWithoutAvx = 576;

    /// <summary>BMI1: ANDN, BEXTR, BLSR.</summary>
    public static bool HasBmi1 { get; } = MostLeaf >= 7 && ((uint)X86Base.CpuId(7, 0).Ebx & Bmi1Bit) != 0;

    /// <summary>AVX, and the host's kernel keeps its registers.</summary>
    public static bool HasAvx { get; } = MostLeaf >= XsaveLeaf && ((uint)X86Base.CpuId(1, 0).Ecx & (Osxsave | AvxBit)) == (Osxsave | AvxBit) && X86Base.CpuId(XsaveLeaf, 0).Ebx > SizeWithoutAvx;

    private static int MostLeaf => X86Base.CpuId(0, 0).Eax;
}
