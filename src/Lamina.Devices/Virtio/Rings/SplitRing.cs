// The split layout: descriptor table, available ring, used ring. virtio 1.2, 2.7.
// Everything read from guest memory is copied once and then checked. Whatever the driver wrote, a walk ends after a
// bounded number of steps.
using System.Numerics;
using System.Runtime.InteropServices;
using Lamina.Core.Inspection;
using Lamina.Core.Memory;
using Lamina.Core.State;

namespace Lamina.Devices.Virtio.Rings;

internal sealed class SplitRing : IRing
{
    private readonly GuestMemory _memory;
    private readonly RingLayout _layout;
    private readonly bool _indirect;
    private readonly bool _eventIndex;
    private readonly int _chainLimit;

    private ushort _nextAvailable;
    private ushort _nextUsed;
    private ushort _signalled;
    private bool _suppressed;

    private SplitRing(GuestMemory memory, RingLayout layout, ulong features)
    {
        _memory = memory;
        _layout = layout;
        _indirect = (features & VirtioFeatures.IndirectDescriptors) != 0;
        _eventIndex = (features & VirtioFeatures.EventIndex) != 0;
        _chainLimit = Math.Max((int)layout.Size, RingSpec.MinimumChainLimit);
    }

    // 2.7.5
    [StructLayout(LayoutKind.Sequential)]
    private struct Descriptor
    {
        internal ulong Address;
        internal uint Length;
        internal ushort Flags;
        internal ushort Next;
    }

    /// <summary>Makes a ring where the driver's layout is possible; otherwise says what is wrong with it.</summary>
    internal static SplitRing? TryCreate(GuestMemory memory, RingLayout layout, ulong features, out string? reason)
    {
        var size = (ulong)layout.Size;
        reason = null;
        // 2.7: sizes and alignments of the parts.
        if (size > RingSpec.MaximumSize || !BitOperations.IsPow2(size)) reason = $"a split queue cannot have {size} descriptors";
        else if (layout.DescriptorArea % 16 != 0 || layout.DriverArea % 2 != 0 || layout.DeviceArea % 4 != 0) reason = "a part of the queue is not aligned";
        else if (!memory.IsRam(layout.DescriptorArea, size * RingSpec.DescriptorSize)
            || !memory.IsRam(layout.DriverArea, RingSpec.AvailableRing + size * 2 + 2)
            || !memory.IsRam(layout.DeviceArea, RingSpec.UsedRing + size * RingSpec.UsedElementSize + 2)) reason = "a part of the queue is not in RAM";
        return reason is null ? new SplitRing(memory, layout, features) : null;
    }

    public void Inspect(InspectNode node)
    {
        node.Say("layout", "split");
        node.Say("next available", (long)_nextAvailable);
        node.Say("next used", (long)_nextUsed);
        node.Say("available index in memory", (long)RingMemory.Load(_memory, _layout.DriverArea + RingSpec.AvailableIndex));
    }

    public TakeResult TryTake(DescriptorChain chain, out string? reason)
    {
        reason = null;
        var available = RingMemory.Load(_memory, _layout.DriverArea + RingSpec.AvailableIndex);
        if (available == _nextAvailable) return TakeResult.Empty;
        if ((ushort)(available - _nextAvailable) > _layout.Size)
        {
            reason = $"the available index jumped from {_nextAvailable} to {available}";
            return TakeResult.Broken;
        }
        SuppressNotification();
        var slot = (uint)_nextAvailable & (_layout.Size - 1);
        var head = RingMemory.Load(_memory, _layout.DriverArea + RingSpec.AvailableRing + slot * 2);
        chain.Id = head;
        reason = Walk(chain, _layout.DescriptorArea, _layout.Size, head, inTable: false);
        if (reason is not null) return TakeResult.Broken;
        _nextAvailable++;
        return TakeResult.Taken;
    }

    public bool HasAvailable => RingMemory.Load(_memory, _layout.DriverArea + RingSpec.AvailableIndex) != _nextAvailable;

