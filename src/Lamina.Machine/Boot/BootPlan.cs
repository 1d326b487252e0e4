// What a loader decided: what lies where in guest memory and how the first vCPU starts. Made once when the machine is
// built, so that every mistake in the files shows before anything runs; carried out at the start and at each reset.
// Ranges that a plan claims never overlap: a file cannot make a loader overwrite its own tables.
using Lamina.Core.Engine;
using Lamina.Core.Memory;
using Lamina.Host;

namespace Lamina.Boot;

/// <summary>The content of guest memory and of vCPU 0 before the first instruction.</summary>
internal sealed class BootPlan(MemoryMap map)
{
    /// <summary>The board's addresses.</summary>
    internal BootLayout Layout => map.Layout;

    private readonly record struct Claim(MemoryRange Range, string What);

    private readonly record struct Piece(ulong Address, ReadOnlyMemory<byte> Bytes, BootFile? File, ulong Offset, ulong Length, bool Random);

    private readonly List<Claim> _claims = [];
    private readonly List<Piece> _pieces = [];

    /// <summary>Which protocol boots what, for people: "Linux 6.1.0 by the 64-bit boot protocol".</summary>
    internal string Description { get; set; } = "";

    /// <summary>Sets vCPU 0, which is in its RESET state, to the protocol's entry state.</summary>
    internal Action<VcpuState> Enter { get; set; } = _ => throw new InvalidOperationException("no loader set the entry state");

    /// <summary>A kernel that is placed anew whenever the plan is carried out; null where what is loaded lies where it lies.</summary>
    internal KernelPlace? Kernel { get; set; }

    /// <summary>Keeps a range of memory for a purpose.</summary>
    /// <param name="address">The first address.</param>
    /// <param name="length">The length in bytes; nothing is kept for 0.</param>
    /// <param name="what">What lies there, for messages.</param>
    /// <param name="reservedToo">
    /// Whether it may lie in RAM that the guest is told to leave alone: firmware tables do, and so may parts of a kernel
    /// (linkers like to put headers on the page below 1 MiB).
    /// </param>
    /// <exception cref="MachineException">There is no such memory, or something else lies there.</exception>
    internal void Reserve(ulong address, ulong length, string what, bool reservedToo = false)
    {
        var range = new MemoryRange(address, length);
        if (length == 0) return;
        if (length > ulong.MaxValue - address || !(map.IsUsable(range) || (reservedToo && map.IsRam(range))))
            throw new MachineException($"{what} ({Sizes.Text(length)} at 0x{address:x}) does not lie in the machine's memory; give the machine more memory or link it elsewhere");
        foreach (var claim in _claims)
            if (range.Start < claim.Range.End && claim.Range.Start < range.End)
                throw new MachineException($"{what} ({Sizes.Text(range.Length)} at 0x{range.Start:x}) would overwrite {claim.What} (at 0x{claim.Range.Start:x})");
        _claims.Add(new Claim(range, what));
    }

    /// <summary>The highest free address for a length, a multiple of the alignment, with the whole range below a limit and inside one usable range.</summary>
    /// <returns>Null where there is no room.</returns>
    internal ulong? FindHighest(ulong length, ulong alignment, ulong lowest, ulong end)
    {
        foreach (var entry in map.Entries.Reverse())
        {
            if (entry.Type != MemoryMapType.Usable) continue;
            var floor = Math.Max(entry.Range.Start, lowest);
            var top = Math.Min(entry.Range.End, end);
            while (top > floor && top - floor >= length)
            {
                var start = (top - length) & ~(alignment - 1);
                if (start < floor) break;
                var obstacle = _claims.Where(c => start < c.Range.End && c.Range.Start < start + length).Select(c => (ulong?)c.Range.Start).Min();
                if (obstacle is null) return start;
                top = obstacle.Value;
            }
        }
        return null;
    }

