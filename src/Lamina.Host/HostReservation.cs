// A range of the process's address space that is reserved first and populated piece by piece.
// Guest memory, translation tables and code buffers are made of these. It owns the range and gives it back on Dispose;
// whoever holds one must make sure that no thread still runs in or on the range by then.
using System.ComponentModel;
using System.Runtime.InteropServices;
using Lamina.Host.Interop;

namespace Lamina.Host;

/// <summary>A reserved range of host address space (page aligned, initially inaccessible).</summary>
public sealed unsafe class HostReservation : IDisposable
{
    /// <summary>The size of a host page in bytes.</summary>
    public const int PageSize = 4096;

    /// <summary>The size of a huge page in bytes.</summary>
    public const int HugePageSize = 2 << 20;

    private readonly bool _isInTwins;
    private bool _disposed;

    private HostReservation(nint address, nuint length, bool isInTwins) => (Address, Length, _isInTwins) = (address, length, isInTwins);

    /// <summary>The first address of the range.</summary>
    public nint Address { get; }

    /// <summary>The length of the range in bytes.</summary>
    public nuint Length { get; }

    /// <summary>Reserves <paramref name="length"/> bytes that cannot be accessed until a part is mapped.</summary>
    /// <param name="length">Bytes.</param>
    /// <param name="alignment">What the first address is a multiple of: a power of two.</param>
    /// <param name="isInTwins">Whether its memory is in copies of the process (<see cref="Processes.MemoryTwin"/>), too.</param>
    /// <exception cref="HostException">The host refuses the reservation.</exception>
    public static HostReservation Reserve(ulong length, int alignment = PageSize, bool isInTwins = false)
    {
        var size = (nuint)((length + PageSize - 1) & ~(ulong)(PageSize - 1));
        var slack = alignment - PageSize;
        var address = Libc.mmap(0, size + (nuint)slack, Libc.PROT_NONE, Libc.MAP_PRIVATE | Libc.MAP_ANONYMOUS | Libc.MAP_NORESERVE, -1, 0);
        if (address == Libc.MAP_FAILED) throw HostException.FromErrno($"cannot reserve {size >> 20} MiB of address space; lift the limit on virtual memory (ulimit -v)");
        var before = (int)(-address & (alignment - 1));
        if (before != 0) _ = Libc.munmap(address, (nuint)before);
        if (slack != before) _ = Libc.munmap(address + before + (nint)size, (nuint)(slack - before));
        return new HostReservation(address + before, size, isInTwins);
    }

    /// <summary>Makes a part of the range readable and writable, zero-filled, populated as it is touched.</summary>
    /// <param name="offset">Offset in bytes, a multiple of the page size.</param>
    /// <param name="length">Length in bytes, a multiple of the page size.</param>
    /// <param name="hugePages">Asks the host for transparent huge pages.</param>
    /// <exception cref="HostException">The host refuses.</exception>
    public void MapAnonymous(ulong offset, ulong length, bool hugePages = false)
    {
        if (!TryMapAnonymous(offset, length, hugePages)) throw HostException.FromErrno($"cannot map {length >> 20} MiB of memory");
    }

    /// <summary>The same; false, with nothing changed, where the host refuses.</summary>
    public bool TryMapAnonymous(ulong offset, ulong length, bool hugePages)
    {
        CheckRange(offset, length);
        var at = Address + (nint)offset;
        if (Libc.mmap(at, (nuint)length, Libc.PROT_READ | Libc.PROT_WRITE,
                Libc.MAP_PRIVATE | Libc.MAP_ANONYMOUS | Libc.MAP_NORESERVE | Libc.MAP_FIXED, -1, 0) == Libc.MAP_FAILED) return false;
        _ = Libc.madvise(at, (nuint)length, hugePages ? Libc.MADV_HUGEPAGE : Libc.MADV_NOHUGEPAGE);
        LeaveOutOfTwins(offset, length);
        return true;
    }

