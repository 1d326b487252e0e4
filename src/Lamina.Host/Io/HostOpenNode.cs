// An open file or folder: a node that is read and written as well. Answers are values, as in HostNode.cs.
using Lamina.Host.Interop;

namespace Lamina.Host.Io;

/// <summary>An open file or folder.</summary>
public sealed unsafe class HostOpenNode : HostNode
{
    internal HostOpenNode(int descriptor, uint mode)
        : base(descriptor, mode)
    {
    }

    /// <summary>Reads. How many bytes.</summary>
    public int Read(ulong offset, Span<byte> into)
    {
        fixed (byte* start = into) return Result(Libc.pread(Descriptor, start, (nuint)into.Length, (long)offset));
    }

    /// <summary>Writes. How many bytes.</summary>
    public int Write(ulong offset, ReadOnlySpan<byte> from)
    {
        fixed (byte* start = from) return Result(Libc.pwrite(Descriptor, start, (nuint)from.Length, (long)offset));
    }

    /// <summary>
    /// Writes behind the end, wherever that is by now. How many bytes. A file is never opened with O_APPEND: what its pages hold is
    /// written back to their own place through whichever descriptor there is (BUGS in pwrite(2)).
    /// </summary>
    public int Append(ReadOnlySpan<byte> from)
    {
        fixed (byte* start = from)
        {
            // struct iovec.
            var vector = stackalloc nint[] { (nint)start, from.Length };
            return Result(Libc.pwritev2(Descriptor, vector, 1, 0, Libc.RWF_APPEND));
        }
    }

    /// <summary>Sets the length of a file that is open for writing.</summary>
    public int Truncate(ulong length) => Result(Libc.ftruncate(Descriptor, (long)length));

    /// <summary>Returns when what was written is durable.</summary>
    public int Sync(bool dataOnly) => Result(dataOnly ? Libc.fdatasync(Descriptor) : Libc.fsync(Descriptor));

    /// <summary>Returns when everything that was written to its file system is durable.</summary>
    public int SyncFileSystem() => Result(Libc.syncfs(Descriptor));

    /// <summary>fallocate(2).</summary>
    public int Allocate(int mode, ulong offset, ulong length) => Result(Libc.fallocate(Descriptor, mode, (long)offset, (long)length));

    /// <summary>lseek(2) to data or to a hole. The place, or a negative error number.</summary>
    public long Seek(ulong offset, int whence)
    {
        var place = Libc.lseek(Descriptor, (long)offset, whence);
        return place >= 0 ? place : Result(-1);
    }

    /// <summary>Reads entries of a folder (struct linux_dirent64, getdents64(2)). How many bytes.</summary>
    /// <param name="offset">Where to begin: 0, or an entry's d_off.</param>
    /// <param name="into">Where to.</param>
    public int ReadEntries(ulong offset, Span<byte> into)
    {
        if (Libc.lseek(Descriptor, (long)offset, Libc.SEEK_SET) < 0) return Result(-1);
        fixed (byte* start = into) return Result(Libc.getdents64(Descriptor, start, (nuint)into.Length));
    }
}
