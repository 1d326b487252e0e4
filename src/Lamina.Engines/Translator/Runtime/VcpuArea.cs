// The memory around GS. One shared object (VcpuArea: architectural state, slots of the generated code, XSAVE image) is
// mapped just below the GS base of every address-translation region of a vCPU, so that changing the region is one
// WRGSBASE and the state stays where it was:
//
//      write table (grows down)      | shared state | jump cache |      read table (grows up)
//   <---- entry of page p at         |              |            |  entry of page p at
//         GS - Middle - 8 - 8p       |              |            |  GS + 8p
//                                                               GS
using System.Runtime.InteropServices;
using Lamina.Engines.X86;

namespace Lamina.Engines.Translator.Runtime;

/// <summary>What generated code keeps besides the architectural state.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct VcpuArea
{
    /// <summary>Architectural state; first, so that a pointer to the area is a pointer to it.</summary>
    public CpuContext Cpu;

    /// <summary>Scratch registers 0 and 1 (host R10, R11) as they were at an exit, and are to be at an entry.</summary>
    public ulong Scratch0, Scratch1;

    /// <summary>Arithmetic flags parked by generated code: SETO in bits 0-7, LAHF in bits 8-15.</summary>
    public ulong ParkedFlags;

    /// <summary>Host flags as they were at an exit and are to be at an entry.</summary>
    public ulong HostFlags;

    /// <summary>Room for values between the steps of one instruction.</summary>
    public ulong Temporary0, Temporary1, Temporary2, Temporary3;

    /// <summary>Linear address of the page that position-independent code runs in; its page offsets are added to it.</summary>
    public ulong CodePage;

    /// <summary>Non-zero: somebody wants the vCPU out of generated code. Written by any thread.</summary>
    public uint ExitRequest;

    /// <summary>Non-zero: an interrupt waits for IF. Next to <see cref="ExitRequest"/>: both are tested by one compare.</summary>
    public uint InterruptWaits;

    /// <summary>The host's stack pointer at the entry.</summary>
    public ulong HostStack;

    /// <summary>Where to enter generated code.</summary>
    public ulong EnterAddress;

    /// <summary>The return address that tells where an exit happened.</summary>
    public ulong ExitAddress;

    /// <summary>RIP and signal number of a host fault in generated code.</summary>
    public ulong FaultAddress, FaultSignal;

    /// <summary>GS base of the regions to use at CPL 3 and otherwise.</summary>
    public ulong UserRegion, SupervisorRegion;

    /// <summary>XSAVE component mask.</summary>
    public ulong XsaveMask;

    /// <summary>MXCSR that managed code expects.</summary>
    public uint HostMxcsr;

    /// <summary>x87 control word that managed code expects.</summary>
    public uint HostFcw;

    /// <summary>Page walker: host address of guest-physical 0.</summary>
    public ulong RamBase;

    /// <summary>Page walker: the page-information table, a byte a guest-physical page.</summary>
    public ulong PageInfo;

    /// <summary>Page walker: number of pages in <see cref="PageInfo"/>.</summary>
    public ulong PageCount;

    /// <summary>Page walker: non-zero where the machine-code walk may be used (4-level paging, no debug registers).</summary>
    public ulong FastWalk;

    /// <summary>Page walker: permission bits that must all be set in every level's entry for a read, for a write; by privilege in use.</summary>
    public ulong WalkReserved;

    /// <summary>Walks by machine code, walks refused by it (statistics).</summary>
    public ulong FastFills, SlowFills;

    /// <summary>ES to GS: the first offset behind what generated code may read, write without asking; 0: always ask.</summary>
    public fixed ulong ReadLimits[6];

    /// <summary>See <see cref="ReadLimits"/>.</summary>
    public fixed ulong WriteLimits[6];

    /// <summary>Spare registers of stubs.</summary>
    public ulong Save0, Save1, Save2, Save3, Save4, Save5;

    /// <summary>Where accesses go that cannot be made in place: crossing pages, MMIO, watched pages.</summary>
    public fixed byte Bounce[4096];
}

/// <summary>Displacements from GS.</summary>
internal static unsafe class Slot
{
    /// <summary>Bytes of the shared object.</summary>
    public const int SharedSize = 0x6000;

    /// <summary>Offset of the XSAVE image in the shared object (64-byte aligned; room for 12 KiB).</summary>
    public const int XsaveOffset = 0x3000;

    /// <summary>Entries of the jump cache, 8 bytes each.</summary>
    public const int JumpCacheEntries = 4096;

    /// <summary>Bits of a code address that index the jump cache, times four.</summary>
    public const int JumpCacheMask = (JumpCacheEntries - 1) << 2;

