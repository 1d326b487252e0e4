// The driver's side of one queue as a careful driver has it, in either layout: buffers in any order, tables of descriptors of their own,
// notifications and interrupts only as both sides ask for them. A notification or an interrupt that is lost leaves it waiting for ever,
// and a buffer that comes back twice, or that nobody offered, fails.
using Lamina.Tests.Devices.Virtio;
using Xunit;

namespace Lamina.Tests.Devices.Saved;

/// <summary>How a ring is worked with.</summary>
internal readonly record struct ModelLayout(bool Packed, bool Events, bool Indirect)
{
    public ulong Features => TestFeatures.Plain | (Packed ? TestFeatures.Packed : 0) | (Events ? TestFeatures.Events : 0) | (Indirect ? TestFeatures.Indirect : 0);
}

/// <summary>A queue with eight buffers of at most four pieces.</summary>
internal sealed class ModelRing(uint index, ModelLayout layout, ulong at)
{
    public const int Slots = 8;
    private const uint Size = 32, PerSlot = 4;

    private readonly bool[] _isOut = new bool[Slots];
    private readonly uint[] _descriptors = new uint[Slots];
    private ushort _available, _seen;
    private uint _next, _nextUsed, _free = Size;
    private bool _wrap = true, _usedWrap = true;

    public uint Index => index;

    public TestGuest Guest { get; set; } = null!;

    /// <summary>How many buffers the device has.</summary>
    public int Out => _isOut.Count(isOut => isOut);

    // The areas of the driver and of the device, and tables; the same places in both layouts.
    private ulong Driver => at + 0x200;

    private ulong Device => at + 0x300;

    private ulong Table(int slot) => at + 0x800 + (ulong)slot * PerSlot * 16;

    private ulong UsedEvent => Driver + 4 + 2 * Size;

    private ulong AvailableEvent => Device + 4 + 8 * Size;

    public void Place() => Guest.PlaceQueue(index, Size, at, Driver, Device);

    /// <summary>The next buffer's number, or -1 where all are out.</summary>
    public int NextSlot => _free >= PerSlot ? Array.IndexOf(_isOut, false) : -1;

    /// <summary>Offers a buffer, and notifies the device if it wants that.</summary>
    public void Offer(int slot, bool inTable, params Part[] parts)
    {
        Assert.False(_isOut[slot]);
        inTable &= layout.Indirect;
        var written = inTable ? [(Table(slot), (uint)parts.Length * 16, (ushort)4)] : parts.Select(part => (part.Address, part.Length, Flags(part))).ToArray();
        if (inTable)
            for (var i = 0; i < parts.Length; i++)
                DescribeInTable(Table(slot) + (ulong)i * 16, parts[i], i + 1 < parts.Length ? i + 1 : 0);
        (_isOut[slot], _descriptors[slot]) = (true, (uint)written.Length);
        _free -= (uint)written.Length;
        if (layout.Packed ? OfferPacked(slot, written) : OfferSplit(slot, written)) Guest.Write(0x50, index);
    }

    /// <summary>Whether something came back.</summary>
    public bool HasUsed => layout.Packed
        ? Guest.Load<ushort>(at + 16 * _nextUsed + 14) is var flags && (flags >> 7 & 1) == (_usedWrap ? 1 : 0) && flags >> 15 == (_usedWrap ? 1 : 0)
        : Guest.Load<ushort>(Device + 2) != _seen;

    /// <summary>Takes what came back first.</summary>
    public (int Slot, uint Length)? TakeUsed()
    {
        if (!HasUsed) return null;
        uint id, length;
        if (layout.Packed)
        {
            id = Guest.Load<ushort>(at + 16 * _nextUsed + 12);
            length = Guest.Load<uint>(at + 16 * _nextUsed + 8);
        }
        else
        {
            var element = Device + 4 + 8ul * (_seen++ % Size);
            (id, length) = (Guest.Load<uint>(element), Guest.Load<uint>(element + 4));
            Assert.Equal(0u, id % PerSlot);
            id /= PerSlot;
        }
        Assert.InRange(id, 0u, Slots - 1u);
        Assert.True(_isOut[id], $"queue {index}: buffer {id} came back and was not out");
        _isOut[id] = false;
        _free += _descriptors[id];
        if (layout.Packed) Advance(ref _nextUsed, ref _usedWrap, _descriptors[id]);
        return ((int)id, length);
    }

