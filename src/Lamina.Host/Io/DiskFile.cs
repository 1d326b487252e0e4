// A file or block device that holds a disk: positional input and output without .NET's buffers, holes, durability, and
// the errors that matter told apart. What the bytes mean is not known here.
using System.Runtime.InteropServices;
using Lamina.Host.Interop;

namespace Lamina.Host.Io;

/// <summary>How a disk file is opened.</summary>
[Flags]
public enum DiskFileMode
{
    /// <summary>For reading only.</summary>
    Read = 0,

    /// <summary>For reading and writing.</summary>
    Write = 1,

    /// <summary>A new file, for reading and writing; there must be none of that name.</summary>
    CreateNew = 3,

    /// <summary>Past the host's page cache (O_DIRECT): offsets, lengths and addresses must be aligned.</summary>
    Direct = 4,

    /// <summary>A new file, which nobody but its owner may open.</summary>
    CreatePrivate = 11,
}

/// <summary>An open disk file. Any thread may call; calls may overlap.</summary>
public sealed unsafe class DiskFile : IDisposable
{
    // struct statx: stx_mode lies at 28; the whole is 256 bytes.
    private const int StatxLength = 256, StatxMode = 28;
    private const int DefaultSectorSize = 512;

    private readonly SafeDescriptor _descriptor;
    private bool _cannotTell;

    private DiskFile(string path, SafeDescriptor descriptor)
    {
        _descriptor = descriptor;
        Path = path;
        var stat = stackalloc byte[StatxLength];
        if (Libc.statx((int)descriptor.DangerousGetHandle(), "", Libc.AT_EMPTY_PATH, Libc.STATX_TYPE | Libc.STATX_INO, stat) != 0)
            throw HostException.FromErrno($"cannot examine {path}");
        var kind = *(ushort*)(stat + StatxMode) & Libc.S_IFMT;
        if (kind is not (Libc.S_IFREG or Libc.S_IFBLK)) throw new HostException($"{path} is no file and no block device, which cannot hold a disk");
        IsBlockDevice = kind == Libc.S_IFBLK;
        Identity = HostPath.Identity(stat);
        SectorSize = IsBlockDevice ? (int)Ask(Libc.BLKSSZGET, DefaultSectorSize) : DefaultSectorSize;
    }

    /// <summary>The name by which it was opened.</summary>
    public string Path { get; }

    /// <summary>Whether it is a block device.</summary>
    public bool IsBlockDevice { get; }

    /// <summary>A block device's logical sector size in bytes; 512 for files.</summary>
    public int SectorSize { get; }

    /// <summary>Equal for two names of one file.</summary>
    public string Identity { get; }

    /// <summary>The length in bytes.</summary>
    /// <exception cref="HostException">The host does not say.</exception>
    public ulong Length
    {
        get
        {
            using var use = new Use(_descriptor);
            var end = Libc.lseek(use.Descriptor, 0, Libc.SEEK_END);
            if (end >= 0) return (ulong)end;
            // Files of the kernel's own, as in /proc.
            throw Marshal.GetLastPInvokeError() == Libc.EINVAL ? new HostException($"{Path} has no length, which a disk needs; name another file") { IsOfTheName = true } : HostException.FromErrno($"cannot tell the length of {Path}");
        }
    }

