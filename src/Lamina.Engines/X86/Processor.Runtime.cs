// What the translator's runtime asks of the processor besides executing instructions: fetch rights, which segments
// generated code can check by a limit alone, and faults that generated code found.
using Lamina.Core.Engine;
using Lamina.Engines.X86.Paging;

namespace Lamina.Engines.X86;

internal sealed unsafe partial class Processor
{
    /// <summary>Whether an instruction may be fetched at a linear address, and from where. False: <see cref="Fault"/> is set.</summary>
    public bool TryFetch(ulong linear, out Translation translation)
    {
        translation = default;
        if (IsLongMode && !IsCanonical(linear)) return GeneralProtection();
        if (!Is64Bit && Context->Cs.Limit != uint.MaxValue && (uint)(linear - Context->Cs.Base) > Context->Cs.Limit) return GeneralProtection();
        return TryTranslate(linear, AccessKind.Execute, Context->Cpl == 3, out translation);
    }

    /// <summary>Whether accesses through a segment (ES to GS) only need their offset compared with the limit: present, of the right type, growing up.</summary>
    public bool IsPlainSegment(int number, bool write)
    {
        var segment = Segment(number);
        if (!IsProtected || IsVirtual8086) return true;
        if ((segment->Attributes & (SegmentAttributes.Unusable | SegmentAttributes.P | SegmentAttributes.S)) != (SegmentAttributes.P | SegmentAttributes.S)) return false;
        var type = segment->Attributes & 0xf;
        var code = (type & 8) != 0;
        if (code) return !write && (type & 2) != 0;
        return (type & 4) == 0 && (!write || (type & 2) != 0);
    }

    /// <summary>Whether the host's XRSTOR takes the vector state. False: it is now one that it takes, and <see cref="Fault"/> is #UD.</summary>
    public bool KeepVectorsLoadable()
    {
        if (Vectors.IsLoadable) return true;
        Vectors.MakeLoadable();
        return InvalidOpcode();
    }

    /// <summary>Sets <see cref="Fault"/> to #UD.</summary>
    public void RaiseInvalidOpcode() => InvalidOpcode();

    /// <summary>Sets <see cref="Fault"/> to #GP(0), or #SS(0) for the stack segment.</summary>
    public void RaiseNonCanonical(int segment) => _ = segment == SegmentIndex.Ss ? StackFault() : GeneralProtection();

    /// <summary>Sets <see cref="Fault"/> to an exception without an error code.</summary>
    public void RaisePlain(byte vector) => Raise(Fault.Plain(vector));

    /// <summary>Sets <see cref="Fault"/> to #AC(0).</summary>
    public void RaiseAlignment() => Raise(Fault.WithCode(Vector.AlignmentCheck, 0));

    /// <summary>Sets <see cref="Fault"/> for bytes at a linear address that are no instruction: #UD, or #GP(0) beyond 15 bytes.</summary>
    public void RaiseUndecodable(bool tooLong) => _ = tooLong ? GeneralProtection() : InvalidOpcode();

    /// <summary>Sets <see cref="Fault"/> back to one that was read from it.</summary>
    public void RestoreFault(in Fault fault) => Fault = fault;
}