    /// <summary>The lowest free address for a length, under the same conditions as <see cref="FindHighest"/>.</summary>
    internal ulong? FindLowest(ulong length, ulong alignment, ulong lowest, ulong end)
    {
        foreach (var entry in map.Entries)
        {
            if (entry.Type != MemoryMapType.Usable) continue;
            var top = Math.Min(entry.Range.End, end);
            var start = AlignUp(Math.Max(entry.Range.Start, lowest), alignment);
            while (start < top && top - start >= length)
            {
                var obstacle = _claims.Where(c => start < c.Range.End && c.Range.Start < start + length).Select(c => (ulong?)c.Range.End).Max();
                if (obstacle is null) return start;
                start = AlignUp(obstacle.Value, alignment);
            }
        }
        return null;
    }

    /// <summary>Where what a range is kept for could lie as well: multiples of the alignment from its start on, below the hole, where nothing else does.</summary>
    /// <returns>At least the range's own start, which is such a multiple.</returns>
    internal IReadOnlyList<ulong> PlacesFor(MemoryRange own, ulong alignment)
    {
        var others = _claims.Where(claim => claim.Range != own).ToList();
        var places = new List<ulong>();
        for (var start = own.Start; start + own.Length <= map.LowEnd; start += alignment)
        {
            var range = new MemoryRange(start, own.Length);
            if (map.IsUsable(range) && !others.Exists(claim => range.Start < claim.Range.End && claim.Range.Start < range.End)) places.Add(start);
        }
        return places;
    }

    /// <summary>Puts bytes at an address that was reserved.</summary>
    internal void Place(ulong address, ReadOnlyMemory<byte> bytes) =>
        _pieces.Add(new Piece(address, bytes, null, 0, (ulong)bytes.Length, false));

    /// <summary>Puts a part of a file at an address that was reserved. The caller keeps the file open as long as the plan.</summary>
    internal void Place(ulong address, BootFile file, ulong offset, ulong length)
    {
        if (length != 0) _pieces.Add(new Piece(address, default, file, offset, length, false));
    }

    /// <summary>Puts random bytes, new ones each time the plan is carried out, at an address that was reserved.</summary>
    internal void PlaceRandom(ulong address, int length) =>
        _pieces.Add(new Piece(address, default, null, 0, (ulong)length, true));

    private static ulong AlignUp(ulong value, ulong alignment) => (value + alignment - 1) & ~(alignment - 1);

    /// <summary>Writes everything to memory, which is zero throughout.</summary>
    /// <param name="memory">The machine's.</param>
    /// <param name="filesToo">Whether what comes of files is written, too; else it is there by <see cref="LoadOf"/>, and those who watch the memory are told.</param>
    /// <exception cref="MachineException">A file can no longer be read.</exception>
    internal void Load(GuestMemory memory, bool filesToo = true)
    {
        if (filesToo) LoadOf(memory).Work();
        if (Kernel is not null) memory.NotifyWritten(Kernel.Written.Start, Kernel.Written.Length);
        foreach (var piece in _pieces)
        {
            if (piece.File is not null) memory.NotifyWritten(piece.Address, piece.Length);
            else if (!memory.TryWrite(piece.Address, piece.Random ? HostRandom.Bytes((int)piece.Length) : piece.Bytes.Span))
                throw new InvalidOperationException("a boot piece was placed outside RAM");
        }
    }

    /// <summary>What writes what comes of files to memory, and takes the pages of the rest from the host. Nobody is told.</summary>
    /// <exception cref="MachineException">A file can no longer be read.</exception>
    internal FileLoad LoadOf(GuestMemory memory)
    {
        List<LoadPiece> pieces = [.. Kernel?.Place(this) ?? []];
        foreach (var piece in _pieces)
        {
            if (piece.File is { } file) pieces.AddRange(file.PiecesOf(piece.Address, piece.Offset, piece.Length));
            else pieces.Add(new LoadPiece(piece.Address, piece.Length, null, 0));
        }
        return new FileLoad(memory, pieces, () => Kernel?.Finish(memory));
    }
}
