// Compares an image's refcounts and flags with what its tables refer to, and makes them right: the repair of an image
// that was not closed, and of one that leaks.
using System.Buffers.Binary;

namespace Lamina.Backends.Disk.Qcow2;

/// <summary>Checks and repairs closed images.</summary>
internal static class Qcow2Checker
{
    private const int MostMessages = 20;

    /// <summary>Checks an image.</summary>
    internal static CheckResult Check(IImageFile file, Qcow2Header header)
    {
        var findings = new Findings();
        var references = Count(file, header, findings.Error);
        if (header.IsDirty) return findings.ToResult(references, header) with { IsOpen = true };
        references.AddArea("refcount table", header.RefcountTableOffset, (ulong)header.RefcountTableClusters << header.ClusterBits);
        var table = Refcounts.ReadTable(file, header);
        var length = file.Length;
        for (var i = 0; i < table.Length; i++)
        {
            if (table[i] == 0) continue;
            if (IsBlock(table[i], header, length)) references.Add(table[i] >> header.ClusterBits, 1);
            else findings.Error($"refcount block {i} at {table[i]} does not lie in the file");
        }
        Compare(file, header, table, references, findings);
        if ((header.Autoclear & Qcow2Spec.AutoclearBitmaps) != 0) findings.LeaksMayBeBitmaps();
        findings.Flags(CopiedFlags.Align(file, header, references, write: false));
        return findings.ToResult(references, header);
    }

    /// <summary>Makes refcounts and flags right, and clears the marks "dirty" and "corrupt".</summary>
    /// <returns>The header that is in force now.</returns>
    /// <exception cref="DiskImageException">The image is damaged in a way that this does not help.</exception>
    internal static Qcow2Header Repair(IImageFile file, Qcow2Header header)
    {
        if ((header.Autoclear & Qcow2Spec.AutoclearBitmaps) != 0)
            throw new DiskImageException($"{file.Name} has dirty bitmaps, which a repair here would lose; repair it with qemu-img check -r all");
        header = Adopt(file, header);
        if ((header.Incompatible & (Qcow2Spec.IncompatibleDirty | Qcow2Spec.IncompatibleCorrupt)) == 0) return header;
        header = header with { Incompatible = header.Incompatible & ~(Qcow2Spec.IncompatibleDirty | Qcow2Spec.IncompatibleCorrupt) };
        header.Write(file);
        file.Sync();
        return header;
    }

    /// <summary>Puts a header in force with refcounts made for it, then aligns the flags.</summary>
    /// <exception cref="DiskImageException">A table refers to what cannot be.</exception>
    internal static Qcow2Header Adopt(IImageFile file, Qcow2Header header)
    {
        var references = Count(file, header, what => throw Qcow2Header.Damaged(file, what));
        header = RefcountWriter.Write(file, header, references);
        CopiedFlags.Align(file, header, references, write: true);
        return header;
    }

    // Everything but refcount structures.
    private static References Count(IImageFile file, Qcow2Header header, Action<string> error)
    {
        var references = new References(file, header, error);
        var tables = new List<L1Table> { new(header.L1Offset, header.L1Size) };
        if (header.SnapshotCount != 0)
        {
            var snapshots = SnapshotTable.Read(file, header);
            references.AddArea("snapshot table", header.SnapshotOffset, (ulong)SnapshotTable.ToBytes(snapshots).Length);
            tables.AddRange(snapshots.Select(snapshot => snapshot.L1));
        }
        references.AddMappings(tables);
        return references;
    }

    private static void Compare(IImageFile file, Qcow2Header header, ulong[] table, References references, Findings findings)
    {
        var block = new byte[header.ClusterSize];
        var length = file.Length;
        for (var index = 0; index < table.Length; index++)
        {
            if (!IsBlock(table[index], header, length)) continue;
            file.Read(table[index], block);
            for (uint i = 0; i < header.RefcountsPerBlock; i++)
            {
                var cluster = (ulong)index * header.RefcountsPerBlock + i;
                findings.Compare(cluster << header.ClusterBits, RefcountEntry.Read(block, i, header.RefcountOrder), references[cluster]);
            }
        }
        // And what is referred to but has no refcount at all.
        foreach (var (first, counts) in references.Pages)
        {
            for (uint i = 0; i < counts.Length; i++)
            {
                var index = (first + i) / header.RefcountsPerBlock;
                if (index >= (ulong)table.Length || !IsBlock(table[index], header, length)) findings.Compare(first + i << header.ClusterBits, 0, counts[i]);
            }
        }
    }

    private static bool IsBlock(ulong entry, Qcow2Header header, ulong fileLength) =>
        entry != 0 && entry % header.ClusterSize == 0 && entry < fileLength;

    /// <summary>What a check found so far.</summary>
    private sealed class Findings
    {
        private readonly List<string> _messages = [];
        private long _errors, _leaks;
        private bool _leaksMayBeBitmaps;

        internal void Error(string what)
        {
            _errors++;
            if (_messages.Count < MostMessages) _messages.Add(what);
        }

        internal void Compare(ulong offset, ulong refcount, uint references)
        {
            if (refcount > references)
            {
                _leaks++;
                if (_messages.Count < MostMessages) _messages.Add($"the cluster at {offset} is counted {refcount} times but used {references} times");
            }
            else if (refcount < references)
            {
                Error($"the cluster at {offset} is counted {refcount} times but used {references} times");
            }
        }

        internal void Flags(long wrong)
        {
            if (wrong != 0) Error($"{wrong} table entries say wrongly whether they alone use a cluster");
            if (wrong > 1) _errors += wrong - 1;
        }

        internal void LeaksMayBeBitmaps() => _leaksMayBeBitmaps = true;

        internal CheckResult ToResult(References references, Qcow2Header header)
        {
            // Bitmaps are not followed here, so their clusters look like leaks.
            var leaks = _leaksMayBeBitmaps ? 0 : _leaks;
            return new CheckResult(_errors, leaks, (ulong)leaks << header.ClusterBits, references.DataClusters, references.CompressedClusters, _messages);
        }
    }
}
