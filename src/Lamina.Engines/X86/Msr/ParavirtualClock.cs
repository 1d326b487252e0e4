// The paravirtual clock: two structures in guest memory from which a guest computes time from its TSC without an exit.
// One per vCPU. Linux Documentation/virt/kvm/x86/msr.rst (MSR_KVM_WALL_CLOCK_NEW, MSR_KVM_SYSTEM_TIME_NEW).
using System.Runtime.InteropServices;
using Lamina.Core.Memory;
using Lamina.Core.Time;

namespace Lamina.Engines.X86.Msr;

/// <summary>Writes pvclock structures.</summary>
internal sealed class ParavirtualClock(GuestMemory memory, IMachineClock clock)
{
    private const byte TscStable = 1;

    /// <summary>struct pvclock_vcpu_time_info, 32 bytes.</summary>
    [StructLayout(LayoutKind.Sequential, Pack = 4)]
    private struct TimeInfo
    {
        public uint Version;
        public uint Padding0;
        public ulong TscTimestamp;
        public ulong SystemTime;
        public uint TscToSystemMultiplier;
        public sbyte TscShift;
        public byte Flags;
        public ushort Padding1;
    }

    /// <summary>struct pvclock_wall_clock.</summary>
    private struct WallClock
    {
        public uint Version;
        public uint Seconds;
        public uint Nanoseconds;
    }

    /// <summary>MSR 0x4b564d01 as last written: a guest-physical address, bit 0 enables.</summary>
    public ulong SystemTimeMsr { get; private set; }

    /// <summary>MSR 0x4b564d00 as last written.</summary>
    public ulong WallClockMsr { get; private set; }

    /// <summary>Forgets both, as RESET does.</summary>
    public void Reset() => (SystemTimeMsr, WallClockMsr) = (0, 0);

    /// <summary>Puts back what was saved without writing guest memory.</summary>
    public void Restore(ulong systemTime, ulong wallClock) => (SystemTimeMsr, WallClockMsr) = (systemTime, wallClock);

    /// <summary>Writes MSR 0x4b564d01 and, when it enables, the structure. An address that is not RAM is as good as none.</summary>
    /// <param name="value">The MSR's value.</param>
    /// <param name="tscOffset">What this vCPU's TSC is ahead of the machine's.</param>
    public void WriteSystemTime(ulong value, ulong tscOffset)
    {
        SystemTimeMsr = value;
        Refresh(tscOffset);
    }

    /// <summary>Writes the structure again: after a restore, or when the vCPU's TSC was written.</summary>
    public void Refresh(ulong tscOffset)
    {
        if ((SystemTimeMsr & 1) == 0) return;
        var address = SystemTimeMsr & ~1UL;
        if (!memory.TryRead(address, out TimeInfo info)) return;
        var (multiplier, shift) = Scale(clock.TscHz);
        // Odd while being written, so that a reader on another CPU tries again.
        var version = (info.Version + 1) | 1;
        memory.TryWrite(address, version);
        info = new TimeInfo { Version = version, TscToSystemMultiplier = multiplier, TscShift = shift, Flags = TscStable };
        info.TscTimestamp = clock.ReadTsc() + tscOffset;
        info.SystemTime = (ulong)clock.NowNanoseconds;
        memory.TryWrite(address, info);
        Thread.MemoryBarrier();
        memory.TryWrite(address, version + 1);
    }

    /// <summary>Writes MSR 0x4b564d00: the wall-clock time at which the system time was zero, once.</summary>
    public void WriteWallClock(ulong value)
    {
        WallClockMsr = value;
        var address = value & ~3UL;
        if (!memory.TryRead(address, out uint version)) return;
        version = (version + 1) | 1;
        memory.TryWrite(address, version);
        var boot = clock.WallClock.UtcTicks - DateTimeOffset.UnixEpoch.Ticks - clock.NowNanoseconds / 100;
        memory.TryWrite(address, new WallClock
        {
            Version = version,
            Seconds = (uint)(boot / TimeSpan.TicksPerSecond),
            Nanoseconds = (uint)(boot % TimeSpan.TicksPerSecond * 100),
        });
        Thread.MemoryBarrier();
        memory.TryWrite(address, version + 1);
    }

    /// <summary>Multiplier and shift so that nanoseconds = ((ticks &lt;&lt; shift) * multiplier) &gt;&gt; 32, with the most precise multiplier that fits 32 bits.</summary>
    internal static (uint Multiplier, sbyte Shift) Scale(ulong hertz)
    {
        sbyte shift = 0;
        UInt128 scaled = ((UInt128)1_000_000_000 << 32) / hertz;
        while (scaled > uint.MaxValue)
        {
            scaled = ((UInt128)1_000_000_000 << 32) / (hertz << ++shift);
        }
        while (scaled <= uint.MaxValue / 2)
        {
            shift--;
            scaled = ((UInt128)1_000_000_000 << (32 - shift)) / hertz;
        }
        return ((uint)scaled, shift);
    }
}