    /// <summary>Opens a file.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="HostException">It cannot be opened so; the message is a sentence.</exception>
    public static DiskFile Open(string path, DiskFileMode mode)
    {
        // A pipe or a device would hold who opens it; a folder's error has no sentence.
        if (!mode.HasFlag(DiskFileMode.CreateNew) && NamedFile.KindOf(path) is not (null or NamedKind.File or NamedKind.BlockDevice) and { } kind)
            throw new HostException($"{path} is {NamedFile.Describe(kind)}, which cannot hold a disk; name a file or a block device") { IsOfTheName = true };
        var flags = Libc.O_CLOEXEC
            | (mode.HasFlag(DiskFileMode.Write) ? Libc.O_RDWR : Libc.O_RDONLY)
            | (mode.HasFlag(DiskFileMode.CreateNew) ? Libc.O_CREAT | Libc.O_EXCL : 0)
            | (mode.HasFlag(DiskFileMode.Direct) ? Libc.O_DIRECT : 0);
        var descriptor = Libc.open(path, flags, mode.HasFlag(DiskFileMode.CreatePrivate) ? 0b110_000_000 : 0b110_100_100);
        if (descriptor < 0) throw CannotOpen(path, mode);
        var handle = new SafeDescriptor(descriptor);
        try
        {
            return new DiskFile(path, handle);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>Takes over a file that somebody else opened.</summary>
    /// <param name="file">It; closed with this, or where it can be no disk.</param>
    /// <param name="path">What it is called in sentences.</param>
    /// <exception cref="HostException">It is no file and no block device.</exception>
    public static DiskFile Take(SafeHandle file, string path)
    {
        ArgumentNullException.ThrowIfNull(file);
        var handle = new SafeDescriptor((int)file.DangerousGetHandle());
        file.SetHandleAsInvalid();
        try
        {
            return new DiskFile(path, handle);
        }
        catch
        {
            handle.Dispose();
            throw;
        }
    }

    /// <summary>Reads.</summary>
    /// <returns>How many bytes; fewer than asked for where the file ends.</returns>
    /// <exception cref="HostException">The host reports an error.</exception>
    public int Read(ulong offset, Span<byte> into)
    {
        using var use = new Use(_descriptor);
        var done = 0;
        fixed (byte* start = into)
        {
            while (done < into.Length)
            {
                var count = Libc.pread(use.Descriptor, start + done, (nuint)(into.Length - done), (long)offset + done);
                if (count == 0) break;
                if (count > 0) done += (int)count;
                else if (Marshal.GetLastPInvokeError() != Libc.EINTR) throw HostException.FromErrno($"cannot read {Path} at {offset + (ulong)done}");
            }
        }
        return done;
    }

    /// <summary>Reads into several pieces of memory.</summary>
    /// <returns>How many bytes; fewer than the pieces' sum where the file ends.</returns>
    /// <exception cref="HostException">The host reports an error.</exception>
    public ulong Read(ulong offset, ReadOnlySpan<IoVector> into)
    {
        using var use = new Use(_descriptor);
        var progress = new Progress(into);
        while (progress.Next(out var piece))
        {
            fixed (IoVector* vectors = piece)
            {
                var count = Libc.preadv(use.Descriptor, vectors, piece.Length, (long)(offset + progress.Done));
                if (count == 0) break;
                if (count > 0) progress.Advance((ulong)count);
                else if (Marshal.GetLastPInvokeError() != Libc.EINTR) throw HostException.FromErrno($"cannot read {Path} at {offset + progress.Done}");
            }
        }
        return progress.Done;
    }

    /// <summary>Reads what lies in the host's page cache (RWF_NOWAIT, preadv2(2)); a host that cannot tell reads anyway.</summary>
    /// <returns>False where not all of it lies there, or the file ends in it; what the memory holds is not said then.</returns>
    /// <exception cref="HostException">The host reports an error.</exception>
    public bool TryReadCached(ulong offset, ReadOnlySpan<IoVector> into)
    {
        var length = 0ul;
        foreach (var vector in into) length += (uint)vector.Length;
        if (into.Length > Libc.IOV_MAX) return false;
        if (_cannotTell) return Read(offset, into) == length;
        using var use = new Use(_descriptor);
        nint count;
        fixed (IoVector* vectors = into) count = Libc.preadv2(use.Descriptor, vectors, into.Length, (long)offset, Libc.RWF_NOWAIT);
        if (count >= 0) return (ulong)count == length;
        switch (Marshal.GetLastPInvokeError())
        {
            case Libc.EAGAIN or Libc.EINTR:
                return false;
            case Libc.EOPNOTSUPP:
                _cannotTell = true;
                return Read(offset, into) == length;
            default:
                throw HostException.FromErrno($"cannot read {Path} at {offset}");
        }
    }

    /// <summary>Writes all of it.</summary>
    /// <exception cref="HostException">The host reports an error; a part may be written.</exception>
    public void Write(ulong offset, ReadOnlySpan<byte> from)
    {
        using var use = new Use(_descriptor);
        var done = 0;
        fixed (byte* start = from)
        {
            while (done < from.Length)
            {
                var count = Libc.pwrite(use.Descriptor, start + done, (nuint)(from.Length - done), (long)offset + done);
                if (count > 0) done += (int)count;
                else if (count == 0 || Marshal.GetLastPInvokeError() != Libc.EINTR) throw HostException.FromErrno($"cannot write {Path} at {offset + (ulong)done}");
            }
        }
    }

    /// <summary>Writes several pieces of memory one behind the other.</summary>
    /// <exception cref="HostException">The host reports an error; a part may be written.</exception>
    public void Write(ulong offset, ReadOnlySpan<IoVector> from)
    {
        using var use = new Use(_descriptor);
        var progress = new Progress(from);
        while (progress.Next(out var piece))
        {
            fixed (IoVector* vectors = piece)
            {
                var count = Libc.pwritev(use.Descriptor, vectors, piece.Length, (long)(offset + progress.Done));
                if (count > 0) progress.Advance((ulong)count);
                else if (count == 0 || Marshal.GetLastPInvokeError() != Libc.EINTR) throw HostException.FromErrno($"cannot write {Path} at {offset + progress.Done}");
            }
        }
    }

    /// <summary>Waits until what was written is on the disk (fdatasync(2)).</summary>
    /// <exception cref="HostException">The host reports an error: what was written since the last call may be lost.</exception>
    public void Sync()
    {
        using var use = new Use(_descriptor);
        // Space that is missing only now was promised before: what was written is lost, and no repetition brings it back.
        if (Libc.fdatasync(use.Descriptor) != 0) throw new HostException(HostException.FromErrno($"cannot write {Path} to the disk").Message);
    }

    /// <summary>Makes the file shorter, or longer with a hole at its end.</summary>
    /// <exception cref="HostException">The host refuses it.</exception>
    public void SetLength(ulong length)
    {
        using var use = new Use(_descriptor);
        if (Libc.ftruncate(use.Descriptor, (long)length) != 0) throw HostException.FromErrno($"cannot make {Path} {length} bytes long");
    }

    /// <summary>Makes a range read as zeros.</summary>
    /// <param name="offset">Where.</param>
    /// <param name="length">How many bytes; the file does not grow.</param>
    /// <param name="release">Whether to give the space back to the host rather than to keep it.</param>
    /// <returns>False where the host cannot do it for this file; nothing was changed then.</returns>
    /// <exception cref="HostException">The host reports an error.</exception>
    public bool TryZero(ulong offset, ulong length, bool release)
    {
        using var use = new Use(_descriptor);
        int result;
        if (IsBlockDevice)
        {
            var range = stackalloc ulong[] { offset, length };
            // BLKZEROOUT makes zeros whatever the device does with discarded sectors; BLKDISCARD may leave anything there.
            result = Libc.ioctl(use.Descriptor, Libc.BLKZEROOUT, range);
        }
        else
        {
            result = Libc.fallocate(use.Descriptor, Libc.FALLOC_FL_KEEP_SIZE | (release ? Libc.FALLOC_FL_PUNCH_HOLE : Libc.FALLOC_FL_ZERO_RANGE), (long)offset, (long)length);
        }
        if (result == 0) return true;
        return Marshal.GetLastPInvokeError() is Libc.EOPNOTSUPP or Libc.EINVAL or Libc.ENOTTY
            ? false
            : throw HostException.FromErrno($"cannot clear a part of {Path}");
    }

    /// <summary>Tells the host that a range is not needed; what it reads as afterwards is not said. Never fails.</summary>
    public void Discard(ulong offset, ulong length)
    {
        using var use = new Use(_descriptor);
        if (IsBlockDevice)
        {
            var range = stackalloc ulong[] { offset, length };
            _ = Libc.ioctl(use.Descriptor, Libc.BLKDISCARD, range);
        }
        else
        {
            _ = Libc.fallocate(use.Descriptor, Libc.FALLOC_FL_KEEP_SIZE | Libc.FALLOC_FL_PUNCH_HOLE, (long)offset, (long)length);
        }
    }

    /// <summary>Whether a place lies in a hole, and where what is there ends. A host that cannot tell says "no hole".</summary>
    public (bool IsHole, ulong End) Extent(ulong offset)
    {
        using var use = new Use(_descriptor);
        var data = Libc.lseek(use.Descriptor, (long)offset, Libc.SEEK_DATA);
        if (data < 0) return (Marshal.GetLastPInvokeError() == Libc.ENXIO, Math.Max(Length, offset));
        if ((ulong)data > offset) return (true, (ulong)data);
        var hole = Libc.lseek(use.Descriptor, (long)offset, Libc.SEEK_HOLE);
        return (false, hole < 0 ? Length : (ulong)hole);
    }

    /// <summary>Takes a shared lock on one byte; locks belong to this open file and end when it is closed (F_OFD_SETLK, fcntl(2)).</summary>
    /// <returns>False where somebody holds an exclusive lock there.</returns>
    /// <exception cref="HostException">The file system has no locks.</exception>
    public bool TryLockByte(long at)
    {
        var request = new Libc.Flock { l_type = Libc.F_RDLCK, l_whence = Libc.SEEK_SET, l_start = at, l_len = 1 };
        using var use = new Use(_descriptor);
        _descriptor.HasLocks = true;
        if (Libc.fcntl(use.Descriptor, Libc.F_OFD_SETLK, &request) == 0) return true;
        return Marshal.GetLastPInvokeError() is Libc.EAGAIN or Libc.EACCES ? false : throw HostException.FromErrno($"cannot lock {Path}");
    }

    /// <summary>Gives a byte's lock up.</summary>
    public void UnlockByte(long at)
    {
        var request = new Libc.Flock { l_type = Libc.F_UNLCK, l_whence = Libc.SEEK_SET, l_start = at, l_len = 1 };
        using var use = new Use(_descriptor);
        if (Libc.fcntl(use.Descriptor, Libc.F_OFD_SETLK, &request) != 0) throw HostException.FromErrno($"cannot unlock {Path}");
    }

    /// <summary>Whether another open file holds any lock on a byte.</summary>
    /// <exception cref="HostException">The file system has no locks.</exception>
    public bool IsByteLocked(long at)
    {
        var request = new Libc.Flock { l_type = Libc.F_WRLCK, l_whence = Libc.SEEK_SET, l_start = at, l_len = 1 };
        using var use = new Use(_descriptor);
        return Libc.fcntl(use.Descriptor, Libc.F_OFD_GETLK, &request) == 0
            ? request.l_type != Libc.F_UNLCK
            : throw HostException.FromErrno($"cannot ask for locks on {Path}");
    }

    /// <inheritdoc/>
    public void Dispose() => _descriptor.Dispose();

    /// <summary>The descriptor, for a ring that keeps it open.</summary>
    internal int Descriptor => (int)_descriptor.DangerousGetHandle();

    /// <summary>Keeps the descriptor open, whatever happens to this, until <see cref="Release"/>.</summary>
    internal void Keep()
    {
        var added = false;
        _descriptor.DangerousAddRef(ref added);
    }

    /// <summary>Ends one <see cref="Keep"/>.</summary>
    internal void Release() => _descriptor.DangerousRelease();

    private ulong Ask(nuint request, ulong otherwise)
    {
        ulong answer = 0;
        return Libc.ioctl((int)_descriptor.DangerousGetHandle(), request, &answer) == 0 && answer != 0 ? answer : otherwise;
    }

    private static IOException CannotOpen(string path, DiskFileMode mode)
    {
        var error = Marshal.GetLastPInvokeError();
        if (error == Libc.ENOENT && !mode.HasFlag(DiskFileMode.CreateNew)) return new FileNotFoundException($"there is no disk image {path}; lamina disk create makes one");
        if (mode.HasFlag(DiskFileMode.Direct) && error == Libc.EINVAL) return new HostException($"the file system of {path} cannot do direct input and output; leave out direct");
        if (mode.HasFlag(DiskFileMode.CreateNew))
        {
            return error switch
            {
                Libc.ENOENT or Libc.ENOTDIR => new HostException($"cannot create {path}: its folder does not exist; make it first") { IsOfTheName = true },
                Libc.EEXIST => new HostException($"cannot create {path}: it is there already; choose another name or remove it first") { IsOfTheName = true },
                _ => HostException.FromErrno($"cannot create {path}"),
            };
        }
        var hint = mode.HasFlag(DiskFileMode.Write) && error is Libc.EACCES or Libc.EROFS ? " for writing" : "";
        var failure = HostException.FromErrno($"cannot open the disk {path}{hint}");
        return error is Libc.EACCES or Libc.ENOTDIR or Libc.ENAMETOOLONG or Libc.ELOOP ? new HostException(failure.Message, failure) { IsOfTheName = true } : failure;
    }

    /// <summary>A descriptor that is closed when nobody is in a call on it any more.</summary>
    private sealed class SafeDescriptor : SafeHandle
    {
        internal SafeDescriptor(int descriptor) : base(-1, ownsHandle: true) => SetHandle(descriptor);

        public override bool IsInvalid => handle < 0;

        /// <summary>Whether locks were asked for.</summary>
        internal bool HasLocks { get; set; }

        protected override bool ReleaseHandle()
        {
            // Closing it is not enough: a process that is being started has copies of this one's open files until it is another program.
            var all = new Libc.Flock { l_type = Libc.F_UNLCK, l_whence = Libc.SEEK_SET };
            if (HasLocks) _ = Libc.fcntl((int)handle, Libc.F_OFD_SETLK, &all);
            return Libc.close((int)handle) == 0;
        }
    }

    private readonly ref struct Use
    {
        private readonly SafeDescriptor _descriptor;

        internal Use(SafeDescriptor descriptor)
        {
            var added = false;
            descriptor.DangerousAddRef(ref added);
            _descriptor = descriptor;
        }

        internal int Descriptor => (int)_descriptor.DangerousGetHandle();

        public void Dispose() => _descriptor.DangerousRelease();
    }

    /// <summary>What is left of a list of vectors after some bytes of it, in portions that one system call takes.</summary>
    private ref struct Progress(ReadOnlySpan<IoVector> all)
    {
        private readonly ReadOnlySpan<IoVector> _all = all;
        private IoVector[]? _rest;
        private int _first;
        private int _into;

        internal ulong Done { get; private set; }

        internal bool Next(out ReadOnlySpan<IoVector> piece)
        {
            while (_first < _all.Length && _into == _all[_first].Length)
            {
                _first++;
                _into = 0;
            }
            var count = Math.Min(_all.Length - _first, Libc.IOV_MAX);
            piece = _all.Slice(_first, count);
            if (count == 0 || _into == 0) return count != 0;
            _rest ??= new IoVector[Math.Min(_all.Length, Libc.IOV_MAX)];
            piece.CopyTo(_rest);
            _rest[0] = piece[0].Slice(_into, piece[0].Length - _into);
            piece = _rest.AsSpan(0, count);
            return true;
        }

        internal void Advance(ulong bytes)
        {
            Done += bytes;
            while (bytes > 0)
            {
                var left = (ulong)(_all[_first].Length - _into);
                if (bytes < left)
                {
                    _into += (int)bytes;
                    return;
                }
                bytes -= left;
                _first++;
                _into = 0;
            }
        }
    }
}
