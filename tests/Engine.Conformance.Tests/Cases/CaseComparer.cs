// Where two ends of one case differ, as text. Empty means they agree in everything that is defined.
using System.Buffers.Binary;
using System.Text;
using Lamina.Tests.Engine.Conformance.Oracle;

namespace Lamina.Tests.Engine.Conformance.Cases;

/// <summary>What counts besides the state itself.</summary>
/// <param name="FlagsAtFaults">Flags are compared where the case ended in a fault, too.</param>
/// <param name="IgnoreUserBit">One side ran as supervisor: #PF's U bit differs.</param>
internal readonly record struct CompareOptions(bool FlagsAtFaults, bool IgnoreUserBit);

/// <summary>Compares results.</summary>
internal static class CaseComparer
{
    private const int End = 3, PageFault = 14, StackPointer = 4;
    private const ulong ReturnBytes = 8, UserBit = 4, PresentBit = 1, KernelHalf = 0x7fff_ffff_f000, LastLowPage = KernelHalf >> 12, LastFlatPage = 0xf_ffff, LastBasedPage = (CaseLayout.Base + 0xffff) >> 12;

    // CF, PF, AF, ZF, SF, TF, DF, OF, NT, AC, ID. Not IF, IOPL and RF: the host's kernel has its own mind there.
    private const ulong ComparedFlags = 0x24_4dd5;

