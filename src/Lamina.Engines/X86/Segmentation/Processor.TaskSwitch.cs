// Hardware task switches: by JMP, CALL, IRET, and by interrupts through task gates. SDM vol. 3, 7.3.
// Up to the commit point a fault belongs to the old task; from there on the new task's state is in place and a fault is
// raised in it (SDM vol. 3, 7.3, step 12 and table 7-1).
using Lamina.Core.Engine;
using Lamina.Engines.X86.Paging;
using Lamina.Engines.X86.Segmentation;

namespace Lamina.Engines.X86;

internal sealed unsafe partial class Processor
{
    private enum TaskSwitchSource
    {
        Jump,
        Call,
        Return,
        Interrupt,
    }

    // Offsets in a 32-bit and a 16-bit TSS. SDM vol. 3, figures 7-2 and 7-10.
    private const int Tss32Length = 104, Tss16Length = 44;

    private bool _taskSwitched;

    private bool TrySwitchTaskThroughGate(ushort selector, TaskSwitchSource source, ulong returnRip, uint ext, uint? errorCode)
    {
        if (IsNull(selector) || (selector & 4) != 0) return RaiseSelector(Vector.GeneralProtection, selector, ext);
        if (!TryReadDescriptor(selector, Vector.GeneralProtection, ext, out var descriptor, out var address)) return false;
        var available = descriptor.IsSystem && descriptor.Type is SystemType.AvailableTss16 or SystemType.AvailableTss32;
        if (!available || !descriptor.IsSystem) return RaiseSelector(Vector.GeneralProtection, selector, ext);
        if (!descriptor.IsPresent) return RaiseSelector(Vector.NotPresent, selector, ext);
        return TrySwitchTask(selector, in descriptor, address, source, returnRip, ext, errorCode);
    }

    private bool TryReturnToOuterTask()
    {
        if (!TryReadLinear(Context->Tr.Base, 2, out var link, AccessMode.Implicit)) return false;
        var selector = (ushort)link;
        if (IsNull(selector) || (selector & 4) != 0) return RaiseSelector(Vector.InvalidTss, selector, 0);
        if (!TryReadDescriptor(selector, Vector.InvalidTss, 0, out var descriptor, out var address)) return false;
        if (!descriptor.IsSystem || descriptor.Type is not (SystemType.BusyTss16 or SystemType.BusyTss32)) return RaiseSelector(Vector.InvalidTss, selector, 0);
        if (!descriptor.IsPresent) return RaiseSelector(Vector.NotPresent, selector, 0);
        return TrySwitchTask(selector, in descriptor, address, TaskSwitchSource.Return, NextRip, 0, null);
    }

    private bool TrySwitchTask(ushort selector, in Descriptor descriptor, ulong descriptorAt, TaskSwitchSource source, ulong returnRip, uint ext, uint? errorCode)
    {
        var wide = (descriptor.Type & 8) != 0;
        var length = wide ? Tss32Length : Tss16Length;
        if (descriptor.Limit < length - 1) return RaiseSelector(Vector.InvalidTss, selector, ext);
        var oldWide = (Context->Tr.Attributes & 8) != 0;
        var oldLength = oldWide ? Tss32Length : Tss16Length;
        var incoming = stackalloc byte[Tss32Length];
        var outgoing = stackalloc byte[Tss32Length];
        var incomingSpan = new Span<byte>(incoming, length);
        var outgoingSpan = new Span<byte>(outgoing, oldLength);
        if (!TryReadLinear(descriptor.Base, incomingSpan, AccessMode.Implicit) || !TryProbe(descriptor.Base, length, AccessKind.Write, AccessMode.Implicit)) return false;
        if (Context->Tr.Limit < oldLength - 1) return RaiseSelector(Vector.InvalidTss, Context->Tr.Selector, ext);
        if (!TryReadLinear(Context->Tr.Base, outgoingSpan, AccessMode.Implicit)) return false;

        var savedFlags = Flags & ~(source == TaskSwitchSource.Return ? Rflags.NT : 0);
        StoreTask(outgoing, oldWide, returnRip, savedFlags);
        if (!TryWriteLinear(Context->Tr.Base, outgoingSpan, AccessMode.Implicit)) return false;
        if (source is TaskSwitchSource.Jump or TaskSwitchSource.Return && !TrySetOldBusy(false)) return false;
        var nested = source is TaskSwitchSource.Call or TaskSwitchSource.Interrupt;
        if (nested && !TryWriteLinear(descriptor.Base, 2, Context->Tr.Selector, AccessMode.Implicit)) return false;
        var busy = descriptor;
        if (source != TaskSwitchSource.Return && !TrySetBusy(descriptorAt, ref busy, busy: true)) return false;

        // The commit point.
        _taskSwitched = true;
        SetSegment(SegmentIndex.Tr, busy.ToRegister(selector));
        Context->Cr0 |= Cr0.TS;
        _cache.ModeChanged();
        return TryEnterTask(incoming, wide, nested, ext, errorCode);
    }

    private bool TrySetOldBusy(bool busy)
    {
        var at = Context->GdtrBase + ((uint)Context->Tr.Selector & 0xfff8) + 5;
        if (!TryReadLinear(at, 1, out var type, AccessMode.Implicit)) return false;
        return TryWriteLinear(at, 1, busy ? type | 2 : type & ~2UL, AccessMode.Implicit);
    }

