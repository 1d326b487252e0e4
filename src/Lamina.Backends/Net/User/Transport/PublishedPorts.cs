// Which ports of the host's lead to the guest, as they were asked for and as they really are (port 0 picks one). They come and go while the
// network works. Used with the network's lock held.
using Lamina.Host;

namespace Lamina.Backends.Net.User.Transport;

/// <summary>The published ports of one network.</summary>
/// <param name="tcp">Where those of TCP are open.</param>
/// <param name="udp">Where those of UDP are.</param>
internal sealed class PublishedPorts(TcpTable tcp, UdpTable udp)
{
    private List<(PublishedPort Asked, PublishedPort Opened)> _ports = [];

    /// <summary>They, each with the address that it really has: TCP first, then UDP.</summary>
    internal IEnumerable<PublishedPort> Opened => _ports.Select(port => port.Opened).OrderBy(port => port.IsUdp);

    /// <summary>Opens and closes ports until there are those that are wanted and no others. One that stays is not touched.</summary>
    /// <param name="wanted">As they are asked for.</param>
    /// <exception cref="HostException">One cannot be had; all is as it was before.</exception>
    internal void Set(IReadOnlyList<PublishedPort> wanted)
    {
        List<(PublishedPort Asked, PublishedPort Opened)> stay = [], come = [], go = [.. _ports];
        var missing = new List<PublishedPort>();
        foreach (var port in wanted)
        {
            var index = go.FindIndex(known => known.Asked == port);
            if (index < 0)
            {
                missing.Add(port);
                continue;
            }
            stay.Add(go[index]);
            go.RemoveAt(index);
        }
        // The same port of the host may lead elsewhere from now on: what goes makes way first.
        foreach (var (_, opened) in go) Close(opened);
        try
        {
            foreach (var port in missing) come.Add((port, Open(port)));
        }
        catch (HostException)
        {
            foreach (var (_, opened) in come) Close(opened);
            come = [.. go.Select(port => (port.Asked, Open(port.Opened)))];
            throw;
        }
        finally
        {
            _ports = [.. stay, .. come];
        }
    }

    private PublishedPort Open(PublishedPort port) => port.IsUdp ? udp.Publish(port) : tcp.Publish(port);

    private void Close(PublishedPort port)
    {
        if (port.IsUdp) udp.Unpublish(port);
        else tcp.Unpublish(port);
    }
}
