// The live state of one vCPU in unmanaged memory. Generated code addresses it through GS with fixed offsets; C# reads
// and writes it only while generated code is not running. Only what generated code or stubs touch often is laid out by
// hand in the first part; nothing here is a policy.
using System.Runtime.InteropServices;

namespace Lamina.Engines.X86;

/// <summary>A segment register with its hidden part, as generated code uses it.</summary>
[StructLayout(LayoutKind.Sequential)]
public struct SegmentRegister
{
    /// <summary>Base address.</summary>
    public ulong Base;

    /// <summary>Limit in bytes, granularity applied (all ones in 64-bit mode's view of a flat segment).</summary>
    public uint Limit;

    /// <summary>Access rights in the layout of <see cref="Core.Engine.SegmentState.Attributes"/>.</summary>
    public uint Attributes;

    /// <summary>Visible selector.</summary>
    public ushort Selector;

    /// <summary>Fills the structure to 24 bytes.</summary>
    private readonly ushort _padding0;
    private readonly uint _padding1;
}

/// <summary>Live vCPU state.</summary>
[StructLayout(LayoutKind.Sequential)]
public unsafe struct CpuContext
{
    /// <summary>RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15.</summary>
    public fixed ulong Gpr[16];

    /// <summary>Instruction pointer (offset in CS) of the next instruction, or of the faulting one while a fault is delivered.</summary>
    public ulong Rip;

    /// <summary>CF, PF, AF, ZF, SF, OF at their places; the other bits are zero.</summary>
    public ulong ArithmeticFlags;

    /// <summary>RFLAGS without the arithmetic flags: TF, IF, DF, IOPL, NT, RF, VM, AC, VIF, VIP, ID, and bit 1 set.</summary>
    public ulong SystemFlags;

    /// <summary>ES, CS, SS, DS, FS, GS, LDTR, TR.</summary>
    public SegmentRegister Es, Cs, Ss, Ds, Fs, Gs, Ldtr, Tr;

    /// <summary>Table registers.</summary>
    public ulong GdtrBase, IdtrBase;

    /// <summary>Table limits.</summary>
    public uint GdtrLimit, IdtrLimit;

    /// <summary>Control registers.</summary>
    public ulong Cr0, Cr2, Cr3, Cr4, Efer, Xcr0;

    /// <summary>CR8, which lives in the local APIC, as generated code has it, and what the local APIC was told last: never more.</summary>
    public ulong TaskPriority, KnownTaskPriority;

    /// <summary>Non-zero: the local APIC is yet to be told of <see cref="TaskPriority"/>.</summary>
    public uint TaskPriorityAhead;

    /// <summary>Debug registers.</summary>
    public ulong Dr0, Dr1, Dr2, Dr3, Dr6, Dr7;

    /// <summary>MSRs that instructions use.</summary>
    public ulong Star, Lstar, Cstar, Sfmask, KernelGsBase, SysenterCs, SysenterEsp, SysenterEip, TscAux, TscOffset, Pat;

    /// <summary>Current privilege level, 0 to 3.</summary>
    public uint Cpl;

    /// <summary>Non-zero: interrupts are held off until one more instruction has run (STI, MOV SS, POP SS).</summary>
    public uint InterruptShadow;

    /// <summary>Non-zero: NMIs are blocked until IRET.</summary>
    public uint NmiBlocked;

    /// <summary>Non-zero: somebody wants the vCPU out of generated code (interrupt, kick). Written by any thread.</summary>
    public uint ExitRequest;

    /// <summary>The four PDPTE registers of PAE paging, as loaded by the last write of CR3 (SDM vol. 3, 4.4.1).</summary>
    public fixed ulong Pdpte[4];

    /// <summary>
    /// XSAVE image in the standard format, 64-byte aligned, at least as long as CPUID leaf 0xD says. It holds the guest's
    /// vector and x87 state whenever C# runs; generated code has it in registers.
    /// </summary>
    public byte* XsaveArea;
}
