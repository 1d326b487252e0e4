// The tables of a guest in legacy protected mode, beside those of long mode in the same memory: PAE paging over the same page
// table of the case's image, a GDT and a TSS of 32 bits, gates of 32 bits to the same handlers.
using Lamina.Core.Engine;
using Lamina.Core.Memory;
using Lamina.Tests.Engine.Conformance.Oracle;

namespace Lamina.Tests.Engine.Conformance.Guest;

/// <summary>Builds the tables of legacy protected mode.</summary>
internal static class LegacyTables
{
    /// <summary>Guest-physical 0 to 2 MiB as the handlers see it, where cases hardly ever look.</summary>
    public const uint High = 0xe000_0000;

    /// <summary>How much of it is there.</summary>
    public const uint HighLength = 2 << 20;

    /// <summary>The page-directory-pointer table.</summary>
    public const ulong Root = 0xd000;

    private const ulong LowDirectory = 0xe000, HighDirectory = 0xf000, Gdt = 0x3_5000, Idt = 0x3_6000, Tss = 0x3_7000;
    private const ulong Present = 1, Writable = 2, User = 4, Large = 0x80;
    private const ushort Task = 0x40, LocalTable = 0x48;

    public static DescriptorTableState GdtRegister => new() { Base = High + Gdt, Limit = 0xff };

    public static DescriptorTableState IdtRegister => new() { Base = High + Idt, Limit = 0x7ff };

    /// <summary>LDTR.</summary>
    public static SegmentState LocalTableSegment => new() { Selector = LocalTable, Base = High + GuestTables.Ldt, Limit = 0xfff, Attributes = 0x82 };

    /// <summary>TR.</summary>
    public static SegmentState TaskSegment => new() { Selector = Task, Base = High + Tss, Limit = 0x67, Attributes = 0x8b };

    /// <summary>Writes everything; <see cref="GuestTables.Write"/> must have been before.</summary>
    public static void Write(GuestMemory memory)
    {
        // SDM vol. 3, 4.4: entry 0 of four leads to the image, entry 3 to the handlers.
        Put(memory, Root, LowDirectory | Present);
        Put(memory, Root + (High >> 30) * 8, HighDirectory | Present);
        Put(memory, LowDirectory + (CaseLayout.Base >> 21) * 8, (GuestTables.UserRoot + 0x3000) | Present | Writable | User);
        Put(memory, HighDirectory + (High >> 21 & 511) * 8, 0 | Present | Writable | Large);
        GuestTables.CopyUserDescriptors(memory, Gdt);
        Put(memory, Gdt + GuestTables.KernelCode, 0x00cf_9b00_0000_ffff);
        Put(memory, Gdt + Task, System(Tss, 0x67, 0x8b));
        Put(memory, Gdt + LocalTable, System(GuestTables.Ldt, 0xfff, 0x82));
        for (var vector = 0; vector < 256; vector++)
        {
            ulong offset = High + GuestTables.Handlers + (ulong)vector * GuestTables.HandlerStride, dpl = vector is 3 or 4 ? 3ul : 0;
            Put(memory, Idt + (ulong)vector * 8, offset & 0xffff | (ulong)GuestTables.KernelCode << 16 | (0x8e00 | dpl << 13) << 32 | (offset >> 16) << 48);
        }
        // SDM vol. 3, figure 8-2: ESP0, SS0, no I/O permission map.
        Put(memory, Tss, (High + GuestTables.FrameTop) << 32);
        Put(memory, Tss + 8, GuestTables.KernelData);
        Put(memory, Tss + 0x60, 0x0068_0000_0000_0000);
    }

    private static ulong System(ulong physical, ulong limit, ulong type) => limit | (physical & 0xff_ffff) << 16 | type << 40 | (ulong)(High >> 24) << 56;

    private static void Put(GuestMemory memory, ulong at, ulong value)
    {
        if (!memory.TryWrite(at, value)) throw new InvalidOperationException("the guest's tables do not fit its memory");
    }
}
