// The machine code that all blocks share: the way in, the ways out, and the page walk for accesses that miss the tables.
using Lamina.Engines.Translator.Emit;
using static Lamina.Engines.Translator.Emit.GuestRegisters;
using HostReg = Lamina.Engines.Translator.Emit.Host;

namespace Lamina.Engines.Translator.Runtime;

internal sealed unsafe class Stubs
{
    // Present, writable, user, accessed, dirty, page size, global (SDM vol. 3, table 4-20).
    private const int EntryDirty = 0x40, EntrySize = 0x80;

    private readonly bool _hasAvx;

    public Stubs(CodeBuffer buffer, bool hasAvx)
    {
        _hasAvx = hasAvx;
        var asm = buffer.Begin();
        var common = EmitCommonExit(ref asm);
        Enter = (delegate* unmanaged<ulong, uint>)EmitEnter(ref asm);
        Addresses = new StubAddresses
        {
            Commit = EmitExit(ref asm, SiteKind.Commit, common),
            Segment = EmitExit(ref asm, SiteKind.Segment, common),
            System = EmitExit(ref asm, SiteKind.System, common),
            Poll = EmitExit(ref asm, SiteKind.Poll, common),
            Link = EmitExit(ref asm, SiteKind.Link, common),
            Stale = EmitExit(ref asm, SiteKind.Stale, common),
            Step = EmitExit(ref asm, SiteKind.Step, common),
            Undecodable = EmitExit(ref asm, SiteKind.Undecodable, common),
        };
        var readExit = EmitExit(ref asm, SiteKind.Read, common);
        var writeExit = EmitExit(ref asm, SiteKind.Write, common);
        Addresses.Read = EmitWalk(ref asm, write: false, readExit);
        Addresses.Write = EmitWalk(ref asm, write: true, writeExit);
        Addresses.JumpMiss = EmitJumpedExit(ref asm, SiteKind.JumpMiss, common);
        HostFault = EmitJumpedExit(ref asm, SiteKind.HostFault, common);
        for (var size = 0; size < 4; size++)
        {
            Addresses.Move[size] = StringStubs.Emit(ref asm, move: true, size, Addresses.System);
            Addresses.Store[size] = StringStubs.Emit(ref asm, move: false, size, Addresses.System);
        }
        buffer.End(asm.Cursor);
        buffer.KeepAllSoFar();
    }

    /// <summary>Enters generated code at <see cref="VcpuArea.EnterAddress"/> with a GS base; returns a <see cref="SiteKind"/>.</summary>
    public delegate* unmanaged<ulong, uint> Enter { get; }

    /// <summary>What generated code calls.</summary>
    public StubAddresses Addresses { get; }

    /// <summary>Where the signal handler sends a thread that faulted in generated code.</summary>
    public ulong HostFault { get; }

    private static ulong EmitEnter(ref Assembler asm)
    {
        var start = asm.Here;
        asm.Push(HostReg.Rbx);
        asm.Push(HostReg.Rbp);
        for (var r = HostReg.R12; r <= HostReg.R15; r++) asm.Push(r);
        foreach (var b in (ReadOnlySpan<byte>)[0xf3, 0x48, 0x0f, 0xae, 0xdf]) asm.Byte(b);     // wrgsbase rdi
        asm.Gs(Op.MovStore, HostReg.Rsp, Slot.HostStack);
        asm.Gs(Op.MovLoad, HostReg.Rax, Slot.XsaveMask, wide: false);
        asm.Rr(Op.Xor, HostReg.Rdx, HostReg.Rdx, wide: false);
        asm.Byte(0x65);                                                                         // xrstor64 gs:[xsave]
        asm.Byte(0x48);
        asm.Byte(0x0f);
        asm.Byte(0xae);
        asm.GsAddress(5, Slot.Xsave);
        asm.Gs(Op.MovLoad, HostReg.Rax, Slot.HostFlags, wide: false);
        asm.Byte(0x04);
        asm.Byte(0x7f);
        asm.Byte(0x9e);
        for (var guest = 1; guest < 16; guest++)
            if (!IsDisplaced(guest)) asm.Gs(Op.MovLoad, HostOf(guest), Slot.GprSlot(guest));
        asm.Gs(Op.MovLoad, S0, Slot.Scratch0);
        asm.Gs(Op.MovLoad, S1, Slot.Scratch1);
        asm.Gs(Op.MovLoad, HostReg.Rax, Slot.GprSlot(0));
        asm.Byte(0x65);
        asm.Byte(0xff);
        asm.GsAddress(4, Slot.EnterAddress);
        return start;
    }

