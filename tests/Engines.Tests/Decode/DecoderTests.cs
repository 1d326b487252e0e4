// What the decoder promises, one behaviour a test, with bytes that a reader can check against the manual.
using Lamina.Engines.X86.Decode;
using Xunit;

namespace Lamina.Tests.Engines.Decode;

public sealed class DecoderTests
{
    private static InstructionSet Everything(bool ignoresUnused = false) => new(Extensions.All, ignoresUnused);

    private static Instruction Decode(string hex, CodeSize size = CodeSize.Code64)
    {
        byte[] code = Convert.FromHexString(hex.Replace(" ", ""));
        Assert.Equal(DecodeResult.Ok, InstructionDecoder.Decode(code, size, Everything(), out Instruction instruction));
        Assert.Equal(code.Length, instruction.Length);
        return instruction;
    }

    private static DecodeResult Result(string hex, CodeSize size = CodeSize.Code64, bool ignoresUnused = false) =>
        InstructionDecoder.Decode(Convert.FromHexString(hex.Replace(" ", "")), size, Everything(ignoresUnused), out _);

    [Theory]
    [InlineData("62 F1 44 00 12 C9", CodeSize.Code32)] // VMOVHLPS, V' = 0
    [InlineData("62 71 A5 38 14 C9", CodeSize.Code64)] // VUNPCKLPD of registers, b = 1
    [InlineData("62 71 7F 88 79 DB", CodeSize.Code64)] // VCVTSD2USI, z = 1 without an opmask
    [InlineData("C4 61 F9 44 D4", CodeSize.Code64)] // KNOTD, R = 0
    [InlineData("C5 8D 42 D0", CodeSize.Code64)] // KANDNB, vvvv[3] = 0
    [InlineData("C4 E3 7D 00 EF 00", CodeSize.Code64)] // VPERMQ, W = 0
    public void FieldsWithoutUseAreIgnoredAsAmdsProcessorsDoOrInvalidAsIntels(string hex, CodeSize size)
    {
        Assert.Equal(DecodeResult.Ok, Result(hex, size, ignoresUnused: true));
        Assert.Equal(DecodeResult.Invalid, Result(hex, size));
    }

    [Theory]
    [InlineData("62 F1 7C 88 2B 04 24", CodeSize.Code64)] // VMOVNTPS, z = 1: zeroing is for registers
    [InlineData("62 71 74 98 12 04 24", CodeSize.Code64)] // VMOVLPS from memory, b = 1
    [InlineData("62 F1 6C 88 58 CB", CodeSize.Code64)] // VADDPS, z = 1 without the opmask that it could have
    public void OtherFieldsAreInvalidEverywhere(string hex, CodeSize size)
    {
        Assert.Equal(DecodeResult.Invalid, Result(hex, size, ignoresUnused: true));
        Assert.Equal(DecodeResult.Invalid, Result(hex, size));
    }

    [Fact]
    public void VpextrqIsForLongModeOnAmdsProcessorsAndIgnoresWElsewhere()
    {
        Assert.Equal(DecodeResult.Invalid, Result("C4 E3 F9 16 EB 5E", CodeSize.Code32, ignoresUnused: true));
        Assert.Equal(DecodeResult.Ok, Result("C4 E3 F9 16 EB 5E", CodeSize.Code32));
        Assert.Equal(DecodeResult.Ok, Result("C4 E3 F9 16 EB 5E", CodeSize.Code64, ignoresUnused: true));
    }

