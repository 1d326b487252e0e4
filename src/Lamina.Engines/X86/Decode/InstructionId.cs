// The instructions that are not simply run on the host as they are: they branch, use the stack, touch system state,
// have no twin in 64-bit mode, or need a view of memory that one operand does not describe.
namespace Lamina.Engines.X86.Decode;

/// <summary>Identity of an instruction. Everything not listed is <see cref="Plain"/>.</summary>
public enum InstructionId : ushort
{
    /// <summary>Re-emitted by shape: renamed registers, rewritten memory operand.</summary>
    Plain,

    // Plain by semantics, but worth knowing: the decoder gives these their own identity, the rest of the description is filled as for Plain.
    /// <summary>LEA.</summary>
    Lea,
    /// <summary>NOP in all its forms, PREFETCH, hint space, ENDBR, CLDEMOTE: no effect.</summary>
    Nop,
    /// <summary>MOV between a general register (reg field) and r/m, 88-8B, C6/C7, B0-BF.</summary>
    Mov,
    /// <summary>MOV AL/eAX with a moffs operand, A0-A3.</summary>
    MovMoffs,
    /// <summary>XOR/SUB of a register with itself: reads nothing.</summary>
    ZeroRegister,
    /// <summary>INC/DEC in the one-byte form 40-4F (16- and 32-bit code).</summary>
    IncDecShort,
    /// <summary>XCHG (86, 87, 91-97).</summary>
    Xchg,
    /// <summary>DIV, IDIV (F6/F7 /6, /7): may raise #DE.</summary>
    Divide,
    /// <summary>Shift, rotate, SHLD, SHRD by CL.</summary>
    ShiftByCl,
    /// <summary>MOV to or from a segment register, PUSH/POP of one.</summary>
    MovFromSegment,
    /// <summary>MOV Sreg, r/m.</summary>
    MovToSegment,

    // Control flow
    /// <summary>JMP rel8/16/32.</summary>
    JmpRelative,
    /// <summary>Jcc rel.</summary>
    JumpConditional,
    /// <summary>CALL rel.</summary>
    CallRelative,
    /// <summary>JMP r/m (FF /4).</summary>
    JmpIndirect,
    /// <summary>CALL r/m (FF /2).</summary>
    CallIndirect,
    /// <summary>RET near, with or without an immediate.</summary>
    Ret,
    /// <summary>LOOP.</summary>
    Loop,
    /// <summary>LOOPE.</summary>
    LoopEqual,
    /// <summary>LOOPNE.</summary>
    LoopNotEqual,
    /// <summary>JCXZ, JECXZ, JRCXZ by address size.</summary>
    JumpCxZero,
    /// <summary>JMP ptr16:16/32 (EA).</summary>
    JmpFarImmediate,
    /// <summary>CALL ptr16:16/32 (9A).</summary>
    CallFarImmediate,
    /// <summary>JMP m16:16/32/64 (FF /5).</summary>
    JmpFarIndirect,
    /// <summary>CALL m16:16/32/64 (FF /3).</summary>
    CallFarIndirect,
    /// <summary>RET far, with or without an immediate.</summary>
    RetFar,
    /// <summary>IRET, IRETD, IRETQ by operand size.</summary>
    Iret,
    /// <summary>INT n.</summary>
    Int,
    /// <summary>INT3.</summary>
    Int3,
    /// <summary>INT1 (F1).</summary>
    Int1,
    /// <summary>INTO.</summary>
    Into,
    /// <summary>SYSCALL.</summary>
    Syscall,
    /// <summary>SYSRET.</summary>
    Sysret,
    /// <summary>SYSENTER.</summary>
    Sysenter,
    /// <summary>SYSEXIT.</summary>
    Sysexit,
    /// <summary>UD0, UD1, UD2: #UD by definition.</summary>
    Ud,

