// What a guest does wrong, as a value. An exception travels from where it is found to Processor.DeliverFault in
// Processor.Fault; no C# exception is thrown for it.
namespace Lamina.Engines.X86;

/// <summary>What <see cref="Processor.Execute"/> and the deliveries came to.</summary>
internal enum Outcome
{
    /// <summary>Done; RIP is behind the instruction.</summary>
    Next,

    /// <summary>Done or, for a string instruction, done in part; RIP, CS or the mode may have changed.</summary>
    Branched,

    /// <summary><see cref="Processor.Fault"/> says which; registers are as before the instruction.</summary>
    Fault,

    /// <summary>HLT (or an MWAIT that waits) completed: the vCPU waits for an interrupt. RIP is behind it.</summary>
    Halted,

    /// <summary>Triple fault. SDM vol. 3, 6.15 (interrupt 8).</summary>
    Shutdown,
}

/// <summary>Where an interruption comes from: decides the EXT bit, gate privilege checks and the return address. SDM vol. 3, 6.4 and 6.13.</summary>
internal enum InterruptKind : byte
{
    /// <summary>From the local interrupt controller.</summary>
    External,

    /// <summary>Non-maskable.</summary>
    Nmi,

    /// <summary>An exception that the processor raised.</summary>
    Exception,

    /// <summary>INT n.</summary>
    Software,

    /// <summary>INT3, INTO: as INT n, but not subject to IOPL in virtual-8086 mode.</summary>
    SoftwareException,

    /// <summary>INT1 (ICEBP): no gate privilege check, EXT set.</summary>
    PrivilegedSoftware,
}

/// <summary>A pending exception.</summary>
/// <param name="Vector">Its vector.</param>
/// <param name="HasErrorCode">Whether an error code is pushed (outside real mode).</param>
/// <param name="ErrorCode">The error code.</param>
/// <param name="Detail">#PF: the linear address for CR2. #DB: the bits to set in DR6.</param>
/// <param name="IsTrap">Raised after its instruction: the pushed RF is not forced to one.</param>
internal readonly record struct Fault(byte Vector, bool HasErrorCode, uint ErrorCode, ulong Detail, bool IsTrap)
{
    /// <summary>An exception without an error code.</summary>
    public static Fault Plain(byte vector) => new(vector, false, 0, 0, false);

    /// <summary>An exception with an error code.</summary>
    public static Fault WithCode(byte vector, uint code) => new(vector, true, code, 0, false);

    /// <summary>#PF.</summary>
    public static Fault Page(ulong linear, uint code) => new(X86.Vector.PageFault, true, code, linear, false);

    /// <summary>#DB with bits for DR6.</summary>
    public static Fault Debug(ulong status, bool trap) => new(X86.Vector.Debug, false, 0, status, trap);

    /// <summary>As the trace has it: the vector, and behind it what it has.</summary>
    public override string ToString() =>
        $"{Vector}{(HasErrorCode ? $", error code 0x{ErrorCode:x}" : "")}{(Vector == X86.Vector.PageFault ? $", address 0x{Detail:x}" : Vector == X86.Vector.Debug ? $", DR6 bits 0x{Detail:x}" : "")}";
}
