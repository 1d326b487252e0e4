// What the emitter leaves behind besides code: sites, by which the runtime finds out what generated code was doing when
// it left, and blocks.
using Lamina.Engines.Translator.Analyse;
using Lamina.Engines.X86.Decode;

namespace Lamina.Engines.Translator.Code;

/// <summary>Why generated code leaves at a site.</summary>
internal enum SiteKind : byte
{
    /// <summary>A load that could not be made in place. Resumes at Resume with scratch 1 such that [address + scratch 1] is the data.</summary>
    Read,

    /// <summary>A store or read-modify-write likewise; with a bounce it resumes at Copy, which ends in a commit.</summary>
    Write,

    /// <summary>The bytes of a bounced store are ready.</summary>
    Commit,

    /// <summary>An offset in scratch 0 is outside what generated code knows of the segment. Resumes at Resume with the linear address in scratch 0's place.</summary>
    Segment,

    /// <summary>An instruction for the C# executor.</summary>
    System,

    /// <summary>IN (Reads) or OUT of whoever may use all ports. Target: the port, or -1 where DX says it; Copy: the instruction's end, from the block's start.</summary>
    Port,

    /// <summary>An exit request was seen before an instruction.</summary>
    Poll,

    /// <summary>A direct jump within the page that is not linked yet. The number of its block follows the call that leaves.</summary>
    Link,

    /// <summary>A direct jump to another page that has no link yet, and is used so often that it should have one. Its way through the jump cache is where it returns to.</summary>
    FarLink,

    /// <summary>The block was invalidated or is a stale entry.</summary>
    Stale,

    /// <summary>One instruction was executed in single-step mode.</summary>
    Step,

    /// <summary>The address was not in the jump cache (scratch 0: linear target).</summary>
    JumpMiss,

    /// <summary>An instruction that may raise a host fault by itself (DIV); the address is one behind that of the instruction's start.</summary>
    HostFault,

    /// <summary>A call or return leads to an address that is not canonical; Target: what RSP has gone up by.</summary>
    BadTarget,

    /// <summary>The block's bytes are not an instruction, or a breakpoint stands here.</summary>
    Undecodable,
}

/// <summary>A place in generated code that leaves it.</summary>
internal struct Site
{
    /// <summary>Where the return address of the leaving call points, from the code buffer's start.</summary>
    public int Return;

    /// <summary>Where to resume (Read, Write, Segment), or the jump's displacement field to patch (Link); from the code buffer's start.</summary>
    public int Resume;

    /// <summary>The out-of-line copy of a store (Write).</summary>
    public int Copy;

    /// <summary>Target of a link, from the block's start in guest bytes; the segment of a Segment site.</summary>
    public int Target;

    /// <summary>The instruction's offset from the block's start.</summary>
    public ushort GuestOffset;

    /// <summary>Size of the access in bytes.</summary>
    public ushort Size;

    /// <summary>Alignment that the access must have, or 0.</summary>
    public byte Alignment;

    /// <summary>Host register that holds the linear address.</summary>
    public byte AddressRegister;

    /// <summary>The access reads (for Write sites: read-modify-write).</summary>
    public bool Reads;

    /// <summary>The guest's flags are parked; else they are the host's flags.</summary>
    public bool Parked;

    /// <summary>Why.</summary>
    public SiteKind Kind;

    // From where a far jump that has no link goes to the end of the call that leaves: DEC of a byte at GS, JNE, CALL.
    private const int FarLinkCallEnd = 8 + 2 + Assembler.JumpBytes;

    /// <summary>Where a direct jump goes that is not linked (Link, FarLink); from the code buffer's start.</summary>
    public readonly int UnlinkedTarget => Return - (Kind == SiteKind.FarLink ? FarLinkCallEnd : Assembler.JumpBytes);
}

/// <summary>A translated block.</summary>
internal sealed class Block
{
    /// <summary>Guest-physical address of its first byte.</summary>
    public ulong Physical;

    /// <summary>Guest-physical address of the second page of an instruction that crosses; ~0 otherwise.</summary>
    public ulong SecondPage = ulong.MaxValue;

    /// <summary>Linear address, where the code contains it (not position independent).</summary>
    public ulong Linear;

    /// <summary>Base of CS, where the code contains it.</summary>
    public ulong CodeBase;

    /// <summary>Modes it was translated for.</summary>
    public ModeKey Key;

    /// <summary>Guest bytes.</summary>
    public int Length;

