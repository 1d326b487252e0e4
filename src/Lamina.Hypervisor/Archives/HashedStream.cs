// A stream that is read from its beginning to its end, and known by its digest then.
using System.Security.Cryptography;

namespace Lamina.Hypervisor.Archives;

/// <summary>Digests what is read.</summary>
/// <param name="inner">What is read; its length is known.</param>
/// <param name="hash">Takes the bytes.</param>
internal sealed class HashedStream(Stream inner, IncrementalHash hash) : Stream
{
    public override bool CanRead => true;

    // Who writes archives asks for the length of what can be sought only.
    public override bool CanSeek => true;

    public override bool CanWrite => false;

    public override long Length => inner.Length;

    public override long Position
    {
        get => inner.Position;
        set => throw new NotSupportedException("what was digested is not read again");
    }

    public override int Read(Span<byte> buffer)
    {
        var count = inner.Read(buffer);
        hash.AppendData(buffer[..count]);
        return count;
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var count = await inner.ReadAsync(buffer, cancellationToken).ConfigureAwait(false);
        hash.AppendData(buffer.Span[..count]);
        return count;
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override void Flush()
    {
    }

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException("what was digested is not read again");

    public override void SetLength(long value) => throw new NotSupportedException("it is only read");

    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException("it is only read");
}
