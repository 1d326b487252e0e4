// RDMSR and WRMSR. Registers with behaviour are here; plain ones, MTRRs, the local APIC's and the paravirtual clock's are
// passed on. What is unknown is #GP, and traced. SDM vol. 4.
using Lamina.Core.Engine;
using Lamina.Engines.X86.Cpuid;
using Lamina.Engines.X86.Msr;

namespace Lamina.Engines.X86;

internal sealed unsafe partial class Processor
{
    // What hypervisors report where the true revision cannot be read.
    private const ulong AmdMicrocode = 0x0100_0065, IntelMicrocode = 0x1_0000_0000;

    private readonly PlainMsrs _plainMsrs;
    private readonly MemoryTypeRanges _memoryTypes;
    private ulong _specCtrl;

    /// <summary>The guest's time-stamp counter on this vCPU now.</summary>
    public ulong ReadTsc() => _clock.ReadTsc() + Context->TscOffset;

    private static bool IsApicMsr(uint index) => index is MsrIndex.ApicBase or MsrIndex.TscDeadline or (>= MsrIndex.X2ApicFirst and <= MsrIndex.X2ApicLast);

    private bool HasSpecCtrl => _model.Vendor == CpuVendor.Intel && !_model.Options.SoftwareMitigations;

    /// <summary>Reads a register; false where it does not exist or cannot be read (#GP(0)).</summary>
    public bool TryReadMsr(uint index, out ulong value)
    {
        value = 0;
        if (IsApicMsr(index))
        {
            if (!Apic.TryReadMsr(index, out value)) return false;
            // The deadline is in this vCPU's counter; the local APIC keeps it in the machine's.
            if (index == MsrIndex.TscDeadline && value != 0) value += Context->TscOffset;
            return true;
        }
        switch (index)
        {
            case MsrIndex.Tsc: value = ReadTsc(); return true;
            case MsrIndex.TscAdjust: value = Context->TscOffset; return true;
            case MsrIndex.SpecCtrl when HasSpecCtrl: value = _specCtrl; return true;
            case MsrIndex.MicrocodeRevision: value = _model.Vendor == CpuVendor.Amd ? AmdMicrocode : IntelMicrocode; return true;
            case MsrIndex.PlatformInfo when _model.Vendor == CpuVendor.Intel: value = (_clock.TscHz / 100_000_000 & 0xff) << 8; return true;
            case MsrIndex.PerfStatus when _model.Vendor == CpuVendor.Intel: value = (_clock.TscHz / 100_000_000 & 0xff) << 8; return true;
            case MsrIndex.ArchCapabilities when _model.Vendor == CpuVendor.Intel: value = _model.ArchCapabilities; return true;
            case MsrIndex.SysenterCs: value = Context->SysenterCs; return true;
            case MsrIndex.SysenterEsp: value = Context->SysenterEsp; return true;
            case MsrIndex.SysenterEip: value = Context->SysenterEip; return true;
            case MsrIndex.Pat: value = Context->Pat; return true;
            case MsrIndex.WallClock: value = _paravirtualClock.WallClockMsr; return true;
            case MsrIndex.SystemTime: value = _paravirtualClock.SystemTimeMsr; return true;
            case MsrIndex.Efer: value = Context->Efer; return true;
            case MsrIndex.Star: value = Context->Star; return true;
            case MsrIndex.Lstar when _model.HasLongMode: value = Context->Lstar; return true;
            case MsrIndex.Cstar when _model.HasLongMode: value = Context->Cstar; return true;
            case MsrIndex.Sfmask when _model.HasLongMode: value = Context->Sfmask; return true;
            case MsrIndex.FsBase when _model.HasLongMode: value = Context->Fs.Base; return true;
            case MsrIndex.GsBase when _model.HasLongMode: value = Context->Gs.Base; return true;
            case MsrIndex.KernelGsBase when _model.HasLongMode: value = Context->KernelGsBase; return true;
            case MsrIndex.TscAux when _model.HasRdtscp || _model.HasRdpid: value = Context->TscAux; return true;
            default:
                return _memoryTypes.TryRead(index, out value) || _plainMsrs.TryRead(index, out value);
        }
    }

