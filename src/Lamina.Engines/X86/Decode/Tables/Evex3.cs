// The EVEX opcode maps 3, 5 and 6 (SDM vol. 2, 2.7): what AVX-512 made of the 0F 3A map, and AVX512-FP16.
// Two words a row: what it matches, what it means. Row.cs explains the vocabulary.
using static Lamina.Engines.X86.Decode.Tables.Row;
using Id = Lamina.Engines.X86.Decode.InstructionId;

namespace Lamina.Engines.X86.Decode.Tables;

internal static class Evex3
{
    /// <summary>Map 3 (0F 3A).</summary>
    internal static ReadOnlySpan<ulong> Map3 =>
    [
        0x00 | P66 | W1 | L12 | Bc8 | Kz, ModRm | VW | WR | Ub | ML | Avx512, // VPERMQ
        0x01 | P66 | W1 | L12 | Bc8 | Kz, ModRm | VW | WR | Ub | ML | Avx512, // VPERMPD
        0x03 | P66 | W0 | L012 | Bc4 | Kz, ModRm | VW | HR | WR | Ub | ML | Avx512, // VALIGND
        0x03 | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | HR | WR | Ub | ML | Avx512, // VALIGNQ
        0x04 | P66 | W0 | L012 | Bc4 | Kz, ModRm | VW | WR | Ub | ML | Avx512, // VPERMILPS
        0x05 | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | WR | Ub | ML | Avx512, // VPERMILPD
        0x08 | P66 | W0 | L012 | Bc4 | Sae | Kz, ModRm | VW | WR | Ub | ML | Avx512, // VRNDSCALEPS
        0x08 | Np | W0 | L012 | Bc2 | Sae | Kz, ModRm | VW | WR | Ub | ML | Fp16, // VRNDSCALEPH
        0x09 | P66 | W1 | L012 | Bc8 | Sae | Kz, ModRm | VW | WR | Ub | ML | Avx512, // VRNDSCALEPD
        0x0A | P66 | W0 | Sae | Kz, ModRm | VW | HR | WR | Ub | M4 | Avx512, // VRNDSCALESS
        0x0A | Np | W0 | Sae | Kz, ModRm | VW | HR | WR | Ub | M2 | Fp16, // VRNDSCALESH
        0x0B | P66 | W1 | Sae | Kz, ModRm | VW | HR | WR | Ub | M8 | Avx512, // VRNDSCALESD
        0x0F | P66 | L012 | Kz, ModRm | VW | HR | WR | Ub | ML | Avx512BW, // VPALIGNR
        0x14 | P66 | L0, ModRm | VR | EW | Ub | M1 | Oy | Avx512BW, // VPEXTRB
        0x15 | P66 | L0, ModRm | VR | EW | Ub | M2 | Oy | Avx512BW, // VPEXTRW
        0x16 | P66 | L0, ModRm | VR | EW | Ub | Mw | Oy | Avx512DQ, // VPEXTRD/VPEXTRQ
        0x17 | P66 | L0, ModRm | VR | EW | Ub | M4 | Oy | Avx512, // VEXTRACTPS
        0x18 | P66 | W0 | L12 | Kz, ModRm | VW | HR | WR | Ub | M16 | Avx512, // VINSERTF32X4
        0x18 | P66 | W1 | L12 | Kz, ModRm | VW | HR | WR | Ub | M16 | Avx512DQ, // VINSERTF64X2
        0x19 | P66 | W0 | L12 | Kz, ModRm | VR | WW | Ub | M16 | Avx512, // VEXTRACTF32X4
        0x19 | P66 | W1 | L12 | Kz, ModRm | VR | WW | Ub | M16 | Avx512DQ, // VEXTRACTF64X2
        0x1A | P66 | W0 | L2 | Kz, ModRm | VW | HR | WR | Ub | M32 | Avx512DQ, // VINSERTF32X8
        0x1A | P66 | W1 | L2 | Kz, ModRm | VW | HR | WR | Ub | M32 | Avx512, // VINSERTF64X4
        0x1B | P66 | W0 | L2 | Kz, ModRm | VR | WW | Ub | M32 | Avx512DQ, // VEXTRACTF32X8
        0x1B | P66 | W1 | L2 | Kz, ModRm | VR | WW | Ub | M32 | Avx512, // VEXTRACTF64X4
        0x1D | P66 | W0 | L012 | Sae | Kz, ModRm | VR | WW | Ub | ML2 | Avx512, // VCVTPS2PH
        0x1E | P66 | W0 | L012 | Bc4 | Km, ModRm | KgW | HR | WR | Ub | ML | Avx512, // VPCMPUD
        0x1E | P66 | W1 | L012 | Bc8 | Km, ModRm | KgW | HR | WR | Ub | ML | Avx512, // VPCMPUQ
        0x1F | P66 | W0 | L012 | Bc4 | Km, ModRm | KgW | HR | WR | Ub | ML | Avx512, // VPCMPD
        0x1F | P66 | W1 | L012 | Bc8 | Km, ModRm | KgW | HR | WR | Ub | ML | Avx512, // VPCMPQ
        0x20 | P66 | L0, ModRm | VW | HR | ER | Ub | M1 | Oy | Avx512BW, // VPINSRB
        0x21 | P66 | W0 | L0, ModRm | VW | HR | WR | Ub | M4 | Avx512, // VINSERTPS
        0x22 | P66 | L0, ModRm | VW | HR | ER | Ub | Mw | Oy | Avx512DQ, // VPINSRD/VPINSRQ
        0x23 | P66 | W0 | L12 | Bc4 | Kz, ModRm | VW | HR | WR | Ub | ML | Avx512, // VSHUFF32X4
        0x23 | P66 | W1 | L12 | Bc8 | Kz, ModRm | VW | HR | WR | Ub | ML | Avx512, // VSHUFF64X2
        0x25 | P66 | W0 | L012 | Bc4 | Kz, ModRm | VX | HR | WR | Ub | ML | Avx512, // VPTERNLOGD
        0x25 | P66 | W1 | L012 | Bc8 | Kz, ModRm | VX | HR | WR | Ub | ML | Avx512, // VPTERNLOGQ
        0x26 | P66 | W0 | L012 | Bc4 | Sae | Kz, ModRm | VW | WR | Ub | ML | Avx512, // VGETMANTPS
        0x26 | P66 | W1 | L012 | Bc8 | Sae | Kz, ModRm | VW | WR | Ub | ML | Avx512, // VGETMANTPD
        0x26 | Np | W0 | L012 | Bc2 | Sae | Kz, ModRm | VW | WR | Ub | ML | Fp16, // VGETMANTPH
        0x27 | P66 | W0 | Sae | Kz, ModRm | VW | HR | WR | Ub | M4 | Avx512, // VGETMANTSS
        0x27 | P66 | W1 | Sae | Kz, ModRm | VW | HR | WR | Ub | M8 | Avx512, // VGETMANTSD
        0x27 | Np | W0 | Sae | Kz, ModRm | VW | HR | WR | Ub | M2 | Fp16, // VGETMANTSH
        0x38 | P66 | W0 | L12 | Kz, ModRm | VW | HR | WR | Ub | M16 | Avx512, // VINSERTI32X4
        0x38 | P66 | W1 | L12 | Kz, ModRm | VW | HR | WR | Ub | M16 | Avx512DQ, // VINSERTI64X2
        0x39 | P66 | W0 | L12 | Kz, ModRm | VR | WW | Ub | M16 | Avx512, // VEXTRACTI32X4
        0x39 | P66 | W1 | L12 | Kz, ModRm | VR | WW | Ub | M16 | Avx512DQ, // VEXTRACTI64X2
        0x3A | P66 | W0 | L2 | Kz, ModRm | VW | HR | WR | Ub | M32 | Avx512DQ, // VINSERTI32X8
        0x3A | P66 | W1 | L2 | Kz, ModRm | VW | HR | WR | Ub | M32 | Avx512, // VINSERTI64X4
        0x3B | P66 | W0 | L2 | Kz, ModRm | VR | WW | Ub | M32 | Avx512DQ, // VEXTRACTI32X8
        0x3B | P66 | W1 | L2 | Kz, ModRm | VR | WW | Ub | M32 | Avx512, // VEXTRACTI64X4
        0x3E | P66 | W0 | L012 | Km, ModRm | KgW | HR | WR | Ub | ML | Avx512BW, // VPCMPUB
        0x3E | P66 | W1 | L012 | Km, ModRm | KgW | HR | WR | Ub | ML | Avx512BW, // VPCMPUW
        0x3F | P66 | W0 | L012 | Km, ModRm | KgW | HR | WR | Ub | ML | Avx512BW, // VPCMPB
        0x3F | P66 | W1 | L012 | Km, ModRm | KgW | HR | WR | Ub | ML | Avx512BW, // VPCMPW
        0x42 | P66 | W0 | L012 | Kz, ModRm | VW | HR | WR | Ub | ML | Avx512BW, // VDBPSADBW
        0x43 | P66 | W0 | L12 | Bc4 | Kz, ModRm | VW | HR | WR | Ub | ML | Avx512, // VSHUFI32X4
        0x43 | P66 | W1 | L12 | Bc8 | Kz, ModRm | VW | HR | WR | Ub | ML | Avx512, // VSHUFI64X2
        0x44 | P66 | L012, ModRm | VW | HR | WR | Ub | ML | VpclmulEvex, // VPCLMULQDQ
        0x50 | P66 | W0 | L012 | Bc4 | Sae | Kz, ModRm | VW | HR | WR | Ub | ML | Avx512DQ, // VRANGEPS
        0x50 | P66 | W1 | L012 | Bc8 | Sae | Kz, ModRm | VW | HR | WR | Ub | ML | Avx512DQ, // VRANGEPD
        0x51 | P66 | W0 | Sae | Kz, ModRm | VW | HR | WR | Ub | M4 | Avx512DQ, // VRANGESS
        0x51 | P66 | W1 | Sae | Kz, ModRm | VW | HR | WR | Ub | M8 | Avx512DQ, // VRANGESD
        0x54 | P66 | W0 | L012 | Bc4 | Sae | Kz, ModRm | VX | HR | WR | Ub | ML | Avx512, // VFIXUPIMMPS
        0x54 | P66 | W1 | L012 | Bc8 | Sae | Kz, ModRm | VX | HR | WR | Ub | ML | Avx512, // VFIXUPIMMPD
        0x55 | P66 | W0 | Sae | Kz, ModRm | VX | HR | WR | Ub | M4 | Avx512, // VFIXUPIMMSS
        0x55 | P66 | W1 | Sae | Kz, ModRm | VX | HR | WR | Ub | M8 | Avx512, // VFIXUPIMMSD
        0x56 | P66 | W0 | L012 | Bc4 | Sae | Kz, ModRm | VW | WR | Ub | ML | Avx512DQ, // VREDUCEPS
        0x56 | P66 | W1 | L012 | Bc8 | Sae | Kz, ModRm | VW | WR | Ub | ML | Avx512DQ, // VREDUCEPD
        0x56 | Np | W0 | L012 | Bc2 | Sae | Kz, ModRm | VW | WR | Ub | ML | Fp16, // VREDUCEPH
        0x57 | P66 | W0 | Sae | Kz, ModRm | VW | HR | WR | Ub | M4 | Avx512DQ, // VREDUCESS
        0x57 | P66 | W1 | Sae | Kz, ModRm | VW | HR | WR | Ub | M8 | Avx512DQ, // VREDUCESD
        0x57 | Np | W0 | Sae | Kz, ModRm | VW | HR | WR | Ub | M2 | Fp16, // VREDUCESH
        0x66 | P66 | W0 | L012 | Bc4 | Km, ModRm | KgW | WR | Ub | ML | Avx512DQ, // VFPCLASSPS
        0x66 | P66 | W1 | L012 | Bc8 | Km, ModRm | KgW | WR | Ub | ML | Avx512DQ, // VFPCLASSPD
        0x66 | Np | W0 | L012 | Bc2 | Km, ModRm | KgW | WR | Ub | ML | Fp16, // VFPCLASSPH
        0x67 | P66 | W0 | Km, ModRm | KgW | WR | Ub | M4 | Avx512DQ, // VFPCLASSSS
        0x67 | P66 | W1 | Km, ModRm | KgW | WR | Ub | M8 | Avx512DQ, // VFPCLASSSD
        0x67 | Np | W0 | Km, ModRm | KgW | WR | Ub | M2 | Fp16, // VFPCLASSSH
        0x70 | P66 | W1 | L012 | Kz, ModRm | VW | HR | WR | Ub | ML | Vbmi2, // VPSHLDW
        0x71 | P66 | W0 | L012 | Bc4 | Kz, ModRm | VW | HR | WR | Ub | ML | Vbmi2, // VPSHLDD
        0x71 | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | HR | WR | Ub | ML | Vbmi2, // VPSHLDQ
        0x72 | P66 | W1 | L012 | Kz, ModRm | VW | HR | WR | Ub | ML | Vbmi2, // VPSHRDW
        0x73 | P66 | W0 | L012 | Bc4 | Kz, ModRm | VW | HR | WR | Ub | ML | Vbmi2, // VPSHRDD
        0x73 | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | HR | WR | Ub | ML | Vbmi2, // VPSHRDQ
        0xC2 | Np | W0 | L012 | Bc2 | Sae | Km, ModRm | KgW | HR | WR | Ub | ML | Fp16, // VCMPPH
        0xC2 | PF3 | W0 | Sae | Km, ModRm | KgW | HR | WR | Ub | M2 | Fp16, // VCMPSH
        0xCE | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | HR | WR | Ub | ML | GfniEvex, // VGF2P8AFFINEQB
        0xCF | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | HR | WR | Ub | ML | GfniEvex, // VGF2P8AFFINEINVQB
    ];