    /// <summary>Instructions.</summary>
    public int InstructionCount;

    /// <summary>Where its code starts and ends, from the code buffer's start.</summary>
    public int HostStart, HostEnd;

    /// <summary>Where what rarely runs of it starts and ends; always behind the code of all blocks.</summary>
    public int ColdStart, ColdEnd;

    /// <summary>Its sites: a range of the code buffer's list, sorted by <see cref="Site.Return"/>.</summary>
    public int FirstSite, SiteCount;

    /// <summary>Where its instructions start in host code: a range of the code buffer's list, in order of the code. Some stand there twice.</summary>
    public int FirstInstruction, StartCount;

    /// <summary>Its displacements, where the code buffer keeps them: a range of its list.</summary>
    public int FirstDistance, DistanceCount;

    /// <summary>What its guest bytes and those that it relied on come to; see <see cref="Archive.ByteFingerprint"/>.</summary>
    public ulong Fingerprint;

    /// <summary>It is in the archive: it comes from there, or was put there.</summary>
    public bool Adopted;

    /// <summary>Flags that may be read before they are written.</summary>
    public Flags LiveIn;

    /// <summary>It loads x87 and vector state where that is not in registers yet; what is entered within it must find it there.</summary>
    public bool LoadsVectors;

    /// <summary>Bytes elsewhere in its page that the translation relied on.</summary>
    public LookAhead First, Second;

    /// <summary>False after a store into its bytes.</summary>
    public bool Valid = true;

    /// <summary>How many translations of this code have become stale before this one.</summary>
    public int Age;

    /// <summary>Where the first landing pad is for; blocks have one for each linear address that they are jumped to at, mostly one.</summary>
    public ulong PadLinear;

    /// <summary>Executable address of the pad for <see cref="PadLinear"/>, or 0.</summary>
    public ulong Pad;

    /// <summary>What of the guest's code, by the distance from its start, lies behind its code: control runs into that. Null: nothing does.</summary>
    public int? Follower;

    /// <summary>Its place among the code buffer's blocks.</summary>
    public int Number;

    /// <summary>The instruction crosses into <see cref="SecondPage"/>.</summary>
    public bool CrossesPage => SecondPage != ulong.MaxValue;
}

/// <summary>Finds the block at a distance in bytes from another one in the same page, if it may be jumped to directly.</summary>
/// <param name="identity">The other one.</param>
/// <param name="linear">Where it runs.</param>
/// <param name="distance">From its start.</param>
internal delegate Block? NeighbourLookup(in BlockIdentity identity, ulong linear, int distance);

/// <summary>Addresses of the stubs that generated code calls, executable view.</summary>
internal sealed class StubAddresses
{
    public ulong Read, Write, Commit, Segment, System, Port, Poll, Link, FarLink, Stale, Step, JumpMiss, JumpEmpty, JumpSecond, BadTarget, Undecodable;

    /// <summary>System instructions in machine code, as far as they go; what is left leaves as <see cref="System"/>.</summary>
    public ulong Cpuid, ReadMsr, WriteMsr, InvalidatePage, WriteTaskPriority;

    /// <summary>Brings the x87 and vector state into registers. Clobbers the host's flags alone.</summary>
    public ulong LoadVectors;

    /// <summary>How the GS base is changed; by a system call: what makes that.</summary>
    public required GsBaseChange GsBase;
    public ulong SetGsBase;

    /// <summary>Privilege changes by machine code; <see cref="Jump"/> enters at the linear address in scratch 0, flags being parked.</summary>
    public ulong Syscall, Sysret, Iret, Jump;

    /// <summary>
    /// As Read and Write, for accesses of 2 to 64 bytes (by the logarithm) that may be misaligned or cross a page; Store is
    /// for those that read nothing and store all of their bytes.
    /// </summary>
    public readonly ulong[] ReadSized = new ulong[7], WriteSized = new ulong[7], StoreSized = new ulong[7];

    /// <summary>Page walks: from S0 to the addend in S1, or 0.</summary>
    public ulong WalkRead, WalkWrite;

    /// <summary>REP MOVS and REP STOS by the logarithm of the element size.</summary>
    public readonly ulong[] Move = new ulong[4], Store = new ulong[4];

    /// <summary>MOVS and STOS of one element of a flat 32-bit address space, by the logarithm of its size.</summary>
    public readonly ulong[] MoveElement = new ulong[3], StoreElement = new ulong[3];
}
