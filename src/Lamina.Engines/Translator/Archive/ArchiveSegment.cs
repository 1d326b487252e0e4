// A file of the archive: images of pages, one behind the other, then a table of them. It is written once, under another
// name, and never changed; each image has its sum (CRC-32C), and so has the table. Only what the user of this process owns,
// and nobody else may write to, is read.
using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using Lamina.Host.Io;

namespace Lamina.Engines.Translator.Archive;

/// <summary>Where an image is.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct ImageEntry
{
    /// <summary><see cref="PageHash"/> of the page.</summary>
    public ulong Hash;

    public long Offset;
    public int Length, Blocks;
    public uint Sum;
}

/// <summary>A file that is complete.</summary>
internal sealed class ArchiveSegment : IDisposable
{
    private const int MostImages = 1 << 22;

    private readonly HostOpenNode _file;
    private readonly ImageEntry[] _entries;

    private ArchiveSegment(string name, HostOpenNode file, ImageEntry[] entries) => (Name, _file, _entries) = (name, file, entries);

    /// <summary>Its name in the folder.</summary>
    public string Name { get; }

    /// <summary>What is in it.</summary>
    public ReadOnlySpan<ImageEntry> Entries => _entries;

    /// <summary>Whether something of it was of use.</summary>
    public bool Used { get; set; }

    /// <summary>Opens a file. Null: it is gone, damaged, of another key, or somebody else may write to it.</summary>
    public static ArchiveSegment? TryOpen(HostNode folder, string name, string key)
    {
        if (folder.Open(Encoding.UTF8.GetBytes(name), 0, out var file) < 0 || file == null) return null;
        if (file.Status(out var status) >= 0 && status is { IsFile: true, IsOnlyOurs: true } && ReadEntries(file, status.Size, key) is { } entries) return new ArchiveSegment(name, file, entries);
        file.Dispose();
        return null;
    }

    /// <summary>Reads an image. False: it is damaged.</summary>
    public bool TryRead(in ImageEntry entry, Span<byte> image) => TryRead(_file, (ulong)entry.Offset, image) && SumOf(image) == entry.Sum;

    /// <inheritdoc/>
    public void Dispose() => _file.Dispose();

    /// <summary>The sum of some bytes.</summary>
    internal static uint SumOf(ReadOnlySpan<byte> bytes)
    {
        var sum = ~0u;
        for (; bytes.Length >= 8; bytes = bytes[8..]) sum = BitOperations.Crc32C(sum, MemoryMarshal.Read<ulong>(bytes));
        foreach (var one in bytes) sum = BitOperations.Crc32C(sum, one);
        return ~sum;
    }

    private static ImageEntry[]? ReadEntries(HostOpenNode file, ulong size, string key)
    {
        Span<byte> start = stackalloc byte[SegmentHeader.Bytes];
        if (size < SegmentHeader.Bytes || !TryRead(file, 0, start)) return null;
        var header = MemoryMarshal.Read<SegmentHeader>(start);
        if (header.Magic != SegmentHeader.Expected || header.Images is < 0 or > MostImages || header.KeyBytes != Encoding.UTF8.GetByteCount(key)) return null;
        var table = new byte[header.Images * Unsafe.SizeOf<ImageEntry>() + header.KeyBytes];
        if (header.Table > size || size - header.Table != (ulong)table.Length || !TryRead(file, header.Table, table) || SumOf(table) != header.Sum) return null;
        if (Encoding.UTF8.GetString(table.AsSpan(^header.KeyBytes..)) != key) return null;
        var entries = MemoryMarshal.Cast<byte, ImageEntry>(table.AsSpan(..^header.KeyBytes)).ToArray();
        return entries.All(entry => entry.Offset >= SegmentHeader.Bytes && entry.Length >= 0 && (ulong)entry.Offset + (ulong)entry.Length <= header.Table) ? entries : null;
    }

    private static bool TryRead(HostOpenNode file, ulong offset, Span<byte> into)
    {
        while (into.Length > 0)
        {
            var count = file.Read(offset, into);
            if (count <= 0) return false;
            into = into[count..];
            offset += (uint)count;
        }
        return true;
    }
}

/// <summary>What a file begins with.</summary>
[StructLayout(LayoutKind.Sequential, Size = Bytes)]
internal struct SegmentHeader
{
    /// <summary>"lamina", and the number of this format.</summary>
    public const ulong Expected = 0x0001_616e_696d_616c;

    public const int Bytes = 64;

    public ulong Magic, Table;
    public int Images, KeyBytes;
    public uint Sum;
}
