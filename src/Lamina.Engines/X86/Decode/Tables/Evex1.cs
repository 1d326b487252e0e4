// The EVEX opcode map 1 (SDM vol. 2, 2.7): what AVX-512 made of the 0F map.
// Two words a row: what it matches, what it means. Row.cs explains the vocabulary.
using static Lamina.Engines.X86.Decode.Tables.Row;
using Id = Lamina.Engines.X86.Decode.InstructionId;

namespace Lamina.Engines.X86.Decode.Tables;

internal static class Evex1
{
    /// <summary>Map 1 (0F).</summary>
    internal static ReadOnlySpan<ulong> Rows =>
    [
        0x10 | Np | W0 | L012 | Kz, ModRm | VW | WR | ML | Avx512, // VMOVUPS
        0x10 | P66 | W1 | L012 | Kz, ModRm | VW | WR | ML | Avx512, // VMOVUPD
        0x10 | PF3 | Rgs | W0 | Kz, ModRm | VW | HR | WR | Avx512, // VMOVSS
        0x10 | PF3 | Mem | W0 | Kz, ModRm | VW | MR | M4 | Avx512, // VMOVSS
        0x10 | PF2 | Rgs | W1 | Kz, ModRm | VW | HR | WR | Avx512, // VMOVSD
        0x10 | PF2 | Mem | W1 | Kz, ModRm | VW | MR | M8 | Avx512, // VMOVSD
        0x11 | Np | W0 | L012 | Kz, ModRm | VR | WW | ML | Avx512, // VMOVUPS
        0x11 | P66 | W1 | L012 | Kz, ModRm | VR | WW | ML | Avx512, // VMOVUPD
        0x11 | PF3 | Rgs | W0 | Kz, ModRm | VR | HR | WW | Avx512, // VMOVSS
        0x11 | PF3 | Mem | W0 | Km, ModRm | VR | MW | M4 | Avx512, // VMOVSS
        0x11 | PF2 | Rgs | W1 | Kz, ModRm | VR | HR | WW | Avx512, // VMOVSD
        0x11 | PF2 | Mem | W1 | Km, ModRm | VR | MW | M8 | Avx512, // VMOVSD
        0x12 | Np | Rgs | W0 | L0, ModRm | VW | HR | WR | Avx512, // VMOVHLPS
        0x12 | Np | Mem | W0 | L0, ModRm | VW | HR | MR | M8 | Avx512, // VMOVLPS
        0x12 | P66 | Mem | W1 | L0, ModRm | VW | HR | MR | M8 | Avx512, // VMOVLPD
        0x12 | PF3 | W0 | L012 | Kz, ModRm | VW | WR | ML | Avx512, // VMOVSLDUP
        0x12 | PF2 | W1 | L012 | Kz, ModRm | VW | WR | Mdup | Avx512, // VMOVDDUP
        0x13 | Np | Mem | W0 | L0, ModRm | VR | MW | M8 | Avx512, // VMOVLPS
        0x13 | P66 | Mem | W1 | L0, ModRm | VR | MW | M8 | Avx512, // VMOVLPD
        0x14 | Np | W0 | L012 | Bc4 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VUNPCKLPS
        0x14 | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VUNPCKLPD
        0x15 | Np | W0 | L012 | Bc4 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VUNPCKHPS
        0x15 | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VUNPCKHPD
        0x16 | Np | Rgs | W0 | L0, ModRm | VW | HR | WR | Avx512, // VMOVLHPS
        0x16 | Np | Mem | W0 | L0, ModRm | VW | HR | MR | M8 | Avx512, // VMOVHPS
        0x16 | P66 | Mem | W1 | L0, ModRm | VW | HR | MR | M8 | Avx512, // VMOVHPD
        0x16 | PF3 | W0 | L012 | Kz, ModRm | VW | WR | ML | Avx512, // VMOVSHDUP
        0x17 | Np | Mem | W0 | L0, ModRm | VR | MW | M8 | Avx512, // VMOVHPS
        0x17 | P66 | Mem | W1 | L0, ModRm | VR | MW | M8 | Avx512, // VMOVHPD
        0x28 | Np | W0 | L012 | Kz, ModRm | VW | WR | ML | Avx512 | Aligned, // VMOVAPS
        0x28 | P66 | W1 | L012 | Kz, ModRm | VW | WR | ML | Avx512 | Aligned, // VMOVAPD
        0x29 | Np | W0 | L012 | Kz, ModRm | VR | WW | ML | Avx512 | Aligned, // VMOVAPS
        0x29 | P66 | W1 | L012 | Kz, ModRm | VR | WW | ML | Avx512 | Aligned, // VMOVAPD
        0x2A | PF3 | Er, ModRm | VW | HR | ER | Mw | Oy | Avx512, // VCVTSI2SS
        0x2A | PF2 | Er, ModRm | VW | HR | ER | Mw | Oy | Avx512, // VCVTSI2SD
        0x2B | Np | Mem | W0 | L012, ModRm | VR | MW | ML | Avx512 | Aligned, // VMOVNTPS
        0x2B | P66 | Mem | W1 | L012, ModRm | VR | MW | ML | Avx512 | Aligned, // VMOVNTPD
        0x2C | PF3 | Sae, ModRm | GW | WR | M4 | Oy | Avx512, // VCVTTSS2SI
        0x2C | PF2 | Sae, ModRm | GW | WR | M8 | Oy | Avx512, // VCVTTSD2SI
        0x2D | PF3 | Er, ModRm | GW | WR | M4 | Oy | Avx512, // VCVTSS2SI
        0x2D | PF2 | Er, ModRm | GW | WR | M8 | Oy | Avx512, // VCVTSD2SI
        0x2E | Np | W0 | Sae, ModRm | VR | WR | M4 | FlWcpazso | Avx512, // VUCOMISS
        0x2E | P66 | W1 | Sae, ModRm | VR | WR | M8 | FlWcpazso | Avx512, // VUCOMISD
        0x2F | Np | W0 | Sae, ModRm | VR | WR | M4 | FlWcpazso | Avx512, // VCOMISS
        0x2F | P66 | W1 | Sae, ModRm | VR | WR | M8 | FlWcpazso | Avx512, // VCOMISD
        0x51 | Np | W0 | L012 | Bc4 | Er | Kz, ModRm | VW | WR | ML | Avx512, // VSQRTPS
        0x51 | P66 | W1 | L012 | Bc8 | Er | Kz, ModRm | VW | WR | ML | Avx512, // VSQRTPD
        0x51 | PF3 | W0 | Er | Kz, ModRm | VW | HR | WR | M4 | Avx512, // VSQRTSS
        0x51 | PF2 | W1 | Er | Kz, ModRm | VW | HR | WR | M8 | Avx512, // VSQRTSD
        0x54 | Np | W0 | L012 | Bc4 | Kz, ModRm | VW | HR | WR | ML | Avx512DQ, // VANDPS
        0x54 | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | HR | WR | ML | Avx512DQ, // VANDPD
        0x55 | Np | W0 | L012 | Bc4 | Kz, ModRm | VW | HR | WR | ML | Avx512DQ, // VANDNPS
        0x55 | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | HR | WR | ML | Avx512DQ, // VANDNPD
        0x56 | Np | W0 | L012 | Bc4 | Kz, ModRm | VW | HR | WR | ML | Avx512DQ, // VORPS
        0x56 | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | HR | WR | ML | Avx512DQ, // VORPD
        0x57 | Np | W0 | L012 | Bc4 | Kz, ModRm | VW | HR | WR | ML | Avx512DQ, // VXORPS
        0x57 | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | HR | WR | ML | Avx512DQ, // VXORPD
        0x58 | Np | W0 | L012 | Bc4 | Er | Kz, ModRm | VW | HR | WR | ML | Avx512, // VADDPS
        0x58 | P66 | W1 | L012 | Bc8 | Er | Kz, ModRm | VW | HR | WR | ML | Avx512, // VADDPD
        0x58 | PF3 | W0 | Er | Kz, ModRm | VW | HR | WR | M4 | Avx512, // VADDSS
        0x58 | PF2 | W1 | Er | Kz, ModRm | VW | HR | WR | M8 | Avx512, // VADDSD
        0x59 | Np | W0 | L012 | Bc4 | Er | Kz, ModRm | VW | HR | WR | ML | Avx512, // VMULPS
        0x59 | P66 | W1 | L012 | Bc8 | Er | Kz, ModRm | VW | HR | WR | ML | Avx512, // VMULPD
        0x59 | PF3 | W0 | Er | Kz, ModRm | VW | HR | WR | M4 | Avx512, // VMULSS
        0x59 | PF2 | W1 | Er | Kz, ModRm | VW | HR | WR | M8 | Avx512, // VMULSD
        0x5A | Np | W0 | L012 | Bc4 | Sae | Kz, ModRm | VW | WR | ML2 | Avx512, // VCVTPS2PD
        0x5A | P66 | W1 | L012 | Bc8 | Er | Kz, ModRm | VW | WR | ML | Avx512, // VCVTPD2PS
        0x5A | PF3 | W0 | Sae | Kz, ModRm | VW | HR | WR | M4 | Avx512, // VCVTSS2SD
        0x5A | PF2 | W1 | Er | Kz, ModRm | VW | HR | WR | M8 | Avx512, // VCVTSD2SS
        0x5B | Np | W0 | L012 | Bc4 | Er | Kz, ModRm | VW | WR | ML | Avx512, // VCVTDQ2PS
        0x5B | Np | W1 | L012 | Bc8 | Er | Kz, ModRm | VW | WR | ML | Avx512DQ, // VCVTQQ2PS
        0x5B | P66 | W0 | L012 | Bc4 | Er | Kz, ModRm | VW | WR | ML | Avx512, // VCVTPS2DQ
        0x5B | PF3 | W0 | L012 | Bc4 | Sae | Kz, ModRm | VW | WR | ML | Avx512, // VCVTTPS2DQ
        0x5C | Np | W0 | L012 | Bc4 | Er | Kz, ModRm | VW | HR | WR | ML | Avx512, // VSUBPS
        0x5C | P66 | W1 | L012 | Bc8 | Er | Kz, ModRm | VW | HR | WR | ML | Avx512, // VSUBPD
        0x5C | PF3 | W0 | Er | Kz, ModRm | VW | HR | WR | M4 | Avx512, // VSUBSS
        0x5C | PF2 | W1 | Er | Kz, ModRm | VW | HR | WR | M8 | Avx512, // VSUBSD
        0x5D | Np | W0 | L012 | Bc4 | Sae | Kz, ModRm | VW | HR | WR | ML | Avx512, // VMINPS
        0x5D | P66 | W1 | L012 | Bc8 | Sae | Kz, ModRm | VW | HR | WR | ML | Avx512, // VMINPD
        0x5D | PF3 | W0 | Sae | Kz, ModRm | VW | HR | WR | M4 | Avx512, // VMINSS
        0x5D | PF2 | W1 | Sae | Kz, ModRm | VW | HR | WR | M8 | Avx512, // VMINSD
        0x5E | Np | W0 | L012 | Bc4 | Er | Kz, ModRm | VW | HR | WR | ML | Avx512, // VDIVPS
        0x5E | P66 | W1 | L012 | Bc8 | Er | Kz, ModRm | VW | HR | WR | ML | Avx512, // VDIVPD
        0x5E | PF3 | W0 | Er | Kz, ModRm | VW | HR | WR | M4 | Avx512, // VDIVSS
        0x5E | PF2 | W1 | Er | Kz, ModRm | VW | HR | WR | M8 | Avx512, // VDIVSD
        0x5F | Np | W0 | L012 | Bc4 | Sae | Kz, ModRm | VW | HR | WR | ML | Avx512, // VMAXPS
        0x5F | P66 | W1 | L012 | Bc8 | Sae | Kz, ModRm | VW | HR | WR | ML | Avx512, // VMAXPD
        0x5F | PF3 | W0 | Sae | Kz, ModRm | VW | HR | WR | M4 | Avx512, // VMAXSS
        0x5F | PF2 | W1 | Sae | Kz, ModRm | VW | HR | WR | M8 | Avx512, // VMAXSD
        0x60 | P66 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPUNPCKLBW
        0x61 | P66 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPUNPCKLWD
        0x62 | P66 | W0 | L012 | Bc4 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPUNPCKLDQ
        0x63 | P66 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPACKSSWB
        0x64 | P66 | L012 | Km, ModRm | KgW | HR | WR | ML | Avx512BW, // VPCMPGTB
        0x65 | P66 | L012 | Km, ModRm | KgW | HR | WR | ML | Avx512BW, // VPCMPGTW
        0x66 | P66 | W0 | L012 | Bc4 | Km, ModRm | KgW | HR | WR | ML | Avx512, // VPCMPGTD
        0x67 | P66 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPACKUSWB
        0x68 | P66 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPUNPCKHBW
        0x69 | P66 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPUNPCKHWD
        0x6A | P66 | W0 | L012 | Bc4 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPUNPCKHDQ
        0x6B | P66 | W0 | L012 | Bc4 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPACKSSDW
        0x6C | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPUNPCKLQDQ
        0x6D | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPUNPCKHQDQ
        0x6E | P66 | L0, ModRm | VW | ER | Mw | Oy | Avx512, // VMOVD/VMOVQ
        0x6F | P66 | W0 | L012 | Kz, ModRm | VW | WR | ML | Avx512 | Aligned, // VMOVDQA32
        0x6F | P66 | W1 | L012 | Kz, ModRm | VW | WR | ML | Avx512 | Aligned, // VMOVDQA64
        0x6F | PF3 | W0 | L012 | Kz, ModRm | VW | WR | ML | Avx512, // VMOVDQU32
        0x6F | PF3 | W1 | L012 | Kz, ModRm | VW | WR | ML | Avx512, // VMOVDQU64
        0x6F | PF2 | W0 | L012 | Kz, ModRm | VW | WR | ML | Avx512BW, // VMOVDQU8
        0x6F | PF2 | W1 | L012 | Kz, ModRm | VW | WR | ML | Avx512BW, // VMOVDQU16
        0x70 | P66 | W0 | L012 | Bc4 | Kz, ModRm | VW | WR | Ub | ML | Avx512, // VPSHUFD
        0x70 | PF3 | L012 | Kz, ModRm | VW | WR | Ub | ML | Avx512BW, // VPSHUFHW
        0x70 | PF2 | L012 | Kz, ModRm | VW | WR | Ub | ML | Avx512BW, // VPSHUFLW
        0x71 | D2 | P66 | L012 | Kz, ModRm | HW | WR | Ub | ML | Avx512BW, // VPSRLW
        0x71 | D4 | P66 | L012 | Kz, ModRm | HW | WR | Ub | ML | Avx512BW, // VPSRAW
        0x71 | D6 | P66 | L012 | Kz, ModRm | HW | WR | Ub | ML | Avx512BW, // VPSLLW
        0x72 | D0 | P66 | W0 | L012 | Bc4 | Kz, ModRm | HW | WR | Ub | ML | Avx512, // VPRORD
        0x72 | D0 | P66 | W1 | L012 | Bc8 | Kz, ModRm | HW | WR | Ub | ML | Avx512, // VPRORQ
        0x72 | D1 | P66 | W0 | L012 | Bc4 | Kz, ModRm | HW | WR | Ub | ML | Avx512, // VPROLD
        0x72 | D1 | P66 | W1 | L012 | Bc8 | Kz, ModRm | HW | WR | Ub | ML | Avx512, // VPROLQ
        0x72 | D2 | P66 | W0 | L012 | Bc4 | Kz, ModRm | HW | WR | Ub | ML | Avx512, // VPSRLD
        0x72 | D4 | P66 | W0 | L012 | Bc4 | Kz, ModRm | HW | WR | Ub | ML | Avx512, // VPSRAD
        0x72 | D4 | P66 | W1 | L012 | Bc8 | Kz, ModRm | HW | WR | Ub | ML | Avx512, // VPSRAQ
        0x72 | D6 | P66 | W0 | L012 | Bc4 | Kz, ModRm | HW | WR | Ub | ML | Avx512, // VPSLLD
        0x73 | D2 | P66 | W1 | L012 | Bc8 | Kz, ModRm | HW | WR | Ub | ML | Avx512, // VPSRLQ
        0x73 | D3 | P66 | L012, ModRm | HW | WR | Ub | ML | Avx512BW, // VPSRLDQ
        0x73 | D6 | P66 | W1 | L012 | Bc8 | Kz, ModRm | HW | WR | Ub | ML | Avx512, // VPSLLQ
        0x73 | D7 | P66 | L012, ModRm | HW | WR | Ub | ML | Avx512BW, // VPSLLDQ
        0x74 | P66 | L012 | Km, ModRm | KgW | HR | WR | ML | Avx512BW, // VPCMPEQB
        0x75 | P66 | L012 | Km, ModRm | KgW | HR | WR | ML | Avx512BW, // VPCMPEQW
        0x76 | P66 | W0 | L012 | Bc4 | Km, ModRm | KgW | HR | WR | ML | Avx512, // VPCMPEQD
        0x78 | Np | W0 | L012 | Bc4 | Sae | Kz, ModRm | VW | WR | ML | Avx512, // VCVTTPS2UDQ
        0x78 | Np | W1 | L012 | Bc8 | Sae | Kz, ModRm | VW | WR | ML | Avx512, // VCVTTPD2UDQ
        0x78 | P66 | W0 | L012 | Bc4 | Sae | Kz, ModRm | VW | WR | ML2 | Avx512DQ, // VCVTTPS2UQQ
        0x78 | P66 | W1 | L012 | Bc8 | Sae | Kz, ModRm | VW | WR | ML | Avx512DQ, // VCVTTPD2UQQ
        0x78 | PF3 | Sae, ModRm | GW | WR | M4 | Oy | Avx512, // VCVTTSS2USI
        0x78 | PF2 | Sae, ModRm | GW | WR | M8 | Oy | Avx512, // VCVTTSD2USI
        0x79 | Np | W0 | L012 | Bc4 | Er | Kz, ModRm | VW | WR | ML | Avx512, // VCVTPS2UDQ
        0x79 | Np | W1 | L012 | Bc8 | Er | Kz, ModRm | VW | WR | ML | Avx512, // VCVTPD2UDQ
        0x79 | P66 | W0 | L012 | Bc4 | Er | Kz, ModRm | VW | WR | ML2 | Avx512DQ, // VCVTPS2UQQ
        0x79 | P66 | W1 | L012 | Bc8 | Er | Kz, ModRm | VW | WR | ML | Avx512DQ, // VCVTPD2UQQ
        0x79 | PF3 | Er, ModRm | GW | WR | M4 | Oy | Avx512, // VCVTSS2USI
        0x79 | PF2 | Er, ModRm | GW | WR | M8 | Oy | Avx512, // VCVTSD2USI
        0x7A | P66 | W0 | L012 | Bc4 | Sae | Kz, ModRm | VW | WR | ML2 | Avx512DQ, // VCVTTPS2QQ
        0x7A | P66 | W1 | L012 | Bc8 | Sae | Kz, ModRm | VW | WR | ML | Avx512DQ, // VCVTTPD2QQ
        0x7A | PF3 | W0 | L012 | Bc4 | Er | Kz, ModRm | VW | WR | ML2 | Avx512, // VCVTUDQ2PD
        0x7A | PF3 | W1 | L012 | Bc8 | Er | Kz, ModRm | VW | WR | ML | Avx512DQ, // VCVTUQQ2PD
        0x7A | PF2 | W0 | L012 | Bc4 | Er | Kz, ModRm | VW | WR | ML | Avx512, // VCVTUDQ2PS
        0x7A | PF2 | W1 | L012 | Bc8 | Er | Kz, ModRm | VW | WR | ML | Avx512DQ, // VCVTUQQ2PS
        0x7B | P66 | W0 | L012 | Bc4 | Er | Kz, ModRm | VW | WR | ML2 | Avx512DQ, // VCVTPS2QQ
        0x7B | P66 | W1 | L012 | Bc8 | Er | Kz, ModRm | VW | WR | ML | Avx512DQ, // VCVTPD2QQ
        0x7B | PF3 | Er, ModRm | VW | HR | ER | Mw | Oy | Avx512, // VCVTUSI2SS
        0x7B | PF2 | Er, ModRm | VW | HR | ER | Mw | Oy | Avx512, // VCVTUSI2SD
        0x7E | P66 | L0, ModRm | VR | EW | Mw | Oy | Avx512, // VMOVD/VMOVQ
        0x7E | PF3 | W1 | L0, ModRm | VW | WR | M8 | Avx512, // VMOVQ
        0x7F | P66 | W0 | L012 | Kz, ModRm | VR | WW | ML | Avx512 | Aligned, // VMOVDQA32
        0x7F | P66 | W1 | L012 | Kz, ModRm | VR | WW | ML | Avx512 | Aligned, // VMOVDQA64
        0x7F | PF3 | W0 | L012 | Kz, ModRm | VR | WW | ML | Avx512, // VMOVDQU32
        0x7F | PF3 | W1 | L012 | Kz, ModRm | VR | WW | ML | Avx512, // VMOVDQU64
        0x7F | PF2 | W0 | L012 | Kz, ModRm | VR | WW | ML | Avx512BW, // VMOVDQU8
        0x7F | PF2 | W1 | L012 | Kz, ModRm | VR | WW | ML | Avx512BW, // VMOVDQU16
        0xC2 | Np | W0 | L012 | Bc4 | Sae | Km, ModRm | KgW | HR | WR | Ub | ML | Avx512, // VCMPPS
        0xC2 | P66 | W1 | L012 | Bc8 | Sae | Km, ModRm | KgW | HR | WR | Ub | ML | Avx512, // VCMPPD
        0xC2 | PF3 | W0 | Sae | Km, ModRm | KgW | HR | WR | Ub | M4 | Avx512, // VCMPSS
        0xC2 | PF2 | W1 | Sae | Km, ModRm | KgW | HR | WR | Ub | M8 | Avx512, // VCMPSD
        0xC4 | P66 | L0, ModRm | VW | HR | ER | Ub | M2 | Oy | Avx512BW, // VPINSRW
        0xC5 | P66 | Rgs | L0, ModRm | GW | WR | Ub | Oy | Avx512BW, // VPEXTRW
        0xC6 | Np | W0 | L012 | Bc4 | Kz, ModRm | VW | HR | WR | Ub | ML | Avx512, // VSHUFPS
        0xC6 | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | HR | WR | Ub | ML | Avx512, // VSHUFPD
        0xD1 | P66 | L012 | Kz, ModRm | VW | HR | WR | M16 | Avx512BW, // VPSRLW
        0xD2 | P66 | W0 | L012 | Kz, ModRm | VW | HR | WR | M16 | Avx512, // VPSRLD
        0xD3 | P66 | W1 | L012 | Kz, ModRm | VW | HR | WR | M16 | Avx512, // VPSRLQ
        0xD4 | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPADDQ
        0xD5 | P66 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPMULLW
        0xD6 | P66 | W1 | L0, ModRm | VR | WW | M8 | Avx512, // VMOVQ
        0xD8 | P66 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPSUBUSB
        0xD9 | P66 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPSUBUSW
        0xDA | P66 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPMINUB
        0xDB | P66 | W0 | L012 | Bc4 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPANDD
        0xDB | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPANDQ
        0xDC | P66 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPADDUSB
        0xDD | P66 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPADDUSW
        0xDE | P66 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPMAXUB
        0xDF | P66 | W0 | L012 | Bc4 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPANDND
        0xDF | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPANDNQ
        0xE0 | P66 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPAVGB
        0xE1 | P66 | L012 | Kz, ModRm | VW | HR | WR | M16 | Avx512BW, // VPSRAW
        0xE2 | P66 | W0 | L012 | Kz, ModRm | VW | HR | WR | M16 | Avx512, // VPSRAD
        0xE2 | P66 | W1 | L012 | Kz, ModRm | VW | HR | WR | M16 | Avx512, // VPSRAQ
        0xE3 | P66 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPAVGW
        0xE4 | P66 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPMULHUW
        0xE5 | P66 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPMULHW
        0xE6 | P66 | W1 | L012 | Bc8 | Sae | Kz, ModRm | VW | WR | ML | Avx512, // VCVTTPD2DQ
        0xE6 | PF3 | W0 | L012 | Bc4 | Er | Kz, ModRm | VW | WR | ML2 | Avx512, // VCVTDQ2PD
        0xE6 | PF3 | W1 | L012 | Bc8 | Er | Kz, ModRm | VW | WR | ML | Avx512DQ, // VCVTQQ2PD
        0xE6 | PF2 | W1 | L012 | Bc8 | Er | Kz, ModRm | VW | WR | ML | Avx512, // VCVTPD2DQ
        0xE7 | P66 | Mem | W0 | L012, ModRm | VR | MW | ML | Avx512 | Aligned, // VMOVNTDQ
        0xE8 | P66 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPSUBSB
        0xE9 | P66 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPSUBSW
        0xEA | P66 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPMINSW
        0xEB | P66 | W0 | L012 | Bc4 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPORD
        0xEB | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPORQ
        0xEC | P66 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPADDSB
        0xED | P66 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPADDSW
        0xEE | P66 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPMAXSW
        0xEF | P66 | W0 | L012 | Bc4 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPXORD
        0xEF | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPXORQ
        0xF1 | P66 | L012 | Kz, ModRm | VW | HR | WR | M16 | Avx512BW, // VPSLLW
        0xF2 | P66 | W0 | L012 | Kz, ModRm | VW | HR | WR | M16 | Avx512, // VPSLLD
        0xF3 | P66 | W1 | L012 | Kz, ModRm | VW | HR | WR | M16 | Avx512, // VPSLLQ
        0xF4 | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPMULUDQ
        0xF5 | P66 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPMADDWD
        0xF6 | P66 | L012, ModRm | VW | HR | WR | ML | Avx512BW, // VPSADBW
        0xF8 | P66 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPSUBB
        0xF9 | P66 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPSUBW
        0xFA | P66 | W0 | L012 | Bc4 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPSUBD
        0xFB | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPSUBQ
        0xFC | P66 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPADDB
        0xFD | P66 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPADDW
        0xFE | P66 | W0 | L012 | Bc4 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPADDD
    ];
}
