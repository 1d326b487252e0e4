// Sockets, epoll, and the controls of network interfaces; see Libc.cs. Constants are those of x86-64 Linux.
using System.Runtime.InteropServices;

namespace Lamina.Host.Interop;

internal static unsafe partial class Libc
{
    internal const int AF_UNIX = 1, AF_INET = 2, AF_INET6 = 10;
    internal const int SOCK_STREAM = 1, SOCK_DGRAM = 2, SOCK_RAW = 3, SOCK_NONBLOCK = 0x800, SOCK_CLOEXEC = 0x80000;
    internal const int IPPROTO_ICMP = 1, IPPROTO_TCP = 6, IPPROTO_IPV6 = 41, IPPROTO_ICMPV6 = 58;
    internal const int SOL_SOCKET = 1, SO_REUSEADDR = 2, SO_ERROR = 4, SO_LINGER = 13;
    internal const int TCP_NODELAY = 1, IPV6_V6ONLY = 26;
    internal const int SHUT_WR = 1;
    internal const int MSG_DONTWAIT = 0x40, MSG_NOSIGNAL = 0x4000;
    internal const int EPOLL_CTL_ADD = 1, EPOLL_CTL_DEL = 2, EPOLL_CLOEXEC = 0x80000;
    internal const uint EPOLLIN = 1, EPOLLOUT = 4, EPOLLERR = 8, EPOLLHUP = 0x10, EPOLLRDHUP = 0x2000, EPOLLET = 1u << 31;

    internal const nuint TUNSETIFF = 0x400454ca, TUNSETOFFLOAD = 0x400454d0, TUNSETVNETHDRSZ = 0x400454d8, TUNSETVNETLE = 0x400454dc;
    internal const short IFF_TAP = 0x0002, IFF_NO_PI = 0x1000, IFF_VNET_HDR = 0x4000;
    internal const uint TUN_F_CSUM = 1, TUN_F_TSO4 = 2, TUN_F_TSO6 = 4, TUN_F_TSO_ECN = 8;
    internal const short IFF_UP = 1;
    internal const nuint SIOCGIFFLAGS = 0x8913, SIOCSIFFLAGS = 0x8914, SIOCGIFMTU = 0x8921, SIOCSIFMTU = 0x8922, SIOCBRADDIF = 0x89a2;
    internal const int EBUSY = 16, ENODEV = 19, EADDRINUSE = 98, EADDRNOTAVAIL = 99;

    /// <summary>struct epoll_event, which is packed on x86-64.</summary>
    [StructLayout(LayoutKind.Sequential, Pack = 1)]
    internal struct EpollEvent
    {
        internal uint events;
        internal ulong data;
    }

    /// <summary>struct linger.</summary>
    [StructLayout(LayoutKind.Sequential)]
    internal struct Linger
    {
        internal int l_onoff;
        internal int l_linger;
    }

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int socket(int domain, int type, int protocol);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int bind(int sockfd, byte* addr, int addrlen);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int connect(int sockfd, byte* addr, int addrlen);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int listen(int sockfd, int backlog);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int accept4(int sockfd, byte* addr, int* addrlen, int flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial nint send(int sockfd, byte* buf, nuint len, int flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial nint recv(int sockfd, byte* buf, nuint len, int flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial nint sendto(int sockfd, byte* buf, nuint len, int flags, byte* dest_addr, int addrlen);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial nint recvfrom(int sockfd, byte* buf, nuint len, int flags, byte* src_addr, int* addrlen);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int shutdown(int sockfd, int how);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int getsockname(int sockfd, byte* addr, int* addrlen);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int setsockopt(int sockfd, int level, int optname, void* optval, int optlen);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int getsockopt(int sockfd, int level, int optname, void* optval, int* optlen);

    [LibraryImport("libc", SetLastError = true, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial uint if_nametoindex(string ifname);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int epoll_create1(int flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int epoll_ctl(int epfd, int op, int fd, EpollEvent* ev);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int epoll_wait(int epfd, EpollEvent* events, int maxevents, int timeout);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    internal static partial int ioctl_pointer(int fd, nuint request, void* argument);

    [LibraryImport("libc", EntryPoint = "ioctl", SetLastError = true)]
    internal static partial int ioctl_value(int fd, nuint request, nuint argument);
}
