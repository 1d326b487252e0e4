// Options of the translator that a user or a test may set.
namespace Lamina.Engines.Translator;

/// <summary>How the translator works.</summary>
public sealed record TranslatorSettings
{
    /// <summary>Room for generated code in bytes; when it is full all translations are dropped.</summary>
    public int CodeBufferBytes { get; init; } = 256 << 20;

    /// <summary>Regions for user address spaces of each vCPU: how many processes keep their translations of addresses.</summary>
    public int UserRegions { get; init; } = 8;

    /// <summary>Flags are exact at every instruction that may fault, also where nothing can read them. For conformance tests.</summary>
    public bool Precise { get; init; }

    /// <summary>One instruction a block. For conformance tests.</summary>
    public bool SingleInstructionBlocks { get; init; }
}
