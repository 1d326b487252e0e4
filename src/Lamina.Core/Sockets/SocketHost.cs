// The contract between a device by which guest and host talk through sockets, and what carries the host's ends. Streams of
// bytes with an end in each direction; what a port means is the backend's. Nothing here waits.
namespace Lamina.Core.Sockets;

/// <summary>The host's end of one connection. Called by its device alone, on one thread at a time.</summary>
public interface IHostStream : IDisposable
{
    /// <summary>Bytes that can be read now.</summary>
    int Available { get; }

    /// <summary>Whether, behind what is available, nothing ever comes.</summary>
    bool IsAtEnd { get; }

    /// <summary>Whether the host's end takes no more.</summary>
    bool IsBroken { get; }

    /// <summary>Bytes that were written and that the host's end has not taken yet.</summary>
    int Unsent { get; }

    /// <summary>The guest has accepted a connection that the host's end asked for.</summary>
    /// <param name="port">The port of the host's end, as the guest sees it.</param>
    void Accept(uint port);

    /// <summary>Reads what is available.</summary>
    /// <returns>How many bytes.</returns>
    int Read(Span<byte> into);

    /// <summary>Takes all of it. The caller keeps <see cref="Unsent"/> within what it has granted.</summary>
    void Write(ReadOnlySpan<byte> data);

    /// <summary>Behind what was written nothing comes.</summary>
    void EndWrite();
}

/// <summary>The guest, as the host's ends see it. Any thread.</summary>
public interface ISocketGuest
{
    /// <summary>Asks the guest for a connection to one of its ports.</summary>
    /// <returns>False where there is no driver, or there are too many connections; the stream stays the caller's.</returns>
    bool Connect(uint port, IHostStream stream);

    /// <summary>Something about a stream has changed: bytes came or went, or an end.</summary>
    void Ready();
}

/// <summary>Makes the host's ends.</summary>
public interface ISocketHost
{
    /// <summary>Names the guest; once, before anything else.</summary>
    void Attach(ISocketGuest guest);

    /// <summary>Connects to what listens on the host at a port.</summary>
    /// <returns>The stream, which is the caller's; null where nobody listens.</returns>
    IHostStream? Connect(uint port);
}
