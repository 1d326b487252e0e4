// The packed layout: one ring of descriptors that both sides write, and an event suppression structure for each side.
// virtio 1.2, 2.8. The same rules as for the split layout: copied once, then checked, and no walk without a bound.
using System.Runtime.InteropServices;
using Lamina.Core.Inspection;
using Lamina.Core.Memory;
using Lamina.Core.State;

namespace Lamina.Devices.Virtio.Rings;

internal sealed class PackedRing : IRing
{
    private readonly GuestMemory _memory;
    private readonly RingLayout _layout;
    private readonly bool _indirect;
    private readonly bool _eventIndex;
    private readonly int _chainLimit;

    // 2.8.1: a position in the ring and the wrap counter that goes with it.
    private Position _nextAvailable = new(0, true);
    private Position _nextUsed = new(0, true);
    private uint _unsignalled;
    private bool _suppressed;
    private (ulong Slot, ushort Flags)? _heldBack;

    private PackedRing(GuestMemory memory, RingLayout layout, ulong features)
    {
        _memory = memory;
        _layout = layout;
        _indirect = (features & VirtioFeatures.IndirectDescriptors) != 0;
        _eventIndex = (features & VirtioFeatures.EventIndex) != 0;
        _chainLimit = Math.Max((int)layout.Size, RingSpec.MinimumChainLimit);
    }

    private readonly record struct Position(uint Slot, bool Wrap)
    {
        internal Position Advance(int by, uint size) =>
            Slot + (uint)by < size ? this with { Slot = Slot + (uint)by } : new Position(Slot + (uint)by - size, !Wrap);

        // How far it is from where both counters were 1 first, modulo two rounds.
        internal ulong Distance(uint size) => Wrap ? Slot : Slot + (ulong)size;

        internal static void Exchange(SavedFields fields, ref Position position)
        {
            var (slot, wrap) = position;
            fields.Value(1, ref slot);
            fields.Value(2, ref wrap);
            position = new Position(slot, wrap);
        }
    }

    // 2.8.13
    [StructLayout(LayoutKind.Sequential)]
    private struct Descriptor
    {
        internal ulong Address;
        internal uint Length;
        internal ushort Id;
        internal ushort Flags;
    }

    /// <summary>Makes a ring where the driver's layout is possible; otherwise says what is wrong with it.</summary>
    internal static PackedRing? TryCreate(GuestMemory memory, RingLayout layout, ulong features, out string? reason)
    {
        reason = null;
        // 2.8.10.1: sizes and alignments of the parts.
        if (layout.Size is 0 or > RingSpec.MaximumSize) reason = $"a packed queue cannot have {layout.Size} descriptors";
        else if (layout.DescriptorArea % 16 != 0 || layout.DriverArea % 4 != 0 || layout.DeviceArea % 4 != 0) reason = "a part of the queue is not aligned";
        else if (!memory.IsRam(layout.DescriptorArea, (ulong)layout.Size * RingSpec.DescriptorSize)
            || !memory.IsRam(layout.DriverArea, 4) || !memory.IsRam(layout.DeviceArea, 4)) reason = "a part of the queue is not in RAM";
        return reason is null ? new PackedRing(memory, layout, features) : null;
    }

    public void Inspect(InspectNode node)
    {
        node.Say("layout", "packed");
        Say("next available", _nextAvailable);
        Say("next used", _nextUsed);

        void Say(string name, Position position)
        {
            node.Say(name, (ulong)position.Slot);
            node.Say($"{name} wraps", position.Wrap);
        }
    }

    public TakeResult TryTake(DescriptorChain chain, out string? reason)
    {
        reason = null;
        if (!HasAvailable) return TakeResult.Empty;
        SuppressNotification();
        reason = Walk(chain);
        if (reason is not null) return TakeResult.Broken;
        _nextAvailable = _nextAvailable.Advance(chain.RingDescriptors, _layout.Size);
        return TakeResult.Taken;
    }

    public bool HasAvailable
    {
        get
        {
            var flags = RingMemory.Load(_memory, Slot(_nextAvailable) + RingSpec.PackedFlags);
            return (flags & RingSpec.PackedAvailable) != 0 == _nextAvailable.Wrap && (flags & RingSpec.PackedUsed) != 0 != _nextAvailable.Wrap;
        }
    }

    public void Complete(DescriptorChain chain, uint written, bool more)
    {
        var at = Slot(_nextUsed);
        _memory.TryWrite(at + RingSpec.PackedLength, written);
        RingMemory.Store(_memory, at + RingSpec.PackedId, chain.Id);
        var flags = (_nextUsed.Wrap ? RingSpec.PackedAvailable | RingSpec.PackedUsed : 0) | (written != 0 ? RingSpec.DescriptorWrite : 0);
        // Of several that belong together the first is made used last: the driver looks no further than to one that is not.
        if (more && _heldBack is null) _heldBack = (at, (ushort)flags);
        else RingMemory.Store(_memory, at + RingSpec.PackedFlags, (ushort)flags);
        if (!more && _heldBack is var (first, firstFlags))
        {
            RingMemory.Store(_memory, first + RingSpec.PackedFlags, firstFlags);
            _heldBack = null;
        }
        // One used descriptor stands for the whole list, whose other slots are skipped. 2.8.6.
        _nextUsed = _nextUsed.Advance(chain.RingDescriptors, _layout.Size);
        _unsignalled += (uint)chain.RingDescriptors;
    }

