// One instruction of a given kind with random operands, encoded. Memory operands are built backwards: first the address
// that is to be met, then registers and a displacement that give it.
using Iced.Intel;

namespace Lamina.Tests.Engine.Conformance.Cases;

/// <summary>Builds instructions.</summary>
internal sealed class InstructionBuilder
{
    private sealed class Buffer : CodeWriter
    {
        public readonly byte[] Bytes = new byte[32];
        public int Length;

        public override void WriteByte(byte value)
        {
            if (Length < Bytes.Length) Bytes[Length++] = value;
        }
    }

    private readonly Buffer _buffer = new();
    private readonly Encoder[] _encoders = new Encoder[3];
    private readonly InstructionInfoFactory _info = new();
    private readonly MemoryOperandBuilder _memory = new();
    private readonly Register[] _written = new Register[32];

    public InstructionBuilder()
    {
        for (var i = 0; i < 3; i++) _encoders[i] = Encoder.Create(16 << i, _buffer);
    }

    /// <summary>Bytes of the displacement of a direct branch that was built last, at its end; 0 for anything else.</summary>
    public int BranchSize { get; private set; }

    /// <summary>Builds one for an address (an offset in the code segment). Empty where the choice of operands has no encoding.</summary>
    public ReadOnlySpan<byte> Build(BuildContext context, Code code, ulong rip)
    {
        var opcode = code.ToOpCode();
        var instruction = new Instruction { Code = code };
        if (!TryOperands(context, opcode, ref instruction, rip)) return [];
        if (context.ReadsUndefined(instruction)) return [];
        Decorate(context.Random, opcode, ref instruction);
        PinImplicit(context, instruction);
        _buffer.Length = 0;
        var encoder = _encoders[context.Test.Bits == 64 ? 2 : context.Test.Bits == 32 ? 1 : 0];
        if (!encoder.TryEncode(instruction, rip, out _, out _) || _buffer.Length > 15) return [];
        BranchSize = instruction.Op0Kind is OpKind.NearBranch16 or OpKind.NearBranch32 or OpKind.NearBranch64 ? encoder.GetConstantOffsets().ImmediateSize : 0;
        var written = 0;
        foreach (var used in _info.GetInfo(instruction).GetUsedRegisters())
            if (used.Access is OpAccess.Write or OpAccess.CondWrite or OpAccess.ReadWrite or OpAccess.ReadCondWrite && written < _written.Length) _written[written++] = used.Register;
        context.Note(instruction, _written.AsSpan(0, written));
        AddPrefix(context.Random, instruction);
        return _buffer.Bytes.AsSpan(0, _buffer.Length);
    }

    private bool TryOperands(BuildContext context, OpCodeInfo opcode, ref Instruction instruction, ulong rip)
    {
        var random = context.Random;
        for (var i = 0; i < opcode.OpCount; i++)
        {
            var kind = opcode.GetOpKind(i);
            switch (kind)
            {
                case OpCodeOperandKind.br16_1 or OpCodeOperandKind.br32_1 or OpCodeOperandKind.br64_1 or OpCodeOperandKind.br16_2 or OpCodeOperandKind.br32_4 or OpCodeOperandKind.br64_4:
                    SetBranch(context, ref instruction, i, kind, rip);
                    break;
                case OpCodeOperandKind.imm4_m2z or OpCodeOperandKind.imm8 or OpCodeOperandKind.imm8_const_1 or OpCodeOperandKind.imm8sex16 or OpCodeOperandKind.imm8sex32
                    or OpCodeOperandKind.imm8sex64 or OpCodeOperandKind.imm16 or OpCodeOperandKind.imm32 or OpCodeOperandKind.imm32sex64 or OpCodeOperandKind.imm64:
                    SetImmediate(random, ref instruction, i, kind);
                    break;
                case OpCodeOperandKind.seg_rSI or OpCodeOperandKind.es_rDI or OpCodeOperandKind.seg_rDI or OpCodeOperandKind.seg_rBX_al:
                    SetImplicitMemory(context, ref instruction, i, kind);
                    break;
                case OpCodeOperandKind.mem_offs or OpCodeOperandKind.mem or OpCodeOperandKind.mem_mpx or OpCodeOperandKind.mem_mib or OpCodeOperandKind.sibmem
                    or OpCodeOperandKind.mem_vsib32x or OpCodeOperandKind.mem_vsib64x or OpCodeOperandKind.mem_vsib32y or OpCodeOperandKind.mem_vsib64y
                    or OpCodeOperandKind.mem_vsib32z or OpCodeOperandKind.mem_vsib64z:
                    if (!_memory.TryBuild(context, opcode, ref instruction, i, kind, rip)) return false;
                    break;
                default:
                    var register = RegisterFor(random, kind, context.Test.Bits, out var mayBeMemory);
                    if (register == Register.None) return false;
                    if (mayBeMemory && (random.Chance(65) || context.Wraps))
                    {
                        if (!_memory.TryBuild(context, opcode, ref instruction, i, kind, rip)) return false;
                        break;
                    }
                    instruction.SetOpKind(i, OpKind.Register);
                    instruction.SetOpRegister(i, register);
                    break;
            }
        }
        return true;
    }

