// One of this program's own outputs as a stream that says when nobody reads any more. .NET's own stream of the console keeps silent then, and
// a command whose output is thrown away would run without end.
using Lamina.Host.Io;

namespace Lamina.Cli.Output;

/// <summary>Nobody reads an output any more.</summary>
internal sealed class OutputGoneException() : IOException("nobody reads the output any more");

/// <summary>Writes to a descriptor, which stays open.</summary>
internal sealed class DescriptorStream(int descriptor) : Stream
{
    public override bool CanRead => false;

    public override bool CanSeek => false;

    public override bool CanWrite => true;

    public override long Length => throw new NotSupportedException();

    public override long Position
    {
        get => throw new NotSupportedException();
        set => throw new NotSupportedException();
    }

    public override void Flush()
    {
    }

    public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

    public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

    public override void SetLength(long value) => throw new NotSupportedException();

    public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

    public override void Write(ReadOnlySpan<byte> buffer)
    {
        while (!buffer.IsEmpty)
        {
            var count = HostIo.Write(descriptor, buffer);
            if (count < 0) throw new OutputGoneException();
            // Whoever shares the descriptor may have made it one that does not wait.
            if (count == 0) _ = HostIo.Wait((descriptor, HostPoll.Writable), (-1, HostPoll.None), -1);
            buffer = buffer[count..];
        }
    }
}
