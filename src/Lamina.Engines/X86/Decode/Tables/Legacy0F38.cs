// The three-byte opcode maps 0F 38 and 0F 3A (SDM vol. 2, tables ): SSSE3, SSE4, AES, SHA, MOVBE, ADX.
// Two words a row: what it matches, what it means. Row.cs explains the vocabulary.
using static Lamina.Engines.X86.Decode.Tables.Row;
using Id = Lamina.Engines.X86.Decode.InstructionId;

namespace Lamina.Engines.X86.Decode.Tables;

internal static class Legacy0F38
{
    /// <summary>Opcodes 0F 38 00 to 0F 38 FF.</summary>
    internal static ReadOnlySpan<ulong> Rows38 =>
    [
        0x00 | Np, ModRm | PX | QR | M8 | Ssse3Mmx, // PSHUFB
        0x00 | P66, ModRm | VX | WR | M16 | Ssse3 | Aligned, // PSHUFB
        0x01 | Np, ModRm | PX | QR | M8 | Ssse3Mmx, // PHADDW
        0x01 | P66, ModRm | VX | WR | M16 | Ssse3 | Aligned, // PHADDW
        0x02 | Np, ModRm | PX | QR | M8 | Ssse3Mmx, // PHADDD
        0x02 | P66, ModRm | VX | WR | M16 | Ssse3 | Aligned, // PHADDD
        0x03 | Np, ModRm | PX | QR | M8 | Ssse3Mmx, // PHADDSW
        0x03 | P66, ModRm | VX | WR | M16 | Ssse3 | Aligned, // PHADDSW
        0x04 | Np, ModRm | PX | QR | M8 | Ssse3Mmx, // PMADDUBSW
        0x04 | P66, ModRm | VX | WR | M16 | Ssse3 | Aligned, // PMADDUBSW
        0x05 | Np, ModRm | PX | QR | M8 | Ssse3Mmx, // PHSUBW
        0x05 | P66, ModRm | VX | WR | M16 | Ssse3 | Aligned, // PHSUBW
        0x06 | Np, ModRm | PX | QR | M8 | Ssse3Mmx, // PHSUBD
        0x06 | P66, ModRm | VX | WR | M16 | Ssse3 | Aligned, // PHSUBD
        0x07 | Np, ModRm | PX | QR | M8 | Ssse3Mmx, // PHSUBSW
        0x07 | P66, ModRm | VX | WR | M16 | Ssse3 | Aligned, // PHSUBSW
        0x08 | Np, ModRm | PX | QR | M8 | Ssse3Mmx, // PSIGNB
        0x08 | P66, ModRm | VX | WR | M16 | Ssse3 | Aligned, // PSIGNB
        0x09 | Np, ModRm | PX | QR | M8 | Ssse3Mmx, // PSIGNW
        0x09 | P66, ModRm | VX | WR | M16 | Ssse3 | Aligned, // PSIGNW
        0x0A | Np, ModRm | PX | QR | M8 | Ssse3Mmx, // PSIGND
        0x0A | P66, ModRm | VX | WR | M16 | Ssse3 | Aligned, // PSIGND
        0x0B | Np, ModRm | PX | QR | M8 | Ssse3Mmx, // PMULHRSW
        0x0B | P66, ModRm | VX | WR | M16 | Ssse3 | Aligned, // PMULHRSW
        0x10 | P66, ModRm | VX | WR | M16 | Sse41 | Aligned, // PBLENDVB
        0x14 | P66, ModRm | VX | WR | M16 | Sse41 | Aligned, // BLENDVPS
        0x15 | P66, ModRm | VX | WR | M16 | Sse41 | Aligned, // BLENDVPD
        0x17 | P66, ModRm | VR | WR | M16 | FlWcpazso | Sse41 | Aligned, // PTEST
        0x1C | Np, ModRm | PW | QR | M8 | Ssse3Mmx, // PABSB
        0x1C | P66, ModRm | VW | WR | M16 | Ssse3 | Aligned, // PABSB
        0x1D | Np, ModRm | PW | QR | M8 | Ssse3Mmx, // PABSW
        0x1D | P66, ModRm | VW | WR | M16 | Ssse3 | Aligned, // PABSW
        0x1E | Np, ModRm | PW | QR | M8 | Ssse3Mmx, // PABSD
        0x1E | P66, ModRm | VW | WR | M16 | Ssse3 | Aligned, // PABSD
        0x20 | P66, ModRm | VW | WR | M8 | Sse41, // PMOVSXBW
        0x21 | P66, ModRm | VW | WR | M4 | Sse41, // PMOVSXBD
        0x22 | P66, ModRm | VW | WR | M2 | Sse41, // PMOVSXBQ
        0x23 | P66, ModRm | VW | WR | M8 | Sse41, // PMOVSXWD
        0x24 | P66, ModRm | VW | WR | M4 | Sse41, // PMOVSXWQ
        0x25 | P66, ModRm | VW | WR | M8 | Sse41, // PMOVSXDQ
        0x28 | P66, ModRm | VX | WR | M16 | Sse41 | Aligned, // PMULDQ
        0x29 | P66, ModRm | VX | WR | M16 | Sse41 | Aligned, // PCMPEQQ
        0x2A | P66 | Mem, ModRm | VW | MR | M16 | Sse41 | Aligned, // MOVNTDQA
        0x2B | P66, ModRm | VX | WR | M16 | Sse41 | Aligned, // PACKUSDW
        0x30 | P66, ModRm | VW | WR | M8 | Sse41, // PMOVZXBW
        0x31 | P66, ModRm | VW | WR | M4 | Sse41, // PMOVZXBD
        0x32 | P66, ModRm | VW | WR | M2 | Sse41, // PMOVZXBQ
        0x33 | P66, ModRm | VW | WR | M8 | Sse41, // PMOVZXWD
        0x34 | P66, ModRm | VW | WR | M4 | Sse41, // PMOVZXWQ
        0x35 | P66, ModRm | VW | WR | M8 | Sse41, // PMOVZXDQ
        0x37 | P66, ModRm | VX | WR | M16 | Sse42 | Aligned, // PCMPGTQ
        0x38 | P66, ModRm | VX | WR | M16 | Sse41 | Aligned, // PMINSB
        0x39 | P66, ModRm | VX | WR | M16 | Sse41 | Aligned, // PMINSD
        0x3A | P66, ModRm | VX | WR | M16 | Sse41 | Aligned, // PMINUW
        0x3B | P66, ModRm | VX | WR | M16 | Sse41 | Aligned, // PMINUD
        0x3C | P66, ModRm | VX | WR | M16 | Sse41 | Aligned, // PMAXSB
        0x3D | P66, ModRm | VX | WR | M16 | Sse41 | Aligned, // PMAXSD
        0x3E | P66, ModRm | VX | WR | M16 | Sse41 | Aligned, // PMAXUW
        0x3F | P66, ModRm | VX | WR | M16 | Sse41 | Aligned, // PMAXUD
        0x40 | P66, ModRm | VX | WR | M16 | Sse41 | Aligned, // PMULLD
        0x41 | P66, ModRm | VW | WR | M16 | Sse41 | Aligned, // PHMINPOSUW
        0x82 | P66 | Mem, ModRm | GR | MR | M16 | Om | Invpcid | (ulong)Id.Invpcid, // INVPCID
        0xC8 | Np, ModRm | VX | WR | M16 | Sha | Aligned, // SHA1NEXTE
        0xC9 | Np, ModRm | VX | WR | M16 | Sha | Aligned, // SHA1MSG1
        0xCA | Np, ModRm | VX | WR | M16 | Sha | Aligned, // SHA1MSG2
        0xCB | Np, ModRm | VX | WR | M16 | Sha | Aligned, // SHA256RNDS2
        0xCC | Np, ModRm | VX | WR | M16 | Sha | Aligned, // SHA256MSG1
        0xCD | Np, ModRm | VX | WR | M16 | Sha | Aligned, // SHA256MSG2
        0xCF | P66, ModRm | VX | WR | M16 | Gfni | Aligned, // GF2P8MULB
        0xDB | P66, ModRm | VW | WR | M16 | Aes | Aligned, // AESIMC
        0xDC | P66, ModRm | VX | WR | M16 | Aes | Aligned, // AESENC
        0xDD | P66, ModRm | VX | WR | M16 | Aes | Aligned, // AESENCLAST
        0xDE | P66, ModRm | VX | WR | M16 | Aes | Aligned, // AESDEC
        0xDF | P66, ModRm | VX | WR | M16 | Aes | Aligned, // AESDECLAST
        0xF0 | NoRep | Mem, ModRm | GW | MR | Mv | Ov | Movbe, // MOVBE
        0xF0 | PF2, ModRm | GX | EbR | M1 | Oy | Crc32, // CRC32
        0xF1 | NoRep | Mem, ModRm | GR | MW | Mv | Ov | Movbe, // MOVBE
        0xF1 | PF2, ModRm | GX | ER | Mv | Ov | Crc32, // CRC32
        0xF6 | P66, ModRm | GX | ER | Mw | Oy | FlRcWc | Adx, // ADCX
        0xF6 | PF3, ModRm | GX | ER | Mw | Oy | FlRoWo | Adx, // ADOX
        0xF8 | P66 | Mem, ModRm | GR | MR | M64 | Oa | (ulong)Id.MoveDirect64, // MOVDIR64B
        0xF8 | PF3 | Mem, ModRm | GR | MR | M64 | Oa | FlWcpazso | (ulong)Id.MoveDirect64, // ENQCMDS
        0xF8 | PF2 | Mem, ModRm | GR | MR | M64 | Oa | FlWcpazso | (ulong)Id.MoveDirect64, // ENQCMD
        0xF9 | Np | Mem, ModRm | GR | MW | Mw | Oy | NoModel, // MOVDIRI
    ];

