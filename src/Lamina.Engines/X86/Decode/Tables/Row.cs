// The vocabulary of the opcode tables: a row is two 64-bit constants, "what it matches" and "what it means", written as
// an or of the names below. Letters follow the operand notation of SDM vol. 2, A.2: E and G are general registers in
// ModRM.rm and ModRM.reg, W and V vectors, Q and P MMX registers, H and B vector and general register in vvvv, Z the
// register in the opcode; the last letter is what is done with it: N nothing, R read, W write, X both.
// A row that fits is passed over where the processor does not offer what it needs (Requirements).
// The tables are constant data: nothing is built at start-up but the index (OpcodeIndex), and only the decoder reads them.
namespace Lamina.Engines.X86.Decode.Tables;

/// <summary>Names of the bits of a row's two words.</summary>
internal static class Row
{
    // ---- First word: what the row matches. Bits 0-7 are the opcode; the others exclude what they name, so that a
    // candidate fits when (row & key) is 0, where key has one bit of each group set.

    /// <summary>Bit of ModRM.reg = 0.</summary>
    internal const int DigitShift = 8;
    /// <summary>Bit of ModRM.rm = 0.</summary>
    internal const int RmShift = 16;
    /// <summary>Bits of the mandatory prefixes none, 66, F3, F2, in the order of VEX.pp.</summary>
    internal const int PrefixShift = 24;
    internal const ulong KeyNoPrefix = 1UL << PrefixShift;
    internal const ulong KeyMemory = 1UL << 28;
    internal const ulong KeyRegister = 1UL << 29;
    internal const ulong KeyW0 = 1UL << 30;
    /// <summary>W = 1 in 64-bit mode.</summary>
    internal const ulong KeyW1 = 1UL << 31;
    /// <summary>W = 1 in 16- and 32-bit code, where some instructions ignore it.</summary>
    internal const ulong KeyW1Legacy = 1UL << 32;
    /// <summary>Bit of vector length 0 (128 bits or scalar).</summary>
    internal const int LengthShift = 33;
    internal const ulong KeyLegacyMode = 1UL << 37;
    internal const ulong KeyMode64 = 1UL << 38;

    // Opcode extension in ModRM.reg, and in ModRM.rm.
    internal const ulong D0 = 0xFEUL << DigitShift, D1 = 0xFDUL << DigitShift, D2 = 0xFBUL << DigitShift, D3 = 0xF7UL << DigitShift;
    internal const ulong D4 = 0xEFUL << DigitShift, D5 = 0xDFUL << DigitShift, D6 = 0xBFUL << DigitShift, D7 = 0x7FUL << DigitShift;
    internal const ulong R0 = 0xFEUL << RmShift, R1 = 0xFDUL << RmShift, R2 = 0xFBUL << RmShift, R3 = 0xF7UL << RmShift;
    internal const ulong R4 = 0xEFUL << RmShift, R5 = 0xDFUL << RmShift, R6 = 0xBFUL << RmShift, R7 = 0x7FUL << RmShift;

    // Prefix that is part of the opcode; without any of these the row takes all.
    internal const ulong Np = 0xEUL << PrefixShift, P66 = 0xDUL << PrefixShift, PF3 = 0xBUL << PrefixShift, PF2 = 0x7UL << PrefixShift;
    internal const ulong NoRep = 0xCUL << PrefixShift;

    /// <summary>Memory operand only.</summary>
    internal const ulong Mem = KeyRegister;
    /// <summary>Register operand only.</summary>
    internal const ulong Rgs = KeyMemory;

    internal const ulong W0 = KeyW1 | KeyW1Legacy;
    internal const ulong W1 = KeyW0;
    /// <summary>W = 0, or W ignored outside 64-bit mode.</summary>
    internal const ulong W0w = KeyW1;
    /// <summary>W = 1 in 64-bit mode.</summary>
    internal const ulong W1w = KeyW0 | KeyW1Legacy;

    internal const ulong L0 = 0xEUL << LengthShift, L1 = 0xDUL << LengthShift, L2 = 0xBUL << LengthShift;
    internal const ulong L01 = 0xCUL << LengthShift, L12 = 0x9UL << LengthShift, L012 = 0x8UL << LengthShift;