    /// <summary>Map 5 (FP16).</summary>
    internal static ReadOnlySpan<ulong> Map5 =>
    [
        0x10 | PF3 | Mem | W0 | Kz, ModRm | VW | MR | M2 | Fp16, // VMOVSH
        0x10 | PF3 | Rgs | W0 | Kz, ModRm | VW | HR | WR | Fp16, // VMOVSH
        0x11 | PF3 | Mem | W0 | Km, ModRm | VR | MW | M2 | Fp16, // VMOVSH
        0x11 | PF3 | Rgs | W0 | Kz, ModRm | VR | HR | WW | Fp16, // VMOVSH
        0x1D | P66 | W0 | L012 | Bc4 | Er | Kz, ModRm | VW | WR | ML | Fp16, // VCVTPS2PHX
        0x1D | Np | W0 | Er | Kz, ModRm | VW | HR | WR | M4 | Fp16, // VCVTSS2SH
        0x2A | PF3 | Er, ModRm | VW | HR | ER | Mw | Oy | Fp16, // VCVTSI2SH
        0x2C | PF3 | Sae, ModRm | GW | WR | M2 | Oy | Fp16, // VCVTTSH2SI
        0x2D | PF3 | Er, ModRm | GW | WR | M2 | Oy | Fp16, // VCVTSH2SI
        0x2E | Np | W0 | Sae, ModRm | VR | WR | M2 | FlWcpazso | Fp16, // VUCOMISH
        0x2F | Np | W0 | Sae, ModRm | VR | WR | M2 | FlWcpazso | Fp16, // VCOMISH
        0x51 | Np | W0 | L012 | Bc2 | Er | Kz, ModRm | VW | WR | ML | Fp16, // VSQRTPH
        0x51 | PF3 | W0 | Er | Kz, ModRm | VW | HR | WR | M2 | Fp16, // VSQRTSH
        0x58 | Np | W0 | L012 | Bc2 | Er | Kz, ModRm | VW | HR | WR | ML | Fp16, // VADDPH
        0x58 | PF3 | W0 | Er | Kz, ModRm | VW | HR | WR | M2 | Fp16, // VADDSH
        0x59 | Np | W0 | L012 | Bc2 | Er | Kz, ModRm | VW | HR | WR | ML | Fp16, // VMULPH
        0x59 | PF3 | W0 | Er | Kz, ModRm | VW | HR | WR | M2 | Fp16, // VMULSH
        0x5A | P66 | W1 | L012 | Bc8 | Er | Kz, ModRm | VW | WR | ML | Fp16, // VCVTPD2PH
        0x5A | Np | W0 | L012 | Bc2 | Sae | Kz, ModRm | VW | WR | ML4 | Fp16, // VCVTPH2PD
        0x5A | PF2 | W1 | Er | Kz, ModRm | VW | HR | WR | M8 | Fp16, // VCVTSD2SH
        0x5A | PF3 | W0 | Sae | Kz, ModRm | VW | HR | WR | M2 | Fp16, // VCVTSH2SD
        0x5B | Np | W0 | L012 | Bc4 | Er | Kz, ModRm | VW | WR | ML | Fp16, // VCVTDQ2PH
        0x5B | P66 | W0 | L012 | Bc2 | Er | Kz, ModRm | VW | WR | ML2 | Fp16, // VCVTPH2DQ
        0x5B | Np | W1 | L012 | Bc8 | Er | Kz, ModRm | VW | WR | ML | Fp16, // VCVTQQ2PH
        0x5B | PF3 | W0 | L012 | Bc2 | Sae | Kz, ModRm | VW | WR | ML2 | Fp16, // VCVTTPH2DQ
        0x5C | Np | W0 | L012 | Bc2 | Er | Kz, ModRm | VW | HR | WR | ML | Fp16, // VSUBPH
        0x5C | PF3 | W0 | Er | Kz, ModRm | VW | HR | WR | M2 | Fp16, // VSUBSH
        0x5D | Np | W0 | L012 | Bc2 | Sae | Kz, ModRm | VW | HR | WR | ML | Fp16, // VMINPH
        0x5D | PF3 | W0 | Sae | Kz, ModRm | VW | HR | WR | M2 | Fp16, // VMINSH
        0x5E | Np | W0 | L012 | Bc2 | Er | Kz, ModRm | VW | HR | WR | ML | Fp16, // VDIVPH
        0x5E | PF3 | W0 | Er | Kz, ModRm | VW | HR | WR | M2 | Fp16, // VDIVSH
        0x5F | Np | W0 | L012 | Bc2 | Sae | Kz, ModRm | VW | HR | WR | ML | Fp16, // VMAXPH
        0x5F | PF3 | W0 | Sae | Kz, ModRm | VW | HR | WR | M2 | Fp16, // VMAXSH
        0x6E | P66 | L0, ModRm | VW | ER | M2 | Oy | Fp16, // VMOVW
        0x78 | Np | W0 | L012 | Bc2 | Sae | Kz, ModRm | VW | WR | ML2 | Fp16, // VCVTTPH2UDQ
        0x78 | P66 | W0 | L012 | Bc2 | Sae | Kz, ModRm | VW | WR | ML4 | Fp16, // VCVTTPH2UQQ
        0x78 | PF3 | Sae, ModRm | GW | WR | M2 | Oy | Fp16, // VCVTTSH2USI
        0x79 | Np | W0 | L012 | Bc2 | Er | Kz, ModRm | VW | WR | ML2 | Fp16, // VCVTPH2UDQ
        0x79 | P66 | W0 | L012 | Bc2 | Er | Kz, ModRm | VW | WR | ML4 | Fp16, // VCVTPH2UQQ
        0x79 | PF3 | Er, ModRm | GW | WR | M2 | Oy | Fp16, // VCVTSH2USI
        0x7A | P66 | W0 | L012 | Bc2 | Sae | Kz, ModRm | VW | WR | ML4 | Fp16, // VCVTTPH2QQ
        0x7A | PF2 | W0 | L012 | Bc4 | Er | Kz, ModRm | VW | WR | ML | Fp16, // VCVTUDQ2PH
        0x7A | PF2 | W1 | L012 | Bc8 | Er | Kz, ModRm | VW | WR | ML | Fp16, // VCVTUQQ2PH
        0x7B | P66 | W0 | L012 | Bc2 | Er | Kz, ModRm | VW | WR | ML4 | Fp16, // VCVTPH2QQ
        0x7B | PF3 | Er, ModRm | VW | HR | ER | Mw | Oy | Fp16, // VCVTUSI2SH
        0x7C | Np | W0 | L012 | Bc2 | Sae | Kz, ModRm | VW | WR | ML | Fp16, // VCVTTPH2UW
        0x7C | P66 | W0 | L012 | Bc2 | Sae | Kz, ModRm | VW | WR | ML | Fp16, // VCVTTPH2W
        0x7D | Np | W0 | L012 | Bc2 | Er | Kz, ModRm | VW | WR | ML | Fp16, // VCVTPH2UW
        0x7D | P66 | W0 | L012 | Bc2 | Er | Kz, ModRm | VW | WR | ML | Fp16, // VCVTPH2W
        0x7D | PF2 | W0 | L012 | Bc2 | Er | Kz, ModRm | VW | WR | ML | Fp16, // VCVTUW2PH
        0x7D | PF3 | W0 | L012 | Bc2 | Er | Kz, ModRm | VW | WR | ML | Fp16, // VCVTW2PH
        0x7E | P66 | L0, ModRm | VR | EW | M2 | Oy | Fp16, // VMOVW
    ];