    /// <summary>Wants no interrupts for a while.</summary>
    public void Mask()
    {
        if (layout.Packed) Guest.Store(Driver + 2, (ushort)1);
        else if (!layout.Events) Guest.Store(Driver, (ushort)1);
    }

    /// <summary>Wants an interrupt with the next buffer that comes back; one that is there already may come without.</summary>
    public void Unmask()
    {
        if (layout.Packed)
        {
            Guest.Store(Driver, (ushort)(_nextUsed | (_usedWrap ? 1u << 15 : 0)));
            Guest.Store(Driver + 2, (ushort)(layout.Events ? 2 : 0));
        }
        else if (layout.Events)
        {
            Guest.Store(UsedEvent, _seen);
        }
        else
        {
            Guest.Store(Driver, (ushort)0);
        }
    }

    private static ushort Flags(Part part) => (ushort)(part.Writable ? 2 : 0);

    // In a packed ring's table descriptors follow one another, and the flags stand behind an ID that means nothing (2.8.7).
    private void DescribeInTable(ulong place, Part part, int next)
    {
        if (layout.Packed) Describe(place, (part.Address, part.Length, 0), Flags(part));
        else Describe(place, (part.Address, part.Length, (ushort)(Flags(part) | (next != 0 ? 1 : 0))), (ushort)next);
    }

    private void Describe(ulong place, (ulong Address, uint Length, ushort Flags) descriptor, ushort next)
    {
        Guest.Store(place, descriptor.Address);
        Guest.Store(place + 8, descriptor.Length);
        Guest.Store(place + 12, descriptor.Flags);
        Guest.Store(place + 14, next);
    }

    // Whether to notify. virtio 1.2, 2.7.13 and 2.7.10.
    private bool OfferSplit(int slot, (ulong Address, uint Length, ushort Flags)[] parts)
    {
        var head = (uint)slot * PerSlot;
        for (uint i = 0; i < parts.Length; i++)
            Describe(at + 16 * (head + i), (parts[i].Address, parts[i].Length, (ushort)(parts[i].Flags | (i + 1 < parts.Length ? 1 : 0))), (ushort)(head + i + 1));
        Guest.Store(Driver + 4 + 2ul * (_available % Size), (ushort)head);
        Guest.Store(Driver + 2, ++_available);
        return layout.Events ? Guest.Load<ushort>(AvailableEvent) == (ushort)(_available - 1) : Guest.Load<ushort>(Device) == 0;
    }

    // 2.8.13 to 2.8.15.
    private bool OfferPacked(int slot, (ulong Address, uint Length, ushort Flags)[] parts)
    {
        for (var i = 0; i < parts.Length; i++)
        {
            var place = at + 16 * _next;
            Guest.Store(place, parts[i].Address);
            Guest.Store(place + 8, parts[i].Length);
            Guest.Store(place + 12, (ushort)slot);
            Guest.Store(place + 14, (ushort)(parts[i].Flags | (i + 1 < parts.Length ? 1 : 0) | (_wrap ? 1 << 7 : 1 << 15)));
            Advance(ref _next, ref _wrap, 1);
        }
        var flags = Guest.Load<ushort>(Device + 2);
        if (flags != 2) return flags == 0;
        var wanted = Guest.Load<ushort>(Device);
        var offset = wanted & 0x7fff;
        if (wanted >> 15 != (_wrap ? 1 : 0)) offset -= (int)Size;
        return (ushort)((int)_next - offset - 1) < parts.Length;
    }

    private static void Advance(ref uint position, ref bool wrap, uint by)
    {
        position += by;
        if (position < Size) return;
        position -= Size;
        wrap = !wrap;
    }
}
