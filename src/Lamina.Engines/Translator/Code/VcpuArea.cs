// The memory around GS. One shared object (VcpuArea: architectural state, slots of the generated code, XSAVE image) is
// mapped just below the GS base of every address-translation region of a vCPU, so that changing the region is one
// WRGSBASE and the state stays where it was:
//
//      write table (grows down)      | shared state | jump cache, head, fill log |      read table (grows up)
//   <---- entry of page p at         |              |                            |  entry of page p at
//         GS - Middle - 8 - 8p       |              |                            |  GS + 8p
//                                                                               GS
using System.Runtime.InteropServices;
using Lamina.Engines.X86;
using Lamina.Host;

namespace Lamina.Engines.Translator.Code;

/// <summary>What generated code keeps besides the architectural state.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct VcpuArea
{
    /// <summary>Architectural state; first, so that a pointer to the area is a pointer to it.</summary>
    public CpuContext Cpu;

    /// <summary>Scratch registers 0 and 1 (host R10, R11) as they were at an exit, and are to be at an entry.</summary>
    public ulong Scratch0, Scratch1;

    /// <summary>See <see cref="Frame"/>, where they are while generated code runs.</summary>
    public ulong ParkedFlags, CodePage, Temporary0, Temporary1, Temporary2;

    /// <summary>Host flags as they were at an exit and are to be at an entry.</summary>
    public ulong HostFlags;

    /// <summary>What the guest's TSC is ahead of the host's.</summary>
    public ulong HostTscOffset;

    /// <summary>Non-zero: an interrupt waits for IF.</summary>
    public ulong InterruptWaits;

    /// <summary>The host's stack pointer at the entry.</summary>
    public ulong HostStack;

    /// <summary>Where to enter generated code.</summary>
    public ulong EnterAddress;

    /// <summary>The return address that tells where an exit happened.</summary>
    public ulong ExitAddress;

    /// <summary>RIP of a host fault in generated code, what it was (signal, exception vector), and what address it was about.</summary>
    public ulong FaultAddress, FaultSignal, FaultLinear;

    /// <summary>Which bits of a hashed code address the jump cache is indexed by, and those that tell whether it is canonical: see <see cref="Sequences.JumpThroughCacheIfCanonical"/>.</summary>
    public ulong IndexMask;

    /// <summary>The GS base to be had, and the one that a switch between threads sets it back to (0: none does). See <see cref="GsBaseChange"/>.</summary>
    public ulong CurrentGs, LostGs;

    /// <summary>How often the handler of faults had to bring the former back.</summary>
    public ulong GsLosses;

    /// <summary>XSAVE component mask.</summary>
    public ulong XsaveMask;

    /// <summary>
    /// Non-zero: generated code has the guest's x87 and vector state in registers, or is to be entered with it; else that is in memory still
    /// (see <see cref="Analyse.ModeKeys.HasVectorsLoaded"/>). An exit leaves it as it was.
    /// </summary>
    public uint VectorsLoaded;

    /// <summary>MXCSR that managed code expects.</summary>
    public uint HostMxcsr;

    /// <summary>Number of the region that generated code left in.</summary>
    public uint RegionNumber;

    /// <summary>Page walker: host address of guest-physical 0.</summary>
    public ulong RamBase;

    /// <summary>Page walker: the page-information table, a byte a guest-physical page.</summary>
    public ulong PageInfo;

    /// <summary>Page walker: number of pages in <see cref="PageInfo"/>.</summary>
    public ulong PageCount;

    /// <summary>Page walker: non-zero where the machine-code walk may be used (4-level paging); 2: but for <see cref="WatchedPages"/>.</summary>
    public ulong FastWalk;

    /// <summary>How many data breakpoints there may be.</summary>
    public const int Watches = 4;

    /// <summary>Numbers of the pages in which data breakpoints watch something, which are in no table; all ones: none.</summary>
    public fixed ulong WatchedPages[Watches];

    /// <summary>From which address on, and for how many bytes, an access of any size may touch what is watched; no bytes: none.</summary>
    public fixed ulong WatchedFrom[Watches], WatchedLengths[Watches];

    /// <summary>Flags that IRETQ restores only with the executor's help.</summary>
    public ulong NotPlainFlags;

    /// <summary>Page walker: see <see cref="WriteHints"/>.</summary>
    public ulong WriteHints;

    /// <summary>Page walker: see Runtime/LargePages.</summary>
    public ulong LargeMap;

    /// <summary>Page walker: the G bit where CR4.PGE is set, else 0.</summary>
    public ulong WalkGlobal;

    /// <summary>Walks done by machine code (statistics).</summary>
    public ulong FastFills;

    /// <summary>GS bases of the regions between which machine code changes.</summary>
    public ulong UserGs, ClosedGs, OpenGs;

    /// <summary>Non-zero: machine code may go from 64-bit user code to 64-bit supervisor code (SYSCALL), back, and within the latter (IRETQ).</summary>
    public uint EntryReady, ReturnReady, KernelReady;

    /// <summary>Non-zero: nothing in ES, DS, FS, GS has to be dropped on a return to CPL 3.</summary>
    public uint DataSegmentsSafe;

    /// <summary>What SYSCALL loads into CS and SS, and what SYSRET does.</summary>
    public SegmentRegister KernelCode, KernelStack, UserCode, UserStack;

    /// <summary>ES to GS: the first offset behind what generated code may read, write without asking; 0: always ask.</summary>
    public fixed ulong ReadLimits[6];

    /// <summary>See <see cref="ReadLimits"/>.</summary>
    public fixed ulong WriteLimits[6];

    /// <summary>The machine's landing pads by address (see <see cref="SharedPads"/>).</summary>
    public ulong SharedPads;

    /// <summary>Entries of <see cref="Answers"/>, a power of two.</summary>
    public const int AnswerEntries = 32;

    /// <summary>What CPUID has answered, four values an entry: see Runtime/CpuidAnswers.</summary>
    public fixed ulong Answers[AnswerEntries * 4];

    /// <summary>Spare registers of stubs.</summary>
    public ulong Save0, Save1, Save2;

    /// <summary>Counts of jumps to other pages that have no link (the site kind FarLink); some share one.</summary>
    public fixed byte FarJumps[Slot.FarJumpCounts];

    /// <summary>Host address of the first place in <see cref="Bounce"/> that is aligned for any operand.</summary>
    public ulong BounceStart;

    /// <summary>A store across pages on its way by machine code: from where in the bounce buffer, to which two places in the host.</summary>
    public ulong BounceFrom, BounceFirst, BounceSecond;

    /// <summary>How much goes to which of them; 0: no such store is on its way.</summary>
    public ulong BounceFirstBytes, BounceSecondBytes;

    /// <summary>Bytes to which <see cref="BounceStart"/> is aligned.</summary>
    public const int BounceAlignment = 64;

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

    /// <summary>Number of counts in <see cref="VcpuArea.FarJumps"/>.</summary>
    public const int FarJumpCounts = 2048;

    /// <summary>Entries of the jump cache, 8 bytes each.</summary>
    public const int JumpCacheEntries = 131072;

    /// <summary>The hash of a code address is its own bits mixed with those this much higher, under <see cref="JumpCacheMask"/>, over four.</summary>
    public const int JumpCacheShift = 12;

    /// <summary>See <see cref="JumpCacheShift"/>.</summary>
    public const int JumpCacheMask = (JumpCacheEntries - 1) << 2;

    /// <summary>Of a hashed code address, the bits that are zero where it is canonical.</summary>
    public const ulong CanonicalBits = ~0ul << 47;

    /// <summary>The index of a code address in the jump cache, times four.</summary>
    public static int JumpCacheHash(ulong linear) => (int)((linear ^ linear >> JumpCacheShift) & JumpCacheMask);

    /// <summary>Entries of the second level of the jump cache, 16 bytes each: a code address and its landing pad.</summary>
    public const int SecondEntries = 1 << SecondBits;

    /// <summary>Bytes of an entry of the second level.</summary>
    public const int SecondEntryBytes = 16;

    /// <summary>The hash of the second level, and of the table of shared pads, is the upper bits of the lower half of an address times this.</summary>
    public const int SecondFactor = 0x61c8_8647;

    /// <summary>Bits of an index into the second level.</summary>
    public const int SecondBits = 16;

    /// <summary>The index of a code address in a table hashed by <see cref="SecondFactor"/> that has two to the power of <paramref name="bits"/> entries.</summary>
    public static int MultipliedHash(ulong linear, int bits) => (int)((uint)linear * (uint)SecondFactor >> (32 - bits));

    /// <summary>Entries of a jump cache's list of code pages that are known to be where they were, 16 bytes each (JumpCache.KnownPage).</summary>
    public const int KnownPages = 8192;

    /// <summary>Entries of the list of what was set in a jump cache, 4 bytes each; one less, the number of them comes first.</summary>
    public const int SetLogEntries = 16 * 1024;

    /// <summary>Entries of the notes of calls, 16 bytes each: a return address, and where in generated code a return to it goes.</summary>
    public const int ReturnEntries = 1024;

    /// <summary>An entry is found by these bits of the stack slot's address, times two.</summary>
    public const int ReturnMask = (ReturnEntries - 1) << 3;

    /// <summary>Bytes that say by the low bits of a page's number whether code may be there, a power of two.</summary>
    public const int CodeMarks = 4096;

    /// <summary>Bytes of a jump cache: both levels, the addresses of the first, pages, list, calls, marks.</summary>
    public const int JumpBytes = JumpCacheEntries * 16 + SecondEntries * SecondEntryBytes + KnownPages * 16 + SetLogEntries * 4 + ReturnEntries * 16 + CodeMarks;

    /// <summary>Entries of the fill log (see <see cref="RegionHead"/>).</summary>
    public const int LogEntries = 65536;

    /// <summary>Bytes of a region's own part: jump cache, a page for its head, the log.</summary>
    public const int PrivateSize = JumpBytes + 4096 + LogEntries * 8;

    /// <summary>Distance from the shared object's start to GS.</summary>
    public const int Middle = SharedSize + PrivateSize;

    /// <summary>Displacement of the jump cache.</summary>
    public const int JumpCache = -PrivateSize;

    /// <summary>Displacement of its second level.</summary>
    public const int SecondCache = JumpCache + JumpCacheEntries * 8;

    /// <summary>Displacement of the addresses that the first level's entries are for.</summary>
    public const int JumpLinears = SecondCache + SecondEntries * SecondEntryBytes;

    /// <summary>Displacement of the known code pages.</summary>
    public const int KnownCodePages = JumpLinears + JumpCacheEntries * 8;

    /// <summary>Displacement of the list of what was set in the first level.</summary>
    public const int SetLog = KnownCodePages + KnownPages * 16;

    /// <summary>Displacement of the notes of calls.</summary>
    public const int Returns = SetLog + SetLogEntries * 4;

    /// <summary>Displacement of the bytes that say where code may be (see <see cref="CodeMarks"/>).</summary>
    public const int CodeMark = Returns + ReturnEntries * 16;

    /// <summary>Displacement of the <see cref="RegionHead"/>.</summary>
    public const int Head = JumpCache + JumpBytes;

    /// <summary>Displacement of the fill log.</summary>
    public const int Log = Head + 4096;

    /// <summary>Displacement of the write table for the complemented page number.</summary>
    public const int WriteTable = -Middle;

    /// <summary>Bits of a page number.</summary>
    public const int PageNumberBits = 36;

    /// <summary>Where faults of generated code are noted.</summary>
    public static FaultSlots Faults => new(FaultAddress, FaultSignal, LostGs, CurrentGs, GsLosses);

    // Offsets are taken from an instance that is never used otherwise.
    private static readonly VcpuArea* Model = (VcpuArea*)NativeMemory.AllocZeroed((nuint)sizeof(VcpuArea));

    public static readonly int Gpr = At(Model->Cpu.Gpr),
        Rip = At(&Model->Cpu.Rip),
        SystemFlags = At(&Model->Cpu.SystemFlags),
        Cr0 = At(&Model->Cpu.Cr0),
        Cr2 = At(&Model->Cpu.Cr2),
        Cr3 = At(&Model->Cpu.Cr3),
        Cr4 = At(&Model->Cpu.Cr4),
        TaskPriority = At(&Model->Cpu.TaskPriority),
        KnownTaskPriority = At(&Model->Cpu.KnownTaskPriority),
        TaskPriorityAhead = At(&Model->Cpu.TaskPriorityAhead),
        InterruptWaits = At(&Model->InterruptWaits),
        Cpl = At(&Model->Cpu.Cpl),
        FsBase = At(&Model->Cpu.Fs.Base),
        GsBase = At(&Model->Cpu.Gs.Base),
        EsBase = At(&Model->Cpu.Es.Base),
        KernelGsBase = At(&Model->Cpu.KernelGsBase),
        TscOffset = At(&Model->HostTscOffset),
        TscAux = At(&Model->Cpu.TscAux),
        Scratch0 = At(&Model->Scratch0),
        Scratch1 = At(&Model->Scratch1),
        ParkedFlags = At(&Model->ParkedFlags),
        HostFlags = At(&Model->HostFlags),
        Temporary0 = At(&Model->Temporary0),
        Temporary1 = At(&Model->Temporary1),
        Temporary2 = At(&Model->Temporary2),
        CodePage = At(&Model->CodePage),
        ExitRequest = At(&Model->Cpu.ExitRequest),
        HostStack = At(&Model->HostStack),
        EnterAddress = At(&Model->EnterAddress),
        ExitAddress = At(&Model->ExitAddress),
        FaultAddress = At(&Model->FaultAddress),
        FaultSignal = At(&Model->FaultSignal),
        IndexMask = At(&Model->IndexMask),
        CurrentGs = At(&Model->CurrentGs),
        LostGs = At(&Model->LostGs),
        GsLosses = At(&Model->GsLosses),
        XsaveMask = At(&Model->XsaveMask),
        VectorsLoaded = At(&Model->VectorsLoaded),
        HostMxcsr = At(&Model->HostMxcsr),
        RegionNumber = At(&Model->RegionNumber),
        RamBase = At(&Model->RamBase),
        PageInfo = At(&Model->PageInfo),
        PageCount = At(&Model->PageCount),
        FastWalk = At(&Model->FastWalk),
        WatchedPages = At(Model->WatchedPages),
        WatchedFrom = At(Model->WatchedFrom),
        WatchedLengths = At(Model->WatchedLengths),
        NotPlainFlags = At(&Model->NotPlainFlags),
        WriteHints = At(&Model->WriteHints),
        UserGs = At(&Model->UserGs),
        ClosedGs = At(&Model->ClosedGs),
        OpenGs = At(&Model->OpenGs),
        EntryReady = At(&Model->EntryReady),
        ReturnReady = At(&Model->ReturnReady),
        KernelReady = At(&Model->KernelReady),
        DataSegmentsSafe = At(&Model->DataSegmentsSafe),
        KernelCode = At(&Model->KernelCode),
        KernelStack = At(&Model->KernelStack),
        UserCode = At(&Model->UserCode),
        UserStack = At(&Model->UserStack),
        Cs = At(&Model->Cpu.Cs),
        Ss = At(&Model->Cpu.Ss),
        GdtrBase = At(&Model->Cpu.GdtrBase),
        GdtrLimit = At(&Model->Cpu.GdtrLimit),
        Lstar = At(&Model->Cpu.Lstar),
        Sfmask = At(&Model->Cpu.Sfmask),
        NmiBlocked = At(&Model->Cpu.NmiBlocked),
        WalkGlobal = At(&Model->WalkGlobal),
        LargeMap = At(&Model->LargeMap),
        FastFills = At(&Model->FastFills),
        SharedPads = At(&Model->SharedPads),
        FarJumps = At(Model->FarJumps),
        Answers = At(Model->Answers),
        Save0 = At(&Model->Save0),
        Save1 = At(&Model->Save1),
        Save2 = At(&Model->Save2),
        BounceStart = At(&Model->BounceStart),
        BounceFrom = At(&Model->BounceFrom),
        BounceFirst = At(&Model->BounceFirst),
        BounceSecond = At(&Model->BounceSecond),
        BounceFirstBytes = At(&Model->BounceFirstBytes),
        BounceSecondBytes = At(&Model->BounceSecondBytes),
        Xsave = XsaveOffset - Middle;

    // The head is found from GS directly.
    private static readonly RegionHead* HeadModel = (RegionHead*)NativeMemory.AllocZeroed((nuint)sizeof(RegionHead));

    public static readonly int LocalCount = AtHead(&HeadModel->LocalCount),
        GlobalCount = AtHead(&HeadModel->GlobalCount),
        FillLimit = AtHead(&HeadModel->FillLimit),
        ThisRegion = AtHead(&HeadModel->Number),
        HintTag = AtHead(&HeadModel->HintTag),
        WalkRead = AtHead(&HeadModel->WalkRead),
        WalkWrite = AtHead(&HeadModel->WalkWrite),
        WalkForbidden = AtHead(&HeadModel->WalkForbidden),
        KnownPieces = AtHead(HeadModel->KnownPieces);

    /// <summary>The slot of a guest general register.</summary>
    public static int GprSlot(int register) => Gpr + register * 8;

    /// <summary>The slot of a segment register's base, ES 0 to GS 5.</summary>
    public static int SegmentBase(int segment) => EsBase + segment * sizeof(SegmentRegister);

    private static readonly int EsSelector = At(&Model->Cpu.Es.Selector);

    /// <summary>The slot of a segment register's selector, ES 0 to GS 5.</summary>
    public static int SegmentSelector(int segment) => EsSelector + segment * sizeof(SegmentRegister);

    private static readonly int ReadLimits = At(Model->ReadLimits), WriteLimits = At(Model->WriteLimits);

    /// <summary>See <see cref="VcpuArea.ReadLimits"/>.</summary>
    public static int ReadLimit(int segment) => ReadLimits + segment * 8;

    /// <summary>See <see cref="VcpuArea.WriteLimits"/>.</summary>
    public static int WriteLimit(int segment) => WriteLimits + segment * 8;

    private static int AtHead(void* field) => (int)((byte*)field - (byte*)HeadModel) + Head;

    private static int At(void* field) => (int)((byte*)field - (byte*)Model) - Middle;
}
