// REP MOVS, STOS, CMPS and SCAS in runs: as many elements at once as lie in one page of RAM at both ends, in either direction.
// What is not that simple (devices, faults, elements that cross pages, breakpoints) goes element by element.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Lamina.Core.Engine;
using Lamina.Engines.X86.Decode;
using Lamina.Engines.X86.Paging;

namespace Lamina.Engines.X86;

internal sealed unsafe partial class Processor
{
    /// <summary>Does a run of at most <paramref name="limit"/> elements.</summary>
    /// <returns>How many were done, registers being up to date but for the counter; 0 where an element is to be done by itself.</returns>
    private ulong StringRun(in Instruction i, ulong limit)
    {
        if (ChecksAlignment) return 0;
        if (i.Id is InstructionId.Cmps or InstructionId.Scas) return CompareRun(in i, limit);
        if (i.Id is not (InstructionId.Movs or InstructionId.Stos)) return 0;
        var size = i.OperandSize;
        var down = (Context->SystemFlags & Rflags.DF) != 0;
        var source = ReadGpr(GprIndex.Rsi, i.AddressSize);
        var destination = ReadGpr(GprIndex.Rdi, i.AddressSize);
        var count = limit;
        ulong from = 0;
        if (i.Id == InstructionId.Movs && !TryFindRun(i.Segment, source, in i, AccessKind.Read, down, ref count, out from)) return 0;
        if (!TryFindRun(SegmentIndex.Es, destination, in i, AccessKind.Write, down, ref count, out var to)) return 0;
        var bytes = count * (ulong)size;
        // The first byte in memory order.
        var back = down ? bytes - (ulong)size : 0;
        from -= back;
        to -= back;
        if (i.Id == InstructionId.Stos) Fill(_ramBase + to, ReadGpr(GprIndex.Rax, size), size, (int)bytes);
        else if (PropagatesOverlap(from, to, bytes, down)) CopyByElements(_ramBase + from, _ramBase + to, size, (int)count, down);
        else Buffer.MemoryCopy(_ramBase + from, _ramBase + to, bytes, bytes);
        _cache.RamWritten(to, (int)bytes);
        var step = down ? 0 - bytes : bytes;
        if (i.Id == InstructionId.Movs) WriteGpr(GprIndex.Rsi, i.AddressSize, source + step);
        WriteGpr(GprIndex.Rdi, i.AddressSize, destination + step);
        return count;
    }

    // As far as the first element that ends the comparison, which is the one that the flags are of.
    private ulong CompareRun(in Instruction i, ulong limit)
    {
        var size = i.OperandSize;
        var down = (Context->SystemFlags & Rflags.DF) != 0;
        var whileEqual = (i.Traits & InstructionTraits.Rep) != 0;
        var two = i.Id == InstructionId.Cmps;
        var source = ReadGpr(GprIndex.Rsi, i.AddressSize);
        var destination = ReadGpr(GprIndex.Rdi, i.AddressSize);
        var count = limit;
        ulong from = 0;
        var sourceFirst = ComparesSourceFirst(in i);
        if (two && sourceFirst && !TryFindRun(i.Segment, source, in i, AccessKind.Read, down, ref count, out from)) return 0;
        if (!TryFindRun(SegmentIndex.Es, destination, in i, AccessKind.Read, down, ref count, out var to)) return 0;
        if (two && !sourceFirst && !TryFindRun(i.Segment, source, in i, AccessKind.Read, down, ref count, out from)) return 0;
        var wanted = ReadGpr(GprIndex.Rax, size);
        byte* left = two ? _ramBase + from : null, right = _ramBase + to;
        var done = size switch
        {
            1 => Compared(left, right, (byte)wanted, (int)count, down, whileEqual),
            2 => Compared(left, right, (ushort)wanted, (int)count, down, whileEqual),
            4 => Compared(left, right, (uint)wanted, (int)count, down, whileEqual),
            _ => Compared(left, right, wanted, (int)count, down, whileEqual),
        };
        var step = down ? -size : size;
        var last = (long)(done - 1) * step;
        SetCompareFlags(two ? Element(left + last, size) : wanted, Element(right + last, size), size);
        if (two) WriteGpr(GprIndex.Rsi, i.AddressSize, source + (ulong)(last + step));
        WriteGpr(GprIndex.Rdi, i.AddressSize, destination + (ulong)(last + step));
        return (ulong)done;
    }

