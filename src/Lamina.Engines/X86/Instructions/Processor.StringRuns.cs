// REP MOVS and REP STOS in runs: as many elements at once as lie in one page of RAM at both ends, in either direction.
// What is not that simple (devices, faults, elements that cross pages, breakpoints) goes element by element.
using System.Runtime.InteropServices;
using Lamina.Core.Engine;
using Lamina.Engines.Translator.Decode;

namespace Lamina.Engines.X86;

internal sealed unsafe partial class Processor
{
    /// <summary>Does a run of at most <paramref name="limit"/> elements.</summary>
    /// <returns>How many were done, registers being up to date but for the counter; 0 where an element is to be done by itself.</returns>
    private ulong StringRun(in Instruction i, ulong limit)
    {
        if (i.Id is not (InstructionId.Movs or InstructionId.Stos) || HasDataBreakpoints || ChecksAlignment) return 0;
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
        if (!TryTranslate(linear, kind, AccessMode.Current, out var page)) return Not();
        physical = page.PhysicalPage | inPage;
        return HostPointer(down ? physical - span : physical, (int)(span + size)) != null;

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
