// Constants of queues: the feature bits that they and the negotiation know, and the layouts of their rings.
namespace Lamina.Devices.Virtio.Rings;

/// <summary>Feature bits that belong to queues and negotiation rather than to a device type. virtio 1.2, 6.</summary>
public static class VirtioFeatures
{
    /// <summary>VIRTIO_F_ANY_LAYOUT, of the legacy interface only: the device makes no assumptions about how messages are cut into descriptors (6.3).</summary>
    public const ulong AnyLayout = 1ul << 27;

    /// <summary>VIRTIO_F_INDIRECT_DESC: descriptor tables outside the ring (2.7.5.3, 2.8.7).</summary>
    public const ulong IndirectDescriptors = 1ul << 28;

    /// <summary>VIRTIO_F_EVENT_IDX: notifications by index rather than by flag (2.7.7, 2.7.10, 2.8.10).</summary>
    public const ulong EventIndex = 1ul << 29;

    /// <summary>VIRTIO_F_VERSION_1: not the legacy interface.</summary>
    public const ulong Version1 = 1ul << 32;

    /// <summary>VIRTIO_F_RING_PACKED: packed virtqueues (2.8).</summary>
    public const ulong RingPacked = 1ul << 34;

    /// <summary>VIRTIO_F_RING_RESET: queues can be reset one by one (2.6.1).</summary>
    public const ulong RingReset = 1ul << 40;
}

/// <summary>The layout of split rings (virtio 1.2, 2.7) and what packed ones share with it.</summary>
internal static class RingSpec
{
    internal const int DescriptorSize = 16;

    // 2.7.5 and 2.8.13
    internal const ushort DescriptorNext = 1, DescriptorWrite = 2, DescriptorIndirect = 4;

    // 2.7: "The maximum Queue Size value is 32768".
    internal const int MaximumSize = 32768;

    // 2.7.6: flags, idx, ring[size], used_event.
    internal const ulong AvailableFlags = 0, AvailableIndex = 2, AvailableRing = 4;
    internal const ushort AvailableNoInterrupt = 1;

    // 2.7.8: flags, idx, ring[size] of (id, len), avail_event.
    internal const ulong UsedFlags = 0, UsedIndex = 2, UsedRing = 4;
    internal const ulong UsedElementSize = 8;
    internal const ushort UsedNoNotify = 1;

    // 2.8.1: the two bits that make a packed descriptor available or used; 2.8.13: offsets in it.
    internal const ushort PackedAvailable = 1 << 7, PackedUsed = 1 << 15;
    internal const ulong PackedLength = 8, PackedId = 12, PackedFlags = 14;

    // 2.8.14: event suppression (offset and wrap, then flags).
    internal const ulong EventOffset = 0, EventFlags = 2;
    internal const ushort EventEnable = 0, EventDisable = 1, EventDescriptor = 2, EventFlagsMask = 3;
    internal const ushort EventWrap = 1 << 15;

    // Linux may place up to this many buffers into an indirect table whatever the queue's size; hosts commonly take them.
    internal const int MinimumChainLimit = 1024;
}
