// The MSRs of a vCPU that the kernel does not keep, answered with the same parts as the translator's processor has: plain
// registers, MTRRs, the paravirtual clock, the local APIC's. The time-stamp counter is the machine's plus an offset, which
// the kernel is told.
using Lamina.Core.Engine;
using Lamina.Core.Interrupts;
using Lamina.Core.Time;
using Lamina.Engines.X86.Cpuid;
using Lamina.Engines.X86.Msr;

namespace Lamina.Engines.Kvm;

/// <summary>MSRs in user space.</summary>
/// <param name="machine">What the machine was created with.</param>
/// <param name="apic">The vCPU's local APIC; null where the kernel has it, and with it its MSRs.</param>
/// <param name="model">The CPU model.</param>
internal sealed class KvmMsrs(EngineMachineOptions machine, ILocalInterruptController? apic, CpuModel model)
{
    // What hypervisors report where the true revision cannot be read.
    private const ulong AmdMicrocode = 0x0100_0065, IntelMicrocode = 0x1_0000_0000;

    private readonly IMachineClock _clock = machine.Clock;
    private readonly ParavirtualClock _paravirtualClock = new(machine.Memory, machine.Clock);
    private readonly PlainMsrs _plain = new(model.Vendor);
    private readonly MemoryTypeRanges _memoryTypes = new(model.PhysicalAddressBits);

    /// <summary>IA32_TSC_ADJUST: what the vCPU's counter is ahead of the machine's.</summary>
    internal ulong TscAdjust { get; private set; }

    /// <summary>Reads; false: #GP.</summary>
    internal bool TryRead(uint index, out ulong value)
    {
        value = 0;
        switch (index)
        {
            case MsrIndex.TscDeadline:
                if (apic?.TryReadMsr(index, out value) != true) return false;
                // The deadline is in this vCPU's counter; the local APIC keeps it in the machine's.
                if (value != 0) value += TscAdjust;
                return true;
            case MsrIndex.ApicBase or (>= MsrIndex.X2ApicFirst and <= MsrIndex.X2ApicLast): return apic?.TryReadMsr(index, out value) == true;
            case MsrIndex.Tsc: value = _clock.ReadTsc() + TscAdjust; return true;
            case MsrIndex.TscAdjust: value = TscAdjust; return true;
            case MsrIndex.MicrocodeRevision: value = model.Vendor == CpuVendor.Amd ? AmdMicrocode : IntelMicrocode; return true;
            case MsrIndex.PlatformInfo or MsrIndex.PerfStatus when model.Vendor == CpuVendor.Intel: value = (_clock.TscHz / 100_000_000 & 0xff) << 8; return true;
            case MsrIndex.ArchCapabilities when (model.Table[(7, 0)].Edx & SpeculationFeatures.ArchCapabilities) != 0: value = model.ArchCapabilities; return true;
            case MsrIndex.WallClock: value = _paravirtualClock.WallClockMsr; return true;
            case MsrIndex.SystemTime: value = _paravirtualClock.SystemTimeMsr; return true;
            default: return _memoryTypes.TryRead(index, out value) || _plain.TryRead(index, out value);
        }
    }

    /// <summary>Writes; false: #GP.</summary>
    internal bool TryWrite(uint index, ulong value)
    {
        switch (index)
        {
            case MsrIndex.TscDeadline: return apic?.TryWriteMsr(index, value == 0 ? 0 : value - TscAdjust) == true;
            case MsrIndex.ApicBase or (>= MsrIndex.X2ApicFirst and <= MsrIndex.X2ApicLast): return apic?.TryWriteMsr(index, value) == true;
            case MsrIndex.Tsc: SetTscAdjust(value - _clock.ReadTsc()); return true;
            case MsrIndex.TscAdjust: SetTscAdjust(value); return true;
            case MsrIndex.MicrocodeRevision: return true;
            case MsrIndex.WallClock: _paravirtualClock.WriteWallClock(value); return true;
            case MsrIndex.SystemTime: _paravirtualClock.WriteSystemTime(value, TscAdjust); return true;
            default: return _memoryTypes.TryWrite(index, value) || _plain.TryWrite(index, value);
        }
    }

    /// <summary>Copies the values out.</summary>
    internal void Save(IDictionary<uint, ulong> msrs)
    {
        foreach (var index in (ReadOnlySpan<uint>)[MsrIndex.Tsc, MsrIndex.TscAdjust, MsrIndex.WallClock, MsrIndex.SystemTime])
            if (TryRead(index, out var value)) msrs[index] = value;
        _memoryTypes.Save(msrs);
        _plain.Save(msrs);
    }

    /// <summary>Puts back what <see cref="Save"/> copied.</summary>
    internal void Load(IReadOnlyDictionary<uint, ulong> msrs)
    {
        _memoryTypes.Load(msrs);
        _plain.Load(msrs);
        // The machine's clock goes on where it was saved, so the offset from it is enough.
        TscAdjust = msrs.GetValueOrDefault(MsrIndex.TscAdjust);
        _paravirtualClock.Restore(msrs.GetValueOrDefault(MsrIndex.SystemTime), msrs.GetValueOrDefault(MsrIndex.WallClock), TscAdjust);
    }

    private void SetTscAdjust(ulong value)
    {
        TscAdjust = value;
        _paravirtualClock.Refresh(value);
    }
}
