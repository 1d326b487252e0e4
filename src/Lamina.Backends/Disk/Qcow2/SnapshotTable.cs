// The directory of an image's internal snapshots ("Snapshots"): read with every length checked, and written anew as a
// whole in another place when it changes.
using System.Buffers.Binary;
using System.Text;

namespace Lamina.Backends.Disk.Qcow2;

/// <summary>One entry of the snapshot table.</summary>
/// <param name="L1">Its mapping.</param>
/// <param name="Id">What the image knows it by.</param>
/// <param name="Name">What people know it by.</param>
/// <param name="Seconds">When it was taken, since 1970.</param>
/// <param name="Nanoseconds">The rest of that time.</param>
/// <param name="Fixed">The other fields of the fixed part, as they stand in the image.</param>
/// <param name="Extra">The extra data, as they stand in the image.</param>
internal sealed record SnapshotEntry(L1Table L1, string Id, string Name, uint Seconds, uint Nanoseconds, byte[] Fixed, byte[] Extra)
{
    // Within the fixed part.
    internal const int SecondsAt = 16, VmClockAt = 24, VmStateAt = 32, ExtraLengthAt = 36;

    /// <summary>The bytes of a saved machine's state.</summary>
    internal ulong VmStateSize => Extra.Length >= 8 ? BinaryPrimitives.ReadUInt64BigEndian(Extra) : BinaryPrimitives.ReadUInt32BigEndian(Fixed.AsSpan(VmStateAt));

    /// <summary>The disk's length then; null where the image does not say.</summary>
    internal ulong? DiskSize => Extra.Length >= 16 ? BinaryPrimitives.ReadUInt64BigEndian(Extra.AsSpan(8)) : null;
}

/// <summary>Reads and writes snapshot tables.</summary>
internal static class SnapshotTable
{
    /// <summary>Reads all entries.</summary>
    /// <exception cref="DiskImageException">The table is damaged.</exception>
    internal static List<SnapshotEntry> Read(IImageFile file, Qcow2Header header)
    {
        var entries = new List<SnapshotEntry>();
        var at = header.SnapshotOffset;
        var length = file.Length;
        var raw = new byte[Qcow2Spec.SnapshotFixedLength];
        for (uint i = 0; i < header.SnapshotCount; i++)
        {
            if (at > length || length - at < Qcow2Spec.SnapshotFixedLength) throw Damaged(file, i);
            file.Read(at, raw);
            int idLength = BinaryPrimitives.ReadUInt16BigEndian(raw.AsSpan(12)), nameLength = BinaryPrimitives.ReadUInt16BigEndian(raw.AsSpan(14));
            var extraLength = BinaryPrimitives.ReadUInt32BigEndian(raw.AsSpan(SnapshotEntry.ExtraLengthAt));
            if (extraLength > Qcow2Spec.LargestSnapshotExtra) throw Damaged(file, i);
            var rest = new byte[extraLength + idLength + nameLength];
            if ((ulong)rest.Length > length - at - Qcow2Spec.SnapshotFixedLength) throw Damaged(file, i);
            file.Read(at + Qcow2Spec.SnapshotFixedLength, rest);
            var l1 = new L1Table(BinaryPrimitives.ReadUInt64BigEndian(raw), BinaryPrimitives.ReadUInt32BigEndian(raw.AsSpan(8)));
            if (l1.Size * (ulong)Qcow2Spec.EntrySize > Qcow2Spec.LargestL1Table || l1.Offset % header.ClusterSize != 0) throw Damaged(file, i);
            var names = rest.AsSpan((int)extraLength);
            entries.Add(new SnapshotEntry(l1, Encoding.UTF8.GetString(names[..idLength]), Encoding.UTF8.GetString(names[idLength..]),
                BinaryPrimitives.ReadUInt32BigEndian(raw.AsSpan(SnapshotEntry.SecondsAt)), BinaryPrimitives.ReadUInt32BigEndian(raw.AsSpan(SnapshotEntry.SecondsAt + 4)),
                raw.ToArray(), rest[..(int)extraLength]));
            at += Qcow2Spec.RoundUp((uint)(Qcow2Spec.SnapshotFixedLength + rest.Length), 8);
        }
        return entries;
    }

    /// <summary>The bytes of a table of entries.</summary>
    internal static byte[] ToBytes(IReadOnlyList<SnapshotEntry> entries)
    {
        using var bytes = new MemoryStream();
        foreach (var entry in entries)
        {
            byte[] id = Encoding.UTF8.GetBytes(entry.Id), name = Encoding.UTF8.GetBytes(entry.Name);
            var raw = entry.Fixed.ToArray();
            BinaryPrimitives.WriteUInt64BigEndian(raw, entry.L1.Offset);
            BinaryPrimitives.WriteUInt32BigEndian(raw.AsSpan(8), entry.L1.Size);
            BinaryPrimitives.WriteUInt16BigEndian(raw.AsSpan(12), (ushort)id.Length);
            BinaryPrimitives.WriteUInt16BigEndian(raw.AsSpan(14), (ushort)name.Length);
            BinaryPrimitives.WriteUInt32BigEndian(raw.AsSpan(SnapshotEntry.SecondsAt), entry.Seconds);
            BinaryPrimitives.WriteUInt32BigEndian(raw.AsSpan(SnapshotEntry.SecondsAt + 4), entry.Nanoseconds);
            BinaryPrimitives.WriteUInt32BigEndian(raw.AsSpan(SnapshotEntry.ExtraLengthAt), (uint)entry.Extra.Length);
            bytes.Write(raw);
            bytes.Write(entry.Extra);
            bytes.Write(id);
            bytes.Write(name);
            while (bytes.Length % 8 != 0) bytes.WriteByte(0);
        }
        return bytes.ToArray();
    }

    private static DiskImageException Damaged(IImageFile file, uint index) => Qcow2Header.Damaged(file, $"entry {index} of its snapshot table makes no sense");
}
