// What is done to names in a folder that is held. A name is one component, of bytes, without a NUL; "." and ".." are none.
using Lamina.Host.Interop;

namespace Lamina.Host.Io;

public unsafe partial class HostNode
{
    // A usual name and its NUL; longer ones are copied to the heap.
    private const int ShortName = 264;

    // The kernel takes texts of less (PATH_MAX, getname()): of a longer one so much is copied that it refuses it, in its turn among
    // all that is wrong.
    private const int LongestText = 4096;

    /// <summary>Attributes of what a name stands for; a symbolic link's own.</summary>
    public int StatusOf(ReadOnlySpan<byte> name, out HostStatus status)
    {
        status = default;
        if (Check(name) is var wrong && wrong < 0) return wrong;
        fixed (byte* text = Terminated(name, stackalloc byte[ShortName])) return HostStatus.Of(Descriptor, text, Libc.AT_SYMLINK_NOFOLLOW | Libc.AT_NO_AUTOMOUNT, out status);
    }

    /// <summary>Holds what a name stands for; a symbolic link itself.</summary>
    public int Find(ReadOnlySpan<byte> name, out HostNode? node, out HostStatus status)
    {
        (node, status) = (null, default);
        if (Check(name) is var wrong && wrong < 0) return wrong;
        int descriptor;
        fixed (byte* text = Terminated(name, stackalloc byte[ShortName])) descriptor = Result(Libc.openat(Descriptor, text, Libc.O_PATH | Libc.O_NOFOLLOW | Libc.O_CLOEXEC, 0));
        if (descriptor < 0) return descriptor;
        byte empty = 0;
        var result = HostStatus.Of(descriptor, &empty, Libc.AT_EMPTY_PATH, out status);
        if (result < 0)
        {
            _ = Libc.close(descriptor);
            return result;
        }
        node = new HostNode(descriptor, status.Mode);
        return 0;
    }

    /// <summary>Opens a regular file or a folder by name.</summary>
    /// <param name="name">Which.</param>
    /// <param name="flags">As in <see cref="Open(int, out HostOpenNode?)"/>.</param>
    /// <param name="open">The open file.</param>
    public int Open(ReadOnlySpan<byte> name, int flags, out HostOpenNode? open)
    {
        open = null;
        var result = Find(name, out var node, out _);
        if (result < 0) return result;
        using (node) return node!.Open(flags, out open);
    }

    /// <summary>Makes and opens a regular file, which must not exist.</summary>
    public int Create(ReadOnlySpan<byte> name, int flags, uint mode, out HostOpenNode? open)
    {
        open = null;
        if (Check(name) is var wrong && wrong < 0) return wrong;
        fixed (byte* text = Terminated(name, stackalloc byte[ShortName])) return Create(text, (flags & OpenFlags) | Libc.O_CREAT | Libc.O_EXCL, mode, out open);
    }

    /// <summary>Makes and opens a regular file without a name (O_TMPFILE, open(2)); with O_EXCL among the flags it never gets one.</summary>
    public int CreateNameless(int flags, uint mode, out HostOpenNode? open)
    {
        fixed (byte* self = "."u8) return Create(self, (flags & (OpenFlags | Libc.O_EXCL)) | Libc.O_TMPFILE, mode, out open);
    }

    /// <summary>Makes a folder.</summary>
    public int CreateFolder(ReadOnlySpan<byte> name, uint mode)
    {
        if (Check(name) is var wrong && wrong < 0) return wrong;
        fixed (byte* text = Terminated(name, stackalloc byte[ShortName])) return Result(Libc.mkdirat(Descriptor, text, mode & ModeBits));
    }

    /// <summary>Makes a regular file, a pipe or a socket, by the type in the mode; 0 stands for a regular file. Devices are refused.</summary>
    public int CreateNode(ReadOnlySpan<byte> name, uint mode)
    {
        if ((mode & Libc.S_IFMT) is not (0 or Libc.S_IFREG or Libc.S_IFIFO or Libc.S_IFSOCK)) return PermissionDenied;
        if (Check(name) is var wrong && wrong < 0) return wrong;
        fixed (byte* text = Terminated(name, stackalloc byte[ShortName])) return Result(Libc.mknodat(Descriptor, text, mode & (Libc.S_IFMT | ModeBits), 0));
    }

    /// <summary>Makes a symbolic link, which nobody follows here.</summary>
    public int CreateLink(ReadOnlySpan<byte> name, ReadOnlySpan<byte> target)
    {
        if (Check(name) is var wrong && wrong < 0) return wrong;
        fixed (byte* text = Terminated(name, stackalloc byte[ShortName]), to = Terminated(target, stackalloc byte[ShortName])) return Result(Libc.symlinkat(to, Descriptor, text));
    }

    /// <summary>Gives a node a further name here.</summary>
    public int Link(HostNode existing, ReadOnlySpan<byte> name)
    {
        if (Check(name) is var wrong && wrong < 0) return wrong;
        fixed (byte* text = Terminated(name, stackalloc byte[ShortName]), node = existing.ProcPath(stackalloc byte[ProcPathLength]))
            return Result(Libc.linkat(Libc.AT_FDCWD, node, Descriptor, text, Libc.AT_SYMLINK_FOLLOW));
    }

    /// <summary>Removes a name.</summary>
    public int Remove(ReadOnlySpan<byte> name, bool isFolder)
    {
        if (Check(name) is var wrong && wrong < 0) return wrong;
        fixed (byte* text = Terminated(name, stackalloc byte[ShortName])) return Result(Libc.unlinkat(Descriptor, text, isFolder ? Libc.AT_REMOVEDIR : 0));
    }

    /// <summary>Renames, with renameat2(2)'s flags.</summary>
    public int Rename(ReadOnlySpan<byte> name, HostNode target, ReadOnlySpan<byte> newName, uint flags)
    {
        if (Check(name) is var wrong && wrong < 0) return wrong;
        if (Check(newName) is var alsoWrong && alsoWrong < 0) return alsoWrong;
        fixed (byte* from = Terminated(name, stackalloc byte[ShortName]), to = Terminated(newName, stackalloc byte[ShortName]))
            return Result(Libc.renameat2(Descriptor, from, target.Descriptor, to, flags));
    }

    /// <summary>Changes the times of what a name stands for.</summary>
    public int SetTimes(ReadOnlySpan<byte> name, HostFileTime? access, HostFileTime? change)
    {
        if (Check(name) is var wrong && wrong < 0) return wrong;
        fixed (byte* text = Terminated(name, stackalloc byte[ShortName])) return SetTimes(text, access, change, Libc.AT_SYMLINK_NOFOLLOW);
    }

    private int Create(byte* path, int flags, uint mode, out HostOpenNode? open)
    {
        open = null;
        var descriptor = Result(Libc.openat(Descriptor, path, flags | Libc.O_CLOEXEC, mode & ModeBits));
        if (descriptor < 0) return descriptor;
        open = new HostOpenNode(descriptor, Libc.S_IFREG);
        return 0;
    }

    private static int Check(ReadOnlySpan<byte> name) =>
        name.IsEmpty || name.ContainsAny((byte)'/', (byte)0) || name.SequenceEqual("."u8) || name.SequenceEqual(".."u8) ? Invalid : 0;

    // A text with a NUL behind it: in the room, or where that is too small on the heap.
    private static Span<byte> Terminated(ReadOnlySpan<byte> text, Span<byte> room)
    {
        text = text[..Math.Min(text.Length, LongestText)];
        var into = text.Length < room.Length ? room : new byte[text.Length + 1];
        text.CopyTo(into);
        into[text.Length] = 0;
        return into;
    }
}
