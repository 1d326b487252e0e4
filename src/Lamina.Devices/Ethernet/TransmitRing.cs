// What a ring of sent frames has collected: the frame whose descriptors were read so far, and the contexts that a driver has set up for offloads.
using Lamina.Core.Net;
using Lamina.Core.State;
using static Lamina.Devices.Ethernet.E1000Spec;

namespace Lamina.Devices.Ethernet;

/// <summary>A context descriptor's (3.3.6): where the sums of the frames behind it are made, and how they are cut.</summary>
internal struct TransmitContext
{
    private ulong _low, _high;

    internal TransmitContext(ulong low, ulong high) => (_low, _high) = (low, high);

    /// <summary>Where a sum begins, where it is put, and where it ends (the last byte; 0 for the frame's).</summary>
    internal readonly (int Start, int At, int End) NetworkSum => ((int)(_low & 0xff), (int)(_low >> 8 & 0xff), (int)(_low >> 16 & 0xffff));

    /// <inheritdoc cref="NetworkSum"/>
    internal readonly (int Start, int At, int End) TransportSum => ((int)(_low >> 32 & 0xff), (int)(_low >> 40 & 0xff), (int)(_low >> 48));

    /// <summary>What each segment repeats, in bytes.</summary>
    internal readonly int HeaderLength => (int)(_high >> 40 & 0xff);

    /// <summary>The most bytes of a segment behind it.</summary>
    internal readonly int SegmentSize => (int)(_high >> 48);

    internal static void Exchange(SavedFields fields, ref TransmitContext context)
    {
        fields.Value(1, ref context._low);
        fields.Value(2, ref context._high);
    }
}

/// <summary>A ring's work.</summary>
internal sealed class TransmitRing(int index)
{
    /// <summary>A packet of 65535 bytes with its Ethernet header and a tag; IPv6's own header comes on top of its length.</summary>
    internal const int LongestFrame = 65535 + 40 + PacketHeaders.EthernetLength + PacketHeaders.TagLength;

    // Before the frame is room for a tag that is put in.
    private readonly byte[] _bytes = new byte[PacketHeaders.TagLength + LongestFrame];
    private int _length;

    // Of the first descriptor of the frame: its command and options. And whether there was one.
    internal uint Command, Options;
    internal bool HasBegun, IsTooLong;
    internal TransmitContext Context, SegmentContext;

    internal int Index => index;

    internal int Length => _length;

    /// <summary>The frame as far as it came, with room for a tag before it.</summary>
    internal Span<byte> Bytes => _bytes;

    /// <summary>Makes room for more of the frame; nothing where it would be too long.</summary>
    internal Span<byte> Extend(int length)
    {
        if (IsTooLong || _length + length > LongestFrame)
        {
            IsTooLong = true;
            return default;
        }
        var room = _bytes.AsSpan(PacketHeaders.TagLength + _length, length);
        _length += length;
        return room;
    }

    /// <summary>The next descriptor begins a frame.</summary>
    internal void Begin() => (_length, HasBegun, IsTooLong) = (0, false, false);

    internal void Clear()
    {
        Begin();
        (Command, Options, Context, SegmentContext) = (0, 0, default, default);
    }

    internal static void Exchange(SavedFields fields, ref TransmitRing ring)
    {
        var collected = ring._bytes[PacketHeaders.TagLength..(PacketHeaders.TagLength + ring._length)];
        fields.Bytes(1, ref collected, LongestFrame);
        fields.Value(2, ref ring.Command);
        fields.Value(3, ref ring.Options);
        fields.Value(4, ref ring.HasBegun);
        fields.Value(5, ref ring.IsTooLong);
        fields.Record(6, ref ring.Context, TransmitContext.Exchange);
        fields.Record(7, ref ring.SegmentContext, TransmitContext.Exchange);
        if (!fields.IsLoading) return;
        collected.CopyTo(ring._bytes, PacketHeaders.TagLength);
        ring._length = collected.Length;
    }
}
