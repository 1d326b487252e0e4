// Sockets that never block and answer with values: what a network stack of our own needs of the host's. .NET's Socket
// tells of an unfinished connect or a refused datagram by an exception each; here an error is an errno.
using System.Buffers.Binary;
using System.Net;
using System.Runtime.InteropServices;
using Lamina.Host.Interop;

namespace Lamina.Host.Net;

/// <summary>Error numbers that callers tell apart. errno(3).</summary>
public static class HostError
{
    /// <summary>Nothing now; wait.</summary>
    public const int Again = 11;

    /// <summary>A connect is under way.</summary>
    public const int InProgress = 115;

    /// <summary>Nobody listens there.</summary>
    public const int ConnectionRefused = 111;

    /// <summary>No route, or no such host, or no answer.</summary>
    public const int NetworkUnreachable = 101, TimedOut = 110, HostUnreachable = 113;

    /// <summary>A client was gone before it was accepted.</summary>
    public const int ConnectionAborted = 103;

    /// <summary>The host forbids it.</summary>
    public const int NotPermitted = 1, AccessDenied = 13;
}

/// <summary>The kinds of socket.</summary>
public enum HostSocketKind
{
    /// <summary>TCP.</summary>
    Tcp,

    /// <summary>UDP.</summary>
    Udp,

    /// <summary>ICMP echo without privilege, where net.ipv4.ping_group_range allows it. icmp(7).</summary>
    Echo,

    /// <summary>ICMP with privilege.</summary>
    RawIcmp,
}

/// <summary>A socket of the Internet families. Not thread safe except for <see cref="Dispose"/>.</summary>
public sealed unsafe class HostSocket : IDisposable
{
    private const int LongestAddress = 28;
    private int _descriptor;

    private HostSocket(int descriptor) => _descriptor = descriptor;

    /// <summary>The descriptor, for waiting.</summary>
    public int Descriptor => _descriptor;

    /// <summary>Makes a socket.</summary>
    /// <param name="kind">Its kind.</param>
    /// <param name="v6">Whether it is for IPv6 (and for nothing else).</param>
    /// <param name="error">The error number where the host refuses it.</param>
    public static HostSocket? TryCreate(HostSocketKind kind, bool v6, out int error)
    {
        var (type, protocol) = kind switch
        {
            HostSocketKind.Tcp => (Libc.SOCK_STREAM, 0),
            HostSocketKind.Udp => (Libc.SOCK_DGRAM, 0),
            HostSocketKind.Echo => (Libc.SOCK_DGRAM, v6 ? Libc.IPPROTO_ICMPV6 : Libc.IPPROTO_ICMP),
            _ => (Libc.SOCK_RAW, v6 ? Libc.IPPROTO_ICMPV6 : Libc.IPPROTO_ICMP),
        };
        var descriptor = Libc.socket(v6 ? Libc.AF_INET6 : Libc.AF_INET, type | Libc.SOCK_NONBLOCK | Libc.SOCK_CLOEXEC, protocol);
        error = descriptor < 0 ? Marshal.GetLastPInvokeError() : 0;
        if (descriptor < 0) return null;
        var socket = new HostSocket(descriptor);
        if (v6) socket.Set(Libc.IPPROTO_IPV6, Libc.IPV6_V6ONLY, 1);
        if (kind == HostSocketKind.Tcp) socket.Set(Libc.IPPROTO_TCP, Libc.TCP_NODELAY, 1);
        return socket;
    }

    /// <summary>A socket that is bound to an address of the host, and listens where it is TCP.</summary>
    /// <exception cref="HostException">The address is taken or not the host's, or the port needs a privilege; the message says which.</exception>
    public static HostSocket Bind(HostSocketKind kind, IPEndPoint address)
    {
        var socket = TryCreate(kind, address.Address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6, out var error);
        if (socket is null)
        {
            Marshal.SetLastPInvokeError(error);
            throw HostException.FromErrno("cannot make a socket");
        }
        if (kind == HostSocketKind.Tcp) socket.Set(Libc.SOL_SOCKET, Libc.SO_REUSEADDR, 1);
        var name = stackalloc byte[LongestAddress];
        var length = Write(name, address);
        if (Libc.bind(socket.Descriptor, name, length) == 0 && (kind != HostSocketKind.Tcp || Libc.listen(socket.Descriptor, 128) == 0)) return socket;
        error = Marshal.GetLastPInvokeError();
        socket.Dispose();
        Marshal.SetLastPInvokeError(error);
        throw error switch
        {
            Libc.EADDRINUSE => new HostException($"{kind switch { HostSocketKind.Tcp => "TCP", _ => "UDP" }} port {address.Port} of {address.Address} is in use by another program; choose another port"),
            Libc.EACCES => new HostException($"port {address.Port} of {address.Address} needs a privilege of the host's; choose one from 1024 on"),
            Libc.EADDRNOTAVAIL => new HostException($"{address.Address} is no address of this host; choose one of its own, or 0.0.0.0 for all"),
            _ => HostException.FromErrno($"cannot listen on port {address.Port} of {address.Address}"),
        };
    }

    /// <summary>Connects, or begins to. 0, <see cref="HostError.InProgress"/>, or another error.</summary>
    public int Connect(IPAddress address, int port)
    {
        var name = stackalloc byte[LongestAddress];
        var length = Write(name, new IPEndPoint(address, port));
        return Libc.connect(_descriptor, name, length) == 0 ? 0 : Marshal.GetLastPInvokeError();
    }

    /// <summary>The error that came up since it was asked last (SO_ERROR), 0 for none.</summary>
    public int TakeError()
    {
        var error = 0;
        var length = sizeof(int);
        return Libc.getsockopt(_descriptor, Libc.SOL_SOCKET, Libc.SO_ERROR, &error, &length) == 0 ? error : Marshal.GetLastPInvokeError();
    }

