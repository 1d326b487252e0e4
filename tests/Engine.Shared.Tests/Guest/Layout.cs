// Where things lie in a guest of these tests, and the tables that every one of them finds in its memory: descriptors for
// each kind of code, and page tables that map the first 4 GiB to themselves, for users too.
using System.Buffers.Binary;
using Lamina.Core.Engine;
using Lamina.Core.Memory;

namespace Lamina.Tests.Engine.Shared.Guest;

internal static class Layout
{
    internal const ulong RamSize = 4 << 20;
    internal const uint Gdt = 0x1000, Idt = 0x2000, Tss = 0x3000, Log = 0x4000, KernelStack = 0x7000, Code = 0x8000, Handlers = 0xC000, Data = 0x1_0000, UserStack = 0x1_8000;
    internal const uint PageTables = 0x2_0000, PageTables32 = 0x3_0000, Far32 = 0xD000, Far64 = 0xD200, FarCompatibility = 0xD400;

    /// <summary>A device with 256 bytes of registers.</summary>
    internal const uint Device = 0xD000_0000;

    /// <summary>A store to it ends the guest's program.</summary>
    internal const uint EndDevice = 0xD000_1000;

    internal const ushort Code32 = 0x08, Data32 = 0x10, Code64 = 0x18, UserCode32 = 0x23, UserData = 0x2b, UserCode64 = 0x33, Code16 = 0x38, Data16 = 0x40, Task = 0x48;

    /// <summary>A write to it ends the guest's program; a write to the other one is logged.</summary>
    internal const ushort EndPort = 0xF0, LogPort = 0xE0;

    private const ulong PresentWritableUser = 7, Large = 0x80;

    // Null, code 32, data, code 64, user code 32, user data, user code 64, code 16, data 16. SDM vol. 3, 3.4.5.
    private static readonly ulong[] s_descriptors =
    [
        0, 0x00CF_9B00_0000_FFFF, 0x00CF_9300_0000_FFFF, 0x00AF_9B00_0000_FFFF, 0x00CF_FB00_0000_FFFF, 0x00CF_F300_0000_FFFF, 0x00AF_FB00_0000_FFFF,
        0x0000_9B00_0000_FFFF, 0x0000_9300_0000_FFFF,
    ];

    internal static DescriptorTableState GdtRegister => new() { Base = Gdt, Limit = 0x5f };

    internal static void Write(GuestMemory memory)
    {
        for (var n = 0; n < s_descriptors.Length; n++) Put(memory, Gdt + (ulong)(n * 8), s_descriptors[n]);
        // A task state segment; in long mode its descriptor takes two places.
        Put(memory, Gdt + Task, 0x0000_8B00_0000_0067 | (Tss & 0xFFFFul) << 16);
        Put(memory, Gdt + Task + 8, 0);
        Put(memory, Tss + 4, (ulong)KernelStack);               // RSP0; of a 32-bit TSS ESP0, and SS0 behind it
        Put(memory, PageTables, (PageTables + 0x1000) | PresentWritableUser);
        for (var gib = 0u; gib < 4; gib++)
        {
            Put(memory, PageTables + 0x1000 + gib * 8, (PageTables + 0x2000 + gib * 0x1000) | PresentWritableUser);
            for (var page = 0u; page < 512; page++)
                Put(memory, PageTables + 0x2000 + gib * 0x1000 + page * 8, ((ulong)gib << 30) | ((ulong)page << 21) | PresentWritableUser | Large);
        }
        Span<byte> word = stackalloc byte[4];
        for (var page = 0u; page < 1024; page++)
        {
            BinaryPrimitives.WriteUInt32LittleEndian(word, page << 22 | (uint)(PresentWritableUser | Large));
            memory.TryWrite(PageTables32 + page * 4, word);
        }
    }

    internal static SegmentState Segment(ushort selector)
    {
        if (selector == Task) return new SegmentState { Selector = Task, Base = Tss, Limit = 0x67, Attributes = 0x8B };
        var descriptor = s_descriptors[selector >> 3];
        var limit = (uint)(descriptor & 0xFFFF | descriptor >> 32 & 0xF_0000);
        if ((descriptor >> 55 & 1) != 0) limit = limit << 12 | 0xFFF;
        return new SegmentState { Selector = selector, Limit = limit, Attributes = (uint)(descriptor >> 40) & 0xF0FF };
    }

    private static void Put(GuestMemory memory, ulong at, ulong value) => memory.TryWrite(at, value);
}
