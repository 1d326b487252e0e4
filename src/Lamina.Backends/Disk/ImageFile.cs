// The file under an image format: what formats ask of it. The host's files implement it, and tests do, to lose power at
// any moment. Reads behind the end give zeros, as a disk that was never written does.
using Lamina.Core.Block;
using Lamina.Host.Io;

namespace Lamina.Backends.Disk;

/// <summary>A file that holds an image. Any thread may call; calls may overlap.</summary>
internal interface IImageFile : IDisposable
{
    /// <summary>Its name, for messages.</summary>
    string Name { get; }

    /// <summary>Equal for two names of one file.</summary>
    string Identity { get; }

    /// <summary>The length in bytes.</summary>
    ulong Length { get; }

    /// <summary>Bytes of a sector that must be written whole: 512 or 4096.</summary>
    int SectorSize { get; }

    /// <summary>Reads; zeros behind the end.</summary>
    void Read(ulong offset, Span<byte> into);

    /// <summary>Reads; zeros behind the end.</summary>
    void Read(ulong offset, ReadOnlySpan<IoVector> into);

    /// <summary>Reads where that needs no wait for the disk; false, with nothing said of the memory, where it would.</summary>
    bool TryReadCached(ulong offset, ReadOnlySpan<IoVector> into);

    /// <summary>Writes; the file grows where needed.</summary>
    void Write(ulong offset, ReadOnlySpan<byte> from);

    /// <summary>Writes; the file grows where needed.</summary>
    void Write(ulong offset, ReadOnlySpan<IoVector> from);

    /// <summary>Returns when all that was written before is durable. No write is durable for sure before.</summary>
    void Sync();

    /// <summary>Sets the length; what is new reads as zeros.</summary>
    void SetLength(ulong length);

    /// <summary>Makes a range within the file read as zeros. False where the host cannot; nothing was changed then.</summary>
    bool TryZero(ulong offset, ulong length, bool release);

    /// <summary>Gives a range's space back; what it reads as afterwards is not said.</summary>
    void Discard(ulong offset, ulong length);

    /// <summary>Whether a place below the length lies in a hole, and where what is there ends.</summary>
    (bool IsHole, ulong End) Extent(ulong offset);

    /// <summary>It is only read from now on: others may read it, too.</summary>
    void EndWriting()
    {
    }

    /// <summary>Makes a ring for requests under way; null where there is none. Disposed before this.</summary>
    IBlockRing? OpenRing() => null;
}
