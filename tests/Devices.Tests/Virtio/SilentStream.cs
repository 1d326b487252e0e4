// A host's end of a socket connection that says nothing and takes everything.
using Lamina.Core.Sockets;

namespace Lamina.Tests.Devices.Virtio;

internal sealed class SilentStream : IHostStream
{
    public int Available => 0;

    public bool IsAtEnd => false;

    public bool IsBroken => false;

    public int Unsent => 0;

    public void Accept(uint port)
    {
    }

    public int Read(Span<byte> into) => 0;

    public void Write(ReadOnlySpan<byte> data)
    {
    }

    public void EndWrite()
    {
    }

    public void Dispose()
    {
    }
}
