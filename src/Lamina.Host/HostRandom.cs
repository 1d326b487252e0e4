// Random bytes of the host's kernel. .NET's generator is that of a library which must first be found, loaded and started.
using Lamina.Host.Interop;

namespace Lamina.Host;

/// <summary>The host's random number generator. getrandom(2).</summary>
public static unsafe class HostRandom
{
    /// <summary>Fills the whole span. Waits, on a host that has just started, until its generator is ready.</summary>
    /// <exception cref="HostException">The kernel has none, or a sandbox forbids it.</exception>
    public static void Fill(Span<byte> destination)
    {
        while (destination.Length > 0)
        {
            nint count;
            fixed (byte* start = destination) count = Libc.getrandom(start, (nuint)destination.Length, 0);
            if (count > 0) destination = destination[(int)count..];
            else if (System.Runtime.InteropServices.Marshal.GetLastPInvokeError() != Libc.EINTR) throw HostException.FromErrno("the host gives no random numbers");
        }
    }

    /// <summary>So many random bytes.</summary>
    public static byte[] Bytes(int count)
    {
        var bytes = new byte[count];
        Fill(bytes);
        return bytes;
    }
}
