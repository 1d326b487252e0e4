// The paravirtual clock: two structures in guest memory from which a guest computes time from its TSC without an exit.
// One per vCPU. Linux Documentation/virt/kvm/x86/msr.rst (MSR_KVM_WALL_CLOCK_NEW, MSR_KVM_SYSTEM_TIME_NEW).
// What one vCPU computes must never be behind what another one has computed, so all of a machine's vCPUs are given one line through
// one point: both of the machine's clocks begin at 0. A point that was read would be another one for each vCPU, by what passes
// between the readings of the two clocks.
using System.Runtime.InteropServices;
using Lamina.Core.Memory;
using Lamina.Core.Time;

namespace Lamina.Engines.X86.Msr;

/// <summary>Writes pvclock structures.</summary>
internal sealed class ParavirtualClock(GuestMemory memory, IMachineClock clock)
{
    // Bits of the flags: the clocks of all vCPUs agree; the guest did not run for a while, and forgives its watchdogs.
    private const byte TscStable = 1, GuestStopped = 2;

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

    /// <summary>Puts back what was saved and tells the guest that it was stopped. What it was told of the wall clock stays in its memory.</summary>
    /// <param name="systemTime">MSR 0x4b564d01.</param>
    /// <param name="wallClock">MSR 0x4b564d00.</param>
    /// <param name="tscOffset">What this vCPU's TSC is ahead of the machine's.</param>
    public void Restore(ulong systemTime, ulong wallClock, ulong tscOffset)
    {
        (SystemTimeMsr, WallClockMsr) = (systemTime, wallClock);
        Write(tscOffset, TscStable | GuestStopped);
    }

    /// <summary>Writes MSR 0x4b564d01 and, when it enables, the structure. An address that is not RAM is as good as none.</summary>
    /// <param name="value">The MSR's value.</param>
    /// <param name="tscOffset">What this vCPU's TSC is ahead of the machine's.</param>
    public void WriteSystemTime(ulong value, ulong tscOffset)
    {
        SystemTimeMsr = value;
        Refresh(tscOffset);
    }

    /// <summary>Writes the structure again: when the vCPU's TSC was written.</summary>
    public void Refresh(ulong tscOffset) => Write(tscOffset, TscStable);

    private void Write(ulong tscOffset, byte flags)
    {
        if ((SystemTimeMsr & 1) == 0) return;
        var address = SystemTimeMsr & ~1UL;
        if (!memory.TryRead(address, out TimeInfo info)) return;
        var (multiplier, shift) = Scale(clock.TscHz);
        // Odd while being written, so that a reader on another CPU tries again.
        var version = (info.Version + 1) | 1;
        memory.TryWrite(address, version);
        memory.TryWrite(address, new TimeInfo { Version = version, TscTimestamp = tscOffset, SystemTime = 0, TscToSystemMultiplier = multiplier, TscShift = shift, Flags = flags });
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
        var boot = clock.WallClock.UtcTicks - DateTimeOffset.UnixEpoch.Ticks - SystemTime / 100;
        memory.TryWrite(address, new WallClock
        {
            Version = version,
            Seconds = (uint)(boot / TimeSpan.TicksPerSecond),
            Nanoseconds = (uint)(boot % TimeSpan.TicksPerSecond * 100),
        });
        Thread.MemoryBarrier();
        memory.TryWrite(address, version + 1);
    }

    // As the guest computes it.
    private long SystemTime => (long)((UInt128)clock.ReadTsc() * 1_000_000_000 / clock.TscHz);

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
