// The page walk in machine code, for accesses that miss the tables: 4-level paging as it usually is. Everything else is
// left to the executor.
using Lamina.Engines.Translator.Code;
using static Lamina.Engines.Translator.Code.GuestRegisters;
using HostReg = Lamina.Engines.Translator.Code.HostRegister;

namespace Lamina.Engines.Translator.Runtime;

internal static unsafe class WalkStub
{
    // Dirty, page size (SDM vol. 3, table 4-20).
    private const int EntryDirty = 0x40, EntrySize = 0x80;
    private const ulong EntryAddress = 0x000f_ffff_ffff_f000;

    private const int Entry = HostReg.Rax, Table = HostReg.Rcx, Temporary = HostReg.Rdx, Index = HostReg.Rbx, Both = HostReg.Rsi;

    private static ReadOnlySpan<int> Saved => [Entry, Table, Temporary, Index, Both];

    /// <summary>What a missed access tries.</summary>
    /// <param name="Page">The page walk.</param>
    /// <param name="Beside">The walk to a page in which data breakpoints watch other bytes.</param>
    /// <param name="Exit">Leaves for the executor.</param>
    public readonly record struct Ways(ulong Page, ulong Beside, ulong Exit);

    /// <summary>The stub that blocks call: S0 is the address of an access; S1 is 0 if it missed the table, otherwise it is for C# anyway.</summary>
    public static ulong EmitMiss(ref Assembler asm, in Ways ways)
    {
        var start = asm.Here;
        asm.Rr(Op.Test, S1, S1);
        asm.Jcc(Cond.NE, ways.Exit);
        asm.Call(ways.Page);
        asm.Rr(Op.Test, S1, S1);
        var beside = asm.JccShort(Cond.E);
        asm.Ret();
        asm.BindShort(beside);
        EmitBeside(ref asm, ways);
        return start;
    }

    private static void EmitBeside(ref Assembler asm, in Ways ways)
    {
        asm.Call(ways.Beside);
        asm.Rr(Op.Test, S1, S1);
        asm.Jcc(Cond.E, ways.Exit);
        asm.Ret();
    }

    /// <summary>
    /// As <see cref="EmitMiss"/>, whatever S1 is: the access may miss the table, be misaligned, or cross a page (see
    /// <see cref="CrossingStubs"/>).
    /// </summary>
    /// <param name="asm">Where.</param>
    /// <param name="size">Bytes, a power of two.</param>
    /// <param name="write">A store, maybe with a read before it.</param>
    /// <param name="bounces">Whether the bounce buffer may be used: not for what also reads, or may store less than all.</param>
    /// <param name="ways">What it tries.</param>
    public static ulong EmitSizedMiss(ref Assembler asm, int size, bool write, bool bounces, in Ways ways)
    {
        var start = asm.Here;
        asm.Mov(S1, S0, wide: false);
        asm.RegImmediate(4, S1, 0xfff, wide: false);
        asm.RegImmediate(7, S1, 4096 - size, wide: false);
        var crosses = asm.JccForward(Cond.A);
        asm.LoadAddend(S1, S0, write);
        asm.Rr(Op.Test, S1, S1);
        var found = asm.JccShort(Cond.NE);
        asm.Call(ways.Page);
        asm.Rr(Op.Test, S1, S1);
        var beside = asm.JccShort(Cond.E);
        asm.BindShort(found);
        asm.Ret();
        asm.BindShort(beside);
        EmitBeside(ref asm, ways);
        asm.Bind(crosses);
        CrossingStubs.Emit(ref asm, size, write, bounces, ways.Page, ways.Exit);
        return start;
    }

