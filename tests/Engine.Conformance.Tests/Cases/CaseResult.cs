// The state in which one side ended a case.
using Lamina.Tests.Engine.Conformance.Oracle;

namespace Lamina.Tests.Engine.Conformance.Cases;

/// <summary>How a case ended. The object is used again.</summary>
internal sealed class CaseResult(int xsaveSize)
{
    /// <summary>Stands for "did not end": the case loops or did what the oracle must not do.</summary>
    public const int NoVector = -1;

    /// <summary>The exception that ended it; 3 is the regular end.</summary>
    public int Vector { get; set; }

    /// <summary>Its error code, where it has one.</summary>
    public ulong Error { get; set; }

    /// <summary>For #PF.</summary>
    public ulong Cr2 { get; set; }

    /// <summary>Where in the memory the exception's own frame lies, or -1.</summary>
    public int FrameAt { get; set; } = -1;

    public ulong[] Gpr { get; } = new ulong[16];

    public ulong Rip { get; set; }

    public ulong Rflags { get; set; }

    public byte[] Xsave { get; } = new byte[xsaveSize];

    public byte[] Memory { get; } = new byte[CaseLayout.ImageSize];
}