    /// <summary>Maps a part of a shared memory object at a part of the range.</summary>
    public void MapShared(ulong offset, ulong length, SharedMemory memory, ulong memoryOffset, MappingAccess access)
    {
        CheckRange(offset, length);
        var prot = access switch
        {
            MappingAccess.Read => Libc.PROT_READ,
            MappingAccess.ReadWrite => Libc.PROT_READ | Libc.PROT_WRITE,
            _ => Libc.PROT_READ | Libc.PROT_EXEC,
        };
        if (Libc.mmap(Address + (nint)offset, (nuint)length, prot, Libc.MAP_SHARED | Libc.MAP_FIXED, memory.Descriptor, (long)memoryOffset) == Libc.MAP_FAILED)
            throw HostException.FromErrno(access == MappingAccess.ReadExecute
                ? "cannot map executable memory; the host forbids generated code (SELinux execmem, seccomp or noexec policy)"
                : $"cannot map {length >> 10} KiB of shared memory");
        LeaveOutOfTwins(offset, length);
    }

    /// <summary>
    /// Maps a part of a shared memory object at a part of the range, readable and writable: what is written there is seen here
    /// alone, page by page from the first write to each.
    /// </summary>
    public void MapPrivate(ulong offset, ulong length, SharedMemory memory, ulong memoryOffset)
    {
        CheckRange(offset, length);
        if (Libc.mmap(Address + (nint)offset, (nuint)length, Libc.PROT_READ | Libc.PROT_WRITE,
                Libc.MAP_PRIVATE | Libc.MAP_NORESERVE | Libc.MAP_FIXED, memory.Descriptor, (long)memoryOffset) == Libc.MAP_FAILED)
            throw HostException.FromErrno($"cannot map {length >> 10} KiB of a file");
        LeaveOutOfTwins(offset, length);
    }

    /// <summary>Asks the host for transparent huge pages in a part, if it has them for this kind of memory.</summary>
    public void PreferHugePages(ulong offset, ulong length)
    {
        CheckRange(offset, length);
        _ = Libc.madvise(Address + (nint)offset, (nuint)length, Libc.MADV_HUGEPAGE);
    }

    /// <summary>
    /// Puts a part of which at least one byte was touched into huge pages, shared memory too, if the host can: what has a
    /// mapping of its own elsewhere needs a call there. Man page madvise(2), MADV_COLLAPSE, Linux 6.1.
    /// </summary>
    /// <param name="offset">Offset in bytes; it and the address are multiples of <see cref="HugePageSize"/>.</param>
    /// <param name="length">Length in bytes, a multiple of <see cref="HugePageSize"/>.</param>
    /// <returns>Whether the host did.</returns>
    public bool Collapse(ulong offset, ulong length)
    {
        CheckRange(offset, length);
        return Libc.madvise(Address + (nint)offset, (nuint)length, Libc.MADV_COLLAPSE) == 0;
    }

    /// <summary>Tells the host how to keep a part's pages. A hint. madvise(2): MADV_HUGEPAGE, MADV_NOHUGEPAGE, MADV_MERGEABLE.</summary>
    /// <param name="offset">Offset in bytes, a multiple of the page size.</param>
    /// <param name="length">Length in bytes.</param>
    /// <param name="hugePages">Whether in huge pages.</param>
    /// <param name="mergeable">Whether pages that are the same may be kept once.</param>
    public void Advise(ulong offset, ulong length, bool hugePages, bool mergeable)
    {
        CheckRange(offset, length);
        _ = Libc.madvise(Address + (nint)offset, (nuint)length, hugePages ? Libc.MADV_HUGEPAGE : Libc.MADV_NOHUGEPAGE);
        if (mergeable) _ = Libc.madvise(Address + (nint)offset, (nuint)length, Libc.MADV_MERGEABLE);
    }

    /// <summary>Returns a part's pages to the host, of a shared memory object too, wherever they are mapped; they read as zeros afterwards.</summary>
    public void DiscardShared(ulong offset, ulong length)
    {
        CheckRange(offset, length);
        if (Libc.madvise(Address + (nint)offset, (nuint)length, Libc.MADV_REMOVE) != 0)
            throw HostException.FromErrno("cannot return shared memory to the host");
    }

    /// <summary>Returns a part's pages to the host; it reads as zeros afterwards.</summary>
    public void Discard(ulong offset, ulong length)
    {
        CheckRange(offset, length);
        if (Libc.madvise(Address + (nint)offset, (nuint)length, Libc.MADV_DONTNEED) != 0)
            throw HostException.FromErrno("cannot return memory to the host");
    }

