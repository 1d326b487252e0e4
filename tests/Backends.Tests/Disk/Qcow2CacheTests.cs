// The tables of an image that are in memory: of an image with more of them than the bound, so many and no more, and what goes is not
// lost.
using System.Buffers.Binary;
using Lamina.Backends.Disk;
using Lamina.Backends.Disk.Qcow2;
using Lamina.Core.Block;
using Lamina.Core.Inspection;
using Lamina.Host.Io;
using Xunit;

namespace Lamina.Tests.Backends.Disk;

public sealed class Qcow2CacheTests : IDisposable
{
    private readonly string _path = Path.Combine(Path.GetTempPath(), $"lamina-tables-{Guid.NewGuid():N}");
    private readonly HostBuffer _buffer = new(4096);

    public void Dispose()
    {
        File.Delete(_path);
        _buffer.Dispose();
    }

    // A table of 64 KiB for each 512 MiB; one write in each.
    [Fact]
    public void Of_an_image_with_more_tables_than_are_kept_the_latest_are_and_all_are_found_again()
    {
        const int tables = 700;
        const ulong perTable = 512 << 20;
        DiskTools.Create(new DiskCreation { Path = _path, Format = DiskFormat.Qcow2, Size = (ulong)tables * perTable });
        long most = 0;
        using (var disk = Open())
        {
            for (ulong table = 0; table < tables; table++)
            {
                BinaryPrimitives.WriteUInt64LittleEndian(_buffer.Span, table);
                disk.Write(table * perTable, All);
                most = Math.Max(most, Kept(disk, "bytes of L2 tables in memory"));
            }
            for (ulong table = 0; table < tables; table++) AssertRead(disk, table * perTable, table);
        }

        using var again = Open();
        for (ulong table = 0; table < tables; table++)
        {
            AssertRead(again, table * perTable, table);
            most = Math.Max(most, Kept(again, "bytes of L2 tables in memory"));
        }
        Assert.InRange(most, ClusterMap.CacheCapacity / 2, ClusterMap.CacheCapacity);
        Assert.InRange(Kept(again, "bytes of refcounts in memory"), 0, Refcounts.CacheCapacity);
    }

    [Fact]
    public void Tables_that_wait_to_be_written_are_so_many_before_it_is_time_to()
    {
        const int capacity = 1 << 20, slice = 1 << 16;
        var cache = new TableCache(new RecordingFile(), 16, capacity);
        for (ulong n = 0; n < 100; n++)
        {
            // As a disk does before each change.
            if (cache.IsFull) cache.WriteBack();
            cache.Set(n * slice, n);
            Assert.InRange(cache.Bytes, slice, capacity);
        }
        cache.WriteBack();

        Assert.All(Enumerable.Range(0, 100), n => Assert.Equal((ulong)n, cache.Get((ulong)n * slice)[0]));
        Assert.InRange(cache.Bytes, slice, capacity);
    }

    private ReadOnlySpan<IoVector> All => new[] { IoVector.Of(_buffer, 0, 4096) };

    private IBlockBackend Open() => DiskImages.Open(new DiskOptions { Path = _path, Format = DiskFormat.Qcow2 });

    private void AssertRead(IBlockBackend disk, ulong offset, ulong expected)
    {
        disk.Read(offset, All);
        Assert.Equal(expected, BinaryPrimitives.ReadUInt64LittleEndian(_buffer.Span));
    }

    private static long Kept(IBlockBackend disk, string what)
    {
        var node = new InspectNode("disk");
        ((IInspected)disk).Inspect(node);
        return (long)node[what]!;
    }
}
