// Executor instructions that user code may run, compared with the host CPU: registers, defined flags, memory, vectors. Under the
// host's own CPU model and, more briefly, under lower ones, so that each host tests what a lower one has.
using Lamina.Engines.X86.Decode;
using Lamina.Engines.X86;
using Lamina.Engines.X86.Cpuid;
using Lamina.Engines.X86.Memory;
using Xunit;

namespace Lamina.Tests.Engines.X86;

public sealed class HostOracleTests() : HostOracle(CpuSelection.HostName);

public sealed class HostOracleWithoutAvx512Tests() : HostOracle("host,-avx512f");

public sealed class HostOracleWithoutAvx2Tests() : HostOracle("host,-avx2");

public sealed class HostOracleWithoutAvxTests() : HostOracle("host,-avx");

public abstract unsafe class HostOracle(string model) : IDisposable
{
    private readonly HostRunner _runner = new(model);
    private readonly Random _random = new(20);

    public void Dispose()
    {
        _runner.Dispose();
        GC.SuppressFinalize(this);
    }

    private int Cases => model == CpuSelection.HostName ? 150 : 24;

    /// <summary>What asks for all components of the model's; the host may have more.</summary>
    private ulong AllComponents => model == CpuSelection.HostName ? ulong.MaxValue : _runner.Model.XcrMask;

    private bool Offers(Extensions extensions) => (_runner.Model.InstructionSet.Offered & extensions) == extensions;

    private void AssertInvalid(ReadOnlySpan<byte> code) =>
        Assert.Equal(DecodeResult.Invalid, InstructionDecoder.Decode(code, CodeSize.Code64, _runner.Model.InstructionSet, out _));

    private ulong Pointer() => _runner.Window + (ulong)(HostRunner.WindowSize / 2 + _random.Next(-512, 512));

    /// <summary>Random registers (RBX, RSI, RDI point into the window), flags and memory; some small values, as bugs like them.</summary>
    private void Randomize(bool vectors = false)
    {
        var guest = _runner.Guest;
        for (var n = 0; n < 16; n++)
            guest.Context->Gpr[n] = _random.Next(4) switch { 0 => (ulong)_random.Next(256), 1 => ulong.MaxValue >> _random.Next(64), _ => (ulong)_random.NextInt64(long.MinValue, long.MaxValue) };
        (guest.Rbx, guest.Rsi, guest.Rdi) = (Pointer(), Pointer(), Pointer());
        guest.Flags = (ulong)_random.Next(4096) & 0xcd5;
        _random.NextBytes(_runner.GuestWindow);
        if (vectors) RandomizeVectors();
    }

    private void RandomizeVectors()
    {
        var image = new XsaveImage(_runner.Guest.Context->XsaveArea, _runner.Model);
        _random.NextBytes(_runner.GuestVectors[32..416]);
        for (var n = 0; n < 8; n++) _runner.GuestVectors.Slice(32 + n * 16 + 10, 6).Clear();
        for (var n = 2; n < 8; n++)
            if ((_runner.Model.XcrMask >> n & 1) != 0) _random.NextBytes(new Span<byte>(image.Component(n), (int)_runner.Model.Component(n).Size));
        image.StateBits = _runner.Model.XcrMask;
        *(ushort*)image.Area = 0x37f;
        *(ushort*)(image.Area + 2) = (ushort)(_random.Next(8) << 11);
        image.Area[4] = (byte)_random.Next(256);
    }

    private void Compare(ReadOnlySpan<byte> code, Flags undefined = Flags.None, bool vectors = false)
    {
        var bytes = Convert.ToHexString(code);
        _runner.CopyToHost();
        Assert.Equal(Outcome.Next, _runner.RunOnGuest(code, out var instruction));
        _runner.RunNatively(code);
        var guest = _runner.Guest;
        for (var n = 0; n < 16; n++)
            if (n != 4) Assert.True(_runner.HostRegister(n) == guest.Context->Gpr[n], $"{bytes}: register {n}: host {_runner.HostRegister(n):x}, guest {guest.Context->Gpr[n]:x}");
        var mask = 0xcd5ul & ~(ulong)(instruction.FlagsUndefined | undefined);
        Assert.True(((_runner.HostFlags ^ guest.Flags) & mask) == 0, $"{bytes}: flags: host {_runner.HostFlags & mask:x}, guest {guest.Flags & mask:x}");
        var at = _runner.HostWindow.CommonPrefixLength(_runner.GuestWindow);
        Assert.True(at == HostRunner.WindowSize, $"{bytes}: memory differs at {at:x}");
        if (vectors) CompareVectors(bytes);
    }

