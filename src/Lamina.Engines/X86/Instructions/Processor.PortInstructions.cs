// IN and OUT, and who may use which port. SDM vol. 1, 19.5 (I/O permission bit map).
using Lamina.Core.Engine;
using Lamina.Engines.X86.Decode;
using Lamina.Engines.X86.Paging;

namespace Lamina.Engines.X86;

internal sealed unsafe partial class Processor
{
    private Outcome PortInstruction(in Instruction i) => FaultOutcome(TryPort(i));

    /// <summary>What IN does beyond asking whether it may, and RIP.</summary>
    public void Input(ushort port, int size) => WriteGpr(GprIndex.Rax, size, ReadPort(port, size));

    /// <summary>What OUT does beyond asking whether it may, and RIP.</summary>
    public void Output(ushort port, int size) => WritePort(port, size, ReadGpr(GprIndex.Rax, size));

    private bool TryPort(in Instruction i)
    {
        var port = i.ImmediateSize != 0 ? (byte)i.Immediate : (ushort)Context->Gpr[GprIndex.Rdx];
        if (!TryCheckPort(port, i.OperandSize)) return false;
        if (i.Id == InstructionId.In) Input(port, i.OperandSize);
        else Output(port, i.OperandSize);
        return true;
    }

    /// <summary>False: #GP(0), or a fault while the bit map is read.</summary>
    private bool TryCheckPort(ushort port, int size)
    {
        if (!IsProtected || (!IsVirtual8086 && Context->Cpl <= IoPrivilege)) return true;
        var tss = Context->Tr;
        var is32 = (tss.Attributes & (SegmentAttributes.Unusable | 8)) == 8;
        if (!is32 || tss.Limit < 103) return GeneralProtection();
        if (!TryReadLinear(tss.Base + 102, 2, out var mapOffset, AccessMode.Implicit)) return false;
        // Two bytes are always read: a port's bits may straddle them.
        var offset = mapOffset + (ulong)(port / 8);
        if (offset + 1 > tss.Limit) return GeneralProtection();
        if (!TryReadLinear(tss.Base + offset, 2, out var bits, AccessMode.Implicit)) return false;
        return ((bits >> (port & 7)) & ((1UL << size) - 1)) == 0 || GeneralProtection();
    }

    private ulong ReadPort(ushort port, int size)
    {
        ulong value = 0;
        _memory.RequireNotLost();
        _bus.ReadPort(port, new Span<byte>(&value, size));
        NotePortAccess(port, size);
        return value;
    }

    private void WritePort(ushort port, int size, ulong value)
    {
        // What was stored before it is seen by whoever the device has look for it. SDM vol. 1, 19.6.
        Interlocked.MemoryBarrier();
        _memory.RequireNotLost();
        _bus.WritePort(port, new ReadOnlySpan<byte>(&value, size));
        NotePortAccess(port, size);
    }
}
