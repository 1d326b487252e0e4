// What an image's tables refer to, counted cluster by cluster: what the refcounts should be. Used to check an image and to
// make its refcounts anew. Nothing in the image is trusted: what lies outside the file is counted as an error and left
// alone, every L2 table is read once however many lead to it, and holes are not read at all.
namespace Lamina.Backends.Disk.Qcow2;

/// <summary>An L1 table.</summary>
/// <param name="Offset">Its place in the file.</param>
/// <param name="Size">Its entries.</param>
internal readonly record struct L1Table(ulong Offset, uint Size);

/// <summary>Counts references to clusters.</summary>
internal sealed class References
{
    private const int PageBits = 10;
    private const int MostPages = 1 << 18;
    private const ulong MostL1Entries = 64 << 20;

    private readonly IImageFile _file;
    private readonly Qcow2Header _header;
    private readonly ulong _fileLength;
    private readonly SortedDictionary<ulong, uint[]> _pages = [];
    private readonly Action<string> _error;

    /// <summary>Starts with the header's own cluster.</summary>
    /// <param name="file">The image.</param>
    /// <param name="header">Its shape; which tables are counted is the caller's word.</param>
    /// <param name="error">Told of each reference that cannot be.</param>
    internal References(IImageFile file, Qcow2Header header, Action<string> error)
    {
        (_file, _header, _error) = (file, header, error);
        _fileLength = file.Length;
        Add(0, 1);
    }

    /// <summary>How many of the guest's clusters have data in the file.</summary>
    internal ulong DataClusters { get; private set; }

    /// <summary>How many of these are compressed.</summary>
    internal ulong CompressedClusters { get; private set; }

    /// <summary>The clusters that are referred to, in order, in groups of 2^10 with the first one's number.</summary>
    internal IEnumerable<(ulong First, uint[] Counts)> Pages => _pages.Select(page => (page.Key << PageBits, page.Value));

    /// <summary>How often a cluster is referred to.</summary>
    internal uint this[ulong cluster] => _pages.TryGetValue(cluster >> PageBits, out var page) ? page[cluster & ((1 << PageBits) - 1)] : 0;

    /// <summary>Counts clusters by their number.</summary>
    internal void Add(ulong first, ulong count, uint times = 1)
    {
        for (var cluster = first; cluster < first + count; cluster++)
        {
            if (!_pages.TryGetValue(cluster >> PageBits, out var page))
            {
                if (_pages.Count == MostPages) throw new DiskImageException($"{_file.Name} is too large or too scattered to be checked");
                _pages[cluster >> PageBits] = page = new uint[1 << PageBits];
            }
            ref var counter = ref page[cluster & ((1 << PageBits) - 1)];
            counter = counter > uint.MaxValue - times ? uint.MaxValue : counter + times;
        }
    }

    /// <summary>Counts an area given in bytes.</summary>
    internal void AddArea(string name, ulong offset, ulong length)
    {
        if (length == 0) return;
        if (offset % _header.ClusterSize != 0 || offset >= _fileLength || length > _fileLength - offset)
        {
            _error($"the {name} at {offset} does not lie in the file");
            return;
        }
        Add(offset >> _header.ClusterBits, Qcow2Spec.RoundUp(length, _header.ClusterSize) >> _header.ClusterBits);
    }

    /// <summary>Counts what L1 tables lead to; the tables themselves too.</summary>
    internal void AddMappings(IEnumerable<L1Table> tables)
    {
        var timesUsed = new Dictionary<ulong, uint>();
        ulong entries = 0;
        foreach (var table in tables)
        {
            if (table.Size == 0) continue;
            entries += table.Size;
            if (entries > MostL1Entries) throw new DiskImageException($"the snapshots of {_file.Name} are too many or too large to be checked");
            var length = table.Size * (ulong)Qcow2Spec.EntrySize;
            AddArea("L1 table", table.Offset, length);
            if (table.Offset >= _fileLength || length > _fileLength - table.Offset) continue;
            foreach (var entry in ClusterMap.ReadL1(_file, table.Offset, table.Size))
            {
                if (entry == 0) continue;
                if (!ClusterMap.IsTable(entry, _header, _fileLength)) _error($"an L1 entry names the cluster at {entry & Qcow2Spec.OffsetMask}, which cannot hold a table");
                else timesUsed[entry & Qcow2Spec.OffsetMask] = timesUsed.GetValueOrDefault(entry & Qcow2Spec.OffsetMask) + 1;
            }
        }
        var slice = new byte[_header.ClusterSize];
        foreach (var (offset, times) in timesUsed)
        {
            Add(offset >> _header.ClusterBits, 1, times);
            AddTable(offset, times, slice);
        }
    }

    private void AddTable(ulong offset, uint times, byte[] table)
    {
        if (_file.Extent(offset) is { IsHole: true } hole && hole.End >= Math.Min(_fileLength, offset + _header.ClusterSize)) return;
        _file.Read(offset, table);
        for (var at = 0; at < table.Length; at += Qcow2Spec.EntrySize)
        {
            var entry = System.Buffers.Binary.BinaryPrimitives.ReadUInt64BigEndian(table.AsSpan(at));
            if (entry == 0) continue;
            if ((entry & Qcow2Spec.Compressed) != 0) AddCompressed(entry, times);
            else AddData(entry & Qcow2Spec.OffsetMask, times);
        }
    }

    private void AddData(ulong offset, uint times)
    {
        if (offset == 0) return;
        if (offset % _header.ClusterSize != 0) _error($"an L2 entry names the cluster at {offset}, which is no multiple of a cluster");
        else if (offset >= Qcow2Spec.RoundUp(_fileLength, _header.ClusterSize)) _error($"an L2 entry names the cluster at {offset}, behind the end of the file");
        else Add(offset >> _header.ClusterBits, 1, times);
        DataClusters++;
    }

    private void AddCompressed(ulong entry, uint times)
    {
        var extent = CompressedExtent.Of(entry, _header.ClusterBits);
        var first = extent.Offset >> _header.ClusterBits;
        var last = extent.Offset + extent.Length - 1 >> _header.ClusterBits;
        if (extent.Offset >= _fileLength) _error($"an L2 entry names compressed data at {extent.Offset}, behind the end of the file");
        else Add(first, Math.Min(last, (_fileLength - 1) >> _header.ClusterBits) - first + 1, times);
        DataClusters++;
        CompressedClusters++;
    }
}
