// A small FAT12 volume with a few files in its root folder, made in memory: what a guest of any kind reads. It is written
// whole and never changed. Source: Microsoft, FAT: General Overview of On-Disk Format, 1.03 ("fatgen103").
using System.Buffers.Binary;
using System.Text;

namespace Lamina.Hypervisor.Stored;

/// <summary>Makes FAT volumes.</summary>
internal static class FatImage
{
    private const int Sector = 512, FatCount = 2, EntrySize = 32, RootEntries = 64;
    private const int FirstCluster = 2, MostClusters = 4084; // more would be FAT16
    private const int EndOfChain = 0xfff, Media = 0xf8;
    private const byte VolumeAttribute = 0x08, LongNameAttribute = 0x0f, LastLongEntry = 0x40;
    private const int NamesInLongEntry = 13, ShortName = 11;
    private const ushort FirstDate = (0 << 9) | (1 << 5) | 1; // 1980-01-01: equal files make equal volumes

    // Where the characters of a long name lie in an entry.
    private static ReadOnlySpan<byte> LongNamePlaces => [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];

    /// <summary>The bytes that files may have together, each rounded up to 512.</summary>
    public const int MostBytes = MostClusters * Sector;

    /// <summary>Whether a file can be a volume that was made here: its first sector ends as one does.</summary>
    public static bool IsWhole(string path)
    {
        using var file = File.OpenRead(path);
        Span<byte> sector = stackalloc byte[Sector];
        return file.ReadAtLeast(sector, Sector, throwOnEndOfStream: false) == Sector && sector[^2] == 0x55 && sector[^1] == 0xaa;
    }

    /// <summary>The content of a file of a volume that was made here; null where it has none of that name, or was not.</summary>
    public static byte[]? TryRead(ReadOnlySpan<byte> image, string name)
    {
        // A volume of ours has one FAT entry a cluster, and its files lie in one piece each.
        if (image.Length < Sector || image[13] != 1 || image[16] != FatCount || BinaryPrimitives.ReadUInt16LittleEndian(image[17..]) != RootEntries) return null;
        var rootAt = (1 + FatCount * BinaryPrimitives.ReadUInt16LittleEndian(image[22..])) * Sector;
        var dataAt = rootAt + RootEntries * EntrySize;
        if (dataAt > image.Length) return null;
        for (var at = rootAt + EntrySize; at + 2 * EntrySize <= dataAt && image[at + 11] == LongNameAttribute; at += 2 * EntrySize)
        {
            var characters = new char[NamesInLongEntry];
            for (var i = 0; i < characters.Length; i++) characters[i] = (char)BinaryPrimitives.ReadUInt16LittleEndian(image[(at + LongNamePlaces[i])..]);
            if (new string(characters).TrimEnd('\uffff').TrimEnd('\0') != name) continue;
            var entry = image[(at + EntrySize)..];
            var (cluster, length) = (BinaryPrimitives.ReadUInt16LittleEndian(entry[26..]), BinaryPrimitives.ReadUInt32LittleEndian(entry[28..]));
            var start = dataAt + (cluster - FirstCluster) * Sector;
            return length == 0 ? [] : cluster < FirstCluster || start + (long)length > image.Length ? null : image.Slice(start, (int)length).ToArray();
        }
        return null;
    }

    /// <summary>Makes a volume.</summary>
    /// <param name="label">Its label, at most 11 characters of ASCII, lower case allowed.</param>
    /// <param name="files">Names of at most 13 characters of ASCII, and contents.</param>
    /// <exception cref="ArgumentException">The files do not fit.</exception>
    public static byte[] Create(string label, IReadOnlyList<(string Name, byte[] Content)> files)
    {
        var clusters = Math.Max(1, files.Sum(file => ClustersOf(file.Content)));
        if (clusters > MostClusters) throw new ArgumentException($"the files have more than {MostBytes} bytes", nameof(files));
        var fatSectors = Sectors((clusters + FirstCluster) * 3 / 2 + 1);
        var rootAt = 1 + FatCount * fatSectors;
        var dataAt = rootAt + RootEntries * EntrySize / Sector;
        var image = new byte[(dataAt + clusters) * Sector];
        var volumeLabel = Encoding.ASCII.GetBytes(label.PadRight(ShortName));
        WriteBootSector(image, volumeLabel, image.Length / Sector, fatSectors);

        var root = image.AsSpan(rootAt * Sector, RootEntries * EntrySize);
        volumeLabel.CopyTo(root);
        root[ShortName] = VolumeAttribute;
        root = root[EntrySize..];
        var fat = image.AsSpan(Sector, fatSectors * Sector);
        SetEntry(fat, 0, 0xf00 | Media);
        SetEntry(fat, 1, EndOfChain);
        var next = FirstCluster;
        for (var i = 0; i < files.Count; i++)
        {
            var (name, content) = files[i];
            var count = ClustersOf(content);
            root = AddName(root, name, i, count == 0 ? 0 : next, content.Length);
            content.CopyTo(image.AsSpan((dataAt + next - FirstCluster) * Sector));
            for (var used = 1; used <= count; used++, next++) SetEntry(fat, next, used == count ? EndOfChain : next + 1);
        }
        for (var copy = 1; copy < FatCount; copy++) fat.CopyTo(image.AsSpan((1 + copy * fatSectors) * Sector));
        return image;
    }

