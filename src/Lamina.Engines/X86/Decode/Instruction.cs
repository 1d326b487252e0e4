// One decoded guest instruction: what the analyser, the emitter and the C# executor need to know of it, and no more.
// Most instructions are Plain: they run on the host as they are, with registers renamed and the memory operand
// rewritten, so only their shape is kept. The others have an identity of their own.
using System.Runtime.InteropServices;

namespace Lamina.Engines.X86.Decode;

/// <summary>The size of code that CS says: decides default operand and address sizes.</summary>
public enum CodeSize : byte
{
    /// <summary>16-bit code (real mode, virtual-8086, protected mode with CS.D = 0).</summary>
    Code16,

    /// <summary>32-bit code (protected or compatibility mode with CS.D = 1).</summary>
    Code32,

    /// <summary>64-bit mode.</summary>
    Code64,
}

/// <summary>What came of decoding.</summary>
public enum DecodeResult : byte
{
    /// <summary>An instruction.</summary>
    Ok,

    /// <summary>The bytes end before the instruction does (fewer than 15 were given).</summary>
    Truncated,

    /// <summary>#UD.</summary>
    Invalid,

    /// <summary>Longer than 15 bytes: #GP(0).</summary>
    TooLong,
}

/// <summary>How an instruction is encoded.</summary>
public enum EncodingKind : byte
{
    /// <summary>Legacy prefixes, REX, one- to three-byte opcode.</summary>
    Legacy,

    /// <summary>VEX.</summary>
    Vex,

    /// <summary>EVEX.</summary>
    Evex,
}

/// <summary>What an operand field names.</summary>
public enum FieldClass : byte
{
    /// <summary>The field is not there, or is a part of the opcode.</summary>
    None,

    /// <summary>An 8-bit general register (AH…BH without REX).</summary>
    Gpr8,

    /// <summary>A 16-, 32- or 64-bit general register.</summary>
    Gpr,

    /// <summary>A vector, MMX, mask, x87, segment, control or debug register: the same register on the host, never renamed.</summary>
    Other,
}

/// <summary>What an instruction does with an operand.</summary>
[Flags]
public enum OperandAccess : byte
{
    /// <summary>Nothing (address computed only, or no operand).</summary>
    None = 0,

    /// <summary>Reads it.</summary>
    Read = 1,

    /// <summary>Writes it.</summary>
    Write = 2,

    /// <summary>Both.</summary>
    ReadWrite = 3,
}

/// <summary>The arithmetic flags, at their places in RFLAGS.</summary>
[Flags]
public enum Flags : ushort
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>Carry.</summary>
    CF = 0x001,

    /// <summary>Parity.</summary>
    PF = 0x004,

    /// <summary>Auxiliary carry.</summary>
    AF = 0x010,

    /// <summary>Zero.</summary>
    ZF = 0x040,

    /// <summary>Sign.</summary>
    SF = 0x080,

    /// <summary>Overflow.</summary>
    OF = 0x800,

    /// <summary>All six.</summary>
    All = 0x8d5,
}

/// <summary>The register state an instruction needs enabled: decides #NM and #UD before it runs (SDM vol. 3, 2.5 and table 13-1).</summary>
public enum StateClass : byte
{
    /// <summary>General registers only.</summary>
    Integer,

    /// <summary>x87: #NM with CR0.EM or CR0.TS.</summary>
    X87,

    /// <summary>WAIT: #NM with CR0.MP and CR0.TS.</summary>
    Wait,

    /// <summary>MMX: #UD with CR0.EM, #NM with CR0.TS.</summary>
    Mmx,

    /// <summary>SSE: #UD with CR0.EM or without CR4.OSFXSR, #NM with CR0.TS.</summary>
    Sse,

    /// <summary>AVX: #UD without CR4.OSXSAVE and XCR0[2:1], #NM with CR0.TS.</summary>
    Avx,

    /// <summary>AVX-512: as AVX, and XCR0[7:5].</summary>
    Avx512,
}