    internal const ulong No64 = KeyMode64, Only64 = KeyLegacyMode;

    // Rest of the first word: what a vector instruction allows.
    /// <summary>Logarithm of the size of an element, for broadcast and for disp8*N of compress and expand.</summary>
    internal const int ElementShift = 40;
    internal const ulong Broadcast = 1UL << 42;
    internal const ulong Bc2 = Broadcast | 1UL << ElementShift, Bc4 = Broadcast | 2UL << ElementShift, Bc8 = Broadcast | 3UL << ElementShift;
    /// <summary>disp8*N counts elements although the operand is a whole vector.</summary>
    internal const ulong DisplacementByElement = 1UL << 43;
    internal const ulong Dn1 = DisplacementByElement, Dn2 = DisplacementByElement | 1UL << ElementShift;
    internal const ulong Dn4 = DisplacementByElement | 2UL << ElementShift, Dn8 = DisplacementByElement | 3UL << ElementShift;
    /// <summary>Embedded rounding.</summary>
    internal const ulong Er = 1UL << 44;
    /// <summary>Suppression of all exceptions.</summary>
    internal const ulong Sae = 1UL << 45;
    /// <summary>An opmask is allowed (merging only).</summary>
    internal const ulong Km = 1UL << 46;
    /// <summary>Zeroing is allowed too.</summary>
    internal const ulong Zeroing = 1UL << 47;
    internal const ulong Kz = Km | Zeroing;
    internal const ulong MaskRequired = 1UL << 48;
    /// <summary>The opmask chooses between the sources: nothing of the destination stays.</summary>
    internal const ulong MaskSelects = 1UL << 52;
    internal const ulong Ks = Kz | MaskSelects;
    internal const ulong Kr = Km | MaskRequired;
    internal const ulong Vsib = 1UL << 49;
    /// <summary>The memory operand is masked by a vector.</summary>
    internal const ulong Masked = 1UL << 50;
    /// <summary>#UD unless the registers differ (gathers; complex FP16 multiplication).</summary>
    internal const ulong Distinct = 1UL << 51;

    // ---- Second word: what the row means. Bits 0-7 are the identity.

    internal const int RegShift = 8, RmOperandShift = 13, VvvvShift = 18;
    internal const ulong ModRm = 1UL << 23;
    internal const int ImmediateShift = 24, MemoryShift = 28, SizeShift = 34, FlagsShift = 38, ImplicitShift = 44, StateShift = 50;
    internal const ulong LockOk = 1UL << 53;
    /// <summary>The flags may stay as they were.</summary>
    internal const ulong MayStay = 1UL << 54;
    /// <summary>The register is written only if a condition holds.</summary>
    internal const ulong Conditional = 1UL << 55;
    /// <summary>The memory operand must be aligned to its size.</summary>
    internal const ulong Aligned = 1UL << 56;
    /// <summary>The first operand is the register in the opcode, which stands for eight opcodes.</summary>
    internal const ulong OpcodeRegister = 1UL << 57;
    /// <summary>Shift or rotate by an immediate count: no flag changes if it is 0.</summary>
    internal const ulong ByCount = 1UL << 58;

    // Operand: three bits of class, two of access.
    internal const int ClassGpr8 = 1, ClassGpr = 2, ClassVector = 3;
    /// <summary>MMX, x87 and segment registers: REX does not reach them.</summary>
    internal const int ClassEight = 4;
    /// <summary>Opmask: an extension bit is #UD.</summary>
    internal const int ClassMask = 5;
    /// <summary>Control and debug registers.</summary>
    internal const int ClassControl = 6;
    private const ulong N = 0, R = 1UL << 3, W = 2UL << 3, X = 3UL << 3;

    internal const ulong GbR = (ClassGpr8 | R) << RegShift, GbW = (ClassGpr8 | W) << RegShift, GbX = (ClassGpr8 | X) << RegShift;
    internal const ulong GN = (ClassGpr | N) << RegShift, GR = (ClassGpr | R) << RegShift, GW = (ClassGpr | W) << RegShift, GX = (ClassGpr | X) << RegShift;
    internal const ulong VR = (ClassVector | R) << RegShift, VW = (ClassVector | W) << RegShift, VX = (ClassVector | X) << RegShift;
    internal const ulong PR = (ClassEight | R) << RegShift, PW = (ClassEight | W) << RegShift, PX = (ClassEight | X) << RegShift;
    internal const ulong KgR = (ClassMask | R) << RegShift, KgW = (ClassMask | W) << RegShift;
    internal const ulong CR = (ClassControl | R) << RegShift, CW = (ClassControl | W) << RegShift;

