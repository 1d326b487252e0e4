// The nodes that a guest knows, and how each is come at on the host: by what the guest has open of it, by a descriptor that is
// kept (of folders, of what has lost its name, and during a request of anything), or by its name in the folder where it was found
// last, when it turns out to be the same there. Nodes with one parent each make a tree, whatever others move meanwhile.
// ShareTree.Saved.cs is its saved state. Answers are values, as HostNode's. Not thread safe: the server locks, and ends each request with EndRequest.
using Lamina.Host.Io;

namespace Lamina.Backends.Share;

internal sealed partial class ShareTree : IDisposable
{
    // So many folders are opened one below the other for one request at most.
    private const int MostLevels = 65_536;

    private readonly HostNode _root;
    private readonly ShareLimits _limits;
    private readonly Dictionary<ulong, FuseNode> _byId = [];
    private readonly Dictionary<HostIdentity, FuseNode> _byIdentity = [];
    private readonly NodeQueue _named = new(), _nameless = new();
    private readonly List<FuseNode> _used = [];
    private readonly Stack<FuseNode> _above = [];
    private ulong _nextId = FuseSpec.RootNode + 1;

    /// <summary>A tree of which the guest knows the root alone.</summary>
    /// <param name="root">The folder; stays its creator's to dispose.</param>
    /// <param name="limits">How much is kept.</param>
    internal ShareTree(HostNode root, ShareLimits limits)
    {
        (_root, _limits) = (root, limits);
        _ = root.Status(out var status);
        Root = new FuseNode(FuseSpec.RootNode, status.Identity with { Birth = 0 }, status.Type) { Held = root, KeepsBirth = root.KeepsBirth, Lookups = 1 };
        _byId[FuseSpec.RootNode] = _byIdentity[Root.Identity] = Root;
        Bytes = Root.Bytes;
    }

    internal FuseNode Root { get; }

    internal int Count => _byId.Count;

    /// <summary>The memory that the nodes take, in bytes.</summary>
    internal long Bytes { get; private set; }

    /// <summary>How many descriptors are kept, without the root's.</summary>
    internal int Held => _named.Count + _nameless.Count;

    internal long FoundAgain { get; private set; }

    internal long Lost { get; private set; }

    /// <summary>A node by its number, or null.</summary>
    internal FuseNode? Find(ulong id) => _byId.GetValueOrDefault(id) is { Lookups: > 0 } node ? node : null;

    /// <summary>Comes at a node. What is returned can be used until the request's end and is not the caller's to dispose.</summary>
    internal int Reach(FuseNode node, out HostNode host)
    {
        host = _root;
        _above.Clear();
        var at = node;
        for (; at.Ready is null; at = at.Parent)
        {
            if (at.Parent is null || _above.Count == MostLevels) return Lose();
            _above.Push(at);
        }
        Use(at);
        host = at.Ready;
        while (_above.TryPop(out var next))
        {
            var result = host.Find(next.Name, out var found, out var status);
            if (result is HostNode.NotFound or HostNode.NotFolder) return Lose();
            if (result < 0) return result;
            if (!next.Is(status))
            {
                found!.Dispose();
                return Lose();
            }
            FoundAgain++;
            Hold(next, found!);
            host = found!;
        }
        return 0;
    }

    /// <summary>The attributes of a node, by what costs least.</summary>
    internal int Status(FuseNode node, out HostStatus status)
    {
        status = default;
        if (node.Ready is { } ready) return ready.Status(out status);
        if (node.Parent is null) return Lose();
        var result = Reach(node.Parent, out var folder);
        if (result < 0) return result;
        result = folder.StatusOf(node.Name, out status);
        return result is HostNode.NotFound or HostNode.NotFolder || (result >= 0 && !node.Is(status)) ? Lose() : result;
    }

    /// <summary>The node that has these attributes, where the guest knows it.</summary>
    internal FuseNode? Known(FuseNode parent, in HostStatus status) =>
        _byIdentity.GetValueOrDefault(IdentityOf(parent, status)) is { } node && node.Is(status) ? node : null;

    /// <summary>Whether something that lies in a folder begins another file system there, or another view of one.</summary>
    internal static bool IsMounted(FuseNode parent, in HostStatus status) => (status.Identity.Mount, status.Identity.Device) != (parent.Identity.Mount, parent.Identity.Device);

    /// <summary>The node of what was found in a folder, counted as told once more.</summary>
    /// <param name="parent">The folder.</param>
    /// <param name="folder">The folder on the host.</param>
    /// <param name="name">The name there; none for a file that has none yet.</param>
    /// <param name="status">What was found.</param>
    /// <param name="node">The node.</param>
    internal int Tell(FuseNode parent, HostNode folder, ReadOnlySpan<byte> name, in HostStatus status, out FuseNode node)
    {
        var known = Known(parent, status);
        if (known is not null)
        {
            node = known;
        }
        else
        {
            var identity = IdentityOf(parent, status);
            node = new FuseNode(_nextId, identity, status.Type) { KeepsBirth = parent.KeepsBirth && !IsMounted(parent, status) };
            if (Bytes + node.Bytes + name.Length > _limits.NodeBytes) return HostNode.NoMemory;
            // One of another type may have had the identity, where the file system gives numbers away again and does not say since when.
            _byId[_nextId++] = _byIdentity[identity] = node;
            Bytes += node.Bytes;
        }
        node.Lookups++;
        if (name.IsEmpty || node == Root) return 0;
        Place(node, parent, name);
        if (!node.IsFolder || node.Ready is not null || folder.Find(name, out var found, out var again) < 0) return 0;
        if (node.Is(again))
        {
            if (known is null && IsMounted(parent, status)) node.KeepsBirth = found!.KeepsBirth;
            Hold(node, found!);
        }
        else
        {
            found!.Dispose();
        }
        return 0;
    }