    private void StoreTask(byte* tss, bool wide, ulong rip, ulong flags)
    {
        if (wide)
        {
            *(uint*)(tss + 32) = (uint)rip;
            *(uint*)(tss + 36) = (uint)flags;
            for (var n = 0; n < 8; n++) *(uint*)(tss + 40 + n * 4) = (uint)Context->Gpr[n];
            for (var n = 0; n < 6; n++) *(ushort*)(tss + 72 + n * 4) = Segment(n)->Selector;
            return;
        }
        *(ushort*)(tss + 14) = (ushort)rip;
        *(ushort*)(tss + 16) = (ushort)flags;
        for (var n = 0; n < 8; n++) *(ushort*)(tss + 18 + n * 2) = (ushort)Context->Gpr[n];
        for (var n = 0; n < 4; n++) *(ushort*)(tss + 34 + n * 2) = Segment(n)->Selector;
    }

    private bool TryEnterTask(byte* tss, bool wide, bool nested, uint ext, uint? errorCode)
    {
        var paging = (Context->Cr0 & Cr0.PG) != 0;
        if (wide && paging)
        {
            ulong cr3 = *(uint*)(tss + 28);
            if (cr3 != Context->Cr3)
            {
                if ((Context->Cr4 & Cr4.PAE) != 0 && !TryLoadPdptes(cr3)) return false;
                var old = Context->Cr3;
                Context->Cr3 = cr3;
                _cache.AddressSpaceChanged(old, cr3, keepNonGlobal: false);
            }
        }
        Context->Rip = wide ? *(uint*)(tss + 32) : *(ushort*)(tss + 14);
        ulong flags = wide ? *(uint*)(tss + 36) : (Flags & 0xffff_0000 & ~Rflags.VM) | *(ushort*)(tss + 16);
        for (var n = 0; n < 8; n++) Context->Gpr[n] = wide ? *(uint*)(tss + 40 + n * 4) : 0xffff_0000u | *(ushort*)(tss + 18 + n * 2);
        SetFlags(flags | (nested ? Rflags.NT : 0));
        Context->InterruptShadow = 0;
        // Task switches clear the local enables of breakpoints. SDM vol. 3, 18.2.4.
        if ((Context->Dr7 & 0x55) != 0)
        {
            Context->Dr7 &= ~0x55UL;
            DebugRegistersWritten();
        }
        var selectors = stackalloc ushort[6];
        for (var n = 0; n < 6; n++) selectors[n] = wide ? *(ushort*)(tss + 72 + n * 4) : n < 4 ? *(ushort*)(tss + 34 + n * 2) : (ushort)0;
        var ldt = wide ? *(ushort*)(tss + 96) : *(ushort*)(tss + 42);
        if (!TryLoadTaskSegments(selectors, ldt, ext)) return false;
        if (errorCode is { } code)
        {
            var stack = CurrentStack(wide ? 4 : 2, ext);
            if (!TryPush(ref stack, code)) return false;
            SetStackPointer(stack.Pointer);
        }
        if (Context->Rip > Context->Cs.Limit) return GeneralProtection(ext);
        if (wide && (tss[100] & 1) != 0) _pendingDebug |= Dr6Bt;
        return true;
    }

    private bool TryLoadTaskSegments(ushort* selectors, ushort ldt, uint ext)
    {
        // Until each is loaded, its selector is visible but it can not be used.
        for (var n = 0; n < 6; n++) SetSegment(n, NullSegment(selectors[n]));
        SetSegment(SegmentIndex.Ldtr, NullSegment(ldt));
        if (IsVirtual8086)
        {
            for (var n = 0; n < 6; n++) LoadFlatSegment(n, selectors[n]);
            SetCpl(3);
            return TryLoadLdt(ldt, Vector.InvalidTss, ext);
        }
        SetCpl(Rpl(selectors[SegmentIndex.Cs]));
        if (!TryLoadLdt(ldt, Vector.InvalidTss, ext)) return false;

        var cs = selectors[SegmentIndex.Cs];
        if (IsNull(cs)) return RaiseSelector(Vector.InvalidTss, cs, ext);
        if (!TryReadDescriptor(cs, Vector.InvalidTss, ext, out var code, out var address)) return false;
        if (!code.IsCode || (code.IsConforming ? code.Dpl > Rpl(cs) : code.Dpl != Rpl(cs))) return RaiseSelector(Vector.InvalidTss, cs, ext);
        if (!code.IsPresent) return RaiseSelector(Vector.NotPresent, cs, ext);
        if (!TryMarkAccessed(ref code, address)) return false;
        SetSegment(SegmentIndex.Cs, code.ToRegister(cs));

        if (!TryCheckStackSegment(selectors[SegmentIndex.Ss], Context->Cpl, Vector.InvalidTss, ext, false, out var stack)) return false;
        SetSegment(SegmentIndex.Ss, in stack);
        ReadOnlySpan<int> data = [SegmentIndex.Ds, SegmentIndex.Es, SegmentIndex.Fs, SegmentIndex.Gs];
        foreach (var number in data)
        {
            if (!TryCheckDataSegment(selectors[number], Context->Cpl, Vector.InvalidTss, ext, out var register)) return false;
            SetSegment(number, in register);
        }
        return true;
    }
}
