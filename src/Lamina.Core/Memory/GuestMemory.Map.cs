// Where regions lie, and how that changes while a machine runs. An order holds for each change: the host's mapping is there before a
// range appears and goes after it has disappeared, and engines are told before the view that others look at is replaced. So whoever
// finds memory in a view, or had it before, finds pages of the host's behind it.
using System.Collections.Immutable;
using Lamina.Host;

namespace Lamina.Core.Memory;

public sealed partial class GuestMemory
{
    // Guards the map. Taken before an engine's locks, and never with one that a device takes: none is called with it.
    private readonly Lock _gate = new();
    private readonly List<MemoryRegion> _regions = [];
    private ImmutableArray<IMemoryMapListener> _listeners = [];

    /// <summary>All regions, in the order in which they were made.</summary>
    public IReadOnlyList<MemoryRegion> Regions
    {
        get
        {
            lock (_gate) return [.. _regions];
        }
    }

    /// <summary>Makes a region, which lies nowhere at first.</summary>
    /// <param name="name">Its name, unique in the machine.</param>
    /// <param name="length">Its length in bytes: whole pages.</param>
    /// <param name="kind">How it answers.</param>
    /// <param name="backing">What holds its bytes; the process's own memory unless something is said.</param>
    /// <param name="isDevices">Whether it is a device's (<see cref="MemoryRegion.IsDevices"/>).</param>
    /// <exception cref="ArgumentException">The length is none, the backing is too short, or there is a region of that name.</exception>
    public MemoryRegion CreateRegion(string name, ulong length, MemoryKind kind, MemoryBacking? backing = null, bool isDevices = false)
    {
        backing ??= MemoryBacking.Anonymous;
        if (length == 0 || length % HostReservation.PageSize != 0 || length > End) throw new ArgumentException($"{name} must be whole pages, at least one, and fit below 0x{End:x}", nameof(length));
        if (length > backing.Length) throw new ArgumentException($"{name} has {length} bytes, and what is to hold it {backing.Length}", nameof(backing));
        lock (_gate)
        {
            if (_regions.Exists(region => region.Name == name)) throw new ArgumentException($"there is a region of memory named {name} already", nameof(name));
            var made = new MemoryRegion(this, name, length, kind, backing) { IsDevices = isDevices };
            _regions.Add(made);
            return made;
        }
    }

    /// <summary>Makes a region at a place that nobody else has.</summary>
    /// <exception cref="ArgumentException">Some of it is taken, or it cannot be as <see cref="CreateRegion"/> has it.</exception>
    /// <exception cref="HostException">The host refuses.</exception>
    public MemoryRegion Map(ulong start, ulong length, MemoryKind kind, string name, MemoryBacking? backing = null)
    {
        var region = CreateRegion(name, length, kind, backing);
        try
        {
            if (region.TryMove(start)) return region;
        }
        catch
        {
            region.Dispose();
            throw;
        }
        region.Dispose();
        throw new ArgumentException($"{name} cannot lie at 0x{start:x}+0x{length:x}: some of it is taken, no whole page, or beyond 0x{End:x}", nameof(start));
    }

    /// <summary>Adds one who follows the map: it is told of all that is there, then of every change.</summary>
    /// <exception cref="HostException">It cannot have it so; it is then not added.</exception>
    public void Follow(IMemoryMapListener listener)
    {
        lock (_gate)
        {
            foreach (var region in View.Regions) listener.Remapped(region.Range, null, region.Kind);
            _listeners = _listeners.Add(listener);
        }
    }

    /// <summary>It is told no more.</summary>
    public void Unfollow(IMemoryMapListener listener)
    {
        lock (_gate) _listeners = _listeners.Remove(listener);
    }

    internal bool TryMove(MemoryRegion region, ulong start)
    {
        lock (_gate)
        {
            if (region.Start == start) return true;
            SwitchOff(region);
            var range = new MemoryRange(start, region.Length);
            if (!_regions.Contains(region) || start % HostReservation.PageSize != 0 || start > End - region.Length || View.Regions.Any(other => other.Range.Overlaps(range))) return false;
            region.Backing.Map(_reservation, start, region.Length);
            try
            {
                Tell(range, null, region.Kind);
            }
            catch (HostException)
            {
                _reservation.MapAnonymous(start, region.Length);
                throw;
            }
            region.Start = start;
            Publish(range);
            return true;
        }
    }

    internal void SwitchOff(MemoryRegion region)
    {
        lock (_gate)
        {
            if (region.Start is null) return;
            var range = region.Range;
            Tell(range, region.Kind, null);
            region.Start = null;
            Publish(range);
            // Views of it may be in use: what they are of is taken away, the addresses stay good.
            _reservation.MapAnonymous(range.Start, range.Length);
        }
    }

    internal void SetKind(MemoryRegion region, MemoryKind kind)
    {
        lock (_gate)
        {
            if (region.Kind == kind) return;
            if (region.Start is not null) Tell(region.Range, region.Kind, kind);
            region.Kind = kind;
            if (region.Start is not null) Publish(region.Range);
        }
    }

    internal void Remove(MemoryRegion region)
    {
        lock (_gate)
        {
            if (!_regions.Contains(region)) return;
            SwitchOff(region);
            _regions.Remove(region);
        }
    }

    internal bool TryReadRegion(MemoryRegion region, ulong offset, Span<byte> destination)
    {
        lock (_gate)
        {
            if (region.Start is not { } start || !new MemoryRange(0, region.Length).Contains(offset, (ulong)destination.Length) || !TryRequire(start + offset, (ulong)destination.Length)) return false;
            _reservation.Slice(start + offset, destination.Length).CopyTo(destination);
            return true;
        }
    }

    internal bool TryWriteRegion(MemoryRegion region, ulong offset, ReadOnlySpan<byte> source)
    {
        lock (_gate)
        {
            if (region.Start is not { } start || !new MemoryRange(0, region.Length).Contains(offset, (ulong)source.Length) || !TryRequire(start + offset, (ulong)source.Length)) return false;
            source.CopyTo(_reservation.Slice(start + offset, source.Length));
            NotifyWritten(start + offset, (ulong)source.Length);
            return true;
        }
    }

    // One who cannot have it leaves the others as they were.
    private void Tell(MemoryRange range, MemoryKind? before, MemoryKind? after)
    {
        for (var told = 0; told < _listeners.Length; told++)
        {
            try
            {
                _listeners[told].Remapped(range, before, after);
            }
            catch (HostException)
            {
                while (--told >= 0) _listeners[told].Remapped(range, after, before);
                throw;
            }
        }
    }

    // Its bytes are others than before: whoever keeps what is derived from them hears of it.
    private void Publish(MemoryRange changed)
    {
        View = new MemoryView(_regions.Where(region => region.Start is not null));
        NotifyWritten(changed.Start, changed.Length);
    }
}
