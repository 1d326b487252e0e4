// What .NET's file API leaves out: making a folder's entries durable, second names for files, files that only their owner may
// read, and reasons in words of its failures.
using System.ComponentModel;
using System.Runtime.InteropServices;
using Lamina.Host.Interop;
using Lamina.Host.Io;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Host;

/// <summary>Files on the host.</summary>
public static class HostFiles
{
    private const int LargestErrno = 4096, OwnerOnly = 0x180; // 0600

    // Shorter runs of zeros are written: each hole is two questions more for who reads the file.
    private const int LeastHole = 64 << 10;

    /// <summary>Waits until a folder's entries (created, renamed, removed names) are on the disk.</summary>
    /// <exception cref="HostException">The folder cannot be opened or the disk reports an error.</exception>
    public static void SyncDirectory(string path) => Sync(path, Libc.O_DIRECTORY, $"the folder {path}");

    /// <summary>Waits until what was written to a file is on the disk, whoever wrote it.</summary>
    /// <exception cref="HostException">The file cannot be opened or the disk reports an error.</exception>
    public static void SyncFile(string path) => Sync(path, Libc.O_NOFOLLOW | Libc.O_NONBLOCK, path);

    /// <summary>Waits until a folder's entries and what its files hold are on the disk; not what lies in folders below it.</summary>
    /// <exception cref="HostException">One cannot be opened or the disk reports an error.</exception>
    public static void SyncFolder(string path)
    {
        foreach (var file in Directory.EnumerateFiles(path)) SyncFile(file);
        SyncDirectory(path);
    }

    private static void Sync(string path, int flags, string what)
    {
        var descriptor = Libc.open(path, Libc.O_RDONLY | Libc.O_CLOEXEC | flags, 0);
        if (descriptor < 0) throw HostException.FromErrno($"cannot open {what}");
        try
        {
            if (Libc.fsync(descriptor) != 0) throw HostException.FromErrno($"cannot write {what} to the disk");
        }
        finally
        {
            _ = Libc.close(descriptor);
        }
    }

    /// <summary>Whether a file or folder is there and this user may write it. access(2).</summary>
    public static bool MayWrite(string path) => Libc.access(path, Libc.W_OK) == 0;

    /// <summary>Takes a file's name away; false where there is none. Of two that do so, or that give it another name, one succeeds.</summary>
    /// <exception cref="HostException">It may not be.</exception>
    public static bool TryUnlink(string path) => Libc.unlink(path) == 0 || (Marshal.GetLastPInvokeError() == Libc.ENOENT ? false : throw HostException.FromErrno($"cannot remove {path}"));

    /// <summary>Removes an empty folder; whatever else is there stays. rmdir(2).</summary>
    public static void TryRemoveFolder(string path) => _ = Libc.rmdir(path);

    /// <summary>Gives a file a second name. False where that cannot be: on another file system, or one without hard links.</summary>
    public static bool TryLink(string existing, string name) => Libc.link(existing, name) == 0;

    /// <summary>Where a path leads when every link on the way is followed; null where it leads nowhere. realpath(3).</summary>
    public static unsafe string? RealPath(string path)
    {
        var real = Libc.realpath(path, null);
        if (real is null) return null;
        var text = Marshal.PtrToStringUTF8((nint)real);
        NativeMemory.Free(real);
        return text;
    }

    /// <summary>Makes a file that only its owner may read, for what may hold a guest's secrets or a user's words. One that is there keeps its permissions.</summary>
    /// <param name="path">Its name.</param>
    /// <param name="mode">Whether there may be one already, and what becomes of it.</param>
    public static FileStream CreatePrivate(string path, FileMode mode) => new(path, new FileStreamOptions
    {
        Mode = mode,
        Access = FileAccess.Write,
        // Shared, so that it can be followed.
        Share = FileShare.ReadWrite | FileShare.Delete,
        BufferSize = 0,
        UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite,
    });

