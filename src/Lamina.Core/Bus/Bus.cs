// The bus routes an access that is not RAM to the device that claimed the range. One instance serves port I/O
// (64 KiB of ports), another memory-mapped I/O. Look-ups take no lock: the sorted table is replaced as a whole.
// Devices lock for themselves; the bus is never locked while one is called.
using System.Collections.Immutable;

namespace Lamina.Core.Bus;

/// <summary>How a device answered an access.</summary>
public enum AccessResult
{
    /// <summary>Done.</summary>
    Ok,

    /// <summary>Nothing answers at this offset: reads give all ones, writes are dropped.</summary>
    Unclaimed,

    /// <summary>The register does not take accesses of this size or alignment: as <see cref="Unclaimed"/>, and logged.</summary>
    InvalidSize,
}

/// <summary>A device that answers reads and writes at offsets in a range. It does not know where the range is mapped.</summary>
public interface IBusDevice
{
    /// <summary>Reads <c>data.Length</c> bytes (1, 2, 4 or 8) at an offset in the device's range. Any thread may call.</summary>
    AccessResult Read(ulong offset, Span<byte> data);

    /// <summary>Writes <c>data.Length</c> bytes (1, 2, 4 or 8) at an offset in the device's range. Any thread may call.</summary>
    AccessResult Write(ulong offset, ReadOnlySpan<byte> data);
}

/// <summary>A table of address ranges and the devices that answer there.</summary>
/// <param name="name">What the addresses are ("port", "memory"): used in messages.</param>
public sealed class Bus(string name)
{
    private readonly Lock _gate = new();
    private ImmutableArray<Entry> _entries = [];

    private readonly record struct Entry(ulong Start, ulong Length, IBusDevice Device);

    /// <summary>The ranges and their devices, sorted by address.</summary>
    public IEnumerable<(ulong Start, ulong Length, IBusDevice Device)> Ranges => _entries.Select(e => (e.Start, e.Length, e.Device));

    /// <summary>Claims a range for a device.</summary>
    /// <exception cref="ArgumentException">The range overlaps one that is claimed.</exception>
    public void Map(ulong start, ulong length, IBusDevice device)
    {
        ArgumentOutOfRangeException.ThrowIfZero(length);
        // The last address may be in a range, so its end may be none.
        ArgumentOutOfRangeException.ThrowIfGreaterThan(length - 1, ulong.MaxValue - start);
        lock (_gate)
        {
            var at = 0;
            while (at < _entries.Length && _entries[at].Start < start) at++;
            var overlaps = (at > 0 && start - _entries[at - 1].Start < _entries[at - 1].Length)
                || (at < _entries.Length && _entries[at].Start - start < length);
            if (overlaps) throw new ArgumentException($"{name} range 0x{start:x}+0x{length:x} is taken");
            _entries = _entries.Insert(at, new Entry(start, length, device));
        }
    }

    /// <summary>Gives up every range of a device.</summary>
    public void Unmap(IBusDevice device)
    {
        lock (_gate) _entries = _entries.RemoveAll(e => ReferenceEquals(e.Device, device));
    }

    /// <summary>Reads; where no device answers the data are all ones.</summary>
    public AccessResult Read(ulong address, Span<byte> data)
    {
        var result = TryFind(address, data.Length, out var entry)
            ? entry.Device.Read(address - entry.Start, data)
            : AccessResult.Unclaimed;
        if (result != AccessResult.Ok) data.Fill(0xff);
        return result;
    }

    /// <summary>Writes; where no device answers nothing happens.</summary>
    public AccessResult Write(ulong address, ReadOnlySpan<byte> data) =>
        TryFind(address, data.Length, out var entry)
            ? entry.Device.Write(address - entry.Start, data)
            : AccessResult.Unclaimed;

    private bool TryFind(ulong address, int length, out Entry found)
    {
        var entries = _entries;
        int low = 0, high = entries.Length - 1;
        while (low <= high)
        {
            var middle = (low + high) >>> 1;
            ref readonly var entry = ref entries.ItemRef(middle);
            if (address < entry.Start) high = middle - 1;
            else if (address - entry.Start >= entry.Length) low = middle + 1;
            else
            {
                found = entry;
                return (ulong)length <= entry.Length - (address - entry.Start);
            }
        }
        found = default;
        return false;
    }
}