    // Stack
    /// <summary>PUSH of a general register (opcode register or r/m) or memory.</summary>
    Push,
    /// <summary>PUSH imm.</summary>
    PushImmediate,
    /// <summary>POP to a general register or memory.</summary>
    Pop,
    /// <summary>PUSH Sreg (register number in Reg).</summary>
    PushSegment,
    /// <summary>POP Sreg (register number in Reg).</summary>
    PopSegment,
    /// <summary>PUSHA(D).</summary>
    Pusha,
    /// <summary>POPA(D).</summary>
    Popa,
    /// <summary>PUSHF(D/Q).</summary>
    Pushf,
    /// <summary>POPF(D/Q).</summary>
    Popf,
    /// <summary>ENTER.</summary>
    Enter,
    /// <summary>LEAVE.</summary>
    Leave,

    // Strings
    /// <summary>MOVS.</summary>
    Movs,
    /// <summary>STOS.</summary>
    Stos,
    /// <summary>LODS.</summary>
    Lods,
    /// <summary>SCAS.</summary>
    Scas,
    /// <summary>CMPS.</summary>
    Cmps,
    /// <summary>INS.</summary>
    Ins,
    /// <summary>OUTS.</summary>
    Outs,

    // Memory operands that one size does not describe
    /// <summary>BT/BTS/BTR/BTC m, r: the bit offset reaches outside the operand. (Register and immediate forms are Plain.)</summary>
    BitTestMemory,
    /// <summary>CMPXCHG8B, CMPXCHG16B.</summary>
    CompareExchangeWide,
    /// <summary>XLAT.</summary>
    Xlat,
    /// <summary>BOUND.</summary>
    Bound,
    /// <summary>LES, LDS, LSS, LFS, LGS (segment number in Immediate2).</summary>
    LoadFarPointer,
    /// <summary>VGATHER, VPGATHER (EVEX or VEX).</summary>
    Gather,
    /// <summary>VSCATTER, VPSCATTER.</summary>
    Scatter,
    /// <summary>MASKMOVDQU, VMASKMOVDQU, MASKMOVQ.</summary>
    MaskMoveBytes,
    /// <summary>VMASKMOV, VPMASKMOV by an address that has fewer bits than a linear one: each element's wraps. (Others are Plain.)</summary>
    MaskMoveElements,
    /// <summary>FXSAVE(64).</summary>
    Fxsave,
    /// <summary>FXRSTOR(64).</summary>
    Fxrstor,
    /// <summary>XSAVE(64).</summary>
    Xsave,
    /// <summary>XRSTOR(64).</summary>
    Xrstor,
    /// <summary>XSAVEOPT(64).</summary>
    Xsaveopt,
    /// <summary>XSAVEC(64).</summary>
    Xsavec,
    /// <summary>XSAVES(64).</summary>
    Xsaves,
    /// <summary>XRSTORS(64).</summary>
    Xrstors,
    /// <summary>x87 environment and state: FLDENV, FNSTENV, FRSTOR, FNSAVE (size depends on mode; pointers are recorded).</summary>
    X87Environment,
    /// <summary>MOVDIR64B, ENQCMD.</summary>
    MoveDirect64,

    // No twin in 64-bit mode
    /// <summary>DAA.</summary>
    Daa,
    /// <summary>DAS.</summary>
    Das,
    /// <summary>AAA.</summary>
    Aaa,
    /// <summary>AAS.</summary>
    Aas,
    /// <summary>AAM.</summary>
    Aam,
    /// <summary>AAD.</summary>
    Aad,
    /// <summary>SALC (D6).</summary>
    Salc,
    /// <summary>ARPL.</summary>
    Arpl,

    // Flags and interrupts
    /// <summary>CLI.</summary>
    Cli,
    /// <summary>STI.</summary>
    Sti,
    /// <summary>CLD.</summary>
    Cld,
    /// <summary>STD.</summary>
    Std,
    /// <summary>CLAC.</summary>
    Clac,
    /// <summary>STAC.</summary>
    Stac,
    /// <summary>HLT.</summary>
    Hlt,
    /// <summary>PAUSE.</summary>
    Pause,

