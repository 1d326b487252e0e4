// Messages with open files between processes; see Libc.cs. Source: sendmsg(2), cmsg(3), unix(7).
using System.Runtime.InteropServices;

namespace Lamina.Host.Interop;

internal static unsafe partial class Libc
{
    internal const int SOCK_SEQPACKET = 5, SCM_RIGHTS = 1;
    internal const int MSG_CTRUNC = 8, MSG_TRUNC = 0x20, MSG_CMSG_CLOEXEC = 0x4000_0000;

    [StructLayout(LayoutKind.Sequential)]
    internal struct IoVec
    {
        public byte* Base;
        public nuint Length;
    }

    // struct msghdr of x86-64: a name and its length, vectors, control messages, flags.
    [StructLayout(LayoutKind.Sequential)]
    internal struct MsgHdr
    {
        public void* Name;
        public nuint NameLength;
        public IoVec* Vectors;
        public nuint VectorCount;
        public void* Control;
        public nuint ControlLength;
        public int Flags;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct CMsgHdr
    {
        public nuint Length;
        public int Level, Type;
    }

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int socketpair(int domain, int type, int protocol, int* sv);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial nint sendmsg(int sockfd, MsgHdr* msg, int flags);

    [LibraryImport("libc", SetLastError = true)]
    internal static partial nint recvmsg(int sockfd, MsgHdr* msg, int flags);
}