    /// <summary>Map 6 (FP16).</summary>
    internal static ReadOnlySpan<ulong> Map6 =>
    [
        0x13 | P66 | W0 | L012 | Bc2 | Sae | Kz, ModRm | VW | WR | ML2 | Fp16, // VCVTPH2PSX
        0x13 | Np | W0 | Sae | Kz, ModRm | VW | HR | WR | M2 | Fp16, // VCVTSH2SS
        0x2C | P66 | W0 | L012 | Bc2 | Er | Kz, ModRm | VW | HR | WR | ML | Fp16, // VSCALEFPH
        0x2D | P66 | W0 | Er | Kz, ModRm | VW | HR | WR | M2 | Fp16, // VSCALEFSH
        0x42 | P66 | W0 | L012 | Bc2 | Sae | Kz, ModRm | VW | WR | ML | Fp16, // VGETEXPPH
        0x43 | P66 | W0 | Sae | Kz, ModRm | VW | HR | WR | M2 | Fp16, // VGETEXPSH
        0x4C | P66 | W0 | L012 | Bc2 | Kz, ModRm | VW | WR | ML | Fp16, // VRCPPH
        0x4D | P66 | W0 | Kz, ModRm | VW | HR | WR | M2 | Fp16, // VRCPSH
        0x4E | P66 | W0 | L012 | Bc2 | Kz, ModRm | VW | WR | ML | Fp16, // VRSQRTPH
        0x4F | P66 | W0 | Kz, ModRm | VW | HR | WR | M2 | Fp16, // VRSQRTSH
        0x56 | PF2 | W0 | L012 | Bc4 | Er | Kz | Distinct, ModRm | VX | HR | WR | ML | Fp16, // VFCMADDCPH
        0x56 | PF3 | W0 | L012 | Bc4 | Er | Kz | Distinct, ModRm | VX | HR | WR | ML | Fp16, // VFMADDCPH
        0x57 | PF2 | W0 | Er | Kz | Distinct, ModRm | VX | HR | WR | M4 | Fp16, // VFCMADDCSH
        0x57 | PF3 | W0 | Er | Kz | Distinct, ModRm | VX | HR | WR | M4 | Fp16, // VFMADDCSH
        0x96 | P66 | W0 | L012 | Bc2 | Er | Kz, ModRm | VX | HR | WR | ML | Fp16, // VFMADDSUB132PH
        0x97 | P66 | W0 | L012 | Bc2 | Er | Kz, ModRm | VX | HR | WR | ML | Fp16, // VFMSUBADD132PH
        0x98 | P66 | W0 | L012 | Bc2 | Er | Kz, ModRm | VX | HR | WR | ML | Fp16, // VFMADD132PH
        0x99 | P66 | W0 | Er | Kz, ModRm | VX | HR | WR | M2 | Fp16, // VFMADD132SH
        0x9A | P66 | W0 | L012 | Bc2 | Er | Kz, ModRm | VX | HR | WR | ML | Fp16, // VFMSUB132PH
        0x9B | P66 | W0 | Er | Kz, ModRm | VX | HR | WR | M2 | Fp16, // VFMSUB132SH
        0x9C | P66 | W0 | L012 | Bc2 | Er | Kz, ModRm | VX | HR | WR | ML | Fp16, // VFNMADD132PH
        0x9D | P66 | W0 | Er | Kz, ModRm | VX | HR | WR | M2 | Fp16, // VFNMADD132SH
        0x9E | P66 | W0 | L012 | Bc2 | Er | Kz, ModRm | VX | HR | WR | ML | Fp16, // VFNMSUB132PH
        0x9F | P66 | W0 | Er | Kz, ModRm | VX | HR | WR | M2 | Fp16, // VFNMSUB132SH
        0xA6 | P66 | W0 | L012 | Bc2 | Er | Kz, ModRm | VX | HR | WR | ML | Fp16, // VFMADDSUB213PH
        0xA7 | P66 | W0 | L012 | Bc2 | Er | Kz, ModRm | VX | HR | WR | ML | Fp16, // VFMSUBADD213PH
        0xA8 | P66 | W0 | L012 | Bc2 | Er | Kz, ModRm | VX | HR | WR | ML | Fp16, // VFMADD213PH
        0xA9 | P66 | W0 | Er | Kz, ModRm | VX | HR | WR | M2 | Fp16, // VFMADD213SH
        0xAA | P66 | W0 | L012 | Bc2 | Er | Kz, ModRm | VX | HR | WR | ML | Fp16, // VFMSUB213PH
        0xAB | P66 | W0 | Er | Kz, ModRm | VX | HR | WR | M2 | Fp16, // VFMSUB213SH
        0xAC | P66 | W0 | L012 | Bc2 | Er | Kz, ModRm | VX | HR | WR | ML | Fp16, // VFNMADD213PH
        0xAD | P66 | W0 | Er | Kz, ModRm | VX | HR | WR | M2 | Fp16, // VFNMADD213SH
        0xAE | P66 | W0 | L012 | Bc2 | Er | Kz, ModRm | VX | HR | WR | ML | Fp16, // VFNMSUB213PH
        0xAF | P66 | W0 | Er | Kz, ModRm | VX | HR | WR | M2 | Fp16, // VFNMSUB213SH
        0xB6 | P66 | W0 | L012 | Bc2 | Er | Kz, ModRm | VX | HR | WR | ML | Fp16, // VFMADDSUB231PH
        0xB7 | P66 | W0 | L012 | Bc2 | Er | Kz, ModRm | VX | HR | WR | ML | Fp16, // VFMSUBADD231PH
        0xB8 | P66 | W0 | L012 | Bc2 | Er | Kz, ModRm | VX | HR | WR | ML | Fp16, // VFMADD231PH
        0xB9 | P66 | W0 | Er | Kz, ModRm | VX | HR | WR | M2 | Fp16, // VFMADD231SH
        0xBA | P66 | W0 | L012 | Bc2 | Er | Kz, ModRm | VX | HR | WR | ML | Fp16, // VFMSUB231PH
        0xBB | P66 | W0 | Er | Kz, ModRm | VX | HR | WR | M2 | Fp16, // VFMSUB231SH
        0xBC | P66 | W0 | L012 | Bc2 | Er | Kz, ModRm | VX | HR | WR | ML | Fp16, // VFNMADD231PH
        0xBD | P66 | W0 | Er | Kz, ModRm | VX | HR | WR | M2 | Fp16, // VFNMADD231SH
        0xBE | P66 | W0 | L012 | Bc2 | Er | Kz, ModRm | VX | HR | WR | ML | Fp16, // VFNMSUB231PH
        0xBF | P66 | W0 | Er | Kz, ModRm | VX | HR | WR | M2 | Fp16, // VFNMSUB231SH
        0xD6 | PF2 | W0 | L012 | Bc4 | Er | Kz | Distinct, ModRm | VW | HR | WR | ML | Fp16, // VFCMULCPH
        0xD6 | PF3 | W0 | L012 | Bc4 | Er | Kz | Distinct, ModRm | VW | HR | WR | ML | Fp16, // VFMULCPH
        0xD7 | PF2 | W0 | Er | Kz | Distinct, ModRm | VW | HR | WR | M4 | Fp16, // VFCMULCSH
        0xD7 | PF3 | W0 | Er | Kz | Distinct, ModRm | VW | HR | WR | M4 | Fp16, // VFMULCSH
    ];
}