    internal const ulong ZR = OpcodeRegister | (ClassGpr | R) << RegShift, ZW = OpcodeRegister | (ClassGpr | W) << RegShift, ZX = OpcodeRegister | (ClassGpr | X) << RegShift;
    internal const ulong ZbW = OpcodeRegister | (ClassGpr8 | W) << RegShift;

    internal const ulong EbR = (ClassGpr8 | R) << RmOperandShift, EbW = (ClassGpr8 | W) << RmOperandShift, EbX = (ClassGpr8 | X) << RmOperandShift;
    internal const ulong EN = (ClassGpr | N) << RmOperandShift, ER = (ClassGpr | R) << RmOperandShift, EW = (ClassGpr | W) << RmOperandShift, EX = (ClassGpr | X) << RmOperandShift;
    internal const ulong WR = (ClassVector | R) << RmOperandShift, WW = (ClassVector | W) << RmOperandShift, WX = (ClassVector | X) << RmOperandShift;
    internal const ulong QN = (ClassEight | N) << RmOperandShift, QR = (ClassEight | R) << RmOperandShift, QW = (ClassEight | W) << RmOperandShift, QX = (ClassEight | X) << RmOperandShift;
    internal const ulong KeR = (ClassMask | R) << RmOperandShift;
    /// <summary>Memory operand that no register form shares.</summary>
    internal const ulong MN = N << RmOperandShift, MR = R << RmOperandShift, MW = W << RmOperandShift, MX = X << RmOperandShift;

    internal const ulong HR = (ClassVector | R) << VvvvShift, HW = (ClassVector | W) << VvvvShift, HX = (ClassVector | X) << VvvvShift;
    internal const ulong BR = (ClassGpr | R) << VvvvShift, BW = (ClassGpr | W) << VvvvShift;
    internal const ulong KvR = (ClassMask | R) << VvvvShift;

    // Immediate.
    /// <summary>A byte, sign-extended.</summary>
    internal const ulong Ib = 1UL << ImmediateShift;
    /// <summary>A byte, zero-extended: count, port, vector, selector, control byte.</summary>
    internal const ulong Ub = 2UL << ImmediateShift;
    /// <summary>Two bytes, zero-extended.</summary>
    internal const ulong Iw = 3UL << ImmediateShift;
    /// <summary>Two or four bytes by operand size, sign-extended.</summary>
    internal const ulong Iz = 4UL << ImmediateShift;
    /// <summary>Two, four or eight bytes by operand size.</summary>
    internal const ulong Iv = 5UL << ImmediateShift;
    /// <summary>ENTER's.</summary>
    internal const ulong IwIb = 6UL << ImmediateShift;
    /// <summary>Two bytes, each an operand.</summary>
    internal const ulong IbIb = 7UL << ImmediateShift;
    /// <summary>Far pointer.</summary>
    internal const ulong Ap = 8UL << ImmediateShift;
    /// <summary>Memory operand whose address is in the instruction, as wide as the address size.</summary>
    internal const ulong Moffs = 9UL << ImmediateShift;

