// Which pages the guest's CPUs wrote, as the kernel tells it page by page in a ring beside each vCPU (KVM_CAP_DIRTY_LOG_RING):
// what it costs goes by the pages written, not by the machine's size. The rings are emptied when somebody asks and when one is nearly
// full: then the kernel leaves the guest. One that emulates instructions, many between two looks at the ring, may not do that in time and
// write over what it has told: a ring that is full to the last entry says that something is lost. api.rst, 8.29.
using Lamina.Host;
using static Lamina.Engines.Kvm.KvmApi;

namespace Lamina.Engines.Kvm;

/// <summary>The rings of one machine.</summary>
internal sealed unsafe class KvmDirtyRings
{
    private readonly DeviceFile _machine;
    private readonly Action<int, ulong> _mark;
    private readonly int _entries;
    private readonly Lock _gate = new();
    private readonly List<Ring> _rings = [];
    private readonly List<(int Slot, ulong Page)> _told = [];
    private bool _lost;

    private KvmDirtyRings(DeviceFile machine, Action<int, ulong> mark, int entries) => (_machine, _mark, _entries) = (machine, mark, entries);

    /// <summary>The ring of one vCPU.</summary>
    internal sealed class Ring
    {
        /// <summary>The ring; mapped as long as its vCPU is open.</summary>
        public required kvm_dirty_gfn* Start { get; init; }

        /// <summary>The entry that the kernel fills next.</summary>
        public int Next { get; set; }

        /// <summary>It was full once, and the kernel may have gone on from its beginning: the entry that it fills next may be a later one.</summary>
        public bool WasFull { get; set; }
    }

    private int Length => _entries * sizeof(kvm_dirty_gfn);

    /// <summary>Has the kernel make rings, before any vCPU.</summary>
    /// <param name="machine">The machine.</param>
    /// <param name="mark">Told of a written page: the number of its slot, its number in there. Any thread.</param>
    /// <param name="entries">Of one ring, a power of two. The kernel leaves the guest when a ring is nearly full.</param>
    /// <param name="capability">What the kernel can.</param>
    /// <returns>Null where it cannot: then it has a bitmap.</returns>
    internal static KvmDirtyRings? TryCreate(DeviceFile machine, Action<int, ulong> mark, int entries, Func<int, int> capability)
    {
        var rings = new KvmDirtyRings(machine, mark, entries);
        // The first is the one for processors of any memory order; the second is that of x86, where stores are seen in order.
        foreach (var kind in (ReadOnlySpan<int>)[KVM_CAP_DIRTY_LOG_RING_ACQ_REL, KVM_CAP_DIRTY_LOG_RING])
        {
            if (capability(kind) < rings.Length) continue;
            var enable = new kvm_enable_cap { cap = (uint)kind };
            enable.args[0] = (ulong)rings.Length;
            if (machine.Request(KVM_ENABLE_CAP, &enable) >= 0) return rings;
        }
        return null;
    }

    /// <summary>Maps the ring of a new vCPU, which owns it.</summary>
    internal Ring Attach(DeviceFile vcpu)
    {
        var ring = new Ring { Start = (kvm_dirty_gfn*)vcpu.Map(Length, KVM_DIRTY_LOG_PAGE_OFFSET * HostReservation.PageSize) };
        lock (_gate) _rings.Add(ring);
        return ring;
    }

    /// <summary>Takes what the kernel has told of. While no vCPU is in the guest.</summary>
    internal void Empty()
    {
        lock (_gate)
        {
            foreach (var ring in _rings) Read(ring);
            Tell();
        }
    }

    /// <summary>The kernel does not enter the guest before it has room in a vCPU's ring. On the vCPU's thread.</summary>
    internal void MakeRoom(Ring ring)
    {
        lock (_gate)
        {
            Read(ring);
            // It takes for full what it has written over, of which nothing is left to be read. One entry after the other is given back until
            // it has room: what it has not filled it must not get back.
            if (_told.Count == 0 && ring.WasFull)
            {
                GiveBack(ring);
                _ = _machine.Request(KVM_RESET_DIRTY_RINGS);
            }
            Tell();
        }
    }

    /// <summary>Whether writes were lost since this was asked last.</summary>
    internal bool TakeLost()
    {
        lock (_gate)
        {
            var lost = _lost;
            _lost = false;
            return lost;
        }
    }

    private void Read(Ring ring)
    {
        var before = _told.Count;
        do
        {
            while (IsTold(ring, ring.Next))
            {
                ref var entry = ref ring.Start[ring.Next];
                _told.Add(((int)(entry.slot & 0xffff), entry.offset));
                GiveBack(ring);
            }
        }
        while (ring.WasFull && PassOver(ring));
        if (_told.Count - before >= _entries) _lost = ring.WasFull = true;
    }

    private void Tell()
    {
        if (_told.Count == 0) return;
        // The kernel watches these pages again from here on. What is stored before that is told with the entry that is here.
        _ = _machine.Request(KVM_RESET_DIRTY_RINGS);
        foreach (var (slot, page) in _told) _mark(slot, page);
        _told.Clear();
    }

    // Holds: an index is below the ring's length.
    private static bool IsTold(Ring ring, int index) => (Volatile.Read(ref ring.Start[index].flags) & KVM_DIRTY_GFN_F_DIRTY) != 0;

    private void GiveBack(Ring ring)
    {
        Volatile.Write(ref ring.Start[ring.Next].flags, KVM_DIRTY_GFN_F_RESET);
        ring.Next = (ring.Next + 1) % _entries;
    }

    // The kernel takes entries back in their order only. Those before one that it has filled it has passed, and they are given back unread.
    // False: it has filled none.
    private bool PassOver(Ring ring)
    {
        var passed = 0;
        while (passed < _entries && !IsTold(ring, (ring.Next + passed) % _entries)) passed++;
        if (passed == _entries) return false;
        for (; passed > 0; passed--) GiveBack(ring);
        return true;
    }
}
