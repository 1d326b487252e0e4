// What comes over a link, frame by frame: a test holds a frame back, leaves it out, or looks at it.
using System.Buffers.Binary;
using Lamina.Host.Io;
using Lamina.Migration;

namespace Lamina.Tests.Machines.Migration;

/// <summary>One end of a link.</summary>
/// <param name="link">That one.</param>
internal sealed class FrameGate(Link link) : SequentialStream
{
    private byte[] _frame = [];
    private int _given;

    private bool _isListed;

    /// <summary>Asked before each frame that is read, up to the list of what is missing; false leaves it out.</summary>
    internal Func<MigrationFrame, Task<bool>> Before { get; init; } = _ => Task.FromResult(true);

    /// <summary>Likewise, from there on.</summary>
    internal Func<MigrationFrame, Task<bool>> Passes { get; set; } = _ => Task.FromResult(true);

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        while (_given == _frame.Length)
        {
            var head = new byte[MigrationSpec.HeaderLength];
            if (await link.ReadAtLeastAsync(head, head.Length, throwOnEndOfStream: false, cancellationToken) < head.Length) return 0;
            var frame = new byte[head.Length + BinaryPrimitives.ReadInt32LittleEndian(head.AsSpan(4))];
            head.CopyTo(frame, 0);
            if (await link.ReadAtLeastAsync(frame.AsMemory(head.Length), frame.Length - head.Length, throwOnEndOfStream: false, cancellationToken) < frame.Length - head.Length) return 0;
            _isListed |= head[0] == (byte)MigrationFrame.Missing;
            if (await (_isListed ? Passes : Before)((MigrationFrame)head[0]).WaitAsync(cancellationToken)) (_frame, _given) = (frame, 0);
        }
        var count = Math.Min(buffer.Length, _frame.Length - _given);
        _frame.AsMemory(_given, count).CopyTo(buffer);
        _given += count;
        return count;
    }

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => link.WriteAsync(buffer, cancellationToken);

    public override bool CanRead => true;

    public override bool CanWrite => true;

    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new InvalidOperationException("it is read asynchronously");

    public override void Write(byte[] buffer, int offset, int count) => throw new InvalidOperationException("it is written to asynchronously");

    protected override void Dispose(bool disposing) => link.Cut();
}
