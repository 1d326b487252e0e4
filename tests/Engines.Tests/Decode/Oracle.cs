// The oracle of the decoder's tests: the same bytes decoded by Iced, and a comparison field by field. It says what
// differs in words, with the bytes; what differs on purpose is in IntendedDifferences.
using Iced.Intel;
using Lamina.Engines.X86.Decode;
using Xunit;
using CodeSize = Lamina.Engines.X86.Decode.CodeSize;
using EncodingKind = Lamina.Engines.X86.Decode.EncodingKind;
using Instruction = Lamina.Engines.X86.Decode.Instruction;
using Theirs = Iced.Intel.Instruction;

namespace Lamina.Tests.Engines.Decode;

/// <summary>Compares one decoded instruction with Iced's view of the same bytes.</summary>
internal sealed class Oracle(CodeSize size)
{
    private const int MaximumListed = 40;

    private readonly InstructionInfoFactory _factory = new();
    private readonly Dictionary<(Code, string), string> _differences = [];

    private readonly HashSet<Code> _seen = [];

    /// <summary>Fails with a line for each kind of difference.</summary>
    public void AssertAgreement()
    {
        if (_differences.Count != 0)
        {
            Assert.Fail($"{_differences.Count} kinds of difference in {size}:\n"
                + string.Join('\n', _differences.Select(d => $"{d.Key.Item1} {d.Key.Item2}: {d.Value}").Order().Take(MaximumListed)));
        }
    }

    /// <summary>Fails unless every instruction of the encoding that there is in this code size was among those compared.</summary>
    public void AssertComplete(Iced.Intel.EncodingKind encoding)
    {
        var missing = Enum.GetValues<Code>().Where(code => IntendedDifferences.IsInstructionOf(code.ToOpCode(), encoding, size) && !_seen.Contains(code)).ToList();
        Assert.True(missing.Count == 0, $"not compared in {size}: {string.Join(' ', missing.Take(MaximumListed))}");
    }

    /// <summary>Decodes the bytes (at most 15 are looked at) with both.</summary>
    public void Compare(ReadOnlySpan<byte> code)
    {
        code = code[..Math.Min(code.Length, 15)];
        byte[] bytes = code.ToArray();
        int bits = size switch { CodeSize.Code16 => 16, CodeSize.Code32 => 32, _ => 64 };
        var decoder = Iced.Intel.Decoder.Create(bits, bytes, DecoderOptions.ForceReservedNop);
        Theirs theirs = decoder.Decode();
        DecodeResult result = InstructionDecoder.Decode(code, size, new InstructionSet(Extensions.All, IgnoresUnused: false), out Instruction ours);
        bool offered = IntendedDifferences.IsOffered(theirs.Code);
        DecodeResult expected = decoder.LastError switch
        {
            DecoderError.None => offered ? DecodeResult.Ok : DecodeResult.Invalid,
            DecoderError.NoMoreBytes => bytes.Length == 15 ? DecodeResult.TooLong : DecodeResult.Truncated,
            _ => DecodeResult.Invalid,
        };
        if (IntendedDifferences.ValidityDiffers(expected, result, bytes.Length))
        {
            return;
        }
        var check = new Check(this, theirs.Code, bytes, theirs);
        check.Equal("validity", expected, result);
        if (expected != DecodeResult.Ok || result != DecodeResult.Ok)
        {
            return;
        }
        _seen.Add(theirs.Code);
        CompareNeeds(check, code, theirs.Code, ours);
        new InstructionComparison(check, ours, theirs, _factory.GetInfo(theirs), bits).Run();
    }

    // With exactly what it needs it is the same instruction; without any one of these it is #UD, or another (BSF for TZCNT).
    private void CompareNeeds(Check check, ReadOnlySpan<byte> code, Code theirs, in Instruction ours)
    {
        Extensions needed = NeededExtensions.Of(theirs, size switch { CodeSize.Code16 => 16, CodeSize.Code32 => 32, _ => 64 });
        check.Equal("what suffices for it", DecodeResult.Ok, InstructionDecoder.Decode(code, size, new InstructionSet(needed, IgnoresUnused: false), out _));
        for (var rest = (ulong)needed; rest != 0; rest &= rest - 1)
        {
            var one = (Extensions)(rest & (0 - rest));
            DecodeResult result = InstructionDecoder.Decode(code, size, new InstructionSet(Extensions.All & ~one, IgnoresUnused: false), out Instruction other);
            bool isBitScan = theirs.Mnemonic() is Mnemonic.Tzcnt or Mnemonic.Lzcnt && result == DecodeResult.Ok && other is { MandatoryPrefix: 0 } && other.Opcode == ours.Opcode;
            check.Equal($"what it is without {one}", true, result == DecodeResult.Invalid || isBitScan);
        }
    }

    /// <summary>Notes a difference the first time its kind is seen.</summary>
    internal readonly struct Check(Oracle oracle, Code code, byte[] bytes, Theirs theirs)
    {
        public void Equal<T>(string what, T expected, T actual)
        {
            if (!EqualityComparer<T>.Default.Equals(expected, actual))
            {
                oracle._differences.TryAdd((code, what), $"expected {expected}, was {actual}; bytes {Convert.ToHexString(bytes)} {theirs}");
            }
        }
    }
}
