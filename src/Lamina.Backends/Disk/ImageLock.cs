// Keeps two machines from one disk. The locks are those that QEMU takes as well (block/file-posix.c): a shared lock on a
// byte for each thing that the holder does, and on another for each thing that nobody else may do. So an image in use
// here is in use for QEMU's programs, and the other way round.
using Lamina.Host;
using Lamina.Host.Io;

namespace Lamina.Backends.Disk;

/// <summary>Locks image files.</summary>
internal static class ImageLock
{
    // A holder of permission n has locked the first of these + n; one who does not share it has locked the second + n.
    private const long Held = 100, Unshared = 200;

    // BLK_PERM_CONSISTENT_READ, BLK_PERM_WRITE, BLK_PERM_RESIZE
    private const int Read = 0, Write = 1, Resize = 3;

    // A process that is just being started holds copies of its parent's files, and with them their locks, until it has become
    // the program that it is to be: an image that was closed a moment ago may look as if somebody used it.
    private const int Attempts = 10;
    private static readonly TimeSpan BetweenAttempts = TimeSpan.FromMilliseconds(20);

    /// <summary>Takes the locks of a reader or a writer; they go with the open file.</summary>
    /// <exception cref="HostException">Somebody uses the image, or the file system has no locks.</exception>
    internal static void Take(DiskFile file, bool write)
    {
        for (var attempt = 0; attempt < Attempts; attempt++)
        {
            if (TryTake(file, write)) return;
            Thread.Sleep(BetweenAttempts);
        }
        throw new HostException(write
            ? $"{file.Path} is in use by another machine or program; end that one first, or use a copy or an overlay of the image"
            : $"{file.Path} is being written by another machine or program; end that one first");
    }

    /// <summary>A writer is a reader from now on.</summary>
    /// <exception cref="HostException">The file system has no locks.</exception>
    internal static void Share(DiskFile file)
    {
        foreach (var permission in (int[])[Write, Resize]) file.UnlockByte(Held + permission);
    }

    private static bool TryTake(DiskFile file, bool write)
    {
        int[] own = write ? [Read, Write, Resize] : [Read];
        int[] unshared = [Write, Resize];
        // First taken, then looked at: of two that do so at once, at least one sees the other.
        return Array.TrueForAll(own, permission => file.TryLockByte(Held + permission))
            && Array.TrueForAll(unshared, permission => file.TryLockByte(Unshared + permission))
            && !Array.Exists(own, permission => file.IsByteLocked(Unshared + permission))
            && !Array.Exists(unshared, permission => file.IsByteLocked(Held + permission));
    }
}
