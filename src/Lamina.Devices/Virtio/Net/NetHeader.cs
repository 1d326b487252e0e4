// struct virtio_net_hdr (virtio 1.2, 5.1.6), read and written: what is left to do for a frame. What a driver wrote is
// believed only where it fits the frame and what was negotiated.
using System.Buffers.Binary;
using Lamina.Core.Net;

namespace Lamina.Devices.Virtio.Net;

/// <summary>Translates between a header and a <see cref="FrameOffload"/>.</summary>
internal static class NetHeader
{
    /// <summary>Reads the header of a frame that the driver sends.</summary>
    /// <param name="header">The header.</param>
    /// <param name="frameLength">The length of the frame behind it.</param>
    /// <param name="features">What was negotiated.</param>
    /// <param name="offload">What is to be done.</param>
    /// <returns>False where the header makes no sense; the frame is to be dropped.</returns>
    internal static bool TryRead(ReadOnlySpan<byte> header, int frameLength, ulong features, out FrameOffload offload)
    {
        offload = default;
        var needsChecksum = (header[NetSpec.HeaderFlags] & NetSpec.FlagNeedsChecksum) != 0;
        var start = BinaryPrimitives.ReadUInt16LittleEndian(header[NetSpec.HeaderChecksumStart..]);
        var offset = BinaryPrimitives.ReadUInt16LittleEndian(header[NetSpec.HeaderChecksumOffset..]);
        if (needsChecksum && ((features & NetSpec.FeatureChecksum) == 0 || start < NetSpec.EthernetHeader || start + offset + 2 > frameLength)) return false;
        if (needsChecksum) offload = new FrameOffload { NeedsChecksum = true, ChecksumStart = start, ChecksumOffset = offset };

        var kind = header[NetSpec.HeaderSegmentation];
        if (kind == NetSpec.SegmentNone) return true;
        var ecn = (kind & NetSpec.SegmentEcn) != 0;
        var (segmentation, feature) = (kind & ~NetSpec.SegmentEcn) switch
        {
            NetSpec.SegmentTcp4 => (NetOffloads.Tcp4Segmentation, NetSpec.FeatureHostTso4),
            NetSpec.SegmentTcp6 => (NetOffloads.Tcp6Segmentation, NetSpec.FeatureHostTso6),
            _ => (NetOffloads.None, 0ul),
        };
        var size = BinaryPrimitives.ReadUInt16LittleEndian(header[NetSpec.HeaderSegmentSize..]);
        // 5.1.6.2: a segmented frame needs its check sum, too.
        if ((features & feature) == 0 || size == 0 || !needsChecksum || (ecn && (features & NetSpec.FeatureHostEcn) == 0)) return false;
        // 5.1.6.2.2: the header's length is a hint only; the end of TCP's own is told by TCP. Its least is behind the sum.
        var headers = BinaryPrimitives.ReadUInt16LittleEndian(header[NetSpec.HeaderHeaderLength..]);
        offload = offload with { Segmentation = segmentation, SegmentSize = size, HeaderLength = headers, Ecn = ecn };
        return true;
    }

    /// <summary>Writes the header of a frame for the driver.</summary>
    /// <param name="header">Filled.</param>
    /// <param name="offload">What is left to do.</param>
    /// <param name="buffers">How many buffers the frame takes.</param>
    /// <param name="dataValid">Whether the driver may be told that a check sum is right.</param>
    internal static void Write(Span<byte> header, in FrameOffload offload, int buffers, bool dataValid)
    {
        header.Clear();
        if (header.Length > NetSpec.HeaderBuffers) BinaryPrimitives.WriteUInt16LittleEndian(header[NetSpec.HeaderBuffers..], (ushort)buffers);
        if (offload.NeedsChecksum)
        {
            header[NetSpec.HeaderFlags] = NetSpec.FlagNeedsChecksum;
            BinaryPrimitives.WriteUInt16LittleEndian(header[NetSpec.HeaderChecksumStart..], offload.ChecksumStart);
            BinaryPrimitives.WriteUInt16LittleEndian(header[NetSpec.HeaderChecksumOffset..], offload.ChecksumOffset);
        }
        else if (offload.ChecksumIsValid && dataValid)
        {
            header[NetSpec.HeaderFlags] = NetSpec.FlagDataValid;
        }
        if (offload.Segmentation == NetOffloads.None) return;
        header[NetSpec.HeaderSegmentation] = (byte)((offload.Segmentation == NetOffloads.Tcp4Segmentation ? NetSpec.SegmentTcp4 : NetSpec.SegmentTcp6)
            | (offload.Ecn ? NetSpec.SegmentEcn : 0));
        BinaryPrimitives.WriteUInt16LittleEndian(header[NetSpec.HeaderHeaderLength..], offload.HeaderLength);
        BinaryPrimitives.WriteUInt16LittleEndian(header[NetSpec.HeaderSegmentSize..], offload.SegmentSize);
    }

    /// <summary>What a receiver with these features can do.</summary>
    internal static NetOffloads GuestOffloads(ulong features) =>
        ((features & NetSpec.FeatureGuestChecksum) != 0 ? NetOffloads.Checksum : NetOffloads.None)
        | ((features & NetSpec.FeatureGuestTso4) != 0 ? NetOffloads.Tcp4Segmentation : NetOffloads.None)
        | ((features & NetSpec.FeatureGuestTso6) != 0 ? NetOffloads.Tcp6Segmentation : NetOffloads.None)
        | ((features & NetSpec.FeatureGuestEcn) != 0 ? NetOffloads.Ecn : NetOffloads.None);

    /// <summary>The features to offer for what a backend takes.</summary>
    internal static ulong HostFeatures(NetOffloads offloads) =>
        (offloads.HasFlag(NetOffloads.Checksum) ? NetSpec.FeatureChecksum : 0)
        | (offloads.HasFlag(NetOffloads.Tcp4Segmentation) ? NetSpec.FeatureHostTso4 : 0)
        | (offloads.HasFlag(NetOffloads.Tcp6Segmentation) ? NetSpec.FeatureHostTso6 : 0)
        | (offloads.HasFlag(NetOffloads.Ecn) ? NetSpec.FeatureHostEcn : 0);
}
