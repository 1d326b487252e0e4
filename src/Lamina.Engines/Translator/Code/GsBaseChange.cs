// The ways to change the GS base that hosts have: which one there is decides what generated code and the fault handler do.
namespace Lamina.Engines.Translator.Code;

/// <summary>How generated code changes the GS base, which is how it goes from one address-translation region to another.</summary>
internal enum GsBaseChange
{
    /// <summary>By WRGSBASE: the kernel allows it and keeps the base from one switch between threads to the next (Linux since 5.9).</summary>
    Kept,

    /// <summary>By WRGSBASE, which the processor executes but the kernel knows nothing of: a switch between threads sets the base back (see Runtime/LostRegion).</summary>
    Lost,

    /// <summary>By a system call, arch_prctl(2): older kernels, older processors.</summary>
    Asked,
}
