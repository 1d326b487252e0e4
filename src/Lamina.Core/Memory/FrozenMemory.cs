// A guest's RAM as it was at one moment, read while the guest goes on. It is in a copy of the process (MemoryTwin). Which pages there were is
// found out afterwards, from this process's own page tables: pages only come to it meanwhile, since those that the guest gives back are
// zeroed in place until then (GuestMemory).
using System.Collections.Immutable;
using Lamina.Host;
using Lamina.Host.Processes;

namespace Lamina.Core.Memory;

/// <summary>A guest's RAM of one moment. One thread uses it.</summary>
public sealed class FrozenMemory : IDisposable
{
    private const ulong Page = HostReservation.PageSize, Piece = 1 << 20;

    private readonly nint _base;
    private readonly ImmutableArray<(MemoryRange Range, MemoryBacking Backing)> _ram;
    private readonly PageMap? _pages;
    private readonly MemoryTwin _twin;
    private readonly Dictionary<MemoryRange, bool[]> _there = [];
    private Action? _known;

    internal FrozenMemory(nint hostBase, IReadOnlyList<MemoryRange> ranges, ImmutableArray<(MemoryRange Range, MemoryBacking Backing)> ram, PageMap? pages, MemoryTwin twin, Action known) =>
        (_base, Ranges, _ram, _pages, _twin, _known) = (hostBase, ranges, ram, pages, twin, known);

    /// <summary>The ranges of RAM, sorted.</summary>
    public IReadOnlyList<MemoryRange> Ranges { get; }

    /// <summary>The sum of their lengths in bytes.</summary>
    public ulong Size => Ranges.Aggregate(0ul, (sum, range) => sum + range.Length);

    /// <summary>Finds out which pages there are. To be called once, soon, while the memory lives: until then the guest gives none back to the host.</summary>
    public void Look()
    {
        foreach (var range in Ranges)
        {
            var there = new bool[range.Length / Page];
            try
            {
                if (_pages is null) Array.Fill(there, true);
                else _pages.Read(_base + (nint)range.Start, there);
            }
            catch (HostException)
            {
                Array.Fill(there, true);
            }
            _there.Add(range, there);
        }
        foreach (var (place, backing) in _ram) LookUntouched(place, backing);
        _known?.Invoke();
        _known = null;
    }

    /// <summary>Whether a part that lies in one range may hold anything but zeros.</summary>
    /// <param name="address">Where: a multiple of the page size.</param>
    /// <param name="length">Bytes: whole pages.</param>
    public bool MayHold(ulong address, ulong length)
    {
        var range = Ranges.First(range => range.Contains(address, length));
        return _there[range].AsSpan((int)((address - range.Start) / Page), (int)(length / Page)).Contains(true);
    }

    /// <summary>Reads a part that lies in one range.</summary>
    /// <exception cref="HostException">The process that holds it is gone.</exception>
    public void Read(ulong address, Span<byte> into) => _twin.Read(_base + (nint)address, into);

    /// <summary>Done when the process that holds it has let go of this one's files.</summary>
    /// <exception cref="HostException">It is gone.</exception>
    public void Settle()
    {
        Span<byte> any = stackalloc byte[1];
        Read(Ranges[0].Start, any);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _known?.Invoke();
        _known = null;
        _twin.Dispose();
    }

    // What a file holds of which the memory is a copy.
    private void LookUntouched(MemoryRange place, MemoryBacking backing)
    {
        var range = Ranges.First(range => range.Contains(place.Start, place.Length));
        for (ulong at = 0; at < place.Length; at += Piece)
        {
            var length = Math.Min(Piece, place.Length - at);
            if (backing.HoldsUntouched(at, length)) _there[range].AsSpan((int)((place.Start + at - range.Start) / Page), (int)(length / Page)).Fill(true);
        }
    }
}
