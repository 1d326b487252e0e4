// Which pages of this process's memory there are: touched, in the host's memory or swapped out. Source: Documentation/admin-guide/mm/pagemap.rst
// of the Linux kernel, which lets every process see as much of its own.
using System.Runtime.InteropServices;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Host;

/// <summary>A look at this process's page tables.</summary>
public sealed class PageMap : IDisposable
{
    private const ulong Present = 1ul << 63, Swapped = 1ul << 62, OfFile = 1ul << 61;

    private readonly SafeFileHandle _file;

    private PageMap(SafeFileHandle file) => _file = file;

    /// <summary>Opens it; null where this host has none, or keeps it.</summary>
    public static PageMap? TryOpen()
    {
        try
        {
            return new PageMap(File.OpenHandle("/proc/self/pagemap"));
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Tells of pages whether there are any.</summary>
    /// <param name="address">The address of the first; a multiple of the page size.</param>
    /// <param name="there">One for each page.</param>
    /// <exception cref="IOException">The host does not tell.</exception>
    public void Read(nint address, Span<bool> there) => Read(address, there, Present | Swapped, 0);

    /// <summary>Tells of pages whether they are this process's own: neither a file's that nothing was written to here, nor none.</summary>
    /// <param name="address">The address of the first; a multiple of the page size.</param>
    /// <param name="own">One for each page.</param>
    /// <exception cref="IOException">The host does not tell.</exception>
    public void ReadOwn(nint address, Span<bool> own) => Read(address, own, Present | Swapped, OfFile);

    private void Read(nint address, Span<bool> there, ulong any, ulong none)
    {
        const int Piece = 4096;
        Span<ulong> entries = new ulong[Math.Min(Piece, there.Length)];
        for (var done = 0; done < there.Length;)
        {
            var asked = entries[..Math.Min(entries.Length, there.Length - done)];
            var count = RandomAccess.Read(_file, MemoryMarshal.AsBytes(asked), ((long)address / HostReservation.PageSize + done) * sizeof(ulong)) / sizeof(ulong);
            if (count == 0) throw new HostException("the host does not tell which pages of memory there are");
            for (var i = 0; i < count; i++) there[done + i] = (asked[i] & any) != 0 && (asked[i] & none) == 0;
            done += count;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();
}
