// The host's own calls, as a program on the host uses them on a plain folder: what a shared folder is compared with. Results are 0 or
// more, or the negative of an error number. Names are bytes.
using System.Runtime.InteropServices;
using System.Text;

namespace Lamina.Tests.Backends.Share;

internal static class HostCalls
{
    public const int OpenPath = 0x200000, NoFollow = 0x20000, Directory = 0x10000, CloseOnExec = 0x80000, Create = 0x40, Nameless = 0x410000;

    /// <summary>Type and permissions, links, length, owner: struct stat on x86-64.</summary>
    public static (int Error, uint Mode, ulong Links, ulong Size) Status(int node)
    {
        var raw = new byte[144];
        var error = Result(fstatat(node, Terminated([]), raw, 0x1000));
        return (error, BitConverter.ToUInt32(raw, 24), BitConverter.ToUInt64(raw, 16), BitConverter.ToUInt64(raw, 48));
    }

    public static int OpenAt(int folder, byte[] name, int flags, uint mode = 0) => Result(openat(folder, Terminated(name), flags | CloseOnExec, mode));

    public static int Reopen(int node, int flags) => Result(openat(-1, Self(node), flags | CloseOnExec, 0));

    public static int MakeFolder(int folder, byte[] name, uint mode) => Result(mkdirat(folder, Terminated(name), mode));

    public static int MakeNode(int folder, byte[] name, uint mode) => Result(mknodat(folder, Terminated(name), mode, 0));

    public static int SymbolicLink(byte[] target, int folder, byte[] name) => Result(symlinkat(Terminated(target), folder, Terminated(name)));

    public static int ReadLink(int node, byte[] into) => Result(readlinkat(node, Terminated([]), into, (nuint)into.Length));

    public static int Link(int node, int folder, byte[] name) => Result(linkat(-1, Self(node), folder, Terminated(name), 0x400));

    public static int Remove(int folder, byte[] name, bool isFolder) => Result(unlinkat(folder, Terminated(name), isFolder ? 0x200 : 0));

    public static int Rename(int folder, byte[] name, int target, byte[] newName, uint flags) => Result(renameat2(folder, Terminated(name), target, Terminated(newName), flags));

    public static int SetMode(int node, uint mode) => Result(chmod(Self(node), mode));

    public static int SetModeAt(int folder, byte[] name, uint mode) => Result(fchmodat(folder, Terminated(name), mode, 0));

    public static int SetLength(int node, ulong length) => Result(truncate(Self(node), (long)length));

    public static int SetOpenLength(int open, ulong length) => Result(ftruncate(open, (long)length));

    public static int SetChange(int node, long seconds) => Result(utimensat(node, Terminated([]), [0, 0x3ffffffe, seconds, 0], 0x1000));

    public static int Read(int open, byte[] into, ulong offset) => Result(pread(open, into, (nuint)into.Length, (long)offset));

    public static int Write(int open, byte[] from, ulong offset) => Result(pwrite(open, from, (nuint)from.Length, (long)offset));

    public static int Allocate(int open, int mode, ulong offset, ulong length) => Result(fallocate(open, mode, (long)offset, (long)length));

    public static long Seek(int open, ulong offset, int whence) => lseek(open, (long)offset, whence) is var place and >= 0 ? place : -Marshal.GetLastPInvokeError();

    public static int SetAttribute(int node, byte[] name, byte[] value, int flags) => Result(setxattr(Self(node), Terminated(name), value, (nuint)value.Length, flags));

    public static int GetAttribute(int node, byte[] name, byte[] into) => Result(getxattr(Self(node), Terminated(name), into, (nuint)into.Length));

    public static int RemoveAttribute(int node, byte[] name) => Result(removexattr(Self(node), Terminated(name)));

    public static void Close(int descriptor) => _ = close(descriptor);

    private static byte[] Self(int node) => Terminated(Encoding.ASCII.GetBytes($"/proc/self/fd/{node}"));

    private static byte[] Terminated(byte[] text) => [.. text, 0];

    private static int Result(nint result) => result >= 0 ? (int)result : -Marshal.GetLastPInvokeError();

    [DllImport("libc", SetLastError = true)]
    private static extern int openat(int folder, byte[] name, int flags, uint mode);

    [DllImport("libc", SetLastError = true)]
    private static extern int fstatat(int folder, byte[] name, byte[] status, int flags);

    [DllImport("libc", SetLastError = true)]
    private static extern int mkdirat(int folder, byte[] name, uint mode);

    [DllImport("libc", SetLastError = true)]
    private static extern int mknodat(int folder, byte[] name, uint mode, ulong device);

    [DllImport("libc", SetLastError = true)]
    private static extern int symlinkat(byte[] target, int folder, byte[] name);

    [DllImport("libc", SetLastError = true)]
    private static extern nint readlinkat(int folder, byte[] name, byte[] into, nuint length);

    [DllImport("libc", SetLastError = true)]
    private static extern int linkat(int folder, byte[] name, int target, byte[] newName, int flags);

    [DllImport("libc", SetLastError = true)]
    private static extern int unlinkat(int folder, byte[] name, int flags);

    [DllImport("libc", SetLastError = true)]
    private static extern int renameat2(int folder, byte[] name, int target, byte[] newName, uint flags);

    [DllImport("libc", SetLastError = true)]
    private static extern int chmod(byte[] path, uint mode);

    [DllImport("libc", SetLastError = true)]
    private static extern int fchmodat(int folder, byte[] name, uint mode, int flags);

    [DllImport("libc", SetLastError = true)]
    private static extern int truncate(byte[] path, long length);

    [DllImport("libc", SetLastError = true)]
    private static extern int ftruncate(int open, long length);

    [DllImport("libc", SetLastError = true)]
    private static extern int utimensat(int folder, byte[] name, long[] times, int flags);

    [DllImport("libc", SetLastError = true)]
    private static extern nint pread(int open, byte[] into, nuint length, long offset);

    [DllImport("libc", SetLastError = true)]
    private static extern nint pwrite(int open, byte[] from, nuint length, long offset);

    [DllImport("libc", SetLastError = true)]
    private static extern int fallocate(int open, int mode, long offset, long length);

    [DllImport("libc", SetLastError = true)]
    private static extern long lseek(int open, long offset, int whence);

    [DllImport("libc", SetLastError = true)]
    private static extern int setxattr(byte[] path, byte[] name, byte[] value, nuint length, int flags);

    [DllImport("libc", SetLastError = true)]
    private static extern nint getxattr(byte[] path, byte[] name, byte[] into, nuint length);

    [DllImport("libc", SetLastError = true)]
    private static extern int removexattr(byte[] path, byte[] name);

    [DllImport("libc", SetLastError = true)]
    private static extern int close(int descriptor);
}
