// What both ends want of a TCP socket.
using System.Net.Sockets;

namespace Lamina.Backends.Nbd;

/// <summary>Prepares sockets.</summary>
internal static class NbdSocket
{
    /// <summary>Requests and replies are short and waited for; and a host that is gone without a word is found out, after half a minute.</summary>
    internal static void Prepare(Socket socket)
    {
        socket.NoDelay = true;
        socket.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.KeepAlive, true);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveTime, 10);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveInterval, 5);
        socket.SetSocketOption(SocketOptionLevel.Tcp, SocketOptionName.TcpKeepAliveRetryCount, 4);
    }
}
