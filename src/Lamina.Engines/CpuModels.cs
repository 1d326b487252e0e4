// CPU models as users name them: whether a name is one, and what this host can give. What a model is made of is the matter of
// X86/Cpuid; an engine refuses by itself what it cannot give.
using Lamina.Engines.X86.Cpuid;

namespace Lamina.Engines;

/// <summary>The names of CPU models.</summary>
public static class CpuModels
{
    /// <summary>All that the host has and the engine gives.</summary>
    public const string Host = CpuSelection.HostName;

    /// <summary>The names that stand before switches.</summary>
    public static IReadOnlyList<string> Names { get; } = [Host, .. FeatureTable.Levels.Select(level => level.Name)];

    /// <summary>Why a text names no model, as a sentence; null where it names one, be it one that this host cannot give.</summary>
    public static string? WhyNot(string text)
    {
        try
        {
            CpuSelection.Parse(text);
            return null;
        }
        catch (FormatException wrong)
        {
            return wrong.Message;
        }
    }

    /// <summary>The highest level that a guest can have on this host's processor.</summary>
    public static string HighestLevel() => CpuSelection.HighestLevel(CpuModel.ForHost(new CpuModelOptions { TscHz = 1_000_000_000 }).Features);
}
