// Plain instructions: re-encoded from their own bytes with renamed registers and a rewritten memory operand. Nothing
// here knows what an instruction does, only its shape.
using Lamina.Engines.Translator.Code;
using Lamina.Engines.X86.Decode;
using static Lamina.Engines.Translator.Code.GuestRegisters;

namespace Lamina.Engines.Translator.Emit;

internal sealed unsafe partial class BlockEmitter
{
    private const int NotPresent = -1;

    // Registers that may be borrowed for a moment, those that need no REX prefix first.
    private static ReadOnlySpan<byte> Borrowable => [HostRegister.Rsi, HostRegister.Rdi, HostRegister.Rbp, HostRegister.Rbx, HostRegister.R12, HostRegister.R13, HostRegister.R14, HostRegister.R8];

    /// <summary>Host registers of one instruction's fields while it is encoded.</summary>
    private struct Fields
    {
        public int Reg, Rm, Vvvv, Opcode;
    }

    /// <summary>A displaced guest register in a host register.</summary>
    private struct Loan
    {
        public int Guest, Host;
        public bool Store, Borrowed;
        public int Slot;
    }

    private readonly Loan[] _loans = new Loan[6];
    private int _loanCount;
    private int _usedHost;
    private bool _scratch0Free, _scratch1Free;

    private void EmitPlain(in Instruction instruction)
    {
        _loanCount = 0;
        var fields = new Fields { Reg = instruction.Reg, Rm = instruction.Rm, Vvvv = instruction.Vvvv, Opcode = instruction.OpcodeReg };
        if (instruction.HasMemory && instruction.MemorySize != 0) EmitPlainMemory(instruction, fields);
        else EmitPlainRegisters(instruction, fields);
        FlagsWritten(instruction);
    }

    // Outside 64-bit mode there are eight vector registers, and VZEROUPPER and VZEROALL leave the others alone.
    private void EmitZeroEight(in Instruction instruction)
    {
        for (var register = 0; register < 8; register++)
        {
            _asm.Byte(0xc5);
            if (instruction.VectorLength == 0)
            {
                _asm.Byte(0xf9);                                // vmovdqa xmm, xmm
                _asm.Byte(0x6f);
            }
            else
            {
                _asm.Byte(0x81 | (~register & 0xf) << 3);       // vpxor xmm, xmm, xmm
                _asm.Byte(0xef);
            }
            _asm.Byte(0xc0 | register << 3 | register);
        }
    }

    private void EmitPlainRegisters(in Instruction instruction, Fields fields)
    {
        if (!_long && instruction is { Encoding: EncodingKind.Vex, Map: 1, Opcode: 0x77 })
        {
            EmitZeroEight(instruction);
            return;
        }
        if (NeedsHostFlags(instruction)) UnparkFlags();
        _usedHost = UsedHostRegisters(instruction);
        _scratch0Free = _scratch1Free = true;
        if (EmitOnSlot(instruction))
        {
            ReturnLoans();
            return;
        }
        MapFields(instruction, ref fields);
        // AH to BH cannot be encoded beside the host register of the guest's RSP: a low one stands in for it.
        var standIn = fields.Reg >= 8 && IsGpr(instruction.RegClass) && HasHighByteSource(instruction) ? fields.Reg : NotPresent;
        if (standIn != NotPresent)
        {
            fields.Reg = Borrow(lowOnly: true);
            _asm.Mov(fields.Reg, standIn);
        }
        if (instruction.Id == InstructionId.Divide) AddFaultSite(SiteKind.HostFault, buffer.OffsetOf(_asm.Cursor));
        Encode(instruction, fields, NotPresent, NotPresent);
        if (standIn != NotPresent) _asm.Mov(standIn, fields.Reg);
        ReturnLoans();
    }

    private void EmitPlainMemory(in Instruction instruction, Fields fields)
    {
        var operand = IsMember(instruction) ? BeginMember(instruction) : BeginOperand(instruction);
        var unpark = NeedsHostFlags(instruction);
        _usedHost = UsedHostRegisters(instruction) | 1 << operand.Base;
        var highByte = HasHighByteRegister(instruction);
        if (unpark || highByte || NeedsRegister(instruction)) Fold(ref operand);
        if (unpark) UnparkFlags();
        _scratch1Free = operand.Folded;
        _scratch0Free = operand.Base != S0;
        var address = operand.Base;
        if (highByte)
        {
            // AH…BH cannot be encoded beside R8-R15: the address goes to a low register.
            var low = Borrow(lowOnly: true);
            _asm.Mov(low, S0);
            address = low;
        }
        MapFields(instruction, ref fields);
        if (instruction.Id == InstructionId.Divide) AddFaultSite(SiteKind.HostFault, buffer.OffsetOf(_asm.Cursor));
        Encode(instruction, fields, address, operand.Folded ? NotPresent : S1, operand.Displacement);
        ReturnLoans();
        EndAccess(operand);
    }

