// System instructions that need no C#: those that kernels execute all the time and whose checks the block's modes have
// done already. What they cannot decide by themselves goes to the executor.
using Lamina.Core.Engine;
using Lamina.Engines.Translator.Analyse;
using Lamina.Engines.Translator.Code;
using Lamina.Engines.X86;
using Lamina.Engines.X86.Decode;
using static Lamina.Engines.Translator.Code.GuestRegisters;

namespace Lamina.Engines.Translator.Emit;

internal sealed unsafe partial class BlockEmitter
{
    private void EmitSwapgs()
    {
        _asm.Gs(Op.MovLoad, S0, Slot.GsBase);
        _asm.Gs(Op.MovLoad, S1, Slot.KernelGsBase);
        _asm.Gs(Op.MovStore, S1, Slot.GsBase);
        _asm.Gs(Op.MovStore, S0, Slot.KernelGsBase);
    }

    /// <summary>WRFSBASE, WRGSBASE: an address that is not canonical is for the executor, which raises #GP.</summary>
    private void EmitWriteSegmentBase(in Instruction instruction)
    {
        var slot = instruction.Id == InstructionId.Wrfsbase ? Slot.FsBase : Slot.GsBase;
        ParkFlags(LiveBefore);
        var register = LoadGuest(instruction.Rm, S1);
        if (instruction.OperandSize == 8)
        {
            _asm.TestCanonical(register, S0);
            AddColdSystem(instruction, Cond.A);
        }
        else
        {
            _asm.Mov(S1, register, wide: false);
            register = S1;
        }
        _asm.Gs(Op.MovStore, register, slot);
    }

    /// <summary>STAC, CLAC: with SMAP the region decides whether pages of users can be accessed.</summary>
    private void EmitAccessCheckFlag(bool set)
    {
        EmitSystemFlag(Rflags.AC, set);
        _asm.Gs(Op.MovLoad, S0, set ? Slot.OpenGs : Slot.ClosedGs);
        _asm.EnterRegion(S0, stubs);
    }

    /// <summary>SYSCALL, SYSRET, IRETQ by a stub, which leaves to the executor what is not plain. S0: what follows in memory.</summary>
    private void EmitPrivilegeChange(ulong stub)
    {
        ParkFlags(Flags.All);
        EmitCodeAddress(S0, NextOffset);
        buffer.SystemInstructions.Add(_block.Instructions[_index]);
        LeaveInline(SiteKind.System, stub, GuestOffset, parked: true, target: buffer.SystemInstructions.Count - 1);
    }

    private void EmitWriteTaskPriority(in Instruction instruction)
    {
        ParkFlags(Flags.All);
        _asm.Mov(S0, LoadGuest(instruction.Rm, S0));
        EmitSystemStub(stubs.WriteTaskPriority);
    }

    private void EmitInvalidatePage(in Instruction instruction)
    {
        ParkFlags(Flags.All);
        _asm.Mov(S0, EmitLinearAddress(instruction, EmitEffectiveAddress(instruction), 1, OperandAccess.Read));
        EmitSystemStub(stubs.InvalidatePage);
    }

    /// <summary>IN, OUT at CPL 0, which may use all ports (SDM vol. 1, 19.5.1). Flags stay where they are.</summary>
    private void EmitPort(in Instruction instruction)
    {
        LeaveInline(SiteKind.Port, stubs.Port, GuestOffset, parked: _flags == FlagPlace.Parked, target: instruction.ImmediateSize != 0 ? (byte)instruction.Immediate : -1, copy: NextOffset);
        ref var site = ref buffer.Sites[buffer.Sites.Count - 1];
        site.Size = instruction.OperandSize;
        site.Reads = instruction.Id == InstructionId.In;
    }

    /// <summary>A stub does the instruction, and control goes on behind it; or the stub leaves it to the executor.</summary>
    private void EmitSystemStub(ulong stub)
    {
        ParkFlags(Flags.All);
        buffer.SystemInstructions.Add(_block.Instructions[_index]);
        LeaveInline(SiteKind.System, stub, GuestOffset, parked: true, target: buffer.SystemInstructions.Count - 1);
        if (BlockEnds.EndsBlock(_block.Instructions[_index])) EmitJump(NextOffset, LiveAfter);
    }

