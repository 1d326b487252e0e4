// A machine on a tap interface of the host's: its frames are the host kernel's affair, which routes or bridges them. Sums
// and segmentation are left to whoever needs them. One thread reads; sending is done on the card's threads.
using System.Buffers.Binary;
using Lamina.Backends.Net.Wire;
using Lamina.Core.Inspection;
using Lamina.Core.Net;
using Lamina.Host.Io;
using Lamina.Host.Net;

namespace Lamina.Backends.Net.Tap;

/// <summary>A tap interface.</summary>
public sealed class TapBackend : NetThread, IInspected
{
    // struct virtio_net_hdr, include/uapi/linux/virtio_net.h.
    private const int Flags = 0, Segmentation = 1, Headers = 2, SegmentSize = 4, ChecksumStart = 6, ChecksumOffset = 8;
    private const byte NeedsChecksum = 1, ChecksumIsValid = 2;
    private const byte SegmentTcp4 = 1, SegmentTcp6 = 4, SegmentEcn = 0x80;
    private const int LeastMtu = 1280;

    private readonly TapInterface _tap;
    private readonly Lock _sending = new();
    private readonly byte[] _outbound = new byte[TapInterface.HeaderLength + Ethernet.LongestFrame];
    private readonly byte[] _inbound = new byte[TapInterface.HeaderLength + Ethernet.LongestFrame];
    private INetReceiver? _receiver;
    private volatile bool _isWaiting, _isGone;

    /// <summary>Opens an interface that exists, or makes one that goes with the machine.</summary>
    /// <param name="name">Its name; null for one that the host chooses.</param>
    /// <param name="bridge">A bridge to add it to, or null.</param>
    /// <exception cref="Host.HostException">The host refuses something.</exception>
    public TapBackend(string? name, string? bridge) : base("net-tap")
    {
        try
        {
            _tap = TapInterface.Open(name, bridge);
        }
        catch
        {
            Dispose();
            throw;
        }
        Mtu = Math.Max(_tap.Mtu, LeastMtu);
    }

    /// <inheritdoc/>
    public override int Mtu { get; }

    /// <inheritdoc/>
    public override bool IsLinkUp => !_isGone;

    /// <summary>The interface's name.</summary>
    public string Name => _tap.Name;

    /// <inheritdoc/>
    public void Inspect(InspectNode node)
    {
        node.Kind = "tap interface";
        node.Say("interface", Name);
        node.Say("waits for the guest", _isWaiting);
    }

    /// <inheritdoc/>
    public override void Attach(INetReceiver receiver) => _receiver = receiver;

    /// <inheritdoc/>
    public override void Send(ReadOnlySpan<byte> frame, in FrameOffload offload)
    {
        lock (_sending)
        {
            var header = _outbound.AsSpan(0, TapInterface.HeaderLength);
            header.Clear();
            if (offload.NeedsChecksum)
            {
                header[Flags] = NeedsChecksum;
                BinaryPrimitives.WriteUInt16LittleEndian(header[ChecksumStart..], offload.ChecksumStart);
                BinaryPrimitives.WriteUInt16LittleEndian(header[ChecksumOffset..], offload.ChecksumOffset);
            }
            if (offload.Segmentation != NetOffloads.None)
            {
                header[Segmentation] = (byte)((offload.Segmentation == NetOffloads.Tcp4Segmentation ? SegmentTcp4 : SegmentTcp6) | (offload.Ecn ? SegmentEcn : 0));
                BinaryPrimitives.WriteUInt16LittleEndian(header[Headers..], offload.HeaderLength);
                BinaryPrimitives.WriteUInt16LittleEndian(header[SegmentSize..], offload.SegmentSize);
            }
            frame.CopyTo(_outbound.AsSpan(TapInterface.HeaderLength));
            // A frame that the host does not take is lost, as on any network.
            if (!IsStopping) _ = HostIo.Write(_tap.Descriptor, _outbound.AsSpan(0, TapInterface.HeaderLength + frame.Length));
        }
    }

    /// <inheritdoc/>
    public override void Flush()
    {
        // Every frame is the host's at once.
    }

    /// <inheritdoc/>
    public override void OffloadsChanged()
    {
        var offloads = _receiver?.Offloads ?? NetOffloads.None;
        _tap.SetOffloads((offloads.HasFlag(NetOffloads.Checksum) ? TapOffloads.Checksum : TapOffloads.None)
            | (offloads.HasFlag(NetOffloads.Tcp4Segmentation) ? TapOffloads.Tcp4 : TapOffloads.None)
            | (offloads.HasFlag(NetOffloads.Tcp6Segmentation) ? TapOffloads.Tcp6 : TapOffloads.None)
            | (offloads.HasFlag(NetOffloads.Ecn) ? TapOffloads.Ecn : TapOffloads.None));
    }

    /// <inheritdoc/>
    public override void ReadyToReceive()
    {
        if (_isWaiting) Wake.Set();
    }

    private protected override void Close()
    {
        lock (_sending) _tap?.Dispose();
    }

    private protected override void Run()
    {
        while (!IsStopping)
        {
            var (readable, woken) = HostIo.Wait((_tap.Descriptor, HostPoll.Readable), (Wake.Descriptor, HostPoll.Readable), -1);
            if (woken != HostPoll.None) Wake.Clear();
            if (readable.HasFlag(HostPoll.Closed))
            {
                // It was removed, and does not come back for this descriptor.
                _isGone = true;
                RaiseLinkChanged();
                Report($"the tap interface {Name} is gone; the guest's network card has no link until the machine is started again");
                return;
            }
            while (!IsStopping && HostIo.ReadNow(_tap.Descriptor, _inbound) is > TapInterface.HeaderLength and var count) Deliver(count);
        }
    }

    // Waits for room: meanwhile the host's queue for the interface fills, and its kernel drops.
    private void Deliver(int count)
    {
        var frame = _inbound.AsSpan(TapInterface.HeaderLength, count - TapInterface.HeaderLength);
        var offload = Read(_inbound);
        while (!_receiver!.Receive(frame, offload))
        {
            // Room that is made between the two tries raises the flag's event; the second try finds what came before.
            _isWaiting = true;
            Interlocked.MemoryBarrier();
            if (_receiver.Receive(frame, offload)) break;
            _ = HostIo.Wait((Wake.Descriptor, HostPoll.Readable), (-1, HostPoll.None), -1);
            Wake.Clear();
            if (IsStopping) return;
        }
        _isWaiting = false;
    }

    private static FrameOffload Read(ReadOnlySpan<byte> header)
    {
        var kind = header[Segmentation] & ~SegmentEcn;
        var needs = (header[Flags] & NeedsChecksum) != 0;
        return new FrameOffload
        {
            NeedsChecksum = needs,
            ChecksumIsValid = (header[Flags] & ChecksumIsValid) != 0,
            ChecksumStart = needs ? BinaryPrimitives.ReadUInt16LittleEndian(header[ChecksumStart..]) : (ushort)0,
            ChecksumOffset = needs ? BinaryPrimitives.ReadUInt16LittleEndian(header[ChecksumOffset..]) : (ushort)0,
            Segmentation = kind switch { SegmentTcp4 => NetOffloads.Tcp4Segmentation, SegmentTcp6 => NetOffloads.Tcp6Segmentation, _ => NetOffloads.None },
            SegmentSize = BinaryPrimitives.ReadUInt16LittleEndian(header[SegmentSize..]),
            HeaderLength = BinaryPrimitives.ReadUInt16LittleEndian(header[Headers..]),
            Ecn = (header[Segmentation] & SegmentEcn) != 0,
        };
    }
}
