// A tap interface of the host's: a network card of the kernel's whose other end is this descriptor. Frames pass with
// struct virtio_net_hdr before them, so that sums and segments may be left to the other side.
// Linux, Documentation/networking/tuntap.rst; netdevice(7).
using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Text;
using Lamina.Host.Interop;

namespace Lamina.Host.Net;

/// <summary>What the reader of a tap interface takes.</summary>
[Flags]
public enum TapOffloads
{
    /// <summary>Finished frames.</summary>
    None = 0,

    /// <summary>Frames without their transport's sum.</summary>
    Checksum = 1,

    /// <summary>Large TCP segments over IPv4.</summary>
    Tcp4 = 2,

    /// <summary>Large TCP segments over IPv6.</summary>
    Tcp6 = 4,

    /// <summary>Such segments with CWR.</summary>
    Ecn = 8,
}

/// <summary>A tap interface.</summary>
public sealed unsafe class TapInterface : IDisposable
{
    /// <summary>The length of the header before each frame: struct virtio_net_hdr without num_buffers.</summary>
    public const int HeaderLength = 10;

    private const string Device = "/dev/net/tun";

    // IFNAMSIZ with its terminating zero; struct ifreq is 40 bytes with a union behind the name.
    private const int LongestName = 15, RequestLength = 40, RequestValue = 16;

    private int _descriptor;

    private TapInterface(int descriptor, string name) => (_descriptor, Name) = (descriptor, name);

    /// <summary>For reading, writing and waiting; it does not block.</summary>
    public int Descriptor => _descriptor;

    /// <summary>The interface's name.</summary>
    public string Name { get; }

    /// <summary>Opens an interface that exists, or makes one that goes when it is closed.</summary>
    /// <param name="name">Its name; null for one that the host chooses.</param>
    /// <param name="bridge">A bridge to add it to, or null.</param>
    /// <exception cref="HostException">The host refuses something; the message is a sentence.</exception>
    public static TapInterface Open(string? name, string? bridge)
    {
        Check(name, bridge);
        var descriptor = Libc.open(Device, Libc.O_RDWR | Libc.O_CLOEXEC | Libc.SOCK_NONBLOCK);
        if (descriptor < 0) throw TellDevice(Marshal.GetLastPInvokeError());
        var request = stackalloc byte[RequestLength];
        Prepare(request, name ?? "tap%d");
        BinaryPrimitives.WriteInt16LittleEndian(new Span<byte>(request + RequestValue, 2), Libc.IFF_TAP | Libc.IFF_NO_PI | Libc.IFF_VNET_HDR);
        if (Libc.ioctl_pointer(descriptor, Libc.TUNSETIFF, request) != 0)
        {
            var error = Marshal.GetLastPInvokeError();
            _ = Libc.close(descriptor);
            throw TellOpen(error, name, exists: name is not null && Libc.if_nametoindex(name) != 0);
        }
        var tap = new TapInterface(descriptor, Marshal.PtrToStringUTF8((nint)request)!);
        try
        {
            int length = HeaderLength, little = 1;
            if (Libc.ioctl_pointer(descriptor, Libc.TUNSETVNETHDRSZ, &length) != 0 || Libc.ioctl_pointer(descriptor, Libc.TUNSETVNETLE, &little) != 0)
                throw HostException.FromErrno($"the tap interface {tap.Name} cannot pass offloads");
            tap.SetOffloads(TapOffloads.None);
            tap.Configure(bridge);
            return tap;
        }
        catch
        {
            tap.Dispose();
            throw;
        }
    }

    /// <summary>The interface's MTU in bytes.</summary>
    public int Mtu
    {
        get
        {
            using var control = new Control();
            var request = stackalloc byte[RequestLength];
            Prepare(request, Name);
            return control.Do(Libc.SIOCGIFMTU, request) ? BinaryPrimitives.ReadInt32LittleEndian(new ReadOnlySpan<byte>(request + RequestValue, 4)) : 1500;
        }
    }

    /// <summary>Says what frames may be read from now on.</summary>
    public void SetOffloads(TapOffloads offloads)
    {
        // TUN_F_CSUM and the others have the same bits. Segments need sums.
        _ = Libc.ioctl_value(_descriptor, Libc.TUNSETOFFLOAD, offloads.HasFlag(TapOffloads.Checksum) ? (nuint)(int)offloads : 0);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        var descriptor = Interlocked.Exchange(ref _descriptor, -1);
        if (descriptor >= 0) _ = Libc.close(descriptor);
    }