    [Theory]
    [InlineData("0F 0B", InstructionId.Ud)]
    [InlineData("90", InstructionId.Nop)]
    [InlineData("F3 90", InstructionId.Pause)]
    [InlineData("49 90", InstructionId.Xchg)]
    [InlineData("48 90", InstructionId.Nop)]
    [InlineData("F3 0F 1E FA", InstructionId.Nop)]
    [InlineData("0F 0D 08", InstructionId.Nop)]
    [InlineData("0F 18 00", InstructionId.Nop)]
    [InlineData("66 0F 1A C1", InstructionId.Nop)]
    [InlineData("0F 01 C1", InstructionId.Hypercall)]
    [InlineData("0F 01 D9", InstructionId.Hypercall)]
    [InlineData("C6 F8 01", InstructionId.Transaction)]
    [InlineData("0F A3 C1", InstructionId.Plain)]
    [InlineData("0F A3 01", InstructionId.BitTestMemory)]
    [InlineData("0F BA 20 07", InstructionId.Plain)]
    [InlineData("0F 94 C0", InstructionId.Plain)]
    [InlineData("D2 E0", InstructionId.ShiftByCl)]
    [InlineData("F7 F1", InstructionId.Divide)]
    [InlineData("F7 E1", InstructionId.Plain)]
    public void GivesAnIdentityToWhatIsNotPlain(string hex, InstructionId expected)
    {
        Assert.Equal(expected, Decode(hex).Id);
    }

    [Theory]
    [InlineData("0F 18 40 10")]
    [InlineData("0F 1F 44 00 00")]
    [InlineData("0F 0D 0C 24")]
    [InlineData("48 8D 04 88")]
    [InlineData("0F 01 38")]
    public void HintsAndAddressesAccessNoMemory(string hex)
    {
        Instruction instruction = Decode(hex);

        Assert.True(instruction.HasMemory);
        Assert.Equal(0, instruction.MemorySize);
    }

    [Theory]
    [InlineData("31 C0")]
    [InlineData("48 33 C0")]
    [InlineData("29 DB")]
    [InlineData("30 E4")]
    public void ARegisterXoredWithItselfIsNotRead(string hex)
    {
        Instruction instruction = Decode(hex);

        Assert.Equal(InstructionId.ZeroRegister, instruction.Id);
        Assert.Equal(OperandAccess.Write, instruction.RegAccess | instruction.RmAccess);
    }

    [Theory]
    [InlineData("31 C1")]
    [InlineData("41 31 C0")]
    [InlineData("19 C0")]
    public void OtherRegistersAreRead(string hex)
    {
        Instruction instruction = Decode(hex);

        Assert.Equal(InstructionId.Plain, instruction.Id);
        Assert.Equal(OperandAccess.ReadWrite, instruction.RmAccess);
    }

    [Theory]
    [InlineData("66 48 8B 00", 8)]
    [InlineData("48 66 8B 00", 2)]
    [InlineData("66 8B 00", 2)]
    [InlineData("8B 00", 4)]
    [InlineData("8A 00", 1)]
    public void RexCountsOnlyRightBeforeTheOpcode(string hex, int size)
    {
        Instruction instruction = Decode(hex);

        Assert.Equal(size, instruction.OperandSize);
        Assert.Equal(size, instruction.MemorySize);
    }

    [Theory]
    [InlineData("F2 F3 0F 10 00", 0xF3)]
    [InlineData("F3 F2 0F 10 00", 0xF2)]
    [InlineData("66 F3 0F 10 00", 0xF3)]
    [InlineData("F3 66 0F 10 00", 0xF3)]
    [InlineData("66 0F 10 00", 0x66)]
    [InlineData("0F 10 00", 0)]
    public void TheLastRepeatPrefixDecidesAndComesBefore66(string hex, int prefix)
    {
        Assert.Equal(prefix, Decode(hex).MandatoryPrefix);
    }

    [Theory]
    [InlineData("8B 00", CodeSize.Code64, 3)]
    [InlineData("8B 45 00", CodeSize.Code64, 2)]
    [InlineData("8B 04 24", CodeSize.Code64, 2)]
    [InlineData("41 8B 45 00", CodeSize.Code64, 3)]
    [InlineData("2E 8B 00", CodeSize.Code64, 3)]
    [InlineData("3E 8B 45 00", CodeSize.Code64, 2)]
    [InlineData("64 2E 8B 00", CodeSize.Code64, 4)]
    [InlineData("64 65 8B 00", CodeSize.Code64, 5)]
    [InlineData("64 2E 8B 00", CodeSize.Code32, 1)]
    [InlineData("3E 8B 45 00", CodeSize.Code32, 3)]
    [InlineData("8B 46 00", CodeSize.Code16, 2)]
    [InlineData("8B 42 10", CodeSize.Code16, 2)]
    [InlineData("8B 06 34 12", CodeSize.Code16, 3)]
    public void FindsTheEffectiveSegment(string hex, CodeSize size, int segment)
    {
        Assert.Equal(segment, Decode(hex, size).Segment);
    }