    private static ulong EmitExit(ref Assembler asm, SiteKind kind, ulong common)
    {
        var start = asm.Here;
        asm.Byte(0x65);                                     // pop gs:[exit address]
        asm.Byte(0x8f);
        asm.GsAddress(0, Slot.ExitAddress);
        EmitSaveStart(ref asm, kind, common);
        return start;
    }

    private static ulong EmitJumpedExit(ref Assembler asm, SiteKind kind, ulong common)
    {
        var start = asm.Here;
        EmitSaveStart(ref asm, kind, common);
        return start;
    }

    private static void EmitSaveStart(ref Assembler asm, SiteKind kind, ulong common)
    {
        asm.Gs(Op.MovStore, HostReg.Rax, Slot.GprSlot(0));
        asm.Byte(0x9f);                                     // lahf
        asm.Rr0F(0x90, 0, HostReg.Rax, false);              // seto al
        asm.Gs(Op.MovStore, HostReg.Rax, Slot.HostFlags, wide: false);
        asm.MovImmediate(HostReg.Rax, (ulong)kind);
        asm.Jmp(common);
    }

    private ulong EmitCommonExit(ref Assembler asm)
    {
        var start = asm.Here;
        for (var guest = 1; guest < 16; guest++)
            if (!IsDisplaced(guest)) asm.Gs(Op.MovStore, HostOf(guest), Slot.GprSlot(guest));
        asm.Gs(Op.MovStore, S0, Slot.Scratch0);
        asm.Gs(Op.MovStore, S1, Slot.Scratch1);
        asm.Mov(HostReg.Rbx, HostReg.Rax);
        asm.Gs(Op.MovLoad, HostReg.Rax, Slot.XsaveMask, wide: false);
        asm.Rr(Op.Xor, HostReg.Rdx, HostReg.Rdx, wide: false);
        asm.Byte(0x65);                                     // xsave64 gs:[xsave]
        asm.Byte(0x48);
        asm.Byte(0x0f);
        asm.Byte(0xae);
        asm.GsAddress(4, Slot.Xsave);
        asm.Byte(0xdb);                                     // fninit
        asm.Byte(0xe3);
        asm.Byte(0x65);                                     // ldmxcsr gs:[host mxcsr]
        asm.Byte(0x0f);
        asm.Byte(0xae);
        asm.GsAddress(2, Slot.HostMxcsr);
        if (_hasAvx)
        {
            asm.Byte(0xc5);                                 // vzeroupper
            asm.Byte(0xf8);
            asm.Byte(0x77);
        }
        asm.Mov(HostReg.Rax, HostReg.Rbx, wide: false);
        asm.Gs(Op.MovLoad, HostReg.Rsp, Slot.HostStack);
        for (var r = HostReg.R15; r >= HostReg.R12; r--) asm.Pop(r);
        asm.Pop(HostReg.Rbp);
        asm.Pop(HostReg.Rbx);
        asm.Ret();
        return start;
    }