    /// <summary>The executor does the instruction where a condition holds.</summary>
    private void AddColdSystem(in Instruction instruction, int condition)
    {
        buffer.SystemInstructions.Add(instruction);
        _cold[_coldCount++] = new Cold
        {
            Kind = ColdKind.System,
            Jump0 = _asm.JccForward(condition),
            GuestOffset = GuestOffset,
            Parked = _flags == FlagPlace.Parked,
            Target = buffer.SystemInstructions.Count - 1,
        };
    }

    /// <summary>Whether a stub does a string instruction, as far as it has its pages: REP MOVS and STOS of 64-bit addresses, one element of flat 32-bit ones.</summary>
    public static bool MovesByStub(ModeKey key, in Instruction instruction)
    {
        if (instruction.Id is not (InstructionId.Movs or InstructionId.Stos) || (key & (ModeKey.SingleStep | ModeKey.AlignmentCheck)) != 0) return false;
        return key.IsLong()
            ? instruction.AddressSize == 8 && instruction.Segment < 4 && (instruction.Traits & InstructionTraits.Rep) != 0
            : instruction.AddressSize == 4 && (instruction.Traits & (InstructionTraits.Rep | InstructionTraits.Repne)) == 0 && key.IsFlat(SegmentIndex.Es)
                && (instruction.Id == InstructionId.Stos || key.IsFlat(instruction.Segment));
    }

    private void EmitString(in Instruction instruction)
    {
        ParkFlags(LiveBefore);
        var size = instruction.OperandSize switch { 1 => 0, 2 => 1, 4 => 2, _ => 3 };
        var stub = (instruction.Id == InstructionId.Movs, _long) switch
        {
            (true, true) => stubs.Move[size],
            (false, true) => stubs.Store[size],
            (true, false) => stubs.MoveElement[size],
            (false, false) => stubs.StoreElement[size],
        };
        buffer.SystemInstructions.Add(instruction);
        LeaveInline(SiteKind.System, stub, GuestOffset, parked: true, target: buffer.SystemInstructions.Count - 1);
    }

    // Guest TSC = host TSC + offset.
    private void EmitRdtsc()
    {
        ParkFlags(LiveBefore);
        _asm.Byte(0x0f);
        _asm.Byte(0x31);
        _asm.Shift(4, HostRegister.Rdx, 32);
        _asm.Rr(Op.Or, HostRegister.Rdx, HostRegister.Rax);
        _asm.Gs(Op.AddLoad, HostRegister.Rax, Slot.TscOffset);
        _asm.Mov(HostRegister.Rdx, HostRegister.Rax);
        _asm.Shift(5, HostRegister.Rdx, 32);
        _asm.Mov(HostRegister.Rax, HostRegister.Rax, wide: false);
    }

    private bool Supervisor64 => IsSupervisor64(_key);

    // Real mode, too, which has a privilege level of 0.
    private bool Supervisor => (_key & (ModeKey.Cpl0 | ModeKey.SingleStep)) == ModeKey.Cpl0;

    private static bool IsSupervisor64(ModeKey key) => key.IsLong() && (key & (ModeKey.Cpl0 | ModeKey.SingleStep)) == ModeKey.Cpl0;

    /// <summary>Whether an INVLPG is done by the stub, or left by it with the linear address in scratch 0.</summary>
    public static bool InvalidatesByStub(ModeKey key, in Instruction instruction) => IsSupervisor64(key) && instruction.HasMemory;

    /// <summary>CLI, CLD, STD: a bit of the flags that are kept in memory.</summary>
    private void EmitSystemFlag(ulong bit, bool set)
    {
        ParkFlags(LiveBefore);
        if (set) _asm.GsImmediate(0x81, 1, Slot.SystemFlags, (int)bit);
        else _asm.GsImmediate(0x81, 4, Slot.SystemFlags, ~(int)bit);
    }

