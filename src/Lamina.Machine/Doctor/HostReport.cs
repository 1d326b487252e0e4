// What this host offers to machines: a list of checks, each with what was found and, where something is missing, the command
// that mends it. It looks and measures; it changes nothing but the memory of the measured engine.

namespace Lamina.Doctor;

/// <summary>How a check came out.</summary>
public enum HostCheckStatus
{
    /// <summary>It is there.</summary>
    Good,

    /// <summary>It works, with a limit that is worth knowing.</summary>
    Limited,

    /// <summary>It is not there, or not permitted.</summary>
    Missing,
}

/// <summary>One line of the report.</summary>
/// <param name="Name">What was looked at: a short, stable word.</param>
/// <param name="Status">How it came out.</param>
/// <param name="Finding">What was found, in a few words.</param>
/// <param name="Remedy">What to do, where something can be done: a command or a sentence.</param>
/// <param name="Value">A figure that belongs to the finding (instructions a second, bytes, a count), or null.</param>
public sealed record HostCheck(string Name, HostCheckStatus Status, string Finding, string? Remedy = null, double? Value = null);

/// <summary>The report on a host.</summary>
/// <param name="AutoEngine">The engine that "auto" chooses: "kvm", "translator", or null where neither works.</param>
/// <param name="Checks">All checks, in the order in which a person wants to read them.</param>
public sealed record HostReport(string? AutoEngine, IReadOnlyList<HostCheck> Checks)
{
    /// <summary>Looks at this host.</summary>
    public static HostReport Create() => Create(new HostFacts());

    internal static HostReport Create(HostFacts facts)
    {
        var verdict = facts.Kvm.Judge();
        var kvm = EngineChecks.Kvm(verdict, facts);
        var translator = EngineChecks.Translator(facts);
        var auto = verdict.IsHardware ? "kvm" : translator.Status == HostCheckStatus.Missing ? null : "translator";
        return new HostReport(auto,
        [
            kvm,
            translator,
            new HostCheck("auto", auto is null ? HostCheckStatus.Missing : HostCheckStatus.Good, auto is null ? "no engine works here" : $"chooses {auto}"),
            ResourceChecks.Processors(facts),
            ResourceChecks.CpuModel(facts),
            ResourceChecks.Memory(facts),
            ResourceChecks.Overcommit(facts),
            ResourceChecks.Disk(facts),
            ResourceChecks.CodeArchive(facts),
            ResourceChecks.IoUring(facts),
            ResourceChecks.Tap(facts),
            ResourceChecks.UserNamespaces(facts),
            ResourceChecks.Landlock(facts),
            ResourceChecks.ControlGroups(facts),
            ResourceChecks.HugePages(facts),
            ResourceChecks.PageSharing(facts),
        ]);
    }
}