    /// <summary>
    /// S0 is a linear address that is not in the table, S1 is 0 (otherwise the access is for C# anyway). Walks 4-level
    /// tables as they usually are: everything present, accessed (and dirty) bits set, no reserved bit, page in RAM and,
    /// to be written, without translated code. Fills the tables and returns the addend in S1; else leaves to C#.
    /// </summary>
    private static ulong EmitWalk(ref Assembler asm, bool write, ulong exit)
    {
        var start = asm.Here;
        const int entry = HostReg.Rax, table = HostReg.Rcx, temporary = HostReg.Rdx, index = HostReg.Rbx, both = HostReg.Rsi;
        asm.Rr(Op.Test, S1, S1);
        asm.Jcc(Cond.NE, exit);
        asm.GsCompare8(Slot.FastWalk, 0);
        asm.Jcc(Cond.E, exit);
        asm.Gs(Op.MovStore, entry, Slot.Save0);
        asm.Gs(Op.MovStore, table, Slot.Save1);
        asm.Gs(Op.MovStore, temporary, Slot.Save2);
        asm.Gs(Op.MovStore, index, Slot.Save3);
        asm.Gs(Op.MovStore, both, Slot.Save4);
        var fails = stackalloc byte*[32];
        var failCount = 0;
        // Canonical: bits 63 to 47 are all equal.
        asm.Mov(entry, S0);
        asm.Shift(7, entry, 47);
        asm.RegImmediate(0, entry, 1);
        asm.RegImmediate(7, entry, 1);
        fails[failCount++] = asm.JccForward(Cond.A);
        asm.Gs(Op.MovLoad, temporary, Slot.LogCount);
        asm.RegImmediate(7, temporary, Slot.LogEntries);
        fails[failCount++] = asm.JccForward(Cond.AE);
        asm.Gs(Op.MovLoad, table, Slot.Cr3);
        asm.MovImmediate(both, ulong.MaxValue);
        var large = stackalloc byte*[2];
        for (var level = 0; level < 4; level++)
        {
            var shift = 39 - 9 * level;
            asm.MovImmediate(index, 0x000f_ffff_ffff_f000);
            asm.Rr(Op.And, index, table);                    // and table, mask
            EmitRamCheck(ref asm, table, temporary, index, fails, ref failCount, 1);
            asm.Mov(temporary, S0);
            asm.Shift(5, temporary, shift - 3);
            asm.RegImmediate(4, temporary, 0xff8, wide: false);
            asm.Rr(Op.Add, temporary, table);
            asm.Gs(Op.AddLoad, table, Slot.RamBase);
            asm.Rm(Op.MovLoad, entry, table, 0);
            asm.Mov(temporary, entry);
            asm.Unary(2, temporary);
            asm.Gs(Op.Test, temporary, write ? Slot.WalkWrite : Slot.WalkRead);
            fails[failCount++] = asm.JccForward(Cond.NE);
            asm.Rr(Op.And, entry, both);
            if (level is 1 or 2)
            {
                asm.TestInt32(entry, EntrySize);
                large[level - 1] = asm.JccForward(Cond.NE);
            }
            else if (level == 0)
            {
                asm.TestInt32(entry, EntrySize);
                fails[failCount++] = asm.JccForward(Cond.NE);
            }
            asm.Mov(table, entry);
        }
        // 4 KiB: table holds the entry.
        asm.MovImmediate(index, 0x000f_ffff_ffff_f000);
        asm.Rr(Op.And, index, table);
        var joined = asm.JmpForward();
        var joinedLarge = stackalloc byte*[2];
        for (var i = 0; i < 2; i++)
        {
            // 1 GiB, 2 MiB: reserved low bits of the address, then the page within.
            asm.Bind(large[i]);
            var bits = i == 0 ? 30 : 21;
            asm.TestInt32(entry, (1 << bits) - 0x2000);
            fails[failCount++] = asm.JccForward(Cond.NE);
            asm.MovImmediate(table, 0x000f_ffff_ffff_f000 & ~((1ul << bits) - 1));
            asm.Rr(Op.And, entry, table);
            asm.Mov(temporary, S0, wide: false);
            asm.RegImmediate(4, temporary, (1 << bits) - 4096, wide: false);
            asm.Rr(Op.Add, temporary, table);
            // Remember that this 2 MiB came from a large page.
            asm.Mov(index, S0);
            asm.Shift(4, index, 16);
            asm.Shift(5, index, 37);
            asm.Gs(Op.AddLoad, index, Slot.LargeMap);
            asm.Byte(0xc6);
            asm.ModRmBase(0, index, 0);
            asm.Byte(i == 0 ? 2 : 1);
            joinedLarge[i] = asm.JmpForward();
        }
        asm.Bind(joined);
        asm.Bind(joinedLarge[0]);
        asm.Bind(joinedLarge[1]);
        // table: page; entry: the leaf; both: what all levels allow.
        asm.Gs(Op.MovLoad, temporary, Slot.WalkForbidden);
        asm.Rr(Op.Test, both, temporary);
        fails[failCount++] = asm.JccForward(Cond.NE);
        if (write)
        {
            asm.TestInt32(entry, EntryDirty);
            fails[failCount++] = asm.JccForward(Cond.E);
        }
        EmitRamCheck(ref asm, table, temporary, index, fails, ref failCount, write ? 3 : 1);
        // Addend, and into the tables.
        asm.Gs(Op.AddLoad, table, Slot.RamBase);
        asm.Mov(temporary, S0);
        asm.RegImmediate(4, temporary, -4096);
        asm.Rr(Op.Sub, temporary, table);
        asm.Mov(S1, table);
        asm.Mov(temporary, S0);
        asm.Shift(4, temporary, 16);
        asm.Shift(5, temporary, 28);
        asm.GsIndex(Op.MovStore, S1, temporary, 3, 0);
        if (write)
        {
            asm.Mov(index, temporary);
            asm.Unary(2, index);
            asm.GsIndex(Op.MovStore, S1, index, 3, Slot.WriteTable);
        }
        // Log: page number, bit 63 for global.
        asm.Gs(Op.AndLoad, entry, Slot.WalkGlobal);
        asm.Shift(4, entry, 55);
        asm.Rr(Op.Or, entry, temporary);
        asm.Gs(Op.MovLoad, index, Slot.LogCount);
        asm.GsIndex(Op.MovStore, temporary, index, 3, Slot.Log);
        asm.RegImmediate(0, index, 1);
        asm.Gs(Op.MovStore, index, Slot.LogCount);
        asm.Gs(Op.MovLoad, index, Slot.FastFills);
        asm.RegImmediate(0, index, 1);
        asm.Gs(Op.MovStore, index, Slot.FastFills);
        EmitRestore(ref asm);
        asm.Ret();
        for (var i = 0; i < failCount; i++) asm.Bind(fails[i]);
        EmitRestore(ref asm);
        asm.Rr(Op.Xor, S1, S1, wide: false);
        asm.Jmp(exit);
        return start;

        static void EmitRestore(ref Assembler asm)
        {
            asm.Gs(Op.MovLoad, entry, Slot.Save0);
            asm.Gs(Op.MovLoad, table, Slot.Save1);
            asm.Gs(Op.MovLoad, temporary, Slot.Save2);
            asm.Gs(Op.MovLoad, index, Slot.Save3);
            asm.Gs(Op.MovLoad, both, Slot.Save4);
        }
    }

    /// <summary>Leaves unless the guest-physical page in a register is RAM (mask 1), and has no translated code (mask 3).</summary>
    private static void EmitRamCheck(ref Assembler asm, int page, int temporary, int index, byte** fails, ref int failCount, int mask)
    {
        asm.Mov(index, page);
        asm.Shift(5, index, 12);
        asm.Gs(Op.CmpLoad, index, Slot.PageCount);
        fails[failCount++] = asm.JccForward(Cond.AE);
        asm.Gs(Op.AddLoad, index, Slot.PageInfo);
        asm.Byte(0x0f);                                     // movzx temporary, byte [index]
        asm.Byte(0xb6);
        asm.ModRmBase(temporary, index, 0);
        asm.RegImmediate(4, temporary, mask, wide: false);
        asm.RegImmediate(7, temporary, 1, wide: false);
        fails[failCount++] = asm.JccForward(Cond.NE);
    }
}
