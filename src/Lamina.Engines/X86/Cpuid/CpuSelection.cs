// Which CPU model a user asks for: "host" or a level of the x86-64 psABI, then switches: "x86-64-v3,+smap", "host,-avx512f". A
// switched-off feature takes with it what needs it; a switched-on one brings what it needs. What the host cannot give is refused
// by name.
using Lamina.Host;

namespace Lamina.Engines.X86.Cpuid;

/// <summary>A choice of a CPU model.</summary>
internal sealed class CpuSelection
{
    /// <summary>The host's, as far as the engine gives it.</summary>
    public const string HostName = "host";

    private readonly IReadOnlyList<string>? _level;
    private readonly List<(CpuFeature Feature, bool On)> _switches = [];

    private CpuSelection(string text, IReadOnlyList<string>? level) => (Text, _level) = (text, level);

    /// <summary>All that the host has and the engine gives.</summary>
    public static CpuSelection Host { get; } = new(HostName, null);

    /// <summary>As it was asked for.</summary>
    public string Text { get; }

    /// <summary>Whether nothing is taken away.</summary>
    public bool IsHost => _level == null && _switches.Count == 0;

    /// <summary>Reads a choice.</summary>
    /// <exception cref="FormatException">A sentence that says what is wrong.</exception>
    public static CpuSelection Parse(string text)
    {
        var words = text.Split(',');
        var level = FeatureTable.Levels.FirstOrDefault(candidate => candidate.Name == words[0]);
        if (level.Name is null && words[0] != HostName)
            throw new FormatException($"there is no CPU model '{words[0]}'; use {HostName}, {string.Join(", ", FeatureTable.Levels.Select(one => one.Name))}, and switches behind it ({HostName},-avx512f)");
        var selection = new CpuSelection(text, level.Features);
        foreach (var word in words.AsSpan(1))
        {
            if (word.Length < 2 || word[0] is not ('+' or '-')) throw new FormatException($"'{word}' in the CPU model '{text}' is no switch; write -{word.TrimStart('+', '-')} to take a feature away, +{word.TrimStart('+', '-')} to add it");
            var feature = FeatureTable.Find(word[1..])
                ?? throw new FormatException($"there is no CPU feature '{word[1..]}' that can be switched; there are: {string.Join(' ', FeatureTable.All.Select(one => one.Name))}");
            selection._switches.Add((feature, word[0] == '+'));
        }
        return selection;
    }

    /// <summary>The features that the model has.</summary>
    /// <param name="offered">What the host has and the engine gives.</param>
    /// <exception cref="HostException">A sentence that names what is missing.</exception>
    public HashSet<CpuFeature> Resolve(IReadOnlySet<CpuFeature> offered)
    {
        HashSet<CpuFeature> wanted = _level == null ? [.. offered] : [.. _level.Select(name => FeatureTable.Find(name)!)];
        foreach (var (feature, on) in _switches)
        {
            if (on) Add(wanted, feature);
            else wanted.Remove(feature);
            // In the order of the table needs come first, so that one pass drops all that hangs on what is gone.
            foreach (var other in FeatureTable.All)
                if (other.Needs.Any(need => wanted.All(there => there.Name != need))) wanted.Remove(other);
        }
        var missing = FeatureTable.All.Where(feature => wanted.Contains(feature) && !offered.Contains(feature)).Select(feature => feature.Name).ToArray();
        if (missing.Length != 0)
        {
            throw new HostException($"this host cannot give the CPU model '{Text}': it lacks {string.Join(", ", missing)}; "
                + $"use {HostName} or {HighestLevel(offered)}, which it can");
        }
        return wanted;
    }

    /// <summary>The name of the highest level that is wholly offered.</summary>
    public static string HighestLevel(IReadOnlySet<CpuFeature> offered) =>
        FeatureTable.Levels.Last(level => level.Features.All(name => offered.Any(feature => feature.Name == name))).Name;

    private static void Add(HashSet<CpuFeature> wanted, CpuFeature feature)
    {
        foreach (var need in feature.Needs) Add(wanted, FeatureTable.Find(need)!);
        wanted.Add(feature);
    }
}