/// <summary>Properties that few instructions have.</summary>
[Flags]
public enum InstructionTraits : ushort
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>LOCK prefix, accepted.</summary>
    Lock = 1,

    /// <summary>F3 prefix that is not part of the opcode (REP, REPE).</summary>
    Rep = 2,

    /// <summary>F2 prefix that is not part of the opcode (REPNE).</summary>
    Repne = 4,

    /// <summary>Flags may stay as they were (shift or rotate by CL or by a count of zero; REP with a zero count).</summary>
    FlagsMayStay = 8,

    /// <summary>The memory operand is masked by an opmask register (EVEX) or by a vector (VMASKMOV): parts may not be accessed.</summary>
    MaskedMemory = 16,

    /// <summary>XCHG with memory, locked without a prefix.</summary>
    ImplicitLock = 32,

    /// <summary>The index register is a vector (VSIB).</summary>
    VectorIndex = 64,

    /// <summary>Writes the destination register only if a condition holds (CMOVcc with a 32-bit operand still zero-extends).</summary>
    ConditionalWrite = 128,
}

/// <summary>
/// One decoded instruction. Register numbers are 0 to 15 (0 to 31 for vectors) in the encoding's order;
/// for <see cref="FieldClass.Gpr8"/> without REX, 4 to 7 mean AH, CH, DH, BH.
/// </summary>
[StructLayout(LayoutKind.Auto)]
public struct Instruction
{
    /// <summary>No register.</summary>
    public const sbyte NoRegister = -1;

    /// <summary>RIP as a base register.</summary>
    public const sbyte RipBase = 16;

    /// <summary>Identity; <see cref="InstructionId.Plain"/> for what is re-emitted by shape.</summary>
    public InstructionId Id;

    /// <summary>Length in bytes, 1 to 15.</summary>
    public byte Length;

    /// <summary>How it was encoded.</summary>
    public EncodingKind Encoding;

    /// <summary>Opcode map: 0 one-byte, 1 0F, 2 0F38, 3 0F3A, 5 and 6 the EVEX maps.</summary>
    public byte Map;

    /// <summary>Last opcode byte.</summary>
    public byte Opcode;

    /// <summary>Mandatory prefix that is part of the opcode: 0, 0x66, 0xF3 or 0xF2 (for VEX and EVEX: what pp means).</summary>
    public byte MandatoryPrefix;

    /// <summary>
    /// Effective operand size in bytes: 1, 2, 4 or 8 (general-register instructions; 64-bit defaults of near branches and
    /// the stack applied). 4 where prefix 66 and W choose nothing. Where operands differ it is the destination's
    /// (MOVZX), but the source's for CRC32 with a register or memory of 16 bits or more.
    /// </summary>
    public byte OperandSize;

    /// <summary>Effective address size in bytes: 2, 4 or 8.</summary>
    public byte AddressSize;

    /// <summary>REX.W, VEX.W or EVEX.W; false where 16- and 32-bit code ignores the bit, so that it means the same in 64-bit code.</summary>
    public bool W;

    /// <summary>A REX prefix was there (decides AH or SPL for 8-bit registers 4 to 7).</summary>
    public bool HasRex;

    /// <summary>VEX.L or EVEX.L'L.</summary>
    public byte VectorLength;

    /// <summary>
    /// The three payload bytes of an EVEX prefix, or 0: P0 in bits 0-7, P1 in 8-15, P2 in 16-23. Bits that 16- and 32-bit
    /// code ignores are as 64-bit code wants them.
    /// </summary>
    public uint EvexPayload;

    /// <summary>LOCK, REP and the like.</summary>
    public InstructionTraits Traits;

    /// <summary>A ModRM byte follows the opcode.</summary>
    public bool HasModRm;

    /// <summary>ModRM byte as it stands.</summary>
    public byte ModRm;

    /// <summary>ModRM.reg with the extension bits that count: none for MMX, segment and opmask registers.</summary>
    public byte Reg;

    /// <summary>ModRM.rm with the extension bits that count where mod is 3 (a register); else 0.</summary>
    public byte Rm;

    /// <summary>VEX.vvvv or EVEX.V'vvvv (not inverted).</summary>
    public byte Vvvv;

