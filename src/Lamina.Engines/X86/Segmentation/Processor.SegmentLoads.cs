// Reading descriptors and loading segment registers, with every check. SDM vol. 3, 3.4, 5.5, 5.6 and 5.7;
// vol. 2, MOV, POP, LLDT, LTR.
using Lamina.Core.Engine;
using Lamina.Engines.X86.Paging;
using Lamina.Engines.X86.Segmentation;

namespace Lamina.Engines.X86;

internal sealed unsafe partial class Processor
{
    private static bool IsNull(ushort selector) => (selector & 0xfffc) == 0;

    private static uint Rpl(ushort selector) => (uint)selector & 3;

    private bool IsFlatMode => !IsProtected || IsVirtual8086;

    private bool RaiseSelector(byte vector, ushort selector, uint ext) => Raise(Fault.WithCode(vector, (uint)(selector & 0xfffc) | ext));

    /// <summary>Reads the descriptor that a selector (not null) names.</summary>
    /// <param name="selector">GDT or LDT.</param>
    /// <param name="vector">What is raised where the selector is outside its table: #GP or #TS.</param>
    /// <param name="ext">The EXT bit of the error code.</param>
    /// <param name="descriptor">What was read.</param>
    /// <param name="address">Its linear address.</param>
    private bool TryReadDescriptor(ushort selector, byte vector, uint ext, out Descriptor descriptor, out ulong address)
    {
        descriptor = default;
        if (!TryFindDescriptor(selector, 8, out address)) return RaiseSelector(vector, selector, ext);
        if (!TryReadLinear(address, 8, out var raw, AccessMode.Implicit)) return false;
        descriptor = new Descriptor(raw);
        // System descriptors have 16 bytes in IA-32e mode. SDM vol. 3, 5.8.3.1, 7.2.3.
        if (!descriptor.IsSystem || !IsLongMode) return true;
        if (!TryFindDescriptor(selector, 16, out _)) return RaiseSelector(vector, selector, ext);
        if (!TryReadLinear(address + 8, 8, out var high, AccessMode.Implicit)) return false;
        if (((high >> 40) & 0x1f) != 0) return RaiseSelector(vector, selector, ext);
        descriptor = new Descriptor(raw, high & uint.MaxValue);
        return true;
    }

    /// <summary>Where a descriptor lies; false where its table does not reach so far.</summary>
    private bool TryFindDescriptor(ushort selector, uint size, out ulong address)
    {
        var offset = (uint)selector & 0xfff8;
        if ((selector & 4) == 0)
        {
            address = Context->GdtrBase + offset;
            return offset + size - 1 <= Context->GdtrLimit;
        }
        address = Context->Ldtr.Base + offset;
        return (Context->Ldtr.Attributes & SegmentAttributes.Unusable) == 0 && offset + size - 1 <= Context->Ldtr.Limit;
    }

    /// <summary>Sets the accessed bit of a code or data descriptor in memory.</summary>
    private bool TryMarkAccessed(ref Descriptor descriptor, ulong address)
    {
        if ((descriptor.Type & SegmentAttributes.Accessed) != 0) return true;
        descriptor = descriptor with { Raw = descriptor.Raw | (1UL << 40) };
        return TryWriteLinear(address + 5, 1, (descriptor.Raw >> 40) & 0xff, AccessMode.Implicit);
    }

    private void LoadFlatSegment(int number, ushort selector)
    {
        var register = *Segment(number);
        register.Selector = selector;
        register.Base = (ulong)selector << 4;
        if (IsVirtual8086) (register.Limit, register.Attributes) = (0xffff, SegmentAttributes.Virtual8086);
        SetSegment(number, in register);
    }

    private static SegmentRegister NullSegment(ushort selector, uint dpl = 0) =>
        new() { Selector = selector, Attributes = SegmentAttributes.Unusable | dpl << (int)SegmentAttributes.DplShift };

    /// <summary>Loads ES, SS, DS, FS or GS as MOV, POP and LxS do.</summary>
    private bool TryLoadSegment(int number, ushort selector)
    {
        if (IsFlatMode)
        {
            LoadFlatSegment(number, selector);
            return true;
        }
        SegmentRegister register;
        if (number == SegmentIndex.Ss)
        {
            if (!TryCheckStackSegment(selector, Context->Cpl, Vector.GeneralProtection, 0, Is64Bit, out register)) return false;
        }
        else if (!TryCheckDataSegment(selector, Context->Cpl, Vector.GeneralProtection, 0, out register)) return false;
        SetSegment(number, in register);
        return true;
    }