    /// <summary>Distance from the shared object's start to GS.</summary>
    public const int Middle = SharedSize + JumpCacheEntries * 8;

    /// <summary>Displacement of the jump cache.</summary>
    public const int JumpCache = -JumpCacheEntries * 8;

    /// <summary>Displacement of the write table for the complemented page number.</summary>
    public const int WriteTable = -Middle;

    /// <summary>Bits of a page number.</summary>
    public const int PageNumberBits = 36;

    public static readonly int Gpr = At(&((VcpuArea*)null)->Cpu.Gpr[0]),
        Rip = At(&((VcpuArea*)null)->Cpu.Rip),
        SystemFlags = At(&((VcpuArea*)null)->Cpu.SystemFlags),
        Cr3 = At(&((VcpuArea*)null)->Cpu.Cr3),
        Cpl = At(&((VcpuArea*)null)->Cpu.Cpl),
        FsBase = At(&((VcpuArea*)null)->Cpu.Fs.Base),
        GsBase = At(&((VcpuArea*)null)->Cpu.Gs.Base),
        EsBase = At(&((VcpuArea*)null)->Cpu.Es.Base),
        KernelGsBase = At(&((VcpuArea*)null)->Cpu.KernelGsBase),
        TscOffset = At(&((VcpuArea*)null)->Cpu.TscOffset),
        TscAux = At(&((VcpuArea*)null)->Cpu.TscAux),
        Scratch0 = At(&((VcpuArea*)null)->Scratch0),
        Scratch1 = At(&((VcpuArea*)null)->Scratch1),
        ParkedFlags = At(&((VcpuArea*)null)->ParkedFlags),
        HostFlags = At(&((VcpuArea*)null)->HostFlags),
        Temporary0 = At(&((VcpuArea*)null)->Temporary0),
        Temporary1 = At(&((VcpuArea*)null)->Temporary1),
        Temporary2 = At(&((VcpuArea*)null)->Temporary2),
        Temporary3 = At(&((VcpuArea*)null)->Temporary3),
        CodePage = At(&((VcpuArea*)null)->CodePage),
        ExitRequest = At(&((VcpuArea*)null)->ExitRequest),
        HostStack = At(&((VcpuArea*)null)->HostStack),
        EnterAddress = At(&((VcpuArea*)null)->EnterAddress),
        ExitAddress = At(&((VcpuArea*)null)->ExitAddress),
        FaultAddress = At(&((VcpuArea*)null)->FaultAddress),
        FaultSignal = At(&((VcpuArea*)null)->FaultSignal),
        XsaveMask = At(&((VcpuArea*)null)->XsaveMask),
        HostMxcsr = At(&((VcpuArea*)null)->HostMxcsr),
        HostFcw = At(&((VcpuArea*)null)->HostFcw),
        RamBase = At(&((VcpuArea*)null)->RamBase),
        PageInfo = At(&((VcpuArea*)null)->PageInfo),
        PageCount = At(&((VcpuArea*)null)->PageCount),
        FastWalk = At(&((VcpuArea*)null)->FastWalk),
        WalkReserved = At(&((VcpuArea*)null)->WalkReserved),
        FastFills = At(&((VcpuArea*)null)->FastFills),
        Save0 = At(&((VcpuArea*)null)->Save0),
        Save1 = At(&((VcpuArea*)null)->Save1),
        Save2 = At(&((VcpuArea*)null)->Save2),
        Save3 = At(&((VcpuArea*)null)->Save3),
        Save4 = At(&((VcpuArea*)null)->Save4),
        Save5 = At(&((VcpuArea*)null)->Save5),
        Xsave = XsaveOffset - Middle;

    /// <summary>The slot of a guest general register.</summary>
    public static int GprSlot(int register) => Gpr + register * 8;

    /// <summary>The slot of a segment register's base, ES 0 to GS 5.</summary>
    public static int SegmentBase(int segment) => EsBase + segment * sizeof(SegmentRegister);

    private static readonly int ReadLimits = At(&((VcpuArea*)null)->ReadLimits[0]), WriteLimits = At(&((VcpuArea*)null)->WriteLimits[0]);

    /// <summary>See <see cref="VcpuArea.ReadLimits"/>.</summary>
    public static int ReadLimit(int segment) => ReadLimits + segment * 8;

    /// <summary>See <see cref="VcpuArea.WriteLimits"/>.</summary>
    public static int WriteLimit(int segment) => WriteLimits + segment * 8;

    private static int At(void* field) => (int)(nint)field - Middle;
}
