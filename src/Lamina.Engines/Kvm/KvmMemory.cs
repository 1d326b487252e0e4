// The kernel's memory slots, one for each region of guest memory that CPUs reach: they follow the memory's map while the machine runs,
// and say where the kernel finds out which pages are written. What it found is in rings beside the vCPUs or in a bitmap for each slot.
using System.Collections.Immutable;
using Lamina.Core.Memory;
using Lamina.Host;
using static Lamina.Engines.Kvm.KvmApi;

namespace Lamina.Engines.Kvm;

/// <summary>The slots of one machine.</summary>
internal sealed unsafe class KvmMemory : IMemoryMapListener, IWriteTracker
{
    private readonly DeviceFile _machine;
    private readonly GuestMemory _memory;
    private readonly KvmHold _hold;
    private readonly Func<int, int> _capability;
    private ImmutableArray<Slot?> _slots = [];
    private ImmutableArray<MemoryRange> _tracked = [];
    private ulong[] _bitmap = [];
    private int _changes;

    /// <summary>Makes the slots of what there is of memory, and follows it.</summary>
    /// <param name="machine">The machine in the kernel, without vCPUs yet.</param>
    /// <param name="memory">The guest's memory, which outlives the machine.</param>
    /// <param name="hold">Keeps the vCPUs out of the guest.</param>
    /// <param name="ringEntries">Entries of a vCPU's ring of written pages; 0: bitmaps.</param>
    /// <param name="capability">What the kernel can.</param>
    internal KvmMemory(DeviceFile machine, GuestMemory memory, KvmHold hold, int ringEntries, Func<int, int> capability)
    {
        (_machine, _memory, _hold, _capability) = (machine, memory, hold, capability);
        if (ringEntries > 0) Rings = KvmDirtyRings.TryCreate(machine, MarkPage, ringEntries, capability);
        memory.Follow(this);
        memory.Writes.Attach(this);
    }

    /// <summary>The rings that tell of written pages; null where bitmaps do.</summary>
    internal KvmDirtyRings? Rings { get; }

    private sealed record Slot(MemoryRange Range, bool ReadOnly, bool Logged);

    /// <summary>Counts the beginnings and the ends of changes: odd while one is under way.</summary>
    internal int Changes => Volatile.Read(ref _changes);

    /// <summary>Whether all of a range can be read by CPUs.</summary>
    internal bool IsReadable(ulong physical, int length) => _slots.Any(slot => slot is not null && slot.Range.Contains(physical, (ulong)length));

    /// <summary>Follows the memory no more.</summary>
    internal void Leave()
    {
        _memory.Writes.Detach(this);
        _memory.Unfollow(this);
    }

    /// <inheritdoc/>
    public void Remapped(MemoryRange range, MemoryKind? before, MemoryKind? after)
    {
        Interlocked.Increment(ref _changes);
        try
        {
            Remap(range, before, after);
        }
        finally
        {
            Interlocked.Increment(ref _changes);
        }
    }

    private void Remap(MemoryRange range, MemoryKind? before, MemoryKind? after)
    {
        var number = _slots.IndexOf(_slots.FirstOrDefault(slot => slot?.Range == range));
        var wanted = SlotFor(range, after);
        if (before is not (MemoryKind.Ram or MemoryKind.Rom))
        {
            if (wanted is not null) Add(wanted);
        }
        // A slot cannot become another one, and while it is away nothing would answer there.
        else if (wanted is not null)
        {
            _hold.While(() =>
            {
                Remove(number);
                Add(wanted);
            });
        }
        else Remove(number);
    }

    /// <inheritdoc/>
    public void Track(ImmutableArray<MemoryRange> ranges)
    {
        Collect();
        _tracked = ranges;
        for (var number = 0; number < _slots.Length; number++)
        {
            if (_slots[number] is not { } slot || IsLogged(slot) == slot.Logged) continue;
            Set(number, slot with { Logged = !slot.Logged });
        }
    }

    /// <inheritdoc/>
    public void Collect()
    {
        if (_tracked.IsEmpty) return;
        // Processors note written pages for themselves, and tell the kernel of them when they leave the guest.
        if (Rings is not null) _hold.While(() => Collect(Rings));
        else
        {
            for (var number = 0; number < _slots.Length; number++)
                if (_slots[number] is { Logged: true } slot) Collect(number, slot);
        }
    }

