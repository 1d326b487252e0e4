// What a user-mode network is to be: values only.
using System.Net;
using Lamina.Backends.Net.User.Transport;

namespace Lamina.Backends.Net.User;

/// <summary>A port of the host's that leads to one of the guest's.</summary>
/// <param name="Host">Where the host listens; port 0 picks one.</param>
/// <param name="GuestPort">The guest's port.</param>
/// <param name="IsUdp">UDP rather than TCP.</param>
public sealed record PublishedPort(IPEndPoint Host, int GuestPort, bool IsUdp = false);

/// <summary>Where a guest may connect to.</summary>
/// <param name="Network">The addresses.</param>
/// <param name="Port">The port, or null for every one and for echo requests.</param>
public sealed record AllowedDestination(IPNetwork Network, int? Port = null);

/// <summary>A user-mode network.</summary>
public sealed record UserNetOptions
{
    // An exchange by UDP, a socket's objects and its places in two tables.
    private const long FlowBytes = 1 << 10;

    /// <summary>The guest's IPv4 network; the gateway is its second address, the name server its third, the guest its fifteenth.</summary>
    public IPNetwork Network4 { get; init; } = new(IPAddress.Parse("10.0.2.0"), 24);

    /// <summary>The guest's IPv6 network, a /64: gateway and name server as above, the guest makes its own address. Null for no IPv6.</summary>
    public IPNetwork? Network6 { get; init; } = new(IPAddress.Parse("fd6c:616d:696e:6100::"), 64);

    /// <summary>The longest packet in bytes, 1280 to 65520.</summary>
    public int Mtu { get; init; } = 1500;

    /// <summary>The name that DHCP gives the guest, or null.</summary>
    public string? HostName { get; init; }

    /// <summary>What DHCP names as the file to boot from the network, such as a URL: up to 127 characters of ASCII; or null.</summary>
    public string? BootFile { get; init; }

    /// <summary>The servers that names are asked of; empty for the host's own (/etc/resolv.conf).</summary>
    public IReadOnlyList<IPEndPoint> DnsServers { get; init; } = [];

    /// <summary>Published ports.</summary>
    public IReadOnlyList<PublishedPort> Published { get; init; } = [];

    /// <summary>
    /// Ports of the host's loopback address that the guest reaches at the gateway's address; null for none, empty for all.
    /// </summary>
    public IReadOnlyList<int>? HostPorts { get; init; }

    /// <summary>All that the guest may connect to besides <see cref="HostPorts"/>; null for everything outside.</summary>
    public IReadOnlyList<AllowedDestination>? Allowed { get; init; }

    /// <summary>Whether names are forwarded; null: unless <see cref="Allowed"/> restricts the guest.</summary>
    public bool? Dns { get; init; }

    /// <summary>The most connections and exchanges at once, of each kind.</summary>
    public int MostFlows { get; init; } = 4096;

    /// <summary>The bytes that the buffers of all TCP connections have to share; beside what each may have always.</summary>
    internal int SharedBuffers { get; init; } = BufferBudget.Shared;

    /// <summary>The most bytes that connections, exchanges, frames and packets keep which wait.</summary>
    public long MostBytes => TcpTable.MostBytes(MostFlows) + MostFlows * FlowBytes + GuestLink.MostWaitingBytes + Reassembly.MostBytes;
}
