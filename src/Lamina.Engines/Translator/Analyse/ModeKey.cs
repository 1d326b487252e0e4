// What decides, besides the bytes themselves, how guest code is translated. Two blocks at one address with different
// keys are different blocks.
using Lamina.Engines.X86.Decode;
using Lamina.Engines.X86;

namespace Lamina.Engines.Translator.Analyse;

/// <summary>The modes of the CPU that a translation depends on.</summary>
[Flags]
internal enum ModeKey : uint
{
    /// <summary>The two lowest bits are a <see cref="CodeSize"/>.</summary>
    CodeSizeMask = 3,

    /// <summary>The stack pointer is ESP (SS.B = 1). Not set in 64-bit mode.</summary>
    Stack32 = 1 << 2,

    /// <summary>CPL is 3.</summary>
    User = 1 << 3,

    /// <summary>CPL is 0.</summary>
    Cpl0 = 1 << 4,

    /// <summary>The code does not contain its linear address: translations are shared by all places it is mapped at.</summary>
    PositionIndependent = 1 << 5,

    /// <summary>Bits 6 to 11: ES, CS, SS, DS, FS, GS have base 0, limit 4 GiB and allow what their place is for.</summary>
    FlatEs = 1 << 6,

    /// <summary>All six segments are flat.</summary>
    FlatAll = 0x3f << 6,

    /// <summary>TF, a debugger's single step or the plain setting: one instruction a block.</summary>
    SingleStep = 1 << 12,

    /// <summary>x87, MMX, SSE raise #NM (CR0.TS).</summary>
    TaskSwitched = 1 << 13,

    /// <summary>x87 raises #NM, MMX and SSE #UD (CR0.EM).</summary>
    Emulation = 1 << 14,

    /// <summary>WAIT raises #NM (CR0.MP and CR0.TS).</summary>
    MonitorCoprocessor = 1 << 15,

    /// <summary>SSE is enabled (CR4.OSFXSR).</summary>
    Sse = 1 << 16,

    /// <summary>AVX is enabled (CR4.OSXSAVE, XCR0).</summary>
    Avx = 1 << 17,

    /// <summary>AVX-512 is enabled.</summary>
    Avx512 = 1 << 18,

    /// <summary>Alignment is checked (CR0.AM, AC, CPL 3).</summary>
    AlignmentCheck = 1 << 19,

    /// <summary>RDTSC is allowed and runs natively.</summary>
    NativeTsc = 1 << 20,

    /// <summary>RDFSBASE and its kin are allowed (CR4.FSGSBASE).</summary>
    FsGsBase = 1 << 21,

    /// <summary>The highest ten bits: the number of the set of offsets at which instruction breakpoints are armed in the code's page (<see cref="Code.ArmedSets"/>); 0: at none.</summary>
    Armed = 0x3ffu << ModeKeys.ArmedShift,
}

internal static unsafe class ModeKeys
{
    /// <summary>Where <see cref="ModeKey.Armed"/> begins.</summary>
    public const int ArmedShift = 22;

    private const ulong Cr0MonitorCoprocessor = 1 << 1, Cr0Emulation = 1 << 2, Cr0TaskSwitched = 1 << 3, Cr0AlignmentMask = 1 << 18;
    private const ulong Cr4TimeStampDisable = 1 << 2, Cr4Osfxsr = 1 << 9, Cr4FsGsBase = 1 << 16, Cr4Osxsave = 1 << 18;
    private const ulong FlagTrap = 1 << 8, FlagVm = 1 << 17, FlagAlignment = 1 << 18;
    private const ulong EferLma = 1 << 10;
    private const uint AttributeLong = 1 << 13, AttributeBig = 1 << 14, AttributeUnusable = 1 << 16, AttributePresent = 1 << 7;

    public static CodeSize CodeSize(this ModeKey key) => (CodeSize)(key & ModeKey.CodeSizeMask);

    public static bool IsLong(this ModeKey key) => key.CodeSize() == X86.Decode.CodeSize.Code64;

    public static bool IsFlat(this ModeKey key, int segment) => ((uint)key >> (6 + segment) & 1) != 0;

    /// <summary>
    /// Whether x87 and vector state is in the registers whenever this code runs. Other code finds it there or in memory, and loads it at the
    /// start of each block that uses it: kernels hardly do, and a way out to C# and back costs half as much where it need not be saved.
    /// </summary>
    public static bool HasVectorsLoaded(this ModeKey key) => (key & ModeKey.User) != 0;

