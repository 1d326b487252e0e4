// Where the partitions of a disk lie, as its GPT or MBR says. The disk comes from somewhere: whatever it says is compared with
// its length, and there is an end to how much is read. Sources: UEFI 2.10, 5.3 (GPT) and 5.2.1 (MBR).
using System.Buffers.Binary;

namespace Lamina.Images.Imported;

/// <summary>A partition.</summary>
/// <param name="Number">Its number as Linux counts it; 0 is the whole disk, where there are no partitions.</param>
/// <param name="Start">Its first byte.</param>
/// <param name="Length">Its bytes.</param>
internal sealed record Partition(int Number, ulong Start, ulong Length);

/// <summary>Reads partition tables.</summary>
internal static class PartitionTable
{
    private const int Sector = 512, MbrTable = 446, MbrEntry = 16, MbrEntries = 4, MostEntries = 128, LongestEntry = 4096;

    /// <summary>The partitions of a disk; the whole disk as number 0 where it has no table.</summary>
    public static IReadOnlyList<Partition> Read(Stream disk)
    {
        var length = (ulong)disk.Length;
        var mbr = new byte[Sector];
        if (!TryRead(disk, 0, mbr) || mbr[510] != 0x55 || mbr[511] != 0xaa) return [new Partition(0, 0, length)];
        var partitions = ReadGpt(disk) ?? ReadMbr(mbr);
        return partitions.Where(partition => partition.Length > 0 && partition.Start < length && partition.Length <= length - partition.Start).ToArray() is { Length: > 0 } found
            ? found
            : [new Partition(0, 0, length)];
    }

    private static List<Partition>? ReadGpt(Stream disk)
    {
        var header = new byte[Sector];
        if (!TryRead(disk, Sector, header) || !header.AsSpan(0, 8).SequenceEqual("EFI PART"u8)) return null;
        var table = BinaryPrimitives.ReadUInt64LittleEndian(header.AsSpan(72));
        var count = Math.Min(BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(80)), MostEntries);
        var size = BinaryPrimitives.ReadUInt32LittleEndian(header.AsSpan(84));
        if (size is < 128 or > LongestEntry || table > long.MaxValue / Sector / 2) return null;
        var partitions = new List<Partition>();
        var entry = new byte[size];
        for (uint i = 0; i < count && TryRead(disk, table * Sector + i * size, entry); i++)
        {
            var first = BinaryPrimitives.ReadUInt64LittleEndian(entry.AsSpan(32));
            var last = BinaryPrimitives.ReadUInt64LittleEndian(entry.AsSpan(40));
            var isUsed = entry.AsSpan(0, 16).ContainsAnyExcept((byte)0);
            if (isUsed && last >= first && last < long.MaxValue / Sector) partitions.Add(new Partition((int)i + 1, first * Sector, (last - first + 1) * Sector));
        }
        return partitions;
    }

    // Primary partitions; logical ones hold no root of a cloud image.
    private static List<Partition> ReadMbr(byte[] mbr)
    {
        var partitions = new List<Partition>();
        for (var i = 0; i < MbrEntries; i++)
        {
            var entry = mbr.AsSpan(MbrTable + i * MbrEntry, MbrEntry);
            if (entry[4] == 0) continue;
            partitions.Add(new Partition(i + 1, (ulong)BinaryPrimitives.ReadUInt32LittleEndian(entry[8..]) * Sector, (ulong)BinaryPrimitives.ReadUInt32LittleEndian(entry[12..]) * Sector));
        }
        return partitions;
    }

    private static bool TryRead(Stream disk, ulong at, byte[] into)
    {
        if (at > (ulong)disk.Length || (ulong)into.Length > (ulong)disk.Length - at) return false;
        disk.Position = (long)at;
        return disk.ReadAtLeast(into, into.Length, throwOnEndOfStream: false) == into.Length;
    }
}
