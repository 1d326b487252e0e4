// The VEX opcode maps (SDM vol. 2, 2.3 and tables ): AVX, AVX2, FMA, F16C, BMI, opmask instructions.
// Two words a row: what it matches, what it means. Row.cs explains the vocabulary.
using static Lamina.Engines.X86.Decode.Tables.Row;
using Id = Lamina.Engines.X86.Decode.InstructionId;

namespace Lamina.Engines.X86.Decode.Tables;

internal static class Vex
{
    /// <summary>Map 1 (0F).</summary>
    internal static ReadOnlySpan<ulong> Map1 =>
    [
        0x10 | Np | L01, ModRm | VW | WR | ML | Avx, // VMOVUPS
        0x10 | P66 | L01, ModRm | VW | WR | ML | Avx, // VMOVUPD
        0x10 | PF3 | Rgs, ModRm | VW | HR | WR | Avx, // VMOVSS
        0x10 | PF3 | Mem, ModRm | VW | MR | M4 | Avx, // VMOVSS
        0x10 | PF2 | Rgs, ModRm | VW | HR | WR | Avx, // VMOVSD
        0x10 | PF2 | Mem, ModRm | VW | MR | M8 | Avx, // VMOVSD
        0x11 | Np | L01, ModRm | VR | WW | ML | Avx, // VMOVUPS
        0x11 | P66 | L01, ModRm | VR | WW | ML | Avx, // VMOVUPD
        0x11 | PF3 | Rgs, ModRm | VR | HR | WW | Avx, // VMOVSS
        0x11 | PF3 | Mem, ModRm | VR | MW | M4 | Avx, // VMOVSS
        0x11 | PF2 | Rgs, ModRm | VR | HR | WW | Avx, // VMOVSD
        0x11 | PF2 | Mem, ModRm | VR | MW | M8 | Avx, // VMOVSD
        0x12 | Np | Rgs | L0, ModRm | VW | HR | WR | Avx, // VMOVHLPS
        0x12 | Np | Mem | L0, ModRm | VW | HR | MR | M8 | Avx, // VMOVLPS
        0x12 | P66 | Mem | L0, ModRm | VW | HR | MR | M8 | Avx, // VMOVLPD
        0x12 | PF3 | L01, ModRm | VW | WR | ML | Avx, // VMOVSLDUP
        0x12 | PF2 | L01, ModRm | VW | WR | Mdup | Avx, // VMOVDDUP
        0x13 | Np | Mem | L0, ModRm | VR | MW | M8 | Avx, // VMOVLPS
        0x13 | P66 | Mem | L0, ModRm | VR | MW | M8 | Avx, // VMOVLPD
        0x14 | Np | L01, ModRm | VW | HR | WR | ML | Avx, // VUNPCKLPS
        0x14 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VUNPCKLPD
        0x15 | Np | L01, ModRm | VW | HR | WR | ML | Avx, // VUNPCKHPS
        0x15 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VUNPCKHPD
        0x16 | Np | Rgs | L0, ModRm | VW | HR | WR | Avx, // VMOVLHPS
        0x16 | Np | Mem | L0, ModRm | VW | HR | MR | M8 | Avx, // VMOVHPS
        0x16 | P66 | Mem | L0, ModRm | VW | HR | MR | M8 | Avx, // VMOVHPD
        0x16 | PF3 | L01, ModRm | VW | WR | ML | Avx, // VMOVSHDUP
        0x17 | Np | Mem | L0, ModRm | VR | MW | M8 | Avx, // VMOVHPS
        0x17 | P66 | Mem | L0, ModRm | VR | MW | M8 | Avx, // VMOVHPD
        0x28 | Np | L01, ModRm | VW | WR | ML | Avx | Aligned, // VMOVAPS
        0x28 | P66 | L01, ModRm | VW | WR | ML | Avx | Aligned, // VMOVAPD
        0x29 | Np | L01, ModRm | VR | WW | ML | Avx | Aligned, // VMOVAPS
        0x29 | P66 | L01, ModRm | VR | WW | ML | Avx | Aligned, // VMOVAPD
        0x2A | PF3, ModRm | VW | HR | ER | Mw | Oy | Avx, // VCVTSI2SS
        0x2A | PF2, ModRm | VW | HR | ER | Mw | Oy | Avx, // VCVTSI2SD
        0x2B | Np | Mem | L01, ModRm | VR | MW | ML | Avx | Aligned, // VMOVNTPS
        0x2B | P66 | Mem | L01, ModRm | VR | MW | ML | Avx | Aligned, // VMOVNTPD
        0x2C | PF3, ModRm | GW | WR | M4 | Oy | Avx, // VCVTTSS2SI
        0x2C | PF2, ModRm | GW | WR | M8 | Oy | Avx, // VCVTTSD2SI
        0x2D | PF3, ModRm | GW | WR | M4 | Oy | Avx, // VCVTSS2SI
        0x2D | PF2, ModRm | GW | WR | M8 | Oy | Avx, // VCVTSD2SI
        0x2E | Np, ModRm | VR | WR | M4 | FlWcpazso | Avx, // VUCOMISS
        0x2E | P66, ModRm | VR | WR | M8 | FlWcpazso | Avx, // VUCOMISD
        0x2F | Np, ModRm | VR | WR | M4 | FlWcpazso | Avx, // VCOMISS
        0x2F | P66, ModRm | VR | WR | M8 | FlWcpazso | Avx, // VCOMISD
        0x41 | Np | Rgs | W0 | L1, ModRm | KgW | KvR | KeR | Avx512, // KANDW
        0x41 | Np | Rgs | W1 | L1, ModRm | KgW | KvR | KeR | Avx512BW, // KANDQ
        0x41 | P66 | Rgs | W0 | L1, ModRm | KgW | KvR | KeR | Avx512DQ, // KANDB
        0x41 | P66 | Rgs | W1 | L1, ModRm | KgW | KvR | KeR | Avx512BW, // KANDD
        0x42 | Np | Rgs | W0 | L1, ModRm | KgW | KvR | KeR | Avx512, // KANDNW
        0x42 | Np | Rgs | W1 | L1, ModRm | KgW | KvR | KeR | Avx512BW, // KANDNQ
        0x42 | P66 | Rgs | W0 | L1, ModRm | KgW | KvR | KeR | Avx512DQ, // KANDNB
        0x42 | P66 | Rgs | W1 | L1, ModRm | KgW | KvR | KeR | Avx512BW, // KANDND
        0x44 | Np | Rgs | W0 | L0, ModRm | KgW | KeR | Avx512, // KNOTW
        0x44 | Np | Rgs | W1 | L0, ModRm | KgW | KeR | Avx512BW, // KNOTQ
        0x44 | P66 | Rgs | W0 | L0, ModRm | KgW | KeR | Avx512DQ, // KNOTB
        0x44 | P66 | Rgs | W1 | L0, ModRm | KgW | KeR | Avx512BW, // KNOTD
        0x45 | Np | Rgs | W0 | L1, ModRm | KgW | KvR | KeR | Avx512, // KORW
        0x45 | Np | Rgs | W1 | L1, ModRm | KgW | KvR | KeR | Avx512BW, // KORQ
        0x45 | P66 | Rgs | W0 | L1, ModRm | KgW | KvR | KeR | Avx512DQ, // KORB
        0x45 | P66 | Rgs | W1 | L1, ModRm | KgW | KvR | KeR | Avx512BW, // KORD
        0x46 | Np | Rgs | W0 | L1, ModRm | KgW | KvR | KeR | Avx512, // KXNORW
        0x46 | Np | Rgs | W1 | L1, ModRm | KgW | KvR | KeR | Avx512BW, // KXNORQ
        0x46 | P66 | Rgs | W0 | L1, ModRm | KgW | KvR | KeR | Avx512DQ, // KXNORB
        0x46 | P66 | Rgs | W1 | L1, ModRm | KgW | KvR | KeR | Avx512BW, // KXNORD
        0x47 | Np | Rgs | W0 | L1, ModRm | KgW | KvR | KeR | Avx512, // KXORW
        0x47 | Np | Rgs | W1 | L1, ModRm | KgW | KvR | KeR | Avx512BW, // KXORQ
        0x47 | P66 | Rgs | W0 | L1, ModRm | KgW | KvR | KeR | Avx512DQ, // KXORB
        0x47 | P66 | Rgs | W1 | L1, ModRm | KgW | KvR | KeR | Avx512BW, // KXORD
        0x4A | Np | Rgs | W0 | L1, ModRm | KgW | KvR | KeR | Avx512DQ, // KADDW
        0x4A | Np | Rgs | W1 | L1, ModRm | KgW | KvR | KeR | Avx512BW, // KADDQ
        0x4A | P66 | Rgs | W0 | L1, ModRm | KgW | KvR | KeR | Avx512DQ, // KADDB
        0x4A | P66 | Rgs | W1 | L1, ModRm | KgW | KvR | KeR | Avx512BW, // KADDD
        0x4B | Np | Rgs | W0 | L1, ModRm | KgW | KvR | KeR | Avx512BW, // KUNPCKWD
        0x4B | Np | Rgs | W1 | L1, ModRm | KgW | KvR | KeR | Avx512BW, // KUNPCKDQ
        0x4B | P66 | Rgs | W0 | L1, ModRm | KgW | KvR | KeR | Avx512, // KUNPCKBW
        0x50 | Np | Rgs | L01, ModRm | GW | WR | Oy | Avx, // VMOVMSKPS
        0x50 | P66 | Rgs | L01, ModRm | GW | WR | Oy | Avx, // VMOVMSKPD
        0x51 | Np | L01, ModRm | VW | WR | ML | Avx, // VSQRTPS
        0x51 | P66 | L01, ModRm | VW | WR | ML | Avx, // VSQRTPD
        0x51 | PF3, ModRm | VW | HR | WR | M4 | Avx, // VSQRTSS
        0x51 | PF2, ModRm | VW | HR | WR | M8 | Avx, // VSQRTSD
        0x52 | Np | L01, ModRm | VW | WR | ML | Avx, // VRSQRTPS
        0x52 | PF3, ModRm | VW | HR | WR | M4 | Avx, // VRSQRTSS
        0x53 | Np | L01, ModRm | VW | WR | ML | Avx, // VRCPPS
        0x53 | PF3, ModRm | VW | HR | WR | M4 | Avx, // VRCPSS
        0x54 | Np | L01, ModRm | VW | HR | WR | ML | Avx, // VANDPS
        0x54 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VANDPD
        0x55 | Np | L01, ModRm | VW | HR | WR | ML | Avx, // VANDNPS
        0x55 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VANDNPD
        0x56 | Np | L01, ModRm | VW | HR | WR | ML | Avx, // VORPS
        0x56 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VORPD
        0x57 | Np | L01, ModRm | VW | HR | WR | ML | Avx, // VXORPS
        0x57 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VXORPD
        0x58 | Np | L01, ModRm | VW | HR | WR | ML | Avx, // VADDPS
        0x58 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VADDPD
        0x58 | PF3, ModRm | VW | HR | WR | M4 | Avx, // VADDSS
        0x58 | PF2, ModRm | VW | HR | WR | M8 | Avx, // VADDSD
        0x59 | Np | L01, ModRm | VW | HR | WR | ML | Avx, // VMULPS
        0x59 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VMULPD
        0x59 | PF3, ModRm | VW | HR | WR | M4 | Avx, // VMULSS
        0x59 | PF2, ModRm | VW | HR | WR | M8 | Avx, // VMULSD
        0x5A | Np | L01, ModRm | VW | WR | ML2 | Avx, // VCVTPS2PD
        0x5A | P66 | L01, ModRm | VW | WR | ML | Avx, // VCVTPD2PS
        0x5A | PF3, ModRm | VW | HR | WR | M4 | Avx, // VCVTSS2SD
        0x5A | PF2, ModRm | VW | HR | WR | M8 | Avx, // VCVTSD2SS
        0x5B | Np | L01, ModRm | VW | WR | ML | Avx, // VCVTDQ2PS
        0x5B | P66 | L01, ModRm | VW | WR | ML | Avx, // VCVTPS2DQ
        0x5B | PF3 | L01, ModRm | VW | WR | ML | Avx, // VCVTTPS2DQ
        0x5C | Np | L01, ModRm | VW | HR | WR | ML | Avx, // VSUBPS
        0x5C | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VSUBPD
        0x5C | PF3, ModRm | VW | HR | WR | M4 | Avx, // VSUBSS
        0x5C | PF2, ModRm | VW | HR | WR | M8 | Avx, // VSUBSD
        0x5D | Np | L01, ModRm | VW | HR | WR | ML | Avx, // VMINPS
        0x5D | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VMINPD
        0x5D | PF3, ModRm | VW | HR | WR | M4 | Avx, // VMINSS
        0x5D | PF2, ModRm | VW | HR | WR | M8 | Avx, // VMINSD
        0x5E | Np | L01, ModRm | VW | HR | WR | ML | Avx, // VDIVPS
        0x5E | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VDIVPD
        0x5E | PF3, ModRm | VW | HR | WR | M4 | Avx, // VDIVSS
        0x5E | PF2, ModRm | VW | HR | WR | M8 | Avx, // VDIVSD
        0x5F | Np | L01, ModRm | VW | HR | WR | ML | Avx, // VMAXPS
        0x5F | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VMAXPD
        0x5F | PF3, ModRm | VW | HR | WR | M4 | Avx, // VMAXSS
        0x5F | PF2, ModRm | VW | HR | WR | M8 | Avx, // VMAXSD
        0x60 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPUNPCKLBW
        0x61 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPUNPCKLWD
        0x62 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPUNPCKLDQ
        0x63 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPACKSSWB
        0x64 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPCMPGTB
        0x65 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPCMPGTW
        0x66 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPCMPGTD
        0x67 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPACKUSWB
        0x68 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPUNPCKHBW
        0x69 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPUNPCKHWD
        0x6A | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPUNPCKHDQ
        0x6B | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPACKSSDW
        0x6C | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPUNPCKLQDQ
        0x6D | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPUNPCKHQDQ
        0x6E | P66 | L0, ModRm | VW | ER | Mw | Oy | Avx, // VMOVD/VMOVQ
        0x6F | P66 | L01, ModRm | VW | WR | ML | Avx | Aligned, // VMOVDQA
        0x6F | PF3 | L01, ModRm | VW | WR | ML | Avx, // VMOVDQU
        0x70 | P66 | L01, ModRm | VW | WR | Ub | ML | AvxInteger, // VPSHUFD
        0x70 | PF3 | L01, ModRm | VW | WR | Ub | ML | AvxInteger, // VPSHUFHW
        0x70 | PF2 | L01, ModRm | VW | WR | Ub | ML | AvxInteger, // VPSHUFLW
        0x71 | D2 | P66 | Rgs | L01, ModRm | HW | WR | Ub | AvxInteger, // VPSRLW
        0x71 | D4 | P66 | Rgs | L01, ModRm | HW | WR | Ub | AvxInteger, // VPSRAW
        0x71 | D6 | P66 | Rgs | L01, ModRm | HW | WR | Ub | AvxInteger, // VPSLLW
        0x72 | D2 | P66 | Rgs | L01, ModRm | HW | WR | Ub | AvxInteger, // VPSRLD
        0x72 | D4 | P66 | Rgs | L01, ModRm | HW | WR | Ub | AvxInteger, // VPSRAD
        0x72 | D6 | P66 | Rgs | L01, ModRm | HW | WR | Ub | AvxInteger, // VPSLLD
        0x73 | D2 | P66 | Rgs | L01, ModRm | HW | WR | Ub | AvxInteger, // VPSRLQ
        0x73 | D3 | P66 | Rgs | L01, ModRm | HW | WR | Ub | AvxInteger, // VPSRLDQ
        0x73 | D6 | P66 | Rgs | L01, ModRm | HW | WR | Ub | AvxInteger, // VPSLLQ
        0x73 | D7 | P66 | Rgs | L01, ModRm | HW | WR | Ub | AvxInteger, // VPSLLDQ
        0x74 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPCMPEQB
        0x75 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPCMPEQW
        0x76 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPCMPEQD
        0x77 | Np | L0, Avx, // VZEROUPPER
        0x77 | Np | L1, Avx, // VZEROALL
        0x7C | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VHADDPD
        0x7C | PF2 | L01, ModRm | VW | HR | WR | ML | Avx, // VHADDPS
        0x7D | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VHSUBPD
        0x7D | PF2 | L01, ModRm | VW | HR | WR | ML | Avx, // VHSUBPS
        0x7E | P66 | L0, ModRm | VR | EW | Mw | Oy | Avx, // VMOVD/VMOVQ
        0x7E | PF3 | L0, ModRm | VW | WR | M8 | Avx, // VMOVQ
        0x7F | P66 | L01, ModRm | VR | WW | ML | Avx | Aligned, // VMOVDQA
        0x7F | PF3 | L01, ModRm | VR | WW | ML | Avx, // VMOVDQU
        0x90 | Np | W0 | L0, ModRm | KgW | KeR | M2 | Avx512, // KMOVW
        0x90 | Np | W1 | L0, ModRm | KgW | KeR | M8 | Avx512BW, // KMOVQ
        0x90 | P66 | W0 | L0, ModRm | KgW | KeR | M1 | Avx512DQ, // KMOVB
        0x90 | P66 | W1 | L0, ModRm | KgW | KeR | M4 | Avx512BW, // KMOVD
        0x91 | Np | Mem | W0 | L0, ModRm | KgR | MW | M2 | Avx512, // KMOVW
        0x91 | Np | Mem | W1 | L0, ModRm | KgR | MW | M8 | Avx512BW, // KMOVQ
        0x91 | P66 | Mem | W0 | L0, ModRm | KgR | MW | M1 | Avx512DQ, // KMOVB
        0x91 | P66 | Mem | W1 | L0, ModRm | KgR | MW | M4 | Avx512BW, // KMOVD
        0x92 | Np | Rgs | W0 | L0, ModRm | KgW | ER | Oy | Avx512, // KMOVW
        0x92 | P66 | Rgs | W0 | L0, ModRm | KgW | ER | Oy | Avx512DQ, // KMOVB
        0x92 | PF2 | Rgs | L0, ModRm | KgW | ER | Oy | Avx512BW, // KMOVD/KMOVQ
        0x93 | Np | Rgs | W0 | L0, ModRm | GW | KeR | Oy | Avx512, // KMOVW
        0x93 | P66 | Rgs | W0 | L0, ModRm | GW | KeR | Oy | Avx512DQ, // KMOVB
        0x93 | PF2 | Rgs | L0, ModRm | GW | KeR | Oy | Avx512BW, // KMOVD/KMOVQ
        0x98 | Np | Rgs | W0 | L0, ModRm | KgR | KeR | FlWcpazso | Avx512, // KORTESTW
        0x98 | Np | Rgs | W1 | L0, ModRm | KgR | KeR | FlWcpazso | Avx512BW, // KORTESTQ
        0x98 | P66 | Rgs | W0 | L0, ModRm | KgR | KeR | FlWcpazso | Avx512DQ, // KORTESTB
        0x98 | P66 | Rgs | W1 | L0, ModRm | KgR | KeR | FlWcpazso | Avx512BW, // KORTESTD
        0x99 | Np | Rgs | W0 | L0, ModRm | KgR | KeR | FlWcpazso | Avx512DQ, // KTESTW
        0x99 | Np | Rgs | W1 | L0, ModRm | KgR | KeR | FlWcpazso | Avx512BW, // KTESTQ
        0x99 | P66 | Rgs | W0 | L0, ModRm | KgR | KeR | FlWcpazso | Avx512DQ, // KTESTB
        0x99 | P66 | Rgs | W1 | L0, ModRm | KgR | KeR | FlWcpazso | Avx512BW, // KTESTD
        0xAE | D2 | Np | Mem | L0, ModRm | MR | M4 | Avx | (ulong)Id.Ldmxcsr, // VLDMXCSR
        0xAE | D3 | Np | Mem | L0, ModRm | MW | M4 | Avx, // VSTMXCSR
        0xC2 | Np | L01, ModRm | VW | HR | WR | Ub | ML | Avx, // VCMPPS
        0xC2 | P66 | L01, ModRm | VW | HR | WR | Ub | ML | Avx, // VCMPPD
        0xC2 | PF3, ModRm | VW | HR | WR | Ub | M4 | Avx, // VCMPSS
        0xC2 | PF2, ModRm | VW | HR | WR | Ub | M8 | Avx, // VCMPSD
        0xC4 | P66 | L0, ModRm | VW | HR | ER | Ub | M2 | Oy | Avx, // VPINSRW
        0xC5 | P66 | Rgs | L0, ModRm | GW | WR | Ub | Oy | Avx, // VPEXTRW
        0xC6 | Np | L01, ModRm | VW | HR | WR | Ub | ML | Avx, // VSHUFPS
        0xC6 | P66 | L01, ModRm | VW | HR | WR | Ub | ML | Avx, // VSHUFPD
        0xD0 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VADDSUBPD
        0xD0 | PF2 | L01, ModRm | VW | HR | WR | ML | Avx, // VADDSUBPS
        0xD1 | P66 | L01, ModRm | VW | HR | WR | M16 | AvxInteger, // VPSRLW
        0xD2 | P66 | L01, ModRm | VW | HR | WR | M16 | AvxInteger, // VPSRLD
        0xD3 | P66 | L01, ModRm | VW | HR | WR | M16 | AvxInteger, // VPSRLQ
        0xD4 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPADDQ
        0xD5 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPMULLW
        0xD6 | P66 | L0, ModRm | VR | WW | M8 | Avx, // VMOVQ
        0xD7 | P66 | Rgs | L01, ModRm | GW | WR | Oy | AvxInteger, // VPMOVMSKB
        0xD8 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPSUBUSB
        0xD9 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPSUBUSW
        0xDA | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPMINUB
        0xDB | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPAND
        0xDC | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPADDUSB
        0xDD | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPADDUSW
        0xDE | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPMAXUB
        0xDF | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPANDN
        0xE0 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPAVGB
        0xE1 | P66 | L01, ModRm | VW | HR | WR | M16 | AvxInteger, // VPSRAW
        0xE2 | P66 | L01, ModRm | VW | HR | WR | M16 | AvxInteger, // VPSRAD
        0xE3 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPAVGW
        0xE4 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPMULHUW
        0xE5 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPMULHW
        0xE6 | P66 | L01, ModRm | VW | WR | ML | Avx, // VCVTTPD2DQ
        0xE6 | PF3 | L01, ModRm | VW | WR | ML2 | Avx, // VCVTDQ2PD
        0xE6 | PF2 | L01, ModRm | VW | WR | ML | Avx, // VCVTPD2DQ
        0xE7 | P66 | Mem | L01, ModRm | VR | MW | ML | Avx | Aligned, // VMOVNTDQ
        0xE8 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPSUBSB
        0xE9 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPSUBSW
        0xEA | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPMINSW
        0xEB | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPOR
        0xEC | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPADDSB
        0xED | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPADDSW
        0xEE | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPMAXSW
        0xEF | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPXOR
        0xF0 | PF2 | Mem | L01, ModRm | VW | MR | ML | Avx, // VLDDQU
        0xF1 | P66 | L01, ModRm | VW | HR | WR | M16 | AvxInteger, // VPSLLW
        0xF2 | P66 | L01, ModRm | VW | HR | WR | M16 | AvxInteger, // VPSLLD
        0xF3 | P66 | L01, ModRm | VW | HR | WR | M16 | AvxInteger, // VPSLLQ
        0xF4 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPMULUDQ
        0xF5 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPMADDWD
        0xF6 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPSADBW
        0xF7 | P66 | Rgs | L0, ModRm | VR | WR | ImRDi | Avx | (ulong)Id.MaskMoveBytes, // VMASKMOVDQU
        0xF8 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPSUBB
        0xF9 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPSUBW
        0xFA | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPSUBD
        0xFB | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPSUBQ
        0xFC | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPADDB
        0xFD | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPADDW
        0xFE | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPADDD
    ];

