// A guest that runs many short pieces of code, each from the same fresh processor state, and goes on with the next one
// whatever the piece did: every exception and interrupt leads back into its loop, and a timer's NMI ends pieces that never
// end. A piece that destroys the loop itself (its tables, its code) ends the guest early, which is an orderly end too.
using Lamina.Tests.Boot.Support;

namespace Lamina.Tests.Boot.Hostile;

/// <summary>The processor mode that a piece runs in.</summary>
internal enum CaseMode
{
    Long0,
    Long3,
    Protected0,
    Protected3,
    Real16Like0,
    Real16Like3,
}

/// <summary>One piece of code and the state it starts with.</summary>
/// <param name="Mode">Ring and code size.</param>
/// <param name="Address">Where the code lies; it is part of the pieces given to <see cref="CaseKernel.Build"/>.</param>
/// <param name="Stack">RSP.</param>
/// <param name="Flags">RFLAGS.</param>
/// <param name="RegisterSet">Which set of general registers.</param>
internal readonly record struct GuestCase(CaseMode Mode, ulong Address, ulong Stack, uint Flags, int RegisterSet);

internal static class CaseKernel
{
    /// <summary>Memory for the cases' own use.</summary>
    internal const uint Scratch = 0x100_0000, ScratchLength = 0x10_0000;

    /// <summary>Where the code of cases may lie.</summary>
    internal const uint CaseCode = 0x200_0000;

    /// <summary>The value that the guest exits with after its last case.</summary>
    internal const byte Finished = 0x15;

    private const uint Tables = 0x30_0000, Gdt = Tables, Idt = Tables + 0x1000, Tss = Tables + 0x2000, Counter = Tables + 0x3000,
        GdtPointer = Counter + 0x10, IdtPointer = Counter + 0x20, PageTables = Tables + 0x4000,
        Registers = 0x32_0000, Headers = 0x40_0000, Stack = 0x2F_F000, InterruptStack = 0x2F_E000;

    private const uint Cr0 = 0x8005_0033, Cr4 = 0x0000_06B0, Efer = 0xD01, EferIndex = 0xC000_0080;
    private const int RegisterCount = 16, HeaderLength = 32, TssSelector = 0x40;

    private static readonly (ushort Code, ushort Data)[] Selectors = [(0x08, 0x10), (0x1B, 0x23), (0x28, 0x10), (0x33, 0x23), (0x38, 0x10), (0x53, 0x23)];

    /// <summary>Builds the kernel.</summary>
    /// <param name="cases">The cases, in order.</param>
    /// <param name="registers">Sets of 16 values in the order of their encoding; RSP's is not used.</param>
    /// <param name="pieces">The cases' code, and whatever else lies in memory.</param>
    internal static byte[] Build(IReadOnlyList<GuestCase> cases, IReadOnlyList<ulong[]> registers, params (uint Address, byte[] Bytes)[] pieces)
    {
        var code = Loop(cases.Count);
        return TestKernels.Long(code,
            [(Gdt, GdtBytes()), (Idt, IdtBytes(code.AddressOf("handler"))), (Tss, TssBytes()), (GdtPointer, Pointer(Gdt, 0x57)), (IdtPointer, Pointer(Idt, 0xFFF)),
             (PageTables, PageTableBytes()), (Registers, RegisterBytes(registers)), (Headers, HeaderBytes(cases)), .. pieces]);
    }

