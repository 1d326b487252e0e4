// The Multiboot 1 header that an image carries in its first 8 KiB. Multiboot Specification 0.6.96, 3.1.
using System.Buffers.Binary;

namespace Lamina.Boot;

/// <summary>A found header.</summary>
/// <param name="FileOffset">Where it lies in the file.</param>
/// <param name="Flags">The flags word (3.1.2).</param>
/// <param name="Addresses">The address fields, where flag 16 says that they are valid (3.1.3).</param>
internal sealed record MultibootHeader(uint FileOffset, uint Flags, MultibootAddresses? Addresses)
{
    internal const uint PageAlign = 1, MemoryInfo = 2, VideoMode = 4, AddressFields = 1 << 16;

    /// <summary>The required features (bits 0 to 15) that this loader understands.</summary>
    internal const uint Understood = PageAlign | MemoryInfo | VideoMode;

    private const uint Magic = 0x1BAD_B002;
    private const int SearchLength = 8192, ShortLength = 12, AddressesLength = 32;

    /// <summary>Finds the header in the first bytes of a file; null where there is none.</summary>
    internal static MultibootHeader? Find(ReadOnlySpan<byte> head)
    {
        var end = Math.Min(head.Length, SearchLength);
        for (var at = 0; at + ShortLength <= end; at += 4)
        {
            if (U32(head, at) != Magic) continue;
            var flags = U32(head, at + 4);
            if (Magic + flags + U32(head, at + 8) != 0) continue;
            if ((flags & AddressFields) == 0) return new MultibootHeader((uint)at, flags, null);
            if (at + AddressesLength > head.Length) continue;
            return new MultibootHeader((uint)at, flags,
                new MultibootAddresses(U32(head, at + 12), U32(head, at + 16), U32(head, at + 20), U32(head, at + 24), U32(head, at + 28)));
        }
        return null;
    }

    private static uint U32(ReadOnlySpan<byte> bytes, int offset) => BinaryPrimitives.ReadUInt32LittleEndian(bytes[offset..]);
}

/// <summary>The physical addresses of the a.out kludge.</summary>
/// <param name="Header">Where the header itself is to lie.</param>
/// <param name="Load">Where loading starts.</param>
/// <param name="LoadEnd">Where it ends; 0: with the file.</param>
/// <param name="BssEnd">Where the zeros behind it end; 0: there are none.</param>
/// <param name="Entry">Where execution starts.</param>
internal sealed record MultibootAddresses(uint Header, uint Load, uint LoadEnd, uint BssEnd, uint Entry);