    /// <summary>
    /// S0 is a linear address that is not in the table. Walks while everything is present, has its accessed (and dirty)
    /// bits set and no reserved bit, and the page is in RAM and, to be written, without translated code. Fills the tables
    /// and returns the addend in S1; else 0. Clobbers the host's flags only.
    /// </summary>
    public static ulong Emit(ref Assembler asm, bool write)
    {
        var start = asm.Here;
        var fails = stackalloc byte*[32];
        var failCount = 0;
        asm.PushAll(Saved);
        asm.GsCompare8(Slot.FastWalk, 1);
        fails[failCount++] = asm.JccForward(Cond.B);
        var watches = asm.JccForward(Cond.NE);
        var unwatched = asm.Cursor;
        asm.TestCanonical(S0, Entry);
        fails[failCount++] = asm.JccForward(Cond.A);
        asm.Gs(Op.MovLoad, Temporary, Slot.LocalCount);
        asm.Gs(Op.AddLoad, Temporary, Slot.GlobalCount);
        asm.Gs(Op.CmpLoad, Temporary, Slot.FillLimit);
        fails[failCount++] = asm.JccForward(Cond.AE);
        EmitToMemory(ref asm, write, fails, ref failCount);
        asm.PageNumber(Temporary, S0);
        if (write) EmitWriteHint(ref asm);
        EmitFill(ref asm, write);
        asm.Gs(Op.MovLoad, Index, Slot.FastFills);
        asm.RegImmediate(0, Index, 1);
        asm.Gs(Op.MovStore, Index, Slot.FastFills);
        var done = asm.JmpShort();
        var watched = EmitWatchCheck(ref asm, watches, unwatched);
        for (var i = 0; i < failCount; i++) asm.Bind(fails[i]);
        foreach (var fail in watched) asm.Bind((byte*)fail);
        asm.Rr(Op.Xor, S1, S1, wide: false);
        asm.BindShort(done);
        asm.PopAll(Saved);
        asm.Ret();
        return start;
    }

    /// <summary>
    /// As <see cref="Emit"/>, for a page that it does not enter into the tables because data breakpoints watch something there, and for an
    /// access that may not touch that, whatever its size: no table is filled, so that the next access comes here again.
    /// </summary>
    public static ulong EmitBeside(ref Assembler asm, bool write)
    {
        var start = asm.Here;
        var fails = stackalloc byte*[40];
        var failCount = 0;
        asm.PushAll(Saved);
        asm.GsCompare8(Slot.FastWalk, 2);
        fails[failCount++] = asm.JccForward(Cond.NE);
        asm.TestCanonical(S0, Entry);
        fails[failCount++] = asm.JccForward(Cond.A);
        for (var n = 0; n < VcpuArea.Watches; n++)
        {
            asm.Mov(Temporary, S0);
            asm.Gs(Op.SubLoad, Temporary, Slot.WatchedFrom + n * 8);
            asm.Gs(Op.CmpLoad, Temporary, Slot.WatchedLengths + n * 8);
            fails[failCount++] = asm.JccForward(Cond.B);
        }
        asm.PageNumber(Temporary, S0);
        var watched = stackalloc byte*[VcpuArea.Watches];
        for (var n = 0; n < VcpuArea.Watches; n++)
        {
            asm.Gs(Op.CmpLoad, Temporary, Slot.WatchedPages + n * 8);
            watched[n] = asm.JccForward(Cond.E);
        }
        // What failed elsewhere is for the executor.
        fails[failCount++] = asm.JmpForward();
        for (var n = 0; n < VcpuArea.Watches; n++) asm.Bind(watched[n]);
        EmitToMemory(ref asm, write, fails, ref failCount);
        EmitAddend(ref asm);
        var done = asm.JmpShort();
        for (var i = 0; i < failCount; i++) asm.Bind(fails[i]);
        asm.Rr(Op.Xor, S1, S1, wide: false);
        asm.BindShort(done);
        asm.PopAll(Saved);
        asm.Ret();
        return start;
    }

    // Table: the page, which is memory; Entry: the leaf; Both: what all levels allow.
    private static void EmitToMemory(ref Assembler asm, bool write, byte** fails, ref int failCount)
    {
        EmitLevels(ref asm, write, fails, ref failCount);
        asm.Gs(Op.MovLoad, Temporary, Slot.WalkForbidden);
        asm.Rr(Op.Test, Both, Temporary);
        fails[failCount++] = asm.JccForward(Cond.NE);
        if (write)
        {
            asm.TestInt32(Entry, EntryDirty);
            fails[failCount++] = asm.JccForward(Cond.E);
        }
        EmitRamCheck(ref asm, fails, ref failCount, write ? 3 : 1);
    }

