// The guest's RAM: one reserved range of host address space in which guest-physical address A lies at HostBase + A
// wherever RAM is, so that engines translate with one addition. Devices and loaders go through Try* methods only:
// they copy, and a range that is not RAM is a value (false), never an exception.
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Lamina.Host;
using Lamina.Host.Io;

namespace Lamina.Core.Memory;

/// <summary>A range of guest-physical addresses.</summary>
/// <param name="Start">First address.</param>
/// <param name="Length">Length in bytes.</param>
public readonly record struct MemoryRange(ulong Start, ulong Length)
{
    /// <summary>The first address behind the range.</summary>
    public ulong End => Start + Length;

    /// <summary>Whether the whole of an access lies in the range.</summary>
    public bool Contains(ulong address, ulong length) => address >= Start && length <= Length && address - Start <= Length - length;
}

/// <summary>Is told of every write to guest memory that does not come from a guest's CPU (device DMA, loaders).</summary>
public interface IGuestMemoryWatcher
{
    /// <summary>Called after the bytes were written, on the writer's thread.</summary>
    void Written(ulong address, ulong length);
}

/// <summary>Guest RAM.</summary>
public sealed class GuestMemory : IDisposable
{
    private readonly HostReservation _reservation;
    private readonly MemoryRange[] _ranges;
    private IGuestMemoryWatcher? _watcher;

    /// <summary>Reserves RAM at the given ranges (page aligned, sorted, not overlapping). Pages cost host memory as they are touched.</summary>
    /// <exception cref="HostException">The host refuses the memory.</exception>
    public GuestMemory(IReadOnlyList<MemoryRange> ranges)
    {
        if (ranges.Count == 0) throw new ArgumentException("a machine needs at least one range of RAM", nameof(ranges));
        _ranges = [.. ranges];
        for (var i = 0; i < _ranges.Length; i++)
        {
            var range = _ranges[i];
            if ((range.Start | range.Length) % HostReservation.PageSize != 0 || range.Length == 0 || (i > 0 && range.Start < _ranges[i - 1].End))
                throw new ArgumentException("RAM ranges must be page aligned, sorted and apart", nameof(ranges));
        }
        _reservation = HostReservation.Reserve(_ranges[^1].End);
        foreach (var range in _ranges) _reservation.MapAnonymous(range.Start, range.Length, hugePages: true);
    }

    /// <summary>The ranges of RAM, sorted.</summary>
    public IReadOnlyList<MemoryRange> Ranges => _ranges;

    /// <summary>Guest-physical address A of RAM lies at this host address + A. For engines.</summary>
    public nint HostBase => _reservation.Address;

    /// <summary>The sum of the ranges' lengths in bytes.</summary>
    public ulong Size => _ranges.Aggregate(0ul, (sum, range) => sum + range.Length);

    /// <summary>How many bytes of the host's memory it takes now: whole pages that were touched, in what size the host gave them.</summary>
    public ulong Resident => _ranges.Aggregate(0ul, (sum, range) => sum + _reservation.Resident(range.Start, range.Length));

    /// <summary>Sets who is told of writes; an engine that caches code sets itself before any vCPU runs.</summary>
    public void Watch(IGuestMemoryWatcher watcher) => _watcher = watcher;

    /// <summary>Whether the whole range is RAM.</summary>
    public bool IsRam(ulong address, ulong length)
    {
        foreach (var range in _ranges)
            if (range.Contains(address, length)) return true;
        return false;
    }

    /// <summary>Copies guest memory out. False, with nothing copied, where a byte of it is not RAM.</summary>
    public bool TryRead(ulong address, Span<byte> destination)
    {
        if (!IsRam(address, (ulong)destination.Length)) return false;
        _reservation.Slice(address, destination.Length).CopyTo(destination);
        return true;
    }

    /// <summary>Copies into guest memory. False, with nothing written, where a byte of it is not RAM.</summary>
    public bool TryWrite(ulong address, ReadOnlySpan<byte> source)
    {
        if (!IsRam(address, (ulong)source.Length)) return false;
        source.CopyTo(_reservation.Slice(address, source.Length));
        _watcher?.Written(address, (ulong)source.Length);
        return true;
    }

    /// <summary>Reads one little-endian value of an unmanaged type.</summary>
    public bool TryRead<T>(ulong address, out T value) where T : unmanaged
    {
        Unsafe.SkipInit(out value);
        return TryRead(address, MemoryMarshal.AsBytes(new Span<T>(ref value)));
    }

    /// <summary>Writes one little-endian value of an unmanaged type.</summary>
    public bool TryWrite<T>(ulong address, T value) where T : unmanaged =>
        TryWrite(address, MemoryMarshal.AsBytes(new ReadOnlySpan<T>(in value)));

    /// <summary>
    /// A view for bulk input/output by a backend (the data of a request, not its descriptors: those are copied, then checked).
    /// The guest may change the bytes at any time. After writing through it call <see cref="NotifyWritten"/>.
    /// </summary>
    public bool TrySlice(ulong address, int length, out Span<byte> span)
    {
        span = default;
        if (length < 0 || !IsRam(address, (ulong)length)) return false;
        span = _reservation.Slice(address, length);
        return true;
    }

    /// <summary>The same as <see cref="TrySlice"/> for the kernel to read into or write from, on any thread, while the memory lives.</summary>
    public bool TryVector(ulong address, int length, out IoVector vector)
    {
        vector = default;
        if (length < 0 || !IsRam(address, (ulong)length)) return false;
        vector = IoVector.Of(_reservation, address, length);
        return true;
    }

    /// <summary>Tells the watcher of bytes written through <see cref="TrySlice"/> or <see cref="TryVector"/>.</summary>
    public void NotifyWritten(ulong address, ulong length) => _watcher?.Written(address, length);

    /// <summary>Makes whole pages zero and gives them back to the host; vCPUs may run. False, with nothing done, where one is not RAM.</summary>
    public bool TryDiscard(ulong address, ulong length)
    {
        if ((address | length) % HostReservation.PageSize != 0 || !IsRam(address, length)) return false;
        _reservation.Discard(address, length);
        _watcher?.Written(address, length);
        return true;
    }

    /// <summary>Makes all of it zero, as at the start, and gives its pages back to the host. No vCPU may be running.</summary>
    public void Clear()
    {
        foreach (var range in _ranges)
        {
            _reservation.Discard(range.Start, range.Length);
            _watcher?.Written(range.Start, range.Length);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _reservation.Dispose();
}