    private void Collect(KvmDirtyRings rings)
    {
        rings.Empty();
        if (!rings.TakeLost()) return;
        // What was written is not known, and the kernel does not look at those pages any more: it begins anew with all.
        for (var number = 0; number < _slots.Length; number++)
        {
            if (_slots[number] is not { Logged: true } slot) continue;
            Set(number, slot with { Logged = false });
            Set(number, slot);
            _memory.Writes.Mark(slot.Range.Start, slot.Range.Length);
        }
    }

    private void Collect(int number, Slot slot)
    {
        const int bits = 64;
        var words = (int)((slot.Range.Length / HostReservation.PageSize + bits - 1) / bits);
        if (_bitmap.Length < words) _bitmap = new ulong[words];
        // Holds: the kernel writes one bit a page of the slot, rounded up to whole words, which the bitmap has.
        fixed (ulong* bitmap = _bitmap)
        {
            var log = new kvm_dirty_log { slot = (uint)number, dirty_bitmap = (ulong)bitmap };
            var result = _machine.Request(KVM_GET_DIRTY_LOG, &log);
            if (result < 0) throw new HostException($"the kernel's KVM does not tell which pages were written ({DeviceFile.Describe(-result)}); use the translator");
        }
        for (var word = 0; word < words; word++)
        {
            for (var rest = _bitmap[word]; rest != 0; rest &= rest - 1) MarkPage(number, (ulong)(word * bits + System.Numerics.BitOperations.TrailingZeroCount(rest)));
        }
    }

    // Any thread, vCPUs' too. The kernel may tell of a slot that is another one by now: what is there now then counts as written.
    private void MarkPage(int number, ulong page)
    {
        var slots = _slots;
        if ((uint)number < (uint)slots.Length && slots[number] is { } slot) _memory.Writes.Mark(slot.Range.Start + page * HostReservation.PageSize, HostReservation.PageSize);
    }

    private bool IsLogged(Slot slot) => !slot.ReadOnly && _tracked.Any(range => range.Overlaps(slot.Range));

    private Slot? SlotFor(MemoryRange range, MemoryKind? kind)
    {
        if (kind is not (MemoryKind.Ram or MemoryKind.Rom)) return null;
        var slot = new Slot(range, ReadOnly: kind == MemoryKind.Rom, Logged: false);
        if (slot.ReadOnly && _capability(KVM_CAP_READONLY_MEM) <= 0) throw new HostException("the kernel's KVM cannot keep a guest from writing to a ROM; use the translator");
        return slot with { Logged = IsLogged(slot) };
    }

    private void Add(Slot slot)
    {
        var number = _slots.IndexOf(null);
        if (number < 0)
        {
            number = _slots.Length;
            _slots = _slots.Add(null);
        }
        Set(number, slot);
    }

    private void Remove(int number)
    {
        Set(number, _slots[number]! with { Range = _slots[number]!.Range with { Length = 0 } });
        _slots = _slots.SetItem(number, null);
    }

    // Holds: the memory outlives the machine, and what was mapped there stays accessible.
    private void Set(int number, Slot slot)
    {
        var region = new kvm_userspace_memory_region
        {
            slot = (uint)number,
            flags = (slot.ReadOnly ? KVM_MEM_READONLY : 0) | (slot.Logged ? KVM_MEM_LOG_DIRTY_PAGES : 0),
            guest_phys_addr = slot.Range.Start,
            memory_size = slot.Range.Length,
            userspace_addr = (ulong)_memory.HostBase + slot.Range.Start,
        };
        var result = _machine.Request(KVM_SET_USER_MEMORY_REGION, &region);
        if (result == -DeviceFile.NoSpace) throw new HostException("the kernel's KVM has no memory slot left for the machine; use the translator");
        if (result < 0) throw new HostException($"the kernel's KVM does not map {slot.Range.Length >> 10} KiB of the machine's memory ({DeviceFile.Describe(-result)}); use the translator");
        _slots = _slots.SetItem(number, slot);
    }
}
