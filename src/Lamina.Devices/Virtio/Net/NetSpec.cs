// Constants of the virtio network device. virtio 1.2, 5.1.
using Lamina.Devices.Virtio.Rings;

namespace Lamina.Devices.Virtio.Net;

internal static class NetSpec
{
    // 5.1.3: feature bits.
    internal const ulong FeatureChecksum = 1ul << 0, FeatureGuestChecksum = 1ul << 1, FeatureControlGuestOffloads = 1ul << 2;
    internal const ulong FeatureMtu = 1ul << 3, FeatureMac = 1ul << 5;
    internal const ulong FeatureGuestTso4 = 1ul << 7, FeatureGuestTso6 = 1ul << 8, FeatureGuestEcn = 1ul << 9;
    internal const ulong FeatureHostTso4 = 1ul << 11, FeatureHostTso6 = 1ul << 12, FeatureHostEcn = 1ul << 13;
    internal const ulong FeatureMergeableBuffers = 1ul << 15, FeatureStatus = 1ul << 16;
    internal const ulong FeatureControlQueue = 1ul << 17, FeatureControlReceive = 1ul << 18, FeatureControlVlan = 1ul << 19;
    internal const ulong FeatureGuestAnnounce = 1ul << 21, FeatureMultiQueue = 1ul << 22, FeatureControlMac = 1ul << 23;

    // The features that VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET switches. 5.1.6.5.6.1.
    internal const ulong GuestOffloads = FeatureGuestChecksum | FeatureGuestTso4 | FeatureGuestTso6 | FeatureGuestEcn;

    // 5.1.4: mac, status, max_virtqueue_pairs, mtu.
    internal const int ConfigMac = 0, ConfigStatus = 6, ConfigPairs = 8, ConfigMtu = 10, ConfigLength = 12;
    internal const ushort StatusLinkUp = 1, StatusAnnounce = 2;

    internal const int MacLength = 6;
    internal const int MostPairs = 8;

    // 5.1.4.1: the device's MTU is at least 68 and at most 65535; IPv6 needs 1280 (RFC 8200, 5).
    internal const int LeastMtu = 1280, MostMtu = 65535;

    internal const ushort DataQueueSize = 256, ControlQueueSize = 64;

    // 5.1.6: struct virtio_net_hdr. num_buffers, its last two bytes, is always there with VIRTIO_F_VERSION_1; over the legacy interface
    // (5.1.6.1) only with mergeable buffers.
    internal const int LongestHeader = 12, HeaderWithoutBuffers = 10;

    /// <summary>The length of the header with what was negotiated.</summary>
    internal static int HeaderLength(ulong features) => (features & (VirtioFeatures.Version1 | FeatureMergeableBuffers)) != 0 ? LongestHeader : HeaderWithoutBuffers;
    internal const int HeaderFlags = 0, HeaderSegmentation = 1, HeaderHeaderLength = 2, HeaderSegmentSize = 4;
    internal const int HeaderChecksumStart = 6, HeaderChecksumOffset = 8, HeaderBuffers = 10;
    internal const byte FlagNeedsChecksum = 1, FlagDataValid = 2;
    internal const byte SegmentNone = 0, SegmentTcp4 = 1, SegmentTcp6 = 4, SegmentEcn = 0x80;

    internal const int EthernetHeader = 14, VlanTag = 4;
    internal const ushort EtherTypeVlan = 0x8100, EtherTypeIp4 = 0x0800, EtherTypeIp6 = 0x86dd;

    // An IP packet of 65535 bytes with its Ethernet header and a VLAN tag; IPv6's own header comes on top of its length.
    internal const int LongestFrame = 65535 + 40 + EthernetHeader + VlanTag;

    // After this many frames the worker looks at other queues first.
    internal const int FramesAtOnce = 128;

    // 5.1.6.5: class and command, data, then ack.
    internal const int ControlHeader = 2;
    internal const byte Ok = 0, Error = 1;
    internal const byte ClassReceive = 0, ClassMac = 1, ClassVlan = 2, ClassAnnounce = 3, ClassMultiQueue = 4, ClassGuestOffloads = 5;
    internal const byte ReceivePromiscuous = 0, ReceiveAllMulticast = 1;
    internal const byte MacTableSet = 0, MacAddressSet = 1;
    internal const byte VlanAdd = 0, VlanDelete = 1;
    internal const byte AnnounceAcknowledge = 0;
    internal const byte PairsSet = 0;
    internal const byte OffloadsSet = 0;

    // Longest command that is read: two tables of addresses of which the device keeps no more than this many.
    internal const int MostTableEntries = 64;
    internal const int LongestCommand = ControlHeader + 2 * (4 + MostTableEntries * MacLength);
    internal const int MostVlans = 4096;
}