    private void CompareVectors(string bytes)
    {
        var image = new XsaveImage(_runner.Guest.Context->XsaveArea, _runner.Model);
        fixed (byte* host = _runner.HostVectors)
        {
            var native = new XsaveImage(host, _runner.Model);
            Span<byte> ours = stackalloc byte[64];
            Span<byte> theirs = stackalloc byte[64];
            for (var n = 0; n < ((_runner.Model.XcrMask & 0x80) != 0 ? 32 : 16); n++)
            {
                image.ReadVector(n, ours);
                native.ReadVector(n, theirs);
                Assert.True(ours.SequenceEqual(theirs), $"{bytes}: vector {n}: host {Convert.ToHexString(theirs)}, guest {Convert.ToHexString(ours)}");
            }
            for (var n = 0; n < 8 && (_runner.Model.XcrMask & 0x20) != 0; n++) Assert.Equal(native.ReadMask(n), image.ReadMask(n));
            Assert.Equal(native.Mxcsr, image.Mxcsr);
            Assert.True(_runner.HostVectors[..6].SequenceEqual(_runner.GuestVectors[..6]), $"{bytes}: x87 control, status or tags");
            Assert.True(_runner.HostVectors[32..160].SequenceEqual(_runner.GuestVectors[32..160]), $"{bytes}: x87 registers");
        }
    }

    [Theory]
    [InlineData("8B03")] // MOV EAX,[RBX]
    [InlineData("488903")]
    [InlineData("668903")]
    [InlineData("8A23")] // MOV AH,[RBX]
    [InlineData("408AF3")] // MOV SIL,BL
    [InlineData("8AF4")] // MOV DH,AH
    [InlineData("C70378563412")]
    [InlineData("48C703F8FFFFFF")]
    [InlineData("66B83412")]
    [InlineData("48B8EFCDAB8967452301")]
    [InlineData("8D440B05")] // LEA EAX,[RBX+RCX+5]
    [InlineData("678D04CD11111111")] // LEA EAX,[ECX*8+disp]
    [InlineData("66418D4401FF")]
    [InlineData("4887C8")] // XCHG RAX,RCX
    [InlineData("86E5")] // XCHG CH,AH
    [InlineData("8713")]
    [InlineData("4987D1")]
    [InlineData("6692")] // XCHG AX,DX
    [InlineData("31C0")]
    [InlineData("6629C9")]
    [InlineData("30E4")]
    [InlineData("480FC70B", true)] // CMPXCHG16B [RBX], aligned
    [InlineData("0FC70B")] // CMPXCHG8B [RBX]
    [InlineData("F00FC70B")]
    public void MovesAndExchanges(string hex, bool align = false)
    {
        var code = Convert.FromHexString(hex);
        for (var n = 0; n < Cases; n++)
        {
            Randomize();
            if (align) _runner.Guest.Rbx &= ~15ul;
            if (_random.Next(2) == 0 && code[^2] == 0xc7)
            {
                // Half the comparisons succeed.
                var at = (int)(_runner.Guest.Rbx - _runner.Window);
                _runner.Guest.Rax = BitConverter.ToUInt64(_runner.GuestWindow[at..]);
                _runner.Guest.Rdx = align ? BitConverter.ToUInt64(_runner.GuestWindow[(at + 8)..]) : _runner.Guest.Rax >> 32;
            }
            Compare(code);
        }
    }