    // Branches go a little forward, where INT3 or the next instructions stand; LOOP and JCXZ too.
    private static void SetBranch(BuildContext context, ref Instruction instruction, int operand, OpCodeOperandKind kind, ulong rip)
    {
        var target = rip + 2 + (ulong)context.Random.Below(context.Random.Chance(10) ? 5000 : 40);
        switch (kind)
        {
            case OpCodeOperandKind.br16_1 or OpCodeOperandKind.br16_2:
                instruction.SetOpKind(operand, OpKind.NearBranch16);
                instruction.NearBranch16 = (ushort)target;
                break;
            case OpCodeOperandKind.br32_1 or OpCodeOperandKind.br32_4:
                instruction.SetOpKind(operand, OpKind.NearBranch32);
                instruction.NearBranch32 = (uint)target;
                break;
            default:
                instruction.SetOpKind(operand, OpKind.NearBranch64);
                instruction.NearBranch64 = target;
                break;
        }
    }

    private static void SetImmediate(CaseRandom random, ref Instruction instruction, int operand, OpCodeOperandKind kind)
    {
        var value = random.Value();
        if (instruction.Mnemonic == Mnemonic.Enter) value = operand == 0 ? (ulong)random.Below(200) : (ulong)random.Below(34);
        if (instruction.Mnemonic == Mnemonic.Ret) value &= 0xff;
        var (opKind, cut) = kind switch
        {
            OpCodeOperandKind.imm4_m2z => (OpKind.Immediate8, value & 0xf),
            OpCodeOperandKind.imm8_const_1 => (OpKind.Immediate8, 1ul),
            OpCodeOperandKind.imm8 => (operand > 0 && instruction.GetOpKind(operand - 1) == OpKind.Immediate16 || instruction.Mnemonic is Mnemonic.Extrq or Mnemonic.Insertq && operand > 1 && instruction.GetOpKind(operand - 1) == OpKind.Immediate8
                ? OpKind.Immediate8_2nd : OpKind.Immediate8, value & 0xff),
            OpCodeOperandKind.imm8sex16 => (OpKind.Immediate8to16, (ulong)(sbyte)value),
            OpCodeOperandKind.imm8sex32 => (OpKind.Immediate8to32, (ulong)(sbyte)value),
            OpCodeOperandKind.imm8sex64 => (OpKind.Immediate8to64, (ulong)(sbyte)value),
            OpCodeOperandKind.imm16 => (OpKind.Immediate16, value & 0xffff),
            OpCodeOperandKind.imm32 => (OpKind.Immediate32, value & 0xffff_ffff),
            OpCodeOperandKind.imm32sex64 => (OpKind.Immediate32to64, (ulong)(int)value),
            _ => (OpKind.Immediate64, value),
        };
        instruction.SetOpKind(operand, opKind);
        switch (opKind)
        {
            case OpKind.Immediate64: instruction.Immediate64 = cut; break;
            case OpKind.Immediate8_2nd: instruction.Immediate8_2nd = (byte)cut; break;
            case OpKind.Immediate16: instruction.Immediate16 = (ushort)cut; break;
            case OpKind.Immediate8: instruction.Immediate8 = (byte)cut; break;
            case OpKind.Immediate8to16: instruction.Immediate8to16 = (short)cut; break;
            case OpKind.Immediate8to32: instruction.Immediate8to32 = (int)cut; break;
            case OpKind.Immediate8to64: instruction.Immediate8to64 = (long)cut; break;
            case OpKind.Immediate32to64: instruction.Immediate32to64 = (long)cut; break;
            default: instruction.Immediate32 = (uint)cut; break;
        }
    }