    /// <summary>Notes that what is emitted at a place may fault in the host.</summary>
    private void AddFaultSite(SiteKind kind, int at, int target = 0) => buffer.Sites.Add(new Site
    {
        // One behind its start: a call that ends just before it has the start itself as its return address.
        Return = at + 1,
        Kind = kind,
        GuestOffset = (ushort)GuestOffset,
        Parked = _flags != FlagPlace.Host,
        Target = target,
    });

    private static bool HasHighByteRegister(in Instruction instruction) =>
        instruction.Encoding == EncodingKind.Legacy && !instruction.HasRex && instruction.RegClass == FieldClass.Gpr8 && instruction.Reg >= 4;

    private static bool HasHighByteSource(in Instruction instruction) =>
        instruction.Encoding == EncodingKind.Legacy && !instruction.HasRex && !instruction.HasMemory && instruction.RmClass == FieldClass.Gpr8 && instruction.Rm is >= 4 and < 8;

    /// <summary>Whether a displaced register has to be loaded into a register besides the address.</summary>
    private bool NeedsRegister(in Instruction instruction) =>
        (IsGpr(instruction.RegClass) && IsInSlot(instruction.Reg) && !IsPureDestination(instruction, instruction.RegAccess, instruction.RegClass))
        || (IsGpr(instruction.VvvvClass) && IsInSlot(instruction.Vvvv))
        || (IsGpr(instruction.OpcodeRegClass) && IsInSlot(instruction.OpcodeReg));

    private static bool IsGpr(FieldClass field) => field is FieldClass.Gpr or FieldClass.Gpr8;

    // A 32- or 64-bit register that is written as a whole, whatever happens.
    private static bool IsPureDestination(in Instruction instruction, OperandAccess access, FieldClass field) =>
        access == OperandAccess.Write && field == FieldClass.Gpr && instruction.OperandSize >= 4
        && (instruction.Traits & InstructionTraits.ConditionalWrite) == 0 && instruction.VvvvClass != FieldClass.Gpr;

    private static int TimesNamed(in Instruction instruction, int guest)
    {
        var names = 0;
        if (IsGpr(instruction.RegClass) && instruction.Reg == guest) names++;
        if (IsGpr(instruction.VvvvClass) && instruction.Vvvv == guest) names++;
        if (IsGpr(instruction.OpcodeRegClass) && instruction.OpcodeReg == guest) names++;
        if (!instruction.HasMemory && IsGpr(instruction.RmClass) && instruction.Rm == guest) names++;
        return names;
    }

    private void MapFields(in Instruction instruction, ref Fields fields)
    {
        if (IsGpr(instruction.RegClass)) fields.Reg = MapField(instruction, instruction.Reg, instruction.RegClass, instruction.RegAccess);
        if (IsGpr(instruction.VvvvClass)) fields.Vvvv = MapField(instruction, instruction.Vvvv, instruction.VvvvClass, instruction.VvvvAccess);
        if (IsGpr(instruction.OpcodeRegClass)) fields.Opcode = MapField(instruction, instruction.OpcodeReg, instruction.OpcodeRegClass, instruction.OpcodeRegAccess);
        if (!instruction.HasMemory && IsGpr(instruction.RmClass)) fields.Rm = MapField(instruction, instruction.Rm, instruction.RmClass, instruction.RmAccess);
    }

