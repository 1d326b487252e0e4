// Whether an initial RAM disk is whole. It is archives one behind the other, cpio as it is or compressed (Linux,
// Documentation/driver-api/early-userspace/buffer-format.rst); of a copy that was broken off a kernel unpacks what there is and misses
// the rest much later, if it says so at all. What is of no kind that is known here counts as whole: that is the kernel's to judge.
// BootLoader asks before anything is booted. Nothing is unpacked but gzip, whose blocks do not say how long they are.
using System.Buffers.Binary;
using System.Globalization;
using System.IO.Compression;
using System.Text;
using Lamina.Host.Io;

namespace Lamina.Boot;

/// <summary>Finds what was cut off.</summary>
internal static class InitrdCheck
{
    // cpio(5), the "new ASCII format": six digits, then fields of eight hexadecimal ones.
    private const int CpioHeader = 110, CpioFileSize = 54, CpioNameSize = 94, LongestName = 4096;

    // RFC 1952, 2.3; RFC 8878, 3.1; The .xz file format, 2.1.
    private const int GzipHeader = 10, XzFooter = 12;
    private const uint ZstdMagic = 0xfd2fb528, ZstdSkippable = 0x184d2a50, ZstdSkippableMask = 0xfffffff0, Lz4Legacy = 0x184c2102;

    // LZ4_compressBound of the 8 MiB that a block of the legacy format holds.
    private const uint LargestLz4Block = (8 << 20) + (8 << 20) / 255 + 16;

    /// <summary>What of a file ends before its end, in words; null where nothing is known to.</summary>
    internal static string? WhyCut(BootFile file)
    {
        ulong at = 0;
        Span<byte> magic = stackalloc byte[6];
        while (true)
        {
            at = SkipZeros(file, at);
            if (!file.TryRead(at, magic)) return null;
            var number = BinaryPrimitives.ReadUInt32LittleEndian(magic);
            var (cut, next) = magic switch
            {
                [(byte)'0', (byte)'7', (byte)'0', (byte)'7', (byte)'0', (byte)'1' or (byte)'2'] => Cpio(file, at),
                [0x1f, 0x8b, 8, ..] => (Gzip(file, at), null),
                [0xfd, (byte)'7', (byte)'z', (byte)'X', (byte)'Z', 0] => (Xz(file, at), null),
                _ when number == ZstdMagic => Zstd(file, at),
                _ when (number & ZstdSkippableMask) == ZstdSkippable => Skippable(file, at),
                _ when number == Lz4Legacy => Lz4(file, at),
                _ => (null, null),
            };
            if (cut is not null || next is null) return cut;
            at = next.Value;
        }
    }

    // Between archives there is nothing but padding.
    private static ulong SkipZeros(BootFile file, ulong at)
    {
        Span<byte> piece = stackalloc byte[4096];
        while (at < file.Length)
        {
            var part = piece[..(int)Math.Min((ulong)piece.Length, file.Length - at)];
            if (!file.TryRead(at, part)) return at;
            var zeros = part.IndexOfAnyExcept((byte)0);
            if (zeros >= 0) return at + (uint)zeros;
            at += (uint)part.Length;
        }
        return at;
    }

    // One archive, to its trailer; without one it ends with the file, as kernels have it.
    private static (string? Cut, ulong? Next) Cpio(BootFile file, ulong start)
    {
        const string cut = "its cpio archive ends in the middle of an entry";
        var window = new Window(file);
        Span<byte> first = stackalloc byte[1];
        var at = start;
        while (at < file.Length)
        {
            if (!window.TryRead(at, CpioHeader, out var header)) return (at != start && file.TryRead(at, first) && first[0] == '0' ? cut : null, null);
            if (!header.StartsWith("07070"u8) || !TryHex(header[CpioFileSize..], out var fileSize) || !TryHex(header[CpioNameSize..], out var nameSize) || nameSize is 0 or > LongestName) return (null, null);
            if (!window.TryRead(at + CpioHeader, (int)nameSize, out var name)) return (cut, null);
            var text = Encoding.UTF8.GetString(name).TrimEnd('\0');
            var data = Align(start, at + CpioHeader + nameSize);
            if (data + fileSize > file.Length && fileSize != 0) return ($"its cpio archive ends in the middle of {text}", null);
            at = Align(start, data + fileSize);
            if (text == "TRAILER!!!") return (null, at);
        }
        return (null, null);

        static ulong Align(ulong start, ulong at) => start + ((at - start + 3) & ~3ul);
    }

    private static bool TryHex(ReadOnlySpan<byte> field, out uint value) => uint.TryParse(field[..8], NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out value);