    private static readonly string[] Names = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];

    /// <summary>One line a difference: what, on the host, in the guest.</summary>
    public static string Differences(TestCase test, CaseResult host, CaseResult guest, CompareOptions options)
    {
        if (IsSame(test, host, guest, options) || IsIntended(test, host, guest)) return "";
        var text = new StringBuilder();
        if (host.Vector != guest.Vector) Line("vector", (ulong)host.Vector, (ulong)guest.Vector);
        if (ErrorOf(host, options) != ErrorOf(guest, options)) Line("error code", host.Error, guest.Error);
        if (!SameAddress(test, host, guest)) Line("cr2", host.Cr2, guest.Cr2);
        if (host.Rip != guest.Rip) Line("rip", host.Rip, guest.Rip);
        var flags = FlagMask(test, host, options);
        if (((host.Rflags ^ guest.Rflags) & flags) != 0) Line("rflags", host.Rflags & flags, guest.Rflags & flags);
        for (var i = 0; i < RegisterCount(test); i++)
            if (((host.Gpr[i] ^ guest.Gpr[i]) & RegisterMask(test, i)) != 0) Line(Names[i], host.Gpr[i], guest.Gpr[i]);
        for (var i = 0; i < host.Xsave.Length; i += 8)
        {
            var (h, g) = (Word(host.Xsave, i), Word(guest.Xsave, i));
            if (h != g) Line($"xsave+{i} ({XsavePlace(i)})", h, g);
        }
        for (var i = 0; i < host.Memory.Length; i += 8)
        {
            var (h, g) = (Word(host.Memory, i), Word(guest.Memory, i));
            if (h != g) Line($"memory {CaseLayout.LinearOf(i):x}", h, g);
        }
        return text.ToString();

        void Line(string what, ulong h, ulong g) => text.AppendLine($"  {what}: host {h:x}, guest {g:x}");
    }

    private static bool IsSame(TestCase test, CaseResult host, CaseResult guest, CompareOptions options) =>
        host.Vector == guest.Vector && ErrorOf(host, options) == ErrorOf(guest, options) && SameAddress(test, host, guest)
        && host.Rip == guest.Rip && ((host.Rflags ^ guest.Rflags) & FlagMask(test, host, options)) == 0
        && SameRegisters(test, host, guest) && host.Xsave.AsSpan().SequenceEqual(guest.Xsave) && host.Memory.AsSpan().SequenceEqual(guest.Memory);

    // Of an image of state that is only partly there, any byte that is not may be told: AMD's processors look at the last one first.
    private static bool SameAddress(TestCase test, CaseResult host, CaseResult guest)
    {
        return host.Vector != PageFault || host.Cr2 == guest.Cr2 || (IsInImage(host.Cr2) && IsInImage(guest.Cr2));

        bool IsInImage(ulong address) => test.Image is { } image && address - CaseLayout.LinearOf(image.At) < CaseLayout.XsaveRoom;
    }

    // What the engine does otherwise than this host, knowingly.
    private static bool IsIntended(TestCase test, CaseResult host, CaseResult guest)
    {
        // A repeated store over its own instruction goes on until something interrupts it.
        var code = new Range(test.CodeAt, test.CodeAt + test.CodeLength);
        if (!host.Memory.AsSpan(code).SequenceEqual(test.Memory.AsSpan(code)) && CaseReport.HasRepeatedStore(test)) return true;
        // A jump into the middle of code may find a near branch with prefix 66 (see InstructionTable.IsNarrowBranch), or INT1, which not every hypervisor lets through.
        if (test.Mode == CodeMode.Long && host.Rip >> 16 == 0 && guest.Rip >> 16 != 0) return true;
        if (host.Vector == 1 && guest.Vector == 1 && guest.Rip == host.Rip + 1) return true;
        // Or an instruction that reads flags which are undefined by then.
        if (WentAstray(test, host) && (host.Vector, host.Rip) == (guest.Vector, guest.Rip) && host.Xsave.AsSpan().SequenceEqual(guest.Xsave) && host.Memory.AsSpan().SequenceEqual(guest.Memory)) return true;
        var there = CaseReport.InstructionAt(test, guest.Vector is 12 or 13 ? guest.Rip : host.Rip);
        // AMD's processors do not want the SHA instructions' operands aligned, and check alignment by AC where others raise #GP.
        if (guest.Vector == 13 && there.CpuidFeatures.Contains(Iced.Intel.CpuidFeature.SHA)) return true;
        if (guest.Vector == 13 && host.Vector == 17) return true;
        if (host.Vector == 17 && there.Mnemonic == Iced.Intel.Mnemonic.Enter) return true;
        // Whether vector operands are subject to AC, too, if they are long, broadcast or masked.
        var wide = IsWide(there);
        if ((host.Vector == 17 && IsWide(CaseReport.InstructionAt(test, host.Rip))) || (guest.Vector == 17 && IsWide(CaseReport.InstructionAt(test, guest.Rip)))) return true;
        // A call to no canonical address has pushed by the time it faults; the stack pointer is as it was.
        if ((host.Vector, guest.Vector) == (13, 13) && there.Mnemonic == Iced.Intel.Mnemonic.Call && host.Rip == guest.Rip && SameRegisters(test, host, guest)
            && host.Xsave.AsSpan().SequenceEqual(guest.Xsave) && DifferOnlyBelow(guest.Gpr[StackPointer], host, guest)) return true;
        // A call whose target and whose push are both bad.
        if ((host.Vector, guest.Vector) is (PageFault or 12, 13) && there.Mnemonic == Iced.Intel.Mnemonic.Call) return true;
        // Bytes that are no instruction whichever follow, at the end of what can be fetched.
        if ((host.Vector, guest.Vector) is (6, PageFault) or (PageFault, 6) && (host.Error | guest.Error) >> 4 != 0) return true;
        // Ten bytes that are partly behind the end of all addresses.
        if (host.Vector != guest.Vector && Iced.Intel.MemorySizeExtensions.GetSize(there.MemorySize) == 10) return true;
        if (host.Vector == 13 && SegmentOffset.IsNonCanonicalAlone(test, host)) return true;
        // A host that is a guest itself: its hypervisor looks at VMCALL and VMMCALL before it looks at their prefixes.
        if ((host.Vector, guest.Vector) == (13, 6) && host.Rip == guest.Rip && IsHypercall(CaseReport.BytesAt(test, host.Rip))) return true;
        // How much of the destination's upper part a gather has zeroed when it faults.
        if (there.IsVsib && host.Vector == guest.Vector && host.Vector != End && host.Rip == guest.Rip && host.Memory.AsSpan().SequenceEqual(guest.Memory)) return true;
        // CMPS has two operands: which is read first, and so which fault is told where both are bad, is the processor's choice.
        if (IsComparison(there.Mnemonic) && IsOperandFault(host.Vector) && IsOperandFault(guest.Vector) && host.Rip == guest.Rip && SameRegisters(test, host, guest)) return true;
        // Misaligned and outside the segment at once: #GP or #SS.
        if ((host.Vector, guest.Vector) is (12, 13) or (13, 12) && host.Rip == guest.Rip && wide) return true;
        // A masked operand that is partly behind the end of its segment or of the canonical addresses.
        var masked = there.HasOpMask || IsMaskedMove(there.Mnemonic) || IsCompression(there.Mnemonic);
        if (masked && (host.Vector is 12 or 13 || guest.Vector is 12 or 13)) return true;
        // Elements of one behind the last 32-bit address lie behind 4 GiB on newer processors of AMD's (Zen 5), and at the base on those before.
        if (test.Mode == CodeMode.Long && host.Vector == PageFault && host.Cr2 >> 32 == 1 && IsMaskedMove(there.Mnemonic) && HasNarrowAddress(there)) return true;
        // The same with 512 bits, which may be two accesses: the last pages of the low half, of 4 GiB and of 64 KiB from the base are never there.
        if ((host.Vector, guest.Vector) is (PageFault, 12 or 13) && wide && host.Rip == guest.Rip && host.Cr2 >> 12 is LastLowPage or LastFlatPage or LastBasedPage) return true;
        // Which byte of a masked store of bytes faults, and whether one faults that stores nothing, is the processor's choice.
        return host.Vector is 13 or PageFault or 17
            && CaseReport.InstructionAt(test, host.Rip).Mnemonic is Iced.Intel.Mnemonic.Maskmovq or Iced.Intel.Mnemonic.Maskmovdqu or Iced.Intel.Mnemonic.Vmaskmovdqu;
    }

    // Whether memory differs in what a return address fills alone.
    private static bool DifferOnlyBelow(ulong stack, CaseResult host, CaseResult guest)
    {
        for (var i = 0; i < host.Memory.Length; i++)
            if (host.Memory[i] != guest.Memory[i] && stack - 1 - CaseLayout.LinearOf(i) >= ReturnBytes) return false;
        return true;
    }

    // Whether the case ended neither at one of its instructions nor at the INT3 behind them.
    private static bool WentAstray(TestCase test, CaseResult host)
    {
        var at = host.Vector == End ? host.Rip - 1 : host.Rip;
        var end = test.Rip + (ulong)test.CodeLength;
        for (var rip = test.Rip; rip < end; rip += (ulong)Math.Max(1, CaseReport.InstructionAt(test, rip).Length))
            if (rip == at) return false;
        return at != end;
    }

    private static bool HasNarrowAddress(in Iced.Intel.Instruction instruction) =>
        Iced.Intel.RegisterExtensions.GetSize(instruction.MemoryBase) == 4 || Iced.Intel.RegisterExtensions.GetSize(instruction.MemoryIndex) == 4;

    private static bool IsHypercall(ReadOnlySpan<byte> code)
    {
        var at = code.IndexOfAnyExcept<byte>([0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf2, 0xf3]);
        if (at < 0) return false;
        code = code[at..];
        if ((code[0] & 0xf0) == 0x40) code = code[1..];
        return code is [0x0f, 0x01, 0xc1 or 0xd9, ..];
    }

    private static bool IsComparison(Iced.Intel.Mnemonic mnemonic) =>
        mnemonic is Iced.Intel.Mnemonic.Cmpsb or Iced.Intel.Mnemonic.Cmpsw or Iced.Intel.Mnemonic.Cmpsd or Iced.Intel.Mnemonic.Cmpsq;

    private static bool IsOperandFault(int vector) => vector is 12 or 13 or PageFault or 17;

    private static bool IsMaskedMove(Iced.Intel.Mnemonic mnemonic) =>
        mnemonic is Iced.Intel.Mnemonic.Vmaskmovps or Iced.Intel.Mnemonic.Vmaskmovpd or Iced.Intel.Mnemonic.Vpmaskmovd or Iced.Intel.Mnemonic.Vpmaskmovq;

    // Loads and stores of as many elements as the opmask has bits, all of them where there is none.
    private static bool IsCompression(Iced.Intel.Mnemonic mnemonic) =>
        mnemonic is Iced.Intel.Mnemonic.Vcompresspd or Iced.Intel.Mnemonic.Vcompressps or Iced.Intel.Mnemonic.Vpcompressb or Iced.Intel.Mnemonic.Vpcompressd
            or Iced.Intel.Mnemonic.Vpcompressq or Iced.Intel.Mnemonic.Vpcompressw or Iced.Intel.Mnemonic.Vexpandpd or Iced.Intel.Mnemonic.Vexpandps
            or Iced.Intel.Mnemonic.Vpexpandb or Iced.Intel.Mnemonic.Vpexpandd or Iced.Intel.Mnemonic.Vpexpandq or Iced.Intel.Mnemonic.Vpexpandw;

    private static bool IsWide(in Iced.Intel.Instruction instruction) =>
        Iced.Intel.MemorySizeExtensions.GetSize(instruction.MemorySize) > 8 || instruction.Encoding == Iced.Intel.EncodingKind.EVEX;

    // Outside 64-bit mode upper halves and R8 to R15 are nobody's.
    private static int RegisterCount(TestCase test) => test.Mode == CodeMode.Long ? 16 : 8;

    // The processor saves what it likes above SP when it leaves a 16-bit stack.
    private static ulong RegisterMask(TestCase test, int register) => test.Mode switch
    {
        CodeMode.Long => ulong.MaxValue,
        CodeMode.Based16 or CodeMode.Based32 when register == 4 => ushort.MaxValue,
        _ => uint.MaxValue,
    };

    private static bool SameRegisters(TestCase test, CaseResult host, CaseResult guest)
    {
        var difference = 0ul;
        for (var i = 0; i < RegisterCount(test); i++) difference |= (host.Gpr[i] ^ guest.Gpr[i]) & RegisterMask(test, i);
        return difference == 0;
    }

    private static ulong FlagMask(TestCase test, CaseResult host, CompareOptions options)
    {
        var mask = ComparedFlags & ~test.UndefinedFlags;
        if (host.Vector == End) return mask;
        // A fault may be anywhere in the code.
        return options.FlagsAtFaults ? mask & ~test.EverUndefinedFlags : mask & ~TestCase.Arithmetic;
    }

    private static ulong ErrorOf(CaseResult result, CompareOptions options)
    {
        if (result.Vector is not (10 or 11 or 12 or 13 or PageFault or 17)) return 0;
        var error = result.Error;
        if (result.Vector != PageFault) return error;
        if (options.IgnoreUserBit) error &= ~UserBit;
        // Linux hides from its programs what is mapped in its own half; a legacy guest has its handlers among the addresses of cases.
        if (result.Cr2 >= KernelHalf || result.Cr2 - Guest.LegacyTables.High < Guest.LegacyTables.HighLength) error |= PresentBit;
        return error;
    }

    /// <summary>Makes XSAVE images comparable: components in their initial state hold its values, what nobody sees is zero.</summary>
    public static void Normalize(Span<byte> xsave)
    {
        var components = BinaryPrimitives.ReadUInt64LittleEndian(xsave[512..]);
        if ((components & 1) == 0)
        {
            xsave[..24].Clear();
            xsave[32..160].Clear();
            xsave[0] = 0x7f;
            xsave[1] = 3;
        }
        // Instruction and operand pointers, MXCSR's mask, the unused end, the header.
        xsave[6..24].Clear();
        xsave[28..32].Clear();
        for (var i = 0; i < 8; i++) xsave.Slice(32 + 16 * i + 10, 6).Clear();
        if ((components & 2) == 0) xsave[160..416].Clear();
        xsave[416..576].Clear();
        for (var component = 2; component < 8; component++)
        {
            var (length, offset) = VectorComponents.Place(component);
            if (length != 0 && offset + length <= xsave.Length && (components >> component & 1) == 0) xsave.Slice(offset, length).Clear();
        }
        ClearGaps(xsave);
    }

    private static void ClearGaps(Span<byte> xsave)
    {
        var at = 576;
        while (at < xsave.Length)
        {
            int next = xsave.Length, end = xsave.Length;
            for (var component = 2; component < 8; component++)
            {
                var (length, offset) = VectorComponents.Place(component);
                if (length == 0 || offset < at || offset >= next) continue;
                (next, end) = (offset, offset + length);
            }
            xsave[at..next].Clear();
            at = end;
        }
    }

    private static string XsavePlace(int at) => at switch
    {
        0 => "fcw, fsw, ftw",
        < 24 => "fip",
        24 => "mxcsr",
        < 160 => $"st{(at - 32) / 16}",
        < 416 => $"xmm{(at - 160) / 16}",
        _ => "above",
    };

    private static ulong Word(byte[] bytes, int at) => BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(at));
}