    [Theory]
    [InlineData("F6F1", 1, false)]
    [InlineData("66F7F1", 2, false)]
    [InlineData("F7F1", 4, false)]
    [InlineData("48F7F1", 8, false)]
    [InlineData("F6F9", 1, true)]
    [InlineData("66F7F9", 2, true)]
    [InlineData("F7F9", 4, true)]
    [InlineData("48F7F9", 8, true)]
    [InlineData("48F73B", 8, true)] // IDIV [RBX]
    public void Divisions(string hex, int size, bool signed)
    {
        var code = Convert.FromHexString(hex);
        var (completed, refused) = (0, 0);
        for (var n = 0; n < 4 * Cases; n++)
        {
            Randomize();
            var guest = _runner.Guest;
            // Quotients near the border of what fits: the high half close to the divisor.
            if (code[^1] != 0x3b) guest.Rdx = _random.Next(3) == 0 ? guest.Rcx - (ulong)_random.Next(3) : guest.Rdx >> _random.Next(64);
            if (size == 1) guest.Rax = guest.Rdx << 8 | (byte)guest.Rax;
            if (Fits(size, signed, code[^1] == 0x3b))
            {
                Compare(code);
                completed++;
                continue;
            }
            var rax = guest.Rax;
            guest.AssertFault(_runner.RunOnGuest(code, out _), Vector.DivideError);
            Assert.Equal(rax, guest.Rax);
            refused++;
        }
        Assert.True(completed > Cases / 3 && refused > Cases / 3, $"{completed} {refused}");
    }

    /// <summary>Whether the host would not raise #DE, by arithmetic without limits.</summary>
    private bool Fits(int size, bool signed, bool memory)
    {
        var guest = _runner.Guest;
        var mask = size == 8 ? ulong.MaxValue : (1UL << size * 8) - 1;
        var divisor = (memory ? BitConverter.ToUInt64(_runner.GuestWindow[(int)(guest.Rbx - _runner.Window)..]) : guest.Rcx) & mask;
        var high = (size == 1 ? guest.Rax >> 8 : guest.Rdx) & mask;
        System.Numerics.BigInteger dividend = ((System.Numerics.BigInteger)high << size * 8) | (guest.Rax & mask);
        System.Numerics.BigInteger by = divisor;
        var range = System.Numerics.BigInteger.One << size * 8;
        if (signed)
        {
            if (dividend >= range * range / 2) dividend -= range * range;
            if (by >= range / 2) by -= range;
        }
        if (by.IsZero) return false;
        var quotient = System.Numerics.BigInteger.Divide(dividend, by);
        return signed ? quotient >= -range / 2 && quotient < range / 2 : quotient < range;
    }

    public static TheoryData<string> ShiftForms()
    {
        var data = new TheoryData<string>();
        foreach (var prefix in (string[])["", "66", "48"])
        {
            for (var n = 0; n < 8; n++)
            {
                data.Add($"{prefix}D3{0xc0 + n * 8 + 2:X2}"); // by CL, RDX
                data.Add($"{prefix}D3{n * 8 + 3:X2}"); // [RBX]
            }
            data.Add($"{prefix}0FA5C2");
            data.Add($"{prefix}0FAD03");
        }
        for (var n = 0; n < 8; n++) data.Add($"D2{0xc0 + n * 8 + 4:X2}"); // AH
        return data;
    }

    [Theory]
    [MemberData(nameof(ShiftForms))]
    public void ShiftsByCl(string hex)
    {
        var code = Convert.FromHexString(hex);
        var size = code[0] == 0x66 ? 16 : code[0] == 0x48 ? 64 : code[0] == 0xd2 ? 8 : 32;
        for (var n = 0; n < Cases; n++)
        {
            Randomize();
            var count = (int)_runner.Guest.Rcx & (size == 64 ? 63 : 31);
            var isDouble = hex.Contains("0FA", StringComparison.Ordinal);
            if (isDouble && count > size) continue; // undefined as a whole
            Assert.Equal(DecodeResult.Ok, InstructionDecoder.Decode(code, CodeSize.Code64, _runner.Model.InstructionSet, out _));
            // OF is defined for a count of one; CF of a shift not beyond the operand's size. With no count nothing changes.
            var undefined = count is 0 or 1 ? Flags.None : Flags.OF;
            var operation = code[^1] >> 3 & 7;
            if (!isDouble && operation is 4 or 5 or 6 && count >= size) undefined |= Flags.CF;
            CompareShift(code, undefined | (count != 0 && (isDouble || operation >= 4) ? Flags.AF : 0));
        }
    }

