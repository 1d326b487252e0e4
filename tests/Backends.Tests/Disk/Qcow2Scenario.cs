// Random operations on a qcow2 disk in memory, held against the model: writes of all lengths, zeros, discards, flushes,
// closing and opening again.
using Lamina.Backends.Disk.Qcow2;
using Lamina.Core.Block;
using Lamina.Host;

namespace Lamina.Tests.Backends.Disk;

/// <summary>The shape of an image.</summary>
internal sealed record ImageShape(int ClusterBits, int Version, int RefcountOrder, bool Lazy, ulong Size, bool HasBacking)
{
    private const int Sector = 512;

    public static ImageShape Of(Random random)
    {
        var bits = random.Next(9, 18);
        var version = random.Next(5) == 0 ? 2 : 3;
        // Small enough for tests, large enough for several L2 tables and refcount blocks.
        var size = (ulong)random.Next(1, 4096) * Sector;
        return new ImageShape(bits, version, version == 2 ? 4 : random.Next(7), version == 3 && random.Next(4) == 0, size, random.Next(3) == 0);
    }

    public Qcow2Header Header => new()
    {
        ClusterBits = ClusterBits,
        Version = Version,
        RefcountOrder = RefcountOrder,
        Size = Size,
        Compatible = Lazy ? 1ul : 0,
        BackingFile = HasBacking ? "base.raw" : null,
        BackingFormat = HasBacking ? "raw" : null,
    };
}

internal sealed class Qcow2Scenario
{
    private const int Sector = 512;
    private const uint BackingStamp = 0xbac0_0000;

    private readonly Random _random;
    private readonly byte[] _backing;

    public Qcow2Scenario(int seed)
    {
        _random = new Random(seed);
        Shape = ImageShape.Of(_random);
        // Longer or shorter than the disk, now and then.
        var backingSectors = Shape.HasBacking ? Math.Max(1, (int)(Shape.Size / Sector) + _random.Next(-64, 64)) : 0;
        _backing = [.. Enumerable.Range(0, backingSectors).SelectMany(i => DiskModel.Filled(1, BackingStamp + (uint)i))];
        Model = new DiskModel(Shape.Size, i => i < backingSectors ? BackingStamp + (uint)i : 0);
        File = new RecordingFile();
        Qcow2Editor.Create(File, Shape.Header);
    }

    public ImageShape Shape { get; }

    public DiskModel Model { get; }

    public RecordingFile File { get; private set; }

    public byte[] Backing => _backing;

    /// <summary>Whether the host has no space for the next write; asked before each but those of closing. Who finds it so tries again.</summary>
    public Func<bool> HostIsFull { get; set; } = () => false;

    /// <summary>How often an operation was tried again.</summary>
    public int Repeated { get; private set; }

    public IBlockBackend Open() => Open(File);

    public Qcow2Disk Open(RecordingFile file)
    {
        var header = Qcow2Header.Read(file);
        if (header.IsDirty) header = Qcow2Checker.Repair(file, header);
        return new Qcow2Disk(file, header, Shape.HasBacking ? new Lamina.Backends.Disk.RawDisk(new RecordingFile(_backing), readOnly: true) : null, readOnly: false);
    }

    /// <summary>Does operations; <paramref name="after"/> is called after each.</summary>
    public void Run(int operations, Action? after = null)
    {
        var disk = Open();
        for (var i = 0; i < operations; i++)
        {
            disk = Step(disk);
            after?.Invoke();
        }
        Model.AssertIs(disk.Read(0, (int)Shape.Size), "before closing");
        // The model is behind by what the last flush of closing does.
        disk.Dispose();
        Model.Flushed();
    }

    public byte[] ReadAll(RecordingFile file)
    {
        using var disk = Open(file);
        return disk.Read(0, (int)Shape.Size);
    }

    private void UntilThereIsSpace(Action operation)
    {
        var before = File.Before;
        for (var attempt = 0; ; attempt++)
        {
            // Somebody makes room at last.
            var mayBeFull = attempt < 8;
            try
            {
                File.Before = what =>
                {
                    before(what);
                    if (mayBeFull && what is ("write" or "length") && HostIsFull()) throw new HostException("there is no space") { IsDiskFull = true };
                };
                operation();
                return;
            }
            catch (HostException failure) when (failure.IsDiskFull)
            {
                Repeated++;
            }
            finally
            {
                File.Before = before;
            }
        }
    }

    private IBlockBackend Step(IBlockBackend disk)
    {
        var first = _random.Next(Model.Sectors);
        var most = Model.Sectors - first;
        // Mostly short, sometimes many clusters.
        var count = 1 + _random.Next(Math.Min(most, _random.Next(3) == 0 ? 2048 : 16));
        switch (_random.Next(12))
        {
            case < 6:
                var data = Model.NextWrite(first, count);
                UntilThereIsSpace(() => disk.Write((ulong)first * Sector, data));
                break;
            case < 8:
                Model.Zero(first, count);
                var mayUnmap = _random.Next(2) == 0;
                UntilThereIsSpace(() => disk.WriteZeroes((ulong)first * Sector, (ulong)count * Sector, mayUnmap));
                break;
            case 8:
                Model.Discard(first, count);
                UntilThereIsSpace(() => disk.Discard((ulong)first * Sector, (ulong)count * Sector));
                Model.Adopt(disk.Read(0, (int)Shape.Size));
                break;
            case < 11:
                UntilThereIsSpace(disk.Flush);
                Model.Flushed();
                break;
            default:
                disk.Dispose();
                Model.Flushed();
                disk = Open();
                break;
        }
        return disk;
    }
}
