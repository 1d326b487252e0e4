// Two streams as one: what is read comes from one of them, what is written goes to the other.
using Lamina.Host.Io;

namespace Lamina.Hypervisor.Agent;

/// <summary>Reads from one stream and writes to another; both are its own.</summary>
internal sealed class DuplexStream(Stream from, Stream to) : SequentialStream
{
    public override bool CanRead => true;

    public override bool CanWrite => true;

    public override void Flush() => to.Flush();

    public override Task FlushAsync(CancellationToken cancellationToken) => to.FlushAsync(cancellationToken);

    public override int Read(byte[] buffer, int offset, int count) => from.Read(buffer, offset, count);

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) => from.ReadAsync(buffer, cancellationToken);

    public override void Write(byte[] buffer, int offset, int count) => to.Write(buffer, offset, count);

    public override ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default) => to.WriteAsync(buffer, cancellationToken);

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            from.Dispose();
            to.Dispose();
        }
        base.Dispose(disposing);
    }
}
