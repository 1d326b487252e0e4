// The one-byte opcode map (SDM vol. 2, table A-2) with groups 1 to 11 and the x87 escapes D8 to DF.
// Two words a row: what it matches, what it means. Row.cs explains the vocabulary; prefixes and escapes have no rows.
using static Lamina.Engines.X86.Decode.Tables.Row;
using Id = Lamina.Engines.X86.Decode.InstructionId;

namespace Lamina.Engines.X86.Decode.Tables;

internal static class LegacyOneByte
{
    /// <summary>Opcodes 00 to FF.</summary>
    internal static ReadOnlySpan<ulong> Rows =>
    [
        0x00, ModRm | GbR | EbX | M1 | O1 | FlWcpazso | LockOk, // ADD
        0x01, ModRm | GR | EX | Mv | Ov | FlWcpazso | LockOk, // ADD
        0x02, ModRm | GbX | EbR | M1 | O1 | FlWcpazso, // ADD
        0x03, ModRm | GX | ER | Mv | Ov | FlWcpazso, // ADD
        0x04, Ib | O1 | FlWcpazso | ImRaWa, // ADD
        0x05, Iz | Ov | FlWcpazso | ImRaWa, // ADD
        0x06 | No64, Ov | ImRSpWSp | (ulong)Id.PushSegment, // PUSH
        0x07 | No64, Ov | ImRSpWSp | (ulong)Id.PopSegment, // POP
        0x08, ModRm | GbR | EbX | M1 | O1 | FlWcpazsoUa | LockOk, // OR
        0x09, ModRm | GR | EX | Mv | Ov | FlWcpazsoUa | LockOk, // OR
        0x0A, ModRm | GbX | EbR | M1 | O1 | FlWcpazsoUa, // OR
        0x0B, ModRm | GX | ER | Mv | Ov | FlWcpazsoUa, // OR
        0x0C, Ib | O1 | FlWcpazsoUa | ImRaWa, // OR
        0x0D, Iz | Ov | FlWcpazsoUa | ImRaWa, // OR
        0x0E | No64, Ov | ImRSpWSp | (ulong)Id.PushSegment, // PUSH
        0x10, ModRm | GbR | EbX | M1 | O1 | FlRcWcpazso | LockOk, // ADC
        0x11, ModRm | GR | EX | Mv | Ov | FlRcWcpazso | LockOk, // ADC
        0x12, ModRm | GbX | EbR | M1 | O1 | FlRcWcpazso, // ADC
        0x13, ModRm | GX | ER | Mv | Ov | FlRcWcpazso, // ADC
        0x14, Ib | O1 | FlRcWcpazso | ImRaWa, // ADC
        0x15, Iz | Ov | FlRcWcpazso | ImRaWa, // ADC
        0x16 | No64, Ov | ImRSpWSp | (ulong)Id.PushSegment, // PUSH
        0x17 | No64, Ov | ImRSpWSp | (ulong)Id.PopSegment, // POP
        0x18, ModRm | GbR | EbX | M1 | O1 | FlRcWcpazso | LockOk, // SBB
        0x19, ModRm | GR | EX | Mv | Ov | FlRcWcpazso | LockOk, // SBB
        0x1A, ModRm | GbX | EbR | M1 | O1 | FlRcWcpazso, // SBB
        0x1B, ModRm | GX | ER | Mv | Ov | FlRcWcpazso, // SBB
        0x1C, Ib | O1 | FlRcWcpazso | ImRaWa, // SBB
        0x1D, Iz | Ov | FlRcWcpazso | ImRaWa, // SBB
        0x1E | No64, Ov | ImRSpWSp | (ulong)Id.PushSegment, // PUSH
        0x1F | No64, Ov | ImRSpWSp | (ulong)Id.PopSegment, // POP
        0x20, ModRm | GbR | EbX | M1 | O1 | FlWcpazsoUa | LockOk, // AND
        0x21, ModRm | GR | EX | Mv | Ov | FlWcpazsoUa | LockOk, // AND
        0x22, ModRm | GbX | EbR | M1 | O1 | FlWcpazsoUa, // AND
        0x23, ModRm | GX | ER | Mv | Ov | FlWcpazsoUa, // AND
        0x24, Ib | O1 | FlWcpazsoUa | ImRaWa, // AND
        0x25, Iz | Ov | FlWcpazsoUa | ImRaWa, // AND
        0x27 | No64, FlRcaWcpazsoUo | ImRaWa | (ulong)Id.Daa, // DAA
        0x28 | Mem, ModRm | GbR | EbX | M1 | O1 | FlWcpazso | LockOk, // SUB
        0x28 | Rgs, ModRm | GbR | EbX | O1 | FlWcpazso | (ulong)Id.ZeroRegister, // SUB
        0x29 | Mem, ModRm | GR | EX | Mv | Ov | FlWcpazso | LockOk, // SUB
        0x29 | Rgs, ModRm | GR | EX | Ov | FlWcpazso | (ulong)Id.ZeroRegister, // SUB
        0x2A | Mem, ModRm | GbX | EbR | M1 | O1 | FlWcpazso, // SUB
        0x2A | Rgs, ModRm | GbX | EbR | O1 | FlWcpazso | (ulong)Id.ZeroRegister, // SUB
        0x2B | Mem, ModRm | GX | ER | Mv | Ov | FlWcpazso, // SUB
        0x2B | Rgs, ModRm | GX | ER | Ov | FlWcpazso | (ulong)Id.ZeroRegister, // SUB
        0x2C, Ib | O1 | FlWcpazso | ImRaWa, // SUB
        0x2D, Iz | Ov | FlWcpazso | ImRaWa, // SUB
        0x2F | No64, FlRcaWcpazsoUo | ImRaWa | (ulong)Id.Das, // DAS
        0x30 | Mem, ModRm | GbR | EbX | M1 | O1 | FlWcpazsoUa | LockOk, // XOR
        0x30 | Rgs, ModRm | GbR | EbX | O1 | FlWcpazsoUa | (ulong)Id.ZeroRegister, // XOR
        0x31 | Mem, ModRm | GR | EX | Mv | Ov | FlWcpazsoUa | LockOk, // XOR
        0x31 | Rgs, ModRm | GR | EX | Ov | FlWcpazsoUa | (ulong)Id.ZeroRegister, // XOR
        0x32 | Mem, ModRm | GbX | EbR | M1 | O1 | FlWcpazsoUa, // XOR
        0x32 | Rgs, ModRm | GbX | EbR | O1 | FlWcpazsoUa | (ulong)Id.ZeroRegister, // XOR
        0x33 | Mem, ModRm | GX | ER | Mv | Ov | FlWcpazsoUa, // XOR
        0x33 | Rgs, ModRm | GX | ER | Ov | FlWcpazsoUa | (ulong)Id.ZeroRegister, // XOR
        0x34, Ib | O1 | FlWcpazsoUa | ImRaWa, // XOR
        0x35, Iz | Ov | FlWcpazsoUa | ImRaWa, // XOR
        0x37 | No64, FlRaWcpazsoUpzso | ImRaWa | (ulong)Id.Aaa, // AAA
        0x38, ModRm | GbR | EbR | M1 | O1 | FlWcpazso, // CMP
        0x39, ModRm | GR | ER | Mv | Ov | FlWcpazso, // CMP
        0x3A, ModRm | GbR | EbR | M1 | O1 | FlWcpazso, // CMP
        0x3B, ModRm | GR | ER | Mv | Ov | FlWcpazso, // CMP
        0x3C, Ib | O1 | FlWcpazso | ImRa, // CMP
        0x3D, Iz | Ov | FlWcpazso | ImRa, // CMP
        0x3F | No64, FlRaWcpazsoUpzso | ImRaWa | (ulong)Id.Aas, // AAS
        0x40 | No64, ZX | Ov | FlWpazso | (ulong)Id.IncDecShort, // INC
        0x48 | No64, ZX | Ov | FlWpazso | (ulong)Id.IncDecShort, // DEC
        0x50, ZR | Od64 | ImRSpWSp | (ulong)Id.Push, // PUSH
        0x58, ZW | Od64 | ImRSpWSp | (ulong)Id.Pop, // POP
        0x60 | No64, Ov | ImRacdbSpBpSiDiWSp | (ulong)Id.Pusha, // PUSHA/PUSHAD
        0x61 | No64, Ov | ImRSpWacdbSpBpSiDi | (ulong)Id.Popa, // POPA/POPAD
        0x62 | Mem | No64, ModRm | GR | MR | Mbound | Ov | (ulong)Id.Bound, // BOUND
        0x63 | No64, ModRm | GR | EX | M2 | Ov | FlWz | (ulong)Id.Arpl, // ARPL
        0x63 | Only64, ModRm | GW | ER | Mz | Ov, // MOVSXD
        0x68, Iz | Od64 | ImRSpWSp | (ulong)Id.PushImmediate, // PUSH
        0x69, ModRm | GW | ER | Iz | Mv | Ov | FlWcpazsoUpazs, // IMUL
        0x6A, Ib | Od64 | ImRSpWSp | (ulong)Id.PushImmediate, // PUSH
        0x6B, ModRm | GW | ER | Ib | Mv | Ov | FlWcpazsoUpazs, // IMUL
        0x6C, O1 | ImRdDiWDi | (ulong)Id.Ins, // INSB
        0x6D, Oz | ImRdDiWDi | (ulong)Id.Ins, // INSW/INSD
        0x6E, O1 | ImRdSiWSi | (ulong)Id.Outs, // OUTSB
        0x6F, Oz | ImRdSiWSi | (ulong)Id.Outs, // OUTSW/OUTSD
        0x70, Ib | Of64 | FlRo | (ulong)Id.JumpConditional, // JO
        0x71, Ib | Of64 | FlRo | (ulong)Id.JumpConditional, // JNO
        0x72, Ib | Of64 | FlRc | (ulong)Id.JumpConditional, // JB
        0x73, Ib | Of64 | FlRc | (ulong)Id.JumpConditional, // JAE
        0x74, Ib | Of64 | FlRz | (ulong)Id.JumpConditional, // JE
        0x75, Ib | Of64 | FlRz | (ulong)Id.JumpConditional, // JNE
        0x76, Ib | Of64 | FlRcz | (ulong)Id.JumpConditional, // JBE
        0x77, Ib | Of64 | FlRcz | (ulong)Id.JumpConditional, // JA
        0x78, Ib | Of64 | FlRs | (ulong)Id.JumpConditional, // JS
        0x79, Ib | Of64 | FlRs | (ulong)Id.JumpConditional, // JNS
        0x7A, Ib | Of64 | FlRp | (ulong)Id.JumpConditional, // JP
        0x7B, Ib | Of64 | FlRp | (ulong)Id.JumpConditional, // JNP
        0x7C, Ib | Of64 | FlRso | (ulong)Id.JumpConditional, // JL
        0x7D, Ib | Of64 | FlRso | (ulong)Id.JumpConditional, // JGE
        0x7E, Ib | Of64 | FlRzso | (ulong)Id.JumpConditional, // JLE
        0x7F, Ib | Of64 | FlRzso | (ulong)Id.JumpConditional, // JG
        0x80 | D0, ModRm | EbX | Ib | M1 | O1 | FlWcpazso | LockOk, // ADD
        0x80 | D1, ModRm | EbX | Ib | M1 | O1 | FlWcpazsoUa | LockOk, // OR
        0x80 | D2, ModRm | EbX | Ib | M1 | O1 | FlRcWcpazso | LockOk, // ADC
        0x80 | D3, ModRm | EbX | Ib | M1 | O1 | FlRcWcpazso | LockOk, // SBB
        0x80 | D4, ModRm | EbX | Ib | M1 | O1 | FlWcpazsoUa | LockOk, // AND
        0x80 | D5, ModRm | EbX | Ib | M1 | O1 | FlWcpazso | LockOk, // SUB
        0x80 | D6, ModRm | EbX | Ib | M1 | O1 | FlWcpazsoUa | LockOk, // XOR
        0x80 | D7, ModRm | EbR | Ib | M1 | O1 | FlWcpazso, // CMP
        0x81 | D0, ModRm | EX | Iz | Mv | Ov | FlWcpazso | LockOk, // ADD
        0x81 | D1, ModRm | EX | Iz | Mv | Ov | FlWcpazsoUa | LockOk, // OR
        0x81 | D2, ModRm | EX | Iz | Mv | Ov | FlRcWcpazso | LockOk, // ADC
        0x81 | D3, ModRm | EX | Iz | Mv | Ov | FlRcWcpazso | LockOk, // SBB
        0x81 | D4, ModRm | EX | Iz | Mv | Ov | FlWcpazsoUa | LockOk, // AND
        0x81 | D5, ModRm | EX | Iz | Mv | Ov | FlWcpazso | LockOk, // SUB
        0x81 | D6, ModRm | EX | Iz | Mv | Ov | FlWcpazsoUa | LockOk, // XOR
        0x81 | D7, ModRm | ER | Iz | Mv | Ov | FlWcpazso, // CMP
        0x82 | D0 | No64, ModRm | EbX | Ib | M1 | O1 | FlWcpazso | LockOk, // ADD
        0x82 | D1 | No64, ModRm | EbX | Ib | M1 | O1 | FlWcpazsoUa | LockOk, // OR
        0x82 | D2 | No64, ModRm | EbX | Ib | M1 | O1 | FlRcWcpazso | LockOk, // ADC
        0x82 | D3 | No64, ModRm | EbX | Ib | M1 | O1 | FlRcWcpazso | LockOk, // SBB
        0x82 | D4 | No64, ModRm | EbX | Ib | M1 | O1 | FlWcpazsoUa | LockOk, // AND
        0x82 | D5 | No64, ModRm | EbX | Ib | M1 | O1 | FlWcpazso | LockOk, // SUB
        0x82 | D6 | No64, ModRm | EbX | Ib | M1 | O1 | FlWcpazsoUa | LockOk, // XOR
        0x82 | D7 | No64, ModRm | EbR | Ib | M1 | O1 | FlWcpazso, // CMP
        0x83 | D0, ModRm | EX | Ib | Mv | Ov | FlWcpazso | LockOk, // ADD
        0x83 | D1, ModRm | EX | Ib | Mv | Ov | FlWcpazsoUa | LockOk, // OR
        0x83 | D2, ModRm | EX | Ib | Mv | Ov | FlRcWcpazso | LockOk, // ADC
        0x83 | D3, ModRm | EX | Ib | Mv | Ov | FlRcWcpazso | LockOk, // SBB
        0x83 | D4, ModRm | EX | Ib | Mv | Ov | FlWcpazsoUa | LockOk, // AND
        0x83 | D5, ModRm | EX | Ib | Mv | Ov | FlWcpazso | LockOk, // SUB
        0x83 | D6, ModRm | EX | Ib | Mv | Ov | FlWcpazsoUa | LockOk, // XOR
        0x83 | D7, ModRm | ER | Ib | Mv | Ov | FlWcpazso, // CMP
        0x84, ModRm | GbR | EbR | M1 | O1 | FlWcpazsoUa, // TEST
        0x85, ModRm | GR | ER | Mv | Ov | FlWcpazsoUa, // TEST
        0x86, ModRm | GbX | EbX | M1 | O1 | LockOk | (ulong)Id.Xchg, // XCHG
        0x87, ModRm | GX | EX | Mv | Ov | LockOk | (ulong)Id.Xchg, // XCHG
        0x88, ModRm | GbR | EbW | M1 | O1 | (ulong)Id.Mov, // MOV
        0x89, ModRm | GR | EW | Mv | Ov | (ulong)Id.Mov, // MOV
        0x8A, ModRm | GbW | EbR | M1 | O1 | (ulong)Id.Mov, // MOV
        0x8B, ModRm | GW | ER | Mv | Ov | (ulong)Id.Mov, // MOV
        0x8C, ModRm | PR | EW | M2 | Ov | (ulong)Id.MovFromSegment, // MOV
        0x8D | Mem, ModRm | GW | MN | Ov | (ulong)Id.Lea, // LEA
        0x8E, ModRm | PW | ER | M2 | Ov | (ulong)Id.MovToSegment, // MOV
        0x8F | D0, ModRm | EW | Mo | Od64 | ImRSpWSp | (ulong)Id.Pop, // POP
        0x90 | PF3, (ulong)Id.Pause, // PAUSE
        0x90, ZX | Ov | ImRaWa | (ulong)Id.Xchg, // NOP, XCHG rAX
        0x98, Ov | ImRaWa, // CBW/CWDE/CDQE
        0x99, Ov | ImRaWd, // CWD/CDQ/CQO
        0x9A | No64, Ap | Ov | ImRSpWSp | (ulong)Id.CallFarImmediate, // CALL
        0x9B, Wait | (ulong)Id.Fwait, // WAIT
        0x9C, Od64 | FlRcpazso | ImRSpWSp | (ulong)Id.Pushf, // PUSHF
        0x9D, Od64 | FlWcpazso | ImRSpWSp | (ulong)Id.Popf, // POPF/POPFD/POPFQ
        0x9E | No64, FlWcpazs | ImRa, // SAHF
        0x9E | Only64, FlWcpazs | ImRa | LahfLong, // SAHF
        0x9F | No64, FlRcpazs | ImWa, // LAHF
        0x9F | Only64, FlRcpazs | ImWa | LahfLong, // LAHF
        0xA0, MR | Moffs | M1 | O1 | ImWa | (ulong)Id.MovMoffs, // MOV
        0xA1, MR | Moffs | Mv | Ov | ImWa | (ulong)Id.MovMoffs, // MOV
        0xA2, MW | Moffs | M1 | O1 | ImRa | (ulong)Id.MovMoffs, // MOV
        0xA3, MW | Moffs | Mv | Ov | ImRa | (ulong)Id.MovMoffs, // MOV
        0xA4, O1 | ImRSiDiWSiDi | (ulong)Id.Movs, // MOVSB
        0xA5, Ov | ImRSiDiWSiDi | (ulong)Id.Movs, // MOVSW/MOVSD/MOVSQ
        0xA6, O1 | FlWcpazso | ImRSiDiWSiDi | (ulong)Id.Cmps, // CMPSB
        0xA7, Ov | FlWcpazso | ImRSiDiWSiDi | (ulong)Id.Cmps, // CMPSW/CMPSD/CMPSQ
        0xA8, Ib | O1 | FlWcpazsoUa | ImRa, // TEST
        0xA9, Iz | Ov | FlWcpazsoUa | ImRa, // TEST
        0xAA, O1 | ImRaDiWDi | (ulong)Id.Stos, // STOSB
        0xAB, Ov | ImRaDiWDi | (ulong)Id.Stos, // STOSW/STOSD/STOSQ
        0xAC, O1 | ImRSiWaSi | (ulong)Id.Lods, // LODSB
        0xAD, Ov | ImRSiWaSi | (ulong)Id.Lods, // LODSW/LODSD/LODSQ
        0xAE, O1 | FlWcpazso | ImRaDiWDi | (ulong)Id.Scas, // SCASB
        0xAF, Ov | FlWcpazso | ImRaDiWDi | (ulong)Id.Scas, // SCASW/SCASD/SCASQ
        0xB0, ZbW | Ib | O1 | (ulong)Id.Mov, // MOV
        0xB8, ZW | Iv | Ov | (ulong)Id.Mov, // MOV
        0xC0 | D0, ModRm | EbX | Ub | M1 | O1 | ByCount | FlWcoUo, // ROL
        0xC0 | D1, ModRm | EbX | Ub | M1 | O1 | ByCount | FlWcoUo, // ROR
        0xC0 | D2, ModRm | EbX | Ub | M1 | O1 | ByCount | FlRcWcoUo, // RCL
        0xC0 | D3, ModRm | EbX | Ub | M1 | O1 | ByCount | FlRcWcoUo, // RCR
        0xC0 | D4, ModRm | EbX | Ub | M1 | O1 | ByCount | FlWcpazsoUao, // SHL
        0xC0 | D5, ModRm | EbX | Ub | M1 | O1 | ByCount | FlWcpazsoUao, // SHR
        0xC0 | D6, ModRm | EbX | Ub | M1 | O1 | ByCount | FlWcpazsoUao, // SAL
        0xC0 | D7, ModRm | EbX | Ub | M1 | O1 | ByCount | FlWcpazsoUao, // SAR
        0xC1 | D0, ModRm | EX | Ub | Mv | Ov | ByCount | FlWcoUo, // ROL
        0xC1 | D1, ModRm | EX | Ub | Mv | Ov | ByCount | FlWcoUo, // ROR
        0xC1 | D2, ModRm | EX | Ub | Mv | Ov | ByCount | FlRcWcoUo, // RCL
        0xC1 | D3, ModRm | EX | Ub | Mv | Ov | ByCount | FlRcWcoUo, // RCR
        0xC1 | D4, ModRm | EX | Ub | Mv | Ov | ByCount | FlWcpazsoUao, // SHL
        0xC1 | D5, ModRm | EX | Ub | Mv | Ov | ByCount | FlWcpazsoUao, // SHR
        0xC1 | D6, ModRm | EX | Ub | Mv | Ov | ByCount | FlWcpazsoUao, // SAL
        0xC1 | D7, ModRm | EX | Ub | Mv | Ov | ByCount | FlWcpazsoUao, // SAR
        0xC2, Iw | Of64 | ImRSpWSp | (ulong)Id.Ret, // RET
        0xC3, Of64 | ImRSpWSp | (ulong)Id.Ret, // RET
        0xC4 | Mem | No64, ModRm | GW | MR | Mp | Ov | (ulong)Id.LoadFarPointer, // LES
        0xC5 | Mem | No64, ModRm | GW | MR | Mp | Ov | (ulong)Id.LoadFarPointer, // LDS
        0xC6 | D0, ModRm | EbW | Ib | M1 | O1 | (ulong)Id.Mov, // MOV
        0xC6 | D7 | R0 | Rgs, ModRm | Ub | (ulong)Id.Transaction, // XABORT
        0xC7 | D0, ModRm | EW | Iz | Mv | Ov | (ulong)Id.Mov, // MOV
        0xC7 | D7 | R0 | Rgs, ModRm | Iz | Oz | ImRaWa | (ulong)Id.Transaction, // XBEGIN
        0xC8, IwIb | Od64 | ImRSpBpWSpBp | (ulong)Id.Enter, // ENTER
        0xC9, Od64 | ImRBpWSpBp | (ulong)Id.Leave, // LEAVE
        0xCA, Iw | Ov | ImRSpWSp | (ulong)Id.RetFar, // RETF
        0xCB, Ov | ImRSpWSp | (ulong)Id.RetFar, // RETF
        0xCC, (ulong)Id.Int3, // INT3
        0xCD, Ub | (ulong)Id.Int, // INT
        0xCE | No64, FlRo | (ulong)Id.Into, // INTO
        0xCF, Ov | FlWcpazso | ImRSpWSp | (ulong)Id.Iret, // IRET/IRETD/IRETQ
        0xD0 | D0, ModRm | EbX | M1 | O1 | FlWco, // ROL
        0xD0 | D1, ModRm | EbX | M1 | O1 | FlWco, // ROR
        0xD0 | D2, ModRm | EbX | M1 | O1 | FlRcWco, // RCL
        0xD0 | D3, ModRm | EbX | M1 | O1 | FlRcWco, // RCR
        0xD0 | D4, ModRm | EbX | M1 | O1 | FlWcpazsoUa, // SHL
        0xD0 | D5, ModRm | EbX | M1 | O1 | FlWcpazsoUa, // SHR
        0xD0 | D6, ModRm | EbX | M1 | O1 | FlWcpazsoUa, // SAL
        0xD0 | D7, ModRm | EbX | M1 | O1 | FlWcpazsoUa, // SAR
        0xD1 | D0, ModRm | EX | Mv | Ov | FlWco, // ROL
        0xD1 | D1, ModRm | EX | Mv | Ov | FlWco, // ROR
        0xD1 | D2, ModRm | EX | Mv | Ov | FlRcWco, // RCL
        0xD1 | D3, ModRm | EX | Mv | Ov | FlRcWco, // RCR
        0xD1 | D4, ModRm | EX | Mv | Ov | FlWcpazsoUa, // SHL
        0xD1 | D5, ModRm | EX | Mv | Ov | FlWcpazsoUa, // SHR
        0xD1 | D6, ModRm | EX | Mv | Ov | FlWcpazsoUa, // SAL
        0xD1 | D7, ModRm | EX | Mv | Ov | FlWcpazsoUa, // SAR
        0xD2 | D0, ModRm | EbX | M1 | O1 | FlWcoUo | ImRc | MayStay | (ulong)Id.ShiftByCl, // ROL
        0xD2 | D1, ModRm | EbX | M1 | O1 | FlWcoUo | ImRc | MayStay | (ulong)Id.ShiftByCl, // ROR
        0xD2 | D2, ModRm | EbX | M1 | O1 | FlRcWcoUo | ImRc | MayStay | (ulong)Id.ShiftByCl, // RCL
        0xD2 | D3, ModRm | EbX | M1 | O1 | FlRcWcoUo | ImRc | MayStay | (ulong)Id.ShiftByCl, // RCR
        0xD2 | D4, ModRm | EbX | M1 | O1 | FlWcpazsoUao | ImRc | MayStay | (ulong)Id.ShiftByCl, // SHL
        0xD2 | D5, ModRm | EbX | M1 | O1 | FlWcpazsoUao | ImRc | MayStay | (ulong)Id.ShiftByCl, // SHR
        0xD2 | D6, ModRm | EbX | M1 | O1 | FlWcpazsoUao | ImRc | MayStay | (ulong)Id.ShiftByCl, // SAL
        0xD2 | D7, ModRm | EbX | M1 | O1 | FlWcpazsoUao | ImRc | MayStay | (ulong)Id.ShiftByCl, // SAR
        0xD3 | D0, ModRm | EX | Mv | Ov | FlWcoUo | ImRc | MayStay | (ulong)Id.ShiftByCl, // ROL
        0xD3 | D1, ModRm | EX | Mv | Ov | FlWcoUo | ImRc | MayStay | (ulong)Id.ShiftByCl, // ROR
        0xD3 | D2, ModRm | EX | Mv | Ov | FlRcWcoUo | ImRc | MayStay | (ulong)Id.ShiftByCl, // RCL
        0xD3 | D3, ModRm | EX | Mv | Ov | FlRcWcoUo | ImRc | MayStay | (ulong)Id.ShiftByCl, // RCR
        0xD3 | D4, ModRm | EX | Mv | Ov | FlWcpazsoUao | ImRc | MayStay | (ulong)Id.ShiftByCl, // SHL
        0xD3 | D5, ModRm | EX | Mv | Ov | FlWcpazsoUao | ImRc | MayStay | (ulong)Id.ShiftByCl, // SHR
        0xD3 | D6, ModRm | EX | Mv | Ov | FlWcpazsoUao | ImRc | MayStay | (ulong)Id.ShiftByCl, // SAL
        0xD3 | D7, ModRm | EX | Mv | Ov | FlWcpazsoUao | ImRc | MayStay | (ulong)Id.ShiftByCl, // SAR
        0xD4 | No64, Ub | FlWcpazsoUcao | ImRaWa | (ulong)Id.Aam, // AAM
        0xD5 | No64, Ub | FlWcpazsoUcao | ImRaWa | (ulong)Id.Aad, // AAD
        0xD6 | No64, FlRc | ImWa | (ulong)Id.Salc, // SALC
        0xD7, ImRabWa | (ulong)Id.Xlat, // XLATB
        0xD8 | D0 | Mem, ModRm | MR | M4 | X87, // FADD
        0xD8 | D1 | Mem, ModRm | MR | M4 | X87, // FMUL
        0xD8 | D2 | Mem, ModRm | MR | M4 | X87, // FCOM
        0xD8 | D3 | Mem, ModRm | MR | M4 | X87, // FCOMP
        0xD8 | D4 | Mem, ModRm | MR | M4 | X87, // FSUB
        0xD8 | D5 | Mem, ModRm | MR | M4 | X87, // FSUBR
        0xD8 | D6 | Mem, ModRm | MR | M4 | X87, // FDIV
        0xD8 | D7 | Mem, ModRm | MR | M4 | X87, // FDIVR
        0xD8 | D0 | Rgs, ModRm | QR | X87, // FADD
        0xD8 | D1 | Rgs, ModRm | QR | X87, // FMUL
        0xD8 | D2 | Rgs, ModRm | QR | X87, // FCOM
        0xD8 | D3 | Rgs, ModRm | QR | X87, // FCOMP
        0xD8 | D4 | Rgs, ModRm | QR | X87, // FSUB
        0xD8 | D5 | Rgs, ModRm | QR | X87, // FSUBR
        0xD8 | D6 | Rgs, ModRm | QR | X87, // FDIV
        0xD8 | D7 | Rgs, ModRm | QR | X87, // FDIVR
        0xD9 | D0 | Mem, ModRm | MR | M4 | X87, // FLD
        0xD9 | D2 | Mem, ModRm | MW | M4 | X87, // FST
        0xD9 | D3 | Mem, ModRm | MW | M4 | X87, // FSTP
        0xD9 | D4 | Mem, ModRm | MR | Menv | Oz | X87 | (ulong)Id.X87Environment, // FLDENV
        0xD9 | D5 | Mem, ModRm | MR | M2 | X87, // FLDCW
        0xD9 | D6 | Mem, ModRm | MW | Menv | Oz | X87 | (ulong)Id.X87Environment, // FNSTENV
        0xD9 | D7 | Mem, ModRm | MW | M2 | X87, // FNSTCW
        0xD9 | D0 | Rgs, ModRm | QR | X87, // FLD
        0xD9 | D1 | Rgs, ModRm | QX | X87, // FXCH
        0xD9 | D2 | R0 | Rgs, ModRm | X87, // FNOP
        0xD9 | D3 | Rgs, ModRm | QW | X87, // FSTPNCE
        0xD9 | D4 | R0 | Rgs, ModRm | X87, // FCHS
        0xD9 | D4 | R1 | Rgs, ModRm | X87, // FABS
        0xD9 | D4 | R4 | Rgs, ModRm | X87, // FTST
        0xD9 | D4 | R5 | Rgs, ModRm | X87, // FXAM
        0xD9 | D5 | R0 | Rgs, ModRm | X87, // FLD1
        0xD9 | D5 | R1 | Rgs, ModRm | X87, // FLDL2T
        0xD9 | D5 | R2 | Rgs, ModRm | X87, // FLDL2E
        0xD9 | D5 | R3 | Rgs, ModRm | X87, // FLDPI
        0xD9 | D5 | R4 | Rgs, ModRm | X87, // FLDLG2
        0xD9 | D5 | R5 | Rgs, ModRm | X87, // FLDLN2
        0xD9 | D5 | R6 | Rgs, ModRm | X87, // FLDZ
        0xD9 | D6 | R0 | Rgs, ModRm | X87, // F2XM1
        0xD9 | D6 | R1 | Rgs, ModRm | X87, // FYL2X
        0xD9 | D6 | R2 | Rgs, ModRm | X87, // FPTAN
        0xD9 | D6 | R3 | Rgs, ModRm | X87, // FPATAN
        0xD9 | D6 | R4 | Rgs, ModRm | X87, // FXTRACT
        0xD9 | D6 | R5 | Rgs, ModRm | X87, // FPREM1
        0xD9 | D6 | R6 | Rgs, ModRm | X87, // FDECSTP
        0xD9 | D6 | R7 | Rgs, ModRm | X87, // FINCSTP
        0xD9 | D7 | R0 | Rgs, ModRm | X87, // FPREM
        0xD9 | D7 | R1 | Rgs, ModRm | X87, // FYL2XP1
        0xD9 | D7 | R2 | Rgs, ModRm | X87, // FSQRT
        0xD9 | D7 | R3 | Rgs, ModRm | X87, // FSINCOS
        0xD9 | D7 | R4 | Rgs, ModRm | X87, // FRNDINT
        0xD9 | D7 | R5 | Rgs, ModRm | X87, // FSCALE
        0xD9 | D7 | R6 | Rgs, ModRm | X87, // FSIN
        0xD9 | D7 | R7 | Rgs, ModRm | X87, // FCOS
        0xDA | D0 | Mem, ModRm | MR | M4 | X87, // FIADD
        0xDA | D1 | Mem, ModRm | MR | M4 | X87, // FIMUL
        0xDA | D2 | Mem, ModRm | MR | M4 | X87, // FICOM
        0xDA | D3 | Mem, ModRm | MR | M4 | X87, // FICOMP
        0xDA | D4 | Mem, ModRm | MR | M4 | X87, // FISUB
        0xDA | D5 | Mem, ModRm | MR | M4 | X87, // FISUBR
        0xDA | D6 | Mem, ModRm | MR | M4 | X87, // FIDIV
        0xDA | D7 | Mem, ModRm | MR | M4 | X87, // FIDIVR
        0xDA | D0 | Rgs, ModRm | QR | FlRc | X87, // FCMOVB
        0xDA | D1 | Rgs, ModRm | QR | FlRz | X87, // FCMOVE
        0xDA | D2 | Rgs, ModRm | QR | FlRcz | X87, // FCMOVBE
        0xDA | D3 | Rgs, ModRm | QR | FlRp | X87, // FCMOVU
        0xDA | D5 | R1 | Rgs, ModRm | X87, // FUCOMPP
        0xDB | D0 | Mem, ModRm | MR | M4 | X87, // FILD
        0xDB | D1 | Mem, ModRm | MW | M4 | Fisttp, // FISTTP
        0xDB | D2 | Mem, ModRm | MW | M4 | X87, // FIST
        0xDB | D3 | Mem, ModRm | MW | M4 | X87, // FISTP
        0xDB | D5 | Mem, ModRm | MR | M10 | X87, // FLD
        0xDB | D7 | Mem, ModRm | MW | M10 | X87, // FSTP
        0xDB | D0 | Rgs, ModRm | QR | FlRc | X87, // FCMOVNB
        0xDB | D1 | Rgs, ModRm | QR | FlRz | X87, // FCMOVNE
        0xDB | D2 | Rgs, ModRm | QR | FlRcz | X87, // FCMOVNBE
        0xDB | D3 | Rgs, ModRm | QR | FlRp | X87, // FCMOVNU
        0xDB | D4 | R0 | Rgs, ModRm | X87, // FNENI
        0xDB | D4 | R1 | Rgs, ModRm | X87, // FNDISI
        0xDB | D4 | R2 | Rgs, ModRm | X87, // FNCLEX
        0xDB | D4 | R3 | Rgs, ModRm | X87, // FNINIT
        0xDB | D4 | R4 | Rgs, ModRm | X87, // FNSETPM
        0xDB | D5 | Rgs, ModRm | QR | FlWcpazso | X87, // FUCOMI
        0xDB | D6 | Rgs, ModRm | QR | FlWcpazso | X87, // FCOMI
        0xDC | D0 | Mem, ModRm | MR | M8 | X87, // FADD
        0xDC | D1 | Mem, ModRm | MR | M8 | X87, // FMUL
        0xDC | D2 | Mem, ModRm | MR | M8 | X87, // FCOM
        0xDC | D3 | Mem, ModRm | MR | M8 | X87, // FCOMP
        0xDC | D4 | Mem, ModRm | MR | M8 | X87, // FSUB
        0xDC | D5 | Mem, ModRm | MR | M8 | X87, // FSUBR
        0xDC | D6 | Mem, ModRm | MR | M8 | X87, // FDIV
        0xDC | D7 | Mem, ModRm | MR | M8 | X87, // FDIVR
        0xDC | D0 | Rgs, ModRm | QX | X87, // FADD
        0xDC | D1 | Rgs, ModRm | QX | X87, // FMUL
        0xDC | D2 | Rgs, ModRm | QR | X87, // FCOM
        0xDC | D3 | Rgs, ModRm | QR | X87, // FCOMP
        0xDC | D4 | Rgs, ModRm | QX | X87, // FSUBR
        0xDC | D5 | Rgs, ModRm | QX | X87, // FSUB
        0xDC | D6 | Rgs, ModRm | QX | X87, // FDIVR
        0xDC | D7 | Rgs, ModRm | QX | X87, // FDIV
        0xDD | D0 | Mem, ModRm | MR | M8 | X87, // FLD
        0xDD | D1 | Mem, ModRm | MW | M8 | Fisttp, // FISTTP
        0xDD | D2 | Mem, ModRm | MW | M8 | X87, // FST
        0xDD | D3 | Mem, ModRm | MW | M8 | X87, // FSTP
        0xDD | D4 | Mem, ModRm | MR | Mstate | Oz | X87 | (ulong)Id.X87Environment, // FRSTOR
        0xDD | D6 | Mem, ModRm | MW | Mstate | Oz | X87 | (ulong)Id.X87Environment, // FNSAVE
        0xDD | D7 | Mem, ModRm | MW | M2 | X87, // FNSTSW
        0xDD | D0 | Rgs, ModRm | QN | X87, // FFREE
        0xDD | D1 | Rgs, ModRm | QX | X87, // FXCH
        0xDD | D2 | Rgs, ModRm | QW | X87, // FST
        0xDD | D3 | Rgs, ModRm | QW | X87, // FSTP
        0xDD | D4 | Rgs, ModRm | QR | X87, // FUCOM
        0xDD | D5 | Rgs, ModRm | QR | X87, // FUCOMP
        0xDE | D0 | Mem, ModRm | MR | M2 | X87, // FIADD
        0xDE | D1 | Mem, ModRm | MR | M2 | X87, // FIMUL
        0xDE | D2 | Mem, ModRm | MR | M2 | X87, // FICOM
        0xDE | D3 | Mem, ModRm | MR | M2 | X87, // FICOMP
        0xDE | D4 | Mem, ModRm | MR | M2 | X87, // FISUB
        0xDE | D5 | Mem, ModRm | MR | M2 | X87, // FISUBR
        0xDE | D6 | Mem, ModRm | MR | M2 | X87, // FIDIV
        0xDE | D7 | Mem, ModRm | MR | M2 | X87, // FIDIVR
        0xDE | D0 | Rgs, ModRm | QX | X87, // FADDP
        0xDE | D1 | Rgs, ModRm | QX | X87, // FMULP
        0xDE | D2 | Rgs, ModRm | QR | X87, // FCOMP
        0xDE | D3 | R1 | Rgs, ModRm | X87, // FCOMPP
        0xDE | D4 | Rgs, ModRm | QX | X87, // FSUBRP
        0xDE | D5 | Rgs, ModRm | QX | X87, // FSUBP
        0xDE | D6 | Rgs, ModRm | QX | X87, // FDIVRP
        0xDE | D7 | Rgs, ModRm | QX | X87, // FDIVP
        0xDF | D0 | Mem, ModRm | MR | M2 | X87, // FILD
        0xDF | D1 | Mem, ModRm | MW | M2 | Fisttp, // FISTTP
        0xDF | D2 | Mem, ModRm | MW | M2 | X87, // FIST
        0xDF | D3 | Mem, ModRm | MW | M2 | X87, // FISTP
        0xDF | D4 | Mem, ModRm | MR | M10 | X87, // FBLD
        0xDF | D5 | Mem, ModRm | MR | M8 | X87, // FILD
        0xDF | D6 | Mem, ModRm | MW | M10 | X87, // FBSTP
        0xDF | D7 | Mem, ModRm | MW | M8 | X87, // FISTP
        0xDF | D0 | Rgs, ModRm | QN | X87, // FFREEP
        0xDF | D1 | Rgs, ModRm | QX | X87, // FXCH
        0xDF | D2 | Rgs, ModRm | QW | X87, // FSTP
        0xDF | D3 | Rgs, ModRm | QW | X87, // FSTP
        0xDF | D4 | R0 | Rgs, ModRm | ImWa | X87, // FNSTSW
        0xDF | D5 | Rgs, ModRm | QR | FlWcpazso | X87, // FUCOMIP
        0xDF | D6 | Rgs, ModRm | QR | FlWcpazso | X87, // FCOMIP
        0xE0, Ib | Of64 | FlRz | ImRcWc | (ulong)Id.LoopNotEqual, // LOOPNE
        0xE1, Ib | Of64 | FlRz | ImRcWc | (ulong)Id.LoopEqual, // LOOPE
        0xE2, Ib | Of64 | ImRcWc | (ulong)Id.Loop, // LOOP
        0xE3 | No64, Ib | Ov | ImRc | (ulong)Id.JumpCxZero, // JCXZ
        0xE3, Ib | Of64 | ImRc | (ulong)Id.JumpCxZero, // JCXZ/JECXZ/JRCXZ
        0xE4, Ub | O1 | ImWa | (ulong)Id.In, // IN
        0xE5, Ub | Oz | ImWa | (ulong)Id.In, // IN
        0xE6, Ub | O1 | ImRa | (ulong)Id.Out, // OUT
        0xE7, Ub | Oz | ImRa | (ulong)Id.Out, // OUT
        0xE8, Iz | Of64 | ImRSpWSp | (ulong)Id.CallRelative, // CALL
        0xE9, Iz | Of64 | (ulong)Id.JmpRelative, // JMP
        0xEA | No64, Ap | Ov | (ulong)Id.JmpFarImmediate, // JMP
        0xEB, Ib | Of64 | (ulong)Id.JmpRelative, // JMP
        0xEC, O1 | ImRdWa | (ulong)Id.In, // IN
        0xED, Oz | ImRdWa | (ulong)Id.In, // IN
        0xEE, O1 | ImRad | (ulong)Id.Out, // OUT
        0xEF, Oz | ImRad | (ulong)Id.Out, // OUT
        0xF1, (ulong)Id.Int1, // INT1
        0xF4, (ulong)Id.Hlt, // HLT
        0xF5, FlRcWc, // CMC
        0xF6 | D0, ModRm | EbR | Ib | M1 | O1 | FlWcpazsoUa, // TEST
        0xF6 | D1, ModRm | EbR | Ib | M1 | O1 | FlWcpazsoUa, // TEST
        0xF6 | D2, ModRm | EbX | M1 | O1 | LockOk, // NOT
        0xF6 | D3, ModRm | EbX | M1 | O1 | FlWcpazso | LockOk, // NEG
        0xF6 | D4, ModRm | EbR | M1 | O1 | FlWcpazsoUpazs | ImRaWa, // MUL
        0xF6 | D5, ModRm | EbR | M1 | O1 | FlWcpazsoUpazs | ImRaWa, // IMUL
        0xF6 | D6, ModRm | EbR | M1 | O1 | FlWcpazsoUcpazso | ImRaWa | (ulong)Id.Divide, // DIV
        0xF6 | D7, ModRm | EbR | M1 | O1 | FlWcpazsoUcpazso | ImRaWa | (ulong)Id.Divide, // IDIV
        0xF7 | D0, ModRm | ER | Iz | Mv | Ov | FlWcpazsoUa, // TEST
        0xF7 | D1, ModRm | ER | Iz | Mv | Ov | FlWcpazsoUa, // TEST
        0xF7 | D2, ModRm | EX | Mv | Ov | LockOk, // NOT
        0xF7 | D3, ModRm | EX | Mv | Ov | FlWcpazso | LockOk, // NEG
        0xF7 | D4, ModRm | ER | Mv | Ov | FlWcpazsoUpazs | ImRaWad, // MUL
        0xF7 | D5, ModRm | ER | Mv | Ov | FlWcpazsoUpazs | ImRaWad, // IMUL
        0xF7 | D6, ModRm | ER | Mv | Ov | FlWcpazsoUcpazso | ImRadWad | (ulong)Id.Divide, // DIV
        0xF7 | D7, ModRm | ER | Mv | Ov | FlWcpazsoUcpazso | ImRadWad | (ulong)Id.Divide, // IDIV
        0xF8, FlWc, // CLC
        0xF9, FlWc, // STC
        0xFA, (ulong)Id.Cli, // CLI
        0xFB, (ulong)Id.Sti, // STI
        0xFC, (ulong)Id.Cld, // CLD
        0xFD, (ulong)Id.Std, // STD
        0xFE | D0, ModRm | EbX | M1 | O1 | FlWpazso | LockOk, // INC
        0xFE | D1, ModRm | EbX | M1 | O1 | FlWpazso | LockOk, // DEC
        0xFF | D0, ModRm | EX | Mv | Ov | FlWpazso | LockOk, // INC
        0xFF | D1, ModRm | EX | Mv | Ov | FlWpazso | LockOk, // DEC
        0xFF | D2, ModRm | ER | Mo | Of64 | ImRSpWSp | (ulong)Id.CallIndirect, // CALL
        0xFF | D3 | Mem, ModRm | MR | Mp | Ov | ImRSpWSp | (ulong)Id.CallFarIndirect, // CALL
        0xFF | D4, ModRm | ER | Mo | Of64 | (ulong)Id.JmpIndirect, // JMP
        0xFF | D5 | Mem, ModRm | MR | Mp | Ov | (ulong)Id.JmpFarIndirect, // JMP
        0xFF | D6, ModRm | ER | Mo | Od64 | ImRSpWSp | (ulong)Id.Push, // PUSH
    ];
}