    // Size of the memory operand: up to M512 fixed (MemorySizes), then by context.
    internal const ulong M1 = 1UL << MemoryShift, M2 = 2UL << MemoryShift, M4 = 3UL << MemoryShift, M8 = 4UL << MemoryShift, M10 = 5UL << MemoryShift;
    internal const ulong M16 = 6UL << MemoryShift, M32 = 7UL << MemoryShift, M64 = 8UL << MemoryShift, M512 = 9UL << MemoryShift;
    /// <summary>XSAVE area, at least: legacy region and header.</summary>
    internal const ulong Mxsave = 10UL << MemoryShift;
    internal const int LastFixedMemory = 10;
    /// <summary>16, 32 or 64 bits by the operand-size attribute.</summary>
    internal const ulong Mv = 11UL << MemoryShift;
    /// <summary>The operand size (with the 64-bit defaults of stack and branches).</summary>
    internal const ulong Mo = 12UL << MemoryShift;
    /// <summary>16 or 32 bits.</summary>
    internal const ulong Mz = 13UL << MemoryShift;
    /// <summary>Far pointer: operand size and a selector.</summary>
    internal const ulong Mp = 14UL << MemoryShift;
    /// <summary>Two operands (BOUND).</summary>
    internal const ulong Mbound = 15UL << MemoryShift;
    /// <summary>Limit and base of a descriptor table.</summary>
    internal const ulong Mdt = 16UL << MemoryShift;
    /// <summary>x87 environment, and x87 state.</summary>
    internal const ulong Menv = 17UL << MemoryShift, Mstate = 18UL << MemoryShift;
    /// <summary>4 or 8 bytes by W.</summary>
    internal const ulong Mw = 19UL << MemoryShift;
    /// <summary>The vector length, a half, a quarter, an eighth of it.</summary>
    internal const ulong ML = 20UL << MemoryShift, ML2 = 21UL << MemoryShift, ML4 = 22UL << MemoryShift, ML8 = 23UL << MemoryShift;
    /// <summary>VMOVDDUP: 8 bytes for 128 bits, else the vector length.</summary>
    internal const ulong Mdup = 24UL << MemoryShift;

    // Operand size; without any of these it is 4, or the instruction has none.
    internal const ulong O1 = 1UL << SizeShift;
    /// <summary>2, 4 or 8 by prefix 66 and REX.W.</summary>
    internal const ulong Ov = 2UL << SizeShift;
    /// <summary>Stack: 8 or 2 in 64-bit mode.</summary>
    internal const ulong Od64 = 3UL << SizeShift;
    /// <summary>Near branch: 8 in 64-bit mode, prefix 66 ignored as on Intel's processors.</summary>
    internal const ulong Of64 = 4UL << SizeShift;
    /// <summary>4, or 8 with W in 64-bit mode; prefix 66 does not matter.</summary>
    internal const ulong Oy = 5UL << SizeShift;
    /// <summary>2 or 4, W does not matter.</summary>
    internal const ulong Oz = 6UL << SizeShift;
    /// <summary>8 in 64-bit mode, else 4.</summary>
    internal const ulong Om = 7UL << SizeShift;
    /// <summary>The address size.</summary>
    internal const ulong Oa = 8UL << SizeShift;

    internal const ulong X87 = (ulong)StateClass.X87 << StateShift, Wait = (ulong)StateClass.Wait << StateShift, Mmx = (ulong)StateClass.Mmx << StateShift;
    internal const ulong Sse = (ulong)StateClass.Sse << StateShift, Avx = (ulong)StateClass.Avx << StateShift, Avx512 = (ulong)StateClass.Avx512 << StateShift;

    // What a processor may lack, by number within a class of state; 0 is the class's own (SSE2, AVX, AVX512F). What each number
    // stands for, and where it depends on the vector length, is in Requirements.
    internal const int ExtensionShift = 59;
    internal const ulong Popcnt = 1UL << ExtensionShift, Lzcnt = 2UL << ExtensionShift, Bmi1 = 3UL << ExtensionShift, Bmi2 = 4UL << ExtensionShift;
    internal const ulong Adx = 5UL << ExtensionShift, Movbe = 6UL << ExtensionShift, Crc32 = 7UL << ExtensionShift, Cmpxchg16b = 8UL << ExtensionShift;
    internal const ulong Rdrand = 9UL << ExtensionShift, Rdseed = 10UL << ExtensionShift, Rdpid = 11UL << ExtensionShift, Rdtscp = 12UL << ExtensionShift;
    internal const ulong FsGsBase = 13UL << ExtensionShift, Smap = 14UL << ExtensionShift, Invpcid = 15UL << ExtensionShift, Xsave = 16UL << ExtensionShift;
    internal const ulong Xsaveopt = 17UL << ExtensionShift, Xsavec = 18UL << ExtensionShift, Clflushopt = 19UL << ExtensionShift;
    internal const ulong Clwb = 20UL << ExtensionShift, Clzero = 21UL << ExtensionShift;
    /// <summary>LAHF and SAHF in 64-bit mode.</summary>
    internal const ulong LahfLong = 22UL << ExtensionShift;
    /// <summary>What no model offers although it could run as it is.</summary>
    internal const ulong NoModel = 23UL << ExtensionShift, AvxNoModel = Avx | NoModel;

