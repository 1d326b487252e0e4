// What people are told of images, and what they ask for when they make one: values only.
using Lamina.Backends.Disk.Qcow2;

namespace Lamina.Backends.Disk;

/// <summary>What an image says of itself.</summary>
public sealed record DiskInfo
{
    /// <summary>The file.</summary>
    public required string Path { get; init; }

    /// <summary>Its format.</summary>
    public required DiskFormat Format { get; init; }

    /// <summary>The disk's length in bytes.</summary>
    public required ulong Size { get; init; }

    /// <summary>The file's length in bytes.</summary>
    public required ulong FileLength { get; init; }

    /// <summary>The backing file's name as the image has it, or null.</summary>
    public string? BackingFile { get; init; }

    /// <summary>Further properties, in order: name and value.</summary>
    public IReadOnlyList<(string Name, string Value)> Properties { get; init; } = [];
}

/// <summary>An internal snapshot.</summary>
/// <param name="Id">Its number.</param>
/// <param name="Name">Its name.</param>
/// <param name="Taken">When.</param>
/// <param name="DiskSize">The disk's length then, in bytes; null where the image does not say.</param>
/// <param name="VmStateSize">The bytes of a saved machine's state.</param>
public sealed record DiskSnapshot(string Id, string Name, DateTimeOffset Taken, ulong? DiskSize, ulong VmStateSize);

/// <summary>What a new image is to be.</summary>
public sealed record DiskCreation
{
    /// <summary>The file; there must be none.</summary>
    public required string Path { get; init; }

    /// <summary>Its format.</summary>
    public DiskFormat Format { get; init; } = DiskFormat.Qcow2;

    /// <summary>The disk's length in bytes; null for the backing file's.</summary>
    public ulong? Size { get; init; }

    /// <summary>A backing file, or null.</summary>
    public string? Backing { get; init; }

    /// <summary>Bytes of a cluster: a power of two from 512 to 2 MiB.</summary>
    public ulong ClusterSize { get; init; } = 1 << Qcow2Spec.DefaultClusterBits;

    /// <summary>Whether refcounts are written when the image is closed only.</summary>
    public bool LazyRefcounts { get; init; }

    /// <summary>Whether a copy's clusters are compressed; qcow2, version 3.</summary>
    public bool Compressed { get; init; }

    /// <summary>2 for programs that know no version 3, else 3.</summary>
    public int Version { get; init; } = 3;
}
