// This program's own input or one of its outputs as a stream. Those of .NET's console send a terminal escape sequences, and keep silent where
// nobody reads an output any more, so that a command whose output is thrown away would run without end.
using Lamina.Host.Io;

namespace Lamina.Cli.Output;

/// <summary>Nobody reads an output any more.</summary>
internal sealed class OutputGoneException() : IOException("nobody reads the output any more");

/// <summary>Reads from a descriptor, or writes to it; it stays open.</summary>
internal sealed class DescriptorStream(int descriptor) : SequentialStream
{
    public override bool CanRead => true;

    public override bool CanWrite => true;

    public override int Read(Span<byte> buffer)
    {
        while (true)
        {
            if (HostIo.ReadNow(descriptor, buffer) is { } count) return count >= 0 ? count : throw new IOException("the standard input cannot be read");
            _ = HostIo.Wait((descriptor, HostPoll.Readable), (-1, HostPoll.None), -1);
        }
    }

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