    internal const ulong Fisttp = X87 | 1UL << ExtensionShift, Ssse3Mmx = Mmx | 1UL << ExtensionShift;
    internal const ulong Sse3 = Sse | 1UL << ExtensionShift, Ssse3 = Sse | 2UL << ExtensionShift, Sse41 = Sse | 3UL << ExtensionShift;
    internal const ulong Sse42 = Sse | 4UL << ExtensionShift, Sse4a = Sse | 5UL << ExtensionShift, Aes = Sse | 6UL << ExtensionShift;
    internal const ulong Clmul = Sse | 7UL << ExtensionShift, Sha = Sse | 8UL << ExtensionShift, Gfni = Sse | 9UL << ExtensionShift;

    /// <summary>AVX with 128 bits, AVX2 with 256.</summary>
    internal const ulong AvxInteger = Avx | 1UL << ExtensionShift;
    internal const ulong Avx2 = Avx | 2UL << ExtensionShift, Fma = Avx | 3UL << ExtensionShift, F16c = Avx | 4UL << ExtensionShift;
    internal const ulong AvxVnni = Avx | 5UL << ExtensionShift, AvxIfma = Avx | 6UL << ExtensionShift, GfniVex = Avx | 7UL << ExtensionShift;
    /// <summary>AES and PCLMULQDQ with 128 bits, VAES and VPCLMULQDQ with 256.</summary>
    internal const ulong Vaes = Avx | 8UL << ExtensionShift, Vpclmul = Avx | 9UL << ExtensionShift;

    internal const ulong Avx512BW = Avx512 | 1UL << ExtensionShift, Avx512DQ = Avx512 | 2UL << ExtensionShift, Avx512CD = Avx512 | 3UL << ExtensionShift;
    internal const ulong Ifma = Avx512 | 4UL << ExtensionShift, Vbmi = Avx512 | 5UL << ExtensionShift, Vbmi2 = Avx512 | 6UL << ExtensionShift;
    internal const ulong Vnni = Avx512 | 7UL << ExtensionShift, Bitalg = Avx512 | 8UL << ExtensionShift, Vpopcntdq = Avx512 | 9UL << ExtensionShift;
    internal const ulong Bf16 = Avx512 | 10UL << ExtensionShift, Fp16 = Avx512 | 11UL << ExtensionShift, Vp2intersect = Avx512 | 12UL << ExtensionShift;
    internal const ulong GfniEvex = Avx512 | 13UL << ExtensionShift, VaesEvex = Avx512 | 14UL << ExtensionShift, VpclmulEvex = Avx512 | 15UL << ExtensionShift;

