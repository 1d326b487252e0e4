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
        0x41 | Np | Rgs | W1 | L1, ModRm | KgW | KvR | KeR | Avx512, // KANDQ
        0x41 | P66 | Rgs | W0 | L1, ModRm | KgW | KvR | KeR | Avx512, // KANDB
        0x41 | P66 | Rgs | W1 | L1, ModRm | KgW | KvR | KeR | Avx512, // KANDD
        0x42 | Np | Rgs | W0 | L1, ModRm | KgW | KvR | KeR | Avx512, // KANDNW
        0x42 | Np | Rgs | W1 | L1, ModRm | KgW | KvR | KeR | Avx512, // KANDNQ
        0x42 | P66 | Rgs | W0 | L1, ModRm | KgW | KvR | KeR | Avx512, // KANDNB
        0x42 | P66 | Rgs | W1 | L1, ModRm | KgW | KvR | KeR | Avx512, // KANDND
        0x44 | Np | Rgs | W0 | L0, ModRm | KgW | KeR | Avx512, // KNOTW
        0x44 | Np | Rgs | W1 | L0, ModRm | KgW | KeR | Avx512, // KNOTQ
        0x44 | P66 | Rgs | W0 | L0, ModRm | KgW | KeR | Avx512, // KNOTB
        0x44 | P66 | Rgs | W1 | L0, ModRm | KgW | KeR | Avx512, // KNOTD
        0x45 | Np | Rgs | W0 | L1, ModRm | KgW | KvR | KeR | Avx512, // KORW
        0x45 | Np | Rgs | W1 | L1, ModRm | KgW | KvR | KeR | Avx512, // KORQ
        0x45 | P66 | Rgs | W0 | L1, ModRm | KgW | KvR | KeR | Avx512, // KORB
        0x45 | P66 | Rgs | W1 | L1, ModRm | KgW | KvR | KeR | Avx512, // KORD
        0x46 | Np | Rgs | W0 | L1, ModRm | KgW | KvR | KeR | Avx512, // KXNORW
        0x46 | Np | Rgs | W1 | L1, ModRm | KgW | KvR | KeR | Avx512, // KXNORQ
        0x46 | P66 | Rgs | W0 | L1, ModRm | KgW | KvR | KeR | Avx512, // KXNORB
        0x46 | P66 | Rgs | W1 | L1, ModRm | KgW | KvR | KeR | Avx512, // KXNORD
        0x47 | Np | Rgs | W0 | L1, ModRm | KgW | KvR | KeR | Avx512, // KXORW
        0x47 | Np | Rgs | W1 | L1, ModRm | KgW | KvR | KeR | Avx512, // KXORQ
        0x47 | P66 | Rgs | W0 | L1, ModRm | KgW | KvR | KeR | Avx512, // KXORB
        0x47 | P66 | Rgs | W1 | L1, ModRm | KgW | KvR | KeR | Avx512, // KXORD
        0x4A | Np | Rgs | W0 | L1, ModRm | KgW | KvR | KeR | Avx512, // KADDW
        0x4A | Np | Rgs | W1 | L1, ModRm | KgW | KvR | KeR | Avx512, // KADDQ
        0x4A | P66 | Rgs | W0 | L1, ModRm | KgW | KvR | KeR | Avx512, // KADDB
        0x4A | P66 | Rgs | W1 | L1, ModRm | KgW | KvR | KeR | Avx512, // KADDD
        0x4B | Np | Rgs | W0 | L1, ModRm | KgW | KvR | KeR | Avx512, // KUNPCKWD
        0x4B | Np | Rgs | W1 | L1, ModRm | KgW | KvR | KeR | Avx512, // KUNPCKDQ
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
        0x60 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPUNPCKLBW
        0x61 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPUNPCKLWD
        0x62 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPUNPCKLDQ
        0x63 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPACKSSWB
        0x64 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPCMPGTB
        0x65 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPCMPGTW
        0x66 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPCMPGTD
        0x67 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPACKUSWB
        0x68 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPUNPCKHBW
        0x69 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPUNPCKHWD
        0x6A | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPUNPCKHDQ
        0x6B | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPACKSSDW
        0x6C | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPUNPCKLQDQ
        0x6D | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPUNPCKHQDQ
        0x6E | P66 | L0, ModRm | VW | ER | Mw | Oy | Avx, // VMOVD/VMOVQ
        0x6F | P66 | L01, ModRm | VW | WR | ML | Avx | Aligned, // VMOVDQA
        0x6F | PF3 | L01, ModRm | VW | WR | ML | Avx, // VMOVDQU
        0x70 | P66 | L01, ModRm | VW | WR | Ub | ML | Avx, // VPSHUFD
        0x70 | PF3 | L01, ModRm | VW | WR | Ub | ML | Avx, // VPSHUFHW
        0x70 | PF2 | L01, ModRm | VW | WR | Ub | ML | Avx, // VPSHUFLW
        0x71 | D2 | P66 | Rgs | L01, ModRm | HW | WR | Ub | Avx, // VPSRLW
        0x71 | D4 | P66 | Rgs | L01, ModRm | HW | WR | Ub | Avx, // VPSRAW
        0x71 | D6 | P66 | Rgs | L01, ModRm | HW | WR | Ub | Avx, // VPSLLW
        0x72 | D2 | P66 | Rgs | L01, ModRm | HW | WR | Ub | Avx, // VPSRLD
        0x72 | D4 | P66 | Rgs | L01, ModRm | HW | WR | Ub | Avx, // VPSRAD
        0x72 | D6 | P66 | Rgs | L01, ModRm | HW | WR | Ub | Avx, // VPSLLD
        0x73 | D2 | P66 | Rgs | L01, ModRm | HW | WR | Ub | Avx, // VPSRLQ
        0x73 | D3 | P66 | Rgs | L01, ModRm | HW | WR | Ub | Avx, // VPSRLDQ
        0x73 | D6 | P66 | Rgs | L01, ModRm | HW | WR | Ub | Avx, // VPSLLQ
        0x73 | D7 | P66 | Rgs | L01, ModRm | HW | WR | Ub | Avx, // VPSLLDQ
        0x74 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPCMPEQB
        0x75 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPCMPEQW
        0x76 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPCMPEQD
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
        0x90 | Np | W1 | L0, ModRm | KgW | KeR | M8 | Avx512, // KMOVQ
        0x90 | P66 | W0 | L0, ModRm | KgW | KeR | M1 | Avx512, // KMOVB
        0x90 | P66 | W1 | L0, ModRm | KgW | KeR | M4 | Avx512, // KMOVD
        0x91 | Np | Mem | W0 | L0, ModRm | KgR | MW | M2 | Avx512, // KMOVW
        0x91 | Np | Mem | W1 | L0, ModRm | KgR | MW | M8 | Avx512, // KMOVQ
        0x91 | P66 | Mem | W0 | L0, ModRm | KgR | MW | M1 | Avx512, // KMOVB
        0x91 | P66 | Mem | W1 | L0, ModRm | KgR | MW | M4 | Avx512, // KMOVD
        0x92 | Np | Rgs | W0 | L0, ModRm | KgW | ER | Oy | Avx512, // KMOVW
        0x92 | P66 | Rgs | W0 | L0, ModRm | KgW | ER | Oy | Avx512, // KMOVB
        0x92 | PF2 | Rgs | L0, ModRm | KgW | ER | Oy | Avx512, // KMOVD/KMOVQ
        0x93 | Np | Rgs | W0 | L0, ModRm | GW | KeR | Oy | Avx512, // KMOVW
        0x93 | P66 | Rgs | W0 | L0, ModRm | GW | KeR | Oy | Avx512, // KMOVB
        0x93 | PF2 | Rgs | L0, ModRm | GW | KeR | Oy | Avx512, // KMOVD/KMOVQ
        0x98 | Np | Rgs | W0 | L0, ModRm | KgR | KeR | FlWcpazso | Avx512, // KORTESTW
        0x98 | Np | Rgs | W1 | L0, ModRm | KgR | KeR | FlWcpazso | Avx512, // KORTESTQ
        0x98 | P66 | Rgs | W0 | L0, ModRm | KgR | KeR | FlWcpazso | Avx512, // KORTESTB
        0x98 | P66 | Rgs | W1 | L0, ModRm | KgR | KeR | FlWcpazso | Avx512, // KORTESTD
        0x99 | Np | Rgs | W0 | L0, ModRm | KgR | KeR | FlWcpazso | Avx512, // KTESTW
        0x99 | Np | Rgs | W1 | L0, ModRm | KgR | KeR | FlWcpazso | Avx512, // KTESTQ
        0x99 | P66 | Rgs | W0 | L0, ModRm | KgR | KeR | FlWcpazso | Avx512, // KTESTB
        0x99 | P66 | Rgs | W1 | L0, ModRm | KgR | KeR | FlWcpazso | Avx512, // KTESTD
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
        0xD1 | P66 | L01, ModRm | VW | HR | WR | M16 | Avx, // VPSRLW
        0xD2 | P66 | L01, ModRm | VW | HR | WR | M16 | Avx, // VPSRLD
        0xD3 | P66 | L01, ModRm | VW | HR | WR | M16 | Avx, // VPSRLQ
        0xD4 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPADDQ
        0xD5 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPMULLW
        0xD6 | P66 | L0, ModRm | VR | WW | M8 | Avx, // VMOVQ
        0xD7 | P66 | Rgs | L01, ModRm | GW | WR | Oy | Avx, // VPMOVMSKB
        0xD8 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPSUBUSB
        0xD9 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPSUBUSW
        0xDA | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPMINUB
        0xDB | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPAND
        0xDC | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPADDUSB
        0xDD | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPADDUSW
        0xDE | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPMAXUB
        0xDF | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPANDN
        0xE0 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPAVGB
        0xE1 | P66 | L01, ModRm | VW | HR | WR | M16 | Avx, // VPSRAW
        0xE2 | P66 | L01, ModRm | VW | HR | WR | M16 | Avx, // VPSRAD
        0xE3 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPAVGW
        0xE4 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPMULHUW
        0xE5 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPMULHW
        0xE6 | P66 | L01, ModRm | VW | WR | ML | Avx, // VCVTTPD2DQ
        0xE6 | PF3 | L01, ModRm | VW | WR | ML2 | Avx, // VCVTDQ2PD
        0xE6 | PF2 | L01, ModRm | VW | WR | ML | Avx, // VCVTPD2DQ
        0xE7 | P66 | Mem | L01, ModRm | VR | MW | ML | Avx | Aligned, // VMOVNTDQ
        0xE8 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPSUBSB
        0xE9 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPSUBSW
        0xEA | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPMINSW
        0xEB | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPOR
        0xEC | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPADDSB
        0xED | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPADDSW
        0xEE | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPMAXSW
        0xEF | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPXOR
        0xF0 | PF2 | Mem | L01, ModRm | VW | MR | ML | Avx, // VLDDQU
        0xF1 | P66 | L01, ModRm | VW | HR | WR | M16 | Avx, // VPSLLW
        0xF2 | P66 | L01, ModRm | VW | HR | WR | M16 | Avx, // VPSLLD
        0xF3 | P66 | L01, ModRm | VW | HR | WR | M16 | Avx, // VPSLLQ
        0xF4 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPMULUDQ
        0xF5 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPMADDWD
        0xF6 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPSADBW
        0xF7 | P66 | Rgs | L0, ModRm | VR | WR | ImRDi | Avx | (ulong)Id.MaskMoveBytes, // VMASKMOVDQU
        0xF8 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPSUBB
        0xF9 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPSUBW
        0xFA | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPSUBD
        0xFB | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPSUBQ
        0xFC | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPADDB
        0xFD | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPADDW
        0xFE | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPADDD
    ];

    /// <summary>Map 2 (0F 38).</summary>
    internal static ReadOnlySpan<ulong> Map2 =>
    [
        0x00 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPSHUFB
        0x01 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPHADDW
        0x02 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPHADDD
        0x03 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPHADDSW
        0x04 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPMADDUBSW
        0x05 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPHSUBW
        0x06 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPHSUBD
        0x07 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPHSUBSW
        0x08 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPSIGNB
        0x09 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPSIGNW
        0x0A | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPSIGND
        0x0B | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPMULHRSW
        0x0C | P66 | W0 | L01, ModRm | VW | HR | WR | ML | Avx, // VPERMILPS
        0x0D | P66 | W0 | L01, ModRm | VW | HR | WR | ML | Avx, // VPERMILPD
        0x0E | P66 | W0 | L01, ModRm | VR | WR | ML | FlWcpazso | Avx, // VTESTPS
        0x0F | P66 | W0 | L01, ModRm | VR | WR | ML | FlWcpazso | Avx, // VTESTPD
        0x13 | P66 | W0 | L01, ModRm | VW | WR | ML2 | Avx, // VCVTPH2PS
        0x16 | P66 | W0 | L1, ModRm | VW | HR | WR | M32 | Avx, // VPERMPS
        0x17 | P66 | L01, ModRm | VR | WR | ML | FlWcpazso | Avx, // VPTEST
        0x18 | P66 | Mem | W0 | L01, ModRm | VW | MR | M4 | Avx, // VBROADCASTSS
        0x18 | P66 | Rgs | W0 | L01, ModRm | VW | WR | Avx, // VBROADCASTSS
        0x19 | P66 | Mem | W0 | L1, ModRm | VW | MR | M8 | Avx, // VBROADCASTSD
        0x19 | P66 | Rgs | W0 | L1, ModRm | VW | WR | Avx, // VBROADCASTSD
        0x1A | P66 | Mem | W0 | L1, ModRm | VW | MR | M16 | Avx, // VBROADCASTF128
        0x1C | P66 | L01, ModRm | VW | WR | ML | Avx, // VPABSB
        0x1D | P66 | L01, ModRm | VW | WR | ML | Avx, // VPABSW
        0x1E | P66 | L01, ModRm | VW | WR | ML | Avx, // VPABSD
        0x20 | P66 | L01, ModRm | VW | WR | ML2 | Avx, // VPMOVSXBW
        0x21 | P66 | L01, ModRm | VW | WR | ML4 | Avx, // VPMOVSXBD
        0x22 | P66 | L01, ModRm | VW | WR | ML8 | Avx, // VPMOVSXBQ
        0x23 | P66 | L01, ModRm | VW | WR | ML2 | Avx, // VPMOVSXWD
        0x24 | P66 | L01, ModRm | VW | WR | ML4 | Avx, // VPMOVSXWQ
        0x25 | P66 | L01, ModRm | VW | WR | ML2 | Avx, // VPMOVSXDQ
        0x28 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPMULDQ
        0x29 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPCMPEQQ
        0x2A | P66 | Mem | L01, ModRm | VW | MR | ML | Avx | Aligned, // VMOVNTDQA
        0x2B | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPACKUSDW
        0x2C | P66 | Mem | W0 | L01 | Masked, ModRm | VW | HR | MR | ML | Avx, // VMASKMOVPS
        0x2D | P66 | Mem | W0 | L01 | Masked, ModRm | VW | HR | MR | ML | Avx, // VMASKMOVPD
        0x2E | P66 | Mem | W0 | L01 | Masked, ModRm | VR | HR | MW | ML | Avx, // VMASKMOVPS
        0x2F | P66 | Mem | W0 | L01 | Masked, ModRm | VR | HR | MW | ML | Avx, // VMASKMOVPD
        0x30 | P66 | L01, ModRm | VW | WR | ML2 | Avx, // VPMOVZXBW
        0x31 | P66 | L01, ModRm | VW | WR | ML4 | Avx, // VPMOVZXBD
        0x32 | P66 | L01, ModRm | VW | WR | ML8 | Avx, // VPMOVZXBQ
        0x33 | P66 | L01, ModRm | VW | WR | ML2 | Avx, // VPMOVZXWD
        0x34 | P66 | L01, ModRm | VW | WR | ML4 | Avx, // VPMOVZXWQ
        0x35 | P66 | L01, ModRm | VW | WR | ML2 | Avx, // VPMOVZXDQ
        0x36 | P66 | W0 | L1, ModRm | VW | HR | WR | M32 | Avx, // VPERMD
        0x37 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPCMPGTQ
        0x38 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPMINSB
        0x39 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPMINSD
        0x3A | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPMINUW
        0x3B | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPMINUD
        0x3C | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPMAXSB
        0x3D | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPMAXSD
        0x3E | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPMAXUW
        0x3F | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPMAXUD
        0x40 | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VPMULLD
        0x41 | P66 | L0, ModRm | VW | WR | M16 | Avx, // VPHMINPOSUW
        0x45 | P66 | W0 | L01, ModRm | VW | HR | WR | ML | Avx, // VPSRLVD
        0x45 | P66 | W1 | L01, ModRm | VW | HR | WR | ML | Avx, // VPSRLVQ
        0x46 | P66 | W0 | L01, ModRm | VW | HR | WR | ML | Avx, // VPSRAVD
        0x47 | P66 | W0 | L01, ModRm | VW | HR | WR | ML | Avx, // VPSLLVD
        0x47 | P66 | W1 | L01, ModRm | VW | HR | WR | ML | Avx, // VPSLLVQ
        0x50 | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Avx, // VPDPBUSD
        0x51 | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Avx, // VPDPBUSDS
        0x52 | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Avx, // VPDPWSSD
        0x53 | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Avx, // VPDPWSSDS
        0x58 | P66 | W0 | L01, ModRm | VW | WR | M4 | Avx, // VPBROADCASTD
        0x59 | P66 | W0 | L01, ModRm | VW | WR | M8 | Avx, // VPBROADCASTQ
        0x5A | P66 | Mem | W0 | L1, ModRm | VW | MR | M16 | Avx, // VBROADCASTI128
        0x72 | PF3 | W0 | L01, ModRm | VW | WR | ML | Avx, // VCVTNEPS2BF16
        0x78 | P66 | W0 | L01, ModRm | VW | WR | M1 | Avx, // VPBROADCASTB
        0x79 | P66 | W0 | L01, ModRm | VW | WR | M2 | Avx, // VPBROADCASTW
        0x8C | P66 | Mem | W0 | L01 | Masked, ModRm | VW | HR | MR | ML | Avx, // VPMASKMOVD
        0x8C | P66 | Mem | W1 | L01 | Masked, ModRm | VW | HR | MR | ML | Avx, // VPMASKMOVQ
        0x8E | P66 | Mem | W0 | L01 | Masked, ModRm | VR | HR | MW | ML | Avx, // VPMASKMOVD
        0x8E | P66 | Mem | W1 | L01 | Masked, ModRm | VR | HR | MW | ML | Avx, // VPMASKMOVQ
        0x90 | P66 | Mem | W0 | L01 | Vsib | Distinct, ModRm | VX | HX | MR | M4 | Avx | (ulong)Id.Gather, // VPGATHERDD
        0x90 | P66 | Mem | W1 | L01 | Vsib | Distinct, ModRm | VX | HX | MR | M8 | Avx | (ulong)Id.Gather, // VPGATHERDQ
        0x91 | P66 | Mem | W0 | L01 | Vsib | Distinct, ModRm | VX | HX | MR | M4 | Avx | (ulong)Id.Gather, // VPGATHERQD
        0x91 | P66 | Mem | W1 | L01 | Vsib | Distinct, ModRm | VX | HX | MR | M8 | Avx | (ulong)Id.Gather, // VPGATHERQQ
        0x92 | P66 | Mem | W0 | L01 | Vsib | Distinct, ModRm | VX | HX | MR | M4 | Avx | (ulong)Id.Gather, // VGATHERDPS
        0x92 | P66 | Mem | W1 | L01 | Vsib | Distinct, ModRm | VX | HX | MR | M8 | Avx | (ulong)Id.Gather, // VGATHERDPD
        0x93 | P66 | Mem | W0 | L01 | Vsib | Distinct, ModRm | VX | HX | MR | M4 | Avx | (ulong)Id.Gather, // VGATHERQPS
        0x93 | P66 | Mem | W1 | L01 | Vsib | Distinct, ModRm | VX | HX | MR | M8 | Avx | (ulong)Id.Gather, // VGATHERQPD
        0x96 | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Avx, // VFMADDSUB132PS
        0x96 | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Avx, // VFMADDSUB132PD
        0x97 | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Avx, // VFMSUBADD132PS
        0x97 | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Avx, // VFMSUBADD132PD
        0x98 | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Avx, // VFMADD132PS
        0x98 | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Avx, // VFMADD132PD
        0x99 | P66 | W0, ModRm | VX | HR | WR | M4 | Avx, // VFMADD132SS
        0x99 | P66 | W1, ModRm | VX | HR | WR | M8 | Avx, // VFMADD132SD
        0x9A | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Avx, // VFMSUB132PS
        0x9A | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Avx, // VFMSUB132PD
        0x9B | P66 | W0, ModRm | VX | HR | WR | M4 | Avx, // VFMSUB132SS
        0x9B | P66 | W1, ModRm | VX | HR | WR | M8 | Avx, // VFMSUB132SD
        0x9C | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Avx, // VFNMADD132PS
        0x9C | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Avx, // VFNMADD132PD
        0x9D | P66 | W0, ModRm | VX | HR | WR | M4 | Avx, // VFNMADD132SS
        0x9D | P66 | W1, ModRm | VX | HR | WR | M8 | Avx, // VFNMADD132SD
        0x9E | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Avx, // VFNMSUB132PS
        0x9E | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Avx, // VFNMSUB132PD
        0x9F | P66 | W0, ModRm | VX | HR | WR | M4 | Avx, // VFNMSUB132SS
        0x9F | P66 | W1, ModRm | VX | HR | WR | M8 | Avx, // VFNMSUB132SD
        0xA6 | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Avx, // VFMADDSUB213PS
        0xA6 | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Avx, // VFMADDSUB213PD
        0xA7 | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Avx, // VFMSUBADD213PS
        0xA7 | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Avx, // VFMSUBADD213PD
        0xA8 | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Avx, // VFMADD213PS
        0xA8 | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Avx, // VFMADD213PD
        0xA9 | P66 | W0, ModRm | VX | HR | WR | M4 | Avx, // VFMADD213SS
        0xA9 | P66 | W1, ModRm | VX | HR | WR | M8 | Avx, // VFMADD213SD
        0xAA | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Avx, // VFMSUB213PS
        0xAA | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Avx, // VFMSUB213PD
        0xAB | P66 | W0, ModRm | VX | HR | WR | M4 | Avx, // VFMSUB213SS
        0xAB | P66 | W1, ModRm | VX | HR | WR | M8 | Avx, // VFMSUB213SD
        0xAC | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Avx, // VFNMADD213PS
        0xAC | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Avx, // VFNMADD213PD
        0xAD | P66 | W0, ModRm | VX | HR | WR | M4 | Avx, // VFNMADD213SS
        0xAD | P66 | W1, ModRm | VX | HR | WR | M8 | Avx, // VFNMADD213SD
        0xAE | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Avx, // VFNMSUB213PS
        0xAE | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Avx, // VFNMSUB213PD
        0xAF | P66 | W0, ModRm | VX | HR | WR | M4 | Avx, // VFNMSUB213SS
        0xAF | P66 | W1, ModRm | VX | HR | WR | M8 | Avx, // VFNMSUB213SD
        0xB0 | Np | Mem | W0 | L01, ModRm | VW | MR | ML | Avx, // VCVTNEOPH2PS
        0xB0 | P66 | Mem | W0 | L01, ModRm | VW | MR | ML | Avx, // VCVTNEEPH2PS
        0xB0 | PF3 | Mem | W0 | L01, ModRm | VW | MR | ML | Avx, // VCVTNEEBF162PS
        0xB0 | PF2 | Mem | W0 | L01, ModRm | VW | MR | ML | Avx, // VCVTNEOBF162PS
        0xB1 | P66 | Mem | W0 | L01, ModRm | VW | MR | M2 | Avx, // VBCSTNESH2PS
        0xB1 | PF3 | Mem | W0 | L01, ModRm | VW | MR | M2 | Avx, // VBCSTNEBF162PS
        0xB4 | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Avx, // VPMADD52LUQ
        0xB5 | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Avx, // VPMADD52HUQ
        0xB6 | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Avx, // VFMADDSUB231PS
        0xB6 | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Avx, // VFMADDSUB231PD
        0xB7 | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Avx, // VFMSUBADD231PS
        0xB7 | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Avx, // VFMSUBADD231PD
        0xB8 | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Avx, // VFMADD231PS
        0xB8 | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Avx, // VFMADD231PD
        0xB9 | P66 | W0, ModRm | VX | HR | WR | M4 | Avx, // VFMADD231SS
        0xB9 | P66 | W1, ModRm | VX | HR | WR | M8 | Avx, // VFMADD231SD
        0xBA | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Avx, // VFMSUB231PS
        0xBA | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Avx, // VFMSUB231PD
        0xBB | P66 | W0, ModRm | VX | HR | WR | M4 | Avx, // VFMSUB231SS
        0xBB | P66 | W1, ModRm | VX | HR | WR | M8 | Avx, // VFMSUB231SD
        0xBC | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Avx, // VFNMADD231PS
        0xBC | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Avx, // VFNMADD231PD
        0xBD | P66 | W0, ModRm | VX | HR | WR | M4 | Avx, // VFNMADD231SS
        0xBD | P66 | W1, ModRm | VX | HR | WR | M8 | Avx, // VFNMADD231SD
        0xBE | P66 | W0 | L01, ModRm | VX | HR | WR | ML | Avx, // VFNMSUB231PS
        0xBE | P66 | W1 | L01, ModRm | VX | HR | WR | ML | Avx, // VFNMSUB231PD
        0xBF | P66 | W0, ModRm | VX | HR | WR | M4 | Avx, // VFNMSUB231SS
        0xBF | P66 | W1, ModRm | VX | HR | WR | M8 | Avx, // VFNMSUB231SD
        0xCF | P66 | W0 | L01, ModRm | VW | HR | WR | ML | Avx, // VGF2P8MULB
        0xDB | P66 | L0, ModRm | VW | WR | M16 | Avx, // VAESIMC
        0xDC | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VAESENC
        0xDD | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VAESENCLAST
        0xDE | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VAESDEC
        0xDF | P66 | L01, ModRm | VW | HR | WR | ML | Avx, // VAESDECLAST
        0xF2 | Np | L0, ModRm | GW | BR | ER | Mw | Oy | FlWcpazsoUpa, // ANDN
        0xF3 | D1 | Np | L0, ModRm | BW | ER | Mw | Oy | FlWcpazsoUpa, // BLSR
        0xF3 | D2 | Np | L0, ModRm | BW | ER | Mw | Oy | FlWcpazsoUpa, // BLSMSK
        0xF3 | D3 | Np | L0, ModRm | BW | ER | Mw | Oy | FlWcpazsoUpa, // BLSI
        0xF5 | Np | L0, ModRm | GW | BR | ER | Mw | Oy | FlWcpazsoUpa, // BZHI
        0xF5 | PF3 | L0, ModRm | GW | BR | ER | Mw | Oy, // PEXT
        0xF5 | PF2 | L0, ModRm | GW | BR | ER | Mw | Oy, // PDEP
        0xF6 | PF2 | L0, ModRm | GW | BW | ER | Mw | Oy | ImRd, // MULX
        0xF7 | Np | L0, ModRm | GW | BR | ER | Mw | Oy | FlWcpazsoUpas, // BEXTR
        0xF7 | P66 | L0, ModRm | GW | BR | ER | Mw | Oy, // SHLX
        0xF7 | PF3 | L0, ModRm | GW | BR | ER | Mw | Oy, // SARX
        0xF7 | PF2 | L0, ModRm | GW | BR | ER | Mw | Oy, // SHRX
    ];

    /// <summary>Map 3 (0F 3A).</summary>
    internal static ReadOnlySpan<ulong> Map3 =>
    [
        0x00 | P66 | W1 | L1, ModRm | VW | WR | Ub | M32 | Avx, // VPERMQ
        0x01 | P66 | W1 | L1, ModRm | VW | WR | Ub | M32 | Avx, // VPERMPD
        0x02 | P66 | W0 | L01, ModRm | VW | HR | WR | Ub | ML | Avx, // VPBLENDD
        0x04 | P66 | W0 | L01, ModRm | VW | WR | Ub | ML | Avx, // VPERMILPS
        0x05 | P66 | W0 | L01, ModRm | VW | WR | Ub | ML | Avx, // VPERMILPD
        0x06 | P66 | W0 | L1, ModRm | VW | HR | WR | Ub | M32 | Avx, // VPERM2F128
        0x08 | P66 | L01, ModRm | VW | WR | Ub | ML | Avx, // VROUNDPS
        0x09 | P66 | L01, ModRm | VW | WR | Ub | ML | Avx, // VROUNDPD
        0x0A | P66, ModRm | VW | HR | WR | Ub | M4 | Avx, // VROUNDSS
        0x0B | P66, ModRm | VW | HR | WR | Ub | M8 | Avx, // VROUNDSD
        0x0C | P66 | L01, ModRm | VW | HR | WR | Ub | ML | Avx, // VBLENDPS
        0x0D | P66 | L01, ModRm | VW | HR | WR | Ub | ML | Avx, // VBLENDPD
        0x0E | P66 | L01, ModRm | VW | HR | WR | Ub | ML | Avx, // VPBLENDW
        0x0F | P66 | L01, ModRm | VW | HR | WR | Ub | ML | Avx, // VPALIGNR
        0x14 | P66 | L0, ModRm | VR | EW | Ub | M1 | Oy | Avx, // VPEXTRB
        0x15 | P66 | L0, ModRm | VR | EW | Ub | M2 | Oy | Avx, // VPEXTRW
        0x16 | P66 | L0, ModRm | VR | EW | Ub | Mw | Oy | Avx, // VPEXTRD/VPEXTRQ
        0x17 | P66 | L0, ModRm | VR | EW | Ub | M4 | Oy | Avx, // VEXTRACTPS
        0x18 | P66 | W0 | L1, ModRm | VW | HR | WR | Ub | M16 | Avx, // VINSERTF128
        0x19 | P66 | W0 | L1, ModRm | VR | WW | Ub | M16 | Avx, // VEXTRACTF128
        0x1D | P66 | W0 | L01, ModRm | VR | WW | Ub | ML2 | Avx, // VCVTPS2PH
        0x20 | P66 | L0, ModRm | VW | HR | ER | Ub | M1 | Oy | Avx, // VPINSRB
        0x21 | P66 | L0, ModRm | VW | HR | WR | Ub | M4 | Avx, // VINSERTPS
        0x22 | P66 | L0, ModRm | VW | HR | ER | Ub | Mw | Oy | Avx, // VPINSRD/VPINSRQ
        0x30 | P66 | Rgs | W0 | L0, ModRm | KgW | KeR | Ub | Avx512, // KSHIFTRB
        0x30 | P66 | Rgs | W1 | L0, ModRm | KgW | KeR | Ub | Avx512, // KSHIFTRW
        0x31 | P66 | Rgs | W0 | L0, ModRm | KgW | KeR | Ub | Avx512, // KSHIFTRD
        0x31 | P66 | Rgs | W1 | L0, ModRm | KgW | KeR | Ub | Avx512, // KSHIFTRQ
        0x32 | P66 | Rgs | W0 | L0, ModRm | KgW | KeR | Ub | Avx512, // KSHIFTLB
        0x32 | P66 | Rgs | W1 | L0, ModRm | KgW | KeR | Ub | Avx512, // KSHIFTLW
        0x33 | P66 | Rgs | W0 | L0, ModRm | KgW | KeR | Ub | Avx512, // KSHIFTLD
        0x33 | P66 | Rgs | W1 | L0, ModRm | KgW | KeR | Ub | Avx512, // KSHIFTLQ
        0x38 | P66 | W0 | L1, ModRm | VW | HR | WR | Ub | M16 | Avx, // VINSERTI128
        0x39 | P66 | W0 | L1, ModRm | VR | WW | Ub | M16 | Avx, // VEXTRACTI128
        0x40 | P66 | L01, ModRm | VW | HR | WR | Ub | ML | Avx, // VDPPS
        0x41 | P66 | L0, ModRm | VW | HR | WR | Ub | M16 | Avx, // VDPPD
        0x42 | P66 | L01, ModRm | VW | HR | WR | Ub | ML | Avx, // VMPSADBW
        0x44 | P66 | L01, ModRm | VW | HR | WR | Ub | ML | Avx, // VPCLMULQDQ
        0x46 | P66 | W0 | L1, ModRm | VW | HR | WR | Ub | M32 | Avx, // VPERM2I128
        0x4A | P66 | W0 | L01, ModRm | VW | HR | WR | Ub | ML | Avx, // VBLENDVPS
        0x4B | P66 | W0 | L01, ModRm | VW | HR | WR | Ub | ML | Avx, // VBLENDVPD
        0x4C | P66 | W0 | L01, ModRm | VW | HR | WR | Ub | ML | Avx, // VPBLENDVB
        0x60 | P66 | L0, ModRm | VR | WR | Ub | M16 | FlWcpazso | ImRad | Avx, // VPCMPESTRM/VPCMPESTRM64
        0x61 | P66 | L0, ModRm | VR | WR | Ub | M16 | FlWcpazso | ImRadWc | Avx, // VPCMPESTRI/VPCMPESTRI64
        0x62 | P66 | L0, ModRm | VR | WR | Ub | M16 | FlWcpazso | Avx, // VPCMPISTRM
        0x63 | P66 | L0, ModRm | VR | WR | Ub | M16 | FlWcpazso | ImWc | Avx, // VPCMPISTRI
        0xCE | P66 | W1 | L01, ModRm | VW | HR | WR | Ub | ML | Avx, // VGF2P8AFFINEQB
        0xCF | P66 | W1 | L01, ModRm | VW | HR | WR | Ub | ML | Avx, // VGF2P8AFFINEINVQB
        0xDF | P66 | L0, ModRm | VW | WR | Ub | M16 | Avx, // VAESKEYGENASSIST
        0xF0 | PF2 | L0, ModRm | GW | ER | Ub | Mw | Oy, // RORX
    ];
}
