// What changes a qcow2 image as a whole, while no machine uses it: making one, its size, its snapshots. Everything new is
// written behind the end of the file and put in force by one write of the header (RefcountWriter).
using System.Buffers.Binary;
using System.Globalization;

namespace Lamina.Backends.Disk.Qcow2;

/// <summary>Operations on closed images.</summary>
internal static class Qcow2Editor
{
    /// <summary>Makes an empty image in an empty file.</summary>
    /// <param name="file">The file.</param>
    /// <param name="header">Version, cluster size, disk size, refcount width, lazy refcounts, backing file; the rest is filled in.</param>
    /// <exception cref="DiskImageException">The size is not possible with these clusters.</exception>
    internal static void Create(IImageFile file, Qcow2Header header)
    {
        var l1Size = Math.Max(1, Qcow2Header.L1EntriesFor(header.Size, header.ClusterBits));
        CheckL1Size(header, l1Size);
        header = header with { L1Size = (uint)l1Size, L1Offset = header.ClusterSize };
        var end = header.L1Offset + Qcow2Spec.RoundUp(l1Size * Qcow2Spec.EntrySize, header.ClusterSize);
        // The header comes last: until then the file is no image.
        file.SetLength(end);
        var references = new References(file, header, what => throw Qcow2Header.Damaged(file, what));
        references.AddMappings([new L1Table(header.L1Offset, header.L1Size)]);
        header = RefcountWriter.Write(file, header, references);
        file.Write(0, header.ToCluster());
        file.Sync();
    }

    /// <summary>Makes the disk longer or shorter. What a shorter one loses was given up before (see <see cref="DiskImages"/>).</summary>
    internal static Qcow2Header SetSize(IImageFile file, Qcow2Header header, ulong size)
    {
        var l1Size = Qcow2Header.L1EntriesFor(size, header.ClusterBits);
        CheckL1Size(header with { Size = size }, l1Size);
        if (l1Size <= header.L1Size)
        {
            header = header with { Size = size };
            header.Write(file);
            file.Sync();
            return header;
        }
        var table = new byte[l1Size * Qcow2Spec.EntrySize];
        file.Read(header.L1Offset, table.AsSpan(0, (int)header.L1Size * Qcow2Spec.EntrySize));
        return Qcow2Checker.Adopt(file, header with { Size = size, L1Size = (uint)l1Size, L1Offset = Append(file, header, table) });
    }

    /// <summary>Takes a snapshot of the disk.</summary>
    /// <exception cref="DiskImageException">There is one of that name, or there are too many.</exception>
    internal static Qcow2Header CreateSnapshot(IImageFile file, Qcow2Header header, string name, DateTimeOffset now)
    {
        var snapshots = SnapshotTable.Read(file, header);
        if (Find(snapshots, name) is not null) throw new DiskImageException($"{file.Name} has a snapshot \"{name}\" already; choose another name or delete that one");
        if (snapshots.Count == Qcow2Spec.MostSnapshots) throw new DiskImageException($"{file.Name} has {snapshots.Count} snapshots, which is as many as there can be");
        // Flags that say less than could be said do no harm, should the power fail before the snapshot is there.
        CopiedFlags.Align(file, header, references: null, write: true);
        var table = new byte[header.L1Size * Qcow2Spec.EntrySize];
        file.Read(header.L1Offset, table);
        var fixedPart = new byte[Qcow2Spec.SnapshotFixedLength];
        var extra = new byte[Qcow2Spec.SnapshotExtraLength];
        BinaryPrimitives.WriteUInt64BigEndian(extra.AsSpan(8), header.Size);
        var id = snapshots.Select(snapshot => long.TryParse(snapshot.Id, NumberStyles.None, CultureInfo.InvariantCulture, out var number) ? number : 0).DefaultIfEmpty(0).Max() + 1;
        var l1 = new L1Table(Append(file, header, table), header.L1Size);
        snapshots.Add(new SnapshotEntry(l1, id.ToString(CultureInfo.InvariantCulture), name, (uint)now.ToUnixTimeSeconds(), (uint)(now.Ticks % TimeSpan.TicksPerSecond * 100), fixedPart, extra));
        return Qcow2Checker.Adopt(file, WithSnapshots(file, header, snapshots));
    }

    /// <summary>Deletes a snapshot; what only it used is free then.</summary>
    /// <exception cref="DiskImageException">There is none of that name.</exception>
    internal static Qcow2Header DeleteSnapshot(IImageFile file, Qcow2Header header, string name)
    {
        var snapshots = SnapshotTable.Read(file, header);
        snapshots.Remove(Find(snapshots, name) ?? throw NoSnapshot(file, name));
        return Qcow2Checker.Adopt(file, WithSnapshots(file, header, snapshots));
    }

    /// <summary>Makes the disk what it was when a snapshot was taken; what was written since is lost.</summary>
    /// <exception cref="DiskImageException">There is none of that name.</exception>
    internal static Qcow2Header ApplySnapshot(IImageFile file, Qcow2Header header, string name)
    {
        var snapshot = Find(SnapshotTable.Read(file, header), name) ?? throw NoSnapshot(file, name);
        var size = snapshot.DiskSize ?? header.Size;
        if (snapshot.L1.Size < Qcow2Header.L1EntriesFor(size, header.ClusterBits) || size > Qcow2Spec.LargestDisk)
            throw Qcow2Header.Damaged(file, $"the table of the snapshot \"{name}\" is too small for its disk");
        var table = new byte[snapshot.L1.Size * Qcow2Spec.EntrySize];
        file.Read(snapshot.L1.Offset, table);
        // Shared from now on: no entry is the disk's own.
        for (var at = 0; at < table.Length; at += Qcow2Spec.EntrySize) table[at] &= 0x7f;
        header = header with { Size = size, L1Size = snapshot.L1.Size, L1Offset = Append(file, header, table) };
        CopiedFlags.Align(file, header, references: null, write: true);
        return Qcow2Checker.Adopt(file, header);
    }

    private static SnapshotEntry? Find(IEnumerable<SnapshotEntry> snapshots, string name) =>
        snapshots.FirstOrDefault(snapshot => snapshot.Name == name) ?? snapshots.FirstOrDefault(snapshot => snapshot.Id == name);

    private static DiskImageException NoSnapshot(IImageFile file, string name) =>
        new($"{file.Name} has no snapshot \"{name}\"; lamina disk snapshot list shows which there are");

    private static Qcow2Header WithSnapshots(IImageFile file, Qcow2Header header, List<SnapshotEntry> snapshots) => header with
    {
        SnapshotCount = (uint)snapshots.Count,
        SnapshotOffset = snapshots.Count == 0 ? 0 : Append(file, header, SnapshotTable.ToBytes(snapshots)),
    };

    // Writes behind the end of the file, whole clusters; durable before the header names it, since writing refcounts syncs.
    private static ulong Append(IImageFile file, Qcow2Header header, byte[] bytes)
    {
        var place = Qcow2Spec.RoundUp(file.Length, header.ClusterSize);
        var whole = new byte[Qcow2Spec.RoundUp((ulong)bytes.Length, header.ClusterSize)];
        bytes.CopyTo(whole, 0);
        file.Write(place, whole);
        return place;
    }

    /// <summary>Refuses a disk that is too large for its clusters.</summary>
    internal static void CheckL1Size(Qcow2Header header, ulong l1Size)
    {
        if (l1Size * Qcow2Spec.EntrySize > Qcow2Spec.LargestL1Table)
            throw new DiskImageException($"a disk of {header.Size} bytes is too large for clusters of {header.ClusterSize} bytes; use larger ones");
    }
}
