// What a machine's process is locked by, and what it is not locked by and why: said by whoever starts it and by itself, told to those who ask.
using Lamina.Host.Locks;

namespace Lamina.Hypervisor.Locking;

/// <summary>A part of the lock that is not in force.</summary>
/// <param name="Part">Its name.</param>
/// <param name="Reason">Why not.</param>
/// <param name="IsOfMachine">Whether the machine needs what the part forbids; else the host refuses it.</param>
internal sealed record LockGap(string Part, string Reason, bool IsOfMachine)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Part}: {Reason}";
}

/// <summary>What is in force, by name, and what is not.</summary>
internal sealed record LockReport(IReadOnlyList<string> InForce, IReadOnlyList<LockGap> Gaps)
{
    /// <summary>Names of parts that are put in force when all is open.</summary>
    internal const string Calls = "calls", User = "user", Root = "root", Files = "files";

    // Between the lines of a word, and what begins that of a gap which the machine makes.
    private const char Line = '\n', OfMachine = '+', OfHost = '-';

    /// <summary>Nothing at all.</summary>
    internal static LockReport None { get; } = new([], []);

    /// <summary>The parts that a process is confined by before it begins, by their names.</summary>
    internal static IReadOnlyDictionary<ConfinementParts, string> Names { get; } = new Dictionary<ConfinementParts, string>
    {
        [ConfinementParts.User] = User,
        [ConfinementParts.Root] = Root,
        [ConfinementParts.Processes] = "processes",
        [ConfinementParts.Messages] = "ipc",
        [ConfinementParts.HostName] = "host-name",
        [ConfinementParts.Network] = "network",
        [ConfinementParts.Files] = Files,
        [ConfinementParts.Ports] = "ports",
    };

    /// <summary>The report on a process that is about to begin.</summary>
    /// <param name="confined">What it is confined by.</param>
    /// <param name="plan">What was wanted.</param>
    internal static LockReport Of(Confined confined, LockPlan plan) => new(
        [.. Names.Where(part => confined.InForce.HasFlag(part.Key)).Select(part => part.Value)],
        [.. plan.Gaps, .. Names.Where(part => confined.Refused.ContainsKey(part.Key)).Select(part => new LockGap(part.Value, confined.Refused[part.Key], IsOfMachine: false))]);

    /// <summary>What one process tells the next, as a word.</summary>
    internal static LockReport Parse(string word)
    {
        var lines = word.Split(Line);
        return new LockReport(lines[0].Split(',', StringSplitOptions.RemoveEmptyEntries), [.. lines.Skip(1).Where(line => line.Length > 1).Select(ParseGap)]);
    }

    /// <summary>What one process tells the next, as a word.</summary>
    internal string Word => string.Join(Line, Gaps.Select(gap => $"{(gap.IsOfMachine ? OfMachine : OfHost)}{gap.Part}:{gap.Reason}".ReplaceLineEndings(" ")).Prepend(string.Join(',', InForce)));

    /// <summary>With one more part.</summary>
    internal LockReport With(string part) => new([.. InForce, part], [.. Gaps.Where(gap => gap.Part != part)]);

    /// <summary>Without a part that was wanted.</summary>
    internal LockReport Without(string part, string reason) => new([.. InForce.Where(name => name != part)], [.. Gaps.Where(gap => gap.Part != part), new LockGap(part, reason, IsOfMachine: false)]);

    /// <summary>What the host does not give of the whole lock, as a part of a sentence; null where nothing is missing.</summary>
    internal string? Missing => Gaps.Where(gap => !gap.IsOfMachine).ToArray() is { Length: > 0 } missing ? string.Join("; ", missing.AsEnumerable()) : null;

    private static LockGap ParseGap(string line) => line[1..].Split(':', 2) is [var part, var reason] ? new LockGap(part, reason, line[0] == OfMachine) : new LockGap(line[1..], "", line[0] == OfMachine);
}