    /// <summary>Opens a file to append to, which only its owner may read; makes it where there is none. Whoever left another thing there, or a link to a file elsewhere, has nothing of it.</summary>
    /// <exception cref="HostException">What is there is no ordinary file, or it cannot be opened.</exception>
    public static FileStream OpenLog(string path)
    {
        var descriptor = Libc.open(path, Libc.O_WRONLY | Libc.O_CREAT | Libc.O_APPEND | Libc.O_NOFOLLOW | Libc.O_NONBLOCK | Libc.O_CLOEXEC, OwnerOnly);
        if (descriptor < 0) throw HostException.FromErrno($"cannot write to {path}");
        var handle = new SafeFileHandle(descriptor, ownsHandle: true);
        if (NamedFile.KindOf(path, followsLink: false) is not (NamedKind.File or null) and { } kind)
        {
            handle.Dispose();
            throw new HostException($"cannot write to {path}: it is {NamedFile.Describe(kind)}");
        }
        return new FileStream(handle, FileAccess.Write, bufferSize: 0);
    }

    /// <summary>Writes a file that is there whole or as it was before. Only its owner may read it. Where it cannot be written nothing is left beside it.</summary>
    /// <param name="path">Its name.</param>
    /// <param name="content">What it is to hold.</param>
    /// <param name="durable">Whether it is on the disk when this returns.</param>
    /// <exception cref="IOException">The host refuses it.</exception>
    /// <exception cref="UnauthorizedAccessException">Likewise.</exception>
    public static void Replace(string path, ReadOnlySpan<byte> content, bool durable = false)
    {
        var under = path + ".new";
        try
        {
            // What is there is not written to: it may be another name of something else.
            _ = TryUnlink(under);
            using (var file = CreatePrivate(under, FileMode.CreateNew))
            {
                file.Write(content);
                file.Flush(flushToDisk: durable);
            }
            File.Move(under, path, overwrite: true);
            if (durable) SyncDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            if (File.Exists(under)) File.Delete(under);
            throw;
        }
    }

    /// <summary>Writes bytes to a new file of which long runs of zeros take no room: it has holes there.</summary>
    public static void WriteSparse(FileStream file, ReadOnlySpan<byte> content)
    {
        ArgumentNullException.ThrowIfNull(file);
        for (var at = 0; at < content.Length; at += LeastHole)
        {
            var piece = content.Slice(at, Math.Min(LeastHole, content.Length - at));
            if (piece.IndexOfAnyExcept((byte)0) >= 0) RandomAccess.Write(file.SafeFileHandle, piece, at);
        }
        file.SetLength(content.Length);
    }

    /// <summary>The first range of a file from an offset on that is no hole, as far as an end; empty at the end where there is none. A host that cannot tell has no holes. lseek(2).</summary>
    public static (long Start, long End) NextData(SafeFileHandle file, long offset, long end)
    {
        ArgumentNullException.ThrowIfNull(file);
        var descriptor = (int)file.DangerousGetHandle();
        var start = Libc.lseek(descriptor, offset, Libc.SEEK_DATA);
        if (start < 0) return Marshal.GetLastPInvokeError() == Libc.ENXIO ? (end, end) : (offset, end);
        if (start >= end) return (end, end);
        var hole = Libc.lseek(descriptor, start, Libc.SEEK_HOLE);
        return (start, hole < 0 ? end : Math.Min(hole, end));
    }

    /// <summary>Why a file could not be opened, as the end of a sentence.</summary>
    public static string Reason(Exception failure, string path)
    {
        ArgumentNullException.ThrowIfNull(failure);
        return failure switch
        {
            _ when Directory.Exists(path) => "it is a folder",
            DirectoryNotFoundException => "its folder does not exist",
            FileNotFoundException => "it does not exist",
            UnauthorizedAccessException => "permission denied",
            PathTooLongException => "its name is too long",
            // .NET keeps errno in it where it has no type for it.
            IOException { HResult: > 0 and < LargestErrno and var errno } => new Win32Exception(errno).Message,
            _ => failure.Message.TrimEnd('.'),
        };
    }
}
