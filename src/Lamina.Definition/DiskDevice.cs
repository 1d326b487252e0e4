// A disk of a machine, as data. Opening it is the machine's work.
using System.Text;

namespace Lamina.Definition;

/// <summary>Formats of disk images.</summary>
public enum ImageFormat
{
    /// <summary>The file is the disk.</summary>
    Raw,

    /// <summary>QEMU's format, versions 2 and 3.</summary>
    Qcow2,
}

/// <summary>When a guest's writes become durable.</summary>
public enum CacheMode
{
    /// <summary>When the guest flushes.</summary>
    WriteBack,

    /// <summary>Before each write ends.</summary>
    WriteThrough,

    /// <summary>When the host likes: a guest's flush does nothing. A crash of the host may lose the disk.</summary>
    Unsafe,
}

/// <summary>What carries out requests that wait for the host's disk.</summary>
public enum AioMode
{
    /// <summary>io_uring where it pays, else threads.</summary>
    Auto,

    /// <summary>io_uring; it is an error where that cannot be.</summary>
    IoUring,

    /// <summary>Threads.</summary>
    Threads,
}

/// <summary>What the guest gets when the host has no space for what it writes.</summary>
public enum FullMode
{
    /// <summary>An I/O error.</summary>
    Error,

    /// <summary>Nothing: the machine stands still until there is space.</summary>
    Pause,
}

/// <summary>How a disk or a drive is connected.</summary>
public enum DriveBus
{
    /// <summary>As a virtio block device.</summary>
    Virtio,

    /// <summary>To a channel of an IDE controller.</summary>
    Ide,

    /// <summary>To a port of an AHCI controller (Serial ATA).</summary>
    Sata,

    /// <summary>Behind an NVM Express controller of its own.</summary>
    Nvme,
}

/// <summary>A disk.</summary>
public sealed record DiskDevice : DeviceDefinition
{
    /// <summary>The longest <see cref="Serial"/> in bytes, and the most <see cref="Queues"/>. virtio 1.2, 5.2.6 (VIRTIO_BLK_T_GET_ID); ours.</summary>
    public const int LongestSerial = 20, MostQueues = 16;

    /// <summary>How long requests to an NBD export wait where <see cref="Reconnect"/> is null, in seconds.</summary>
    public const int UsualReconnectSeconds = 30;

    private static readonly TimeSpan LongestReconnect = TimeSpan.FromHours(1);

    /// <summary>In <see cref="Backing"/>: whatever file the image names.</summary>
    public const string AnyBacking = "any";

    /// <summary>The image: a file or a block device; or an NBD export that is the disk (nbd://HOST/EXPORT).</summary>
    public string Path { get; init; } = "";

    /// <summary>Whether the disk is an NBD export, and <see cref="Path"/> no path of the host's.</summary>
    public bool IsRemote => Path.StartsWith("nbd", StringComparison.Ordinal) && Path.Contains("://", StringComparison.Ordinal);

    /// <summary>Whether an NBD export is reached over the network, and not by a socket of the host's file system.</summary>
    public bool IsOnNetwork => IsRemote && RemoteSocket is null;

    /// <summary>The socket of the host's file system by which an NBD export is reached; null where there is none.</summary>
    public string? RemoteSocket => IsRemote && Path.Contains("+unix://", StringComparison.Ordinal) && Path.IndexOf("socket=", StringComparison.Ordinal) is > 0 and var at ? Uri.UnescapeDataString(Path[(at + "socket=".Length)..].Split('&')[0]) : null;

    /// <summary>Of an NBD export by TLS: the folder with ca.pem, and with cert.pem and key.pem where its server asks for a certificate; null without TLS.</summary>
    public string? Tls { get; init; }

    /// <summary>Of an NBD export: how long requests wait for a connection that is lost, before they fail; null for 30 seconds.</summary>
    public TimeSpan? Reconnect { get; init; }

    /// <summary>How it is connected: virtio, or what every operating system for PCs knows, on a machine that has it.</summary>
    public DriveBus Bus { get; init; }

    /// <summary>Its format, or null to look.</summary>
    public ImageFormat? Format { get; init; }

    /// <summary>How long a disk is made where there is no image yet, in bytes; null where there must be one. An image that is there stays as it is.</summary>
    public ulong? Size { get; init; }

    /// <summary>Whether the guest may only read.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>What the guest finds the disk by (/dev/disk/by-id/virtio-SERIAL); at most 20 bytes.</summary>
    public string Serial { get; init; } = "";

    /// <summary>When the guest's writes become durable.</summary>
    public CacheMode Cache { get; init; }

    /// <summary>Whether to go past the host's page cache.</summary>
    public bool Direct { get; init; }

    /// <summary>What carries out requests that wait for the host's disk.</summary>
    public AioMode Aio { get; init; }

    /// <summary>Request queues, or null for one a vCPU.</summary>
    public int? Queues { get; init; }

    /// <summary>The logical block size in bytes that the guest is told, 512 or 4096; null for the image's own, which is 512 but for a block device of the host with larger ones.</summary>
    public int? BlockSize { get; init; }

    /// <summary>Whether space that the guest gives up goes back to the host.</summary>
    public bool Discard { get; init; } = true;

    /// <summary>What the guest gets when the host is full.</summary>
    public FullMode OnFull { get; init; }

    /// <summary>Whether all writes are forgotten at the machine's end; the image is only read.</summary>
    public bool Temporary { get; init; }

    /// <summary>Files that the image may use as backing files; "any" for whatever it names. An image cannot choose by itself which files of the host are read.</summary>
    public IReadOnlyList<string> Backing { get; init; } = [];

    /// <summary>How much it may move.</summary>
    public RateLimit Limit { get; init; } = new();