    // System
    /// <summary>IN.</summary>
    In,
    /// <summary>OUT.</summary>
    Out,
    /// <summary>CPUID.</summary>
    Cpuid,
    /// <summary>RDTSC.</summary>
    Rdtsc,
    /// <summary>RDTSCP.</summary>
    Rdtscp,
    /// <summary>RDPMC.</summary>
    Rdpmc,
    /// <summary>RDPID.</summary>
    Rdpid,
    /// <summary>RDMSR.</summary>
    Rdmsr,
    /// <summary>WRMSR, WRMSRNS.</summary>
    Wrmsr,
    /// <summary>XGETBV.</summary>
    Xgetbv,
    /// <summary>XSETBV.</summary>
    Xsetbv,
    /// <summary>MOV r, CRn.</summary>
    MovFromCr,
    /// <summary>MOV CRn, r.</summary>
    MovToCr,
    /// <summary>MOV r, DRn.</summary>
    MovFromDr,
    /// <summary>MOV DRn, r.</summary>
    MovToDr,
    /// <summary>CLTS.</summary>
    Clts,
    /// <summary>LMSW.</summary>
    Lmsw,
    /// <summary>SMSW.</summary>
    Smsw,
    /// <summary>LGDT.</summary>
    Lgdt,
    /// <summary>SGDT.</summary>
    Sgdt,
    /// <summary>LIDT.</summary>
    Lidt,
    /// <summary>SIDT.</summary>
    Sidt,
    /// <summary>LLDT.</summary>
    Lldt,
    /// <summary>SLDT.</summary>
    Sldt,
    /// <summary>LTR.</summary>
    Ltr,
    /// <summary>STR.</summary>
    Str,
    /// <summary>LAR.</summary>
    Lar,
    /// <summary>LSL.</summary>
    Lsl,
    /// <summary>VERR.</summary>
    Verr,
    /// <summary>VERW.</summary>
    Verw,
    /// <summary>INVLPG.</summary>
    Invlpg,
    /// <summary>INVPCID.</summary>
    Invpcid,
    /// <summary>INVD.</summary>
    Invd,
    /// <summary>WBINVD, WBNOINVD.</summary>
    Wbinvd,
    /// <summary>SWAPGS.</summary>
    Swapgs,
    /// <summary>RDFSBASE.</summary>
    Rdfsbase,
    /// <summary>RDGSBASE.</summary>
    Rdgsbase,
    /// <summary>WRFSBASE.</summary>
    Wrfsbase,
    /// <summary>WRGSBASE.</summary>
    Wrgsbase,
    /// <summary>MONITOR, MONITORX.</summary>
    Monitor,
    /// <summary>MWAIT, MWAITX.</summary>
    Mwait,
    /// <summary>UMONITOR, UMWAIT, TPAUSE: not offered, #UD.</summary>
    UserWait,
    /// <summary>VMCALL, VMMCALL: hypercalls.</summary>
    Hypercall,
    /// <summary>RSM: #UD outside SMM.</summary>
    Rsm,
    /// <summary>CLFLUSH, CLFLUSHOPT, CLWB: checked as a byte load, otherwise no effect.</summary>
    CacheLineFlush,
    /// <summary>CLZERO: zeroes the cache line at rAX.</summary>
    Clzero,
    /// <summary>RDRAND, RDSEED (run on the host; given an identity so that a host without them can be told).</summary>
    ReadRandom,
    /// <summary>XBEGIN, XEND, XABORT, XTEST: not offered, #UD (XABORT is a no-op outside a transaction).</summary>
    Transaction,
    /// <summary>PTWRITE, WRSS, RDSSP, INCSSP and the rest of what is not offered: #UD.</summary>
    NotOffered,
    /// <summary>LDMXCSR, VLDMXCSR: #GP on reserved bits; otherwise as Plain.</summary>
    Ldmxcsr,
    /// <summary>FWAIT.</summary>
    Fwait,
}