    /// <summary>Opcodes 0F 3A 00 to 0F 3A FF.</summary>
    internal static ReadOnlySpan<ulong> Rows3A =>
    [
        0x08 | P66, ModRm | VW | WR | Ub | M16 | Sse41 | Aligned, // ROUNDPS
        0x09 | P66, ModRm | VW | WR | Ub | M16 | Sse41 | Aligned, // ROUNDPD
        0x0A | P66, ModRm | VX | WR | Ub | M4 | Sse41, // ROUNDSS
        0x0B | P66, ModRm | VX | WR | Ub | M8 | Sse41, // ROUNDSD
        0x0C | P66, ModRm | VX | WR | Ub | M16 | Sse41 | Aligned, // BLENDPS
        0x0D | P66, ModRm | VX | WR | Ub | M16 | Sse41 | Aligned, // BLENDPD
        0x0E | P66, ModRm | VX | WR | Ub | M16 | Sse41 | Aligned, // PBLENDW
        0x0F | Np, ModRm | PX | QR | Ub | M8 | Ssse3Mmx, // PALIGNR
        0x0F | P66, ModRm | VX | WR | Ub | M16 | Ssse3 | Aligned, // PALIGNR
        0x14 | P66, ModRm | VR | EW | Ub | M1 | Oy | Sse41, // PEXTRB
        0x15 | P66, ModRm | VR | EW | Ub | M2 | Oy | Sse41, // PEXTRW
        0x16 | P66, ModRm | VR | EW | Ub | Mw | Oy | Sse41, // PEXTRD/PEXTRQ
        0x17 | P66, ModRm | VR | EW | Ub | M4 | Oy | Sse41, // EXTRACTPS
        0x20 | P66, ModRm | VX | ER | Ub | M1 | Oy | Sse41, // PINSRB
        0x21 | P66, ModRm | VX | WR | Ub | M4 | Sse41, // INSERTPS
        0x22 | P66, ModRm | VX | ER | Ub | Mw | Oy | Sse41, // PINSRD/PINSRQ
        0x40 | P66, ModRm | VX | WR | Ub | M16 | Sse41 | Aligned, // DPPS
        0x41 | P66, ModRm | VX | WR | Ub | M16 | Sse41 | Aligned, // DPPD
        0x42 | P66, ModRm | VX | WR | Ub | M16 | Sse41 | Aligned, // MPSADBW
        0x44 | P66, ModRm | VX | WR | Ub | M16 | Clmul | Aligned, // PCLMULQDQ
        0x60 | P66, ModRm | VR | WR | Ub | M16 | Ov | FlWcpazso | ImRad | Sse42, // PCMPESTRM/PCMPESTRM64
        0x61 | P66, ModRm | VR | WR | Ub | M16 | Ov | FlWcpazso | ImRadWc | Sse42, // PCMPESTRI/PCMPESTRI64
        0x62 | P66, ModRm | VR | WR | Ub | M16 | FlWcpazso | Sse42, // PCMPISTRM
        0x63 | P66, ModRm | VR | WR | Ub | M16 | FlWcpazso | ImWc | Sse42, // PCMPISTRI
        0xCC | Np, ModRm | VX | WR | Ub | M16 | Sha | Aligned, // SHA1RNDS4
        0xCE | P66, ModRm | VX | WR | Ub | M16 | Gfni | Aligned, // GF2P8AFFINEQB
        0xCF | P66, ModRm | VX | WR | Ub | M16 | Gfni | Aligned, // GF2P8AFFINEINVQB
        0xDF | P66, ModRm | VW | WR | Ub | M16 | Aes | Aligned, // AESKEYGENASSIST
    ];
}
