// How a disk image is opened: values only.
using Lamina.Core.Logging;

namespace Lamina.Backends.Disk;

/// <summary>Formats of images.</summary>
public enum DiskFormat
{
    /// <summary>The file is the disk.</summary>
    Raw,

    /// <summary>QEMU's format, versions 2 and 3.</summary>
    Qcow2,
}

/// <summary>When a guest's writes become durable.</summary>
public enum DiskCache
{
    /// <summary>When the guest flushes.</summary>
    WriteBack,

    /// <summary>Before each write ends.</summary>
    WriteThrough,

    /// <summary>When the host likes: a guest's flush does nothing. A crash of the host may lose the disk.</summary>
    Unsafe,
}

/// <summary>What carries out requests that wait for the host's disk.</summary>
public enum DiskAio
{
    /// <summary>io_uring where it pays: a raw image past the page cache, on a host that has it; else threads.</summary>
    Auto,

    /// <summary>io_uring; it is an error where that cannot be.</summary>
    IoUring,

    /// <summary>Threads.</summary>
    Threads,
}

/// <summary>How an image is opened.</summary>
public sealed record DiskOptions
{
    /// <summary>The file or block device; or an NBD export (nbd://HOST/EXPORT), which is the disk itself.</summary>
    public required string Path { get; init; }

    /// <summary>Its format; null to look.</summary>
    public DiskFormat? Format { get; init; }

    /// <summary>Whether writes are refused.</summary>
    public bool ReadOnly { get; init; }

    /// <summary>Whether to go past the host's page cache.</summary>
    public bool Direct { get; init; }

    /// <summary>What carries out requests that wait for the host's disk.</summary>
    public DiskAio Aio { get; init; }

    /// <summary>When writes become durable.</summary>
    public DiskCache Cache { get; init; } = DiskCache.WriteBack;

    /// <summary>The files that may be used as backing files, wherever the chain of images names them.</summary>
    public IReadOnlyList<string> Backing { get; init; } = [];

    /// <summary>Whether to open whatever backing file an image names. An image of unknown origin may name any file of the host's.</summary>
    public bool TrustsBacking { get; init; }

    /// <summary>Of an NBD export by TLS: the folder with ca.pem, which vouches for its server, and with cert.pem and key.pem where this end needs a certificate; null without TLS.</summary>
    public string? TlsFolder { get; init; }

    /// <summary>Of an NBD export: how long requests wait for a connection that is lost, before they fail; null for 30 seconds.</summary>
    public TimeSpan? Patience { get; init; }

    /// <summary>Told of what goes wrong when nobody waits for an answer; any thread.</summary>
    public ILog? Log { get; init; }
}
