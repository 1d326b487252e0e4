// The lock of a machine that runs on a terminal, in the process of whoever typed its command. That process has a terminal, a working folder and
// threads by the time that it knows its machine, so that it cannot leave them for namespaces; what it can do from the guest's first
// instruction on are the system calls of its machine, within the files of its machine and of this run, and nothing that it would start gains privileges.
using System.Security.Cryptography;
using Lamina.Host;
using Lamina.Host.Locks;

namespace Lamina.Hypervisor.Locking;

/// <summary>Locks the process that runs a machine on a terminal.</summary>
public static class TerminalLock
{
    /// <summary>Refuses a machine that is to be locked by more than a process on a terminal can be; one that is not refused is going to be locked before long.</summary>
    /// <exception cref="MachineException">It is.</exception>
    public static void Check(MachineDefinition definition)
    {
        ArgumentNullException.ThrowIfNull(definition);
        if (definition.Lock == LockMode.Strict) throw new MachineException("a machine on your terminal is locked by system calls and files alone, which is not all of the lock; a machine that is kept has it all: lamina create --lock strict");
    }

    /// <summary>Locks this process for good. All that the machine needs must be open.</summary>
    /// <param name="definition">The machine.</param>
    /// <param name="speaks">Whether this process speaks to the guest's agent.</param>
    /// <param name="copies">Whether it copies files out of the guest, too.</param>
    /// <param name="reads">Files and folders that this run reads beside the machine's own.</param>
    /// <param name="writes">Folders that it writes.</param>
    /// <returns>Why it could not be locked, as a part of a sentence; null where it is, or is not to be.</returns>
    public static string? TryEnter(MachineDefinition definition, bool speaks, bool copies, IEnumerable<string> reads, IEnumerable<string> writes)
    {
        ArgumentNullException.ThrowIfNull(definition);
        ArgumentNullException.ThrowIfNull(reads);
        ArgumentNullException.ThrowIfNull(writes);
        if (definition.Lock == LockMode.Off) return null;
        if (speaks || MayDigest(definition)) Load();
        // The filter lets no thread be restricted any more. Where the kernel has no Landlock there is the filter alone.
        var files = PathLock.Version == 0 ? null : Try(LockReport.Files, () => PathLock.Enter([.. Paths(definition), .. reads.Select(path => new PathRule(path, PathRights.Read)), .. writes.Select(path => new PathRule(path, MachineLock.Folder))], MachineLock.UsesTcp(definition)));
        var calls = Try(LockReport.Calls, () => CallFilter.Enter(MachineLock.Calls(definition) | CallGroup.Terminal | (copies ? CallGroup.Folders : 0), report: null));
        return files is not null && calls is not null ? $"{files}; {calls}" : files ?? calls;

        static string? Try(string part, Action enter)
        {
            try
            {
                enter();
                return null;
            }
            catch (HostException refused)
            {
                return new LockGap(part, refused.Message, IsOfMachine: false).ToString();
            }
        }
    }

    // What a fault's details, a disk that is not kept, and this run's own folder lie in, is there for all of this user's programs.
    private static IEnumerable<PathRule> Paths(MachineDefinition definition)
    {
        foreach (var rule in MachineLock.OfProgram(Environment.ProcessPath!)) yield return rule;
        foreach (var rule in MachineLock.Named(definition)) yield return rule;
        foreach (var share in definition.DevicesOf<ShareDevice>().Where(share => !share.ReadOnly)) yield return new PathRule(share.Path, PathRights.Nodes);
        yield return new PathRule(Path.GetTempPath(), MachineLock.Folder);
        yield return new PathRule("/dev/tty", MachineLock.ReadWrite | PathRights.Control);
        if (definition.DevicesOf<NetworkDevice>().Any(card => card.Link is NetworkLink.User) && HostFiles.RealPath("/etc/resolv.conf") is { } names) yield return new PathRule(MachineLock.Above(names), PathRights.Read);
    }

    // A screen's viewers are answered with digests, and an NVMe drive has its name from one.
    private static bool MayDigest(MachineDefinition definition) => definition.Display is not null || definition.DevicesOf<DiskDevice>().Any(disk => disk.Bus == DriveBus.Nvme);

    // The library of digests, which takes milliseconds. What is loaded later could not be any more.
    private static void Load() => SHA256.HashData(default(ReadOnlySpan<byte>));
}
