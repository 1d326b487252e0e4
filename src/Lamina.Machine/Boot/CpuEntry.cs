// The entry states that boot protocols ask for, written into a vCPU's architectural state: 64-bit mode with identity
// page tables (Linux), flat 32-bit protected mode (PVH, Multiboot, Linux's 32-bit protocol).
using Lamina.Core.Engine;

namespace Lamina.Boot;

/// <summary>Entry states and the tables they need in memory.</summary>
internal static class CpuEntry
{
    // SDM vol. 3, 2.5: protection enable, extension type, paging; CR4.PAE; EFER.LME and LMA.
    private const ulong Cr0Pe = 1, Cr0Et = 1 << 4, Cr0Pg = 1u << 31, Cr4Pae = 1 << 5, EferLme = 1 << 8, EferLma = 1 << 10;
    private const ulong RflagsFixed = 2;

    // Selectors as boot.rst asks for: __BOOT_CS 0x10, __BOOT_DS 0x18; a TSS behind them.
    private const ushort CodeSelector = 0x10, DataSelector = 0x18, TaskSelector = 0x20;

    // Access rights as in VMCS format: type, S, P, and AVL/L/DB/G from bit 12 (SDM vol. 3, 25.4.1).
    private const uint Code32 = 0xC09B, Code64 = 0xA09B, Data = 0xC093, Task32 = 0x008B, Ldt = 0x0082, Unusable = 1 << 16;

    // IA32_MTRR_DEF_TYPE: enabled, write-back (SDM vol. 3, 12.11.2.1). Kernels without it leave the PAT alone as well.
    private const uint MtrrDefaultType = 0x2ff;
    private const ulong MtrrEnabledWriteBack = 0x806;

    private const int PageTablePages = 6;
    private const ulong PagePresentWritable = 3, PageLarge = 0x80;

    /// <summary>The bytes of the page tables of <see cref="LongMode"/>.</summary>
    internal const ulong PageTablesLength = PageTablePages * 4096;

    /// <summary>The GDT: null, null, flat code, flat data, a TSS of length 0x68 at 0.</summary>
    internal static byte[] Gdt(bool longMode)
    {
        var gdt = new GuestWriter(48);
        gdt.U64(CodeSelector, longMode ? 0x00AF_9B00_0000_FFFFul : 0x00CF_9B00_0000_FFFFul);
        gdt.U64(DataSelector, 0x00CF_9300_0000_FFFF);
        gdt.U64(TaskSelector, 0x0000_8B00_0000_0067);
        return gdt.Bytes;
    }

    /// <summary>Page tables that map the first 4 GiB to themselves by 2 MiB pages; they lie at <see cref="BootLayout.PageTables"/>. SDM vol. 3, 4.5.</summary>
    internal static byte[] IdentityPageTables()
    {
        var tables = new GuestWriter((int)PageTablesLength);
        tables.U64(0, (BootLayout.PageTables + 0x1000) | PagePresentWritable);
        for (var gib = 0; gib < 4; gib++)
        {
            tables.U64(0x1000 + (gib * 8), (BootLayout.PageTables + 0x2000 + ((ulong)gib * 0x1000)) | PagePresentWritable);
            for (var entry = 0; entry < 512; entry++)
                tables.U64(0x2000 + (gib * 0x1000) + (entry * 8), (((ulong)gib << 30) + ((ulong)entry << 21)) | PagePresentWritable | PageLarge);
        }
        return tables.Bytes;
    }

    /// <summary>What a firmware would have set up in every CPU before it gave control away.</summary>
    internal static void Firmware(VcpuState state) => state.Msrs[MtrrDefaultType] = MtrrEnabledWriteBack;

    /// <summary>64-bit mode at an address, with the tables above and a stack.</summary>
    internal static void LongMode(VcpuState state, ulong entry)
    {
        Common(state, entry, Code64);
        state.Gpr[GprIndex.Rsp] = BootLayout.StackEnd - 16;
        state.Cr0 = Cr0Pe | Cr0Et | Cr0Pg;
        state.Cr3 = BootLayout.PageTables;
        state.Cr4 = Cr4Pae;
        state.Efer = EferLme | EferLma;
    }

    /// <summary>32-bit protected mode with flat segments, paging off. ESP is undefined in the protocols; ours points to usable memory.</summary>
    internal static void Protected(VcpuState state, uint entry)
    {
        Common(state, entry, Code32);
        state.Gpr[GprIndex.Rsp] = BootLayout.StackEnd - 16;
        state.Cr0 = Cr0Pe | Cr0Et;
        state.Cr3 = 0;
        state.Cr4 = 0;
        state.Efer = 0;
    }

    private static void Common(VcpuState state, ulong entry, uint code)
    {
        Array.Clear(state.Gpr);
        state.Rip = entry;
        state.Rflags = RflagsFixed;
        state.Gdtr = new DescriptorTableState { Base = BootLayout.Gdt, Limit = 47 };
        state.Idtr = default;
        state.Segments[SegmentIndex.Cs] = Segment(CodeSelector, uint.MaxValue, code);
        foreach (var index in (ReadOnlySpan<int>)[SegmentIndex.Es, SegmentIndex.Ss, SegmentIndex.Ds, SegmentIndex.Fs, SegmentIndex.Gs])
            state.Segments[index] = Segment(DataSelector, uint.MaxValue, Data);
        state.Segments[SegmentIndex.Ldtr] = Segment(0, 0, Ldt | Unusable);
        state.Segments[SegmentIndex.Tr] = Segment(TaskSelector, 0x67, Task32);
        state.Activity = VcpuActivity.Running;
    }

    private static SegmentState Segment(ushort selector, uint limit, uint attributes) =>
        new() { Selector = selector, Limit = limit, Attributes = attributes };
}
