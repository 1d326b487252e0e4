// Memory of a device's own that a disk reads into and writes from, such as the buffer of a drive whose host moves the bytes itself.
using Lamina.Host.Io;

namespace Lamina.Core.Block;

/// <summary>Memory that does not move.</summary>
/// <param name="length">Its length in bytes, at least 1.</param>
public sealed class BlockMemory(int length) : IDisposable
{
    private readonly HostBuffer _buffer = new(length);

    /// <summary>Its bytes.</summary>
    public Span<byte> Bytes => _buffer.Span;

    /// <inheritdoc/>
    public void Dispose() => _buffer.Dispose();

    internal IoVector Slice(int offset, int count) => IoVector.Of(_buffer, offset, count);
}