    private int MapField(in Instruction instruction, int guest, FieldClass field, OperandAccess access)
    {
        if (field == FieldClass.Gpr8 && guest is >= 4 and < 8 && !instruction.HasRex && instruction.Encoding == EncodingKind.Legacy) return guest;
        if (!IsDisplaced(guest)) return HostOf(guest);
        var writes = (access & OperandAccess.Write) != 0;
        if (guest == _held)
        {
            _heldChanged |= writes;
            return S0;
        }
        for (var i = 0; i < _loanCount; i++)
        {
            if (_loans[i].Guest != guest || _loans[i].Borrowed && _loans[i].Guest < 0) continue;
            _loans[i].Store |= writes;
            return _loans[i].Host;
        }
        var pure = IsPureDestination(instruction, access, field);
        // A register that is only written may still be named by another field as a source. XOR of a register with itself does not care.
        var needed = (!pure || TimesNamed(instruction, guest) > 1) && !(instruction.Id == InstructionId.ZeroRegister && instruction.OperandSize >= 4);
        if (_mayHold && !_heldNamed)
        {
            Hold(guest, needed, writes);
            return S0;
        }
        int host;
        if (_scratch1Free)
        {
            host = S1;
            _scratch1Free = false;
            _group.AddendAtHand = false;
        }
        else if (_held == NotPresent && (_scratch0Free || pure))
        {
            host = S0;
            _scratch0Free = false;
        }
        else
        {
            host = Borrow(lowOnly: false);
        }
        if (needed) _asm.Frame(Op.MovLoad, host, Frame.Of(guest));
        _loans[_loanCount++] = new Loan { Guest = guest, Host = host, Store = writes };
        return host;
    }

    /// <summary>Takes a guest's host register for a moment; its value waits in a temporary slot.</summary>
    private int Borrow(bool lowOnly)
    {
        foreach (var candidate in Borrowable)
        {
            if (lowOnly && candidate >= 8) break;
            if ((_usedHost >> candidate & 1) != 0) continue;
            _usedHost |= 1 << candidate;
            var borrowed = 0;
            for (var i = 0; i < _loanCount; i++)
                if (_loans[i].Borrowed) borrowed++;
            var slot = borrowed == 0 ? Frame.Temporary1 : Frame.Temporary2;
            if (borrowed > 1) throw new InvalidOperationException("an instruction names more registers than there are");
            _asm.Frame(Op.MovStore, candidate, slot);
            _loans[_loanCount++] = new Loan { Guest = -1, Host = candidate, Borrowed = true, Slot = slot };
            buffer.NoteBorrowed(candidate, borrowed);
            return candidate;
        }
        throw new InvalidOperationException("no register can be borrowed");
    }

    private void ReturnLoans()
    {
        for (var i = 0; i < _loanCount; i++)
            if (_loans[i].Store) _asm.Frame(Op.MovStore, _loans[i].Host, Frame.Of(_loans[i].Guest));
        for (var i = 0; i < _loanCount; i++)
            if (_loans[i].Borrowed) _asm.Frame(Op.MovLoad, _loans[i].Host, _loans[i].Slot);
        _loanCount = 0;
    }

    private static int UsedHostRegisters(in Instruction instruction)
    {
        var used = 0;
        for (int implicitRegisters = instruction.ImplicitRead | instruction.ImplicitWritten, i = 0; implicitRegisters != 0; implicitRegisters >>= 1, i++)
            if ((implicitRegisters & 1) != 0 && !IsDisplaced(i)) used |= 1 << HostOf(i);
        used |= Bit(instruction.RegClass, instruction.Reg) | Bit(instruction.VvvvClass, instruction.Vvvv) | Bit(instruction.OpcodeRegClass, instruction.OpcodeReg);
        if (!instruction.HasMemory) used |= Bit(instruction.RmClass, instruction.Rm);
        if (instruction.RegClass == FieldClass.Gpr8 && instruction.Reg is >= 4 and < 8) used |= 1 << (instruction.Reg - 4);
        if (HasHighByteSource(instruction)) used |= 1 << (instruction.Rm - 4);
        return used | 1 << HostRegister.Rax | 1 << HostRegister.Rcx | 1 << HostRegister.Rdx;

        static int Bit(FieldClass field, int guest) => IsGpr(field) && !IsDisplaced(guest) ? 1 << HostOf(guest) : 0;
    }

    // ---- encoding ----

    /// <summary>Writes the instruction. The memory operand is [address + index + displacement] or [address], or there is none.</summary>
    private void Encode(in Instruction instruction, in Fields fields, int address, int index, int displacement = 0)
    {
        switch (instruction.Encoding)
        {
            case EncodingKind.Legacy: EncodeLegacy(instruction, fields, address, index, displacement); break;
            case EncodingKind.Vex: EncodeVex(instruction, fields, address, index, displacement); break;
            default: EncodeEvex(instruction, fields, address, index); break;
        }
        EncodeImmediate(instruction);
    }

