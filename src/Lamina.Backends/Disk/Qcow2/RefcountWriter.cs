// Makes an image's refcounts anew: a whole structure of table and blocks behind the end of the file, where nothing can
// lie that the image still uses, and then one write of the header that puts it in force. Until that write the image is
// what it was before; this is how repairs, snapshots and changes of the L1 table are made safe against a power loss.
using System.Buffers.Binary;

namespace Lamina.Backends.Disk.Qcow2;

/// <summary>Writes refcount structures.</summary>
internal static class RefcountWriter
{
    /// <summary>Writes refcounts and then the header.</summary>
    /// <param name="file">The image.</param>
    /// <param name="header">What is to be in force; its refcount table is replaced.</param>
    /// <param name="references">All that it refers to, but no refcount structure.</param>
    /// <returns>The header that is in force now.</returns>
    internal static Qcow2Header Write(IImageFile file, Qcow2Header header, References references)
    {
        var start = Qcow2Spec.RoundUp(file.Length, header.ClusterSize) >> header.ClusterBits;
        var perBlock = header.RefcountsPerBlock;
        var used = new SortedSet<ulong>();
        foreach (var (first, counts) in references.Pages)
            for (uint i = 0; i < counts.Length; i++)
                if (counts[i] != 0) used.Add((first + i) / perBlock);

        // The structure describes itself as well: more of it until it fits.
        ulong tableClusters = 1;
        while (true)
        {
            var clusters = tableClusters + (ulong)used.Count;
            var last = (start + clusters - 1) / perBlock;
            var before = used.Count;
            for (var block = start / perBlock; block <= last; block++) used.Add(block);
            var needed = Qcow2Spec.RoundUp((used.Max + 1) * Qcow2Spec.EntrySize, header.ClusterSize) >> header.ClusterBits;
            if (used.Count == before && needed <= tableClusters) break;
            tableClusters = Math.Max(needed, tableClusters);
        }
        if (tableClusters << header.ClusterBits > Qcow2Spec.LargestRefcountTable)
            throw new DiskImageException($"{file.Name} is too large for clusters of {header.ClusterSize} bytes; convert it to an image with larger ones");
        references.Add(start, tableClusters + (ulong)used.Count);
        WriteStructure(file, header, references, start, tableClusters, used);
        file.Sync();
        header = header with { RefcountTableOffset = start << header.ClusterBits, RefcountTableClusters = (uint)tableClusters };
        header.Write(file);
        file.Sync();
        return header;
    }

    private static void WriteStructure(IImageFile file, Qcow2Header header, References references, ulong start, ulong tableClusters, SortedSet<ulong> used)
    {
        var largest = RefcountEntry.Largest(header.RefcountOrder);
        var table = new byte[tableClusters << header.ClusterBits];
        var block = new byte[header.ClusterSize];
        var place = start + tableClusters;
        foreach (var index in used)
        {
            block.AsSpan().Clear();
            for (uint i = 0; i < header.RefcountsPerBlock; i++)
            {
                var count = references[index * header.RefcountsPerBlock + i];
                if (count > largest) throw new DiskImageException($"{file.Name} counts users of a cluster with {1 << header.RefcountOrder} bits, which are too few for {count} of them");
                if (count != 0) RefcountEntry.Write(block, i, header.RefcountOrder, count);
            }
            file.Write(place << header.ClusterBits, block);
            BinaryPrimitives.WriteUInt64BigEndian(table.AsSpan((int)index * Qcow2Spec.EntrySize), place << header.ClusterBits);
            place++;
        }
        file.Write(start << header.ClusterBits, table);
    }
}
