// Which parts of the lock a machine's process is to have. What its devices need of the host rules some out: those are told with the device,
// and are nothing that a stricter host would give.
using System.Runtime.CompilerServices;
using Lamina.Host.Locks;
using Lamina.Hypervisor.Stored;

namespace Lamina.Hypervisor.Locking;

/// <summary>What is wanted of the lock.</summary>
/// <param name="Parts">What the process is confined to before it begins.</param>
/// <param name="HasOwnUser">Whether it becomes a user of its own when all is open: for root only.</param>
/// <param name="Gaps">What is not wanted, and what this kernel does not know.</param>
internal sealed record LockPlan(ConfinementParts Parts, bool HasOwnUser, IReadOnlyList<LockGap> Gaps)
{
    // From this version on Landlock knows TCP ports.
    private const int KnowsPorts = 4;

    /// <summary>Nothing.</summary>
    internal static LockPlan None { get; } = new(ConfinementParts.None, false, []);

    /// <summary>The plan for a machine.</summary>
    /// <param name="home">Its folder.</param>
    /// <param name="definition">What it is; null where that cannot be read, which its process will say.</param>
    /// <param name="isRoot">Whether root starts it.</param>
    internal static LockPlan Of(MachineHome home, MachineDefinition? definition, bool isRoot)
    {
        if (definition is null or { Lock: LockMode.Off }) return None;
        var parts = ConfinementParts.Namespaces | ConfinementParts.Files | ConfinementParts.Ports;
        var gaps = new List<LockGap>();
        if (MachineLock.UsesNetwork(definition) is { } network) Leave(ConfinementParts.Network, $"{network} is on the host's network");
        if (MachineLock.UsesTcp(definition)) Leave(ConfinementParts.Ports, "the host's ports are the machine's to use");
        var foreign = OfOthers(home, definition);
        if (isRoot && foreign is not null) Leave(ConfinementParts.User, $"{foreign}, which is root's");
        else if (definition.DevicesOf<ShareDevice>().FirstOrDefault() is { } share)
        {
            // Without a user namespace an ordinary user has none of the others.
            foreach (var part in LockReport.Names.Keys.Where(part => parts.HasFlag(part) && ConfinementParts.Namespaces.HasFlag(part))) Leave(part, $"the files of the share {share.Tag} may be of users whom a user namespace would not know");
        }
        var isCompiled = !RuntimeFeature.IsDynamicCodeSupported;
        if (isRoot && foreign is null && !isCompiled) gaps.Add(new LockGap(LockReport.User, "the program is compiled as it runs, from files that are root's", IsOfMachine: false));
        var version = PathLock.Version;
        if (version == 0) Miss(ConfinementParts.Files, "the kernel has no Landlock");
        if (version < KnowsPorts && parts.HasFlag(ConfinementParts.Ports)) Miss(ConfinementParts.Ports, $"the kernel's Landlock is of version {version}, and TCP ports take {KnowsPorts}");
        return new LockPlan(parts, isRoot && foreign is null && isCompiled, gaps);

        void Leave(ConfinementParts part, string reason) => Without(part, reason, isOfMachine: true);
        void Miss(ConfinementParts part, string reason) => Without(part, reason, isOfMachine: false);
        void Without(ConfinementParts part, string reason, bool isOfMachine)
        {
            parts &= ~part;
            gaps.Add(new LockGap(LockReport.Names[part], reason, isOfMachine));
        }
    }

    // What the process still does, when all is open, by right of the user who started it.
    private static string? OfOthers(MachineHome home, MachineDefinition definition)
    {
        if (definition.DevicesOf<ShareDevice>().FirstOrDefault() is { } share) return $"files of the share {share.Tag} are made in it";
        if (definition.DevicesOf<DiskDevice>().FirstOrDefault(disk => disk.RemoteSocket is not null) is { } remote) return $"the socket {remote.RemoteSocket} is connected to again where the connection is lost";
        var below = Path.GetFullPath(home.Work) + "/";
        var other = MachineLock.Written(definition).FirstOrDefault(folder => !(folder + "/").StartsWith(below, StringComparison.Ordinal));
        return other is null ? null : $"the folder {other} is written to";
    }
}