    private void EncodeImmediate(in Instruction instruction)
    {
        var from = instruction.ImmediateOffset;
        for (var i = 0; i < instruction.ImmediateSize; i++) _asm.Byte(_block.ByteAt(GuestOffset + from + i) & (NamesRegister(instruction) && !_long ? 0x7f : 0xff));

        // VBLENDVPS, VBLENDVPD, VPBLENDVB: bits 7-4 name a register, bit 7 only in 64-bit code.
        static bool NamesRegister(in Instruction instruction) =>
            instruction.Encoding == EncodingKind.Vex && instruction.Map == 3 && instruction.Opcode is >= 0x4a and <= 0x4c;
    }

    private void EncodeLegacy(in Instruction instruction, in Fields fields, int address, int index, int displacement)
    {
        if ((instruction.Traits & InstructionTraits.Lock) != 0) _asm.Byte(0xf0);
        if (instruction.MandatoryPrefix == 0x66 || UsesOperandSize16(instruction)) _asm.Byte(0x66);
        if (instruction.MandatoryPrefix is 0xf2 or 0xf3) _asm.Byte(instruction.MandatoryPrefix);
        var memory = address != NotPresent;
        var rm = memory ? address : fields.Rm;
        int rexR = 0, rexB = 0, rexX = 0;
        var force = false;
        if (instruction.HasModRm)
        {
            if (instruction.RegClass != FieldClass.None) rexR = fields.Reg >> 3;
            rexB = rm >> 3;
            if (memory && index != NotPresent) rexX = index >> 3;
            force = Low8(instruction, instruction.RegClass, fields.Reg) || (!memory && Low8(instruction, instruction.RmClass, fields.Rm));
        }
        else if (instruction.OpcodeRegClass != FieldClass.None)
        {
            rexB = fields.Opcode >> 3;
            force = Low8(instruction, instruction.OpcodeRegClass, fields.Opcode);
        }
        var rex = 0x40 | (instruction.W ? 8 : 0) | rexR << 2 | rexX << 1 | rexB;
        if (rex != 0x40 || force) _asm.Byte(rex);
        if (instruction.Map >= 1) _asm.Byte(0x0f);
        if (instruction.Map == 2) _asm.Byte(0x38);
        else if (instruction.Map == 3) _asm.Byte(0x3a);
        // 82 is another name of 80 that 64-bit mode does not know.
        var opcode = instruction is { Map: 0, Opcode: 0x82 } ? 0x80 : instruction.Opcode;
        _asm.Byte(instruction.OpcodeRegClass != FieldClass.None ? opcode & 0xf8 | fields.Opcode & 7 : opcode);
        if (instruction.HasModRm) EncodeModRm(instruction, fields, rm, memory, index, displacement);

        static bool Low8(in Instruction instruction, FieldClass field, int host) => field == FieldClass.Gpr8 && instruction.HasRex && host >= 4;
    }

    // 66 selects 16-bit operands only for instructions on general registers; for vectors it is a part of the opcode.
    private static bool UsesOperandSize16(in Instruction instruction) =>
        instruction.OperandSize == 2 && instruction.State == StateClass.Integer
        && instruction.RegClass != FieldClass.Other && instruction.RmClass != FieldClass.Other
        && instruction.Map <= 2;

    private void EncodeModRm(in Instruction instruction, in Fields fields, int rm, bool memory, int index, int displacement = 0)
    {
        var reg = instruction.RegClass == FieldClass.None ? instruction.ModRm >> 3 & 7 : fields.Reg & 7;
        if (!memory) _asm.Byte(0xc0 | reg << 3 | rm & 7);
        else if (index != NotPresent) _asm.ModRmIndex(reg, rm, index, 0, displacement);
        else _asm.ModRmBase(reg, rm, 0);
    }

    private void EncodeVex(in Instruction instruction, in Fields fields, int address, int index, int displacement)
    {
        var memory = address != NotPresent;
        var rm = memory ? address : fields.Rm;
        var reg = instruction.RegClass == FieldClass.None ? 0 : fields.Reg;
        var x = memory && index != NotPresent ? index >> 3 : 0;
        var vvvv = instruction.VvvvClass == FieldClass.None ? 0 : fields.Vvvv;
        _asm.Byte(0xc4);
        _asm.Byte((reg >> 3 ^ 1) << 7 | (x ^ 1) << 6 | (rm >> 3 & 1 ^ 1) << 5 | instruction.Map);
        _asm.Byte((instruction.W ? 0x80 : 0) | (~vvvv & 0xf) << 3 | instruction.VectorLength << 2 | PrefixBits(instruction.MandatoryPrefix));
        _asm.Byte(instruction.Opcode);
        if (instruction.HasModRm) EncodeModRm(instruction, fields, rm, memory, index, displacement);
    }