    // S1: the addend. Table: the page's physical address.
    private static void EmitAddend(ref Assembler asm)
    {
        asm.Gs(Op.AddLoad, Table, Slot.RamBase);
        asm.Mov(Index, S0);
        asm.RegImmediate(4, Index, -4096);
        asm.Rr(Op.Sub, Index, Table);
        asm.Mov(S1, Table);
    }

    // Goes on unless the page is one that data breakpoints watch; what is to be bound where it is.
    private static nint[] EmitWatchCheck(ref Assembler asm, byte* watches, byte* unwatched)
    {
        asm.Bind(watches);
        asm.PageNumber(Temporary, S0);
        var watched = new nint[VcpuArea.Watches];
        for (var n = 0; n < watched.Length; n++)
        {
            asm.Gs(Op.CmpLoad, Temporary, Slot.WatchedPages + n * 8);
            watched[n] = (nint)asm.JccForward(Cond.E);
        }
        asm.JmpBack(unwatched);
        return watched;
    }

    // From CR3 to the page: its physical address in Table, its entry in Entry.
    private static void EmitLevels(ref Assembler asm, bool write, byte** fails, ref int failCount)
    {
        asm.Gs(Op.MovLoad, Table, Slot.Cr3);
        asm.MovImmediate(Both, ulong.MaxValue);
        var large = stackalloc byte*[2];
        for (var level = 0; level < 4; level++)
        {
            asm.MovImmediate(Index, EntryAddress);
            asm.Rr(Op.And, Index, Table);                    // and table, mask
            EmitRamCheck(ref asm, fails, ref failCount, 1);
            asm.Mov(Temporary, S0);
            asm.Shift(5, Temporary, 39 - 9 * level - 3);
            asm.RegImmediate(4, Temporary, 0xff8, wide: false);
            asm.Rr(Op.Add, Temporary, Table);
            asm.Gs(Op.AddLoad, Table, Slot.RamBase);
            asm.Rm(Op.MovLoad, Entry, Table, 0);
            asm.Mov(Temporary, Entry);
            asm.Unary(2, Temporary);
            asm.Gs(Op.Test, Temporary, write ? Slot.WalkWrite : Slot.WalkRead);
            fails[failCount++] = asm.JccForward(Cond.NE);
            asm.Rr(Op.And, Entry, Both);
            if (level is 1 or 2)
            {
                asm.TestInt32(Entry, EntrySize);
                large[level - 1] = asm.JccForward(Cond.NE);
            }
            else if (level == 0)
            {
                asm.TestInt32(Entry, EntrySize);
                fails[failCount++] = asm.JccForward(Cond.NE);
            }
            asm.Mov(Table, Entry);
        }
        asm.MovImmediate(Index, EntryAddress);
        asm.Rr(Op.And, Index, Table);
        var joined = stackalloc byte*[3];
        joined[2] = asm.JmpForward();
        for (var i = 0; i < 2; i++)
        {
            // 1 GiB, 2 MiB: reserved low bits of the address, then the page within.
            asm.Bind(large[i]);
            var bits = i == 0 ? 30 : 21;
            asm.TestInt32(Entry, (1 << bits) - 0x2000);
            fails[failCount++] = asm.JccForward(Cond.NE);
            asm.MovImmediate(Table, EntryAddress & ~((1ul << bits) - 1));
            asm.Rr(Op.And, Entry, Table);
            asm.Mov(Temporary, S0, wide: false);
            asm.RegImmediate(4, Temporary, (1 << bits) - 4096, wide: false);
            asm.Rr(Op.Add, Temporary, Table);
            // Remember that this 2 MiB came from a large page.
            asm.Mov(Index, S0);
            asm.Shift(4, Index, 16);
            asm.Shift(5, Index, 37);
            asm.Gs(Op.AddLoad, Index, Slot.LargeMap);
            asm.Byte(0xc6);
            asm.ModRmBase(0, Index, 0);
            asm.Byte(i == 0 ? LargePages.Huge : LargePages.Large);
            joined[i] = asm.JmpForward();
        }
        for (var i = 0; i < 3; i++) asm.Bind(joined[i]);
    }

