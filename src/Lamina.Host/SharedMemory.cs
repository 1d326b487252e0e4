// Bytes with a descriptor, which can be mapped at several places and by several processes: a memfd, or a file that is only read.
// Reservations map them (HostReservation); a mapping outlives the descriptor.
using Lamina.Host.Interop;
using Lamina.Host.Io;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Host;

/// <summary>What a mapping of shared memory may be used for.</summary>
public enum MappingAccess
{
    /// <summary>Loads only.</summary>
    Read,

    /// <summary>Loads and stores.</summary>
    ReadWrite,

    /// <summary>Loads and instruction fetches.</summary>
    ReadExecute,
}

/// <summary>Memory that can be mapped at several places (a memfd), or a file to map private copies of.</summary>
public sealed class SharedMemory : IDisposable
{
    private readonly SafeFileHandle _handle;
    private string? _identity;

    private SharedMemory(SafeFileHandle handle, ulong length, bool isWritable) => (_handle, Length, IsWritable) = (handle, length, isWritable);

    /// <summary>Length in bytes.</summary>
    public ulong Length { get; }

    /// <summary>Whether it can be mapped for stores that others see: not a file that was opened.</summary>
    public bool IsWritable { get; }

    internal int Descriptor
    {
        get
        {
            ObjectDisposedException.ThrowIf(_handle.IsClosed, this);
            return (int)_handle.DangerousGetHandle();
        }
    }

    /// <summary>
    /// Creates zero-filled memory of <paramref name="length"/> bytes, populated as it is touched. It cannot become shorter, whoever
    /// gets its descriptor: a mapping always has memory behind it.
    /// </summary>
    /// <exception cref="HostException">The host refuses.</exception>
    public static SharedMemory Create(string name, ulong length)
    {
        var descriptor = Libc.memfd_create(name, Libc.MFD_CLOEXEC | Libc.MFD_ALLOW_SEALING);
        if (descriptor < 0) throw HostException.FromErrno("cannot create a memory file");
        var handle = new SafeFileHandle(descriptor, ownsHandle: true);
        if (Libc.ftruncate(descriptor, (long)length) == 0 && Libc.fcntl(descriptor, Libc.F_ADD_SEALS, Libc.F_SEAL_SHRINK) == 0)
            return new SharedMemory(handle, length, isWritable: true);
        var failure = HostException.FromErrno($"cannot size a memory file to {length >> 20} MiB");
        handle.Dispose();
        throw failure;
    }

    /// <summary>
    /// Opens a file to map private copies of. As long as one is mapped nobody may shorten the file: there would be nothing behind the
    /// mapping, and the host ends a process that touches that. A memfd that <see cref="Create"/> made, opened by its name under
    /// /proc, is safe from it.
    /// </summary>
    /// <exception cref="FileNotFoundException">There is none.</exception>
    /// <exception cref="UnauthorizedAccessException">It may not be read.</exception>
    /// <exception cref="HostException">It is no ordinary file, or cannot be opened.</exception>
    public static SharedMemory Open(string path)
    {
        var handle = NamedFile.OpenFile(path);
        return new SharedMemory(handle, (ulong)RandomAccess.GetLength(handle), isWritable: false);
    }

    /// <summary>Takes over a memfd that another process made and sealed: nobody can change it or make it shorter any more.</summary>
    /// <param name="handle">Its descriptor, which is this one's from now on.</param>
    /// <exception cref="HostException">It is none, or can still be changed; the descriptor is closed.</exception>
    public static SharedMemory TakeSealed(SafeFileHandle handle)
    {
        ArgumentNullException.ThrowIfNull(handle);
        const int Whole = Libc.F_SEAL_SHRINK | Libc.F_SEAL_WRITE;
        var seals = Libc.fcntl((int)handle.DangerousGetHandle(), Libc.F_GET_SEALS, 0);
        if (seals >= 0 && (seals & Whole) == Whole) return new SharedMemory(handle, (ulong)RandomAccess.GetLength(handle), isWritable: false);
        handle.Dispose();
        throw new HostException("memory that another process gives is not sealed against changes");
    }

    /// <summary>Whether another descriptor is of the same memory.</summary>
    public bool IsSameAs(SharedMemory other) => other is not null && (ReferenceEquals(this, other) || (Identity is { } identity && identity == other.Identity));

    // What the host's kernel calls the file by.
    private string? Identity => _identity ??= TryReadIdentity();

    private string? TryReadIdentity()
    {
        try
        {
            return File.ReadLines($"/proc/self/fdinfo/{Descriptor}").FirstOrDefault(line => line.StartsWith("ino:", StringComparison.Ordinal));
        }
        catch (Exception none) when (none is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Has it stay as it is for good, whoever has its descriptor. Nobody may have it mapped for stores that others see. fcntl(2), F_SEAL_WRITE.</summary>
    /// <exception cref="HostException">The host refuses.</exception>
    public void Seal()
    {
        if (Libc.fcntl(Descriptor, Libc.F_ADD_SEALS, Libc.F_SEAL_SHRINK | Libc.F_SEAL_GROW | Libc.F_SEAL_WRITE) != 0) throw HostException.FromErrno("cannot seal a memory file");
    }

    /// <summary>Writes bytes into it that is not mapped here.</summary>
    /// <exception cref="IOException">The host has no memory for it.</exception>
    public void Write(ulong offset, ReadOnlySpan<byte> bytes) => RandomAccess.Write(_handle, bytes, (long)offset);

    /// <summary>Reads bytes of it that is not mapped here; what lies behind its end is left as it is.</summary>
    public int Read(ulong offset, Span<byte> into) => RandomAccess.Read(_handle, into, (long)offset);

    /// <summary>Its descriptor, for another process.</summary>
    public SafeFileHandle Handle => _handle;

    /// <summary>Whether a part holds anything but a hole, which reads as zeros. lseek(2), SEEK_DATA.</summary>
    /// <param name="offset">Offset in bytes.</param>
    /// <param name="length">Length in bytes.</param>
    public bool HasData(ulong offset, ulong length)
    {
        var data = Libc.lseek(Descriptor, (long)offset, Libc.SEEK_DATA);
        // Behind the last data there is an error of its own; what a file system does not know may be anything.
        return data < 0 ? System.Runtime.InteropServices.Marshal.GetLastPInvokeError() != Libc.ENXIO : (ulong)data < offset + length;
    }

    /// <summary>Returns a part's pages to the host, wherever they are mapped, if the host takes them; what the part holds is void afterwards.</summary>
    /// <param name="offset">Offset in bytes, a multiple of the page size.</param>
    /// <param name="length">Length in bytes.</param>
    public void Discard(ulong offset, ulong length) =>
        _ = Libc.fallocate(Descriptor, Libc.FALLOC_FL_PUNCH_HOLE | Libc.FALLOC_FL_KEEP_SIZE, (long)offset, (long)length);

    /// <inheritdoc/>
    public void Dispose() => _handle.Dispose();
}
