// The nodes as they are written down: by the place where each was found last, and by what makes it the same there. Nothing is looked
// for when they are read; as ever, what is not the same any more where it was turns out when the guest asks for it.
using Lamina.Core.State;
using Lamina.Host.Io;

namespace Lamina.Backends.Share;

internal sealed partial class ShareTree
{
    // A bound for what is damaged; how much memory nodes may take is another.
    private const int MostSavedNodes = 1 << 24;

    // PATH_MAX: no name is as long.
    private const int LongestSavedName = 4096;

    // Parents come before what was found in them.
    private struct SavedNode()
    {
        internal ulong Id, Parent, Lookups;
        internal HostIdentity Identity;
        internal uint Type;
        internal bool KeepsBirth;
        internal byte[] Name = [];

        internal static void Exchange(SavedFields fields, ref SavedNode node)
        {
            fields.Value(1, ref node.Id);
            fields.Record(2, ref node.Identity, ExchangeIdentity);
            fields.Value(3, ref node.Type);
            fields.Value(4, ref node.KeepsBirth);
            fields.Value(5, ref node.Lookups);
            fields.Value(6, ref node.Parent);
            fields.Bytes(7, ref node.Name, LongestSavedName);
        }
    }

    /// <summary>A node by its number, even one that the guest has forgotten; or null.</summary>
    internal FuseNode? ById(ulong id) => _byId.GetValueOrDefault(id);

    /// <summary>Writes the nodes, or reads them into a fresh tree.</summary>
    /// <exception cref="StateException">There are more than there may be, or they make no tree.</exception>
    internal void Exchange(SavedFields fields)
    {
        var root = Root.Identity;
        IReadOnlyList<SavedNode> nodes = fields.IsLoading ? [] : ToSaved();
        fields.Record(1, ref root, ExchangeIdentity);
        fields.Value(2, ref _nextId);
        fields.List(3, ref nodes, MostSavedNodes, SavedNode.Exchange);
        if (!fields.IsLoading) return;
        foreach (var node in nodes) Add(node, root);
        SavedFields.Require(Bytes <= _limits.NodeBytes, $"{nodes.Count} files and folders that a guest of this size cannot know at once");
    }

    private List<SavedNode> ToSaved()
    {
        var saved = new List<SavedNode>();
        var done = new HashSet<FuseNode> { Root };
        var above = new Stack<FuseNode>();
        foreach (var node in _byId.Values)
        {
            for (var at = node; at is not null && done.Add(at); at = at.Parent) above.Push(at);
            while (above.TryPop(out var next))
                saved.Add(new SavedNode { Id = next.Id, Identity = next.Identity, Type = next.Type, KeepsBirth = next.KeepsBirth, Lookups = next.Lookups, Parent = next.Parent?.Id ?? 0, Name = next.Name });
        }
        return saved;
    }

    private void Add(in SavedNode saved, HostIdentity root)
    {
        FuseNode? parent = null;
        SavedFields.Require(saved.Id > FuseSpec.RootNode && saved.Id < _nextId && !_byId.ContainsKey(saved.Id), $"a node with the number {saved.Id}");
        SavedFields.Require(saved.Parent == 0 || _byId.TryGetValue(saved.Parent, out parent), $"a node {saved.Id} in a node {saved.Parent}");
        // A host that was started anew may have other numbers for the same mount and the same device.
        var identity = (saved.Identity.Mount, saved.Identity.Device) == (root.Mount, root.Device)
            ? saved.Identity with { Mount = Root.Identity.Mount, Device = Root.Identity.Device }
            : saved.Identity;
        var node = new FuseNode(saved.Id, identity, saved.Type) { KeepsBirth = saved.KeepsBirth, Parent = parent, Name = parent is null ? [] : saved.Name, Lookups = saved.Lookups };
        if (parent is not null) parent.Below++;
        _byId[node.Id] = _byIdentity[identity] = node;
        Bytes += node.Bytes;
    }

    private static void ExchangeIdentity(SavedFields fields, ref HostIdentity identity)
    {
        var (mount, device, inode, birth) = identity;
        fields.Value(1, ref mount);
        fields.Value(2, ref device);
        fields.Value(3, ref inode);
        fields.Value(4, ref birth);
        identity = new HostIdentity(mount, device, inode, birth);
    }
}
