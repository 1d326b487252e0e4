// Images that lie. Whatever stands in one, opening, reading, writing, checking and repairing end, in an answer or in an
// error, without taking more memory than the image is worth and without writing far behind its end.
using System.Buffers.Binary;
using Lamina.Backends.Disk;
using Lamina.Backends.Disk.Qcow2;
using Xunit;

namespace Lamina.Tests.Backends.Disk;

public sealed class Qcow2HostileTests
{
    private const int Originals = 25;
    private const long MostMemory = 512L << 20;

    private static readonly int Mutations = FuzzLength.CasesOr(1500);

    [Theory]
    [InlineData(4, 4, 7ul, "version 7")]
    [InlineData(20, 4, 8ul, "clusters have 2^8")]
    [InlineData(20, 4, 40ul, "clusters have 2^40")]
    [InlineData(24, 8, ulong.MaxValue, "its disk has")]
    [InlineData(24, 8, 1ul << 50, "too few for a disk")]
    [InlineData(32, 4, 1ul, "encrypted")]
    [InlineData(32, 4, 2ul, "encrypted")]
    [InlineData(36, 4, 0xffff_fffful, "L1 table has")]
    [InlineData(36, 4, 0ul, "too few")]
    [InlineData(40, 8, 1ul << 60, "L1 table does not lie")]
    [InlineData(40, 8, 0x1234ul, "L1 table does not lie")]
    [InlineData(40, 8, 0ul, "L1 table does not lie")]
    [InlineData(48, 8, 1ul << 60, "refcount table does not lie")]
    [InlineData(56, 4, 0xffff_fffful, "refcount table has")]
    [InlineData(56, 4, 0ul, "refcount table does not lie")]
    [InlineData(60, 4, 0xffff_fffful, "snapshots")]
    [InlineData(60, 4, 5ul, "snapshot table does not lie")]
    [InlineData(72, 8, 4ul, "in another file")]
    [InlineData(72, 8, 8ul, "compressed in a way")]
    [InlineData(72, 8, 16ul, "extended L2")]
    [InlineData(72, 8, 1ul << 40, "not known here")]
    [InlineData(96, 4, 7ul, "refcounts have 2^7")]
    [InlineData(100, 4, 100ul, "header says")]
    [InlineData(100, 4, 0x7fff_fff8ul, "header says")]
    [InlineData(8, 8, 1ul << 40, "backing file lies outside")]
    [InlineData(8, 8, 200ul, "backing file lies outside")]
    public void A_header_that_lies_is_refused_with_what_is_wrong(int at, int length, ulong value, string sentence)
    {
        var image = Image(new Qcow2Header { Size = 1 << 20, ClusterBits = 12 }, _ => { });
        Put(image, at, length, value);

        var refusal = Assert.Throws<DiskImageException>(() => Qcow2Header.Read(new RecordingFile(image)));

        Assert.Contains(sentence, refusal.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void An_L1_entry_outside_the_file_or_on_another_table_is_refused()
    {
        var header = new Qcow2Header { Size = 4 << 20, ClusterBits = 12 };
        var image = Image(header, disk => disk.Write(0, new byte[4096].Select(_ => (byte)1).ToArray()));
        var l1 = (int)Qcow2Header.Read(new RecordingFile(image)).L1Offset;
        foreach (var entry in (ulong[])[1ul << 63 | 1ul << 50, 0x1200, (uint)l1 | 1ul << 63, 1ul << 63 | 0x1000])
        {
            Put(image, l1, 8, entry);
            Assert.Throws<DiskImageException>(() => Open(image));
        }
    }

    [Fact]
    public void A_guest_cannot_write_to_tables_or_behind_the_end_by_way_of_a_lying_L2_entry()
    {
        var image = Image(new Qcow2Header { Size = 4 << 20, ClusterBits = 12 }, disk => disk.Write(0, new byte[4096].Select(_ => (byte)1).ToArray()));
        var header = Qcow2Header.Read(new RecordingFile(image));
        var table = (int)(BinaryPrimitives.ReadUInt64BigEndian(image.AsSpan((int)header.L1Offset)) & Qcow2Spec.OffsetMask);
        foreach (var target in (ulong[])[0, header.L1Offset, (ulong)table, header.RefcountTableOffset, 1ul << 40, 1ul << 55, 0x1200])
        {
            var lying = image.ToArray();
            Put(lying, table, 8, target | Qcow2Spec.Copied);
            var file = new RecordingFile(lying);
            using var disk = Open(file);

            Assert.Throws<DiskImageException>(() => disk.Write(0, new byte[512]));

            Assert.Equal(lying, file.Content);
        }
    }

    [Fact]
    public void A_free_cluster_that_holds_a_table_is_not_given_out()
    {
        var image = Image(new Qcow2Header { Size = 4 << 20, ClusterBits = 12 }, _ => { });
        var header = Qcow2Header.Read(new RecordingFile(image));
        var block = (int)BinaryPrimitives.ReadUInt64BigEndian(image.AsSpan((int)header.RefcountTableOffset));
        image.AsSpan(block, 4096).Clear();
        using var disk = Open(new RecordingFile(image));

        var refusal = Assert.Throws<DiskImageException>(() => disk.Write(0, new byte[512]));

        Assert.Contains("lamina disk check --repair", refusal.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public void Damaged_images_end_in_an_answer_or_an_error(int part)
    {
        var before = GC.GetTotalMemory(forceFullCollection: true);
        var seeds = part == 0 ? Enumerable.Range(FuzzLength.Seed, Mutations) : File.ReadLines(Path.Combine(AppContext.BaseDirectory, "Disk", "qcow2-corpus.txt")).Where(line => line.Length != 0 && line[0] != '#').Select(int.Parse);
        byte[][] originals = [.. Enumerable.Range(0, Originals).Select(Original)];
        foreach (var seed in seeds) Try(seed, originals[seed % Originals].ToArray());
        Assert.True(GC.GetTotalMemory(forceFullCollection: true) - before < MostMemory);
    }

    // Some damage, more of it in the header, and everything that can be done with an image afterwards.
    private static void Try(int seed, byte[] image)
    {
        var random = new Random(seed);
        for (var i = random.Next(1, 6); i > 0; i--)
        {
            var at = random.Next(4) == 0 ? random.Next(120) : random.Next(image.Length);
            switch (random.Next(3))
            {
                case 0:
                    image[at] = (byte)random.Next(256);
                    break;
                case 1:
                    image[at] ^= (byte)(1 << random.Next(8));
                    break;
                default:
                    if (at + 8 <= image.Length) BinaryPrimitives.WriteUInt64BigEndian(image.AsSpan(at & ~7), (ulong)random.NextInt64() >> random.Next(64));
                    break;
            }
        }
        Survive(() =>
        {
            var file = new RecordingFile(image);
            Qcow2Checker.Check(file, Qcow2Header.Read(file));
            Qcow2Checker.Repair(file, Qcow2Header.Read(file));
        });
        Survive(() =>
        {
            using var disk = Open(new RecordingFile(image));
            var length = (int)Math.Min(disk.Length, 1 << 20);
            for (var at = 0; at + 512 <= length; at += length / 7 / 512 * 512 + 512)
            {
                Survive(() => disk.Read((ulong)at, 512));
                Survive(() => disk.Write((ulong)at, new byte[512]));
                Survive(() => disk.WriteZeroes((ulong)at, 512, true));
            }
            Survive(disk.Flush);
        });
        Survive(() =>
        {
            var file = new RecordingFile(image);
            Qcow2Editor.CreateSnapshot(file, Qcow2Header.Read(file), "s", DateTimeOffset.UnixEpoch);
            Qcow2Editor.ApplySnapshot(file, Qcow2Header.Read(file), "s");
            Qcow2Editor.DeleteSnapshot(file, Qcow2Header.Read(file), "s");
        });
    }

    private static byte[] Original(int seed)
    {
        var scenario = new Qcow2Scenario(seed);
        scenario.Run(15);
        return scenario.File.Content;
    }

    private static void Survive(Action action)
    {
        try
        {
            action();
        }
        catch (IOException)
        {
            // A sentence about the image; anything else is a fault.
        }
    }

    private static byte[] Image(Qcow2Header header, Action<Qcow2Disk> fill)
    {
        var file = new RecordingFile();
        Qcow2Editor.Create(file, header);
        using (var disk = Open(file)) fill(disk);
        return file.Content;
    }

    private static Qcow2Disk Open(byte[] image) => Open(new RecordingFile(image));

    private static Qcow2Disk Open(RecordingFile file) => new(file, Qcow2Header.Read(file), null, readOnly: false);

    private static void Put(byte[] image, int at, int length, ulong value)
    {
        if (length == 4) BinaryPrimitives.WriteUInt32BigEndian(image.AsSpan(at), (uint)value);
        else BinaryPrimitives.WriteUInt64BigEndian(image.AsSpan(at), value);
    }
}
