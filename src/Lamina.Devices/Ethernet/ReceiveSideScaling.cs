// The hash by which frames of one flow find one ring (82574: 7.1.9; the function is Toeplitz').
using System.Buffers.Binary;
using Lamina.Core.Net;
using static Lamina.Devices.Ethernet.E1000Spec;

namespace Lamina.Devices.Ethernet;

/// <summary>Hashes addresses and ports.</summary>
internal static class ReceiveSideScaling
{
    // What was hashed, as descriptors and MRQC's fields number it.
    private const int None = 0, Tcp4 = 1, Ip4 = 2, Tcp6 = 3, Ip6 = 5;

    /// <summary>The kind of hash and the hash of a frame; both 0 where there is none.</summary>
    internal static (uint Kind, uint Hash) Of(E1000Registers registers, ReadOnlySpan<byte> frame, in PacketHeaders headers)
    {
        var wanted = registers[MRQC];
        if ((wanted & RssEnable) == 0 || headers.Network == 0) return default;
        var fields = wanted >> RssFieldsShift;
        var isTcp = headers is { HasPorts: true, Protocol: PacketHeaders.Tcp };
        // MRQC: TCP over IPv4, IPv4, TCP over IPv6, IPv6 with extensions, IPv6.
        var kind = headers.IsIpv4 ? isTcp && (fields & 1) != 0 ? Tcp4 : (fields & 2) != 0 ? Ip4 : None : isTcp && (fields & 4) != 0 ? Tcp6 : (fields & 0x18) != 0 ? Ip6 : None;
        if (kind == None) return default;
        Span<byte> input = stackalloc byte[36];
        var addresses = headers.IsIpv4 ? frame.Slice(headers.Network + 12, 8) : frame.Slice(headers.Network + 8, 32);
        addresses.CopyTo(input);
        var length = addresses.Length;
        if (kind is Tcp4 or Tcp6)
        {
            frame.Slice(headers.Transport, 4).CopyTo(input[length..]);
            length += 4;
        }
        return ((uint)kind, Hash(registers, input[..length]));
    }

    /// <summary>The ring that a hash leads to.</summary>
    internal static int RingOf(E1000Registers registers, uint hash)
    {
        const int entries = 128;
        var entry = (int)(hash & (entries - 1));
        return (int)(registers[RETA + (entry & ~3)] >> (8 * (entry & 3)) >> 7 & 1);
    }

    private static uint Hash(E1000Registers registers, ReadOnlySpan<byte> input)
    {
        Span<byte> key = stackalloc byte[40];
        for (var i = 0; i < key.Length; i += sizeof(uint)) BinaryPrimitives.WriteUInt32LittleEndian(key[i..], registers[RSSRK + i]);
        var (hash, window) = (0u, BinaryPrimitives.ReadUInt32BigEndian(key));
        for (var i = 0; i < input.Length; i++)
        {
            for (var bit = 7; bit >= 0; bit--)
            {
                if ((input[i] >> bit & 1) != 0) hash ^= window;
                window = window << 1 | (uint)(key[i + 4] >> bit & 1);
            }
        }
        return hash;
    }
}
