// A device file that is driven by ioctl(2), or an object that such a file made. What the requests mean is the caller's
// affair; errors come back as values, because what they mean depends on the request.
using System.Runtime.InteropServices;
using Lamina.Host.Interop;

namespace Lamina.Host;

/// <summary>An open descriptor for requests and mappings.</summary>
public sealed unsafe class DeviceFile : IDisposable
{
    /// <summary>Error numbers that callers tell apart. errno(3).</summary>
    public const int NotPermitted = 1, NotFound = 2, Interrupted = 4, NoDevice = 19, Again = 11, NoMemory = 12, AccessDenied = 13, BadAddress = 14, Busy = 16, Exists = 17,
        Invalid = 22, NoSpace = 28, NotADevice = 25;

    private int _descriptor;
    private readonly List<(nint Address, nuint Length)> _mappings = [];

    private DeviceFile(int descriptor) => _descriptor = descriptor;

    /// <summary>The descriptor.</summary>
    public int Descriptor => _descriptor;

    /// <summary>Opens a device for reading and writing.</summary>
    /// <param name="path">Its path.</param>
    /// <param name="error">The error number where it cannot be opened, else 0.</param>
    public static DeviceFile? TryOpen(string path, out int error)
    {
        var descriptor = Libc.open(path, Libc.O_RDWR | Libc.O_CLOEXEC);
        error = descriptor < 0 ? Marshal.GetLastPInvokeError() : 0;
        return descriptor < 0 ? null : new DeviceFile(descriptor);
    }

    /// <summary>Owns a descriptor that a request returned.</summary>
    public static DeviceFile Own(int descriptor) => new(descriptor);

    /// <summary>The text of an error number.</summary>
    public static string Describe(int error) => Marshal.GetPInvokeErrorMessage(error);

    /// <summary>Makes a request.</summary>
    /// <returns>What the device returns, 0 or more; or the negative error number.</returns>
    public int Request(nuint request, void* argument)
    {
        var result = Libc.ioctl(_descriptor, request, argument);
        return result >= 0 ? result : -Marshal.GetLastPInvokeError();
    }

    /// <summary>Makes a request whose argument is a number.</summary>
    public int Request(nuint request, nint argument = 0) => Request(request, (void*)argument);

    /// <summary>Maps a part of the object's shared memory; it is unmapped by <see cref="Dispose"/>.</summary>
    /// <param name="length">Bytes.</param>
    /// <param name="offset">Where the part begins: whole pages.</param>
    /// <exception cref="HostException">The host refuses.</exception>
    public nint Map(int length, long offset = 0)
    {
        var address = Libc.mmap(0, (nuint)length, Libc.PROT_READ | Libc.PROT_WRITE, Libc.MAP_SHARED, _descriptor, offset);
        if (address == Libc.MAP_FAILED) throw HostException.FromErrno("cannot map a device's memory");
        _mappings.Add((address, (nuint)length));
        return address;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_descriptor < 0) return;
        foreach (var (address, length) in _mappings) _ = Libc.munmap(address, length);
        _ = Libc.close(_descriptor);
        _descriptor = -1;
    }
}
