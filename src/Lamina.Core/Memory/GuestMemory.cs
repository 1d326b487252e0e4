// A guest's memory: one reserved range of host address space in which guest-physical address A lies at HostBase + A wherever
// memory is, so that engines translate with one addition. Devices and loaders go through Try* methods only: they copy, and a range
// that is not memory is a value (false), never an exception. This file is the use of memory; GuestMemory.Map puts regions to places.
// A place where memory was once stays accessible on the host until the end: a device that holds a view of it writes nowhere then.
using System.Collections.Immutable;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Lamina.Core.Inspection;
using Lamina.Host;
using Lamina.Host.Io;
using Lamina.Host.Processes;

namespace Lamina.Core.Memory;

/// <summary>Is told of every write to guest memory that does not come from a guest's CPU (device DMA, loaders).</summary>
public interface IGuestMemoryWatcher
{
    /// <summary>Called when the bytes are written and every CPU sees them, on the writer's thread.</summary>
    void Written(ulong address, ulong length);
}

/// <summary>A guest's memory.</summary>
public sealed partial class GuestMemory : IInspected, ICounted, IDisposable
{
    private const ulong FourGib = 1ul << 32;

    private readonly HostReservation _reservation;
    private readonly TwinMaker _twins;
    private readonly PageMap? _pages;

    // How many want pages that are given back to stay known: see FrozenMemory.
    private int _frozen;
    private ImmutableArray<IGuestMemoryWatcher> _watchers = [];

