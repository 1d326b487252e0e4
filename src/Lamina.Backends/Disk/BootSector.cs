// Whether a disk's first sector is one that a BIOS would begin: it ends with the signature, and there is code in it, which a partition
// table alone has not.
using Lamina.Core.Block;
using Lamina.Host.Io;

namespace Lamina.Backends.Disk;

/// <summary>Looks at a disk's first sector.</summary>
public static class BootSector
{
    // Behind the code lie the disk's number and the partitions.
    private const int CodeLength = 440, Signature = 510;

    /// <summary>Whether a disk has a boot loader.</summary>
    /// <param name="options">The disk, which is only read.</param>
    /// <exception cref="IOException">It cannot be read.</exception>
    public static bool IsOn(DiskOptions options)
    {
        using var disk = DiskImages.Open(options with { ReadOnly = true });
        if (disk.Length < IBlockBackend.SectorSize) return false;
        using var buffer = new HostBuffer(IBlockBackend.SectorSize);
        disk.Read(0, [IoVector.Of(buffer, 0, IBlockBackend.SectorSize)]);
        var sector = buffer.Span;
        return sector[Signature] == 0x55 && sector[Signature + 1] == 0xaa && sector[..CodeLength].ContainsAnyExcept((byte)0);
    }
}
