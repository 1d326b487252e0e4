// What a machine has of the host, by its definition, in words. A machine that was suspended, or is put back to a snapshot, goes on by the definition
// in its state, and its process wrote that, which the guest may have taken over by then. So whoever starts it looks at what it was started with the
// last time (MachineHome.Started), which the process cannot reach: of the host it gets no more than then.
using Lamina.Host.Locks;
using Lamina.Hypervisor.Stored;

namespace Lamina.Hypervisor.Locking;

/// <summary>Compares what machines have of the host.</summary>
internal static class HostClaim
{
    /// <summary>Refuses a definition that takes more of the host than another.</summary>
    /// <param name="home">The machine.</param>
    /// <param name="started">What it was started with.</param>
    /// <param name="saved">What its process wrote that it is.</param>
    /// <exception cref="MachineException">It takes more; the sentence names it.</exception>
    internal static void Check(MachineHome home, MachineDefinition started, MachineDefinition saved)
    {
        var had = Of(home, started).ToHashSet(StringComparer.Ordinal);
        if ((Larger(started, saved) ?? Of(home, saved).FirstOrDefault(claim => !had.Contains(claim))) is not { } more) return;
        throw new MachineException(MachineError.File, $"what was kept of the machine {home.Name} asks for {more}, which the machine was not started with: its process was taken over by its guest, or its files were changed; 'lamina start --cold {home.Name}' drops that and lets the machine begin anew");
    }

    private static string? Larger(MachineDefinition started, MachineDefinition saved)
    {
        if (saved.RamBytes > started.RamBytes) return $"{ByteSize.Format(saved.RamBytes)} of memory";
        return saved.Cpus > started.Cpus ? $"{saved.Cpus} CPUs" : null;
    }

    private static IEnumerable<string> Of(MachineHome home, MachineDefinition definition)
    {
        if (definition.Lock != LockMode.Strict) yield return "less than a strict lock";
        if (definition.Lock == LockMode.Off) yield return "no lock";
        yield return definition.Pool is { } pool ? $"a place in the pool {pool}" : "a place in no pool";
        if (definition.GdbPort is { } port) yield return $"a debugger at port {port}";
        if (definition.Display is { } display) yield return $"a display served by {display}";
        foreach (var (path, rights) in MachineLock.OfDefinition(home, definition).Where(rule => !IsOwn(home, rule)))
            foreach (var right in Enum.GetValues<PathRights>())
                if (right != PathRights.None && rights.HasFlag(right)) yield return $"the right to {Verb(right)} {path}";
        foreach (var disk in definition.DevicesOf<DiskDevice>().Where(disk => disk.TrustsBacking && disk.Path != home.Disk)) yield return $"whatever {disk.Path} names as its base";
        foreach (var disk in definition.DevicesOf<DiskDevice>().Where(disk => disk.Direct && disk.Aio != AioMode.Threads)) yield return $"a ring for {disk.Path}";
        foreach (var disk in definition.DevicesOf<DiskDevice>().Where(disk => disk.IsRemote)) yield return $"the disk {disk.Path}";
        foreach (var card in definition.DevicesOf<NetworkDevice>()) yield return $"the network \"{NetworkOf(card)}\"";
    }

    // What its folder holds for it: its disk, and to read what that is based on, its kernel and its settings.
    private static bool IsOwn(MachineHome home, PathRule rule) =>
        rule.Path == home.Disk || rule.Rights is PathRights.Read && (rule.Path == home.Kernel || rule.Path == home.Initrd || rule.Path == home.Base || home.Layers.Contains(rule.Path))
        || rule.Path == home.Seed && (rule.Rights & PathRights.Write) == 0;

    // Which ports of the host lead to it changes while it runs, and so does what else is left out.
    private static string NetworkOf(NetworkDevice card)
    {
        var link = card.Link is NetworkLink.User user ? user with { Published = [], HostName = null } : card.Link;
        return new NetworkDevice { Link = link }.ToString();
    }

    private static string Verb(PathRights right) => right switch
    {
        PathRights.Read => "read",
        PathRights.Write => "write to",
        PathRights.Change => "make and remove files in",
        PathRights.Execute => "execute",
        PathRights.Nodes => "make devices in",
        _ => "control",
    };
}