    /// <summary>Takes a connection that came in; null where there is none, or it cannot be had.</summary>
    public HostSocket? Accept(out int error)
    {
        var descriptor = Libc.accept4(_descriptor, null, null, Libc.SOCK_NONBLOCK | Libc.SOCK_CLOEXEC);
        error = descriptor < 0 ? Marshal.GetLastPInvokeError() : 0;
        if (descriptor < 0) return null;
        var socket = new HostSocket(descriptor);
        socket.Set(Libc.IPPROTO_TCP, Libc.TCP_NODELAY, 1);
        return socket;
    }

    /// <summary>Sends as much as can be sent.</summary>
    /// <returns>The number of bytes; or an error number, negated.</returns>
    public int Send(ReadOnlySpan<byte> data)
    {
        fixed (byte* start = data)
        {
            nint count;
            do count = Libc.send(_descriptor, start, (nuint)data.Length, Libc.MSG_NOSIGNAL | Libc.MSG_DONTWAIT);
            while (count < 0 && Marshal.GetLastPInvokeError() == Libc.EINTR);
            return count < 0 ? -Marshal.GetLastPInvokeError() : (int)count;
        }
    }

    /// <summary>Receives what is there.</summary>
    /// <returns>The number of bytes, 0 at the end of a stream; or an error number, negated.</returns>
    public int Receive(Span<byte> buffer)
    {
        fixed (byte* start = buffer)
        {
            nint count;
            do count = Libc.recv(_descriptor, start, (nuint)buffer.Length, Libc.MSG_DONTWAIT);
            while (count < 0 && Marshal.GetLastPInvokeError() == Libc.EINTR);
            return count < 0 ? -Marshal.GetLastPInvokeError() : (int)count;
        }
    }

    /// <summary>Sends a datagram to an address. As <see cref="Send"/>.</summary>
    public int SendTo(ReadOnlySpan<byte> data, IPEndPoint to)
    {
        var name = stackalloc byte[LongestAddress];
        var length = Write(name, to);
        fixed (byte* start = data)
        {
            var count = Libc.sendto(_descriptor, start, (nuint)data.Length, Libc.MSG_NOSIGNAL | Libc.MSG_DONTWAIT, name, length);
            return count < 0 ? -Marshal.GetLastPInvokeError() : (int)count;
        }
    }

    /// <summary>Receives a datagram and its sender. As <see cref="Receive"/>.</summary>
    public int ReceiveFrom(Span<byte> buffer, out IPEndPoint? from)
    {
        var name = stackalloc byte[LongestAddress];
        var length = LongestAddress;
        from = null;
        fixed (byte* start = buffer)
        {
            var count = Libc.recvfrom(_descriptor, start, (nuint)buffer.Length, Libc.MSG_DONTWAIT, name, &length);
            if (count < 0) return -Marshal.GetLastPInvokeError();
            from = Read(new ReadOnlySpan<byte>(name, Math.Clamp(length, 0, LongestAddress)));
            return (int)count;
        }
    }

    /// <summary>Says that no more will be sent.</summary>
    public void FinishSending() => _ = Libc.shutdown(_descriptor, Libc.SHUT_WR);

    /// <summary>The address it is bound to.</summary>
    public IPEndPoint? LocalAddress
    {
        get
        {
            var name = stackalloc byte[LongestAddress];
            var length = LongestAddress;
            return Libc.getsockname(_descriptor, name, &length) == 0 ? Read(new ReadOnlySpan<byte>(name, length)) : null;
        }
    }

    /// <summary>Closes a TCP connection with a reset rather than an orderly end.</summary>
    public void Abort()
    {
        var linger = new Libc.Linger { l_onoff = 1, l_linger = 0 };
        _ = Libc.setsockopt(_descriptor, Libc.SOL_SOCKET, Libc.SO_LINGER, &linger, sizeof(Libc.Linger));
        Dispose();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        var descriptor = Interlocked.Exchange(ref _descriptor, -1);
        if (descriptor >= 0) _ = Libc.close(descriptor);
    }

    private void Set(int level, int option, int value) => _ = Libc.setsockopt(_descriptor, level, option, &value, sizeof(int));

    // struct sockaddr_in (16 bytes) and sockaddr_in6 (28 bytes): family in host order, port in network order. ip(7), ipv6(7).
    // Holds: the buffer has LongestAddress bytes.
    private static int Write(byte* name, IPEndPoint address)
    {
        var v6 = address.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6;
        var bytes = new Span<byte>(name, LongestAddress);
        bytes.Clear();
        BinaryPrimitives.WriteUInt16LittleEndian(bytes, (ushort)(v6 ? Libc.AF_INET6 : Libc.AF_INET));
        BinaryPrimitives.WriteUInt16BigEndian(bytes[2..], (ushort)address.Port);
        _ = address.Address.TryWriteBytes(bytes[(v6 ? 8 : 4)..], out _);
        if (v6) BinaryPrimitives.WriteUInt32LittleEndian(bytes[24..], (uint)address.Address.ScopeId);
        return v6 ? 28 : 16;
    }

    private static IPEndPoint? Read(ReadOnlySpan<byte> name)
    {
        if (name.Length < 16) return null;
        var port = BinaryPrimitives.ReadUInt16BigEndian(name[2..]);
        return BinaryPrimitives.ReadUInt16LittleEndian(name) switch
        {
            Libc.AF_INET => new IPEndPoint(new IPAddress(name.Slice(4, 4)), port),
            Libc.AF_INET6 when name.Length >= 28 => new IPEndPoint(new IPAddress(name.Slice(8, 16)), port),
            _ => null,
        };
    }
}