    [Theory]
    [InlineData("8B 00", 3, 6, 0)]
    [InlineData("8B 43 FE", 5, 7, -2)]
    [InlineData("8B 84 00 80", 6, -1, -0x8000)]
    [InlineData("8B 06 00 80", -1, -1, -0x8000)]
    public void Reads16BitAddresses(string hex, int baseRegister, int index, int displacement)
    {
        Instruction instruction = Decode(hex, CodeSize.Code16);

        Assert.Equal((baseRegister, index, displacement), (instruction.Base, instruction.Index, (int)instruction.Displacement));
        Assert.Equal(2, instruction.AddressSize);
    }

    [Fact]
    public void RipRelativeAddressesKeepTheirDisplacement()
    {
        Instruction wide = Decode("8B 05 FC FF FF FF");
        Instruction narrow = Decode("67 8B 05 FC FF FF FF");

        Assert.Equal((Instruction.RipBase, -4L, 8), (wide.Base, wide.Displacement, wide.AddressSize));
        Assert.Equal((Instruction.RipBase, -4L, 4), (narrow.Base, narrow.Displacement, narrow.AddressSize));
        Assert.Equal(Instruction.NoRegister, Decode("8B 05 FC FF FF FF", CodeSize.Code32).Base);
    }

    [Fact]
    public void AMoffsOperandIsAnAddressAsWideAsTheAddressSize()
    {
        Instruction instruction = Decode("48 A1 88 77 66 55 44 33 22 F1");

        Assert.True(instruction.HasMemory);
        Assert.Equal(InstructionId.MovMoffs, instruction.Id);
        Assert.Equal(unchecked((long)0xF122334455667788), instruction.Displacement);
        Assert.Equal((8, OperandAccess.Read, 0), (instruction.MemorySize, instruction.RmAccess, instruction.ImmediateSize));
        Assert.Equal(0xFFFF, Decode("A2 FF FF", CodeSize.Code16).Displacement);
    }

    [Theory]
    [InlineData("62 F1 7C 48 10 40 01", 64, 64)] // VMOVUPS zmm
    [InlineData("62 F1 7C 58 58 40 01", 4, 4)] // VADDPS zmm, broadcast
    [InlineData("62 F1 FD 58 58 40 01", 8, 8)] // VADDPD zmm, broadcast
    [InlineData("62 F1 7E 08 10 40 01", 4, 4)] // VMOVSS
    [InlineData("62 F2 7D 48 63 40 01", 64, 1)] // VPCOMPRESSB
    [InlineData("62 F2 7D 49 92 44 08 01", 4, 4)] // VGATHERDPS
    public void EvexDisplacementsCountOperands(string hex, int size, int unit)
    {
        Instruction instruction = Decode(hex);

        Assert.Equal(size, instruction.MemorySize);
        Assert.Equal(unit, instruction.Displacement);
    }

    [Theory]
    [InlineData("0F 28 00", 16)] // MOVAPS
    [InlineData("0F 10 00", 0)] // MOVUPS
    [InlineData("0F 58 00", 16)] // ADDPS
    [InlineData("F3 0F 58 00", 0)] // ADDSS
    [InlineData("F2 0F F0 00", 0)] // LDDQU
    [InlineData("66 0F 3A 63 00 00", 0)] // PCMPISTRI
    [InlineData("C5 FC 28 00", 32)] // VMOVAPS ymm
    [InlineData("C5 FC 58 00", 0)] // VADDPS ymm
    [InlineData("62 F1 7D 48 7F 00", 64)] // VMOVDQA32 zmm
    [InlineData("48 0F C7 08", 16)] // CMPXCHG16B
    [InlineData("0F C7 08", 0)] // CMPXCHG8B
    [InlineData("0F AE 00", 16)] // FXSAVE
    [InlineData("0F AE 20", 64)] // XSAVE
    public void KnowsWhichOperandsMustBeAligned(string hex, int alignment)
    {
        Assert.Equal(alignment, Decode(hex).MemoryAlignment);
    }