    private static int Sectors(int bytes) => (bytes + Sector - 1) / Sector;

    private static int ClustersOf(byte[] content) => Sectors(content.Length);

    private static void WriteBootSector(Span<byte> boot, byte[] label, int sectors, int fatSectors)
    {
        ReadOnlySpan<byte> jump = [0xeb, 0x3c, 0x90];
        jump.CopyTo(boot);
        "LAMINA  "u8.CopyTo(boot[3..]);
        BinaryPrimitives.WriteUInt16LittleEndian(boot[11..], Sector);
        boot[13] = 1; // sectors of a cluster
        BinaryPrimitives.WriteUInt16LittleEndian(boot[14..], 1); // reserved sectors
        boot[16] = FatCount;
        BinaryPrimitives.WriteUInt16LittleEndian(boot[17..], RootEntries);
        BinaryPrimitives.WriteUInt16LittleEndian(boot[19..], (ushort)sectors);
        boot[21] = Media;
        BinaryPrimitives.WriteUInt16LittleEndian(boot[22..], (ushort)fatSectors);
        BinaryPrimitives.WriteUInt16LittleEndian(boot[24..], 32); // sectors of a track
        BinaryPrimitives.WriteUInt16LittleEndian(boot[26..], 2); // heads
        boot[36] = 0x80; // drive
        boot[38] = 0x29; // the next three fields are there
        label.CopyTo(boot[43..]);
        "FAT12   "u8.CopyTo(boot[54..]);
        boot[510] = 0x55;
        boot[511] = 0xaa;
    }

    // One long-name entry, then the short one it belongs to; gives what is left of the folder.
    private static Span<byte> AddName(Span<byte> folder, string name, int index, int cluster, int length)
    {
        if (name.Length > NamesInLongEntry) throw new ArgumentException($"the name {name} is too long", nameof(name));
        var shortName = Encoding.ASCII.GetBytes($"FILE{index,-7}");
        byte sum = 0;
        foreach (var character in shortName) sum = (byte)(((sum & 1) << 7) + (sum >> 1) + character);
        folder[0] = LastLongEntry | 1;
        folder[11] = LongNameAttribute;
        folder[13] = sum;
        for (var i = 0; i < NamesInLongEntry; i++)
            BinaryPrimitives.WriteUInt16LittleEndian(folder[LongNamePlaces[i]..], i < name.Length ? name[i] : i == name.Length ? (ushort)0 : (ushort)0xffff);

        var entry = folder[EntrySize..];
        shortName.CopyTo(entry);
        BinaryPrimitives.WriteUInt16LittleEndian(entry[16..], FirstDate); // created
        BinaryPrimitives.WriteUInt16LittleEndian(entry[18..], FirstDate); // accessed
        BinaryPrimitives.WriteUInt16LittleEndian(entry[24..], FirstDate); // written
        BinaryPrimitives.WriteUInt16LittleEndian(entry[26..], (ushort)cluster);
        BinaryPrimitives.WriteUInt32LittleEndian(entry[28..], (uint)length);
        return entry[EntrySize..];
    }

    // Entries of 12 bits, two in three bytes.
    private static void SetEntry(Span<byte> fat, int index, int value)
    {
        var at = index * 3 / 2;
        var pair = BinaryPrimitives.ReadUInt16LittleEndian(fat[at..]);
        pair = index % 2 == 0 ? (ushort)((pair & 0xf000) | value) : (ushort)((pair & 0x000f) | (value << 4));
        BinaryPrimitives.WriteUInt16LittleEndian(fat[at..], pair);
    }
}