    /// <summary>The key for the state of a CPU.</summary>
    public static ModeKey Of(CpuContext* cpu, bool singleStep)
    {
        var long64 = (cpu->Efer & EferLma) != 0 && (cpu->Cs.Attributes & AttributeLong) != 0;
        var key = Common(cpu, cpu->Cpl) | (long64 ? (ModeKey)X86.Decode.CodeSize.Code64 | ModeKey.FlatAll : Legacy(cpu));
        var virtual8086 = (cpu->SystemFlags & FlagVm) != 0;
        if (cpu->Cpl == 3)
        {
            if (cpu->Cs.Base == 0 && !virtual8086) key |= ModeKey.PositionIndependent;
            if ((cpu->Cr0 & Cr0AlignmentMask) != 0 && (cpu->SystemFlags & FlagAlignment) != 0) key |= ModeKey.AlignmentCheck;
        }
        if (virtual8086) key &= ~(ModeKey.Avx | ModeKey.Avx512);
        if (singleStep || (cpu->SystemFlags & FlagTrap) != 0) key |= ModeKey.SingleStep;
        return key;
    }

    /// <summary>The key that 64-bit code at a privilege level has under a CPU's control registers, with no flag set that matters.</summary>
    public static ModeKey Long(CpuContext* cpu, uint level) =>
        Common(cpu, level) | (ModeKey)X86.Decode.CodeSize.Code64 | ModeKey.FlatAll | (level == 3 ? ModeKey.PositionIndependent : 0);

    private static ModeKey Common(CpuContext* cpu, uint level)
    {
        ModeKey key = level switch { 0 => ModeKey.Cpl0, 3 => ModeKey.User, _ => 0 };
        if ((cpu->Cr4 & Cr4TimeStampDisable) == 0 || level == 0) key |= ModeKey.NativeTsc;
        if ((cpu->Cr4 & Cr4FsGsBase) != 0) key |= ModeKey.FsGsBase;
        if ((cpu->Cr0 & Cr0TaskSwitched) != 0) key |= ModeKey.TaskSwitched;
        if ((cpu->Cr0 & Cr0Emulation) != 0) key |= ModeKey.Emulation;
        if ((cpu->Cr0 & Cr0MonitorCoprocessor) != 0) key |= ModeKey.MonitorCoprocessor;
        if ((cpu->Cr4 & Cr4Osfxsr) != 0) key |= ModeKey.Sse;
        if ((cpu->Cr4 & Cr4Osxsave) != 0 && (cpu->Cr0 & 1) != 0)
        {
            if ((cpu->Xcr0 & 6) == 6) key |= ModeKey.Avx;
            if ((cpu->Xcr0 & 0xe6) == 0xe6) key |= ModeKey.Avx512;
        }
        return key;
    }

    // Sizes and flat segments outside 64-bit mode.
    private static ModeKey Legacy(CpuContext* cpu)
    {
        ModeKey key = 0;
        var virtual8086 = (cpu->SystemFlags & FlagVm) != 0;
        if ((cpu->Cs.Attributes & AttributeBig) != 0 && !virtual8086) key |= (ModeKey)X86.Decode.CodeSize.Code32;
        if ((cpu->Ss.Attributes & AttributeBig) != 0 && !virtual8086) key |= ModeKey.Stack32;
        var real = (cpu->Cr0 & 1) == 0 || virtual8086;
        var segments = &cpu->Es;
        for (var i = 0; i < 6; i++)
            if (IsFlat(segments + i, i, real)) key |= (ModeKey)(1u << (6 + i));
        return key;
    }

    /// <summary>Whether accesses through a segment need neither base nor limit: a data segment that grows up and can be written, or, for CS, code that can be read.</summary>
    private static bool IsFlat(SegmentRegister* segment, int index, bool real)
    {
        if (segment->Base != 0 || segment->Limit != uint.MaxValue) return false;
        if (real) return true;
        var attributes = segment->Attributes;
        if ((attributes & (AttributeUnusable | AttributePresent)) != AttributePresent) return false;
        var type = attributes & 0xf;
        return index == 1 ? (type & 0xa) == 0xa : (type & 0xe) == 2;
    }
}