    [Theory]
    [InlineData("C2 FF FF", 0xFFFF, 0)]
    [InlineData("CD 80", 0x80, 0)]
    [InlineData("E4 FF", 0xFF, 0)]
    [InlineData("C8 00 80 1F", 0x8000, 0x1F)]
    [InlineData("6A FF", -1, 0)]
    [InlineData("48 83 C0 80", -0x80, 0)]
    [InlineData("48 81 C0 00 00 00 80", -0x8000_0000L, 0)]
    [InlineData("48 B8 FF FF FF FF FF FF FF 7F", 0x7FFF_FFFF_FFFF_FFFF, 0)]
    [InlineData("EB FE", -2, 0)]
    [InlineData("66 0F 78 C0 81 82", 0x81, 0x82)]
    public void ExtendsImmediates(string hex, long first, int second)
    {
        Instruction instruction = Decode(hex);

        Assert.Equal((first, (ushort)second), (instruction.Immediate, instruction.Immediate2));
    }

    [Fact]
    public void AFarPointerIsAnOffsetAndASelector()
    {
        Instruction instruction = Decode("EA 78 56 34 F2 CD AB", CodeSize.Code32);

        Assert.Equal((0xF2345678L, (ushort)0xABCD, 6), (instruction.Immediate, instruction.Immediate2, instruction.ImmediateSize));
    }

    [Theory]
    [InlineData("C4 00", CodeSize.Code32, 0)]
    [InlineData("C5 00", CodeSize.Code32, 3)]
    [InlineData("0F B2 00", CodeSize.Code64, 2)]
    [InlineData("0F B4 00", CodeSize.Code64, 4)]
    [InlineData("0F B5 00", CodeSize.Code64, 5)]
    public void AFarLoadNamesItsSegment(string hex, CodeSize size, int segment)
    {
        Instruction instruction = Decode(hex, size);

        Assert.Equal((InstructionId.LoadFarPointer, (ushort)segment, 6), (instruction.Id, instruction.Immediate2, instruction.MemorySize));
    }

    [Theory]
    [InlineData("06", CodeSize.Code32, 0)]
    [InlineData("0E", CodeSize.Code16, 1)]
    [InlineData("16", CodeSize.Code16, 2)]
    [InlineData("1E", CodeSize.Code32, 3)]
    [InlineData("0F A0", CodeSize.Code64, 4)]
    [InlineData("0F A8", CodeSize.Code64, 5)]
    public void APushedSegmentIsInReg(string hex, CodeSize size, int segment)
    {
        Instruction instruction = Decode(hex, size);

        Assert.Equal((InstructionId.PushSegment, segment), (instruction.Id, instruction.Reg));
    }

    [Theory]
    [InlineData("C5 F8 77", CodeSize.Code32, EncodingKind.Vex)]
    [InlineData("C5 38", CodeSize.Code32, EncodingKind.Legacy)]
    [InlineData("62 38", CodeSize.Code16, EncodingKind.Legacy)]
    [InlineData("62 F1 7C 48 10 00", CodeSize.Code16, EncodingKind.Evex)]
    public void OutsideLongModeAMemoryFormIsNotVex(string hex, CodeSize size, EncodingKind encoding)
    {
        Assert.Equal(encoding, Decode(hex, size).Encoding);
    }

    [Fact]
    public void WThatCountsForNothingOutsideLongModeIsNotTold()
    {
        Assert.True(Decode("C4 E2 E8 F2 C8").W); // ANDN
        Assert.False(Decode("C4 E2 E8 F2 C8", CodeSize.Code32).W);
        Assert.True(Decode("C4 E3 FD 00 C1 00", CodeSize.Code32).W); // VPERMQ
        Assert.Equal(0x08_7E_F1u, Decode("62 C1 FE 08 2A C0", CodeSize.Code32).EvexPayload); // VCVTSI2SS
    }