    /// <summary>Map 2 (0F 38).</summary>
    internal static ReadOnlySpan<ulong> Map2 =>
    [
        0x00 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPSHUFB
        0x01 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPHADDW
        0x02 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPHADDD
        0x03 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPHADDSW
        0x04 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPMADDUBSW
        0x05 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPHSUBW
        0x06 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPHSUBD
        0x07 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPHSUBSW
        0x08 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPSIGNB
        0x09 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPSIGNW
        0x0A | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPSIGND
        0x0B | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPMULHRSW
        0x0C | P66 | W0 | L01, ModRm | VW | HR | WR | ML | Avx, // VPERMILPS
        0x0D | P66 | W0 | L01, ModRm | VW | HR | WR | ML | Avx, // VPERMILPD
        0x0E | P66 | W0 | L01, ModRm | VR | WR | ML | FlWcpazso | Avx, // VTESTPS
        0x0F | P66 | W0 | L01, ModRm | VR | WR | ML | FlWcpazso | Avx, // VTESTPD
        0x13 | P66 | W0 | L01, ModRm | VW | WR | ML2 | F16c, // VCVTPH2PS
        0x16 | P66 | W0 | L1, ModRm | VW | HR | WR | M32 | Avx2, // VPERMPS
        0x17 | P66 | L01, ModRm | VR | WR | ML | FlWcpazso | Avx, // VPTEST
        0x18 | P66 | Mem | W0 | L01, ModRm | VW | MR | M4 | Avx, // VBROADCASTSS
        0x18 | P66 | Rgs | W0 | L01, ModRm | VW | WR | Avx2, // VBROADCASTSS
        0x19 | P66 | Mem | W0 | L1, ModRm | VW | MR | M8 | Avx, // VBROADCASTSD
        0x19 | P66 | Rgs | W0 | L1, ModRm | VW | WR | Avx2, // VBROADCASTSD
        0x1A | P66 | Mem | W0 | L1, ModRm | VW | MR | M16 | Avx, // VBROADCASTF128
        0x1C | P66 | L01, ModRm | VW | WR | ML | AvxInteger, // VPABSB
        0x1D | P66 | L01, ModRm | VW | WR | ML | AvxInteger, // VPABSW
        0x1E | P66 | L01, ModRm | VW | WR | ML | AvxInteger, // VPABSD
        0x20 | P66 | L01, ModRm | VW | WR | ML2 | AvxInteger, // VPMOVSXBW
        0x21 | P66 | L01, ModRm | VW | WR | ML4 | AvxInteger, // VPMOVSXBD
        0x22 | P66 | L01, ModRm | VW | WR | ML8 | AvxInteger, // VPMOVSXBQ
        0x23 | P66 | L01, ModRm | VW | WR | ML2 | AvxInteger, // VPMOVSXWD
        0x24 | P66 | L01, ModRm | VW | WR | ML4 | AvxInteger, // VPMOVSXWQ
        0x25 | P66 | L01, ModRm | VW | WR | ML2 | AvxInteger, // VPMOVSXDQ
        0x28 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPMULDQ
        0x29 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPCMPEQQ
        0x2A | P66 | Mem | L01, ModRm | VW | MR | ML | AvxInteger | Aligned, // VMOVNTDQA
        0x2B | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPACKUSDW
        0x2C | P66 | Mem | W0 | L01 | Masked, ModRm | VW | HR | MR | ML | Avx, // VMASKMOVPS
        0x2D | P66 | Mem | W0 | L01 | Masked, ModRm | VW | HR | MR | ML | Avx, // VMASKMOVPD
        0x2E | P66 | Mem | W0 | L01 | Masked, ModRm | VR | HR | MW | ML | Avx, // VMASKMOVPS
        0x2F | P66 | Mem | W0 | L01 | Masked, ModRm | VR | HR | MW | ML | Avx, // VMASKMOVPD
        0x30 | P66 | L01, ModRm | VW | WR | ML2 | AvxInteger, // VPMOVZXBW
        0x31 | P66 | L01, ModRm | VW | WR | ML4 | AvxInteger, // VPMOVZXBD
        0x32 | P66 | L01, ModRm | VW | WR | ML8 | AvxInteger, // VPMOVZXBQ
        0x33 | P66 | L01, ModRm | VW | WR | ML2 | AvxInteger, // VPMOVZXWD
        0x34 | P66 | L01, ModRm | VW | WR | ML4 | AvxInteger, // VPMOVZXWQ
        0x35 | P66 | L01, ModRm | VW | WR | ML2 | AvxInteger, // VPMOVZXDQ
        0x36 | P66 | W0 | L1, ModRm | VW | HR | WR | M32 | Avx2, // VPERMD
        0x37 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPCMPGTQ
        0x38 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPMINSB
        0x39 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPMINSD
        0x3A | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPMINUW
        0x3B | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPMINUD
        0x3C | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPMAXSB
        0x3D | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPMAXSD
        0x3E | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPMAXUW
        0x3F | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPMAXUD
        0x40 | P66 | L01, ModRm | VW | HR | WR | ML | AvxInteger, // VPMULLD
        0x41 | P66 | L0, ModRm | VW | WR | M16 | Avx, // VPHMINPOSUW
        0x45 | P66 | W0 | L01, ModRm | VW | HR | WR | ML | Avx2, // VPSRLVD
        0x45 | P66 | W1 | L01, ModRm | VW | HR | WR | ML | Avx2, // VPSRLVQ
        0x46 | P66 | W0 | L01, ModRm | VW | HR | WR | ML | Avx2, // VPSRAVD
        0x47 | P66 | W0 | L01, ModRm | VW | HR | WR | ML | Avx2, // VPSLLVD
        0x47 | P66 | W1 | L01, ModRm | VW | HR | WR | ML | Avx2, // VPSLLVQ
        0x50 | P66 | W0 | L01, ModRm | VX | HR | WR | ML | AvxVnni, // VPDPBUSD
        0x51 | P66 | W0 | L01, ModRm | VX | HR | WR | ML | AvxVnni, // VPDPBUSDS
        0x52 | P66 | W0 | L01, ModRm | VX | HR | WR | ML | AvxVnni, // VPDPWSSD
        0x53 | P66 | W0 | L01, ModRm | VX | HR | WR | ML | AvxVnni, // VPDPWSSDS
        0x58 | P66 | W0 | L01, ModRm | VW | WR | M4 | Avx2, // VPBROADCASTD
        0x59 | P66 | W0 | L01, ModRm | VW | WR | M8 | Avx2, // VPBROADCASTQ
        0x5A | P66 | Mem | W0 | L1, ModRm | VW | MR | M16 | Avx2, // VBROADCASTI128
        0x72 | PF3 | W0 | L01, ModRm | VW | WR | ML | AvxNoModel, // VCVTNEPS2BF16
        0x78 | P66 | W0 | L01, ModRm | VW | WR | M1 | Avx2, // VPBROADCASTB
        0x79 | P66 | W0 | L01, ModRm | VW | WR | M2 | Avx2, // VPBROADCASTW
        0x8C | P66 | Mem | W0 | L01 | Masked, ModRm | VW | HR | MR | ML | Avx2, // VPMASKMOVD
        0x8C | P66 | Mem | W1 | L01 | Masked, ModRm | VW | HR | MR | ML | Avx2, // VPMASKMOVQ
        0x8E | P66 | Mem | W0 | L01 | Masked, ModRm | VR | HR | MW | ML | Avx2, // VPMASKMOVD
        0x8E | P66 | Mem | W1 | L01 | Masked, ModRm | VR | HR | MW | ML | Avx2, // VPMASKMOVQ
        0x90 | P66 | Mem | W0 | L01 | Vsib | Distinct, ModRm | VX | HX | MR | M4 | Avx2 | (ulong)Id.Gather, // VPGATHERDD
        0x90 | P66 | Mem | W1 | L01 | Vsib | Distinct, ModRm | VX | HX | MR | M8 | Avx2 | (ulong)Id.Gather, // VPGATHERDQ
        0x91 | P66 | Mem | W0 | L01 | Vsib | Distinct, ModRm | VX | HX | MR | M4 | Avx2 | (ulong)Id.Gather, // VPGATHERQD
        0x91 | P66 | Mem | W1 | L01 | Vsib | Distinct, ModRm | VX | HX | MR | M8 | Avx2 | (ulong)Id.Gather, // VPGATHERQQ
        0x92 | P66 | Mem | W0 | L01 | Vsib | Distinct, ModRm | VX | HX | MR | M4 | Avx2 | (ulong)Id.Gather, // VGATHERDPS
        0x92 | P66 | Mem | W1 | L01 | Vsib | Distinct, ModRm | VX | HX | MR | M8 | Avx2 | (ulong)Id.Gather, // VGATHERDPD
        0x93 | P66 | Mem | W0 | L01 | Vsib | Distinct, ModRm | VX | HX | MR | M4 | Avx2 | (ulong)Id.Gather, // VGATHERQPS
        0x93 | P66 | Mem | W1 | L01 | Vsib | Distinct, ModRm | VX | HX | MR | M8 | Avx2 | (ulong)Id.Gather, // VGATHERQPD
        0x96 | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Fma, // VFMADDSUB132PS
        0x96 | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Fma, // VFMADDSUB132PD
        0x97 | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Fma, // VFMSUBADD132PS
        0x97 | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Fma, // VFMSUBADD132PD
        0x98 | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Fma, // VFMADD132PS
        0x98 | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Fma, // VFMADD132PD
        0x99 | P66 | W0, ModRm | VX | HR | WR | M4 | Fma, // VFMADD132SS
        0x99 | P66 | W1, ModRm | VX | HR | WR | M8 | Fma, // VFMADD132SD
        0x9A | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Fma, // VFMSUB132PS
        0x9A | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Fma, // VFMSUB132PD
        0x9B | P66 | W0, ModRm | VX | HR | WR | M4 | Fma, // VFMSUB132SS
        0x9B | P66 | W1, ModRm | VX | HR | WR | M8 | Fma, // VFMSUB132SD
        0x9C | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Fma, // VFNMADD132PS
        0x9C | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Fma, // VFNMADD132PD
        0x9D | P66 | W0, ModRm | VX | HR | WR | M4 | Fma, // VFNMADD132SS
        0x9D | P66 | W1, ModRm | VX | HR | WR | M8 | Fma, // VFNMADD132SD
        0x9E | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Fma, // VFNMSUB132PS
        0x9E | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Fma, // VFNMSUB132PD
        0x9F | P66 | W0, ModRm | VX | HR | WR | M4 | Fma, // VFNMSUB132SS
        0x9F | P66 | W1, ModRm | VX | HR | WR | M8 | Fma, // VFNMSUB132SD
        0xA6 | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Fma, // VFMADDSUB213PS
        0xA6 | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Fma, // VFMADDSUB213PD
        0xA7 | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Fma, // VFMSUBADD213PS
        0xA7 | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Fma, // VFMSUBADD213PD
        0xA8 | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Fma, // VFMADD213PS
        0xA8 | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Fma, // VFMADD213PD
        0xA9 | P66 | W0, ModRm | VX | HR | WR | M4 | Fma, // VFMADD213SS
        0xA9 | P66 | W1, ModRm | VX | HR | WR | M8 | Fma, // VFMADD213SD
        0xAA | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Fma, // VFMSUB213PS
        0xAA | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Fma, // VFMSUB213PD
        0xAB | P66 | W0, ModRm | VX | HR | WR | M4 | Fma, // VFMSUB213SS
        0xAB | P66 | W1, ModRm | VX | HR | WR | M8 | Fma, // VFMSUB213SD
        0xAC | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Fma, // VFNMADD213PS
        0xAC | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Fma, // VFNMADD213PD
        0xAD | P66 | W0, ModRm | VX | HR | WR | M4 | Fma, // VFNMADD213SS
        0xAD | P66 | W1, ModRm | VX | HR | WR | M8 | Fma, // VFNMADD213SD
        0xAE | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Fma, // VFNMSUB213PS
        0xAE | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Fma, // VFNMSUB213PD
        0xAF | P66 | W0, ModRm | VX | HR | WR | M4 | Fma, // VFNMSUB213SS
        0xAF | P66 | W1, ModRm | VX | HR | WR | M8 | Fma, // VFNMSUB213SD
        0xB0 | Np | Mem | W0 | L01, ModRm | VW | MR | ML | AvxNoModel, // VCVTNEOPH2PS
        0xB0 | P66 | Mem | W0 | L01, ModRm | VW | MR | ML | AvxNoModel, // VCVTNEEPH2PS
        0xB0 | PF3 | Mem | W0 | L01, ModRm | VW | MR | ML | AvxNoModel, // VCVTNEEBF162PS
        0xB0 | PF2 | Mem | W0 | L01, ModRm | VW | MR | ML | AvxNoModel, // VCVTNEOBF162PS
        0xB1 | P66 | Mem | W0 | L01, ModRm | VW | MR | M2 | AvxNoModel, // VBCSTNESH2PS
        0xB1 | PF3 | Mem | W0 | L01, ModRm | VW | MR | M2 | AvxNoModel, // VBCSTNEBF162PS
        0xB4 | P66 | W1 | L01, ModRm | VX | HR | WR | ML | AvxIfma, // VPMADD52LUQ
        0xB5 | P66 | W1 | L01, ModRm | VX | HR | WR | ML | AvxIfma, // VPMADD52HUQ
        0xB6 | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Fma, // VFMADDSUB231PS
        0xB6 | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Fma, // VFMADDSUB231PD
        0xB7 | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Fma, // VFMSUBADD231PS
        0xB7 | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Fma, // VFMSUBADD231PD
        0xB8 | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Fma, // VFMADD231PS
        0xB8 | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Fma, // VFMADD231PD
        0xB9 | P66 | W0, ModRm | VX | HR | WR | M4 | Fma, // VFMADD231SS
        0xB9 | P66 | W1, ModRm | VX | HR | WR | M8 | Fma, // VFMADD231SD
        0xBA | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Fma, // VFMSUB231PS
        0xBA | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Fma, // VFMSUB231PD
        0xBB | P66 | W0, ModRm | VX | HR | WR | M4 | Fma, // VFMSUB231SS
        0xBB | P66 | W1, ModRm | VX | HR | WR | M8 | Fma, // VFMSUB231SD
        0xBC | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Fma, // VFNMADD231PS
        0xBC | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Fma, // VFNMADD231PD
        0xBD | P66 | W0, ModRm | VX | HR | WR | M4 | Fma, // VFNMADD231SS
        0xBD | P66 | W1, ModRm | VX | HR | WR | M8 | Fma, // VFNMADD231SD
        0xBE | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Fma, // VFNMSUB231PS
        0xBE | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Fma, // VFNMSUB231PD
        0xBF | P66 | W0, ModRm | VX | HR | WR | M4 | Fma, // VFNMSUB231SS
        0xBF | P66 | W1, ModRm | VX | HR | WR | M8 | Fma, // VFNMSUB231SD
        0xCF | P66 | W0 | L01, ModRm | VW | HR | WR | ML | GfniVex, // VGF2P8MULB
        0xDB | P66 | L0, ModRm | VW | WR | M16 | Vaes, // VAESIMC
        0xDC | P66 | L01, ModRm | VW | HR | WR | ML | Vaes, // VAESENC
        0xDD | P66 | L01, ModRm | VW | HR | WR | ML | Vaes, // VAESENCLAST
        0xDE | P66 | L01, ModRm | VW | HR | WR | ML | Vaes, // VAESDEC
        0xDF | P66 | L01, ModRm | VW | HR | WR | ML | Vaes, // VAESDECLAST
        0xF2 | Np | L0, ModRm | GW | BR | ER | Mw | Oy | FlWcpazsoUpa | Bmi1, // ANDN
        0xF3 | D1 | Np | L0, ModRm | BW | ER | Mw | Oy | FlWcpazsoUpa | Bmi1, // BLSR
        0xF3 | D2 | Np | L0, ModRm | BW | ER | Mw | Oy | FlWcpazsoUpa | Bmi1, // BLSMSK
        0xF3 | D3 | Np | L0, ModRm | BW | ER | Mw | Oy | FlWcpazsoUpa | Bmi1, // BLSI
        0xF5 | Np | L0, ModRm | GW | BR | ER | Mw | Oy | FlWcpazsoUpa | Bmi2, // BZHI
        0xF5 | PF3 | L0, ModRm | GW | BR | ER | Mw | Oy | Bmi2, // PEXT
        0xF5 | PF2 | L0, ModRm | GW | BR | ER | Mw | Oy | Bmi2, // PDEP
        0xF6 | PF2 | L0, ModRm | GW | BW | ER | Mw | Oy | ImRd | Bmi2, // MULX
        0xF7 | Np | L0, ModRm | GW | BR | ER | Mw | Oy | FlWcpazsoUpas | Bmi1, // BEXTR
        0xF7 | P66 | L0, ModRm | GW | BR | ER | Mw | Oy | Bmi2, // SHLX
        0xF7 | PF3 | L0, ModRm | GW | BR | ER | Mw | Oy | Bmi2, // SARX
        0xF7 | PF2 | L0, ModRm | GW | BR | ER | Mw | Oy | Bmi2, // SHRX
    ];