    private bool TryCheckDataSegment(ushort selector, uint cpl, byte vector, uint ext, out SegmentRegister register)
    {
        register = NullSegment(selector);
        if (IsNull(selector)) return true;
        if (!TryReadDescriptor(selector, vector, ext, out var descriptor, out var address)) return false;
        if (!descriptor.IsReadableOrData) return RaiseSelector(vector, selector, ext);
        if (!descriptor.IsConforming && (Rpl(selector) > descriptor.Dpl || cpl > descriptor.Dpl)) return RaiseSelector(vector, selector, ext);
        if (!descriptor.IsPresent) return RaiseSelector(Vector.NotPresent, selector, ext);
        if (!TryMarkAccessed(ref descriptor, address)) return false;
        register = descriptor.ToRegister(selector);
        return true;
    }

    /// <summary>Checks a selector for SS at a privilege level.</summary>
    /// <param name="selector">The selector.</param>
    /// <param name="cpl">The privilege level that the stack is for.</param>
    /// <param name="vector">#GP, or #TS for a stack from a TSS.</param>
    /// <param name="ext">The EXT bit of error codes.</param>
    /// <param name="nullAllowed">The stack is for 64-bit mode: a null selector is accepted below level 3.</param>
    /// <param name="register">What SS becomes.</param>
    private bool TryCheckStackSegment(ushort selector, uint cpl, byte vector, uint ext, bool nullAllowed, out SegmentRegister register)
    {
        register = NullSegment(selector, cpl);
        if (IsNull(selector)) return (nullAllowed && cpl < 3 && Rpl(selector) == cpl) || Raise(Fault.WithCode(vector, ext));
        if (Rpl(selector) != cpl) return RaiseSelector(vector, selector, ext);
        if (!TryReadDescriptor(selector, vector, ext, out var descriptor, out var address)) return false;
        if (!descriptor.IsWritableData || descriptor.Dpl != cpl) return RaiseSelector(vector, selector, ext);
        if (!descriptor.IsPresent) return RaiseSelector(Vector.StackFault, selector, ext);
        if (!TryMarkAccessed(ref descriptor, address)) return false;
        register = descriptor.ToRegister(selector);
        return true;
    }

    /// <summary>Makes a code descriptor CS, with CPL in the selector's RPL. The caller checked everything.</summary>
    private void LoadCodeSegment(ushort selector, in Descriptor descriptor, uint cpl)
    {
        var register = descriptor.ToRegister((ushort)((selector & 0xfffc) | (int)cpl));
        SetSegment(SegmentIndex.Cs, in register);
        SetCpl(cpl);
    }

    /// <summary>A code segment may not be both 64-bit and 32-bit in IA-32e mode.</summary>
    private bool IsValidCodeSize(in Descriptor descriptor) => !IsLongMode || !descriptor.IsLong || !descriptor.IsBig;

    /// <summary>Whether an offset is inside a code segment that is about to be loaded: limit, or canonical form for a 64-bit one.</summary>
    private bool CheckCodeOffset(in Descriptor code, ulong offset, uint ext = 0) =>
        (IsLongMode && code.IsLong ? IsCanonical(offset) : offset <= code.Limit) || GeneralProtection(ext);

    /// <summary>Whether <see cref="DropPrivilegedSegments"/> would leave all segments as they are on a return to CPL 3.</summary>
    public bool DataSegmentsSafe
    {
        get
        {
            foreach (var number in DroppedSegments)
                if (IsTooPrivileged(Segment(number)->Attributes, 3)) return false;
            return true;
        }
    }

    private static ReadOnlySpan<int> DroppedSegments => [SegmentIndex.Es, SegmentIndex.Ds, SegmentIndex.Fs, SegmentIndex.Gs];

    /// <summary>Nulls the data segments that the new, lower privilege may not use. SDM vol. 2, RET and IRET.</summary>
    private void DropPrivilegedSegments(uint cpl)
    {
        foreach (var number in DroppedSegments)
        {
            if (!IsTooPrivileged(Segment(number)->Attributes, cpl)) continue;
            // The base stays: in 64-bit mode FS's and GS's goes on being used.
            var register = *Segment(number);
            (register.Selector, register.Attributes) = (0, SegmentAttributes.Unusable);
            SetSegment(number, in register);
        }
    }

