// Several queues at work on one image: each thread's sectors hold what it wrote last, whatever the others do meanwhile,
// and the image is sound.
using Lamina.Backends.Disk.Qcow2;
using Lamina.Core.Block;
using Xunit;

namespace Lamina.Tests.Backends.Disk;

public sealed class Qcow2ThreadTests
{
    private const int Threads = 4, Sectors = 4096, Rounds = 300;

    [Theory]
    [InlineData(9, false)]
    [InlineData(12, true)]
    [InlineData(16, false)]
    public void Threads_do_not_disturb_each_other(int clusterBits, bool hasBacking)
    {
        var file = new RecordingFile();
        Qcow2Editor.Create(file, new Qcow2Header { ClusterBits = clusterBits, Size = Sectors * 512, BackingFile = hasBacking ? "base" : null });
        var backing = hasBacking ? new Lamina.Backends.Disk.RawDisk(new RecordingFile(new byte[Sectors * 512]), readOnly: true) : null;
        var disk = new Qcow2Disk(file, Qcow2Header.Read(file), backing, readOnly: false);
        Exception? failure = null;
        Thread[] threads = [.. Enumerable.Range(0, Threads).Select(number => new Thread(() =>
        {
            try
            {
                Work(disk, number);
            }
            catch (Exception e)
            {
                failure = e;
            }
        }))];
        foreach (var thread in threads) thread.Start();
        foreach (var thread in threads) Assert.True(thread.Join(TimeSpan.FromSeconds(120)));

        Assert.Null(failure);
        disk.Dispose();
        var check = Qcow2Checker.Check(file, Qcow2Header.Read(file));
        Assert.True(check.IsClean, string.Join("; ", check.Messages));
    }

    // Every thread owns every fourth sector, so that all are at work in the same clusters.
    private static void Work(IBlockBackend disk, int number)
    {
        var random = new Random(number);
        var content = new uint[Sectors];
        for (var round = 1; round <= Rounds; round++)
        {
            var sector = random.Next(Sectors / Threads) * Threads + number;
            var stamp = (uint)(number << 16 | round);
            switch (random.Next(8))
            {
                case 0:
                    disk.Flush();
                    break;
                case 1:
                    disk.WriteZeroes((ulong)sector * 512, 512, mayUnmap: true);
                    content[sector] = 0;
                    break;
                default:
                    disk.Write((ulong)sector * 512, DiskModel.Filled(1, stamp));
                    content[sector] = stamp;
                    break;
            }
            var other = random.Next(Sectors / Threads) * Threads + number;
            var read = disk.Read((ulong)other * 512, 512);
            Assert.True(DiskModel.Filled(1, content[other]).AsSpan().SequenceEqual(read), $"thread {number}, round {round}: sector {other} holds {BitConverter.ToUInt32(read):x}, not {content[other]:x}");
        }
    }
}
