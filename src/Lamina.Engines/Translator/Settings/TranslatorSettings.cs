// Options of the translator that a user or a test may set.
using Lamina.Engines.Translator.Code;

namespace Lamina.Engines.Translator.Settings;

/// <summary>How the translator works.</summary>
public sealed record TranslatorSettings
{
    /// <summary>Room for generated code in bytes; when it is full all translations are dropped.</summary>
    /// <remarks>From <see cref="LeastCodeBufferBytes"/> to <see cref="MostCodeBufferBytes"/>; memory is taken as code is made, and given back when the machine is quiet.</remarks>
    public int CodeBufferBytes { get; init; } = 256 << 20;

    /// <summary>The bounds of <see cref="CodeBufferBytes"/>: the stubs and some blocks for each vCPU; the reach of jumps.</summary>
    public const int LeastCodeBufferBytes = 16 << 20, MostCodeBufferBytes = 1 << 30;

    /// <summary>Regions for user address spaces of each vCPU: how many processes keep their translations of addresses.</summary>
    public int UserRegions { get; init; } = 8;

    /// <summary>Flags are exact at every instruction that may fault, also where nothing can read them. For conformance tests.</summary>
    public bool Precise { get; init; }

    /// <summary>How much generated code a machine keeps that has been quiet for a while; where it has more, all is dropped and made again as needed.</summary>
    public int QuietCodeBytes { get; init; } = 6 << 20;

    /// <summary>A folder in which translations are kept from one run to the next; null: they are not.</summary>
    /// <remarks>Nobody but the user of this process may be able to write to it: what lies there is executed.</remarks>
    public string? ArchiveFolder { get; init; }

    /// <summary>The most bytes of files in <see cref="ArchiveFolder"/>.</summary>
    public long ArchiveBytes { get; init; } = 1L << 30;

    /// <summary>How many bytes of new code there have to be for something to be put there.</summary>
    public int ArchiveWorthwhileBytes { get; init; } = 1 << 20;

    /// <summary>Says when the machine has been quiet for long enough to give translations back.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>Measures where the vCPUs' time goes.</summary>
    public bool MeasureTime { get; init; }

    /// <summary>One instruction a block. For conformance tests.</summary>
    public bool SingleInstructionBlocks { get; init; }

    /// <summary>How generated code changes the GS base; null: as the host has it. For tests.</summary>
    internal GsBaseChange? GsBase { get; init; }
}