    /// <summary>Makes RAM at the given ranges (page aligned, sorted, not overlapping). Pages cost host memory as they are touched.</summary>
    /// <param name="ram">The ranges, each a region of its own.</param>
    /// <param name="backing">What holds them, one behind the other; the process's own memory unless something is said.</param>
    /// <param name="end">The first address at which there can never be memory; at least, and unless more is said, 4 GiB and the end of the last range.</param>
    /// <exception cref="HostException">The host refuses the memory.</exception>
    public GuestMemory(IReadOnlyList<MemoryRange> ram, MemoryBacking? backing = null, ulong end = 0)
    {
        if (ram.Count == 0) throw new ArgumentException("a machine needs at least one range of RAM", nameof(ram));
        for (var i = 0; i < ram.Count; i++)
        {
            if ((ram[i].Start | ram[i].Length) % HostReservation.PageSize != 0 || ram[i].Length == 0 || (i > 0 && ram[i].Start < ram[i - 1].End))
                throw new ArgumentException("RAM ranges must be page aligned, sorted and apart", nameof(ram));
        }
        End = Math.Max(Math.Max(end, FourGib), ram[^1].End);
        Writes = new WriteLog(_gate, End);
        _reservation = HostReservation.Reserve(End, isInTwins: true);
        View = new MemoryView([]);
        try
        {
            (_twins, _pages) = (new TwinMaker(), PageMap.TryOpen());
            backing ??= MemoryBacking.Anonymous;
            for (var i = 0; i < ram.Count; i++)
            {
                Map(ram[i].Start, ram[i].Length, MemoryKind.Ram, $"RAM {i}", backing);
                backing = backing.At(ram[i].Length);
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The first address at which there can never be memory.</summary>
    public ulong End { get; }

    /// <summary>The ranges of RAM, sorted; those that touch are one.</summary>
    public IReadOnlyList<MemoryRange> Ranges => View.Main;

    /// <summary>What is memory now. For engines, which ask often.</summary>
    public MemoryView View { get; private set; }

    /// <summary>Guest-physical address A of memory lies at this host address + A. For engines.</summary>
    public nint HostBase => _reservation.Address;

    /// <summary>The sum of the RAM ranges' lengths in bytes.</summary>
    public ulong Size => Ranges.Aggregate(0ul, (sum, range) => sum + range.Length);

    /// <summary>How many bytes of the host's memory the RAM takes now: whole pages that were touched, in what size the host gave them; of a file's copy also what the host keeps of the file.</summary>
    public ulong Resident => Ranges.Aggregate(0ul, (sum, range) => sum + _reservation.Resident(range.Start, range.Length));

    /// <summary>Has the host take the pages of a range now, which would else be as they are touched: all at once costs less, and it can be another thread's work. A hint; the content stays.</summary>
    /// <param name="range">Any range; what is not RAM of it is passed over.</param>
    public void Populate(MemoryRange range)
    {
        if (_missing is not null) return;
        foreach (var ram in Ranges)
        {
            var (start, end) = (Math.Max(ram.Start, range.Start) & ~(ulong)(HostReservation.PageSize - 1), Math.Min(ram.End, range.End));
            if (start < end) _reservation.Populate(start, end - start, write: true);
        }
    }

    /// <summary>Tells the host how to keep the RAM that there is now. A hint.</summary>
    /// <param name="hugePages">Whether in huge pages.</param>
    /// <param name="mergeable">Whether pages that are the same as others' may be kept once.</param>
    public void Advise(bool hugePages, bool mergeable)
    {
        foreach (var ram in Ranges) _reservation.Advise(ram.Start, ram.Length, hugePages, mergeable);
    }

    /// <summary>Which pages CPUs and devices write, for who wants to know.</summary>
    public WriteLog Writes { get; }

    /// <inheritdoc/>
    public void Inspect(InspectNode node)
    {
        node.Kind = "guest memory";
        node.Say("bytes", Size);
        node.SayHex("end", End);
        node.Each("region", View.Regions, static (of, region) =>
        {
            of.Say("name", region.Name);
            of.Say("kind of memory", region.Kind);
            if (region.Start is { } start) of.SayHex("start", start);
            of.SayHex("length", region.Length);
            of.Say("backing", region.Backing.Description);
        });
    }

    /// <inheritdoc/>
    public void Count(CounterList counters)
    {
        counters.Now("memory_bytes", (long)Size, "memory that the guest has", CounterUnit.Bytes);
        counters.Now("memory_resident_bytes", (long)Resident, "memory of the host's that it takes", CounterUnit.Bytes);
    }

    /// <summary>Adds one who is told of writes, as long as the memory lives: an engine that caches code, before any vCPU runs.</summary>
    public void Watch(IGuestMemoryWatcher watcher)
    {
        lock (_gate) _watchers = _watchers.Add(watcher);
    }

    /// <summary>Whether the whole range is RAM.</summary>
    public bool IsRam(ulong address, ulong length) => MemoryView.Contains(View.Writable, address, length);

    /// <summary>Copies guest memory out, of ROMs too. False, with nothing copied, where a byte of it is not memory.</summary>
    public bool TryRead(ulong address, Span<byte> destination)
    {
        if (!MemoryView.Contains(View.Readable, address, (ulong)destination.Length) || !TryRequire(address, (ulong)destination.Length)) return false;
        _reservation.Slice(address, destination.Length).CopyTo(destination);
        return true;
    }

    /// <summary>Copies into guest memory. False, with nothing written, where a byte of it is not RAM.</summary>
    public bool TryWrite(ulong address, ReadOnlySpan<byte> source)
    {
        if (!IsRam(address, (ulong)source.Length) || !TryRequire(address, (ulong)source.Length)) return false;
        source.CopyTo(_reservation.Slice(address, source.Length));
        NotifyWritten(address, (ulong)source.Length);
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
        if (length < 0 || !IsRam(address, (ulong)length) || !TryRequire(address, (ulong)length)) return false;
        span = _reservation.Slice(address, length);
        return true;
    }

    /// <summary>The same as <see cref="TrySlice"/> for the kernel to read into or write from, on any thread, while the memory lives.</summary>
    public bool TryVector(ulong address, int length, out IoVector vector)
    {
        vector = default;
        if (length < 0 || !IsRam(address, (ulong)length) || !TryRequire(address, (ulong)length)) return false;
        vector = IoVector.Of(_reservation, address, length);
        return true;
    }

    /// <summary>Tells who wants to know of bytes written through <see cref="TrySlice"/> or <see cref="TryVector"/>.</summary>
    public void NotifyWritten(ulong address, ulong length)
    {
        // The bytes can be seen before anybody looks whether they matter; who decides that they do from now on looks at the bytes afterwards.
        Interlocked.MemoryBarrier();
        Writes.Mark(address, length);
        foreach (var watcher in _watchers) watcher.Written(address, length);
    }

    /// <summary>Makes whole pages zero and gives them back to the host; vCPUs may run. False, with nothing done, where one is not RAM.</summary>
    public bool TryDiscard(ulong address, ulong length)
    {
        if ((address | length) % HostReservation.PageSize != 0) return false;
        lock (_gate)
        {
            if (!MemoryView.Contains(View.Main, address, length)) return false;
            if (_missing is { IsLost: true }) return false;
            Zero(new MemoryRange(address, length));
            return true;
        }
    }

    /// <summary>Makes all RAM zero, as at the start, and gives its pages back to the host. No vCPU may be running.</summary>
    public void Clear()
    {
        lock (_gate)
        {
            foreach (var range in View.Main) Zero(range);
        }
    }

    /// <summary>
    /// The RAM as it is now, while the guest goes on and writes to it: pages are copied when one of the two writes. Nobody may be writing at this
    /// moment.
    /// </summary>
    /// <returns>It; null where others may write to the memory, too.</returns>
    /// <exception cref="HostException">The host makes no copy of the process, or promises no memory for one.</exception>
    public FrozenMemory? Freeze()
    {
        lock (_gate)
        {
            var ram = View.Regions.Where(region => region.IsMain).ToImmutableArray();
            if (ram.Any(region => region.Backing.IsShared)) return null;
            RequireNoneMissing();
            var twin = _twins.Make();
            _ = Interlocked.Increment(ref _frozen);
            return new FrozenMemory(HostBase, Ranges, [.. ram.Select(region => (region.Range, region.Backing))], _pages, twin, () => Interlocked.Decrement(ref _frozen));
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _images?.Dispose();
        EndMissing();
        _reservation.Dispose();
        // It is missing where there was no memory for the machine.
        _twins?.Dispose();
        _pages?.Dispose();
        foreach (var layer in _former.Concat(_source?.Layers ?? [])) layer.Dispose();
    }

    // With the gate: RAM, of as many regions as it may be.
    private void Zero(MemoryRange range)
    {
        foreach (var region in View.Regions)
        {
            if (!region.IsMain || !region.Range.Overlaps(range)) continue;
            var start = Math.Max(region.Range.Start, range.Start);
            var length = Math.Min(region.Range.End, range.End) - start;
            if (_missing is { } missing) missing.Zero(start, length);
            else if (Volatile.Read(ref _frozen) == 0) region.Backing.Zero(_reservation, start, length);
            else _reservation.Clear(start, length);
        }
        NotifyWritten(range.Start, range.Length);
    }
}