    /// <summary>Keeps a descriptor of a node, until others are of more use; a file's that has a name until the request's end.</summary>
    internal void Hold(FuseNode node, HostNode host)
    {
        node.Held = host;
        QueueOf(node).Add(node);
        Use(node);
        while (Held > _limits.HeldNodes && LetGo())
        {
        }
    }

    /// <summary>Closes some of the descriptors that are kept, where the process has none left. False: there were none.</summary>
    internal bool LetSomeGo()
    {
        EndRequest();
        var count = 0;
        for (var most = _named.Count / 2 + 1; count < most && _named.FindOldest() is { } oldest; count++) Drop(oldest);
        return count > 0;
    }

    /// <summary>The guest forgets a node as often as it says.</summary>
    internal void Forget(ulong id, ulong times)
    {
        if (id == FuseSpec.RootNode || Find(id) is not { } node) return;
        node.Lookups -= Math.Min(times, node.Lookups);
        FreeUnneeded(node);
    }

    /// <summary>A node lies somewhere from now on.</summary>
    internal void Place(FuseNode node, FuseNode parent, ReadOnlySpan<byte> name)
    {
        if (node == parent || (node.Parent == parent && name.SequenceEqual(node.Name))) return;
        node.Lookups++;
        // Should the folder lie in the node, as far as is known, then what is known is old: somebody else has moved something.
        if (node.Below > 0)
        {
            for (var at = parent; at.Parent is { } above; at = above)
            {
                if (above != node) continue;
                TakeName(at);
                break;
            }
        }
        var isHeld = node.Held is not null;
        if (isHeld) QueueOf(node).Remove(node);
        var before = node.Parent;
        parent.Below++;
        Bytes += name.Length - node.Name.Length;
        (node.Parent, node.Name) = (parent, name.ToArray());
        if (isHeld) QueueOf(node).Add(node);
        LeaveParent(before);
        node.Lookups--;
        FreeUnneeded(node);
    }

    /// <summary>A node has lost its name: it is known by a descriptor alone.</summary>
    internal void TakeName(FuseNode node)
    {
        if (node.Parent is not { } before) return;
        if (node.Held is not null) QueueOf(node).Remove(node);
        Bytes -= node.Name.Length;
        (node.Parent, node.Name) = (null, []);
        if (node.Held is not null) QueueOf(node).Add(node);
        LeaveParent(before);
    }

    internal void AddOpen(OpenFile open)
    {
        open.Next = open.Node.Open;
        open.Node.Open = open;
    }

    /// <summary>Closes something that was open, unless the node has nothing else.</summary>
    internal void Close(OpenFile open)
    {
        var node = open.Node;
        if (node.Open == open)
        {
            node.Open = open.Next;
        }
        else
        {
            var before = node.Open;
            while (before!.Next != open) before = before.Next;
            before.Next = open.Next;
        }
        if (node.Parent is null && node.Ready is null && _byId.GetValueOrDefault(node.Id) == node) Hold(node, open.File);
        else open.File.Dispose();
    }

    /// <summary>What the request has used may go.</summary>
    internal void EndRequest()
    {
        foreach (var node in _used)
        {
            node.InUse = false;
            if (node is { IsFolder: false, Parent: not null, Held: not null }) Drop(node);
        }
        _used.Clear();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        EndRequest();
        foreach (var queue in (NodeQueue[])[_named, _nameless])
            while (queue.FindOldest() is { } node) Drop(node);
    }

    private NodeQueue QueueOf(FuseNode node) => node.Parent is null ? _nameless : _named;

    // What begins another file system is told apart by its mount; its folder may have been replaced before anything was mounted there.
    private static HostIdentity IdentityOf(FuseNode parent, in HostStatus status) =>
        parent.KeepsBirth && !IsMounted(parent, status) ? status.Identity : status.Identity with { Birth = 0 };

    private int Lose()
    {
        Lost++;
        return HostNode.Stale;
    }

    private void Use(FuseNode node)
    {
        if (node == Root) return;
        if (node.Held is not null)
        {
            QueueOf(node).Remove(node);
            QueueOf(node).Add(node);
        }
        if (node.InUse) return;
        node.InUse = true;
        _used.Add(node);
    }

    private bool LetGo()
    {
        var named = _named.FindOldest();
        var oldest = named is null || _nameless.Count > _limits.HeldNodes / 2 ? _nameless.FindOldest() ?? named : named;
        if (oldest is null) return false;
        Drop(oldest);
        return true;
    }

    private void Drop(FuseNode node)
    {
        QueueOf(node).Remove(node);
        node.Held!.Dispose();
        node.Held = null;
    }

    private void LeaveParent(FuseNode? parent)
    {
        if (parent is null) return;
        parent.Below--;
        FreeUnneeded(parent);
    }

    // A folder that the guest has forgotten stays as long as something is found by it.
    private void FreeUnneeded(FuseNode node)
    {
        while (node is { Lookups: 0, Below: 0 } && node != Root)
        {
            if (node.Held is not null) Drop(node);
            _byId.Remove(node.Id);
            if (_byIdentity.GetValueOrDefault(node.Identity) == node) _byIdentity.Remove(node.Identity);
            Bytes -= node.Bytes;
            if (node.Parent is not { } parent) return;
            node.Parent = null;
            parent.Below--;
            node = parent;
        }
    }
}