    // See WriteHints.Note. Table: the page's physical address; Temporary: the linear page's number.
    private static void EmitWriteHint(ref Assembler asm)
    {
        asm.Mov(Index, Table);
        asm.Shift(5, Index, 12);
        asm.Shift(4, Index, WriteHints.PageShift);
        asm.Gs(Op.AddLoad, Index, Slot.WriteHints);
        asm.Mov(Both, Temporary);
        asm.Gs(Op.OrLoad, Both, Slot.HintTag);
        byte** first = stackalloc byte*[WriteHints.PerPage], same = stackalloc byte*[WriteHints.PerPage];
        for (var n = 0; n < WriteHints.PerPage; n++)
        {
            if (n > 0) asm.RegImmediate(0, Index, sizeof(ulong));
            asm.Rm(Op.MovLoad, S1, Index, 0);
            asm.Rr(Op.Test, S1, S1);
            first[n] = asm.JccShort(Cond.E);
            asm.Rr(Op.Xor, Both, S1);
            asm.Shift(4, S1, 64 - WriteHints.RegionShift);
            same[n] = asm.JccShort(Cond.E);
        }
        asm.RegImmediate(0, Index, -(WriteHints.PerPage - 1) * sizeof(ulong));
        asm.MovImmediate(Both, WriteHints.Many);
        for (var n = 0; n < WriteHints.PerPage; n++) asm.BindShort(same[n]);
        asm.Rm(Op.OrLoad, Both, Index, 0);
        for (var n = 0; n < WriteHints.PerPage; n++) asm.BindShort(first[n]);
        asm.Rm(Op.MovStore, Both, Index, 0);
    }

    // Addend, and into the tables and the log. Table: the page's physical address; Temporary: the linear page's number.
    private static void EmitFill(ref Assembler asm, bool write)
    {
        EmitAddend(ref asm);
        asm.GsIndex(Op.MovStore, S1, Temporary, 3, 0);
        if (write)
        {
            asm.Mov(Index, Temporary);
            asm.Unary(2, Index);
            asm.GsIndex(Op.MovStore, S1, Index, 3, Slot.WriteTable);
        }
        asm.Gs(Op.Test, Entry, Slot.WalkGlobal);
        var global = asm.JccShort(Cond.NE);
        asm.Gs(Op.MovLoad, Index, Slot.LocalCount);
        asm.GsIndex(Op.MovStore, Temporary, Index, 3, Slot.Log);
        asm.RegImmediate(0, Index, 1);
        asm.Gs(Op.MovStore, Index, Slot.LocalCount);
        var joined = asm.JmpShort();
        asm.BindShort(global);
        asm.Gs(Op.MovLoad, Index, Slot.GlobalCount);
        asm.RegImmediate(0, Index, 1);
        asm.Gs(Op.MovStore, Index, Slot.GlobalCount);
        asm.Unary(3, Index);
        asm.GsIndex(Op.MovStore, Temporary, Index, 3, Slot.Log + Slot.LogEntries * 8);
        asm.BindShort(joined);
    }

    /// <summary>Fails unless the guest-physical page in Table is RAM (mask 1), and has no translated code (mask 3).</summary>
    private static void EmitRamCheck(ref Assembler asm, byte** fails, ref int failCount, int mask)
    {
        asm.Mov(Index, Table);
        asm.Shift(5, Index, 12);
        asm.Gs(Op.CmpLoad, Index, Slot.PageCount);
        fails[failCount++] = asm.JccForward(Cond.AE);
        asm.Gs(Op.AddLoad, Index, Slot.PageInfo);
        asm.Byte(0x0f);                                     // movzx temporary, byte [index]
        asm.Byte(0xb6);
        asm.ModRmBase(Temporary, Index, 0);
        asm.RegImmediate(4, Temporary, mask, wide: false);
        asm.RegImmediate(7, Temporary, 1, wide: false);
        fails[failCount++] = asm.JccForward(Cond.NE);
    }
}
