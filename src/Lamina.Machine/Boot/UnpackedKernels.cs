// The user's unpacked kernels. A kernel that unpacks itself in the guest does so at each start; unpacked once, it is there at the next in the time
// of a copy. Files are named by what the kernel's file was when they were made: its file system, number, length, the time of its last change, and the
// last bytes of what it has packed.
using Lamina.Folders;
using Lamina.Host;
using Lamina.Host.Io;

namespace Lamina.Boot;

/// <summary>A folder with unpacked kernels.</summary>
internal static class UnpackedKernels
{
    /// <summary>Its name among what can be made again.</summary>
    internal const string FolderName = "kernels";

    /// <summary>The most files in it; those that were used last stay.</summary>
    internal const int Most = 8;

    private const int EndLength = 12;
    private const string Suffix = ".vmlinux";

    /// <summary>The user's; null where no variable names a folder.</summary>
    internal static string? Place => UserFolders.Cache is { } cache ? Path.Combine(cache, FolderName) : null;

    /// <summary>Opens a kernel's, which is made if need be; null where that cannot be: then it unpacks itself, which harms nothing but speed.</summary>
    /// <param name="folder">The folder.</param>
    /// <param name="kernel">The kernel.</param>
    /// <param name="payload">What of it is unpacked.</param>
    /// <param name="isUsable">Looks at what was unpacked, before it is kept.</param>
    internal static BootFile? Open(string folder, BootFile kernel, KernelPayload payload, Func<BootFile, bool> isUsable)
    {
        Span<byte> end = stackalloc byte[EndLength];
        try
        {
            if (kernel.Version is not { } version || !kernel.TryRead(payload.Offset + (ulong)payload.Length - EndLength, end)) return null;
            var path = Path.Combine(folder, $"{version}-{Convert.ToHexStringLower(end)}{Suffix}");
            return Find(path, payload) ?? (TryMake(folder, path, kernel, payload, isUsable) ? Find(path, payload) : null);
        }
        catch (Exception refused) when (refused is IOException or UnauthorizedAccessException or OutOfMemoryException or MachineException { Error: MachineError.File })
        {
            return null;
        }
    }

    private static BootFile? Find(string path, KernelPayload payload)
    {
        if (NamedFile.KindOf(path, followsLink: false) is not NamedKind.File) return null;
        var file = BootFile.Open("unpacked kernel", path, ulong.MaxValue);
        if (file.Length == (ulong)payload.UnpackedLength) return file;
        file.Dispose();
        return null;
    }

    private static bool TryMake(string folder, string path, BootFile kernel, KernelPayload payload, Func<BootFile, bool> isUsable)
    {
        Directory.CreateDirectory(folder, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        if (!HostFiles.MayWrite(folder)) return false;
        using var packed = new HostBuffer(payload.Length);
        using var unpacked = new HostBuffer(payload.UnpackedLength);
        if (!kernel.TryRead(payload.Offset, packed.Span) || !PayloadUnpacker.TryUnpack(payload.Kind, packed.Span, unpacked.Span)) return false;
        // A name of its own, since others may be making the same.
        var under = $"{path}.{Convert.ToHexStringLower(HostRandom.Bytes(8))}";
        try
        {
            using (var file = HostFiles.CreatePrivate(under, FileMode.CreateNew)) HostFiles.WriteSparse(file, unpacked.Span);
            using (var made = BootFile.Open("unpacked kernel", under, ulong.MaxValue))
                if (!isUsable(made)) return false;
            File.Move(under, path, overwrite: true);
        }
        finally
        {
            _ = HostFiles.TryUnlink(under);
        }
        Tidy(folder, path);
        return true;
    }

    // What a process left that died meanwhile goes as well, when it is old.
    private static void Tidy(string folder, string added)
    {
        foreach (var file in new DirectoryInfo(folder).GetFiles().Where(file => file.FullName != added).OrderByDescending(file => file.LastAccessTimeUtc > file.LastWriteTimeUtc ? file.LastAccessTimeUtc : file.LastWriteTimeUtc).Skip(Most - 1))
            _ = HostFiles.TryUnlink(file.FullName);
    }
}
