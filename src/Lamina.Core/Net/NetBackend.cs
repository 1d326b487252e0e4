// The contract between a network card and what it is plugged into on the host (a NAT stack, a tap interface, a virtual
// switch, a test). Frames are whole Ethernet frames without their check sequence; work that a side has left undone for
// the other (a check sum, the cutting of a large segment) travels beside the frame, as the FrameOffload says.
// Lock order: a card calls Send, Flush and ReadyToReceive with locks of its own held; a backend may call Receive from
// within Send, and with its locks held. ReadyToReceive must not call back on the caller's thread.
namespace Lamina.Core.Net;

/// <summary>Work that a receiver of frames is able to do, or to do without.</summary>
[Flags]
public enum NetOffloads
{
    /// <summary>Only finished frames no longer than the MTU allows.</summary>
    None = 0,

    /// <summary>Frames whose transport check sum is not yet computed.</summary>
    Checksum = 1,

    /// <summary>TCP segments over IPv4 of up to 64 KiB, to be cut into segments.</summary>
    Tcp4Segmentation = 2,

    /// <summary>TCP segments over IPv6 of up to 64 KiB, to be cut into segments.</summary>
    Tcp6Segmentation = 4,

    /// <summary>Such segments with CWR set.</summary>
    Ecn = 8,
}

/// <summary>What is left to do for a frame.</summary>
public readonly record struct FrameOffload
{
    /// <summary>
    /// Whether a check sum from <see cref="ChecksumStart"/> to the frame's end is to be put at <see cref="ChecksumOffset"/>
    /// behind the start; the pseudo header's sum stands there already.
    /// </summary>
    public bool NeedsChecksum { get; init; }

    /// <summary>Offset in the frame of the first byte that is summed.</summary>
    public ushort ChecksumStart { get; init; }

    /// <summary>Offset of the sum behind <see cref="ChecksumStart"/>.</summary>
    public ushort ChecksumOffset { get; init; }

    /// <summary>Whether the transport check sum is known to be right.</summary>
    public bool ChecksumIsValid { get; init; }

    /// <summary><see cref="NetOffloads.Tcp4Segmentation"/>, <see cref="NetOffloads.Tcp6Segmentation"/>, or none where the frame is not to be cut.</summary>
    public NetOffloads Segmentation { get; init; }

    /// <summary>Payload bytes of each segment to be cut.</summary>
    public ushort SegmentSize { get; init; }

    /// <summary>Length of the headers that each segment repeats, Ethernet's included.</summary>
    public ushort HeaderLength { get; init; }

    /// <summary>Whether CWR belongs to the first segment only.</summary>
    public bool Ecn { get; init; }
}

/// <summary>The card's end: takes frames for the guest.</summary>
public interface INetReceiver
{
    /// <summary>What the guest's driver takes at this time. Frames that need more must not be offered.</summary>
    NetOffloads Offloads { get; }

    /// <summary>Offers a frame to the guest. Any thread.</summary>
    /// <param name="frame">Copied before the call returns.</param>
    /// <param name="offload">What is left to do for it.</param>
    /// <returns>
    /// False where the guest has no room just now: the backend keeps or drops it, and <see cref="INetBackend.ReadyToReceive"/>
    /// tells when there is. A frame that the guest does not want, or when it has no driver, is taken and dropped.
    /// </returns>
    bool Receive(ReadOnlySpan<byte> frame, in FrameOffload offload);
}

/// <summary>The host's end.</summary>
public interface INetBackend : IDisposable
{
    /// <summary>The longest packet inside a frame, in bytes, that the guest should send.</summary>
    int Mtu { get; }

    /// <summary>What it takes of the guest's frames; fixed.</summary>
    NetOffloads Offloads { get; }

    /// <summary>Whether the other end of the cable is connected.</summary>
    bool IsLinkUp { get; }

    /// <summary>Raised with no lock held after <see cref="IsLinkUp"/> changed.</summary>
    event Action? LinkChanged;

    /// <summary>Names the receiver of frames. Called once, before the guest runs.</summary>
    void Attach(INetReceiver receiver);

    /// <summary>Connects it to the host: frames flow from now on. Called once, after <see cref="Attach"/>.</summary>
    void Start();

    /// <summary>
    /// Takes a frame from the guest. Any thread; never blocks for long, and never throws: what cannot be sent is dropped,
    /// as on any network.
    /// </summary>
    /// <param name="frame">At least an Ethernet header; copied or used before the call returns.</param>
    /// <param name="offload">What is left to do, no more than <see cref="Offloads"/> allows; its offsets lie in the frame.</param>
    void Send(ReadOnlySpan<byte> frame, in FrameOffload offload);

    /// <summary>Tells that the guest has sent what it wanted to for now, so that answers need not wait for more.</summary>
    void Flush();

    /// <summary>What the guest's driver takes has changed (<see cref="INetReceiver.Offloads"/>).</summary>
    void OffloadsChanged();

    /// <summary>Tells that the guest has room again after <see cref="INetReceiver.Receive"/> said no. Spurious calls are harmless.</summary>
    void ReadyToReceive();
}