    private static string? Gzip(BootFile file, ulong at)
    {
        const string cut = "its gzip data have no end";
        Span<byte> header = stackalloc byte[GzipHeader];
        if (!file.TryRead(at, header)) return cut;
        // 2.3.1: what stands between the header and the data. FEXTRA, FNAME, FCOMMENT, FHCRC.
        var flags = header[3];
        at += GzipHeader;
        Span<byte> two = stackalloc byte[2];
        if ((flags & 4) != 0)
        {
            if (!file.TryRead(at, two)) return cut;
            at += 2u + BinaryPrimitives.ReadUInt16LittleEndian(two);
        }
        for (var texts = (flags >> 3 & 1) + (flags >> 4 & 1); texts > 0; at++)
        {
            if (!file.TryRead(at, two[..1])) return cut;
            if (two[0] == 0) texts--;
        }
        if ((flags & 2) != 0) at += 2;
        using var rest = new Rest(file, at);
        using var data = new DeflateStream(rest, CompressionMode.Decompress);
        try
        {
            var unpacked = new byte[1 << 16];
            while (data.Read(unpacked) > 0)
            {
            }
        }
        catch (InvalidDataException)
        {
            // Damaged in another way; the kernel says so.
            return null;
        }
        return rest.WasAskedAtItsEnd ? cut : null;
    }

    // The magic of the footer stands at the end of the last stream.
    private static string? Xz(BootFile file, ulong at)
    {
        Span<byte> footer = stackalloc byte[XzFooter];
        // 2.2: padding comes in fours.
        for (var end = file.Length; end >= at + 2 * XzFooter; end -= 4)
        {
            if (!file.TryRead(end - XzFooter, footer)) return null;
            if (footer.EndsWith("YZ"u8)) return null;
            if (footer[^4..].ContainsAnyExcept((byte)0)) break;
        }
        return "its xz data have no end";
    }

    // 3.1.1: a frame's header, blocks that say how long they are, and a sum where the header says so.
    private static (string? Cut, ulong? Next) Zstd(BootFile file, ulong at)
    {
        const string cut = "its zstd data have no end";
        Span<byte> block = stackalloc byte[3];
        if (!file.TryRead(at + 4, block[..1])) return (cut, null);
        var (descriptor, isSingle) = (block[0], (block[0] & 0x20) != 0);
        at += 5;
        at += (uint)((isSingle ? 0 : 1) + (descriptor & 3) switch { 0 => 0, 1 => 1, 2 => 2, _ => 4 } + (descriptor >> 6) switch { 0 => isSingle ? 1 : 0, 1 => 2, 2 => 4, _ => 8 });
        while (true)
        {
            if (!file.TryRead(at, block)) return (cut, null);
            var value = (uint)(block[0] | block[1] << 8 | block[2] << 16);
            // 3.1.1.2.2: an RLE block has one byte, and there is no type 3.
            if ((value >> 1 & 3) == 3) return (null, null);
            at += 3 + ((value >> 1 & 3) == 1 ? 1 : value >> 3);
            if (at > file.Length) return (cut, null);
            if ((value & 1) == 0) continue;
            at += (descriptor & 4) != 0 ? 4u : 0;
            return at > file.Length ? (cut, null) : (null, at);
        }
    }

    // 3.1.2
    private static (string? Cut, ulong? Next) Skippable(BootFile file, ulong at)
    {
        if (!file.TryReadUInt32(at + 4, out var length) || at + 8 + length > file.Length) return ("its zstd data have no end", null);
        return (null, at + 8 + length);
    }

    // lz4_Frame_format.md, "Legacy frame": blocks behind their length, to the end of the file.
    private static (string? Cut, ulong? Next) Lz4(BootFile file, ulong at)
    {
        at += 4;
        while (file.TryReadUInt32(at, out var length) && length is > 0 and <= LargestLz4Block)
        {
            at += 4 + length;
            if (at > file.Length) return ("its lz4 data have no end", null);
        }
        return (null, at < file.Length ? at : null);
    }

    /// <summary>Reads of a few bytes each, most of which lie close behind the one before.</summary>
    private sealed class Window(BootFile file)
    {
        private readonly byte[] _bytes = new byte[2 * LongestName];
        private ulong _start;
        private int _length;

        /// <summary>At most half of the window; false where the file ends before. What is read holds until the next read.</summary>
        internal bool TryRead(ulong at, int length, out ReadOnlySpan<byte> read)
        {
            if (at < _start || at + (ulong)length > _start + (ulong)_length)
            {
                (_start, _length) = (at, (int)Math.Min((ulong)_bytes.Length, file.Length - at));
                if (!file.TryRead(at, _bytes.AsSpan(0, _length))) _length = 0;
            }
            read = length <= _length ? _bytes.AsSpan((int)(at - _start), length) : default;
            return length <= _length;
        }
    }

    /// <summary>The file from a place on, in order.</summary>
    private sealed class Rest(BootFile file, ulong at) : SequentialStream
    {
        /// <summary>Whether somebody wanted more than there is.</summary>
        internal bool WasAskedAtItsEnd { get; private set; }

        public override bool CanRead => true;

        public override bool CanWrite => false;

        public override int Read(Span<byte> buffer)
        {
            var count = (int)Math.Min((ulong)buffer.Length, at < file.Length ? file.Length - at : 0);
            WasAskedAtItsEnd |= count == 0 && !buffer.IsEmpty;
            if (!file.TryRead(at, buffer[..count])) return 0;
            at += (uint)count;
            return count;
        }
    }
}
