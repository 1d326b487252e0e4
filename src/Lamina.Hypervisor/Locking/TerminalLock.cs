// The lock of a machine that runs on a terminal, in the process of whoever typed its command. That process has a terminal, a working folder and
// threads by the time that it knows its machine, so that it cannot leave them for namespaces; what it can do from the guest's first
// instruction on are the system calls of its machine, and nothing that it would start gains privileges.
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
        if (definition.Lock == LockMode.Strict) throw new MachineException("a machine on your terminal is locked by system calls alone, which is not all of the lock; a machine that is kept has it all: lamina create --lock strict");
    }

    /// <summary>Locks this process for good. All that the machine needs must be open.</summary>
    /// <param name="definition">The machine.</param>
    /// <param name="speaks">Whether this process speaks to the guest's agent.</param>
    /// <param name="copies">Whether it copies files out of the guest, too.</param>
    /// <returns>Why it could not be locked, as a part of a sentence; null where it is, or is not to be.</returns>
    public static string? TryEnter(MachineDefinition definition, bool speaks, bool copies)
    {
        ArgumentNullException.ThrowIfNull(definition);
        if (definition.Lock == LockMode.Off) return null;
        if (speaks || MayDigest(definition)) Load();
        try
        {
            CallFilter.Enter(MachineLock.Calls(definition) | CallGroup.Terminal | (copies ? CallGroup.Folders : 0), report: null);
            return null;
        }
        catch (HostException refused)
        {
            return refused.Message;
        }
    }

    // A screen's viewers are answered with digests, and an NVMe drive has its name from one.
    private static bool MayDigest(MachineDefinition definition) => definition.Display is not null || definition.DevicesOf<DiskDevice>().Any(disk => disk.Bus == DriveBus.Nvme);

    // The library of digests, which takes milliseconds. What is loaded later could not be any more.
    private static void Load() => SHA256.HashData(default(ReadOnlySpan<byte>));
}