    /// <summary>
    /// Takes memory for a part that is about to be touched, at once instead of page by page. A hint: kernels before 5.14 do
    /// not know it, and what is missing comes as it is touched.
    /// </summary>
    /// <param name="offset">Offset in bytes, a multiple of the page size.</param>
    /// <param name="length">Length in bytes.</param>
    /// <param name="write">The part will be written; else it is read or executed.</param>
    public void Populate(ulong offset, ulong length, bool write)
    {
        CheckRange(offset, length);
        _ = Libc.madvise(Address + (nint)offset, (nuint)length, write ? Libc.MADV_POPULATE_WRITE : Libc.MADV_POPULATE_READ);
    }

    /// <summary>Has the host begin to read a part from the file that it is a copy of. A hint. madvise(2), MADV_WILLNEED.</summary>
    public void ReadAhead(ulong offset, ulong length)
    {
        CheckRange(offset, length);
        _ = Libc.madvise(Address + (nint)offset, (nuint)length, Libc.MADV_WILLNEED);
    }

    /// <summary>How many bytes of a part the host holds memory for. Man page mincore(2).</summary>
    public ulong Resident(ulong offset, ulong length)
    {
        CheckRange(offset, length);
        const ulong PiecePages = 1 << 16;
        var flags = new byte[Math.Min(length / PageSize, PiecePages)];
        var pages = 0ul;
        for (var at = offset; at < offset + length; at += PiecePages * PageSize)
        {
            var piece = Math.Min(offset + length - at, PiecePages * PageSize);
            // The range is ours until Dispose; a part that is not mapped ends in an error, and counts nothing.
            if (Libc.mincore(Address + (nint)at, (nuint)piece, flags) != 0) continue;
            foreach (var flag in flags.AsSpan(0, (int)(piece / PageSize))) pages += (uint)flag & 1;
        }
        return pages * PageSize;
    }

    /// <summary>Makes mapped bytes of the range zero where they lie: no page is given back. The caller must know that the part is mapped.</summary>
    public void Clear(ulong offset, ulong length)
    {
        const ulong LongestSpan = 1 << 30;
        for (ulong done = 0; done < length; done += LongestSpan) Slice(offset + done, (int)Math.Min(length - done, LongestSpan)).Clear();
    }

    /// <summary>A view of mapped bytes of the range. The caller must know that the part is mapped.</summary>
    public Span<byte> Slice(ulong offset, int length)
    {
        CheckRange(offset, (ulong)length);
        // Holds: the range is ours until Dispose and the bounds were checked.
        return new Span<byte>((void*)(Address + (nint)offset), length);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        _ = Libc.munmap(Address, Length);
    }

    // madvise(2), MADV_DONTFORK: its page tables are not copied, and its pages stay this process's alone.
    private void LeaveOutOfTwins(ulong offset, ulong length)
    {
        if (!_isInTwins) _ = Libc.madvise(Address + (nint)offset, (nuint)length, Libc.MADV_DONTFORK);
    }

    private void CheckRange(ulong offset, ulong length)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (offset > Length || length > Length - offset) throw new ArgumentOutOfRangeException(nameof(offset));
    }
}

/// <summary>The host refused something; the message is a sentence that says what, and what to do.</summary>
public sealed class HostException(string message, Exception? inner = null) : IOException(message, inner)
{
    /// <summary>Whether the host has no space left on a disk (ENOSPC), or no more for this user (EDQUOT) or in this file (EFBIG).</summary>
    public bool IsDiskFull { get; init; }

    /// <summary>Whether the name is to blame, and another would do: what lies there is not what it should be, or may not be used.</summary>
    public bool IsOfTheName { get; init; }

    /// <summary>Adds the text of the last native error to a sentence.</summary>
    public static HostException FromErrno(string what)
    {
        var error = new Win32Exception(Marshal.GetLastPInvokeError());
        return new HostException($"{what} ({error.Message})", error) { IsDiskFull = error.NativeErrorCode is Libc.ENOSPC or Libc.EDQUOT or Libc.EFBIG };
    }
}
