// Sessions and descriptors of a process.
using System.Runtime.InteropServices;

namespace Lamina.Host.Interop;

internal static partial class Libc
{
    internal const int O_WRONLY = 1, O_APPEND = 0x400;

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int setsid();

    [LibraryImport("libc", SetLastError = true)]
    internal static partial int dup2(int oldfd, int newfd);
}