    /// <summary>
    /// STI. Where an interrupt waits the executor does it, with the shadow of one instruction; else the next one is seen
    /// at a later poll anyway. The block goes on behind it, so that HLT follows without a look at interrupts between.
    /// </summary>
    private void EmitEnableInterrupts(in Instruction instruction)
    {
        ParkFlags(LiveBefore);
        _asm.GsCompare8(Slot.InterruptWaits, 0, wide: true);
        AddColdSystem(instruction, Cond.NE);
        _asm.GsImmediate(0x81, 1, Slot.SystemFlags, (int)Rflags.IF);
    }

    /// <summary>PUSHFD, PUSHFQ: RFLAGS without VM and RF (SDM vol. 2, PUSHF). Virtual-8086 mode, which asks for IOPL, has no stack that gets here.</summary>
    private void EmitPushFlags()
    {
        var operand = BeginPush();
        Fold(ref operand);
        _asm.Frame(Op.MovLoad, S1, Frame.ParkedFlags, wide: false);
        _asm.Shift(5, S1, 8, wide: false);
        _asm.RegImmediate(4, S1, 0xd5, wide: false);
        _asm.Byte(0xf6);                            // test byte [parked], 1
        _asm.ModRmBase(0, HostRegister.Rsp, Frame.ParkedFlags);
        _asm.Byte(1);
        var noOverflow = _asm.JccShort(Cond.E);
        _asm.RegImmediate(1, S1, (int)Flags.OF, wide: false);
        _asm.BindShort(noOverflow);
        _asm.Gs(Op.OrLoad, S1, Slot.SystemFlags);
        _asm.RegImmediate(4, S1, ~(int)(Rflags.VM | Rflags.RF));
        OperandOp(Op.MovStore, S1, operand, _long);
        AdjustStack(-StackWidth);
        EndAccess(operand);
    }

    /// <summary>
    /// POPFD, POPFQ at CPL 0 and 3 (SDM vol. 2, POPF). The executor does those that change what translations depend on (TF, AC), that let an interrupt in
    /// which waits, and users' that change IF, which is a matter of IOPL.
    /// </summary>
    private void EmitPopFlags(in Instruction instruction)
    {
        const ulong Always = Rflags.DF | Rflags.NT | Rflags.ID;
        var isUser = (_key & ModeKey.User) != 0;
        var changes = isUser ? Always : Always | Rflags.IF | Rflags.IOPL;
        var operand = BeginPop();
        OperandOp(Op.MovLoad, S1, operand, _long);
        EndAccess(operand);
        _asm.Mov(S0, S1, wide: false);
        _asm.Gs(Op.XorLoad, S0, Slot.SystemFlags, wide: false);
        _asm.RegImmediate(4, S0, (int)(Rflags.TF | Rflags.AC | (isUser ? Rflags.IF : 0)), wide: false);
        AddColdSystem(instruction, Cond.NE);
        if (!isUser)
        {
            _asm.Mov(S0, S1, wide: false);
            _asm.RegImmediate(4, S0, (int)Rflags.IF, wide: false);
            var stays = _asm.JccShort(Cond.E);
            _asm.GsCompare8(Slot.InterruptWaits, 0, wide: true);
            AddColdSystem(instruction, Cond.NE);
            _asm.BindShort(stays);
        }
        _asm.Mov(S0, S1, wide: false);
        _asm.RegImmediate(4, S0, (int)changes, wide: false);
        _asm.GsImmediate(0x81, 4, Slot.SystemFlags, ~(int)(changes | Rflags.RF));
        _asm.Gs(Op.Or, S0, Slot.SystemFlags, wide: false);
        // As LAHF and SETO leave the arithmetic ones.
        _asm.Mov(S0, S1, wide: false);
        _asm.Shift(5, S0, 11, wide: false);
        _asm.RegImmediate(4, S0, 1, wide: false);
        _asm.RegImmediate(4, S1, 0xd5, wide: false);
        _asm.Shift(4, S1, 8, wide: false);
        _asm.Rr(Op.Or, S1, S0, wide: false);
        _asm.RegImmediate(1, S0, 0x200, wide: false);
        _asm.Frame(Op.MovStore, S0, Frame.ParkedFlags, wide: false);
        _flags = FlagPlace.Parked;
        AdjustStack(StackWidth);
        EmitJump(NextOffset, LiveAfter);
    }

