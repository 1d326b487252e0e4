// Cases that save and restore the x87 and vector state as images in memory: FXSAVE, FXRSTOR, XSAVE, XSAVEOPT, XSAVEC and XRSTOR
// of images that are valid, nearly so, or not; in both formats; with any set of components; with a little use of the
// registers in between; some at the end of what may be written.
using System.Buffers.Binary;
using Iced.Intel;
using Lamina.Engines.X86.Decode;
using Lamina.Tests.Engine.Conformance.Oracle;
using CodeSize = Lamina.Engines.X86.Decode.CodeSize;
using Instruction = Iced.Intel.Instruction;

namespace Lamina.Tests.Engine.Conformance.Cases;

/// <summary>The generator of cases about images of state.</summary>
internal sealed class StateImageGenerator(ulong components, InstructionSet set)
{
    private const int Source = 0x440, Target = 0x1440, Stack = 0x2e00, HeaderAt = 512, HeaderLength = 64, MxcsrAt = 24;
    private const ulong Compacted = 1ul << 63;

    // Components of which the host may have some that cases do not carry.
    private const int FirstUnknown = 24;

    private static ReadOnlySpan<int> Saves => [(int)Code.Fxsave_m512byte, (int)Code.Xsave_mem, (int)Code.Xsaveopt_mem, (int)Code.Xsavec_mem];

    private static ReadOnlySpan<int> LongSaves => [(int)Code.Fxsave64_m512byte, (int)Code.Xsave64_mem, (int)Code.Xsaveopt64_mem, (int)Code.Xsavec64_mem];

    // FLD1, FNINIT, EMMS, FLDPI; PXOR XMM0; VZEROALL, VZEROUPPER; VPXOR YMM1, VPADDD ZMM2, KXNORW K1.
    private static readonly byte[][] Uses =
    [
        [0xd9, 0xe8], [0xdb, 0xe3], [0x0f, 0x77], [0xd9, 0xeb], [0x66, 0x0f, 0xef, 0xc0], [0xc5, 0xfc, 0x77], [0xc5, 0xf8, 0x77],
        [0xc5, 0xf5, 0xef, 0xc9], [0x62, 0xf1, 0x6d, 0x48, 0xfe, 0xd3], [0xc5, 0xf4, 0x46, 0xc9],
    ];

    private readonly byte[][] _uses = [.. Uses.Where(code => InstructionDecoder.Decode(code, CodeSize.Code64, set, out _) == DecodeResult.Ok)];

    // FXSAVE and XSAVE are first; XSAVEOPT and XSAVEC where the model has them.
    private readonly int _saves = (set.Offered & Extensions.Xsave) == 0 ? 1 : (set.Offered & Extensions.Xsaveopt) == 0 ? 2 : (set.Offered & Extensions.Xsavec) == 0 ? 3 : 4;

    private sealed class Buffer : CodeWriter
    {
        public readonly List<byte> Bytes = [];

        public override void WriteByte(byte value) => Bytes.Add(value);
    }

    /// <summary>Fills a case.</summary>
    public void Generate(TestCase test, ulong seed, CodeMode mode)
    {
        var random = new CaseRandom(seed);
        test.Reset(mode, random.Next());
        for (var i = 0; i < 16; i++) test.Gpr[i] = test.Bits == 64 ? random.Value() : (uint)random.Value();
        test.Gpr[4] = CaseLayout.Data + Stack - test.DataBase;
        test.Gpr[0] = random.Chance(60) ? uint.MaxValue : (uint)random.Next();
        test.Gpr[2] = random.Chance(60) ? 0 : (uint)random.Next();
        // Only what both sides have: the host may have more enabled than cases carry.
        (test.Gpr[0], test.Gpr[2]) = (test.Gpr[0] & components, 0);
        ChooseImage(test, random);
        var target = random.Below(12) switch
        {
            0 => Target + 1 + random.Below(63),
            1 => CaseLayout.WritableData - random.Below(48) * 64,
            _ => Target,
        };
        var buffer = new Buffer();
        var encoder = Encoder.Create(test.Bits, buffer);
        if (random.Chance(70)) Add(encoder, test, RestoreOf(random, test.Bits, mayBeLegacy: true), Source);
        while (random.Chance(60)) buffer.Bytes.AddRange(random.Pick<byte[]>(_uses));
        if (random.Chance(85))
        {
            var number = random.Below(_saves);
            Add(encoder, test, (Code)(test.Bits == 64 && random.Chance(50) ? LongSaves : Saves)[number], target);
            test.Image = new StateImage(target, (Code)Saves[number] switch { Code.Fxsave_m512byte => ImageFormat.Legacy, Code.Xsavec_mem => ImageFormat.Compacted, _ => ImageFormat.Standard });
            while (random.Chance(60)) buffer.Bytes.AddRange(random.Pick<byte[]>(_uses));
            // FXRSTOR would read what XSAVEOPT and XSAVEC may have left out.
            if (random.Chance(40)) Add(encoder, test, RestoreOf(random, test.Bits, number < 2), target);
        }
        test.SetCode(CaseLayout.CodeInImage + 64 + random.Below(3800), buffer.Bytes.ToArray());
    }

    private Code RestoreOf(CaseRandom random, int bits, bool mayBeLegacy) => (bits == 64 && random.Chance(50), _saves > 1 && (!mayBeLegacy || random.Chance(75))) switch
    {
        (false, true) => Code.Xrstor_mem,
        (true, true) => Code.Xrstor64_mem,
        (false, false) => Code.Fxrstor_m512byte,
        _ => Code.Fxrstor64_m512byte,
    };

    private static void Add(Encoder encoder, TestCase test, Code code, int imageOffset)
    {
        var address = CaseLayout.LinearOf(imageOffset) - (long)test.DataBase;
        var operand = new MemoryOperand(Register.None, Register.None, 1, address, test.Bits == 16 ? 2 : test.Bits == 32 ? 4 : 8, false, Register.None);
        encoder.Encode(Instruction.Create(code, operand), 0);
    }

    // SDM vol. 1, 13.4 and 13.8.1 (what XRSTOR refuses).
    private void ChooseImage(TestCase test, CaseRandom random)
    {
        Span<byte> legacy = stackalloc byte[32];
        legacy.Clear();
        test.Xsave.AsSpan(0, 6).CopyTo(legacy);
        var mxcsr = BinaryPrimitives.ReadUInt32LittleEndian(test.Xsave.AsSpan(MxcsrAt)) ^ (uint)(random.Next() & 0x603f);
        if (random.Chance(5)) mxcsr |= 0x1_0000;
        BinaryPrimitives.WriteUInt32LittleEndian(legacy[MxcsrAt..], mxcsr);
        test.Patch(Source, legacy);
        Span<byte> header = stackalloc byte[HeaderLength];
        header.Clear();
        var present = random.Chance(40) ? components : components & random.Next();
        if (random.Chance(5)) present |= 1ul << (FirstUnknown + random.Below(64 - FirstUnknown));
        BinaryPrimitives.WriteUInt64LittleEndian(header, present);
        if (random.Chance(35)) BinaryPrimitives.WriteUInt64LittleEndian(header[8..], Compacted | (random.Chance(90) ? present : random.Next()) | components & random.Next());
        if (random.Chance(4)) header[8 + FirstUnknown / 8 + random.Below(53)] ^= (byte)(1 << random.Below(8));
        test.Patch(Source + HeaderAt, header);
    }
}