    /// <summary>As Compare, but with the undefined flags given in full: the decoder's are for any count.</summary>
    private void CompareShift(ReadOnlySpan<byte> code, Flags undefined)
    {
        _runner.CopyToHost();
        Assert.Equal(Outcome.Next, _runner.RunOnGuest(code, out _));
        _runner.RunNatively(code);
        var guest = _runner.Guest;
        for (var n = 0; n < 16; n++)
            if (n != 4) Assert.Equal(_runner.HostRegister(n), guest.Context->Gpr[n]);
        Assert.Equal(_runner.HostFlags & 0xcd5 & ~(ulong)undefined, guest.Flags & 0xcd5 & ~(ulong)undefined);
        Assert.Equal(HostRunner.WindowSize, _runner.HostWindow.CommonPrefixLength(_runner.GuestWindow));
    }

    [Theory]
    [InlineData("0FA303")]
    [InlineData("660FAB03")]
    [InlineData("480FB303")]
    [InlineData("0FBB03")]
    [InlineData("F0480FAB03")]
    public void BitStringsReachOutsideTheirOperand(string hex)
    {
        var code = Convert.FromHexString(hex);
        for (var n = 0; n < Cases; n++)
        {
            Randomize();
            _runner.Guest.Rax = (ulong)(long)_random.Next(-15 * 4096, 15 * 4096);
            Compare(code);
        }
    }

    [Theory]
    [InlineData("D7")] // XLAT
    [InlineData("A4")]
    [InlineData("66A5")]
    [InlineData("48AB")]
    [InlineData("AD")]
    [InlineData("AE")]
    [InlineData("48A7")]
    [InlineData("F3A4")]
    [InlineData("F348A5")]
    [InlineData("F366AB")]
    [InlineData("F3AC")]
    [InlineData("F2AE")]
    [InlineData("F3AE")]
    [InlineData("F366A7")]
    [InlineData("F2A6")]
    [InlineData("F367A4")] // 32-bit counts and pointers: with a count of zero nothing may be touched
    public void Strings(string hex)
    {
        var code = Convert.FromHexString(hex);
        for (var n = 0; n < Cases; n++)
        {
            Randomize();
            _runner.Guest.Rcx = code[1 % code.Length] == 0x67 ? 0xabcd_0000_0000_0000 : (ulong)_random.Next(100);
            if (code[0] == 0xf3 && code[^1] is 0xa6 or 0xa7 or 0xae) // equal runs
                _runner.GuestWindow.Fill((byte)_runner.Guest.Rax);
            if (code[^1] == 0xa7) _runner.GuestWindow[_random.Next(HostRunner.WindowSize)] ^= 1;
            Compare(code);
        }
    }

    [Fact]
    public void MaskedByteStores()
    {
        for (var n = 0; n < Cases; n++)
        {
            Randomize(vectors: true);
            Compare([0x66, 0x0f, 0xf7, 0xca], vectors: true);
            Randomize(vectors: true);
            Compare([0x0f, 0xf7, 0xca], vectors: false); // MASKMOVQ: the exponents that MMX writes are the registers' own affair
        }
    }

    [Fact]
    public void Gathers()
    {
        if (!Offers(Extensions.Avx2))
        {
            AssertInvalid([0xc4, 0xe2, 0x61, 0x90, 0x0c, 0x93]);
            return;
        }
        for (var n = 0; n < Cases; n++)
        {
            foreach (var opcode in (byte[])[0x90, 0x91, 0x92, 0x93])
                foreach (var payload in (byte[])[0x61, 0xe1, 0x65, 0xe5])
                {
                    Randomize(vectors: true);
                    LimitIndices((opcode & 1) != 0 ? 8 : 4);
                    Compare([0xc4, 0xe2, payload, opcode, 0x0c, 0x93], vectors: true);
                }
        }
    }

    [Fact]
    public void MaskedGathersAndScatters()
    {
        if (!Offers(Extensions.Avx512F | Extensions.Avx512VL))
        {
            AssertInvalid([0x62, 0xf2, 0x7d, 0x09, 0x90, 0x4c, 0x93, 0x01]);
            return;
        }
        for (var n = 0; n < Cases / 4; n++)
        {
            foreach (var opcode in (byte[])[0x90, 0x91, 0x92, 0x93, 0xa0, 0xa1, 0xa2, 0xa3])
                foreach (var width in (byte[])[0x7d, 0xfd])
                    foreach (var length in (byte[])[0x09, 0x29, 0x49])
                    {
                        Randomize(vectors: true);
                        LimitIndices((opcode & 1) != 0 ? 8 : 4);
                        Compare([0x62, 0xf2, width, length, opcode, 0x4c, 0x93, 0x01], vectors: true);
                    }
        }
    }