    /// <summary>A register from a slot of the state: MOV r, Sreg (zero-extended), MOV r, CRn, RDFSBASE and RDGSBASE.</summary>
    private void EmitLoadSlot(int guest, int slot, int bytes)
    {
        var register = IsDisplaced(guest) ? S0 : HostOf(guest);
        if (bytes == 2)
        {
            _asm.GsLoadShort(register, slot, 2);
        }
        else
        {
            _asm.Gs(Op.MovLoad, register, slot, bytes == 8);
        }
        if (register == S0) _asm.Frame(Op.MovStore, S0, Frame.Of(guest));
    }

    private void EmitStoreSelector(in Instruction instruction)
    {
        var operand = BeginOperand(instruction);
        Fold(ref operand);
        _asm.GsLoadShort(S1, Slot.SegmentSelector(instruction.Reg), 2);
        _asm.Byte(0x66);
        OperandOp(Op.MovStore, S1, operand, wide: false);
        EndAccess(operand);
    }

    private bool NativeControlRegister(in Instruction instruction) => instruction.Reg is 0 or 2 or 3 or 4 || _long && instruction.Reg == 8;

    private static int ControlRegisterSlot(int number) => number switch { 0 => Slot.Cr0, 2 => Slot.Cr2, 3 => Slot.Cr3, 4 => Slot.Cr4, _ => Slot.TaskPriority };

    /// <summary>RDTSCP: as RDTSC, and TSC_AUX in ECX.</summary>
    private void EmitRdtscp()
    {
        _asm.Byte(0x0f);                            // lfence: all earlier loads are done
        _asm.Byte(0xae);
        _asm.Byte(0xe8);
        EmitRdtsc();
        _asm.Gs(Op.MovLoad, HostRegister.Rcx, Slot.TscAux, wide: false);
    }

    private bool NativeBitTest(in Instruction instruction) => _long && instruction.OperandSize >= 4 && instruction.AddressSize == 8;

    /// <summary>
    /// BT, BTS, BTR, BTC m, r: the register's upper bits choose the operand (signed), its lower ones the bit.
    /// SDM vol. 2, BT and 3.1.1.9.
    /// </summary>
    private void EmitBitTest(in Instruction instruction)
    {
        var size = instruction.OperandSize;
        var bits = size == 8 ? 6 : 5;
        var offset = EmitEffectiveAddress(instruction);
        ParkFlags(LiveBefore);
        var bit = LoadGuest(instruction.Reg, S1);
        if (size == 8) _asm.Mov(S1, bit);
        else _asm.Rr(0x63, S1, bit);                // movsxd
        _asm.Shift(7, S1, bits);
        _asm.Rx(Op.Lea, S0, offset, S1, size == 8 ? 3 : 2, 0);
        var linear = EmitLinearAddress(instruction, S0, size, instruction.RmAccess);
        var operand = BeginAccess(linear, size, instruction.RmAccess, 0, narrow: false);
        Fold(ref operand);
        bit = LoadGuest(instruction.Reg, S1);
        if (bit != S1) _asm.Mov(S1, bit);
        _asm.RegImmediate(4, S1, size * 8 - 1, wide: false);
        if (NeedsHostFlags(instruction))
        {
            // It changes CF alone.
            _asm.Frame(Op.MovStore, S1, Frame.Temporary0);
            UnparkFlags();
            _asm.Frame(Op.MovLoad, S1, Frame.Temporary0);
        }
        if ((instruction.Traits & InstructionTraits.Lock) != 0) _asm.Byte(0xf0);
        _asm.Byte(size == 8 ? 0x4d : 0x45);         // REX with R and B: both registers are R10, R11
        _asm.Byte(0x0f);
        _asm.Byte(instruction.Opcode);
        _asm.ModRmBase(S1, S0, 0);
        EndAccess(operand);
        _flags = FlagPlace.Host;
    }
}
