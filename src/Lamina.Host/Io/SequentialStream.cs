// What all streams have in common that are read or written from one end to the other: they have no length and no place to go to, and
// .NET's Stream wants each to say so. A stream says what it can, and overrides the reading or the writing of spans or of arrays: one of them
// is made from the other here and in Stream.
namespace Lamina.Host.Io;

/// <summary>A stream without length and position.</summary>
public abstract class SequentialStream : Stream
{
    /// <inheritdoc/>
    public sealed override bool CanSeek => false;

    /// <inheritdoc/>
    public sealed override long Length => throw new NotSupportedException("a stream in sequence has no length");

    /// <inheritdoc/>
    public sealed override long Position
    {
        get => throw new NotSupportedException("a stream in sequence has no position");
        set => throw new NotSupportedException("a stream in sequence has no position");
    }

    /// <inheritdoc/>
    public override void Flush()
    {
    }

    /// <inheritdoc/>
    public sealed override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException("a stream in sequence has no position");

    /// <inheritdoc/>
    public sealed override void SetLength(long value) => throw new NotSupportedException("a stream in sequence has no length");

    /// <inheritdoc/>
    public override int Read(byte[] buffer, int offset, int count) => CanRead ? Read(buffer.AsSpan(offset, count)) : throw new NotSupportedException("this stream is written only");

    /// <inheritdoc/>
    public override void Write(byte[] buffer, int offset, int count)
    {
        if (!CanWrite) throw new NotSupportedException("this stream is read only");
        Write(buffer.AsSpan(offset, count));
    }
}
