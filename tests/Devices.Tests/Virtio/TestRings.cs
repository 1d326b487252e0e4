// The driver's side of virtqueues in guest memory, as a kernel writes it: split and packed.
using Lamina.Devices.Virtio.Rings;

namespace Lamina.Tests.Devices.Virtio;

/// <summary>A descriptor to be written.</summary>
internal readonly record struct Part(ulong Address, uint Length, bool Writable = false);

/// <summary>What both layouts let a driver do.</summary>
internal interface ITestRing
{
    /// <summary>Makes a buffer available, without notifying.</summary>
    ushort Offer(params Part[] parts);

    /// <summary>The next buffer the device gave back, if any: which, and how many bytes were written.</summary>
    (uint Id, uint Length)? TakeUsed();

    /// <summary>Goes on in another guest, whose memory is a copy.</summary>
    void MoveTo(ITestGuest other);
}

internal sealed class SplitDriver(ITestGuest guest, uint index, uint size, ulong at) : ITestRing
{
    private ushort _nextDescriptor;
    private ushort _available;
    private ushort _seen;

    public uint Index => index;

    public ulong Descriptors => at;

    public ulong Available => at + 16 * size;

    public ulong Used => (Available + 6 + 2 * size + 3) & ~3ul;

    public ushort AvailableIndex
    {
        set => guest.Store(Available + 2, value);
    }

    public ushort UsedIndex => guest.Load<ushort>(Used + 2);

    public ushort UsedFlags => guest.Load<ushort>(Used);

    public ushort AvailableEvent => guest.Load<ushort>(Used + 4 + 8 * size);

    public ushort UsedEvent
    {
        set => guest.Store(Available + 4 + 2 * size, value);
    }

    public ushort AvailableFlags
    {
        set => guest.Store(Available, value);
    }

    public SplitDriver Place()
    {
        guest.PlaceQueue(index, size, Descriptors, Available, Used);
        return this;
    }

    public void Describe(ulong table, uint number, ulong address, uint length, ushort flags, ushort next = 0)
    {
        guest.Store(table + 16 * number, address);
        guest.Store(table + 16 * number + 8, length);
        guest.Store(table + 16 * number + 12, flags);
        guest.Store(table + 16 * number + 14, next);
    }

    public void Publish(ushort head)
    {
        guest.Store(Available + 4 + 2 * (_available % size), head);
        AvailableIndex = ++_available;
    }

    public ushort Offer(params Part[] parts)
    {
        var head = _nextDescriptor;
        for (var i = 0; i < parts.Length; i++)
        {
            var next = (ushort)((_nextDescriptor + 1) % size);
            var flags = (ushort)((i + 1 < parts.Length ? 1 : 0) | (parts[i].Writable ? 2 : 0));
            Describe(Descriptors, _nextDescriptor, parts[i].Address, parts[i].Length, flags, next);
            _nextDescriptor = next;
        }
        Publish(head);
        return head;
    }

    public void MoveTo(ITestGuest other) => guest = other;

    public (uint Id, uint Length)? TakeUsed()
    {
        if (_seen == UsedIndex) return null;
        var element = Used + 4 + 8 * (_seen++ % size);
        return (guest.Load<uint>(element), guest.Load<uint>(element + 4));
    }
}

internal sealed class PackedDriver(ITestGuest guest, uint index, uint size, ulong at) : ITestRing
{
    private readonly Dictionary<uint, int> _lengths = [];
    private uint _next;
    private bool _wrap = true;
    private uint _nextUsed;
    private bool _usedWrap = true;
    private ushort _id;

    public ulong DriverEvent => at + 16 * size;

    public ulong DeviceEvent => at + 16 * size + 4;

    public uint NextSlot => _next;

    public bool Wrap => _wrap;

    public PackedDriver Place()
    {
        guest.PlaceQueue(index, size, at, DriverEvent, DeviceEvent);
        return this;
    }

    public ushort Offer(params Part[] parts) => OfferRaw([.. parts.Select(part => (part.Address, part.Length, (ushort)(part.Writable ? 2 : 0)))]);

    /// <summary>Writes descriptors with the flags given, next flags and availability added.</summary>
    public ushort OfferRaw(params (ulong Address, uint Length, ushort Flags)[] parts)
    {
        var id = _id++;
        _lengths[id] = parts.Length;
        for (var i = 0; i < parts.Length; i++)
        {
            var slot = at + 16 * _next;
            var flags = parts[i].Flags | (i + 1 < parts.Length ? 1 : 0) | (_wrap ? 1 << 7 : 1 << 15);
            guest.Store(slot, parts[i].Address);
            guest.Store(slot + 8, parts[i].Length);
            guest.Store(slot + 12, id);
            guest.Store(slot + 14, (ushort)flags);
            Advance(ref _next, ref _wrap, 1);
        }
        return id;
    }

    public void MoveTo(ITestGuest other) => guest = other;

    public (uint Id, uint Length)? TakeUsed()
    {
        var slot = at + 16 * _nextUsed;
        var flags = guest.Load<ushort>(slot + 14);
        if ((flags >> 7 & 1) != (_usedWrap ? 1 : 0) || flags >> 15 != (_usedWrap ? 1 : 0)) return null;
        uint id = guest.Load<ushort>(slot + 12);
        Advance(ref _nextUsed, ref _usedWrap, _lengths[id]);
        return (id, guest.Load<uint>(slot + 8));
    }

    private void Advance(ref uint position, ref bool wrap, int by)
    {
        position += (uint)by;
        if (position < size) return;
        position -= size;
        wrap = !wrap;
    }
}

internal static class TestFeatures
{
    public const ulong Plain = VirtioFeatures.Version1;
    public const ulong Indirect = Plain | VirtioFeatures.IndirectDescriptors;
    public const ulong Events = Plain | VirtioFeatures.EventIndex;
    public const ulong Packed = Plain | VirtioFeatures.RingPacked;
}
