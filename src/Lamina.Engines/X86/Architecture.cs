// The architecture's bit names and numbers, once: control registers, EFER, RFLAGS, vectors, segment attributes.
// Nothing here has behaviour. SDM is Intel's manual, APM is AMD's.
namespace Lamina.Engines.X86;

/// <summary>CR0. SDM vol. 3, 2.5.</summary>
internal static class Cr0
{
    public const ulong PE = 1 << 0, MP = 1 << 1, EM = 1 << 2, TS = 1 << 3, ET = 1 << 4, NE = 1 << 5;
    public const ulong WP = 1 << 16, AM = 1 << 18, NW = 1 << 29, CD = 1 << 30, PG = 1UL << 31;

    /// <summary>Every bit that software may set.</summary>
    public const ulong Writable = PE | MP | EM | TS | ET | NE | WP | AM | NW | CD | PG;
}

/// <summary>CR4. SDM vol. 3, 2.5.</summary>
internal static class Cr4
{
    public const ulong TSD = 1 << 2, DE = 1 << 3, PSE = 1 << 4, PAE = 1 << 5, MCE = 1 << 6, PGE = 1 << 7, PCE = 1 << 8;
    public const ulong OSFXSR = 1 << 9, OSXMMEXCPT = 1 << 10, UMIP = 1 << 11, FSGSBASE = 1 << 16, PCIDE = 1 << 17;
    public const ulong OSXSAVE = 1 << 18, SMEP = 1 << 20, SMAP = 1 << 21;

    /// <summary>Bits whose change alters what translations mean: all of them are dropped. SDM vol. 3, 4.10.4.1.</summary>
    public const ulong PagingBits = PSE | PAE | PGE | PCIDE | SMEP | SMAP;
}

/// <summary>IA32_EFER. SDM vol. 3, 2.2.1; APM vol. 2, 3.1.7.</summary>
internal static class Efer
{
    public const ulong SCE = 1 << 0, LME = 1 << 8, LMA = 1 << 10, NXE = 1 << 11, FFXSR = 1 << 14, AIBRSE = 1 << 21;
}

/// <summary>RFLAGS. SDM vol. 1, 3.4.3.</summary>
internal static class Rflags
{
    public const ulong CF = 1 << 0, Fixed = 1 << 1, PF = 1 << 2, AF = 1 << 4, ZF = 1 << 6, SF = 1 << 7;
    public const ulong TF = 1 << 8, IF = 1 << 9, DF = 1 << 10, OF = 1 << 11, IOPL = 3 << 12, NT = 1 << 14;
    public const ulong RF = 1 << 16, VM = 1 << 17, AC = 1 << 18, VIF = 1 << 19, VIP = 1 << 20, ID = 1 << 21;

    /// <summary>The arithmetic flags.</summary>
    public const ulong Arithmetic = CF | PF | AF | ZF | SF | OF;

    /// <summary>The flags that <see cref="CpuContext.SystemFlags"/> holds, without bit 1.</summary>
    public const ulong System = TF | IF | DF | IOPL | NT | RF | VM | AC | VIF | VIP | ID;
}

/// <summary>Exception vectors. SDM vol. 3, table 6-1.</summary>
internal static class Vector
{
    public const byte DivideError = 0, Debug = 1, Nmi = 2, Breakpoint = 3, Overflow = 4, BoundRange = 5, InvalidOpcode = 6;
    public const byte DeviceNotAvailable = 7, DoubleFault = 8, InvalidTss = 10, NotPresent = 11, StackFault = 12;
    public const byte GeneralProtection = 13, PageFault = 14, X87 = 16, AlignmentCheck = 17, MachineCheck = 18, Simd = 19;
}

/// <summary>Error code bits of #PF. SDM vol. 3, 4.7.</summary>
internal static class PageFaultCode
{
    public const uint Present = 1, Write = 2, User = 4, Reserved = 8, Fetch = 16;
}

/// <summary>Segment attributes in the layout of <see cref="Core.Engine.SegmentState.Attributes"/>.</summary>
internal static class SegmentAttributes
{
    public const uint TypeMask = 0xf, S = 1 << 4, DplShift = 5, Dpl = 3 << 5, P = 1 << 7;
    public const uint L = 1 << 13, DB = 1 << 14, G = 1 << 15, Unusable = 1 << 16;

    /// <summary>Type bits of code and data segments. SDM vol. 3, table 3-1.</summary>
    public const uint Accessed = 1, Writable = 2, Readable = 2, ExpandDown = 4, Conforming = 4, Code = 8;

    /// <summary>A writable, accessed data segment, present: what real mode has in every register.</summary>
    public const uint RealModeData = P | S | Writable | Accessed;

    /// <summary>The same with DPL 3: every segment in virtual-8086 mode.</summary>
    public const uint Virtual8086 = RealModeData | Dpl;
}

/// <summary>Types of system descriptors. SDM vol. 3, table 3-2.</summary>
internal static class SystemType
{
    public const uint AvailableTss16 = 1, Ldt = 2, BusyTss16 = 3, CallGate16 = 4, TaskGate = 5, InterruptGate16 = 6, TrapGate16 = 7;
    public const uint AvailableTss32 = 9, BusyTss32 = 11, CallGate32 = 12, InterruptGate32 = 14, TrapGate32 = 15;
}
