// What comes of files into memory at a start, cut into pieces, so that every thread that has nothing else to do takes some: clearing those pages
// and copying the files is most of what a start costs.
using Lamina.Core.Memory;

namespace Lamina.Boot;

/// <summary>A part of memory that is taken from the host, and of a file what it holds.</summary>
/// <param name="Address">Where it begins.</param>
/// <param name="Length">Its length.</param>
/// <param name="File">The file; null where only the pages are taken.</param>
/// <param name="Offset">Where the part begins in the file.</param>
internal readonly record struct LoadPiece(ulong Address, ulong Length, BootFile? File, ulong Offset)
{
    /// <summary>Called when it is there; or null.</summary>
    internal Action<GuestMemory, LoadPiece>? Loaded { get; init; }

    /// <summary>Brings it into memory. Whoever watches the memory is not told.</summary>
    /// <exception cref="MachineException">The file can no longer be read.</exception>
    internal void Load(GuestMemory memory)
    {
        // Where the host gives huge pages, one comes by this, and the process's other threads can map memory meanwhile. Otherwise all of the
        // piece's pages at once cost less than each as it is touched.
        if (memory.TrySlice(Address, 1, out var first)) first[0] = 0;
        memory.Populate(new MemoryRange(Address, Length));
        File?.Read(memory, Address, Offset, Length);
        Loaded?.Invoke(memory, this);
    }
}

/// <summary>One load, by any number of threads.</summary>
/// <param name="memory">Where to.</param>
/// <param name="pieces">What.</param>
/// <param name="finish">What is to be done when all pieces are there.</param>
internal sealed class FileLoad(GuestMemory memory, IReadOnlyList<LoadPiece> pieces, Action finish)
{
    private int _begun, _left = pieces.Count;

    /// <summary>Loads pieces until none is left that nobody has begun; who loads the last one finishes the load.</summary>
    /// <exception cref="MachineException">A file can no longer be read, or is no longer what it was.</exception>
    internal void Work()
    {
        while (Interlocked.Increment(ref _begun) is var number && number <= pieces.Count)
        {
            pieces[number - 1].Load(memory);
            if (Interlocked.Decrement(ref _left) == 0) finish();
        }
    }
}