    /// <summary>How many elements a comparison looks at, the one that ends it included.</summary>
    /// <param name="left">The first element of CMPS; null for SCAS.</param>
    /// <param name="right">The first element of the other operand.</param>
    /// <param name="wanted">What SCAS compares with.</param>
    /// <param name="count">The most.</param>
    /// <param name="down">Towards lower addresses.</param>
    /// <param name="whileEqual">Goes on while elements are equal, else while they differ.</param>
    private static int Compared<T>(byte* left, byte* right, T wanted, int count, bool down, bool whileEqual)
        where T : unmanaged, IEquatable<T>
    {
        int at;
        if (!down && (left == null || whileEqual))
        {
            var span = new ReadOnlySpan<T>(right, count);
            at = left != null ? new ReadOnlySpan<T>(left, count).CommonPrefixLength(span) : whileEqual ? span.IndexOfAnyExcept(wanted) : span.IndexOf(wanted);
            return at < 0 || at == count ? count : at + 1;
        }
        for (at = 0; at < count; at++)
        {
            var place = down ? -at : at;
            if ((left == null ? wanted : ((T*)left)[place]).Equals(((T*)right)[place]) != whileEqual) return at + 1;
        }
        return count;
    }

    private static ulong Element(byte* at, int size) => size switch
    {
        1 => *at,
        2 => Unsafe.ReadUnaligned<ushort>(at),
        4 => Unsafe.ReadUnaligned<uint>(at),
        _ => Unsafe.ReadUnaligned<ulong>(at),
    };

    /// <summary>Cuts a run to what one operand can do within its page; gives the guest-physical address of the first element.</summary>
    private bool TryFindRun(int segment, ulong offset, in Instruction i, AccessKind kind, bool down, ref ulong count, out ulong physical)
    {
        physical = 0;
        var size = (ulong)i.OperandSize;
        var write = kind == AccessKind.Write;
        var fault = Fault;
        if (!TryLinearize(segment, offset, (int)size, write, out var linear)) return Not();
        var inPage = linear & (PageSize - 1);
        if (inPage + size > PageSize) return false;
        count = Math.Min(count, down ? inPage / size + 1 : (PageSize - inPage) / size);
        var span = (count - 1) * size;
        // The run must not wrap around the address size, and its other end must pass the segment's checks as well.
        if (down ? span > offset : span > MaskOf(i.AddressSize) - offset) return false;
        var last = down ? offset - span : offset + span;
        if (!TryLinearize(segment, last, (int)size, write, out var lastLinear) || lastLinear != (down ? linear - span : linear + span)) return Not();
        if (WatchesDataPage(linear)) return false;
        if (!TryTranslate(linear, kind, AccessMode.Current, out var page)) return Not();
        physical = page.PhysicalPage | inPage;
        return HostPointer(down ? physical - span : physical, (int)(span + size), write) != null;

        // Whoever does the element by itself raises the fault.
        bool Not()
        {
            Fault = fault;
            return false;
        }
    }

    // Where the destination begins within the source, ahead of it in the direction of the copy, elements are read that
    // were written before.
    private static bool PropagatesOverlap(ulong from, ulong to, ulong bytes, bool down) =>
        down ? from > to && from - to < bytes : to > from && to - from < bytes;

    private static void CopyByElements(byte* from, byte* to, int size, int count, bool down)
    {
        for (var n = 0; n < count; n++)
        {
            var at = (down ? count - 1 - n : n) * size;
            Buffer.MemoryCopy(from + at, to + at, size, size);
        }
    }

    private static void Fill(byte* to, ulong value, int size, int bytes)
    {
        var span = new Span<byte>(to, bytes);
        switch (size)
        {
            case 1: span.Fill((byte)value); break;
            case 2: MemoryMarshal.Cast<byte, ushort>(span).Fill((ushort)value); break;
            case 4: MemoryMarshal.Cast<byte, uint>(span).Fill((uint)value); break;
            default: MemoryMarshal.Cast<byte, ulong>(span).Fill(value); break;
        }
    }
}