    /// <summary>Whether the image may use whatever backing file it names.</summary>
    public bool TrustsBacking => Backing.Contains(AnyBacking);

    /// <summary>What there is to say.</summary>
    public static Shape<DiskDevice> Shape { get; } = new("a disk",
    [
        NameProperty<DiskDevice>(),
        Property.Path<DiskDevice>("path", "the image: a file, a block device, or an NBD export (nbd://HOST/EXPORT)", disk => disk.Path, (disk, path) => disk with { Path = path }),
        Property.Choice<DiskDevice, DriveBus>("bus", "how it is connected: virtio (the default), or on a machine of the type pc ide, which every operating system for PCs knows, sata (AHCI), or nvme", [("virtio", DriveBus.Virtio), ("ide", DriveBus.Ide), ("sata", DriveBus.Sata), ("nvme", DriveBus.Nvme)],
            disk => disk.Bus == default ? null : disk.Bus, (disk, bus) => disk with { Bus = bus }),
        Property.Flag<DiskDevice>("ro", "read only", disk => disk.ReadOnly, (disk, on) => disk with { ReadOnly = on }),
        Property.Choice<DiskDevice, ImageFormat>("format", "the image's format; found out where it is not given", [("raw", ImageFormat.Raw), ("qcow2", ImageFormat.Qcow2)],
            disk => disk.Format, (disk, format) => disk with { Format = format }),
        Property.Size<DiskDevice>("size", "make an empty disk of this size where there is no image yet: raw where the name ends in .raw or .img, else qcow2, unless format says it", "20G",
            disk => disk.Size, (disk, bytes) => disk with { Size = bytes }),
        Property.Text<DiskDevice>("serial", "TEXT", $"what the guest finds it by, at most {LongestSerial} bytes", disk => disk.Serial.Length == 0 ? null : disk.Serial, (disk, serial) =>
            Encoding.UTF8.GetByteCount(serial) <= LongestSerial ? disk with { Serial = serial } : throw new MachineException($"the serial number \"{serial}\" is longer than {LongestSerial} bytes; use a shorter one")),
        Property.Choice<DiskDevice, CacheMode>("cache", "when writes become durable: writeback (when the guest flushes; the default), writethrough, or unsafe: the host is never asked to write",
            [("writeback", CacheMode.WriteBack), ("writethrough", CacheMode.WriteThrough), ("unsafe", CacheMode.Unsafe)],
            disk => disk.Cache == default ? null : disk.Cache, (disk, cache) => disk with { Cache = cache }),
        Property.Flag<DiskDevice>("direct", "go past the host's page cache", disk => disk.Direct, (disk, on) => disk with { Direct = on }),
        Property.Choice<DiskDevice, AioMode>("aio", "what carries out requests that wait for the host's disk", [("auto", AioMode.Auto), ("io_uring", AioMode.IoUring), ("threads", AioMode.Threads)],
            disk => disk.Aio == default ? null : disk.Aio, (disk, aio) => disk with { Aio = aio }),
        Property.Number<DiskDevice>("queues", "request queues; one for each CPU by default", (1, MostQueues), disk => disk.Queues, (disk, count) => disk with { Queues = (int)count }),
        Property.OneOf<DiskDevice>("block-size", "the logical block size in bytes, 512 or 4096; 512 by default, on a block device of the host that device's", [512, 4096],
            disk => disk.BlockSize, (disk, size) => disk with { BlockSize = size }),
        Property.Switch<DiskDevice>("discard", "whether what the guest gives up is given back to the host; on by default", usual: true, disk => disk.Discard, (disk, on) => disk with { Discard = on }),
        Property.Choice<DiskDevice, FullMode>("on-full", "what the guest gets when the host's disk is full: an I/O error (the default), or a pause until there is space",
            [("error", FullMode.Error), ("pause", FullMode.Pause)], disk => disk.OnFull == default ? null : disk.OnFull, (disk, mode) => disk with { OnFull = mode }),
        Property.Flag<DiskDevice>("temporary", "forget all writes at the end", disk => disk.Temporary, (disk, on) => disk with { Temporary = on }),
        Property.List<DiskDevice>("backing", "PATH", "a file that the image may use as its backing file; repeatable; \"any\" trusts the image", disk => disk.Backing,
            (disk, path) => disk with { Backing = [.. disk.Backing, Property.Needed("backing", path)] }),
        Property.Path<DiskDevice>("tls", "of an NBD export by TLS (nbds://): the folder with ca.pem, which vouches for its server, and cert.pem and key.pem where this end needs a certificate", disk => disk.Tls, (disk, folder) => disk with { Tls = folder }),
        Property.Time<DiskDevice>("reconnect", $"of an NBD export: how long requests wait for a connection that is lost, before they are I/O errors; {UsualReconnectSeconds}s by default, 1h at most", "10s", disk => disk.Reconnect, (disk, time) =>
            time <= LongestReconnect ? disk with { Reconnect = time } : throw new MachineException("reconnect: more than 1h is not possible; use a shorter time")),
        .. RateLimit.Properties<DiskDevice>("iops", "requests", ", both ways together", disk => disk.Limit, (disk, limit) => disk with { Limit = limit }),
    ]);

    /// <summary>Reads <c>PATH[,option…]</c>; a comma in a path is written twice.</summary>
    /// <exception cref="MachineException">The text is no disk.</exception>
    public static DiskDevice Parse(string text) => Words.Split(text)[0].Length == 0
        ? throw new MachineException("a disk needs the path of its image; write it like disk.qcow2 or disk.raw,ro")
        : Words.Read(Shape, "path", new DiskDevice(), text);

    /// <inheritdoc/>
    public override string ToString() => Words.Write(Shape, "path", this);
}
