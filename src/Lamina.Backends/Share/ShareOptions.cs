// How a folder is shared, and how much a guest can have the host remember for it.
using Lamina.Core.Logging;
using Lamina.Host.Io;

namespace Lamina.Backends.Share;

/// <summary>How a folder is shared.</summary>
public sealed record ShareOptions
{
    /// <summary>Whether the guest may only read.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>Whether the guest may read and set extended attributes, those of users (<c>user.*</c>) alone.</summary>
    public bool ExtendedAttributes { get; init; }

    /// <summary>What it is called in sentences; null for its path.</summary>
    public string? Name { get; init; }

    /// <summary>Told what of a saved state is not there any more; with locks held.</summary>
    public ILog? Log { get; init; }

    /// <summary>What it may take of the host.</summary>
    public ShareLimits Limits { get; init; } = ShareLimits.For(shares: 1, guestBytes: 0);
}

/// <summary>What a shared folder may take of the host.</summary>
/// <param name="OpenFiles">Files that a guest can have open; one more is refused (ENFILE).</param>
/// <param name="HeldNodes">Descriptors of folders, and of what has lost its name; for one more another one is closed.</param>
/// <param name="NodeBytes">Memory for what a guest knows by number; for more it has to forget something (ENOMEM).</param>
public sealed record ShareLimits(int OpenFiles, int HeldNodes, long NodeBytes)
{
    // Of the process's descriptors: what others need, and what one folder takes at most, since each keeps memory of the kernel's.
    private const int OfOthers = 256, MostOpenFiles = 8192, MostHeldNodes = 8192;

    /// <summary>What each of the two kinds has where the process may have little.</summary>
    public const int Least = 16;

    // A node takes less than a third of what the guest's own kernel takes for it, an inode and a directory entry in its memory.
    private const int GuestBytesForNodes = 3;
    private const long LeastNodeBytes = 64 << 20, MostNodeBytes = 2L << 30;

    /// <summary>What suits a machine.</summary>
    /// <param name="shares">How many folders share this process's descriptors, whose limit is raised as far as it may be.</param>
    /// <param name="guestBytes">The guest's memory.</param>
    public static ShareLimits For(int shares, ulong guestBytes)
    {
        var descriptors = Math.Max(HostLimits.RaiseDescriptors() - OfOthers, 0) / Math.Max(shares, 1);
        // A quarter of what is left stays for disks, networks and other machines of this process.
        return new ShareLimits(
            Math.Clamp(descriptors / 2, Least, MostOpenFiles),
            Math.Clamp(descriptors / 4, Least, MostHeldNodes),
            Math.Clamp((long)(guestBytes / GuestBytesForNodes), LeastNodeBytes, MostNodeBytes));
    }
}