    private static Code Loop(int count)
    {
        var code = new Code(TestKernels.Origin);
        code.Raw(0xFA)                                                  //          cli
            .With32([0xB8], PageTables).Raw(0x0F, 0x22, 0xD8)           //          mov cr3, rax
            .With32([0x0F, 0x01, 0x14, 0x25], GdtPointer)               //          lgdt
            .With32([0xB8], TssSelector).Raw(0x0F, 0x00, 0xD8)          //          ltr ax
            .With32([0x0F, 0x01, 0x1C, 0x25], IdtPointer)               //          lidt; from now on an NMI may come
            .Out8(0x43, 0x34).Out8(0x40, 0x00).Out8(0x40, 0x0A)         //          timer 0, mode 2, about 2.1 ms
            .Store32(0xFEC0_0000, 0x15).Store32(0xFEC0_0010, 0)         //          I/O APIC input 2: to APIC 0
            .Store32(0xFEC0_0000, 0x14).Store32(0xFEC0_0010, 0x400);    //          as NMI, by edge
        code.Label("next")
            .Raw(0xFC)                                                  //          cld
            .With32([0xB8], Cr0).Raw(0x0F, 0x22, 0xC0)                  //          mov cr0, rax
            .With32([0xB8], Cr4).Raw(0x0F, 0x22, 0xE0)                  //          mov cr4, rax
            .With32([0xB8], PageTables).Raw(0x0F, 0x22, 0xD8)           //          mov cr3, rax
            .WriteMsr(EferIndex, Efer)
            .With32([0x0F, 0x01, 0x14, 0x25], GdtPointer)               //          lgdt
            .With32([0x0F, 0x01, 0x1C, 0x25], IdtPointer)               //          lidt
            .With32([0xB8], 0x23)                                       //          mov eax, 0x23
            .Raw(0x8E, 0xD8, 0x8E, 0xC0, 0x8E, 0xE0, 0x8E, 0xE8)        //          mov ds, es, fs, gs
            .With32([0x8B, 0x1C, 0x25], Counter)                        //          mov ebx, [counter]
            .With32([0xFF, 0x04, 0x25], Counter)                        //          inc dword [counter]
            .With32([0x81, 0xFB], (uint)count)                          //          cmp ebx, count
            .To([0x0F, 0x83], "done")                                   //          jae done
            .Raw(0xC1, 0xE3, 0x05).With32([0x81, 0xC3], Headers)        //          ebx = headers + ebx * 32
            .With32([0xBC], Stack)                                      //          mov esp, stack
            .Raw(0x0F, 0xB7, 0x43, 0x02, 0x50)                          //          push SS
            .Raw(0xFF, 0x73, 0x08)                                      //          push RSP
            .Raw(0x8B, 0x43, 0x04, 0x50)                                //          push RFLAGS
            .Raw(0x0F, 0xB7, 0x03, 0x50)                                //          push CS
            .Raw(0xFF, 0x73, 0x18)                                      //          push RIP
            .Raw(0x8B, 0x5B, 0x10)                                      //          ebx = registers
            .Raw(0x48, 0x8B, 0x03, 0x48, 0x8B, 0x4B, 0x08, 0x48, 0x8B, 0x53, 0x10)                          // rax, rcx, rdx
            .Raw(0x48, 0x8B, 0x6B, 0x28, 0x48, 0x8B, 0x73, 0x30, 0x48, 0x8B, 0x7B, 0x38)                    // rbp, rsi, rdi
            .Raw(0x4C, 0x8B, 0x43, 0x40, 0x4C, 0x8B, 0x4B, 0x48, 0x4C, 0x8B, 0x53, 0x50, 0x4C, 0x8B, 0x5B, 0x58)  // r8 to r11
            .Raw(0x4C, 0x8B, 0x63, 0x60, 0x4C, 0x8B, 0x6B, 0x68, 0x4C, 0x8B, 0x73, 0x70, 0x4C, 0x8B, 0x7B, 0x78)  // r12 to r15
            .Raw(0x48, 0x8B, 0x5B, 0x18)                                //          rbx
            .Raw(0x48, 0xCF);                                           //          iretq
        // Returns by IRET, so that NMIs are let in again.
        code.Label("handler")
            .With32([0xBC], Stack)                                      //          mov esp, stack
            .Raw(0x6A, 0x10).With32([0x68], Stack).Raw(0x6A, 0x02)      //          push SS, RSP, RFLAGS
            .Raw(0x6A, 0x08).With32([0x68], code.AddressOf("next"))     //          push CS, RIP
            .Raw(0x48, 0xCF);                                           //          iretq
        return code.Label("done").Exit(Finished);
    }

    // Flat segments of every size and ring, then the TSS (SDM vol. 3, 3.4.5 and 8.2.3).
    private static byte[] GdtBytes()
    {
        var gdt = new byte[0x58];
        (int Selector, ulong Descriptor)[] segments =
        [
            (0x08, 0x00AF_9B00_0000_FFFF), (0x10, 0x00CF_9300_0000_FFFF), (0x18, 0x00AF_FB00_0000_FFFF), (0x20, 0x00CF_F300_0000_FFFF),
            (0x28, 0x00CF_9B00_0000_FFFF), (0x30, 0x00CF_FB00_0000_FFFF), (0x38, 0x008F_9B00_0000_FFFF), (0x50, 0x008F_FB00_0000_FFFF),
            (TssSelector, 0x0000_8900_0000_0067 | ((ulong)(Tss & 0xFF_FFFF) << 16) | ((ulong)(Tss >> 24) << 56)),
        ];
        foreach (var (selector, descriptor) in segments) TestKernels.U64(gdt, selector, descriptor);
        return gdt;
    }