    [Theory]
    [InlineData("0F 20 18", InstructionId.MovFromCr)]
    [InlineData("0F 22 04", InstructionId.MovToCr)]
    [InlineData("0F 23 78", InstructionId.MovToDr)]
    public void ControlRegisterMovesIgnoreMod(string hex, InstructionId id)
    {
        Instruction instruction = Decode(hex);

        Assert.Equal((id, false, 8), (instruction.Id, instruction.HasMemory, instruction.OperandSize));
    }

    [Theory]
    [InlineData("66 E8 00 00 00 00", 8)]
    [InlineData("66 C3", 8)]
    [InlineData("66 50", 2)]
    [InlineData("50", 8)]
    [InlineData("66 9C", 2)]
    [InlineData("66 CB", 2)]
    [InlineData("48 CF", 8)]
    [InlineData("CF", 4)]
    public void StackAndBranchesHaveTheirOwnSizesInLongMode(string hex, int size)
    {
        Assert.Equal(size, Decode(hex).OperandSize);
    }

    [Fact]
    public void RepeatedStringsCountInRcx()
    {
        Instruction once = Decode("A4");
        Instruction repeated = Decode("F3 A4");
        Instruction compared = Decode("F2 AE");

        Assert.Equal((0xC0, 0xC0), (once.ImplicitRead, once.ImplicitWritten));
        Assert.Equal((0xC2, 0xC2), (repeated.ImplicitRead, repeated.ImplicitWritten));
        Assert.Equal(InstructionTraits.Rep, repeated.Traits);
        Assert.Equal(InstructionTraits.Repne | InstructionTraits.FlagsMayStay, compared.Traits);
    }

    [Theory]
    [InlineData("C1 E0 00", Flags.None)]
    [InlineData("C1 E0 20", Flags.None)]
    [InlineData("48 C1 E0 20", Flags.All)]
    [InlineData("C1 E0 01", Flags.All)]
    public void AShiftByNothingTouchesNoFlag(string hex, Flags written)
    {
        Assert.Equal(written, Decode(hex).FlagsWritten);
    }

    [Theory]
    [InlineData("F0 01 00", InstructionTraits.Lock)]
    [InlineData("F0 87 00", InstructionTraits.Lock | InstructionTraits.ImplicitLock)]
    [InlineData("87 00", InstructionTraits.ImplicitLock)]
    public void LocksMemory(string hex, InstructionTraits traits)
    {
        Assert.Equal(traits, Decode(hex).Traits);
    }

    [Theory]
    [InlineData("F0 01 C0", CodeSize.Code64)] // LOCK on a register
    [InlineData("F0 8B 00", CodeSize.Code64)] // LOCK on a load
    [InlineData("F0 90", CodeSize.Code64)]
    [InlineData("F0 0F 20 C0", CodeSize.Code64)] // CR8 on AMD's processors
    [InlineData("06", CodeSize.Code64)]
    [InlineData("D6", CodeSize.Code64)]
    [InlineData("82 C0 00", CodeSize.Code64)]
    [InlineData("8E C8", CodeSize.Code64)] // MOV CS
    [InlineData("8E F0", CodeSize.Code64)]
    [InlineData("0F 20 C8", CodeSize.Code64)] // CR1
    [InlineData("44 0F 21 C0", CodeSize.Code64)] // DR8
    [InlineData("48 C5 F8 77", CodeSize.Code64)] // REX before VEX
    [InlineData("66 C5 F8 77", CodeSize.Code64)]
    [InlineData("C5 F0 28 C0", CodeSize.Code64)] // vvvv of VMOVAPS
    [InlineData("62 F1 7C C8 10 C0", CodeSize.Code64)] // zeroing without a mask
    [InlineData("62 F1 7C C9 11 00", CodeSize.Code64)] // zeroing of memory
    [InlineData("62 F2 7D 48 92 04 08", CodeSize.Code64)] // gather without a mask
    [InlineData("C4 E2 69 92 04 10", CodeSize.Code64)] // gather with one register twice
    [InlineData("0F 0F C0 9E", CodeSize.Code64)] // 3DNow!
    [InlineData("8F E8 78 A2 C0 00", CodeSize.Code64)] // XOP
    [InlineData("0F 01 C2", CodeSize.Code64)] // VMLAUNCH
    [InlineData("0F 01 D8", CodeSize.Code64)] // VMRUN
    [InlineData("0F 01 EE", CodeSize.Code64)] // RDPKRU
    [InlineData("F3 0F 01 EA", CodeSize.Code64)] // SAVEPREVSSP
    [InlineData("C4 E2 78 49 C0", CodeSize.Code64)] // AMX
    public void RefusesWhatIsNotAnInstruction(string hex, CodeSize size)
    {
        Assert.Equal(DecodeResult.Invalid, Result(hex, size));
    }

