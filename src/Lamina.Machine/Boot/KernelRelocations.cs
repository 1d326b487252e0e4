// The places of a kernel that contain addresses, as they stand behind its ELF file (arch/x86/tools/relocs.c, and arch/x86/boot/compressed/misc.c for
// what becomes of them): 32-bit words, each the low half of a place's linked address. A zero, those whose 64 bits grow by the distance, a
// zero, (until Linux 6.14) those whose 32 bits shrink by it, a zero, those whose 32 bits grow. Each list is in the order of its addresses. Nothing
// of the file is trusted.
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using Lamina.Host.Io;

namespace Lamina.Boot;

/// <summary>Gives a kernel that was loaded the addresses at which it runs.</summary>
internal sealed class KernelRelocations : IDisposable
{
    // __START_KERNEL_map: physical address 0 in the kernel's first mapping.
    private const ulong KernelMap = 0xFFFF_FFFF_8000_0000;
    private const int MostLists = 3;

    private readonly HostBuffer _words;
    private readonly uint _first;
    private readonly List<Range> _lists = [];

    private KernelRelocations(HostBuffer words, uint first) => (_words, _first) = (words, first);

    /// <summary>Takes the words; null, and they are disposed of, where they are no such lists of places in what is loaded.</summary>
    /// <param name="words">As the file has them.</param>
    /// <param name="linkedAt">The physical address that the kernel was linked for.</param>
    /// <param name="length">What is loaded of it.</param>
    internal static KernelRelocations? TryTake(HostBuffer words, ulong linkedAt, ulong length)
    {
        var taken = new KernelRelocations(words, (uint)(KernelMap + linkedAt));
        if (taken.IsWhole(length)) return taken;
        taken.Dispose();
        return null;
    }

    /// <summary>Moves the places that lie wholly in a part of what was loaded.</summary>
    /// <param name="loaded">What was loaded from the kernel's first byte on.</param>
    /// <param name="part">The part.</param>
    /// <param name="distance">How far from where it was linked the kernel runs.</param>
    internal void MoveIn(Span<byte> loaded, (ulong Start, ulong End) part, ulong distance)
    {
        for (var list = 0; list < _lists.Count; list++)
            if (part.End >= part.Start + (ulong)SizeOf(list)) Move(loaded, list, IndexOf(list, part.Start), IndexOf(list, part.End - (ulong)SizeOf(list) + 1), distance);
    }

    /// <summary>Moves the places that lie wholly in none of the parts.</summary>
    /// <param name="loaded">What was loaded from the kernel's first byte on.</param>
    /// <param name="parts">The parts, in the order of where they begin.</param>
    /// <param name="distance">How far from where it was linked the kernel runs.</param>
    internal void MoveRest(Span<byte> loaded, IEnumerable<(ulong Start, ulong End)> parts, ulong distance)
    {
        var (moved, end) = (0ul, 0ul);
        foreach (var (start, next) in parts.Append(((ulong)loaded.Length, (ulong)loaded.Length)))
        {
            for (var list = 0; list < _lists.Count; list++)
            {
                // Those that begin in the part before and do not end there, and all up to this one.
                var first = Math.Max(moved, end < (ulong)SizeOf(list) ? 0 : end - (ulong)SizeOf(list) + 1);
                Move(loaded, list, IndexOf(list, first), IndexOf(list, start), distance);
            }
            (moved, end) = (start, Math.Max(end, next));
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _words.Dispose();

    private ReadOnlySpan<uint> Words => MemoryMarshal.Cast<byte, uint>(_words.Span);

    private static int SizeOf(int list) => list == 0 ? sizeof(ulong) : sizeof(uint);

    private bool IsWhole(ulong length)
    {
        var words = Words;
        if (words[0] != 0) return false;
        for (var at = 0; at < words.Length;)
        {
            var end = words[(at + 1)..].IndexOf(0u) is var next and >= 0 ? at + 1 + next : words.Length;
            var last = 0u;
            foreach (var word in words[(at + 1)..end])
            {
                if (word <= last) return false;
                last = word;
            }
            if (end > at + 1 && (words[at + 1] < _first || (ulong)(last - _first) + (ulong)SizeOf(_lists.Count) > length)) return false;
            _lists.Add((at + 1)..end);
            at = end;
        }
        return _lists.Count is MostLists or MostLists - 1;
    }

    // The first place of a list at an address or behind it.
    private int IndexOf(int list, ulong address)
    {
        var (start, end) = (_lists[list].Start.Value, _lists[list].End.Value);
        var found = Words[start..end].BinarySearch((uint)(_first + address));
        return start + (found < 0 ? ~found : found);
    }

    private void Move(Span<byte> loaded, int list, int from, int to, ulong distance)
    {
        if (to <= from) return;
        foreach (var word in Words[from..to])
        {
            var place = loaded[(int)(word - _first)..];
            if (list == 0) BinaryPrimitives.WriteUInt64LittleEndian(place, BinaryPrimitives.ReadUInt64LittleEndian(place) + distance);
            else BinaryPrimitives.WriteUInt32LittleEndian(place, BinaryPrimitives.ReadUInt32LittleEndian(place) + (list == _lists.Count - 1 ? (uint)distance : 0 - (uint)distance));
        }
    }
}
