// The sequences that stand in more than one place of generated code: flags to and from memory, and the jump cache.
using Lamina.Engines.Translator.Runtime;
using static Lamina.Engines.Translator.Code.GuestRegisters;

namespace Lamina.Engines.Translator.Code;

internal static unsafe class Sequences
{
    /// <summary>Copies the host's arithmetic flags to <see cref="Frame.ParkedFlags"/>. Changes no flag; clobbers S1.</summary>
    public static void ParkFlags(this ref Assembler asm)
    {
        asm.Mov(S1, HostRegister.Rax);
        asm.Byte(0x9f);                             // lahf
        asm.Rr0F(0x90, 0, HostRegister.Rax, false);         // seto al
        asm.Frame(Op.MovStore, HostRegister.Rax, Frame.ParkedFlags, wide: false);
        asm.Mov(HostRegister.Rax, S1);
    }

    /// <summary>Brings parked flags into the host's. Clobbers S1.</summary>
    public static void UnparkFlags(this ref Assembler asm)
    {
        asm.Mov(S1, HostRegister.Rax);
        asm.Frame(Op.MovLoad, HostRegister.Rax, Frame.ParkedFlags, wide: false);
        asm.FlagsFromRax();
        asm.Mov(HostRegister.Rax, S1);
    }

    /// <summary>Host flags from AX as LAHF and SETO left it.</summary>
    public static void FlagsFromRax(this ref Assembler asm)
    {
        asm.Byte(0x04);                             // add al, 0x7f: OF
        asm.Byte(0x7f);
        asm.Byte(0x9e);                             // sahf
    }

    /// <summary>Goes to the region whose GS base is in a register. Changes no flag, and no register.</summary>
    public static void EnterRegion(this ref Assembler asm, int gs, StubAddresses stubs)
    {
        if (stubs.GsBase != GsBaseChange.Kept) asm.Gs(Op.MovStore, gs, Slot.CurrentGs);
        if (stubs.GsBase == GsBaseChange.Asked) asm.Call(stubs.SetGsBase);
        else asm.WriteGsBase(gs);
    }

    /// <summary>Jumps to the linear address in S0, flags being parked. Clobbers S1 and the host's flags.</summary>
    public static void JumpThroughCache(this ref Assembler asm)
    {
        asm.Mov(S1, S0, wide: false);
        asm.Shift(5, S1, Slot.JumpCacheShift, wide: false);
        asm.Rr(Op.Xor, S0, S1, wide: false);
        asm.RegImmediate(4, S1, Slot.JumpCacheMask, wide: false);
        asm.GsIndex(0xff, 4, S1, 1, Slot.JumpCache, wide: false);
    }

    /// <summary>
    /// The same, by 64-bit code and to an address that may not be canonical: then the jump itself faults. Of a canonical address bits 63 to 47
    /// are all equal, and those of the address xor'ed with itself shifted by 12, the sign coming in, are zero; of any other they are not, and
    /// as they stay in the index it leads to no canonical address, either. Returns the place of the jump.
    /// </summary>
    public static byte* JumpThroughCacheIfCanonical(this ref Assembler asm)
    {
        asm.Mov(S1, S0);
        asm.Shift(7, S1, Slot.JumpCacheShift);
        asm.Rr(Op.Xor, S0, S1);
        asm.Gs(Op.AndLoad, S1, Slot.IndexMask);
        var jump = asm.Cursor;
        asm.GsIndex(0xff, 4, S1, 1, Slot.JumpCache, wide: false);
        return jump;
    }

    /// <summary>Sets "above" unless the address in a register is canonical; leaves another register clobbered.</summary>
    public static void TestCanonical(this ref Assembler asm, int address, int clobbered)
    {
        // Bits 63 to 47 are all equal.
        asm.Mov(clobbered, address);
        asm.Shift(7, clobbered, 47);
        asm.RegImmediate(0, clobbered, 1);
        asm.RegImmediate(7, clobbered, 1);
    }

    /// <summary>Loads the table entry for the linear address in a register: host address minus linear address, or 0.</summary>
    public static void LoadAddend(this ref Assembler asm, int addend, int address, bool write)
    {
        asm.PageNumber(addend, address);
        if (write) asm.Unary(2, addend);
        asm.GsIndex(Op.MovLoad, addend, addend, 3, write ? Slot.WriteTable : 0);
    }

    /// <summary>Loads the number of the page at the linear address in another register, as the tables are indexed.</summary>
    public static void PageNumber(this ref Assembler asm, int number, int address)
    {
        if (HostFeatures.HasBmi1)
        {
            asm.BitField(number, address, PageField);
        }
        else
        {
            asm.Mov(number, address);
            asm.Shift(4, number, 16);
            asm.Shift(5, number, 28);
        }
    }

    /// <summary>As <see cref="LoadAddend"/>, with a walk on a miss. Leaves ZF set where there is still none. Clobbers S1.</summary>
    public static void LoadAddendOrWalk(this ref Assembler asm, int addend, int address, bool write, ulong walk)
    {
        asm.LoadAddend(addend, address, write);
        asm.Rr(Op.Test, addend, addend);
        var found = asm.JccShort(Cond.NE);
        asm.Push(S0);
        asm.Mov(S0, address);
        asm.Call(walk);
        asm.Pop(S0);
        asm.Mov(addend, S1);
        asm.Rr(Op.Test, addend, addend);
        asm.BindShort(found);
    }

    /// <summary>Pushes registers.</summary>
    public static void PushAll(this ref Assembler asm, ReadOnlySpan<int> registers)
    {
        foreach (var register in registers) asm.Push(register);
    }

    /// <summary>Pops what <see cref="PushAll"/> has pushed.</summary>
    public static void PopAll(this ref Assembler asm, ReadOnlySpan<int> registers)
    {
        for (var i = registers.Length - 1; i >= 0; i--) asm.Pop(registers[i]);
    }
}