    // Arithmetic flags: R read, W written, U those of the written that are undefined after (Patterns.Flags).
    internal const ulong FlRc = 1UL << FlagsShift;
    internal const ulong FlRo = 2UL << FlagsShift;
    internal const ulong FlRp = 3UL << FlagsShift;
    internal const ulong FlRs = 4UL << FlagsShift;
    internal const ulong FlRz = 5UL << FlagsShift;
    internal const ulong FlWc = 6UL << FlagsShift;
    internal const ulong FlWz = 7UL << FlagsShift;
    internal const ulong FlRcz = 8UL << FlagsShift;
    internal const ulong FlRso = 9UL << FlagsShift;
    internal const ulong FlWco = 10UL << FlagsShift;
    internal const ulong FlRcWc = 11UL << FlagsShift;
    internal const ulong FlRoWo = 12UL << FlagsShift;
    internal const ulong FlRzso = 13UL << FlagsShift;
    internal const ulong FlRcWco = 14UL << FlagsShift;
    internal const ulong FlWcoUo = 15UL << FlagsShift;
    internal const ulong FlRcpazs = 16UL << FlagsShift;
    internal const ulong FlWcpazs = 17UL << FlagsShift;
    internal const ulong FlWpazso = 18UL << FlagsShift;
    internal const ulong FlRcpazso = 19UL << FlagsShift;
    internal const ulong FlRcWcoUo = 20UL << FlagsShift;
    internal const ulong FlWcpazso = 21UL << FlagsShift;
    internal const ulong FlRcWcpazso = 22UL << FlagsShift;
    internal const ulong FlWcpazsoUa = 23UL << FlagsShift;
    internal const ulong FlWcpazsoUao = 24UL << FlagsShift;
    internal const ulong FlWcpazsoUpa = 25UL << FlagsShift;
    internal const ulong FlWcpasoUpaso = 26UL << FlagsShift;
    internal const ulong FlWcpazsoUcao = 27UL << FlagsShift;
    internal const ulong FlWcpazsoUpas = 28UL << FlagsShift;
    internal const ulong FlRcaWcpazsoUo = 29UL << FlagsShift;
    internal const ulong FlWcpazsoUpaso = 30UL << FlagsShift;
    internal const ulong FlWcpazsoUpazs = 31UL << FlagsShift;
    internal const ulong FlWcpazsoUcpaso = 32UL << FlagsShift;
    internal const ulong FlRaWcpazsoUpzso = 33UL << FlagsShift;
    internal const ulong FlRcpazsoWcpazso = 34UL << FlagsShift;
    internal const ulong FlWcpazsoUcpazso = 35UL << FlagsShift;

    // General registers no field names: R read, W written (Patterns.Implicit). a, c, d, b are rAX, rCX, rDX, rBX.
    internal const ulong ImRa = 1UL << ImplicitShift;
    internal const ulong ImRc = 2UL << ImplicitShift;
    internal const ulong ImRd = 3UL << ImplicitShift;
    internal const ulong ImWa = 4UL << ImplicitShift;
    internal const ulong ImWc = 5UL << ImplicitShift;
    internal const ulong ImRac = 6UL << ImplicitShift;
    internal const ulong ImRad = 7UL << ImplicitShift;
    internal const ulong ImRDi = 8UL << ImplicitShift;
    internal const ulong ImWad = 9UL << ImplicitShift;
    internal const ulong ImWSp = 10UL << ImplicitShift;
    internal const ulong ImRacb = 11UL << ImplicitShift;
    internal const ulong ImRacd = 12UL << ImplicitShift;
    internal const ulong ImRaWa = 13UL << ImplicitShift;
    internal const ulong ImRaWd = 14UL << ImplicitShift;
    internal const ulong ImRc11 = 15UL << ImplicitShift;
    internal const ulong ImRcWc = 16UL << ImplicitShift;
    internal const ulong ImRdWa = 17UL << ImplicitShift;
    internal const ulong ImWacd = 18UL << ImplicitShift;
    internal const ulong ImWc11 = 19UL << ImplicitShift;
    internal const ulong ImRabWa = 20UL << ImplicitShift;
    internal const ulong ImRadWc = 21UL << ImplicitShift;
    internal const ulong ImRaWad = 22UL << ImplicitShift;
    internal const ulong ImRcWad = 23UL << ImplicitShift;
    internal const ulong ImRadWad = 24UL << ImplicitShift;
    internal const ulong ImRcdWSp = 25UL << ImplicitShift;
    internal const ulong ImRSpWSp = 26UL << ImplicitShift;
    internal const ulong ImRaDiWDi = 27UL << ImplicitShift;
    internal const ulong ImRdDiWDi = 28UL << ImplicitShift;
    internal const ulong ImRdSiWSi = 29UL << ImplicitShift;
    internal const ulong ImRSiWaSi = 30UL << ImplicitShift;
    internal const ulong ImRacdbWad = 31UL << ImplicitShift;
    internal const ulong ImRacWacdb = 32UL << ImplicitShift;
    internal const ulong ImRBpWSpBp = 33UL << ImplicitShift;
    internal const ulong ImRSiDiWSiDi = 34UL << ImplicitShift;
    internal const ulong ImRSpBpWSpBp = 35UL << ImplicitShift;
    internal const ulong ImRacdbSpBpSiDiWSp = 36UL << ImplicitShift;
    internal const ulong ImRSpWacdbSpBpSiDi = 37UL << ImplicitShift;
}
