// What a guest knows by number: places in the shared tree, each a name in a place above it. No file is kept open for one, so
// a guest that has looked at a million files costs memory and no descriptors. Names are bytes, kept as text of one byte
// a character. Not thread safe: the server locks.
using System.Text;

namespace Lamina.Backends.Share;

/// <summary>A place in the tree.</summary>
internal sealed class FuseNode(ulong id)
{
    internal ulong Id => id;

    /// <summary>The place above; null for the root and for what was removed.</summary>
    internal FuseNode? Parent { get; set; }

    /// <summary>Its name there.</summary>
    internal string Name { get; set; } = "";

    /// <summary>Which file it was when it was looked up.</summary>
    internal (ulong Device, ulong Inode) Identity { get; set; }

    /// <summary>How often the guest was told of it and has not forgotten it.</summary>
    internal ulong Lookups { get; set; }
}

/// <summary>The places that a guest knows.</summary>
internal sealed class FuseNodes
{
    // A path has at most 4096 bytes (path_resolution(7)): half as many names.
    private const int MostNames = 2048;

    private readonly Dictionary<ulong, FuseNode> _byId = [];
    private readonly Dictionary<(ulong Parent, string Name), FuseNode> _byName = [];
    private ulong _nextId = FuseSpec.RootNode + 1;

    internal FuseNodes() => _byId[FuseSpec.RootNode] = new FuseNode(FuseSpec.RootNode);

    /// <summary>How many there are.</summary>
    internal int Count => _byId.Count;

    /// <summary>A place by its number, or null.</summary>
    internal FuseNode? Find(ulong id) => _byId.GetValueOrDefault(id);

    /// <summary>
    /// The path of a place below the root; null where it was removed, or lies in what was, or in itself: what somebody else moves at the
    /// moment of a renaming may make it seem so.
    /// </summary>
    internal static byte[]? PathOf(FuseNode node)
    {
        var names = new Stack<string>();
        for (; node.Id != FuseSpec.RootNode; node = node.Parent)
        {
            if (node.Parent is null || names.Count == MostNames) return null;
            names.Push(node.Name);
        }
        return Encoding.Latin1.GetBytes(string.Join('/', names));
    }

    /// <summary>The place of a name that was looked up, counted as told once more.</summary>
    internal FuseNode Tell(FuseNode parent, string name, (ulong, ulong) identity)
    {
        if (!_byName.TryGetValue((parent.Id, name), out var node) || node.Identity != identity)
        {
            // Another file than before: the guest may still use the old number, for what is gone.
            if (node is not null) Detach(node);
            node = new FuseNode(_nextId++) { Parent = parent, Name = name, Identity = identity };
            _byId[node.Id] = node;
            _byName[(parent.Id, name)] = node;
        }
        node.Lookups++;
        return node;
    }

    /// <summary>The guest forgets a place as often as it says.</summary>
    internal void Forget(ulong id, ulong times)
    {
        if (id == FuseSpec.RootNode || !_byId.TryGetValue(id, out var node)) return;
        node.Lookups -= Math.Min(times, node.Lookups);
        if (node.Lookups != 0) return;
        _byId.Remove(id);
        Unname(node);
    }

    /// <summary>A name was removed.</summary>
    internal void Removed(FuseNode parent, string name)
    {
        if (_byName.TryGetValue((parent.Id, name), out var node)) Detach(node);
    }

    /// <summary>A name was changed to another one, or two were exchanged.</summary>
    internal void Renamed((FuseNode Parent, string Name) from, (FuseNode Parent, string Name) to, bool exchanged)
    {
        var moved = _byName.GetValueOrDefault((from.Parent.Id, from.Name));
        var other = _byName.GetValueOrDefault((to.Parent.Id, to.Name));
        if (other is not null) Unname(other);
        if (moved is not null) Unname(moved);
        if (moved is not null) Name(moved, to);
        if (other is null) return;
        if (exchanged) Name(other, from);
        else other.Parent = null;
    }

    private void Name(FuseNode node, (FuseNode Parent, string Name) place)
    {
        (node.Parent, node.Name) = place;
        _byName[(place.Parent.Id, place.Name)] = node;
    }

    private void Detach(FuseNode node)
    {
        Unname(node);
        node.Parent = null;
    }

    private void Unname(FuseNode node)
    {
        if (node.Parent is { } parent && _byName.GetValueOrDefault((parent.Id, node.Name)) == node) _byName.Remove((parent.Id, node.Name));
    }
}
