// The host's sockets of one user-mode network: who is to be told when one of them is ready. A token that outlives its
// socket reaches nobody.
using Lamina.Host.Net;

namespace Lamina.Backends.Net.User;

/// <summary>Owns a socket.</summary>
internal interface IHostEvents
{
    /// <summary>Its socket became ready.</summary>
    void Ready(bool readable, bool writable, bool failed);
}

/// <summary>Waits for sockets and tells their owners.</summary>
internal sealed class HostEvents : IDisposable
{
    private readonly DescriptorPoll _poll = new();
    private readonly Dictionary<ulong, IHostEvents> _owners = [];
    private ulong _nextToken;

    /// <summary>Watches a socket: told again and again while it is readable, or once at each change of either kind.</summary>
    /// <returns>What <see cref="Forget"/> takes; null where the host refuses it.</returns>
    internal ulong? Watch(int descriptor, IHostEvents owner, bool edges)
    {
        var token = ++_nextToken;
        if (!(edges ? _poll.AddEdges(descriptor, token) : _poll.AddReadable(descriptor, token))) return null;
        _owners.Add(token, owner);
        return token;
    }

    /// <summary>Forgets a socket that is about to be closed.</summary>
    internal void Forget(ulong token) => _owners.Remove(token);

    /// <summary>Waits without the network's lock.</summary>
    internal ReadOnlySpan<DescriptorEvent> Wait(int timeoutMilliseconds) => _poll.Wait(timeoutMilliseconds);

    /// <summary>Tells owners, with the network's lock.</summary>
    internal void Dispatch(ReadOnlySpan<DescriptorEvent> events)
    {
        foreach (var what in events)
            if (_owners.TryGetValue(what.Token, out var owner)) owner.Ready(what.Readable, what.Writable, what.Failed);
    }

    public void Dispose() => _poll.Dispose();
}
