// Which pages the guest's CPUs wrote, as the kernel tells it page by page in a ring beside each vCPU (KVM_CAP_DIRTY_LOG_RING):
// what it costs goes by the pages written, not by the machine's size. The rings are emptied when somebody asks and when one is full.
// api.rst, 8.29.
using Lamina.Core.Memory;
using Lamina.Host;
using static Lamina.Engines.Kvm.KvmApi;

namespace Lamina.Engines.Kvm;

/// <summary>The rings of one machine.</summary>
internal sealed unsafe class KvmDirtyRings
{
    private readonly DeviceFile _machine;
    private readonly IReadOnlyList<MemoryRange> _ranges;
    private readonly int _entries;
    private readonly Lock _gate = new();
    private readonly List<Ring> _rings = [];
    private ulong[][]? _written;

    private KvmDirtyRings(DeviceFile machine, IReadOnlyList<MemoryRange> ranges, int entries) => (_machine, _ranges, _entries) = (machine, ranges, entries);

    private sealed class Ring
    {
        /// <summary>The ring; mapped as long as its vCPU is open.</summary>
        public required kvm_dirty_gfn* Start { get; init; }

        /// <summary>The entry that the kernel fills next.</summary>
        public int Next { get; set; }
    }

    private int Length => _entries * sizeof(kvm_dirty_gfn);

    /// <summary>Has the kernel make rings, before any vCPU.</summary>
    /// <param name="machine">The machine.</param>
    /// <param name="ranges">Its memory, slot by slot.</param>
    /// <param name="entries">Of one ring, a power of two. The kernel leaves the guest when a ring is nearly full.</param>
    /// <param name="capability">What the kernel can.</param>
    /// <returns>Null where it cannot: then it has a bitmap.</returns>
    internal static KvmDirtyRings? TryCreate(DeviceFile machine, IReadOnlyList<MemoryRange> ranges, int entries, Func<int, int> capability)
    {
        var rings = new KvmDirtyRings(machine, ranges, entries);
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
    internal void Attach(DeviceFile vcpu)
    {
        var start = vcpu.Map(Length, KVM_DIRTY_LOG_PAGE_OFFSET * HostReservation.PageSize);
        lock (_gate) _rings.Add(new Ring { Start = (kvm_dirty_gfn*)start });
    }

    /// <summary>Begins with no page written. The kernel's log of the slots begins afterwards.</summary>
    internal void Begin()
    {
        lock (_gate)
        {
            Collect();
            _written = [.. _ranges.Select(range => new ulong[(range.Length / HostReservation.PageSize + 63) / 64])];
        }
    }

    /// <summary>Forgets all. The kernel's log of the slots has ended.</summary>
    internal void End()
    {
        lock (_gate)
        {
            Collect();
            _written = null;
        }
    }

    /// <summary>Takes what the kernel has told of, so that it has room. Any thread, vCPUs' too.</summary>
    internal void Empty()
    {
        lock (_gate) Collect();
    }

    /// <summary>Copies which pages of a range were written since the last time, and begins anew.</summary>
    internal void Take(int range, Span<ulong> bitmap)
    {
        lock (_gate)
        {
            Collect();
            if (_written is null) throw new InvalidOperationException("the log of written pages is off");
            _written[range].CopyTo(bitmap);
            Array.Clear(_written[range]);
        }
    }

    private void Collect()
    {
        var any = false;
        foreach (var ring in _rings)
        {
            while (true)
            {
                // Holds: the index stays below the ring's length.
                ref var entry = ref ring.Start[ring.Next];
                if ((Volatile.Read(ref entry.flags) & KVM_DIRTY_GFN_F_DIRTY) == 0) break;
                Mark((int)(entry.slot & 0xffff), entry.offset);
                Volatile.Write(ref entry.flags, KVM_DIRTY_GFN_F_RESET);
                ring.Next = (ring.Next + 1) % _entries;
                any = true;
            }
        }
        // The kernel watches these pages again from here on.
        if (any) _ = _machine.Request(KVM_RESET_DIRTY_RINGS);
    }

    private void Mark(int slot, ulong page)
    {
        if (_written is not null && (uint)slot < (uint)_written.Length && page / 64 < (ulong)_written[slot].Length) _written[slot][page / 64] |= 1ul << (int)(page & 63);
    }
}