    public void Complete(DescriptorChain chain, uint written, bool more)
    {
        var slot = (uint)_nextUsed & (_layout.Size - 1);
        var element = chain.Id | (ulong)written << 32;
        _memory.TryWrite(_layout.DeviceArea + RingSpec.UsedRing + slot * RingSpec.UsedElementSize, element);
        _nextUsed++;
        // 2.7.8.2: the element is there before the index says so.
        if (!more) RingMemory.Store(_memory, _layout.DeviceArea + RingSpec.UsedIndex, _nextUsed);
    }

    public bool TakeSignal()
    {
        var steps = (ushort)(_nextUsed - _signalled);
        if (steps == 0) return false;
        _signalled = _nextUsed;
        // The used index must be visible before the driver's wish is read, or both sides could miss the other's change.
        Interlocked.MemoryBarrier();
        if (_eventIndex)
        {
            var wanted = RingMemory.Load(_memory, _layout.DriverArea + RingSpec.AvailableRing + _layout.Size * 2);
            return RingMemory.Passed(wanted, _nextUsed, steps);
        }
        return (RingMemory.Load(_memory, _layout.DriverArea + RingSpec.AvailableFlags) & RingSpec.AvailableNoInterrupt) == 0;
    }

    // 2.7.10. With the event index, an index that the driver does not pass is the suppression: it is moved only here.
    public void AskForNotification()
    {
        if (_eventIndex) RingMemory.Store(_memory, _layout.DeviceArea + RingSpec.UsedRing + _layout.Size * RingSpec.UsedElementSize, _nextAvailable);
        else if (_suppressed) RingMemory.Store(_memory, _layout.DeviceArea + RingSpec.UsedFlags, 0);
        _suppressed = false;
        // The wish must be visible before the index is looked at again.
        Interlocked.MemoryBarrier();
    }

    public void Exchange(SavedFields fields)
    {
        fields.Value(1, ref _nextAvailable);
        fields.Value(2, ref _nextUsed);
        fields.Value(3, ref _signalled);
        fields.Value(4, ref _suppressed);
    }

    public bool HasInHand(int buffers, ulong descriptors) => (ushort)(_nextAvailable - _nextUsed) == buffers;

    private void SuppressNotification()
    {
        if (_suppressed || _eventIndex) return;
        _suppressed = true;
        RingMemory.Store(_memory, _layout.DeviceArea + RingSpec.UsedFlags, RingSpec.UsedNoNotify);
    }

    // 2.7.5 and, for a table of its own, 2.7.5.3. The reason where a rule is broken.
    private string? Walk(DescriptorChain chain, ulong table, uint entries, ushort first, bool inTable)
    {
        uint index = first;
        for (uint steps = 0; ; steps++)
        {
            if (index >= entries) return $"descriptor {index} lies outside a table of {entries}";
            if (steps == entries) return "a descriptor chain is a loop";
            if (chain.Count == _chainLimit) return $"a descriptor chain has more than {_chainLimit} descriptors";
            if (!_memory.TryRead(table + index * RingSpec.DescriptorSize, out Descriptor descriptor)) return "a descriptor is not in RAM";
            if ((descriptor.Flags & RingSpec.DescriptorIndirect) != 0)
                return inTable ? "an indirect descriptor stands in an indirect table" : WalkTable(chain, descriptor);
            var wrong = chain.Add(descriptor.Address, descriptor.Length, (descriptor.Flags & RingSpec.DescriptorWrite) != 0);
            if (wrong is not null) return wrong;
            if ((descriptor.Flags & RingSpec.DescriptorNext) == 0) return null;
            index = descriptor.Next;
        }
    }

    private string? WalkTable(DescriptorChain chain, in Descriptor descriptor)
    {
        if (!_indirect) return "an indirect descriptor was used without having been negotiated";
        if ((descriptor.Flags & RingSpec.DescriptorNext) != 0) return "an indirect descriptor has a next one";
        if (descriptor.Length == 0 || descriptor.Length % RingSpec.DescriptorSize != 0) return $"an indirect table is {descriptor.Length} bytes long";
        if (!_memory.IsRam(descriptor.Address, descriptor.Length)) return "an indirect table is not in RAM";
        return Walk(chain, descriptor.Address, descriptor.Length / RingSpec.DescriptorSize, 0, inTable: true);
    }
}