    /// <summary>Writes a register; false where it does not exist or the value is refused (#GP(0)).</summary>
    public bool TryWriteMsr(uint index, ulong value)
    {
        if (IsApicMsr(index))
        {
            if (index == MsrIndex.TscDeadline && value != 0) value -= Context->TscOffset;
            if (!Apic.TryWriteMsr(index, value)) return false;
            NoteTaskPriority();
            if (index == MsrIndex.ApicBase) _cache.IdentificationChanged();
            return true;
        }
        switch (index)
        {
            case MsrIndex.Tsc: SetTscOffset(value - _clock.ReadTsc()); return true;
            case MsrIndex.TscAdjust: SetTscOffset(value); return true;
            case MsrIndex.SpecCtrl when HasSpecCtrl && value <= 3: _specCtrl = value; return true; // IBRS, STIBP
            case MsrIndex.PredCmd when HasSpecCtrl: return value <= 1;
            case MsrIndex.MicrocodeRevision: return true;
            case MsrIndex.SysenterCs: Context->SysenterCs = (uint)value; return true;
            case MsrIndex.SysenterEsp: return TryStoreAddress(ref Context->SysenterEsp, value);
            case MsrIndex.SysenterEip: return TryStoreAddress(ref Context->SysenterEip, value);
            case MsrIndex.Pat: return TryWritePat(value);
            case MsrIndex.WallClock: _paravirtualClock.WriteWallClock(value); return true;
            case MsrIndex.SystemTime: _paravirtualClock.WriteSystemTime(value, Context->TscOffset); return true;
            case MsrIndex.Efer: return TryWriteEfer(value);
            case MsrIndex.Star: return StoreForSyscall(ref Context->Star, value);
            case MsrIndex.Lstar when _model.HasLongMode: return TryStoreAddress(ref Context->Lstar, value);
            case MsrIndex.Cstar when _model.HasLongMode: return TryStoreAddress(ref Context->Cstar, value);
            case MsrIndex.Sfmask when _model.HasLongMode: return StoreForSyscall(ref Context->Sfmask, (uint)value);
            case MsrIndex.FsBase when _model.HasLongMode: return TryWriteSegmentBase(SegmentIndex.Fs, value);
            case MsrIndex.GsBase when _model.HasLongMode: return TryWriteSegmentBase(SegmentIndex.Gs, value);
            case MsrIndex.KernelGsBase when _model.HasLongMode: return TryStoreAddress(ref Context->KernelGsBase, value);
            case MsrIndex.TscAux when _model.HasRdtscp || _model.HasRdpid:
                if (value > uint.MaxValue && _model.Vendor == CpuVendor.Intel) return false;
                Context->TscAux = (uint)value;
                return true;
            default:
                return _memoryTypes.TryWrite(index, value) || _plainMsrs.TryWrite(index, value);
        }
    }

    /// <summary>The TSC and IA32_TSC_ADJUST move together: both are this one offset from the machine's counter. SDM vol. 3, 18.17.3.</summary>
    private void SetTscOffset(ulong offset)
    {
        Context->TscOffset = offset;
        _paravirtualClock.Refresh(offset);
    }

    private bool StoreForSyscall(ref ulong register, ulong value)
    {
        register = value;
        _cache.ModeChanged();
        return true;
    }

    private static bool TryStoreAddress(ref ulong register, ulong value)
    {
        if (!IsCanonical(value)) return false;
        register = value;
        return true;
    }

    private bool TryWriteSegmentBase(int segment, ulong value)
    {
        if (!IsCanonical(value)) return false;
        if (Segment(segment)->Base == value) return true;
        Segment(segment)->Base = value;
        _cache.SegmentBaseOrLimitChanged();
        return true;
    }

    private bool TryWritePat(ulong value)
    {
        for (var shift = 0; shift < 64; shift += 8)
            if ((byte)(value >> shift) is not (0 or 1 or 4 or 5 or 6 or 7)) return false;
        Context->Pat = value;
        return true;
    }

    private bool TryWriteEfer(ulong value)
    {
        if ((value & ~_model.EferMask) != 0) return false;
        var old = Context->Efer;
        // LMA follows CR0.PG and LME; what is written to it does not count.
        value = (value & ~Efer.LMA) | (old & Efer.LMA);
        if (((old ^ value) & Efer.LME) != 0 && (Context->Cr0 & Cr0.PG) != 0) return false;
        if (old == value) return true;
        Context->Efer = value;
        if (((old ^ value) & Efer.NXE) != 0) _cache.Flush(global: true);
        _cache.ModeChanged();
        return true;
    }

    private void SaveMsrs(IDictionary<uint, ulong> msrs)
    {
        ReadOnlySpan<uint> indices =
        [
            MsrIndex.Tsc, MsrIndex.TscAdjust, MsrIndex.SpecCtrl, MsrIndex.SysenterCs, MsrIndex.SysenterEsp, MsrIndex.SysenterEip, MsrIndex.Pat,
            MsrIndex.WallClock, MsrIndex.SystemTime, MsrIndex.Star, MsrIndex.Lstar, MsrIndex.Cstar, MsrIndex.Sfmask, MsrIndex.KernelGsBase, MsrIndex.TscAux,
        ];
        msrs.Clear();
        foreach (var index in indices)
            if (TryReadMsr(index, out var value)) msrs[index] = value;
        _memoryTypes.Save(msrs);
        _plainMsrs.Save(msrs);
    }

    private void LoadMsrs(IReadOnlyDictionary<uint, ulong> msrs, Refusals refused)
    {
        _memoryTypes.Load(msrs);
        _plainMsrs.Load(msrs);
        // The machine's clock goes on where it was saved, so the offset from it is enough; the counters' values, read and put
        // back at different moments, would set the vCPUs' counters apart.
        Context->TscOffset = msrs.GetValueOrDefault(MsrIndex.TscAdjust);
        foreach (var (index, value) in msrs)
            if (index is not (MsrIndex.Tsc or MsrIndex.TscAdjust or MsrIndex.Efer or MsrIndex.FsBase or MsrIndex.GsBase or MsrIndex.WallClock or MsrIndex.SystemTime)
                && !TryWriteMsr(index, value)) refused.AddMsr(index, value);
        _paravirtualClock.Restore(msrs.GetValueOrDefault(MsrIndex.SystemTime), msrs.GetValueOrDefault(MsrIndex.WallClock), Context->TscOffset);
    }
}