    // The registers of string instructions point into the data; counts are small, mostly.
    private static void SetImplicitMemory(BuildContext context, ref Instruction instruction, int operand, OpCodeOperandKind kind)
    {
        var random = context.Random;
        var bits = context.Wraps ? context.NarrowBits : context.Test.Bits == 64 ? random.Chance(90) ? 64 : 32 : context.Test.Bits == 32 ? 32 : random.Chance(80) ? 16 : 32;
        if (operand > 0) bits = instruction.Op0Kind switch
        {
            OpKind.MemoryESDI or OpKind.MemorySegSI or OpKind.MemorySegDI => 16,
            OpKind.MemoryESEDI or OpKind.MemorySegESI or OpKind.MemorySegEDI => 32,
            OpKind.MemoryESRDI or OpKind.MemorySegRSI or OpKind.MemorySegRDI => 64,
            _ => bits,
        };
        var width = bits == 64 ? 2 : bits == 32 ? 1 : 0;
        if (kind == OpCodeOperandKind.seg_rBX_al)
        {
            instruction.SetOpKind(operand, OpKind.Memory);
            instruction.MemoryBase = (Register)((int[])[(int)Register.BX, (int)Register.EBX, (int)Register.RBX])[width];
            instruction.MemoryIndex = Register.AL;
            if (context.IsFree(3)) context.Pin(3, context.Narrow(context.Target(1) - context.Test.DataBase, bits));
            return;
        }
        var source = kind == OpCodeOperandKind.seg_rSI;
        instruction.SetOpKind(operand, (kind, width) switch
        {
            (OpCodeOperandKind.seg_rSI, 0) => OpKind.MemorySegSI,
            (OpCodeOperandKind.seg_rSI, 1) => OpKind.MemorySegESI,
            (OpCodeOperandKind.seg_rSI, _) => OpKind.MemorySegRSI,
            (OpCodeOperandKind.es_rDI, 0) => OpKind.MemoryESDI,
            (OpCodeOperandKind.es_rDI, 1) => OpKind.MemoryESEDI,
            (OpCodeOperandKind.es_rDI, _) => OpKind.MemoryESRDI,
            (_, 0) => OpKind.MemorySegDI,
            (_, 1) => OpKind.MemorySegEDI,
            _ => OpKind.MemorySegRDI,
        });
        var register = source ? 6 : 7;
        if (context.Wraps && kind != OpCodeOperandKind.es_rDI) instruction.SegmentPrefix = random.Chance(50) ? Register.FS : Register.GS;
        if (context.IsFree(register)) context.Pin(register, context.Narrow(context.Wraps ? context.LastOffset(bits, 16) : context.Target(8) - context.Test.DataBase, bits));
    }

    private static void PinImplicit(BuildContext context, in Instruction instruction)
    {
        var random = context.Random;
        if (instruction.IsStringInstruction && context.IsFree(1)) context.Pin(1, (ulong)(random.Chance(85) ? random.Below(40) : random.Below(5000)));
        if (instruction.Mnemonic == Mnemonic.Leave && context.IsFree(5)) context.Pin(5, context.OnStack(context.Target(8) - context.Test.DataBase));
        if (instruction.Mnemonic is Mnemonic.Loop or Mnemonic.Loope or Mnemonic.Loopne && context.IsFree(1) && random.Chance(80)) context.Pin(1, (ulong)random.Below(3));
        if (instruction.Mnemonic is Mnemonic.Div or Mnemonic.Idiv && context.IsFree(2) && random.Chance(60)) context.Pin(2, (ulong)random.Below(3));
    }

    /// <summary>LOCK, REP, opmasks, zeroing, rounding: what the instruction allows, at random.</summary>
    private static void Decorate(CaseRandom random, OpCodeInfo opcode, ref Instruction instruction)
    {
        var memory = instruction.Op0Kind == OpKind.Memory;
        if (opcode.CanUseLockPrefix && random.Chance(memory ? 30 : 2)) instruction.HasLockPrefix = true;
        if (opcode.CanUseRepPrefix && random.Chance(60)) instruction.HasRepPrefix = true;
        else if (opcode.CanUseRepnePrefix && random.Chance(50)) instruction.HasRepnePrefix = true;
        if (opcode.CanUseOpMaskRegister && (opcode.RequireOpMaskRegister || random.Chance(60)))
        {
            instruction.OpMask = Register.K1 + random.Below(7);
            if (opcode.CanUseZeroingMasking && !memory && random.Chance(50)) instruction.ZeroingMasking = true;
        }
        var anyMemory = false;
        for (var i = 0; i < instruction.OpCount; i++) anyMemory |= instruction.GetOpKind(i) == OpKind.Memory;
        if (anyMemory)
        {
            if (opcode.CanBroadcast && random.Chance(40)) instruction.IsBroadcast = true;
            return;
        }
        if (opcode.CanUseRoundingControl && random.Chance(40)) instruction.RoundingControl = RoundingControl.RoundToNearest + random.Below(4);
        else if (opcode.CanSuppressAllExceptions && random.Chance(40)) instruction.SuppressAllExceptions = true;
    }

