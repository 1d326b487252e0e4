// The flag that says of a table or a cluster that nobody else uses it (bit 63 of L1 and L2 entries): brought in line with
// the references of the active mapping, or taken away everywhere before a snapshot begins to share it.
using System.Buffers.Binary;

namespace Lamina.Backends.Disk.Qcow2;

/// <summary>Changes the flags of the active mapping in the file.</summary>
internal static class CopiedFlags
{
    /// <summary>Sets every flag to what the references say, or clears all where there are none given; then syncs.</summary>
    /// <returns>How many entries were wrong.</returns>
    internal static long Align(IImageFile file, Qcow2Header header, References? references, bool write)
    {
        var fileLength = file.Length;
        var l1 = new byte[header.L1Size * Qcow2Spec.EntrySize];
        file.Read(header.L1Offset, l1);
        long wrong = 0;
        var changed = false;
        var table = new byte[header.ClusterSize];
        for (var at = 0; at < l1.Length; at += Qcow2Spec.EntrySize)
        {
            var entry = BinaryPrimitives.ReadUInt64BigEndian(l1.AsSpan(at));
            if (!ClusterMap.IsTable(entry, header, fileLength)) continue;
            wrong += AlignTable(file, header, references, entry & Qcow2Spec.OffsetMask, table, write);
            changed |= Correct(l1, at, entry, header, references, ref wrong);
        }
        if (!write) return wrong;
        if (changed) file.Write(header.L1Offset, l1);
        if (wrong != 0) file.Sync();
        return wrong;
    }

    private static long AlignTable(IImageFile file, Qcow2Header header, References? references, ulong offset, byte[] table, bool write)
    {
        file.Read(offset, table);
        long wrong = 0;
        var changed = false;
        for (var at = 0; at < table.Length; at += Qcow2Spec.EntrySize)
        {
            var entry = BinaryPrimitives.ReadUInt64BigEndian(table.AsSpan(at));
            if ((entry & Qcow2Spec.Compressed) == 0 && (entry & Qcow2Spec.OffsetMask) != 0) changed |= Correct(table, at, entry, header, references, ref wrong);
        }
        if (changed && write) file.Write(offset, table);
        return wrong;
    }

    private static bool Correct(byte[] table, int at, ulong entry, Qcow2Header header, References? references, ref long wrong)
    {
        var own = references is not null && references[(entry & Qcow2Spec.OffsetMask) >> header.ClusterBits] == 1;
        var right = own ? entry | Qcow2Spec.Copied : entry & ~Qcow2Spec.Copied;
        if (right == entry) return false;
        wrong++;
        BinaryPrimitives.WriteUInt64BigEndian(table.AsSpan(at), right);
        return true;
    }
}