    public bool TakeSignal()
    {
        var steps = Math.Min(_unsignalled, ushort.MaxValue);
        if (steps == 0) return false;
        _unsignalled = 0;
        // The used descriptors must be visible before the driver's wish is read.
        Interlocked.MemoryBarrier();
        var flags = RingMemory.Load(_memory, _layout.DriverArea + RingSpec.EventFlags) & RingSpec.EventFlagsMask;
        if (flags == RingSpec.EventDisable) return false;
        if (flags != RingSpec.EventDescriptor || !_eventIndex) return true;
        var wanted = RingMemory.Load(_memory, _layout.DriverArea + RingSpec.EventOffset);
        var offset = wanted & ~RingSpec.EventWrap;
        // A position with the other wrap counter lies a whole ring before the one with ours.
        if ((wanted & RingSpec.EventWrap) != 0 != _nextUsed.Wrap) offset -= (int)_layout.Size;
        return RingMemory.Passed((ushort)offset, (ushort)_nextUsed.Slot, (ushort)steps);
    }

    private ulong Slot(Position position) => _layout.DescriptorArea + position.Slot * RingSpec.DescriptorSize;

    // 2.8.14. With the event index the driver notifies when it passes the slot that is waited for; else it always does.
    public void AskForNotification()
    {
        if (_eventIndex)
        {
            RingMemory.Store(_memory, _layout.DeviceArea + RingSpec.EventOffset, (ushort)(_nextAvailable.Slot | (_nextAvailable.Wrap ? RingSpec.EventWrap : 0u)));
            RingMemory.Store(_memory, _layout.DeviceArea + RingSpec.EventFlags, RingSpec.EventDescriptor);
        }
        else if (_suppressed) RingMemory.Store(_memory, _layout.DeviceArea + RingSpec.EventFlags, RingSpec.EventEnable);
        _suppressed = false;
        // The wish must be visible before the descriptor is looked at again.
        Interlocked.MemoryBarrier();
    }

    public void Exchange(SavedFields fields)
    {
        fields.Record(1, ref _nextAvailable, Position.Exchange);
        fields.Record(2, ref _nextUsed, Position.Exchange);
        fields.Value(3, ref _unsignalled);
        fields.Value(4, ref _suppressed);
        SavedFields.Require(_nextAvailable.Slot < _layout.Size && _nextUsed.Slot < _layout.Size,
            $"slots {_nextAvailable.Slot} and {_nextUsed.Slot} of a ring of {_layout.Size}");
    }

    public bool HasInHand(int buffers, ulong descriptors) =>
        (_nextUsed.Distance(_layout.Size) + descriptors) % (2ul * _layout.Size) == _nextAvailable.Distance(_layout.Size);

    private void SuppressNotification()
    {
        if (_suppressed || _eventIndex) return;
        _suppressed = true;
        RingMemory.Store(_memory, _layout.DeviceArea + RingSpec.EventFlags, RingSpec.EventDisable);
    }

    private string? Walk(DescriptorChain chain)
    {
        var position = _nextAvailable;
        for (var count = 1; ; count++)
        {
            if (!_memory.TryRead(Slot(position), out Descriptor descriptor)) return "a descriptor is not in RAM";
            chain.Id = descriptor.Id;
            chain.RingDescriptors = count;
            if ((descriptor.Flags & RingSpec.DescriptorIndirect) != 0)
                return count == 1 ? WalkTable(chain, descriptor) : "an indirect descriptor stands in a chain";
            var wrong = chain.Add(descriptor.Address, descriptor.Length, (descriptor.Flags & RingSpec.DescriptorWrite) != 0);
            if (wrong is not null) return wrong;
            if ((descriptor.Flags & RingSpec.DescriptorNext) == 0) return null;
            if (count == _layout.Size) return "a descriptor chain is a loop";
            position = position.Advance(1, _layout.Size);
        }
    }

    // 2.8.7: the table's descriptors follow one another; of their flags only WRITE counts.
    private string? WalkTable(DescriptorChain chain, in Descriptor descriptor)
    {
        if (!_indirect) return "an indirect descriptor was used without having been negotiated";
        if ((descriptor.Flags & RingSpec.DescriptorNext) != 0) return "an indirect descriptor has a next one";
        if (descriptor.Length == 0 || descriptor.Length % RingSpec.DescriptorSize != 0) return $"an indirect table is {descriptor.Length} bytes long";
        var entries = descriptor.Length / RingSpec.DescriptorSize;
        if (entries > _chainLimit) return $"a descriptor chain has more than {_chainLimit} descriptors";
        for (uint index = 0; index < entries; index++)
        {
            if (!_memory.TryRead(descriptor.Address + index * RingSpec.DescriptorSize, out Descriptor entry)) return "an indirect table is not in RAM";
            var wrong = chain.Add(entry.Address, entry.Length, (entry.Flags & RingSpec.DescriptorWrite) != 0);
            if (wrong is not null) return wrong;
        }
        return null;
    }
}