    // Prefixes without effect: a segment override on what has no memory operand.
    private void AddPrefix(CaseRandom random, in Instruction instruction)
    {
        if (!random.Chance(3) || _buffer.Length >= 14 || instruction.IsJccShortOrNear || instruction.HasRepPrefix || instruction.SegmentPrefix != Register.None) return;
        for (var i = 0; i < instruction.OpCount; i++)
            if (instruction.GetOpKind(i) is not (OpKind.Register or OpKind.Immediate8 or OpKind.Immediate16 or OpKind.Immediate32)) return;
        if (instruction.IsStackInstruction) return;
        _buffer.Bytes.AsSpan(0, _buffer.Length).CopyTo(_buffer.Bytes.AsSpan(1));
        _buffer.Bytes[0] = random.Pick<byte>([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65]);
        _buffer.Length++;
    }

    private static Register RegisterFor(CaseRandom random, OpCodeOperandKind kind, int bits, out bool mayBeMemory)
    {
        var general = bits == 64 ? 16 : 8;
        var vectors = bits == 64 ? 32 : 8;
        var name = kind.ToString();
        mayBeMemory = name.Contains("_or_mem", StringComparison.Ordinal);
        switch (kind)
        {
            case OpCodeOperandKind.al: return Register.AL;
            case OpCodeOperandKind.cl: return Register.CL;
            case OpCodeOperandKind.ax: return Register.AX;
            case OpCodeOperandKind.dx: return Register.DX;
            case OpCodeOperandKind.eax: return Register.EAX;
            case OpCodeOperandKind.rax: return Register.RAX;
            case OpCodeOperandKind.st0: return Register.ST0;
            case OpCodeOperandKind.sti_opcode: return Register.ST0 + random.Below(8);
            case OpCodeOperandKind.kp1_reg: return Register.K0 + random.Below(8);
            case OpCodeOperandKind.xmmp3_vvvv: return Register.XMM0 + random.Below(vectors);
            case OpCodeOperandKind.zmmp3_vvvv: return Register.ZMM0 + random.Below(vectors);
        }
        if (name.StartsWith("r8_", StringComparison.Ordinal)) return random.Chance(35) ? Register.AL + random.Below(8) : (bits == 64 ? RandomByte(random) : Register.AL + random.Below(8));
        if (name.StartsWith("r16_", StringComparison.Ordinal)) return Register.AX + Number(random, general);
        if (name.StartsWith("r32_", StringComparison.Ordinal)) return Register.EAX + Number(random, general);
        if (name.StartsWith("r64_", StringComparison.Ordinal)) return Register.RAX + Number(random, general);
        if (name.StartsWith("k_", StringComparison.Ordinal)) return Register.K0 + random.Below(8);
        if (name.StartsWith("mm_", StringComparison.Ordinal)) return Register.MM0 + random.Below(8);
        if (name.StartsWith("xmm_", StringComparison.Ordinal)) return Register.XMM0 + random.Below(random.Chance(70) ? Math.Min(16, vectors) : vectors);
        if (name.StartsWith("ymm_", StringComparison.Ordinal)) return Register.YMM0 + random.Below(random.Chance(70) ? Math.Min(16, vectors) : vectors);
        if (name.StartsWith("zmm_", StringComparison.Ordinal)) return Register.ZMM0 + random.Below(vectors);
        return Register.None;
    }

    // The displaced registers of the translator (RSP, R9 to R11) more often than others.
    private static int Number(CaseRandom random, int count) => count == 16 && random.Chance(30) ? random.Pick<byte>([4, 9, 10, 11]) : random.Below(count);

    private static Register RandomByte(CaseRandom random) => Number(random, 16) switch
    {
        var n and < 4 => Register.AL + n,
        var n => Register.SPL + (n - 4),
    };
}