    private static bool IsTooPrivileged(uint attributes, uint cpl)
    {
        const uint ConformingCode = SegmentAttributes.Code | SegmentAttributes.Conforming;
        return (attributes & SegmentAttributes.Unusable) == 0 && (attributes & ConformingCode) != ConformingCode
            && ((attributes >> (int)SegmentAttributes.DplShift) & 3) < cpl;
    }

    private bool TryLoadLdt(ushort selector, byte vector, uint ext)
    {
        if (IsNull(selector))
        {
            SetSegment(SegmentIndex.Ldtr, NullSegment(selector));
            return true;
        }
        if ((selector & 4) != 0) return RaiseSelector(vector, selector, ext);
        if (!TryReadDescriptor(selector, vector, ext, out var descriptor, out _)) return false;
        if (!descriptor.IsSystem || descriptor.Type != SystemType.Ldt) return RaiseSelector(vector, selector, ext);
        if (!descriptor.IsPresent) return RaiseSelector(vector == Vector.InvalidTss ? Vector.InvalidTss : Vector.NotPresent, selector, ext);
        if (IsLongMode && !IsCanonical(descriptor.Base)) return RaiseSelector(vector, selector, ext);
        SetSegment(SegmentIndex.Ldtr, descriptor.ToRegister(selector));
        return true;
    }

    private bool TryLoadTaskRegister(ushort selector)
    {
        if (IsNull(selector)) return GeneralProtection();
        if ((selector & 4) != 0) return RaiseSelector(Vector.GeneralProtection, selector, 0);
        if (!TryReadDescriptor(selector, Vector.GeneralProtection, 0, out var descriptor, out var address)) return false;
        var available = descriptor.Type == SystemType.AvailableTss32 || (descriptor.Type == SystemType.AvailableTss16 && !IsLongMode);
        if (!descriptor.IsSystem || !available) return RaiseSelector(Vector.GeneralProtection, selector, 0);
        if (!descriptor.IsPresent) return RaiseSelector(Vector.NotPresent, selector, 0);
        if (IsLongMode && !IsCanonical(descriptor.Base)) return RaiseSelector(Vector.GeneralProtection, selector, 0);
        if (!TrySetBusy(address, ref descriptor, busy: true)) return false;
        SetSegment(SegmentIndex.Tr, descriptor.ToRegister(selector));
        return true;
    }

    private bool TrySetBusy(ulong address, ref Descriptor descriptor, bool busy)
    {
        var raw = busy ? descriptor.Raw | (2UL << 40) : descriptor.Raw & ~(2UL << 40);
        descriptor = descriptor with { Raw = raw };
        return TryWriteLinear(address + 5, 1, (raw >> 40) & 0xff, AccessMode.Implicit);
    }

    /// <summary>Finds the stack for a privilege level in a 16- or 32-bit TSS. SDM vol. 3, 7.2.1, 7.6.</summary>
    private bool TryReadStackFromTss(uint level, uint ext, out ushort selector, out ulong pointer)
    {
        selector = 0;
        pointer = 0;
        var wide = (Context->Tr.Attributes & 8) != 0;
        var offset = wide ? 4 + level * 8 : 2 + level * 4;
        var length = wide ? 6u : 4;
        if (offset + length - 1 > Context->Tr.Limit) return RaiseSelector(Vector.InvalidTss, Context->Tr.Selector, ext);
        var at = Context->Tr.Base + offset;
        if (!TryReadLinear(at, wide ? 4 : 2, out pointer, AccessMode.Implicit)) return false;
        if (!TryReadLinear(at + (wide ? 4u : 2u), 2, out var value, AccessMode.Implicit)) return false;
        selector = (ushort)value;
        return true;
    }

    /// <summary>Reads RSP0 to RSP2 (index 0 to 2) or IST1 to IST7 (index 4 to 10) of a 64-bit TSS. SDM vol. 3, 7.7.</summary>
    private bool TryReadStackFromLongTss(uint index, uint ext, out ulong pointer)
    {
        pointer = 0;
        var offset = 4 + index * 8;
        if (offset + 7 > Context->Tr.Limit) return RaiseSelector(Vector.InvalidTss, Context->Tr.Selector, ext);
        return TryReadLinear(Context->Tr.Base + offset, 8, out pointer, AccessMode.Implicit);
    }
}
