// What a machine sends when it moves, kept; or what was kept, for a machine to arrive from, with or without changes.
using Lamina.Host.Io;

namespace Lamina.Tests.Machines.Migration;

/// <summary>Reads from another stream. What is written goes there where that is a link, and else nowhere.</summary>
/// <param name="from">That one.</param>
internal sealed class RecordedStream(Stream from) : SequentialStream
{
    /// <summary>What was read.</summary>
    internal MemoryStream Recorded { get; } = new();

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        var count = await from.ReadAsync(buffer, cancellationToken);
        Recorded.Write(buffer.Span[..count]);
        return count;
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => from is Link ? from.WriteAsync(buffer, cancellationToken) : ValueTask.CompletedTask;

    public override bool CanRead => true;

    public override bool CanWrite => true;

    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new InvalidOperationException("it is read asynchronously");

    public override void Write(byte[] buffer, int offset, int count) => throw new InvalidOperationException("it is written to asynchronously");
}