    /// <summary>Makes vector 2 a set of indices that stay in the window.</summary>
    private void LimitIndices(int size)
    {
        Span<byte> indices = stackalloc byte[64];
        for (var n = 0; n < 64; n += size)
        {
            if (size == 8) BitConverter.TryWriteBytes(indices[n..], (long)_random.Next(-500, 500));
            else BitConverter.TryWriteBytes(indices[n..], _random.Next(-500, 500));
        }
        new XsaveImage(_runner.Guest.Context->XsaveArea, _runner.Model).WriteVector(2, indices);
    }

    [Theory]
    [InlineData("0FAE03", 16, 512)] // FXSAVE
    [InlineData("480FAE03", 16, 512)]
    [InlineData("0FAE23", 64, 4096)] // XSAVE
    [InlineData("0FAE33", 64, 4096)] // XSAVEOPT
    [InlineData("480FC723", 64, 4096)] // XSAVEC64
    [InlineData("D933", 1, 12)] // FNSTENV
    [InlineData("66D933", 1, 6)]
    [InlineData("DD33", 1, 12)] // FNSAVE
    public void StateIsStoredAsTheHostDoes(string hex, int alignment, int compared)
    {
        var code = Convert.FromHexString(hex);
        for (var n = 0; n < Cases / 3; n++)
        {
            Randomize(vectors: true);
            var guest = _runner.Guest;
            guest.Rbx &= ~(ulong)(alignment - 1);
            (guest.Rax, guest.Rdx) = (_random.Next(2) == 0 ? AllComponents : (ulong)_random.Next(256) & _runner.Model.XcrMask, 0);
            var at = (int)(guest.Rbx - _runner.Window);
            _runner.GuestWindow.Slice(at, 4096).Clear();
            _runner.CopyToHost();
            Assert.Equal(Outcome.Next, _runner.RunOnGuest(code, out _));
            _runner.RunNatively(code);
            var host = _runner.HostWindow.Slice(at, 4096);
            var ours = _runner.GuestWindow.Slice(at, 4096);
            if (compared > 12)
            {
                // Pointers are zero here; bytes 416 to 511 are nobody's.
                host.Slice(8, 16).Clear();
                host[416..512].Clear();
            }
            var same = host[..compared].CommonPrefixLength(ours[..compared]);
            Assert.True(same == compared, $"{hex} mask {guest.Rax:x}: differs at {same:x}: host {host[Math.Min(same, 4095)]:x} guest {ours[Math.Min(same, 4095)]:x}");
            if (hex == "DD33") Assert.True(host[28..108].SequenceEqual(ours[28..108]));
        }
    }

    [Theory]
    [InlineData("0FAE03", "0FAE0B", 16)] // FXSAVE, FXRSTOR
    [InlineData("0FAE23", "0FAE2B", 64)] // XSAVE, XRSTOR
    [InlineData("0FC723", "0FAE2B", 64)] // XSAVEC, XRSTOR
    [InlineData("DD33", "DD23", 1)] // FNSAVE, FRSTOR
    [InlineData("D933", "D923", 1)] // FNSTENV, FLDENV
    public void StateIsLoadedAsTheHostDoes(string save, string load, int alignment)
    {
        for (var n = 0; n < Cases / 3; n++)
        {
            // An image of one random state, stored by the host, is loaded over another.
            Randomize(vectors: true);
            var guest = _runner.Guest;
            guest.Rbx &= ~(ulong)(alignment - 1);
            var at = guest.Rbx;
            (guest.Rax, guest.Rdx) = (AllComponents, 0);
            _runner.GuestWindow.Clear();
            _runner.CopyToHost();
            _runner.RunNatively(Convert.FromHexString(save));
            var image = _runner.HostWindow.ToArray();
            if (alignment > 1) image.AsSpan((int)(at - _runner.Window) + 8, 16).Clear();

            Randomize(vectors: true);
            image.CopyTo(_runner.GuestWindow);
            guest.Rbx = at;
            (guest.Rax, guest.Rdx) = ((ulong)_random.Next(256) & _runner.Model.XcrMask, 0);
            if (load is "0FAE0B" or "DD23" or "D923") guest.Rax = 0;
            Compare(Convert.FromHexString(load), vectors: true);
        }
    }
}