    [Theory]
    [InlineData("66 66 66 66 66 66 66 66 66 66 66 66 66 66 90", DecodeResult.Ok)]
    [InlineData("66 66 66 66 66 66 66 66 66 66 66 66 66 66 66 90", DecodeResult.TooLong)]
    [InlineData("66 66 66 66 66 66 66 66 66 66 66 66 66 66 66", DecodeResult.TooLong)]
    [InlineData("66 66 66 66 66 66 66 66 66 66 66 66 66 66", DecodeResult.Truncated)]
    [InlineData("66 66 66 66 66 66 66 66 66 66 66 66 66 8B 05 00 00 00 00", DecodeResult.TooLong)]
    [InlineData("2E 64 F3 66 67 48 81 84 88 78 56 34 12 78 56 34 12", DecodeResult.TooLong)]
    [InlineData("", DecodeResult.Truncated)]
    public void FifteenBytesIsTheLimit(string hex, DecodeResult expected)
    {
        Assert.Equal(expected, Result(hex));
    }

    [Theory]
    [InlineData("F0 48 81 84 88 78 56 34 12 78 56 34 12")]
    [InlineData("48 B8 88 77 66 55 44 33 22 11")]
    [InlineData("66 0F 3A 0F 44 24 08 04")]
    [InlineData("C4 E3 FD 00 04 25 00 00 00 00 1B")]
    [InlineData("62 F3 7D 4D 1D 84 88 00 00 00 00 01")]
    [InlineData("C8 00 10 01")]
    public void EveryShorterPrefixOfAnInstructionIsTruncated(string hex)
    {
        byte[] code = Convert.FromHexString(hex.Replace(" ", ""));

        Assert.Equal(DecodeResult.Ok, InstructionDecoder.Decode(code, CodeSize.Code64, Everything(), out _));
        for (int length = 0; length < code.Length; length++)
        {
            Assert.Equal(DecodeResult.Truncated, InstructionDecoder.Decode(code.AsSpan(0, length), CodeSize.Code64, Everything(), out _));
        }
    }

    [Theory]
    [InlineData(CodeSize.Code16)]
    [InlineData(CodeSize.Code32)]
    [InlineData(CodeSize.Code64)]
    public void NothingBeyondTheInstructionMatters(CodeSize size)
    {
        var random = new Random(5);
        Span<byte> code = stackalloc byte[15];
        for (int i = 0; i < 200_000; i++)
        {
            random.NextBytes(code);
            if (InstructionDecoder.Decode(code, size, Everything(), out Instruction whole) != DecodeResult.Ok)
            {
                continue;
            }
            Assert.Equal(DecodeResult.Ok, InstructionDecoder.Decode(code[..whole.Length], size, Everything(), out Instruction exact));
            Assert.Equal(whole, exact);
            Assert.Equal(DecodeResult.Truncated, InstructionDecoder.Decode(code[..random.Next(whole.Length)], size, Everything(), out _));
        }
    }
}
