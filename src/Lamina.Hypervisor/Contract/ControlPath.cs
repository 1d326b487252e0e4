// Sockets whose paths are longer than a socket's address has room for: the folder is opened, and the socket named through it.
using System.Net.Sockets;
using System.Text;

namespace Lamina.Hypervisor.Contract;

/// <summary>Addresses of control sockets.</summary>
internal static class ControlPath
{
    // sun_path of sockaddr_un, with its terminating zero. unix(7).
    private const int LongestPath = 107;

    /// <summary>Refuses a folder that is so long that a machine's socket could not be reached in it.</summary>
    /// <param name="path">The machine's socket.</param>
    /// <exception cref="MachineException">It is too long.</exception>
    internal static void Check(string path)
    {
        if (Encoding.UTF8.GetByteCount(path) > LongestPath) throw new MachineException(MachineError.Host, $"the socket path {path} is too long; choose a folder for machines (LAMINA_HOME), or a name, so that it has at most {LongestPath} bytes");
    }

    /// <summary>The address of a socket at a path.</summary>
    /// <exception cref="MachineException">There can be none.</exception>
    internal static UnixDomainSocketEndPoint EndPoint(string path)
    {
        Check(path);
        return new UnixDomainSocketEndPoint(path);
    }
}
