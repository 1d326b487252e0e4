// An Internet address as a value: IPv4 addresses are the IPv4-mapped ones of IPv6 (RFC 4291, 2.5.5.2), so that flows of
// both are looked up alike. On the wire and towards the host each is what it is.
using System.Buffers.Binary;
using System.Net;
using System.Net.Sockets;

namespace Lamina.Backends.Net.Wire;

/// <summary>An address of either family.</summary>
/// <param name="Bits">The 128 bits of the IPv6 or IPv4-mapped address.</param>
internal readonly record struct IpAddr(UInt128 Bits)
{
    private static readonly UInt128 Mapped = (UInt128)0xffff << 32;

    /// <summary>0.0.0.0.</summary>
    internal static readonly IpAddr Any4 = V4(0);

    /// <summary>::.</summary>
    internal static readonly IpAddr Any6 = new(UInt128.Zero);

    /// <summary>Whether it is an IPv4 address.</summary>
    internal bool IsV4 => Bits >> 32 == 0xffff;

    /// <summary>The 32 bits of an IPv4 address.</summary>
    internal uint Bits4 => (uint)Bits;

    /// <summary>How many bytes it takes on the wire.</summary>
    internal int Length => IsV4 ? 4 : 16;

    /// <summary>Whether it stands for more than one receiver.</summary>
    internal bool IsGroup => IsV4 ? Bits4 >= 0xe000_0000 : (byte)(Bits >> 120) == 0xff;

    /// <summary>Whether it is valid on one link only.</summary>
    internal bool IsLinkLocal => IsV4 ? Bits4 >> 16 == 0xa9fe : (uint)(Bits >> 118) == 0xfe80 >> 6;

    /// <summary>An IPv4 address.</summary>
    internal static IpAddr V4(uint bits) => new(Mapped | bits);

    /// <summary>Reads four or sixteen bytes.</summary>
    internal static IpAddr Read(ReadOnlySpan<byte> bytes) => bytes.Length == 4 ? V4(BinaryPrimitives.ReadUInt32BigEndian(bytes)) : new IpAddr(BinaryPrimitives.ReadUInt128BigEndian(bytes));

    /// <summary>Takes one of .NET's.</summary>
    internal static IpAddr Of(IPAddress address)
    {
        Span<byte> bytes = stackalloc byte[16];
        return address.TryWriteBytes(bytes, out var length) ? Read(bytes[..length]) : Any6;
    }

    /// <summary>Writes <see cref="Length"/> bytes.</summary>
    internal void Write(Span<byte> to)
    {
        if (IsV4) BinaryPrimitives.WriteUInt32BigEndian(to, Bits4);
        else BinaryPrimitives.WriteUInt128BigEndian(to, Bits);
    }

    /// <summary>One of .NET's.</summary>
    internal IPAddress ToIPAddress()
    {
        Span<byte> bytes = stackalloc byte[16];
        Write(bytes);
        return new IPAddress(bytes[..Length]);
    }

    /// <summary>Whether it lies in a network.</summary>
    internal bool IsIn(IPNetwork network) =>
        IsV4 == (network.BaseAddress.AddressFamily == AddressFamily.InterNetwork) && network.Contains(ToIPAddress());

    /// <summary>Whether the first bits are another's.</summary>
    internal bool SharesPrefix(IpAddr other, int bits) => bits == 0 || (Bits ^ other.Bits) >> (128 - bits) == UInt128.Zero;

    /// <inheritdoc/>
    public override string ToString() => ToIPAddress().ToString();
}