    private static int PrefixBits(int prefix) => prefix switch { 0x66 => 1, 0xf3 => 2, 0xf2 => 3, _ => 0 };

    private void EncodeEvex(in Instruction instruction, in Fields fields, int address, int index)
    {
        var payload = instruction.EvexPayload;
        int p0 = (byte)payload, p1 = (byte)(payload >> 8), p2 = (byte)(payload >> 16);
        var memory = address != NotPresent;
        var rm = memory ? address : fields.Rm;
        if (IsGpr(instruction.RegClass)) p0 = p0 & ~0x90 | (fields.Reg >> 3 & 1 ^ 1) << 7 | 0x10;
        if (memory) p0 = p0 & ~0x60 | (index != NotPresent && index >= 8 ? 0 : 0x40) | (rm >= 8 ? 0 : 0x20);
        else if (IsGpr(instruction.RmClass)) p0 = p0 & ~0x60 | 0x40 | (rm >= 8 ? 0 : 0x20);
        if (IsGpr(instruction.VvvvClass)) p1 = p1 & ~0x78 | (~fields.Vvvv & 0xf) << 3;
        _asm.Byte(0x62);
        _asm.Byte(p0);
        _asm.Byte(p1);
        _asm.Byte(p2);
        _asm.Byte(instruction.Opcode);
        EncodeModRm(instruction, fields, rm, memory, index);
    }

    // ---- forms that differ from their guest encoding ----

    private void EmitLea(in Instruction instruction)
    {
        var displaced = IsDisplaced(instruction.Reg);
        var wide = instruction.OperandSize == 8;
        if (!displaced && instruction.OperandSize != 2 && instruction.AddressSize != 2)
        {
            EmitAddress(instruction, 0, HostOf(instruction.Reg), wide && instruction.AddressSize == 8);
            return;
        }
        if (displaced && _mayHold)
        {
            if (_held != instruction.Reg) DropHeld();
            EmitAddress(instruction, 0, S0, wide);
            (_held, _heldChanged) = (instruction.Reg, true);
            return;
        }
        var register = EmitEffectiveAddress(instruction);
        if (instruction.OperandSize == 2) _asm.Byte(0x66);
        else if (!wide && displaced) _asm.Mov(S0, register, wide: false);
        if (!displaced) _asm.Rr(Op.MovStore, register, HostOf(instruction.Reg), wide);
        else _asm.Frame(Op.MovStore, wide || instruction.OperandSize == 2 ? register : S0, Frame.Of(instruction.Reg), wide: instruction.OperandSize != 2);
    }

    private void EmitMoffs(in Instruction instruction)
    {
        _asm.MovImmediate(S0, (ulong)instruction.Displacement & (instruction.AddressSize switch { 2 => 0xfffful, 4 => 0xffff_fffful, _ => ulong.MaxValue }));
        var linear = EmitLinearAddress(instruction, S0, instruction.MemorySize, instruction.RmAccess);
        var operand = BeginAccess(linear, instruction.MemorySize, instruction.RmAccess, 0, !_long || (instruction.AddressSize == 4 && instruction.Segment < 4));
        var store = (instruction.RmAccess & OperandAccess.Write) != 0;
        if (instruction.OperandSize == 2) _asm.Byte(0x66);
        var opcode = (store ? 0x88 : 0x8a) | (instruction.OperandSize == 1 ? 0 : 1);
        OperandOp(opcode, HostRegister.Rax, operand, instruction.OperandSize == 8);
        EndAccess(operand);
    }

    private void EmitIncDecShort(in Instruction instruction)
    {
        if (NeedsHostFlags(instruction)) UnparkFlags();
        if (instruction.OperandSize == 2) _asm.Byte(0x66);
        var register = HostOf(instruction.OpcodeReg);
        if (register >= 8) _asm.Byte(0x41);
        _asm.Byte(0xff);
        _asm.Byte(0xc0 | ((instruction.Opcode & 8) != 0 ? 8 : 0) | register & 7);
        FlagsWritten(instruction);
    }
}
