// The architectural state of one vCPU, independent of the engine: what snapshots save, debuggers read and loaders set.
using Lamina.Core.Inspection;

namespace Lamina.Core.Engine;

/// <summary>A segment register with its hidden part (SDM vol. 3, 3.4.3).</summary>
public struct SegmentState
{
    /// <summary>Base address.</summary>
    public ulong Base;

    /// <summary>Limit in bytes (granularity applied).</summary>
    public uint Limit;

    /// <summary>Visible selector.</summary>
    public ushort Selector;

    /// <summary>Access rights: bits 0-3 type, 4 S, 5-6 DPL, 7 P, 12 AVL, 13 L, 14 D/B, 15 G (bits 8-11 are zero), 16 unusable. As VMCS access rights (SDM vol. 3, 25.4.1).</summary>
    public uint Attributes;
}

/// <summary>GDTR or IDTR.</summary>
public struct DescriptorTableState
{
    /// <summary>Linear base address.</summary>
    public ulong Base;

    /// <summary>Limit in bytes.</summary>
    public ushort Limit;
}

/// <summary>Indices into <see cref="VcpuState.Gpr"/>, in the encoding's order.</summary>
public static class GprIndex
{
    /// <summary>The registers' numbers.</summary>
    public const int Rax = 0, Rcx = 1, Rdx = 2, Rbx = 3, Rsp = 4, Rbp = 5, Rsi = 6, Rdi = 7;
}

/// <summary>Indices into <see cref="VcpuState.Segments"/>, in the encoding's order.</summary>
public static class SegmentIndex
{
    /// <summary>The registers' numbers; LDTR and TR follow the six encodable ones.</summary>
    public const int Es = 0, Cs = 1, Ss = 2, Ds = 3, Fs = 4, Gs = 5, Ldtr = 6, Tr = 7;
}

/// <summary>What a vCPU is doing (as KVM's MP state).</summary>
public enum VcpuActivity
{
    /// <summary>Executing instructions.</summary>
    Running,

    /// <summary>In HLT.</summary>
    Halted,

    /// <summary>After INIT, waiting for a start-up IPI.</summary>
    WaitForStartUp,
}

/// <summary>What is held off until one more instruction has run (SDM vol. 3, 6.8.3).</summary>
public enum InterruptShadow
{
    /// <summary>Nothing.</summary>
    None,

    /// <summary>Interrupts, after STI.</summary>
    Sti,

    /// <summary>Interrupts and debug exceptions, after a load of SS.</summary>
    MovSs,
}

/// <summary>The whole architectural state of a vCPU.</summary>
public sealed class VcpuState
{
    /// <summary>RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8 to R15.</summary>
    public ulong[] Gpr { get; } = new ulong[16];

    /// <summary>Instruction pointer (an offset in CS).</summary>
    public ulong Rip { get; set; }

    /// <summary>RFLAGS.</summary>
    public ulong Rflags { get; set; }

    /// <summary>ES, CS, SS, DS, FS, GS, LDTR, TR.</summary>
    public SegmentState[] Segments { get; } = new SegmentState[8];

    /// <summary>GDTR.</summary>
    public DescriptorTableState Gdtr { get; set; }

    /// <summary>IDTR.</summary>
    public DescriptorTableState Idtr { get; set; }

    /// <summary>Control registers.</summary>
    public ulong Cr0 { get; set; }

    /// <summary>Page fault linear address.</summary>
    public ulong Cr2 { get; set; }

    /// <summary>Page table base.</summary>
    public ulong Cr3 { get; set; }

    /// <summary>Extensions.</summary>
    public ulong Cr4 { get; set; }

    /// <summary>
    /// The four PDPTE registers of PAE paging, which memory may not show any more (SDM vol. 3, 4.4.1). Null where they are not in use; in a
    /// state that is made by hand, to have them loaded from where CR3 points.
    /// </summary>
    public ulong[]? Pdptes { get; set; }

    /// <summary>Extended feature enable register.</summary>
    public ulong Efer { get; set; }

    /// <summary>XCR0.</summary>
    public ulong Xcr0 { get; set; }

    /// <summary>DR0 to DR3, DR6, DR7 at their own indices; 4 and 5 unused.</summary>
    public ulong[] Dr { get; } = new ulong[8];

    /// <summary>XSAVE area in the standard (not compacted) format, XCR0's components (SDM vol. 1, 13.4).</summary>
    public byte[] Xsave { get; set; } = [];

    /// <summary>Model-specific registers that are state, by index (not those of the local APIC).</summary>
    public SortedDictionary<uint, ulong> Msrs { get; } = [];

    /// <summary>What it is doing.</summary>
    public VcpuActivity Activity { get; set; }

    /// <summary>What the last instruction holds off.</summary>
    public InterruptShadow Shadow { get; set; }

    /// <summary>NMIs are blocked until IRET.</summary>
    public bool NmiBlocked { get; set; }

    /// <summary>What waits to be taken.</summary>
    public PendingEvents Pending { get; set; }

    private static readonly string[] s_gpr = ["rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15"];
    private static readonly string[] s_segments = ["es", "cs", "ss", "ds", "fs", "gs", "ldtr", "tr"];

    /// <summary>Says it for a person who looks; extended registers are left out.</summary>
    public void Say(InspectNode node)
    {
        node.Say("activity", Activity);
        node.SayHex("rip", Rip);
        node.SayHex("rflags", Rflags);
        for (var i = 0; i < Gpr.Length; i++) node.SayHex(s_gpr[i], Gpr[i]);
        (string Name, ulong Value)[] control = [("cr0", Cr0), ("cr2", Cr2), ("cr3", Cr3), ("cr4", Cr4), ("efer", Efer), ("xcr0", Xcr0), ("dr0", Dr[0]), ("dr1", Dr[1]), ("dr2", Dr[2]), ("dr3", Dr[3]), ("dr6", Dr[6]), ("dr7", Dr[7])];
        foreach (var (name, value) in control) node.SayHex(name, value);
        for (var i = 0; i < Segments.Length; i++)
        {
            var segment = node.Below(s_segments[i]);
            segment.SayHex("selector", Segments[i].Selector);
            segment.SayHex("base", Segments[i].Base);
            segment.SayHex("limit", Segments[i].Limit);
            segment.SayHex("attributes", Segments[i].Attributes);
        }
        Say(node.Below("gdtr"), Gdtr);
        Say(node.Below("idtr"), Idtr);
        node.Say("interrupt shadow", Shadow);
        node.Say("nmi blocked", NmiBlocked);
        if (Pending != default) node.Say("pending", Pending.ToString());
        var msrs = node.Below("msrs");
        foreach (var (index, value) in Msrs) msrs.SayHex($"0x{index:x}", value);
    }

    private static void Say(InspectNode node, DescriptorTableState table)
    {
        node.SayHex("base", table.Base);
        node.SayHex("limit", table.Limit);
    }
}