    private static byte[] IdtBytes(uint handler)
    {
        var idt = new byte[0x1000];
        for (var vector = 0; vector < 256; vector++)
            TestKernels.U64(idt, vector * 16, (handler & 0xFFFF) | (0x08ul << 16) | (1ul << 32) | (0xEEul << 40) | ((ulong)(handler >> 16) << 48));
        return idt;
    }

    private static byte[] TssBytes()
    {
        var tss = new byte[0x68];
        TestKernels.U64(tss, 4, Stack);
        TestKernels.U64(tss, 36, InterruptStack);
        TestKernels.U16(tss, 102, 0x68);
        return tss;
    }

    // 4 GiB for both rings; of the scratch memory's second half, each page has rights of its own kind.
    private static byte[] PageTableBytes()
    {
        const uint table = PageTables + 0x6000;
        const ulong present = 7, large = 0x80, noExecute = 1ul << 63;
        var tables = new byte[0x7000];
        TestKernels.U64(tables, 0, (PageTables + 0x1000) | present);
        // The same in the upper half: addresses that have their sign bit set.
        TestKernels.U64(tables, 511 * 8, (PageTables + 0x1000) | present);
        for (var gib = 0; gib < 4; gib++)
        {
            TestKernels.U64(tables, 0x1000 + (gib * 8), (ulong)(PageTables + 0x2000 + (gib * 0x1000)) | present);
            TestKernels.U64(tables, 0x1000 + ((508 + gib) * 8), (ulong)(PageTables + 0x2000 + (gib * 0x1000)) | present);
            for (var entry = 0; entry < 512; entry++)
                TestKernels.U64(tables, 0x2000 + (gib * 0x1000) + (entry * 8), ((ulong)gib << 30) | ((ulong)entry << 21) | present | large);
        }
        ulong[] kinds = [present, 0, 5, 1, 3, present | noExecute, present | (1ul << 51), 0xFEE0_0000 | present, 0xFEB0_0000 | present, PageTables | present];
        TestKernels.U64(tables, 0x2000 + (int)(Scratch >> 21 << 3), table | present);
        for (var page = 0; page < 512; page++)
        {
            var address = Scratch + ((uint)page << 12);
            var kind = page < 128 ? present : kinds[page % kinds.Length];
            TestKernels.U64(tables, 0x6000 + (page * 8), kind == 0 ? 0 : kind >= 0x1000 && kind < noExecute && kind >> 51 == 0 ? kind : address | kind);
        }
        return tables;
    }

    private static byte[] Pointer(uint address, ushort limit)
    {
        var pointer = new byte[10];
        TestKernels.U16(pointer, 0, limit);
        TestKernels.U64(pointer, 2, address);
        return pointer;
    }

    private static byte[] RegisterBytes(IReadOnlyList<ulong[]> sets)
    {
        var bytes = new byte[sets.Count * RegisterCount * 8];
        for (var set = 0; set < sets.Count; set++)
            for (var register = 0; register < RegisterCount; register++) TestKernels.U64(bytes, ((set * RegisterCount) + register) * 8, sets[set][register]);
        return bytes;
    }

    private static byte[] HeaderBytes(IReadOnlyList<GuestCase> cases)
    {
        var bytes = new byte[cases.Count * HeaderLength];
        for (var i = 0; i < cases.Count; i++)
        {
            var at = i * HeaderLength;
            var (code, data) = Selectors[(int)cases[i].Mode];
            TestKernels.U16(bytes, at, code);
            TestKernels.U16(bytes, at + 2, data);
            TestKernels.U32(bytes, at + 4, cases[i].Flags | 2);
            TestKernels.U64(bytes, at + 8, cases[i].Stack);
            TestKernels.U32(bytes, at + 16, Registers + (uint)(cases[i].RegisterSet * RegisterCount * 8));
            TestKernels.U64(bytes, at + 24, cases[i].Address);
        }
        return bytes;
    }
}