    private void Configure(string? bridge)
    {
        using var control = new Control();
        var request = stackalloc byte[RequestLength];
        if (bridge is not null)
        {
            Prepare(request, bridge);
            BinaryPrimitives.WriteUInt32LittleEndian(new Span<byte>(request + RequestValue, 4), Libc.if_nametoindex(Name));
            // It may be a port of the bridge already.
            if (!control.Do(Libc.SIOCBRADDIF, request) && Marshal.GetLastPInvokeError() is var error and not Libc.EBUSY) throw TellBridge(bridge, error);
        }
        Prepare(request, Name);
        var flags = new Span<byte>(request + RequestValue, 2);
        if (!control.Do(Libc.SIOCGIFFLAGS, request)) throw HostException.FromErrno($"cannot ask for the state of the interface {Name}");
        var value = BinaryPrimitives.ReadInt16LittleEndian(flags);
        if ((value & Libc.IFF_UP) != 0) return;
        BinaryPrimitives.WriteInt16LittleEndian(flags, (short)(value | Libc.IFF_UP));
        if (!control.Do(Libc.SIOCSIFFLAGS, request)) throw new HostException($"the tap interface {Name} is down and this user may not change that; as root: ip link set {Name} up");
    }

    private static HostException TellDevice(int error) => new(error switch
    {
        Libc.ENOENT or Libc.ENODEV => $"there is no {Device}, which tap interfaces need; as root: modprobe tun",
        Libc.EPERM or Libc.EACCES => $"this user may not open {Device}, which tap interfaces need; as root: chmod 0666 {Device}",
        _ => $"cannot open {Device}, which tap interfaces need ({Marshal.GetPInvokeErrorMessage(error)})",
    });

    private static HostException TellOpen(int error, string? name, bool exists) => new(error switch
    {
        Libc.EPERM or Libc.EACCES when exists => $"the tap interface {name} is not this user's; choose another one",
        Libc.EPERM or Libc.EACCES when name is null => "no tap interface can be made without privilege; as root, once: ip tuntap add tap0 mode tap user $USER && ip link set tap0 up; then use tap=tap0",
        Libc.EPERM or Libc.EACCES => $"the tap interface {name} cannot be made without privilege; as root, once: ip tuntap add {name} mode tap user $USER && ip link set {name} up",
        Libc.EBUSY => $"the tap interface {name} is in use by another program; choose another one",
        Libc.EINVAL => $"{name} exists and is no tap interface, or one of another kind (multi_queue); choose another name",
        _ => $"cannot open the tap interface {name} ({Marshal.GetPInvokeErrorMessage(error)})",
    });

    private HostException TellBridge(string bridge, int error) => error switch
    {
        Libc.EPERM => new HostException($"this user may not add {Name} to the bridge {bridge}; as root: ip link set {Name} master {bridge}"),
        Libc.ENODEV => new HostException($"there is no bridge {bridge}; as root: ip link add {bridge} type bridge"),
        _ => new HostException($"{Name} cannot be added to {bridge}: it is no bridge, or does not take the interface"),
    };

    /// <summary>Refuses names that no interface can have.</summary>
    /// <exception cref="HostException">Why, as a sentence.</exception>
    public static void Check(string? name, string? bridge)
    {
        if (name is not null) CheckName(name);
        if (bridge is not null) CheckName(bridge);
    }

    private static void CheckName(string name)
    {
        // What the kernel's dev_valid_name takes.
        if (name.Length == 0 || Encoding.UTF8.GetByteCount(name) > LongestName || name is "." or ".." || name.Any(c => c is '/' or ':' or '%' || char.IsWhiteSpace(c)))
            throw new HostException($"\"{name}\" cannot be the name of an interface; use up to {LongestName} letters, digits and hyphens") { IsOfTheName = true };
    }

    // Holds: the buffer has RequestLength bytes, and names were checked to be shorter than IFNAMSIZ.
    private static void Prepare(byte* request, string name)
    {
        var bytes = new Span<byte>(request, RequestLength);
        bytes.Clear();
        _ = Encoding.UTF8.GetBytes(name, bytes[..LongestName]);
    }

    // Interfaces are controlled through any socket.
    private sealed class Control : IDisposable
    {
        private readonly int _socket = Libc.socket(Libc.AF_INET, Libc.SOCK_DGRAM | Libc.SOCK_CLOEXEC, 0);

        internal bool Do(nuint what, byte* request) => Libc.ioctl_pointer(_socket, what, request) == 0;

        public void Dispose() => _ = Libc.close(_socket);
    }
}