    /// <summary>Map 3 (0F 3A).</summary>
    internal static ReadOnlySpan<ulong> Map3 =>
    [
        0x00 | P66 | W1 | L1, ModRm | VW | WR | Ub | M32 | Avx2, // VPERMQ
        0x01 | P66 | W1 | L1, ModRm | VW | WR | Ub | M32 | Avx2, // VPERMPD
        0x02 | P66 | W0 | L01, ModRm | VW | HR | WR | Ub | ML | Avx2, // VPBLENDD
        0x04 | P66 | W0 | L01, ModRm | VW | WR | Ub | ML | Avx, // VPERMILPS
        0x05 | P66 | W0 | L01, ModRm | VW | WR | Ub | ML | Avx, // VPERMILPD
        0x06 | P66 | W0 | L1, ModRm | VW | HR | WR | Ub | M32 | Avx, // VPERM2F128
        0x08 | P66 | L01, ModRm | VW | WR | Ub | ML | Avx, // VROUNDPS
        0x09 | P66 | L01, ModRm | VW | WR | Ub | ML | Avx, // VROUNDPD
        0x0A | P66, ModRm | VW | HR | WR | Ub | M4 | Avx, // VROUNDSS
        0x0B | P66, ModRm | VW | HR | WR | Ub | M8 | Avx, // VROUNDSD
        0x0C | P66 | L01, ModRm | VW | HR | WR | Ub | ML | Avx, // VBLENDPS
        0x0D | P66 | L01, ModRm | VW | HR | WR | Ub | ML | Avx, // VBLENDPD
        0x0E | P66 | L01, ModRm | VW | HR | WR | Ub | ML | AvxInteger, // VPBLENDW
        0x0F | P66 | L01, ModRm | VW | HR | WR | Ub | ML | AvxInteger, // VPALIGNR
        0x14 | P66 | L0, ModRm | VR | EW | Ub | M1 | Oy | Avx, // VPEXTRB
        0x15 | P66 | L0, ModRm | VR | EW | Ub | M2 | Oy | Avx, // VPEXTRW
        0x16 | P66 | L0, ModRm | VR | EW | Ub | Mw | Oy | Avx, // VPEXTRD/VPEXTRQ
        0x17 | P66 | L0, ModRm | VR | EW | Ub | M4 | Oy | Avx, // VEXTRACTPS
        0x18 | P66 | W0 | L1, ModRm | VW | HR | WR | Ub | M16 | Avx, // VINSERTF128
        0x19 | P66 | W0 | L1, ModRm | VR | WW | Ub | M16 | Avx, // VEXTRACTF128
        0x1D | P66 | W0 | L01, ModRm | VR | WW | Ub | ML2 | F16c, // VCVTPS2PH
        0x20 | P66 | L0, ModRm | VW | HR | ER | Ub | M1 | Oy | Avx, // VPINSRB
        0x21 | P66 | L0, ModRm | VW | HR | WR | Ub | M4 | Avx, // VINSERTPS
        0x22 | P66 | L0, ModRm | VW | HR | ER | Ub | Mw | Oy | Avx, // VPINSRD/VPINSRQ
        0x30 | P66 | Rgs | W0 | L0, ModRm | KgW | KeR | Ub | Avx512DQ, // KSHIFTRB
        0x30 | P66 | Rgs | W1 | L0, ModRm | KgW | KeR | Ub | Avx512, // KSHIFTRW
        0x31 | P66 | Rgs | W0 | L0, ModRm | KgW | KeR | Ub | Avx512BW, // KSHIFTRD
        0x31 | P66 | Rgs | W1 | L0, ModRm | KgW | KeR | Ub | Avx512BW, // KSHIFTRQ
        0x32 | P66 | Rgs | W0 | L0, ModRm | KgW | KeR | Ub | Avx512DQ, // KSHIFTLB
        0x32 | P66 | Rgs | W1 | L0, ModRm | KgW | KeR | Ub | Avx512, // KSHIFTLW
        0x33 | P66 | Rgs | W0 | L0, ModRm | KgW | KeR | Ub | Avx512BW, // KSHIFTLD
        0x33 | P66 | Rgs | W1 | L0, ModRm | KgW | KeR | Ub | Avx512BW, // KSHIFTLQ
        0x38 | P66 | W0 | L1, ModRm | VW | HR | WR | Ub | M16 | Avx2, // VINSERTI128
        0x39 | P66 | W0 | L1, ModRm | VR | WW | Ub | M16 | Avx2, // VEXTRACTI128
        0x40 | P66 | L01, ModRm | VW | HR | WR | Ub | ML | Avx, // VDPPS
        0x41 | P66 | L0, ModRm | VW | HR | WR | Ub | M16 | Avx, // VDPPD
        0x42 | P66 | L01, ModRm | VW | HR | WR | Ub | ML | AvxInteger, // VMPSADBW
        0x44 | P66 | L01, ModRm | VW | HR | WR | Ub | ML | Vpclmul, // VPCLMULQDQ
        0x46 | P66 | W0 | L1, ModRm | VW | HR | WR | Ub | M32 | Avx2, // VPERM2I128
        0x4A | P66 | W0 | L01, ModRm | VW | HR | WR | Ub | ML | Avx, // VBLENDVPS
        0x4B | P66 | W0 | L01, ModRm | VW | HR | WR | Ub | ML | Avx, // VBLENDVPD
        0x4C | P66 | W0 | L01, ModRm | VW | HR | WR | Ub | ML | AvxInteger, // VPBLENDVB
        0x60 | P66 | L0, ModRm | VR | WR | Ub | M16 | FlWcpazso | ImRad | Avx, // VPCMPESTRM/VPCMPESTRM64
        0x61 | P66 | L0, ModRm | VR | WR | Ub | M16 | FlWcpazso | ImRadWc | Avx, // VPCMPESTRI/VPCMPESTRI64
        0x62 | P66 | L0, ModRm | VR | WR | Ub | M16 | FlWcpazso | Avx, // VPCMPISTRM
        0x63 | P66 | L0, ModRm | VR | WR | Ub | M16 | FlWcpazso | ImWc | Avx, // VPCMPISTRI
        0xCE | P66 | W1 | L01, ModRm | VW | HR | WR | Ub | ML | GfniVex, // VGF2P8AFFINEQB
        0xCF | P66 | W1 | L01, ModRm | VW | HR | WR | Ub | ML | GfniVex, // VGF2P8AFFINEINVQB
        0xDF | P66 | L0, ModRm | VW | WR | Ub | M16 | Vaes, // VAESKEYGENASSIST
        0xF0 | PF2 | L0, ModRm | GW | ER | Ub | Mw | Oy | Bmi2, // RORX
    ];
}
