// What a guest of one case needs in its memory besides the case: page tables, descriptor tables, a handler for each
// vector that tells its number by where it is, and a stack for them. Long mode; 32- and 16-bit cases run in
// compatibility mode, as they do on the host.
using Lamina.Core.Engine;
using Lamina.Core.Memory;
using Lamina.Tests.Engine.Conformance.Oracle;

namespace Lamina.Tests.Engine.Conformance.Guest;

/// <summary>Builds the tables.</summary>
internal static class GuestTables
{
    public const ulong RamSize = 4 << 20;

    /// <summary>Guest-physical 0 to 2 MiB as the handlers see it.</summary>
    public const ulong High = 0xffff_8000_0000_0000;

    /// <summary>Handlers: <see cref="HandlerStride"/> bytes a vector.</summary>
    public const ulong Handlers = 0x4_0000;

    public const int HandlerStride = 16;

    /// <summary>The port that a handler writes to.</summary>
    public const ushort EndPort = 0xf0;

    /// <summary>Where the exception frame ends (the first byte behind it).</summary>
    public const ulong FrameTop = 0x5_1000;

    public const ushort KernelCode = 0x10, KernelData = 0x18, Task = 0x40, LocalTable = 0x50;

    /// <summary>Roots of the page tables: the case's pages belong to users, or to the supervisor.</summary>
    public const ulong UserRoot = 0x1000, SupervisorRoot = 0x6000;

    /// <summary>Routines that replace handlers, and what they count.</summary>
    public const ulong Routines = 0x6_0000, Counter = 0x7_0000;

    /// <summary>Guest-physical address of the page-table entry of a page of the image.</summary>
    public static ulong EntryOf(ulong root, ulong linear) => root + 0x3000 + (linear >> 12 & 511) * 8;

    /// <summary>Guest-physical address of the LDT, the same in all modes.</summary>
    public const ulong Ldt = 0x3_1000;

    private const ulong Gdt = 0x3_0000, Idt = 0x3_2000, Tss = 0x3_4000;
    private const ulong Present = 1, Writable = 2, User = 4, Large = 0x80, Global = 0x100, NoExecute = 1ul << 63;

    // Guest-physical address of the case's image, and the order of its pages there. Of all pages but one the next one lies
    // elsewhere: what crosses their end cannot be done as if they were one.
    private const ulong Image = 0x20_0000;

    private static ReadOnlySpan<byte> Places => [2, 0, 1, 5, 4, 3];

    /// <summary>Guest-physical address of a byte of the image, where there is paging.</summary>
    public static ulong PhysicalOf(int imageOffset) =>
        Image + (ulong)(Places[imageOffset / CaseLayout.PageSize] * CaseLayout.PageSize + imageOffset % CaseLayout.PageSize);

    /// <summary>Writes a case's image.</summary>
    public static void WriteImage(GuestMemory memory, ReadOnlySpan<byte> image)
    {
        for (var at = 0; at < image.Length; at += CaseLayout.PageSize) Put(memory, PhysicalOf(at), image.Slice(at, CaseLayout.PageSize));
    }

    /// <summary>Reads it back.</summary>
    public static void ReadImage(GuestMemory memory, Span<byte> image)
    {
        for (var at = 0; at < image.Length; at += CaseLayout.PageSize)
            if (!memory.TryRead(PhysicalOf(at), image.Slice(at, CaseLayout.PageSize))) throw new InvalidOperationException("the guest's memory is gone");
    }

    public static DescriptorTableState GdtRegister => new() { Base = High + Gdt, Limit = 0xff };

    public static DescriptorTableState IdtRegister => new() { Base = High + Idt, Limit = 0xfff };

    /// <summary>Writes everything.</summary>
    public static void Write(GuestMemory memory)
    {
        WritePaging(memory, UserRoot, User);
        WritePaging(memory, SupervisorRoot, 0);
        WriteDescriptors(memory);
        for (var vector = 0; vector < 256; vector++)
        {
            WriteHandler(memory, vector);
            var offset = High + Handlers + (ulong)vector * HandlerStride;
            var dpl = vector is 3 or 4 ? 3ul : 0;
            Put(memory, Idt + (ulong)vector * 16, offset & 0xffff | (ulong)KernelCode << 16 | 1ul << 32 | (0x8e00 | dpl << 13) << 32 | (offset >> 16 & 0xffff) << 48);
            Put(memory, Idt + (ulong)vector * 16 + 8, offset >> 32);
        }
        Put(memory, Tss + 0x24, High + FrameTop);           // IST1
        Put(memory, Tss + 0x04, High + FrameTop);           // RSP0
        Put(memory, Tss + 0x60, 0x0068_0000_0000_0000ul);   // no I/O permission map
    }

    /// <summary>Writes a vector's handler, where it is not there already; the same bytes in all modes.</summary>
    public static void WriteHandler(GuestMemory memory, int vector)
    {
        var at = Handlers + (ulong)vector * HandlerStride;
        ReadOnlySpan<byte> handler = [0xe6, (byte)EndPort, 0xf4]; // out EndPort, al; hlt
        if (!memory.TrySlice(at, handler.Length, out var there) || !there.SequenceEqual(handler)) Put(memory, at, handler);
    }

