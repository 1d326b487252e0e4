// The EVEX opcode map 2 (SDM vol. 2, 2.7): what AVX-512 made of the 0F 38 map.
// Two words a row: what it matches, what it means. Row.cs explains the vocabulary.
using static Lamina.Engines.X86.Decode.Tables.Row;
using Id = Lamina.Engines.X86.Decode.InstructionId;

namespace Lamina.Engines.X86.Decode.Tables;

internal static class Evex2
{
    /// <summary>Map 2 (0F 38).</summary>
    internal static ReadOnlySpan<ulong> Rows =>
    [
        0x00 | P66 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPSHUFB
        0x04 | P66 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPMADDUBSW
        0x0B | P66 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPMULHRSW
        0x0C | P66 | W0 | L012 | Bc4 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPERMILPS
        0x0D | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPERMILPD
        0x10 | P66 | W1 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPSRLVW
        0x10 | PF3 | W0 | L012 | Kz, ModRm | VR | WW | ML2 | Avx512BW, // VPMOVUSWB
        0x11 | P66 | W1 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPSRAVW
        0x11 | PF3 | W0 | L012 | Kz, ModRm | VR | WW | ML4 | Avx512, // VPMOVUSDB
        0x12 | P66 | W1 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPSLLVW
        0x12 | PF3 | W0 | L012 | Kz, ModRm | VR | WW | ML8 | Avx512, // VPMOVUSQB
        0x13 | P66 | W0 | L012 | Sae | Kz, ModRm | VW | WR | ML2 | Avx512, // VCVTPH2PS
        0x13 | PF3 | W0 | L012 | Kz, ModRm | VR | WW | ML2 | Avx512, // VPMOVUSDW
        0x14 | P66 | W0 | L012 | Bc4 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPRORVD
        0x14 | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPRORVQ
        0x14 | PF3 | W0 | L012 | Kz, ModRm | VR | WW | ML4 | Avx512, // VPMOVUSQW
        0x15 | P66 | W0 | L012 | Bc4 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPROLVD
        0x15 | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPROLVQ
        0x15 | PF3 | W0 | L012 | Kz, ModRm | VR | WW | ML2 | Avx512, // VPMOVUSQD
        0x16 | P66 | W0 | L12 | Bc4 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPERMPS
        0x16 | P66 | W1 | L12 | Bc8 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPERMPD
        0x18 | P66 | W0 | L012 | Kz, ModRm | VW | WR | M4 | Avx512, // VBROADCASTSS
        0x19 | P66 | W0 | L12 | Kz, ModRm | VW | WR | M8 | Avx512DQ, // VBROADCASTF32X2
        0x19 | P66 | W1 | L12 | Kz, ModRm | VW | WR | M8 | Avx512, // VBROADCASTSD
        0x1A | P66 | Mem | W0 | L12 | Kz, ModRm | VW | MR | M16 | Avx512, // VBROADCASTF32X4
        0x1A | P66 | Mem | W1 | L12 | Kz, ModRm | VW | MR | M16 | Avx512DQ, // VBROADCASTF64X2
        0x1B | P66 | Mem | W0 | L2 | Kz, ModRm | VW | MR | M32 | Avx512DQ, // VBROADCASTF32X8
        0x1B | P66 | Mem | W1 | L2 | Kz, ModRm | VW | MR | M32 | Avx512, // VBROADCASTF64X4
        0x1C | P66 | L012 | Kz, ModRm | VW | WR | ML | Avx512BW, // VPABSB
        0x1D | P66 | L012 | Kz, ModRm | VW | WR | ML | Avx512BW, // VPABSW
        0x1E | P66 | W0 | L012 | Bc4 | Kz, ModRm | VW | WR | ML | Avx512, // VPABSD
        0x1F | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | WR | ML | Avx512, // VPABSQ
        0x20 | P66 | L012 | Kz, ModRm | VW | WR | ML2 | Avx512BW, // VPMOVSXBW
        0x20 | PF3 | W0 | L012 | Kz, ModRm | VR | WW | ML2 | Avx512BW, // VPMOVSWB
        0x21 | P66 | L012 | Kz, ModRm | VW | WR | ML4 | Avx512, // VPMOVSXBD
        0x21 | PF3 | W0 | L012 | Kz, ModRm | VR | WW | ML4 | Avx512, // VPMOVSDB
        0x22 | P66 | L012 | Kz, ModRm | VW | WR | ML8 | Avx512, // VPMOVSXBQ
        0x22 | PF3 | W0 | L012 | Kz, ModRm | VR | WW | ML8 | Avx512, // VPMOVSQB
        0x23 | P66 | L012 | Kz, ModRm | VW | WR | ML2 | Avx512, // VPMOVSXWD
        0x23 | PF3 | W0 | L012 | Kz, ModRm | VR | WW | ML2 | Avx512, // VPMOVSDW
        0x24 | P66 | L012 | Kz, ModRm | VW | WR | ML4 | Avx512, // VPMOVSXWQ
        0x24 | PF3 | W0 | L012 | Kz, ModRm | VR | WW | ML4 | Avx512, // VPMOVSQW
        0x25 | P66 | W0 | L012 | Kz, ModRm | VW | WR | ML2 | Avx512, // VPMOVSXDQ
        0x25 | PF3 | W0 | L012 | Kz, ModRm | VR | WW | ML2 | Avx512, // VPMOVSQD
        0x26 | P66 | W0 | L012 | Km, ModRm | KgW | HR | WR | ML | Avx512BW, // VPTESTMB
        0x26 | P66 | W1 | L012 | Km, ModRm | KgW | HR | WR | ML | Avx512BW, // VPTESTMW
        0x26 | PF3 | W0 | L012 | Km, ModRm | KgW | HR | WR | ML | Avx512BW, // VPTESTNMB
        0x26 | PF3 | W1 | L012 | Km, ModRm | KgW | HR | WR | ML | Avx512BW, // VPTESTNMW
        0x27 | P66 | W0 | L012 | Bc4 | Km, ModRm | KgW | HR | WR | ML | Avx512, // VPTESTMD
        0x27 | P66 | W1 | L012 | Bc8 | Km, ModRm | KgW | HR | WR | ML | Avx512, // VPTESTMQ
        0x27 | PF3 | W0 | L012 | Bc4 | Km, ModRm | KgW | HR | WR | ML | Avx512, // VPTESTNMD
        0x27 | PF3 | W1 | L012 | Bc8 | Km, ModRm | KgW | HR | WR | ML | Avx512, // VPTESTNMQ
        0x28 | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPMULDQ
        0x28 | PF3 | Rgs | W0 | L012, ModRm | VW | KeR | Avx512BW, // VPMOVM2B
        0x28 | PF3 | Rgs | W1 | L012, ModRm | VW | KeR | Avx512BW, // VPMOVM2W
        0x29 | P66 | W1 | L012 | Bc8 | Km, ModRm | KgW | HR | WR | ML | Avx512, // VPCMPEQQ
        0x29 | PF3 | Rgs | W0 | L012, ModRm | KgW | WR | Avx512BW, // VPMOVB2M
        0x29 | PF3 | Rgs | W1 | L012, ModRm | KgW | WR | Avx512BW, // VPMOVW2M
        0x2A | P66 | Mem | W0 | L012, ModRm | VW | MR | ML | Avx512 | Aligned, // VMOVNTDQA
        0x2A | PF3 | Rgs | W1 | L012, ModRm | VW | KeR | Avx512CD, // VPBROADCASTMB2Q
        0x2B | P66 | W0 | L012 | Bc4 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPACKUSDW
        0x2C | P66 | W0 | L012 | Bc4 | Er | Kz, ModRm | VW | HR | WR | ML | Avx512, // VSCALEFPS
        0x2C | P66 | W1 | L012 | Bc8 | Er | Kz, ModRm | VW | HR | WR | ML | Avx512, // VSCALEFPD
        0x2D | P66 | W0 | Er | Kz, ModRm | VW | HR | WR | M4 | Avx512, // VSCALEFSS
        0x2D | P66 | W1 | Er | Kz, ModRm | VW | HR | WR | M8 | Avx512, // VSCALEFSD
        0x30 | P66 | L012 | Kz, ModRm | VW | WR | ML2 | Avx512BW, // VPMOVZXBW
        0x30 | PF3 | W0 | L012 | Kz, ModRm | VR | WW | ML2 | Avx512BW, // VPMOVWB
        0x31 | P66 | L012 | Kz, ModRm | VW | WR | ML4 | Avx512, // VPMOVZXBD
        0x31 | PF3 | W0 | L012 | Kz, ModRm | VR | WW | ML4 | Avx512, // VPMOVDB
        0x32 | P66 | L012 | Kz, ModRm | VW | WR | ML8 | Avx512, // VPMOVZXBQ
        0x32 | PF3 | W0 | L012 | Kz, ModRm | VR | WW | ML8 | Avx512, // VPMOVQB
        0x33 | P66 | L012 | Kz, ModRm | VW | WR | ML2 | Avx512, // VPMOVZXWD
        0x33 | PF3 | W0 | L012 | Kz, ModRm | VR | WW | ML2 | Avx512, // VPMOVDW
        0x34 | P66 | L012 | Kz, ModRm | VW | WR | ML4 | Avx512, // VPMOVZXWQ
        0x34 | PF3 | W0 | L012 | Kz, ModRm | VR | WW | ML4 | Avx512, // VPMOVQW
        0x35 | P66 | W0 | L012 | Kz, ModRm | VW | WR | ML2 | Avx512, // VPMOVZXDQ
        0x35 | PF3 | W0 | L012 | Kz, ModRm | VR | WW | ML2 | Avx512, // VPMOVQD
        0x36 | P66 | W0 | L12 | Bc4 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPERMD
        0x36 | P66 | W1 | L12 | Bc8 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPERMQ
        0x37 | P66 | W1 | L012 | Bc8 | Km, ModRm | KgW | HR | WR | ML | Avx512, // VPCMPGTQ
        0x38 | P66 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPMINSB
        0x38 | PF3 | Rgs | W0 | L012, ModRm | VW | KeR | Avx512DQ, // VPMOVM2D
        0x38 | PF3 | Rgs | W1 | L012, ModRm | VW | KeR | Avx512DQ, // VPMOVM2Q
        0x39 | P66 | W0 | L012 | Bc4 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPMINSD
        0x39 | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPMINSQ
        0x39 | PF3 | Rgs | W0 | L012, ModRm | KgW | WR | Avx512DQ, // VPMOVD2M
        0x39 | PF3 | Rgs | W1 | L012, ModRm | KgW | WR | Avx512DQ, // VPMOVQ2M
        0x3A | P66 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPMINUW
        0x3A | PF3 | Rgs | W0 | L012, ModRm | VW | KeR | Avx512CD, // VPBROADCASTMW2D
        0x3B | P66 | W0 | L012 | Bc4 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPMINUD
        0x3B | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPMINUQ
        0x3C | P66 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPMAXSB
        0x3D | P66 | W0 | L012 | Bc4 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPMAXSD
        0x3D | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPMAXSQ
        0x3E | P66 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPMAXUW
        0x3F | P66 | W0 | L012 | Bc4 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPMAXUD
        0x3F | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPMAXUQ
        0x40 | P66 | W0 | L012 | Bc4 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPMULLD
        0x40 | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | HR | WR | ML | Avx512DQ, // VPMULLQ
        0x42 | P66 | W0 | L012 | Bc4 | Sae | Kz, ModRm | VW | WR | ML | Avx512, // VGETEXPPS
        0x42 | P66 | W1 | L012 | Bc8 | Sae | Kz, ModRm | VW | WR | ML | Avx512, // VGETEXPPD
        0x43 | P66 | W0 | Sae | Kz, ModRm | VW | HR | WR | M4 | Avx512, // VGETEXPSS
        0x43 | P66 | W1 | Sae | Kz, ModRm | VW | HR | WR | M8 | Avx512, // VGETEXPSD
        0x44 | P66 | W0 | L012 | Bc4 | Kz, ModRm | VW | WR | ML | Avx512CD, // VPLZCNTD
        0x44 | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | WR | ML | Avx512CD, // VPLZCNTQ
        0x45 | P66 | W0 | L012 | Bc4 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPSRLVD
        0x45 | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPSRLVQ
        0x46 | P66 | W0 | L012 | Bc4 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPSRAVD
        0x46 | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPSRAVQ
        0x47 | P66 | W0 | L012 | Bc4 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPSLLVD
        0x47 | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | HR | WR | ML | Avx512, // VPSLLVQ
        0x4C | P66 | W0 | L012 | Bc4 | Kz, ModRm | VW | WR | ML | Avx512, // VRCP14PS
        0x4C | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | WR | ML | Avx512, // VRCP14PD
        0x4D | P66 | W0 | Kz, ModRm | VW | HR | WR | M4 | Avx512, // VRCP14SS
        0x4D | P66 | W1 | Kz, ModRm | VW | HR | WR | M8 | Avx512, // VRCP14SD
        0x4E | P66 | W0 | L012 | Bc4 | Kz, ModRm | VW | WR | ML | Avx512, // VRSQRT14PS
        0x4E | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | WR | ML | Avx512, // VRSQRT14PD
        0x4F | P66 | W0 | Kz, ModRm | VW | HR | WR | M4 | Avx512, // VRSQRT14SS
        0x4F | P66 | W1 | Kz, ModRm | VW | HR | WR | M8 | Avx512, // VRSQRT14SD
        0x50 | P66 | W0 | L012 | Bc4 | Kz, ModRm | VX | HR | WR | ML | Vnni, // VPDPBUSD
        0x51 | P66 | W0 | L012 | Bc4 | Kz, ModRm | VX | HR | WR | ML | Vnni, // VPDPBUSDS
        0x52 | P66 | W0 | L012 | Bc4 | Kz, ModRm | VX | HR | WR | ML | Vnni, // VPDPWSSD
        0x52 | PF3 | W0 | L012 | Bc4 | Kz, ModRm | VX | HR | WR | ML | Bf16, // VDPBF16PS
        0x53 | P66 | W0 | L012 | Bc4 | Kz, ModRm | VX | HR | WR | ML | Vnni, // VPDPWSSDS
        0x54 | P66 | W0 | L012 | Kz, ModRm | VW | WR | ML | Bitalg, // VPOPCNTB
        0x54 | P66 | W1 | L012 | Kz, ModRm | VW | WR | ML | Bitalg, // VPOPCNTW
        0x55 | P66 | W0 | L012 | Bc4 | Kz, ModRm | VW | WR | ML | Vpopcntdq, // VPOPCNTD
        0x55 | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | WR | ML | Vpopcntdq, // VPOPCNTQ
        0x58 | P66 | W0 | L012 | Kz, ModRm | VW | WR | M4 | Avx512, // VPBROADCASTD
        0x59 | P66 | W0 | L012 | Kz, ModRm | VW | WR | M8 | Avx512DQ, // VBROADCASTI32X2
        0x59 | P66 | W1 | L012 | Kz, ModRm | VW | WR | M8 | Avx512, // VPBROADCASTQ
        0x5A | P66 | Mem | W0 | L12 | Kz, ModRm | VW | MR | M16 | Avx512, // VBROADCASTI32X4
        0x5A | P66 | Mem | W1 | L12 | Kz, ModRm | VW | MR | M16 | Avx512DQ, // VBROADCASTI64X2
        0x5B | P66 | Mem | W0 | L2 | Kz, ModRm | VW | MR | M32 | Avx512DQ, // VBROADCASTI32X8
        0x5B | P66 | Mem | W1 | L2 | Kz, ModRm | VW | MR | M32 | Avx512, // VBROADCASTI64X4
        0x62 | P66 | Mem | W0 | L012 | Dn1 | Kz, ModRm | VW | WR | ML | Vbmi2, // VPEXPANDB
        0x62 | P66 | Rgs | W0 | L012 | Kz, ModRm | VW | WR | Vbmi2, // VPEXPANDB
        0x62 | P66 | Mem | W1 | L012 | Dn2 | Kz, ModRm | VW | WR | ML | Vbmi2, // VPEXPANDW
        0x62 | P66 | Rgs | W1 | L012 | Kz, ModRm | VW | WR | Vbmi2, // VPEXPANDW
        0x63 | P66 | Mem | W0 | L012 | Dn1 | Kz, ModRm | VR | WW | ML | Vbmi2, // VPCOMPRESSB
        0x63 | P66 | Rgs | W0 | L012 | Kz, ModRm | VR | WW | Vbmi2, // VPCOMPRESSB
        0x63 | P66 | Mem | W1 | L012 | Dn2 | Kz, ModRm | VR | WW | ML | Vbmi2, // VPCOMPRESSW
        0x63 | P66 | Rgs | W1 | L012 | Kz, ModRm | VR | WW | Vbmi2, // VPCOMPRESSW
        0x64 | P66 | W0 | L012 | Bc4 | Ks, ModRm | VW | HR | WR | ML | Avx512, // VPBLENDMD
        0x64 | P66 | W1 | L012 | Bc8 | Ks, ModRm | VW | HR | WR | ML | Avx512, // VPBLENDMQ
        0x65 | P66 | W0 | L012 | Bc4 | Ks, ModRm | VW | HR | WR | ML | Avx512, // VBLENDMPS
        0x65 | P66 | W1 | L012 | Bc8 | Ks, ModRm | VW | HR | WR | ML | Avx512, // VBLENDMPD
        0x66 | P66 | W0 | L012 | Ks, ModRm | VW | HR | WR | ML | Avx512BW, // VPBLENDMB
        0x66 | P66 | W1 | L012 | Ks, ModRm | VW | HR | WR | ML | Avx512BW, // VPBLENDMW
        0x68 | PF2 | W0 | L012 | Bc4, ModRm | KgW | HR | WR | ML | Vp2intersect, // VP2INTERSECTD
        0x68 | PF2 | W1 | L012 | Bc8, ModRm | KgW | HR | WR | ML | Vp2intersect, // VP2INTERSECTQ
        0x70 | P66 | W1 | L012 | Kz, ModRm | VX | HR | WR | ML | Vbmi2, // VPSHLDVW
        0x71 | P66 | W0 | L012 | Bc4 | Kz, ModRm | VX | HR | WR | ML | Vbmi2, // VPSHLDVD
        0x71 | P66 | W1 | L012 | Bc8 | Kz, ModRm | VX | HR | WR | ML | Vbmi2, // VPSHLDVQ
        0x72 | P66 | W1 | L012 | Kz, ModRm | VX | HR | WR | ML | Vbmi2, // VPSHRDVW
        0x72 | PF3 | W0 | L012 | Bc4 | Kz, ModRm | VW | WR | ML | Bf16, // VCVTNEPS2BF16
        0x72 | PF2 | W0 | L012 | Bc4 | Kz, ModRm | VW | HR | WR | ML | Bf16, // VCVTNE2PS2BF16
        0x73 | P66 | W0 | L012 | Bc4 | Kz, ModRm | VX | HR | WR | ML | Vbmi2, // VPSHRDVD
        0x73 | P66 | W1 | L012 | Bc8 | Kz, ModRm | VX | HR | WR | ML | Vbmi2, // VPSHRDVQ
        0x75 | P66 | W0 | L012 | Kz, ModRm | VX | HR | WR | ML | Vbmi, // VPERMI2B
        0x75 | P66 | W1 | L012 | Kz, ModRm | VX | HR | WR | ML | Avx512BW, // VPERMI2W
        0x76 | P66 | W0 | L012 | Bc4 | Kz, ModRm | VX | HR | WR | ML | Avx512, // VPERMI2D
        0x76 | P66 | W1 | L012 | Bc8 | Kz, ModRm | VX | HR | WR | ML | Avx512, // VPERMI2Q
        0x77 | P66 | W0 | L012 | Bc4 | Kz, ModRm | VX | HR | WR | ML | Avx512, // VPERMI2PS
        0x77 | P66 | W1 | L012 | Bc8 | Kz, ModRm | VX | HR | WR | ML | Avx512, // VPERMI2PD
        0x78 | P66 | W0 | L012 | Kz, ModRm | VW | WR | M1 | Avx512BW, // VPBROADCASTB
        0x79 | P66 | W0 | L012 | Kz, ModRm | VW | WR | M2 | Avx512BW, // VPBROADCASTW
        0x7A | P66 | Rgs | W0 | L012 | Kz, ModRm | VW | ER | Oy | Avx512BW, // VPBROADCASTB
        0x7B | P66 | Rgs | W0 | L012 | Kz, ModRm | VW | ER | Oy | Avx512BW, // VPBROADCASTW
        0x7C | P66 | Rgs | L012 | Kz, ModRm | VW | ER | Oy | Avx512, // VPBROADCASTD/VPBROADCASTQ
        0x7D | P66 | W0 | L012 | Kz, ModRm | VX | HR | WR | ML | Vbmi, // VPERMT2B
        0x7D | P66 | W1 | L012 | Kz, ModRm | VX | HR | WR | ML | Avx512BW, // VPERMT2W
        0x7E | P66 | W0 | L012 | Bc4 | Kz, ModRm | VX | HR | WR | ML | Avx512, // VPERMT2D
        0x7E | P66 | W1 | L012 | Bc8 | Kz, ModRm | VX | HR | WR | ML | Avx512, // VPERMT2Q
        0x7F | P66 | W0 | L012 | Bc4 | Kz, ModRm | VX | HR | WR | ML | Avx512, // VPERMT2PS
        0x7F | P66 | W1 | L012 | Bc8 | Kz, ModRm | VX | HR | WR | ML | Avx512, // VPERMT2PD
        0x83 | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | HR | WR | ML | Vbmi, // VPMULTISHIFTQB
        0x88 | P66 | Mem | W0 | L012 | Dn4 | Kz, ModRm | VW | WR | ML | Avx512, // VEXPANDPS
        0x88 | P66 | Rgs | W0 | L012 | Kz, ModRm | VW | WR | Avx512, // VEXPANDPS
        0x88 | P66 | Mem | W1 | L012 | Dn8 | Kz, ModRm | VW | WR | ML | Avx512, // VEXPANDPD
        0x88 | P66 | Rgs | W1 | L012 | Kz, ModRm | VW | WR | Avx512, // VEXPANDPD
        0x89 | P66 | Mem | W0 | L012 | Dn4 | Kz, ModRm | VW | WR | ML | Avx512, // VPEXPANDD
        0x89 | P66 | Rgs | W0 | L012 | Kz, ModRm | VW | WR | Avx512, // VPEXPANDD
        0x89 | P66 | Mem | W1 | L012 | Dn8 | Kz, ModRm | VW | WR | ML | Avx512, // VPEXPANDQ
        0x89 | P66 | Rgs | W1 | L012 | Kz, ModRm | VW | WR | Avx512, // VPEXPANDQ
        0x8A | P66 | Mem | W0 | L012 | Dn4 | Kz, ModRm | VR | WW | ML | Avx512, // VCOMPRESSPS
        0x8A | P66 | Rgs | W0 | L012 | Kz, ModRm | VR | WW | Avx512, // VCOMPRESSPS
        0x8A | P66 | Mem | W1 | L012 | Dn8 | Kz, ModRm | VR | WW | ML | Avx512, // VCOMPRESSPD
        0x8A | P66 | Rgs | W1 | L012 | Kz, ModRm | VR | WW | Avx512, // VCOMPRESSPD
        0x8B | P66 | Mem | W0 | L012 | Dn4 | Kz, ModRm | VR | WW | ML | Avx512, // VPCOMPRESSD
        0x8B | P66 | Rgs | W0 | L012 | Kz, ModRm | VR | WW | Avx512, // VPCOMPRESSD
        0x8B | P66 | Mem | W1 | L012 | Dn8 | Kz, ModRm | VR | WW | ML | Avx512, // VPCOMPRESSQ
        0x8B | P66 | Rgs | W1 | L012 | Kz, ModRm | VR | WW | Avx512, // VPCOMPRESSQ
        0x8D | P66 | W0 | L012 | Kz, ModRm | VW | HR | WR | ML | Vbmi, // VPERMB
        0x8D | P66 | W1 | L012 | Kz, ModRm | VW | HR | WR | ML | Avx512BW, // VPERMW
        0x8F | P66 | W0 | L012 | Km, ModRm | KgW | HR | WR | ML | Bitalg, // VPSHUFBITQMB
        0x90 | P66 | Mem | W0 | L012 | Kr | Vsib | Distinct, ModRm | VX | MR | M4 | Avx512 | (ulong)Id.Gather, // VPGATHERDD
        0x90 | P66 | Mem | W1 | L012 | Kr | Vsib | Distinct, ModRm | VX | MR | M8 | Avx512 | (ulong)Id.Gather, // VPGATHERDQ
        0x91 | P66 | Mem | W0 | L012 | Kr | Vsib | Distinct, ModRm | VX | MR | M4 | Avx512 | (ulong)Id.Gather, // VPGATHERQD
        0x91 | P66 | Mem | W1 | L012 | Kr | Vsib | Distinct, ModRm | VX | MR | M8 | Avx512 | (ulong)Id.Gather, // VPGATHERQQ
        0x92 | P66 | Mem | W0 | L012 | Kr | Vsib | Distinct, ModRm | VX | MR | M4 | Avx512 | (ulong)Id.Gather, // VGATHERDPS
        0x92 | P66 | Mem | W1 | L012 | Kr | Vsib | Distinct, ModRm | VX | MR | M8 | Avx512 | (ulong)Id.Gather, // VGATHERDPD
        0x93 | P66 | Mem | W0 | L012 | Kr | Vsib | Distinct, ModRm | VX | MR | M4 | Avx512 | (ulong)Id.Gather, // VGATHERQPS
        0x93 | P66 | Mem | W1 | L012 | Kr | Vsib | Distinct, ModRm | VX | MR | M8 | Avx512 | (ulong)Id.Gather, // VGATHERQPD
        0x96 | P66 | W0 | L012 | Bc4 | Er | Kz, ModRm | VX | HR | WR | ML | Avx512, // VFMADDSUB132PS
        0x96 | P66 | W1 | L012 | Bc8 | Er | Kz, ModRm | VX | HR | WR | ML | Avx512, // VFMADDSUB132PD
        0x97 | P66 | W0 | L012 | Bc4 | Er | Kz, ModRm | VX | HR | WR | ML | Avx512, // VFMSUBADD132PS
        0x97 | P66 | W1 | L012 | Bc8 | Er | Kz, ModRm | VX | HR | WR | ML | Avx512, // VFMSUBADD132PD
        0x98 | P66 | W0 | L012 | Bc4 | Er | Kz, ModRm | VX | HR | WR | ML | Avx512, // VFMADD132PS
        0x98 | P66 | W1 | L012 | Bc8 | Er | Kz, ModRm | VX | HR | WR | ML | Avx512, // VFMADD132PD
        0x99 | P66 | W0 | Er | Kz, ModRm | VX | HR | WR | M4 | Avx512, // VFMADD132SS
        0x99 | P66 | W1 | Er | Kz, ModRm | VX | HR | WR | M8 | Avx512, // VFMADD132SD
        0x9A | P66 | W0 | L012 | Bc4 | Er | Kz, ModRm | VX | HR | WR | ML | Avx512, // VFMSUB132PS
        0x9A | P66 | W1 | L012 | Bc8 | Er | Kz, ModRm | VX | HR | WR | ML | Avx512, // VFMSUB132PD
        0x9B | P66 | W0 | Er | Kz, ModRm | VX | HR | WR | M4 | Avx512, // VFMSUB132SS
        0x9B | P66 | W1 | Er | Kz, ModRm | VX | HR | WR | M8 | Avx512, // VFMSUB132SD
        0x9C | P66 | W0 | L012 | Bc4 | Er | Kz, ModRm | VX | HR | WR | ML | Avx512, // VFNMADD132PS
        0x9C | P66 | W1 | L012 | Bc8 | Er | Kz, ModRm | VX | HR | WR | ML | Avx512, // VFNMADD132PD
        0x9D | P66 | W0 | Er | Kz, ModRm | VX | HR | WR | M4 | Avx512, // VFNMADD132SS
        0x9D | P66 | W1 | Er | Kz, ModRm | VX | HR | WR | M8 | Avx512, // VFNMADD132SD
        0x9E | P66 | W0 | L012 | Bc4 | Er | Kz, ModRm | VX | HR | WR | ML | Avx512, // VFNMSUB132PS
        0x9E | P66 | W1 | L012 | Bc8 | Er | Kz, ModRm | VX | HR | WR | ML | Avx512, // VFNMSUB132PD
        0x9F | P66 | W0 | Er | Kz, ModRm | VX | HR | WR | M4 | Avx512, // VFNMSUB132SS
        0x9F | P66 | W1 | Er | Kz, ModRm | VX | HR | WR | M8 | Avx512, // VFNMSUB132SD
        0xA0 | P66 | Mem | W0 | L012 | Kr | Vsib, ModRm | VR | MW | M4 | Avx512 | (ulong)Id.Scatter, // VPSCATTERDD
        0xA0 | P66 | Mem | W1 | L012 | Kr | Vsib, ModRm | VR | MW | M8 | Avx512 | (ulong)Id.Scatter, // VPSCATTERDQ
        0xA1 | P66 | Mem | W0 | L012 | Kr | Vsib, ModRm | VR | MW | M4 | Avx512 | (ulong)Id.Scatter, // VPSCATTERQD
        0xA1 | P66 | Mem | W1 | L012 | Kr | Vsib, ModRm | VR | MW | M8 | Avx512 | (ulong)Id.Scatter, // VPSCATTERQQ
        0xA2 | P66 | Mem | W0 | L012 | Kr | Vsib, ModRm | VR | MW | M4 | Avx512 | (ulong)Id.Scatter, // VSCATTERDPS
        0xA2 | P66 | Mem | W1 | L012 | Kr | Vsib, ModRm | VR | MW | M8 | Avx512 | (ulong)Id.Scatter, // VSCATTERDPD
        0xA3 | P66 | Mem | W0 | L012 | Kr | Vsib, ModRm | VR | MW | M4 | Avx512 | (ulong)Id.Scatter, // VSCATTERQPS
        0xA3 | P66 | Mem | W1 | L012 | Kr | Vsib, ModRm | VR | MW | M8 | Avx512 | (ulong)Id.Scatter, // VSCATTERQPD
        0xA6 | P66 | W0 | L012 | Bc4 | Er | Kz, ModRm | VX | HR | WR | ML | Avx512, // VFMADDSUB213PS
        0xA6 | P66 | W1 | L012 | Bc8 | Er | Kz, ModRm | VX | HR | WR | ML | Avx512, // VFMADDSUB213PD
        0xA7 | P66 | W0 | L012 | Bc4 | Er | Kz, ModRm | VX | HR | WR | ML | Avx512, // VFMSUBADD213PS
        0xA7 | P66 | W1 | L012 | Bc8 | Er | Kz, ModRm | VX | HR | WR | ML | Avx512, // VFMSUBADD213PD
        0xA8 | P66 | W0 | L012 | Bc4 | Er | Kz, ModRm | VX | HR | WR | ML | Avx512, // VFMADD213PS
        0xA8 | P66 | W1 | L012 | Bc8 | Er | Kz, ModRm | VX | HR | WR | ML | Avx512, // VFMADD213PD
        0xA9 | P66 | W0 | Er | Kz, ModRm | VX | HR | WR | M4 | Avx512, // VFMADD213SS
        0xA9 | P66 | W1 | Er | Kz, ModRm | VX | HR | WR | M8 | Avx512, // VFMADD213SD
        0xAA | P66 | W0 | L012 | Bc4 | Er | Kz, ModRm | VX | HR | WR | ML | Avx512, // VFMSUB213PS
        0xAA | P66 | W1 | L012 | Bc8 | Er | Kz, ModRm | VX | HR | WR | ML | Avx512, // VFMSUB213PD
        0xAB | P66 | W0 | Er | Kz, ModRm | VX | HR | WR | M4 | Avx512, // VFMSUB213SS
        0xAB | P66 | W1 | Er | Kz, ModRm | VX | HR | WR | M8 | Avx512, // VFMSUB213SD
        0xAC | P66 | W0 | L012 | Bc4 | Er | Kz, ModRm | VX | HR | WR | ML | Avx512, // VFNMADD213PS
        0xAC | P66 | W1 | L012 | Bc8 | Er | Kz, ModRm | VX | HR | WR | ML | Avx512, // VFNMADD213PD
        0xAD | P66 | W0 | Er | Kz, ModRm | VX | HR | WR | M4 | Avx512, // VFNMADD213SS
        0xAD | P66 | W1 | Er | Kz, ModRm | VX | HR | WR | M8 | Avx512, // VFNMADD213SD
        0xAE | P66 | W0 | L012 | Bc4 | Er | Kz, ModRm | VX | HR | WR | ML | Avx512, // VFNMSUB213PS
        0xAE | P66 | W1 | L012 | Bc8 | Er | Kz, ModRm | VX | HR | WR | ML | Avx512, // VFNMSUB213PD
        0xAF | P66 | W0 | Er | Kz, ModRm | VX | HR | WR | M4 | Avx512, // VFNMSUB213SS
        0xAF | P66 | W1 | Er | Kz, ModRm | VX | HR | WR | M8 | Avx512, // VFNMSUB213SD
        0xB4 | P66 | W1 | L012 | Bc8 | Kz, ModRm | VX | HR | WR | ML | Ifma, // VPMADD52LUQ
        0xB5 | P66 | W1 | L012 | Bc8 | Kz, ModRm | VX | HR | WR | ML | Ifma, // VPMADD52HUQ
        0xB6 | P66 | W0 | L012 | Bc4 | Er | Kz, ModRm | VX | HR | WR | ML | Avx512, // VFMADDSUB231PS
        0xB6 | P66 | W1 | L012 | Bc8 | Er | Kz, ModRm | VX | HR | WR | ML | Avx512, // VFMADDSUB231PD
        0xB7 | P66 | W0 | L012 | Bc4 | Er | Kz, ModRm | VX | HR | WR | ML | Avx512, // VFMSUBADD231PS
        0xB7 | P66 | W1 | L012 | Bc8 | Er | Kz, ModRm | VX | HR | WR | ML | Avx512, // VFMSUBADD231PD
        0xB8 | P66 | W0 | L012 | Bc4 | Er | Kz, ModRm | VX | HR | WR | ML | Avx512, // VFMADD231PS
        0xB8 | P66 | W1 | L012 | Bc8 | Er | Kz, ModRm | VX | HR | WR | ML | Avx512, // VFMADD231PD
        0xB9 | P66 | W0 | Er | Kz, ModRm | VX | HR | WR | M4 | Avx512, // VFMADD231SS
        0xB9 | P66 | W1 | Er | Kz, ModRm | VX | HR | WR | M8 | Avx512, // VFMADD231SD
        0xBA | P66 | W0 | L012 | Bc4 | Er | Kz, ModRm | VX | HR | WR | ML | Avx512, // VFMSUB231PS
        0xBA | P66 | W1 | L012 | Bc8 | Er | Kz, ModRm | VX | HR | WR | ML | Avx512, // VFMSUB231PD
        0xBB | P66 | W0 | Er | Kz, ModRm | VX | HR | WR | M4 | Avx512, // VFMSUB231SS
        0xBB | P66 | W1 | Er | Kz, ModRm | VX | HR | WR | M8 | Avx512, // VFMSUB231SD
        0xBC | P66 | W0 | L012 | Bc4 | Er | Kz, ModRm | VX | HR | WR | ML | Avx512, // VFNMADD231PS
        0xBC | P66 | W1 | L012 | Bc8 | Er | Kz, ModRm | VX | HR | WR | ML | Avx512, // VFNMADD231PD
        0xBD | P66 | W0 | Er | Kz, ModRm | VX | HR | WR | M4 | Avx512, // VFNMADD231SS
        0xBD | P66 | W1 | Er | Kz, ModRm | VX | HR | WR | M8 | Avx512, // VFNMADD231SD
        0xBE | P66 | W0 | L012 | Bc4 | Er | Kz, ModRm | VX | HR | WR | ML | Avx512, // VFNMSUB231PS
        0xBE | P66 | W1 | L012 | Bc8 | Er | Kz, ModRm | VX | HR | WR | ML | Avx512, // VFNMSUB231PD
        0xBF | P66 | W0 | Er | Kz, ModRm | VX | HR | WR | M4 | Avx512, // VFNMSUB231SS
        0xBF | P66 | W1 | Er | Kz, ModRm | VX | HR | WR | M8 | Avx512, // VFNMSUB231SD
        0xC4 | P66 | W0 | L012 | Bc4 | Kz, ModRm | VW | WR | ML | Avx512CD, // VPCONFLICTD
        0xC4 | P66 | W1 | L012 | Bc8 | Kz, ModRm | VW | WR | ML | Avx512CD, // VPCONFLICTQ
        0xCF | P66 | W0 | L012 | Kz, ModRm | VW | HR | WR | ML | GfniEvex, // VGF2P8MULB
        0xDC | P66 | L012, ModRm | VW | HR | WR | ML | VaesEvex, // VAESENC
        0xDD | P66 | L012, ModRm | VW | HR | WR | ML | VaesEvex, // VAESENCLAST
        0xDE | P66 | L012, ModRm | VW | HR | WR | ML | VaesEvex, // VAESDEC
        0xDF | P66 | L012, ModRm | VW | HR | WR | ML | VaesEvex, // VAESDECLAST
    ];
}