    /// <summary>The operand is a memory operand: ModRM.mod is not 3, or the instruction has a moffs operand.</summary>
    public bool HasMemory;

    /// <summary>Class of ModRM.reg.</summary>
    public FieldClass RegClass;

    /// <summary>Class of ModRM.rm as a register.</summary>
    public FieldClass RmClass;

    /// <summary>Class of vvvv.</summary>
    public FieldClass VvvvClass;

    /// <summary>Class of the register in the opcode's low three bits (its number is <see cref="OpcodeReg"/>).</summary>
    public FieldClass OpcodeRegClass;

    /// <summary>The register in the opcode's low three bits with REX.B.</summary>
    public byte OpcodeReg;

    /// <summary>What is done with ModRM.reg.</summary>
    public OperandAccess RegAccess;

    /// <summary>What is done with ModRM.rm, register or memory.</summary>
    public OperandAccess RmAccess;

    /// <summary>What is done with vvvv.</summary>
    public OperandAccess VvvvAccess;

    /// <summary>What is done with the register in the opcode.</summary>
    public OperandAccess OpcodeRegAccess;

    /// <summary>General registers read without a field that names them, a bit each.</summary>
    public ushort ImplicitRead;

    /// <summary>General registers written without a field that names them, a bit each.</summary>
    public ushort ImplicitWritten;

    /// <summary>Base register, <see cref="RipBase"/> or <see cref="NoRegister"/>.</summary>
    public sbyte Base;

    /// <summary>Index register (a vector's number with <see cref="InstructionTraits.VectorIndex"/>) or <see cref="NoRegister"/>.</summary>
    public sbyte Index;

    /// <summary>1, 2, 4 or 8.</summary>
    public byte Scale;

    /// <summary>Effective segment of the memory operand: ES 0, CS 1, SS 2, DS 3, FS 4, GS 5.</summary>
    public byte Segment;

    /// <summary>Displacement in bytes, sign-extended (EVEX's disp8*N applied); the whole 64-bit offset of a moffs operand.</summary>
    public long Displacement;

    /// <summary>
    /// Size of the memory operand in bytes; 0 where memory is not accessed (LEA, NOP, PREFETCH, INVLPG). An element's for
    /// gather and scatter; 576, the least there is, for XSAVE areas. Strings and XLAT have no memory operand in this sense.
    /// </summary>
    public ushort MemorySize;

    /// <summary>Alignment the memory operand must have lest #GP be raised (0: none).</summary>
    public byte MemoryAlignment;

    /// <summary>Offset of the immediate in the instruction's bytes.</summary>
    public byte ImmediateOffset;

    /// <summary>Length of all immediate bytes (also relative branch offsets): 0, 1, 2, 3 (ENTER), 4, 6 (far pointer), 8.</summary>
    public byte ImmediateSize;

    /// <summary>
    /// First immediate, sign-extended (branch displacement and arithmetic); zero-extended where it is a count, a port, a
    /// vector, a control byte, a number of bytes (RET, ENTER) or the offset of a far pointer.
    /// </summary>
    public long Immediate;

    /// <summary>Second immediate (ENTER's level, EXTRQ's, the selector of a far pointer).</summary>
    public ushort Immediate2;

    /// <summary>Arithmetic flags it reads.</summary>
    public Flags FlagsRead;

    /// <summary>Arithmetic flags it writes, undefined ones included.</summary>
    public Flags FlagsWritten;

    /// <summary>Those of <see cref="FlagsWritten"/> whose result the specification leaves undefined.</summary>
    public Flags FlagsUndefined;

    /// <summary>Register state it needs.</summary>
    public StateClass State;

    /// <summary>Condition code 0 to 15 of Jcc (SETcc and CMOVcc are Plain).</summary>
    public byte Condition;

    /// <summary>Whether a store may leave some of its bytes as they are: a masked one, or one of the x87 that raises an exception which is reported later.</summary>
    public readonly bool MayStoreLess => (Traits & InstructionTraits.MaskedMemory) != 0 || State == StateClass.X87;
}