    /// <summary>Writes the GDT's first entries, those of code and data, to another place.</summary>
    public static void CopyUserDescriptors(GuestMemory memory, ulong at)
    {
        for (var i = 0; i < Descriptors.Length; i++) Put(memory, at + (ulong)i * 8, Descriptors[i]);
    }

    /// <summary>The segment register for a selector of ours.</summary>
    public static SegmentState Segment(ushort selector, bool inLocalTable = false)
    {
        if (selector < 4) return new SegmentState { Selector = selector, Attributes = 1 << 16 };
        var descriptor = inLocalTable || (selector & 4) != 0 ? LocalDescriptors[selector >> 3] : Descriptors[selector >> 3];
        var limit = (uint)(descriptor & 0xffff | descriptor >> 32 & 0xf_0000);
        if ((descriptor >> 55 & 1) != 0) limit = limit << 12 | 0xfff;
        return new SegmentState
        {
            Selector = selector,
            Base = descriptor >> 16 & 0xff_ffff | descriptor >> 32 & 0xff00_0000,
            Limit = limit,
            Attributes = (uint)(descriptor >> 40) & 0xf0ff,
        };
    }

    /// <summary>LDTR.</summary>
    public static SegmentState LocalTableSegment => new() { Selector = LocalTable, Base = High + Ldt, Limit = 0xfff, Attributes = 0x82 };

    /// <summary>TR.</summary>
    public static SegmentState TaskSegment => new() { Selector = Task, Base = High + Tss, Limit = 0x67, Attributes = 0x8b };

    // Linux's numbers: 32-bit code of users 4, data of users 5, 64-bit code of users 6.
    private static ulong[] Descriptors { get; } =
    [
        0, 0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0x00cf_fb00_0000_ffff, 0x00cf_f300_0000_ffff, 0x00af_fb00_0000_ffff, 0,
    ];

    private static ulong[] LocalDescriptors { get; } =
    [
        0, Based(0xffff, 0x00fb), Based(0xffff, 0x00f3), Based(Selectors.ShortLimit, 0x40f3), Based(0xffff, 0x40fb),
    ];

    private static ulong Based(uint limit, ulong attributes) =>
        limit & 0xffff | (CaseLayout.Base & 0xff_fffful) << 16 | (attributes & 0xff) << 40 | (attributes >> 12 & 0xf) << 52 | (ulong)(CaseLayout.Base >> 24) << 56;

    private static void WritePaging(GuestMemory memory, ulong root, ulong owner)
    {
        ulong directoryPointers = root + 0x1000, directory = root + 0x2000, table = root + 0x3000, highPointers = root + 0x4000;
        const ulong highDirectory = 0xb000;
        Put(memory, root, directoryPointers | Present | Writable | owner);
        Put(memory, directoryPointers, directory | Present | Writable | owner);
        Put(memory, directory + (CaseLayout.Base >> 21) * 8, table | Present | Writable | owner);
        for (var page = 0; page < CaseLayout.ImageSize / CaseLayout.PageSize; page++)
        {
            var linear = CaseLayout.LinearOf(page * CaseLayout.PageSize);
            var writable = page * CaseLayout.PageSize is >= CaseLayout.WritableData and < CaseLayout.DataSize ? 0 : Writable;
            var noExecute = page * CaseLayout.PageSize < CaseLayout.DataSize ? NoExecute : 0;
            Put(memory, table + (linear >> 12 & 511) * 8, PhysicalOf(page * CaseLayout.PageSize) | Present | owner | writable | noExecute);
        }
        Put(memory, root + 256 * 8, highPointers | Present | Writable);
        Put(memory, highPointers, highDirectory | Present | Writable);
        Put(memory, highDirectory, 0 | Present | Writable | Large | Global);
    }

    private static void WriteDescriptors(GuestMemory memory)
    {
        CopyUserDescriptors(memory, Gdt);
        for (var i = 0; i < LocalDescriptors.Length; i++) Put(memory, Ldt + (ulong)i * 8, LocalDescriptors[i]);
        PutSystem(memory, Gdt + Task, High + Tss, 0x67, 0x8b);
        PutSystem(memory, Gdt + LocalTable, High + Ldt, 0xfff, 0x82);
    }

    private static void PutSystem(GuestMemory memory, ulong at, ulong address, ulong limit, ulong type)
    {
        Put(memory, at, limit | (address & 0xff_ffff) << 16 | type << 40 | (address >> 24 & 0xff) << 56);
        Put(memory, at + 8, address >> 32);
    }

    private static void Put(GuestMemory memory, ulong at, ulong value)
    {
        if (!memory.TryWrite(at, value)) throw new InvalidOperationException("the guest's tables do not fit its memory");
    }

    private static void Put(GuestMemory memory, ulong at, ReadOnlySpan<byte> bytes)
    {
        if (!memory.TryWrite(at, bytes)) throw new InvalidOperationException("the guest's tables do not fit its memory");
    }
}
