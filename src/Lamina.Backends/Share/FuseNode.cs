// What a guest knows by number: a file, a folder or whatever else it was told of, with the place where it was found last. And what
// it has open. Values and links only; ShareTree.cs keeps them in order.
using Lamina.Host.Io;

namespace Lamina.Backends.Share;

/// <summary>A node: one for each file, however many names that has.</summary>
internal sealed class FuseNode(ulong id, HostIdentity identity, uint type)
{
    private const uint TypeFolder = 0x4000; // S_IFDIR, inode(7)

    // Measured: this object, the array of the name, and a place in each of two tables, which are half empty when they have just grown.
    private const int FixedBytes = 352;

    internal ulong Id => id;

    /// <summary>Which one it is on the host; the time of birth is 0 where that may change.</summary>
    internal HostIdentity Identity => identity;

    internal uint Type => type;

    internal bool IsFolder => type == TypeFolder;

    /// <summary>Whether what lies in this folder keeps its time of birth.</summary>
    internal bool KeepsBirth { get; set; }

    /// <summary>The folder where it was found last; null for the root and for what has lost its name.</summary>
    internal FuseNode? Parent { get; set; }

    /// <summary>Its name there.</summary>
    internal byte[] Name { get; set; } = [];

    /// <summary>How often the guest was told of it and has not forgotten it.</summary>
    internal ulong Lookups { get; set; }

    /// <summary>How many nodes were found in it last.</summary>
    internal int Below { get; set; }

    /// <summary>A descriptor that is kept of it.</summary>
    internal HostNode? Held { get; set; }

    /// <summary>What the guest has open of it: a list.</summary>
    internal OpenFile? Open { get; set; }

    /// <summary>Whether the present request works on it, so that its descriptor has to stay.</summary>
    internal bool InUse { get; set; }

    /// <summary>Its neighbours among those that are held.</summary>
    internal (FuseNode? Older, FuseNode? Newer) Neighbours { get; set; }

    /// <summary>What can be worked with at once.</summary>
    internal HostNode? Ready => Held ?? Open?.File;

    /// <summary>The memory that it takes, in bytes.</summary>
    internal int Bytes => FixedBytes + Name.Length;

    /// <summary>Whether what has these attributes is this node.</summary>
    internal bool Is(in HostStatus status) =>
        status.Type == type && status.Identity with { Birth = identity.Birth == 0 ? 0 : status.Identity.Birth } == identity;
}

/// <summary>Something that the guest has open.</summary>
internal sealed class OpenFile(FuseNode node, HostOpenNode file, int flags)
{
    internal FuseNode Node => node;

    internal HostOpenNode File => file;

    /// <summary>Whether it was opened with O_APPEND.</summary>
    internal bool Appends => (flags & SharedFolder.Append) != 0;

    /// <summary>How it was opened: open(2)'s flags, as the guest gave them.</summary>
    internal int Flags => flags;

    /// <summary>The next one of the same node.</summary>
    internal OpenFile? Next { get; set; }
}

/// <summary>Nodes in the order of their use. No node is in two of these.</summary>
internal sealed class NodeQueue
{
    private FuseNode? _oldest, _newest;

    internal int Count { get; private set; }

    internal void Add(FuseNode node)
    {
        node.Neighbours = (_newest, null);
        if (_newest is { } before) before.Neighbours = (before.Neighbours.Older, node);
        else _oldest = node;
        _newest = node;
        Count++;
    }

    internal void Remove(FuseNode node)
    {
        var (older, newer) = node.Neighbours;
        if (older is null) _oldest = newer;
        else older.Neighbours = (older.Neighbours.Older, newer);
        if (newer is null) _newest = older;
        else newer.Neighbours = (older, newer.Neighbours.Newer);
        node.Neighbours = default;
        Count--;
    }

    /// <summary>The one that was used least recently, and is not at present.</summary>
    internal FuseNode? FindOldest()
    {
        var node = _oldest;
        while (node is { InUse: true }) node = node.Neighbours.Newer;
        return node;
    }
}
