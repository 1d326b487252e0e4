// The host's time-stamp counter: a reading, and its frequency. .NET has no RDTSC, so a few bytes of machine code read it.
// The frequency is what the processor or hypervisor tells, or what somebody remembers of an earlier measurement, where a short look
// agrees; else it is measured against CLOCK_MONOTONIC from the creation of the object until somebody asks, which is the more exact the
// later it is.
using System.Runtime.Intrinsics.X86;

namespace Lamina.Host.Time;

/// <summary>Where a counter's frequency is kept, in ticks a second, so that not every process waits to measure it anew.</summary>
/// <param name="Recall">What was kept; null for nothing. Need not be true.</param>
/// <param name="Keep">Takes what was measured.</param>
public sealed record TscRateMemory(Func<ulong?> Recall, Action<ulong> Keep);

/// <summary>The host's time-stamp counter.</summary>
public sealed unsafe class TimeStampCounter
{
    // Shorter measurements than this are not trusted: some tens of nanoseconds of doubt at both ends must be few ppm.
    private const long ShortestMeasurement = 20_000_000;

    // Long enough to see whether a frequency is within the tolerance.
    private const long ShortestLook = 500_000;

    // What the processor tells or somebody remembers is believed where a measurement differs by no more than this.
    private const double Tolerance = 500e-6;

    // lfence; rdtsc; shl rdx, 32; or rax, rdx; ret
    private const int UnorderedAt = 3;

    // Never changed and never given back: a machine that has ended may still be asked for its time.
    private static readonly Lazy<HostReservation> Code = new(MakeCode);

    private readonly delegate* unmanaged[SuppressGCTransition]<ulong> _read, _readInOrder;
    private readonly (ulong Tsc, long Nanoseconds) _start;
    private readonly TscRateMemory? _memory;
    private readonly Lock _gate = new();
    private ulong _hertz;

    /// <summary>Prepares the reading and begins the measurement.</summary>
    /// <param name="kept">Where the frequency is kept; null for nowhere.</param>
    /// <exception cref="HostException">The host forbids generated code.</exception>
    public TimeStampCounter(TscRateMemory? kept = null)
    {
        _memory = kept;
        // Holds: the page keeps this code, and the function neither blocks nor touches memory.
        _readInOrder = (delegate* unmanaged[SuppressGCTransition]<ulong>)Code.Value.Address;
        _read = (delegate* unmanaged[SuppressGCTransition]<ulong>)((Code.Value.Address + UnorderedAt));
        _start = Sample();
    }

    /// <summary>Whether it ticks at one rate in every state of the processor. CPUID 0x80000007, EDX bit 8.</summary>
    public static bool IsInvariant =>
        X86Base.IsSupported && unchecked((uint)X86Base.CpuId(unchecked((int)0x80000000), 0).Eax) >= 0x80000007
        && (X86Base.CpuId(unchecked((int)0x80000007), 0).Edx & 1 << 8) != 0;

    /// <summary>Ticks a second. The first call may wait some milliseconds; the answer never changes.</summary>
    public ulong Hertz
    {
        get
        {
            lock (_gate) return _hertz != 0 ? _hertz : _hertz = Determine();
        }
    }

    /// <summary>Reads the counter; not ordered with surrounding loads.</summary>
    public ulong Read() => _read();

    /// <summary>Reads the counter when all that was loaded before is there: not before what another thread has told of its own reading. SDM vol. 2, RDTSC.</summary>
    public ulong ReadInOrder() => _readInOrder();

    private static HostReservation MakeCode()
    {
        ReadOnlySpan<byte> code = [0x0f, 0xae, 0xe8, 0x0f, 0x31, 0x48, 0xc1, 0xe2, 0x20, 0x48, 0x09, 0xd0, 0xc3];
        var page = HostReservation.Reserve(HostReservation.PageSize);
        using var memory = SharedMemory.Create("lamina-rdtsc", HostReservation.PageSize);
        page.MapShared(0, HostReservation.PageSize, memory, 0, MappingAccess.ReadWrite);
        code.CopyTo(page.Slice(0, code.Length));
        page.MapShared(0, HostReservation.PageSize, memory, 0, MappingAccess.ReadExecute);
        return page;
    }

    private ulong Determine()
    {
        var told = AskProcessor();
        var known = told != 0 ? told : _memory?.Recall() ?? 0;
        if (known != 0)
        {
            var seen = Measure(ShortestLook);
            if (Math.Abs(known - seen) <= seen * Tolerance) return known;
        }
        var measured = (ulong)Math.Round(Measure(ShortestMeasurement));
        _memory?.Keep(measured);
        return measured;
    }

    // Ticks a second from the beginning until now, or until that is so many nanoseconds ago.
    private double Measure(long shortest)
    {
        var now = Sample();
        while (now.Nanoseconds - _start.Nanoseconds < shortest)
        {
            Thread.Sleep(TimeSpan.FromMilliseconds((double)(shortest - (now.Nanoseconds - _start.Nanoseconds)) / 1_000_000 + 1));
            now = Sample();
        }
        return (now.Tsc - _start.Tsc) * 1e9 / (now.Nanoseconds - _start.Nanoseconds);
    }

    private (ulong Tsc, long Nanoseconds) Sample() => Sample(static () => HostTime.MonotonicNanoseconds);

    /// <summary>
    /// One moment by the counter and by a clock. Of several tries the one with the least time around it counts: no interrupt came between.
    /// </summary>
    /// <param name="nanoseconds">The clock.</param>
    public (ulong Tsc, long Nanoseconds) Sample(Func<long> nanoseconds)
    {
        (ulong Tsc, long Nanoseconds) best = default;
        var narrowest = long.MaxValue;
        for (var i = 0; i < 32; i++)
        {
            var before = nanoseconds();
            var tsc = Read();
            var after = nanoseconds();
            if (after - before >= narrowest) continue;
            narrowest = after - before;
            best = (tsc, before + narrowest / 2);
        }
        return best;
    }

    // SDM vol. 2, CPUID leaf 0x15 (crystal × ratio), and the leaf that KVM and others share (kHz in EAX); 0 where neither tells.
    private static ulong AskProcessor()
    {
        if (!X86Base.IsSupported) return 0;
        if (unchecked((uint)X86Base.CpuId(0, 0).Eax) >= 0x15)
        {
            var (denominator, numerator, crystal, _) = X86Base.CpuId(0x15, 0);
            if (denominator != 0 && numerator != 0 && crystal != 0) return (ulong)(uint)crystal * (uint)numerator / (uint)denominator;
        }
        var underHypervisor = (X86Base.CpuId(1, 0).Ecx & 1 << 31) != 0;
        const int timing = 0x40000010;
        return underHypervisor && X86Base.CpuId(0x40000000, 0).Eax >= timing ? (uint)X86Base.CpuId(timing, 0).Eax * 1000ul : 0;
    }
}
