// The two-byte opcode map 0F (SDM vol. 2, table A-3) with its groups: system instructions, MMX, SSE, SSE2, SSE3, SSE4a.
// Two words a row: what it matches, what it means. Row.cs explains the vocabulary.
using static Lamina.Engines.X86.Decode.Tables.Row;
using Id = Lamina.Engines.X86.Decode.InstructionId;

namespace Lamina.Engines.X86.Decode.Tables;

internal static class Legacy0F
{
    /// <summary>Opcodes 0F 00 to 0F FF.</summary>
    internal static ReadOnlySpan<ulong> Rows =>
    [
        0x00 | D0, ModRm | EW | M2 | Ov | (ulong)Id.Sldt, // SLDT
        0x00 | D1, ModRm | EW | M2 | Ov | (ulong)Id.Str, // STR
        0x00 | D2, ModRm | ER | M2 | Ov | (ulong)Id.Lldt, // LLDT
        0x00 | D3, ModRm | ER | M2 | Ov | (ulong)Id.Ltr, // LTR
        0x00 | D4, ModRm | ER | M2 | Ov | FlWz | (ulong)Id.Verr, // VERR
        0x00 | D5, ModRm | ER | M2 | Ov | FlWz | (ulong)Id.Verw, // VERW
        0x01 | D0 | Mem, ModRm | MW | Mdt | Of64 | (ulong)Id.Sgdt, // SGDT
        0x01 | D1 | Mem, ModRm | MW | Mdt | Of64 | (ulong)Id.Sidt, // SIDT
        0x01 | D2 | Mem, ModRm | MR | Mdt | Of64 | (ulong)Id.Lgdt, // LGDT
        0x01 | D3 | Mem, ModRm | MR | Mdt | Of64 | (ulong)Id.Lidt, // LIDT
        0x01 | D4, ModRm | EW | M2 | Ov | (ulong)Id.Smsw, // SMSW
        0x01 | D6, ModRm | ER | M2 | Ov | (ulong)Id.Lmsw, // LMSW
        0x01 | D7 | Mem, ModRm | MN | (ulong)Id.Invlpg, // INVLPG
        0x01 | D0 | R1 | Np | Rgs, ModRm | FlWcpazso | (ulong)Id.Hypercall, // VMCALL
        0x01 | D0 | R6 | Np | Rgs, ModRm | ImRacd | (ulong)Id.Wrmsr, // WRMSRNS
        0x01 | D1 | R0 | Np | Rgs, ModRm | ImRacd | (ulong)Id.Monitor, // MONITOR
        0x01 | D1 | R1 | Np | Rgs, ModRm | ImRac | (ulong)Id.Mwait, // MWAIT
        0x01 | D1 | R2 | Np | Rgs, ModRm | Smap | (ulong)Id.Clac, // CLAC
        0x01 | D1 | R3 | Np | Rgs, ModRm | Smap | (ulong)Id.Stac, // STAC
        0x01 | D2 | R0 | Np | Rgs, ModRm | ImRcWad | Xsave | (ulong)Id.Xgetbv, // XGETBV
        0x01 | D2 | R1 | Np | Rgs, ModRm | ImRacd | Xsave | (ulong)Id.Xsetbv, // XSETBV
        0x01 | D2 | R5 | Np | Rgs, ModRm | (ulong)Id.Transaction, // XEND
        0x01 | D2 | R6 | Np | Rgs, ModRm | FlWcpazso | (ulong)Id.Transaction, // XTEST
        0x01 | D3 | R1 | NoRep | Rgs, ModRm | (ulong)Id.Hypercall, // VMMCALL
        0x01 | D7 | R0 | Rgs | Only64, ModRm | (ulong)Id.Swapgs, // SWAPGS
        0x01 | D7 | R1 | Rgs, ModRm | ImWacd | Rdtscp | (ulong)Id.Rdtscp, // RDTSCP
        0x01 | D7 | R2 | Np | Rgs, ModRm | ImRacd | (ulong)Id.Monitor, // MONITORX
        0x01 | D7 | R3 | Np | Rgs, ModRm | ImRacb | (ulong)Id.Mwait, // MWAITX
        0x01 | D7 | R4 | Rgs, ModRm | ImRa | Clzero | (ulong)Id.Clzero, // CLZERO
        0x02, ModRm | GX | ER | M2 | Ov | FlWz | Conditional | (ulong)Id.Lar, // LAR
        0x03, ModRm | GX | ER | M2 | Ov | FlWz | Conditional | (ulong)Id.Lsl, // LSL
        0x05, FlRcpazsoWcpazso | ImWc11 | (ulong)Id.Syscall, // SYSCALL
        0x06, (ulong)Id.Clts, // CLTS
        0x07, Ov | FlWcpazso | ImRc11 | (ulong)Id.Sysret, // SYSRET/SYSRETQ
        0x08, (ulong)Id.Invd, // INVD
        0x09, (ulong)Id.Wbinvd, // WBINVD
        0x0B, (ulong)Id.Ud, // UD2
        0x0D, ModRm | MN | (ulong)Id.Nop, // PREFETCHW and its kin
        0x10 | Np, ModRm | VW | WR | M16 | Sse, // MOVUPS
        0x10 | P66, ModRm | VW | WR | M16 | Sse, // MOVUPD
        0x10 | PF3 | Mem, ModRm | VW | WR | M4 | Sse, // MOVSS
        0x10 | PF3 | Rgs, ModRm | VX | WR | Sse, // MOVSS
        0x10 | PF2 | Mem, ModRm | VW | WR | M8 | Sse, // MOVSD
        0x10 | PF2 | Rgs, ModRm | VX | WR | Sse, // MOVSD
        0x11 | Np, ModRm | VR | WW | M16 | Sse, // MOVUPS
        0x11 | P66, ModRm | VR | WW | M16 | Sse, // MOVUPD
        0x11 | PF3 | Mem, ModRm | VR | WW | M4 | Sse, // MOVSS
        0x11 | PF3 | Rgs, ModRm | VR | WX | Sse, // MOVSS
        0x11 | PF2 | Mem, ModRm | VR | WW | M8 | Sse, // MOVSD
        0x11 | PF2 | Rgs, ModRm | VR | WX | Sse, // MOVSD
        0x12 | Np | Rgs, ModRm | VX | WR | Sse, // MOVHLPS
        0x12 | Np | Mem, ModRm | VX | MR | M8 | Sse, // MOVLPS
        0x12 | P66 | Mem, ModRm | VX | MR | M8 | Sse, // MOVLPD
        0x12 | PF3, ModRm | VW | WR | M16 | Sse3 | Aligned, // MOVSLDUP
        0x12 | PF2, ModRm | VW | WR | M8 | Sse3, // MOVDDUP
        0x13 | Np | Mem, ModRm | VR | MW | M8 | Sse, // MOVLPS
        0x13 | P66 | Mem, ModRm | VR | MW | M8 | Sse, // MOVLPD
        0x14 | Np, ModRm | VX | WR | M16 | Sse | Aligned, // UNPCKLPS
        0x14 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // UNPCKLPD
        0x15 | Np, ModRm | VX | WR | M16 | Sse | Aligned, // UNPCKHPS
        0x15 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // UNPCKHPD
        0x16 | Np | Rgs, ModRm | VX | WR | Sse, // MOVLHPS
        0x16 | Np | Mem, ModRm | VX | MR | M8 | Sse, // MOVHPS
        0x16 | P66 | Mem, ModRm | VX | MR | M8 | Sse, // MOVHPD
        0x16 | PF3, ModRm | VW | WR | M16 | Sse3 | Aligned, // MOVSHDUP
        0x17 | Np | Mem, ModRm | VR | MW | M8 | Sse, // MOVHPS
        0x17 | P66 | Mem, ModRm | VR | MW | M8 | Sse, // MOVHPD
        0x18, ModRm | MN | (ulong)Id.Nop, // PREFETCH
        0x19, ModRm | MN | (ulong)Id.Nop, // hint NOP
        0x1A, ModRm | MN | (ulong)Id.Nop, // hint NOP (BNDLDX, BNDMOV, BNDCL, BNDCU with MPX)
        0x1B, ModRm | MN | (ulong)Id.Nop, // hint NOP (BNDSTX, BNDMOV, BNDMK, BNDCN with MPX)
        0x1C, ModRm | MN | (ulong)Id.Nop, // hint NOP, CLDEMOTE
        0x1D, ModRm | MN | (ulong)Id.Nop, // hint NOP
        0x1E, ModRm | MN | (ulong)Id.Nop, // hint NOP, ENDBR, RDSSP
        0x1F, ModRm | MN | (ulong)Id.Nop, // NOP r/m
        0x20, ModRm | CR | EW | Om | FlWcpazsoUcpazso | (ulong)Id.MovFromCr, // MOV
        0x21, ModRm | CR | EW | Om | FlWcpazsoUcpazso | (ulong)Id.MovFromDr, // MOV
        0x22, ModRm | CW | ER | Om | FlWcpazsoUcpazso | (ulong)Id.MovToCr, // MOV
        0x23, ModRm | CW | ER | Om | FlWcpazsoUcpazso | (ulong)Id.MovToDr, // MOV
        0x28 | Np, ModRm | VW | WR | M16 | Sse | Aligned, // MOVAPS
        0x28 | P66, ModRm | VW | WR | M16 | Sse | Aligned, // MOVAPD
        0x29 | Np, ModRm | VR | WW | M16 | Sse | Aligned, // MOVAPS
        0x29 | P66, ModRm | VR | WW | M16 | Sse | Aligned, // MOVAPD
        0x2A | Np, ModRm | VX | QR | M8 | Sse, // CVTPI2PS
        0x2A | P66, ModRm | VW | QR | M8 | Sse, // CVTPI2PD
        0x2A | PF3, ModRm | VX | ER | Mw | Oy | Sse, // CVTSI2SS
        0x2A | PF2, ModRm | VX | ER | Mw | Oy | Sse, // CVTSI2SD
        0x2B | Np | Mem, ModRm | VR | MW | M16 | Sse | Aligned, // MOVNTPS
        0x2B | P66 | Mem, ModRm | VR | MW | M16 | Sse | Aligned, // MOVNTPD
        0x2B | PF3 | Mem, ModRm | VR | MW | M4 | Sse4a, // MOVNTSS
        0x2B | PF2 | Mem, ModRm | VR | MW | M8 | Sse4a, // MOVNTSD
        0x2C | Np, ModRm | PW | WR | M8 | Sse, // CVTTPS2PI
        0x2C | P66, ModRm | PW | WR | M16 | Sse | Aligned, // CVTTPD2PI
        0x2C | PF3, ModRm | GW | WR | M4 | Oy | Sse, // CVTTSS2SI
        0x2C | PF2, ModRm | GW | WR | M8 | Oy | Sse, // CVTTSD2SI
        0x2D | Np, ModRm | PW | WR | M8 | Sse, // CVTPS2PI
        0x2D | P66, ModRm | PW | WR | M16 | Sse | Aligned, // CVTPD2PI
        0x2D | PF3, ModRm | GW | WR | M4 | Oy | Sse, // CVTSS2SI
        0x2D | PF2, ModRm | GW | WR | M8 | Oy | Sse, // CVTSD2SI
        0x2E | Np, ModRm | VR | WR | M4 | FlWcpazso | Sse, // UCOMISS
        0x2E | P66, ModRm | VR | WR | M8 | FlWcpazso | Sse, // UCOMISD
        0x2F | Np, ModRm | VR | WR | M4 | FlWcpazso | Sse, // COMISS
        0x2F | P66, ModRm | VR | WR | M8 | FlWcpazso | Sse, // COMISD
        0x30, ImRacd | (ulong)Id.Wrmsr, // WRMSR
        0x31, ImWad | (ulong)Id.Rdtsc, // RDTSC
        0x32, ImRcWad | (ulong)Id.Rdmsr, // RDMSR
        0x33, ImRcWad | (ulong)Id.Rdpmc, // RDPMC
        0x34, ImWSp | (ulong)Id.Sysenter, // SYSENTER
        0x35, Ov | ImRcdWSp | (ulong)Id.Sysexit, // SYSEXIT/SYSEXITQ
        0x40, ModRm | GX | ER | Mv | Ov | FlRo | Conditional, // CMOVO
        0x41, ModRm | GX | ER | Mv | Ov | FlRo | Conditional, // CMOVNO
        0x42, ModRm | GX | ER | Mv | Ov | FlRc | Conditional, // CMOVB
        0x43, ModRm | GX | ER | Mv | Ov | FlRc | Conditional, // CMOVAE
        0x44, ModRm | GX | ER | Mv | Ov | FlRz | Conditional, // CMOVE
        0x45, ModRm | GX | ER | Mv | Ov | FlRz | Conditional, // CMOVNE
        0x46, ModRm | GX | ER | Mv | Ov | FlRcz | Conditional, // CMOVBE
        0x47, ModRm | GX | ER | Mv | Ov | FlRcz | Conditional, // CMOVA
        0x48, ModRm | GX | ER | Mv | Ov | FlRs | Conditional, // CMOVS
        0x49, ModRm | GX | ER | Mv | Ov | FlRs | Conditional, // CMOVNS
        0x4A, ModRm | GX | ER | Mv | Ov | FlRp | Conditional, // CMOVP
        0x4B, ModRm | GX | ER | Mv | Ov | FlRp | Conditional, // CMOVNP
        0x4C, ModRm | GX | ER | Mv | Ov | FlRso | Conditional, // CMOVL
        0x4D, ModRm | GX | ER | Mv | Ov | FlRso | Conditional, // CMOVGE
        0x4E, ModRm | GX | ER | Mv | Ov | FlRzso | Conditional, // CMOVLE
        0x4F, ModRm | GX | ER | Mv | Ov | FlRzso | Conditional, // CMOVG
        0x50 | Np | Rgs, ModRm | GW | WR | Oy | Sse, // MOVMSKPS
        0x50 | P66 | Rgs, ModRm | GW | WR | Oy | Sse, // MOVMSKPD
        0x51 | Np, ModRm | VW | WR | M16 | Sse | Aligned, // SQRTPS
        0x51 | P66, ModRm | VW | WR | M16 | Sse | Aligned, // SQRTPD
        0x51 | PF3, ModRm | VX | WR | M4 | Sse, // SQRTSS
        0x51 | PF2, ModRm | VX | WR | M8 | Sse, // SQRTSD
        0x52 | Np, ModRm | VW | WR | M16 | Sse | Aligned, // RSQRTPS
        0x52 | PF3, ModRm | VX | WR | M4 | Sse, // RSQRTSS
        0x53 | Np, ModRm | VW | WR | M16 | Sse | Aligned, // RCPPS
        0x53 | PF3, ModRm | VX | WR | M4 | Sse, // RCPSS
        0x54 | Np, ModRm | VX | WR | M16 | Sse | Aligned, // ANDPS
        0x54 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // ANDPD
        0x55 | Np, ModRm | VX | WR | M16 | Sse | Aligned, // ANDNPS
        0x55 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // ANDNPD
        0x56 | Np, ModRm | VX | WR | M16 | Sse | Aligned, // ORPS
        0x56 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // ORPD
        0x57 | Np, ModRm | VX | WR | M16 | Sse | Aligned, // XORPS
        0x57 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // XORPD
        0x58 | Np, ModRm | VX | WR | M16 | Sse | Aligned, // ADDPS
        0x58 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // ADDPD
        0x58 | PF3, ModRm | VX | WR | M4 | Sse, // ADDSS
        0x58 | PF2, ModRm | VX | WR | M8 | Sse, // ADDSD
        0x59 | Np, ModRm | VX | WR | M16 | Sse | Aligned, // MULPS
        0x59 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // MULPD
        0x59 | PF3, ModRm | VX | WR | M4 | Sse, // MULSS
        0x59 | PF2, ModRm | VX | WR | M8 | Sse, // MULSD
        0x5A | Np, ModRm | VW | WR | M8 | Sse, // CVTPS2PD
        0x5A | P66, ModRm | VW | WR | M16 | Sse | Aligned, // CVTPD2PS
        0x5A | PF3, ModRm | VX | WR | M4 | Sse, // CVTSS2SD
        0x5A | PF2, ModRm | VX | WR | M8 | Sse, // CVTSD2SS
        0x5B | Np, ModRm | VW | WR | M16 | Sse | Aligned, // CVTDQ2PS
        0x5B | P66, ModRm | VW | WR | M16 | Sse | Aligned, // CVTPS2DQ
        0x5B | PF3, ModRm | VW | WR | M16 | Sse | Aligned, // CVTTPS2DQ
        0x5C | Np, ModRm | VX | WR | M16 | Sse | Aligned, // SUBPS
        0x5C | P66, ModRm | VX | WR | M16 | Sse | Aligned, // SUBPD
        0x5C | PF3, ModRm | VX | WR | M4 | Sse, // SUBSS
        0x5C | PF2, ModRm | VX | WR | M8 | Sse, // SUBSD
        0x5D | Np, ModRm | VX | WR | M16 | Sse | Aligned, // MINPS
        0x5D | P66, ModRm | VX | WR | M16 | Sse | Aligned, // MINPD
        0x5D | PF3, ModRm | VX | WR | M4 | Sse, // MINSS
        0x5D | PF2, ModRm | VX | WR | M8 | Sse, // MINSD
        0x5E | Np, ModRm | VX | WR | M16 | Sse | Aligned, // DIVPS
        0x5E | P66, ModRm | VX | WR | M16 | Sse | Aligned, // DIVPD
        0x5E | PF3, ModRm | VX | WR | M4 | Sse, // DIVSS
        0x5E | PF2, ModRm | VX | WR | M8 | Sse, // DIVSD
        0x5F | Np, ModRm | VX | WR | M16 | Sse | Aligned, // MAXPS
        0x5F | P66, ModRm | VX | WR | M16 | Sse | Aligned, // MAXPD
        0x5F | PF3, ModRm | VX | WR | M4 | Sse, // MAXSS
        0x5F | PF2, ModRm | VX | WR | M8 | Sse, // MAXSD
        0x60 | Np, ModRm | PX | QR | M4 | Mmx, // PUNPCKLBW
        0x60 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PUNPCKLBW
        0x61 | Np, ModRm | PX | QR | M4 | Mmx, // PUNPCKLWD
        0x61 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PUNPCKLWD
        0x62 | Np, ModRm | PX | QR | M4 | Mmx, // PUNPCKLDQ
        0x62 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PUNPCKLDQ
        0x63 | Np, ModRm | PX | QR | M8 | Mmx, // PACKSSWB
        0x63 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PACKSSWB
        0x64 | Np, ModRm | PX | QR | M8 | Mmx, // PCMPGTB
        0x64 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PCMPGTB
        0x65 | Np, ModRm | PX | QR | M8 | Mmx, // PCMPGTW
        0x65 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PCMPGTW
        0x66 | Np, ModRm | PX | QR | M8 | Mmx, // PCMPGTD
        0x66 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PCMPGTD
        0x67 | Np, ModRm | PX | QR | M8 | Mmx, // PACKUSWB
        0x67 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PACKUSWB
        0x68 | Np, ModRm | PX | QR | M8 | Mmx, // PUNPCKHBW
        0x68 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PUNPCKHBW
        0x69 | Np, ModRm | PX | QR | M8 | Mmx, // PUNPCKHWD
        0x69 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PUNPCKHWD
        0x6A | Np, ModRm | PX | QR | M8 | Mmx, // PUNPCKHDQ
        0x6A | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PUNPCKHDQ
        0x6B | Np, ModRm | PX | QR | M8 | Mmx, // PACKSSDW
        0x6B | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PACKSSDW
        0x6C | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PUNPCKLQDQ
        0x6D | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PUNPCKHQDQ
        0x6E | Np, ModRm | PW | ER | Mw | Oy | Mmx, // MOVD/MOVQ
        0x6E | P66, ModRm | VW | ER | Mw | Oy | Sse, // MOVD/MOVQ
        0x6F | Np, ModRm | PW | QR | M8 | Mmx, // MOVQ
        0x6F | P66, ModRm | VW | WR | M16 | Sse | Aligned, // MOVDQA
        0x6F | PF3, ModRm | VW | WR | M16 | Sse, // MOVDQU
        0x70 | Np, ModRm | PW | QR | Ub | M8 | Mmx, // PSHUFW
        0x70 | P66, ModRm | VW | WR | Ub | M16 | Sse | Aligned, // PSHUFD
        0x70 | PF3, ModRm | VW | WR | Ub | M16 | Sse | Aligned, // PSHUFHW
        0x70 | PF2, ModRm | VW | WR | Ub | M16 | Sse | Aligned, // PSHUFLW
        0x71 | D2 | Np | Rgs, ModRm | QX | Ub | Mmx, // PSRLW
        0x71 | D2 | P66 | Rgs, ModRm | WX | Ub | Sse, // PSRLW
        0x71 | D4 | Np | Rgs, ModRm | QX | Ub | Mmx, // PSRAW
        0x71 | D4 | P66 | Rgs, ModRm | WX | Ub | Sse, // PSRAW
        0x71 | D6 | Np | Rgs, ModRm | QX | Ub | Mmx, // PSLLW
        0x71 | D6 | P66 | Rgs, ModRm | WX | Ub | Sse, // PSLLW
        0x72 | D2 | Np | Rgs, ModRm | QX | Ub | Mmx, // PSRLD
        0x72 | D2 | P66 | Rgs, ModRm | WX | Ub | Sse, // PSRLD
        0x72 | D4 | Np | Rgs, ModRm | QX | Ub | Mmx, // PSRAD
        0x72 | D4 | P66 | Rgs, ModRm | WX | Ub | Sse, // PSRAD
        0x72 | D6 | Np | Rgs, ModRm | QX | Ub | Mmx, // PSLLD
        0x72 | D6 | P66 | Rgs, ModRm | WX | Ub | Sse, // PSLLD
        0x73 | D2 | Np | Rgs, ModRm | QX | Ub | Mmx, // PSRLQ
        0x73 | D2 | P66 | Rgs, ModRm | WX | Ub | Sse, // PSRLQ
        0x73 | D3 | P66 | Rgs, ModRm | WX | Ub | Sse, // PSRLDQ
        0x73 | D6 | Np | Rgs, ModRm | QX | Ub | Mmx, // PSLLQ
        0x73 | D6 | P66 | Rgs, ModRm | WX | Ub | Sse, // PSLLQ
        0x73 | D7 | P66 | Rgs, ModRm | WX | Ub | Sse, // PSLLDQ
        0x74 | Np, ModRm | PX | QR | M8 | Mmx, // PCMPEQB
        0x74 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PCMPEQB
        0x75 | Np, ModRm | PX | QR | M8 | Mmx, // PCMPEQW
        0x75 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PCMPEQW
        0x76 | Np, ModRm | PX | QR | M8 | Mmx, // PCMPEQD
        0x76 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PCMPEQD
        0x77 | Np, Mmx, // EMMS
        0x78 | PF2 | Rgs, ModRm | VW | WR | IbIb | Sse4a, // INSERTQ
        0x78 | D0 | P66 | Rgs, ModRm | WX | IbIb | Sse4a, // EXTRQ
        0x79 | P66 | Rgs, ModRm | VX | WR | Sse4a, // EXTRQ
        0x79 | PF2 | Rgs, ModRm | VX | WR | Sse4a, // INSERTQ
        0x7C | P66, ModRm | VX | WR | M16 | Sse3 | Aligned, // HADDPD
        0x7C | PF2, ModRm | VX | WR | M16 | Sse3 | Aligned, // HADDPS
        0x7D | P66, ModRm | VX | WR | M16 | Sse3 | Aligned, // HSUBPD
        0x7D | PF2, ModRm | VX | WR | M16 | Sse3 | Aligned, // HSUBPS
        0x7E | Np, ModRm | PR | EW | Mw | Oy | Mmx, // MOVD/MOVQ
        0x7E | P66, ModRm | VR | EW | Mw | Oy | Sse, // MOVD/MOVQ
        0x7E | PF3, ModRm | VW | WR | M8 | Sse, // MOVQ
        0x7F | Np, ModRm | PR | QW | M8 | Mmx, // MOVQ
        0x7F | P66, ModRm | VR | WW | M16 | Sse | Aligned, // MOVDQA
        0x7F | PF3, ModRm | VR | WW | M16 | Sse, // MOVDQU
        0x80, Iz | Of64 | FlRo | (ulong)Id.JumpConditional, // JO
        0x81, Iz | Of64 | FlRo | (ulong)Id.JumpConditional, // JNO
        0x82, Iz | Of64 | FlRc | (ulong)Id.JumpConditional, // JB
        0x83, Iz | Of64 | FlRc | (ulong)Id.JumpConditional, // JAE
        0x84, Iz | Of64 | FlRz | (ulong)Id.JumpConditional, // JE
        0x85, Iz | Of64 | FlRz | (ulong)Id.JumpConditional, // JNE
        0x86, Iz | Of64 | FlRcz | (ulong)Id.JumpConditional, // JBE
        0x87, Iz | Of64 | FlRcz | (ulong)Id.JumpConditional, // JA
        0x88, Iz | Of64 | FlRs | (ulong)Id.JumpConditional, // JS
        0x89, Iz | Of64 | FlRs | (ulong)Id.JumpConditional, // JNS
        0x8A, Iz | Of64 | FlRp | (ulong)Id.JumpConditional, // JP
        0x8B, Iz | Of64 | FlRp | (ulong)Id.JumpConditional, // JNP
        0x8C, Iz | Of64 | FlRso | (ulong)Id.JumpConditional, // JL
        0x8D, Iz | Of64 | FlRso | (ulong)Id.JumpConditional, // JGE
        0x8E, Iz | Of64 | FlRzso | (ulong)Id.JumpConditional, // JLE
        0x8F, Iz | Of64 | FlRzso | (ulong)Id.JumpConditional, // JG
        0x90, ModRm | EbW | M1 | O1 | FlRo, // SETO
        0x91, ModRm | EbW | M1 | O1 | FlRo, // SETNO
        0x92, ModRm | EbW | M1 | O1 | FlRc, // SETB
        0x93, ModRm | EbW | M1 | O1 | FlRc, // SETAE
        0x94, ModRm | EbW | M1 | O1 | FlRz, // SETE
        0x95, ModRm | EbW | M1 | O1 | FlRz, // SETNE
        0x96, ModRm | EbW | M1 | O1 | FlRcz, // SETBE
        0x97, ModRm | EbW | M1 | O1 | FlRcz, // SETA
        0x98, ModRm | EbW | M1 | O1 | FlRs, // SETS
        0x99, ModRm | EbW | M1 | O1 | FlRs, // SETNS
        0x9A, ModRm | EbW | M1 | O1 | FlRp, // SETP
        0x9B, ModRm | EbW | M1 | O1 | FlRp, // SETNP
        0x9C, ModRm | EbW | M1 | O1 | FlRso, // SETL
        0x9D, ModRm | EbW | M1 | O1 | FlRso, // SETGE
        0x9E, ModRm | EbW | M1 | O1 | FlRzso, // SETLE
        0x9F, ModRm | EbW | M1 | O1 | FlRzso, // SETG
        0xA0, Od64 | ImRSpWSp | (ulong)Id.PushSegment, // PUSH
        0xA1, Od64 | ImRSpWSp | (ulong)Id.PopSegment, // POP
        0xA2, ImRacWacdb | (ulong)Id.Cpuid, // CPUID
        0xA3 | Mem, ModRm | GR | ER | Mv | Ov | FlWcpasoUpaso | (ulong)Id.BitTestMemory, // BT
        0xA3 | Rgs, ModRm | GR | ER | Ov | FlWcpasoUpaso, // BT
        0xA4, ModRm | GR | EX | Ub | Mv | Ov | ByCount | FlWcpazsoUao, // SHLD
        0xA5, ModRm | GR | EX | Mv | Ov | FlWcpazsoUao | ImRc | MayStay | (ulong)Id.ShiftByCl, // SHLD
        0xA8, Od64 | ImRSpWSp | (ulong)Id.PushSegment, // PUSH
        0xA9, Od64 | ImRSpWSp | (ulong)Id.PopSegment, // POP
        0xAA, FlWcpazso | (ulong)Id.Rsm, // RSM
        0xAB | Mem, ModRm | GR | EX | Mv | Ov | FlWcpasoUpaso | LockOk | (ulong)Id.BitTestMemory, // BTS
        0xAB | Rgs, ModRm | GR | EX | Ov | FlWcpasoUpaso, // BTS
        0xAC, ModRm | GR | EX | Ub | Mv | Ov | ByCount | FlWcpazsoUao, // SHRD
        0xAD, ModRm | GR | EX | Mv | Ov | FlWcpazsoUao | ImRc | MayStay | (ulong)Id.ShiftByCl, // SHRD
        0xAE | D0 | Np | Mem, ModRm | MW | M512 | Ov | X87 | Aligned | (ulong)Id.Fxsave, // FXSAVE/FXSAVE64
        0xAE | D1 | Np | Mem, ModRm | MR | M512 | Ov | X87 | Aligned | (ulong)Id.Fxrstor, // FXRSTOR/FXRSTOR64
        0xAE | D2 | Np | Mem, ModRm | MR | M4 | Sse | (ulong)Id.Ldmxcsr, // LDMXCSR
        0xAE | D3 | Np | Mem, ModRm | MW | M4 | Sse, // STMXCSR
        0xAE | D4 | Np | Mem, ModRm | MX | Mxsave | Ov | ImRad | Aligned | Xsave | (ulong)Id.Xsave, // XSAVE/XSAVE64
        0xAE | D5 | Np | Mem, ModRm | MR | Mxsave | Ov | ImRad | Aligned | Xsave | (ulong)Id.Xrstor, // XRSTOR/XRSTOR64
        0xAE | D6 | Np | Mem, ModRm | MX | Mxsave | Ov | ImRad | Aligned | Xsaveopt | (ulong)Id.Xsaveopt, // XSAVEOPT/XSAVEOPT64
        0xAE | D6 | P66 | Mem, ModRm | MR | M1 | Clwb | (ulong)Id.CacheLineFlush, // CLWB
        0xAE | D7 | Np | Mem, ModRm | MR | M1 | (ulong)Id.CacheLineFlush, // CLFLUSH
        0xAE | D7 | P66 | Mem, ModRm | MR | M1 | Clflushopt | (ulong)Id.CacheLineFlush, // CLFLUSHOPT
        0xAE | D0 | PF3 | Rgs | Only64, ModRm | EW | Oy | FsGsBase | (ulong)Id.Rdfsbase, // RDFSBASE
        0xAE | D1 | PF3 | Rgs | Only64, ModRm | EW | Oy | FsGsBase | (ulong)Id.Rdgsbase, // RDGSBASE
        0xAE | D2 | PF3 | Rgs | Only64, ModRm | ER | Oy | FsGsBase | (ulong)Id.Wrfsbase, // WRFSBASE
        0xAE | D3 | PF3 | Rgs | Only64, ModRm | ER | Oy | FsGsBase | (ulong)Id.Wrgsbase, // WRGSBASE
        0xAE | D5 | Np | Rgs, ModRm, // LFENCE
        0xAE | D6 | P66 | Rgs, ModRm | ER | Oy | FlWcpazso | ImRad | (ulong)Id.UserWait, // TPAUSE
        0xAE | D6 | PF3 | Rgs, ModRm | ER | Oa | (ulong)Id.UserWait, // UMONITOR
        0xAE | D6 | PF2 | Rgs, ModRm | ER | Oy | FlWcpazso | ImRad | (ulong)Id.UserWait, // UMWAIT
        0xAE | D6 | Np | Rgs, ModRm, // MFENCE
        0xAE | D7 | Np | Rgs, ModRm, // SFENCE
        0xAF, ModRm | GX | ER | Mv | Ov | FlWcpazsoUpazs, // IMUL
        0xB0, ModRm | GbR | EbX | M1 | O1 | FlWcpazso | ImRaWa | LockOk, // CMPXCHG
        0xB1, ModRm | GR | EX | Mv | Ov | FlWcpazso | ImRaWa | LockOk, // CMPXCHG
        0xB2 | Mem, ModRm | GW | MR | Mp | Ov | (ulong)Id.LoadFarPointer, // LSS
        0xB3 | Mem, ModRm | GR | EX | Mv | Ov | FlWcpasoUpaso | LockOk | (ulong)Id.BitTestMemory, // BTR
        0xB3 | Rgs, ModRm | GR | EX | Ov | FlWcpasoUpaso, // BTR
        0xB4 | Mem, ModRm | GW | MR | Mp | Ov | (ulong)Id.LoadFarPointer, // LFS
        0xB5 | Mem, ModRm | GW | MR | Mp | Ov | (ulong)Id.LoadFarPointer, // LGS
        0xB6, ModRm | GW | EbR | M1 | Ov, // MOVZX
        0xB7, ModRm | GW | ER | M2 | Ov, // MOVZX
        0xB8 | PF3, ModRm | GW | ER | Mv | Ov | FlWcpazso | Popcnt, // POPCNT
        0xB9, ModRm | GN | EN | Mv | Ov | (ulong)Id.Ud, // UD1
        0xBA | D4, ModRm | ER | Ub | Mv | Ov | FlWcpasoUpaso, // BT
        0xBA | D5, ModRm | EX | Ub | Mv | Ov | FlWcpasoUpaso | LockOk, // BTS
        0xBA | D6, ModRm | EX | Ub | Mv | Ov | FlWcpasoUpaso | LockOk, // BTR
        0xBA | D7, ModRm | EX | Ub | Mv | Ov | FlWcpasoUpaso | LockOk, // BTC
        0xBB | Mem, ModRm | GR | EX | Mv | Ov | FlWcpasoUpaso | LockOk | (ulong)Id.BitTestMemory, // BTC
        0xBB | Rgs, ModRm | GR | EX | Ov | FlWcpasoUpaso, // BTC
        0xBC | PF3, ModRm | GW | ER | Mv | Ov | FlWcpazsoUpaso | Bmi1, // TZCNT
        0xBC, ModRm | GX | ER | Mv | Ov | FlWcpazsoUcpaso | Conditional, // BSF (without BMI1 for F3, too)
        0xBD | PF3, ModRm | GW | ER | Mv | Ov | FlWcpazsoUpaso | Lzcnt, // LZCNT
        0xBD, ModRm | GX | ER | Mv | Ov | FlWcpazsoUcpaso | Conditional, // BSR (without LZCNT for F3, too)
        0xBE, ModRm | GW | EbR | M1 | Ov, // MOVSX
        0xBF, ModRm | GW | ER | M2 | Ov, // MOVSX
        0xC0, ModRm | GbX | EbX | M1 | O1 | FlWcpazso | LockOk, // XADD
        0xC1, ModRm | GX | EX | Mv | Ov | FlWcpazso | LockOk, // XADD
        0xC2 | Np, ModRm | VX | WR | Ub | M16 | Sse | Aligned, // CMPPS
        0xC2 | P66, ModRm | VX | WR | Ub | M16 | Sse | Aligned, // CMPPD
        0xC2 | PF3, ModRm | VX | WR | Ub | M4 | Sse, // CMPSS
        0xC2 | PF2, ModRm | VX | WR | Ub | M8 | Sse, // CMPSD
        0xC3 | Np | Mem, ModRm | GR | MW | Mw | Oy, // MOVNTI
        0xC4 | Np, ModRm | PX | ER | Ub | M2 | Oy | Mmx, // PINSRW
        0xC4 | P66, ModRm | VX | ER | Ub | M2 | Oy | Sse, // PINSRW
        0xC5 | Np | Rgs, ModRm | GW | QR | Ub | Oy | Mmx, // PEXTRW
        0xC5 | P66 | Rgs, ModRm | GW | WR | Ub | Oy | Sse, // PEXTRW
        0xC6 | Np, ModRm | VX | WR | Ub | M16 | Sse | Aligned, // SHUFPS
        0xC6 | P66, ModRm | VX | WR | Ub | M16 | Sse | Aligned, // SHUFPD
        0xC7 | D1 | Mem | W0w, ModRm | MX | M8 | FlWz | ImRacdbWad | LockOk | (ulong)Id.CompareExchangeWide, // CMPXCHG8B
        0xC7 | D1 | Mem | W1w, ModRm | MX | M16 | Ov | FlWz | ImRacdbWad | LockOk | Aligned | Cmpxchg16b | (ulong)Id.CompareExchangeWide, // CMPXCHG16B
        0xC7 | D3 | Np | Mem, ModRm | MR | Mxsave | Ov | ImRad | Aligned | (ulong)Id.Xrstors, // XRSTORS/XRSTORS64
        0xC7 | D4 | Np | Mem, ModRm | MW | Mxsave | Ov | ImRad | Aligned | Xsavec | (ulong)Id.Xsavec, // XSAVEC/XSAVEC64
        0xC7 | D5 | Np | Mem, ModRm | MW | Mxsave | Ov | ImRad | Aligned | (ulong)Id.Xsaves, // XSAVES/XSAVES64
        0xC7 | D6 | NoRep | Rgs, ModRm | EW | Ov | FlWcpazso | Rdrand | (ulong)Id.ReadRandom, // RDRAND
        0xC7 | D7 | NoRep | Rgs, ModRm | EW | Ov | FlWcpazso | Rdseed | (ulong)Id.ReadRandom, // RDSEED
        0xC7 | D7 | PF3 | Rgs, ModRm | EW | Om | Rdpid | (ulong)Id.Rdpid, // RDPID
        0xC8, ZX | Ov, // BSWAP
        0xD0 | P66, ModRm | VX | WR | M16 | Sse3 | Aligned, // ADDSUBPD
        0xD0 | PF2, ModRm | VX | WR | M16 | Sse3 | Aligned, // ADDSUBPS
        0xD1 | Np, ModRm | PX | QR | M8 | Mmx, // PSRLW
        0xD1 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PSRLW
        0xD2 | Np, ModRm | PX | QR | M8 | Mmx, // PSRLD
        0xD2 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PSRLD
        0xD3 | Np, ModRm | PX | QR | M8 | Mmx, // PSRLQ
        0xD3 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PSRLQ
        0xD4 | Np, ModRm | PX | QR | M8 | Mmx, // PADDQ
        0xD4 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PADDQ
        0xD5 | Np, ModRm | PX | QR | M8 | Mmx, // PMULLW
        0xD5 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PMULLW
        0xD6 | P66, ModRm | VR | WW | M8 | Sse, // MOVQ
        0xD6 | PF3 | Rgs, ModRm | VW | QR | Sse, // MOVQ2DQ
        0xD6 | PF2 | Rgs, ModRm | PW | WR | Sse, // MOVDQ2Q
        0xD7 | Np | Rgs, ModRm | GW | QR | Oy | Mmx, // PMOVMSKB
        0xD7 | P66 | Rgs, ModRm | GW | WR | Oy | Sse, // PMOVMSKB
        0xD8 | Np, ModRm | PX | QR | M8 | Mmx, // PSUBUSB
        0xD8 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PSUBUSB
        0xD9 | Np, ModRm | PX | QR | M8 | Mmx, // PSUBUSW
        0xD9 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PSUBUSW
        0xDA | Np, ModRm | PX | QR | M8 | Mmx, // PMINUB
        0xDA | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PMINUB
        0xDB | Np, ModRm | PX | QR | M8 | Mmx, // PAND
        0xDB | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PAND
        0xDC | Np, ModRm | PX | QR | M8 | Mmx, // PADDUSB
        0xDC | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PADDUSB
        0xDD | Np, ModRm | PX | QR | M8 | Mmx, // PADDUSW
        0xDD | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PADDUSW
        0xDE | Np, ModRm | PX | QR | M8 | Mmx, // PMAXUB
        0xDE | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PMAXUB
        0xDF | Np, ModRm | PX | QR | M8 | Mmx, // PANDN
        0xDF | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PANDN
        0xE0 | Np, ModRm | PX | QR | M8 | Mmx, // PAVGB
        0xE0 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PAVGB
        0xE1 | Np, ModRm | PX | QR | M8 | Mmx, // PSRAW
        0xE1 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PSRAW
        0xE2 | Np, ModRm | PX | QR | M8 | Mmx, // PSRAD
        0xE2 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PSRAD
        0xE3 | Np, ModRm | PX | QR | M8 | Mmx, // PAVGW
        0xE3 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PAVGW
        0xE4 | Np, ModRm | PX | QR | M8 | Mmx, // PMULHUW
        0xE4 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PMULHUW
        0xE5 | Np, ModRm | PX | QR | M8 | Mmx, // PMULHW
        0xE5 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PMULHW
        0xE6 | P66, ModRm | VW | WR | M16 | Sse | Aligned, // CVTTPD2DQ
        0xE6 | PF3, ModRm | VW | WR | M8 | Sse, // CVTDQ2PD
        0xE6 | PF2, ModRm | VW | WR | M16 | Sse | Aligned, // CVTPD2DQ
        0xE7 | Np | Mem, ModRm | PR | MW | M8 | Mmx, // MOVNTQ
        0xE7 | P66 | Mem, ModRm | VR | MW | M16 | Sse | Aligned, // MOVNTDQ
        0xE8 | Np, ModRm | PX | QR | M8 | Mmx, // PSUBSB
        0xE8 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PSUBSB
        0xE9 | Np, ModRm | PX | QR | M8 | Mmx, // PSUBSW
        0xE9 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PSUBSW
        0xEA | Np, ModRm | PX | QR | M8 | Mmx, // PMINSW
        0xEA | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PMINSW
        0xEB | Np, ModRm | PX | QR | M8 | Mmx, // POR
        0xEB | P66, ModRm | VX | WR | M16 | Sse | Aligned, // POR
        0xEC | Np, ModRm | PX | QR | M8 | Mmx, // PADDSB
        0xEC | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PADDSB
        0xED | Np, ModRm | PX | QR | M8 | Mmx, // PADDSW
        0xED | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PADDSW
        0xEE | Np, ModRm | PX | QR | M8 | Mmx, // PMAXSW
        0xEE | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PMAXSW
        0xEF | Np, ModRm | PX | QR | M8 | Mmx, // PXOR
        0xEF | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PXOR
        0xF0 | PF2 | Mem, ModRm | VW | MR | M16 | Sse3, // LDDQU
        0xF1 | Np, ModRm | PX | QR | M8 | Mmx, // PSLLW
        0xF1 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PSLLW
        0xF2 | Np, ModRm | PX | QR | M8 | Mmx, // PSLLD
        0xF2 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PSLLD
        0xF3 | Np, ModRm | PX | QR | M8 | Mmx, // PSLLQ
        0xF3 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PSLLQ
        0xF4 | Np, ModRm | PX | QR | M8 | Mmx, // PMULUDQ
        0xF4 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PMULUDQ
        0xF5 | Np, ModRm | PX | QR | M8 | Mmx, // PMADDWD
        0xF5 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PMADDWD
        0xF6 | Np, ModRm | PX | QR | M8 | Mmx, // PSADBW
        0xF6 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PSADBW
        0xF7 | Np | Rgs, ModRm | PR | QR | ImRDi | Mmx | (ulong)Id.MaskMoveBytes, // MASKMOVQ
        0xF7 | P66 | Rgs, ModRm | VR | WR | ImRDi | Sse | (ulong)Id.MaskMoveBytes, // MASKMOVDQU
        0xF8 | Np, ModRm | PX | QR | M8 | Mmx, // PSUBB
        0xF8 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PSUBB
        0xF9 | Np, ModRm | PX | QR | M8 | Mmx, // PSUBW
        0xF9 | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PSUBW
        0xFA | Np, ModRm | PX | QR | M8 | Mmx, // PSUBD
        0xFA | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PSUBD
        0xFB | Np, ModRm | PX | QR | M8 | Mmx, // PSUBQ
        0xFB | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PSUBQ
        0xFC | Np, ModRm | PX | QR | M8 | Mmx, // PADDB
        0xFC | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PADDB
        0xFD | Np, ModRm | PX | QR | M8 | Mmx, // PADDW
        0xFD | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PADDW
        0xFE | Np, ModRm | PX | QR | M8 | Mmx, // PADDD
        0xFE | P66, ModRm | VX | WR | M16 | Sse | Aligned, // PADDD
        0xFF, ModRm | GN | EN | Mv | Ov | (ulong)Id.Ud, // UD0
    ];
}
