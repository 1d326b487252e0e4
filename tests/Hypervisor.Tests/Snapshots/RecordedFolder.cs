// A folder of which every change is known, as a disk that loses power may hold it: of a file what was written since it was last flushed may be there or not, sector by sector and in any order; of a
// folder the names that were made, changed and removed since it was last flushed. A rename is one change, whichever of the two folders is flushed.
using Lamina.Host;

namespace Lamina.Tests.Hypervisor.Snapshots;

/// <summary>A folder with all that lies below it.</summary>
/// <param name="root">Its path; what lies elsewhere is none of it.</param>
internal sealed class RecordedFolder(string root)
{
    private const int Sector = 512, Block = 4096;

    private readonly List<NameChange> _pending = [];
    private readonly Node _root = new(isFolder: true);

    /// <summary>A file or a folder: as it is, and as the disk has it for certain.</summary>
    private sealed class Node(bool isFolder)
    {
        internal bool IsFolder { get; } = isFolder;

        internal Dictionary<string, Node> Names { get; } = new(StringComparer.Ordinal);

        internal Dictionary<string, Node> DurableNames { get; private set; } = new(StringComparer.Ordinal);

        internal byte[] Content { get; set; } = [];

        internal byte[] Durable { get; set; } = [];

        // A length without bytes is a change of the length.
        internal List<(long Offset, byte[]? Bytes)> Pending { get; } = [];

        internal void Settle()
        {
            Durable = (byte[])Content.Clone();
            Pending.Clear();
            DurableNames = new Dictionary<string, Node>(Names, StringComparer.Ordinal);
        }
    }

    /// <summary>Names that change together: a node for one that is there afterwards, null for one that is not.</summary>
    private sealed record NameChange((Node Folder, string Name, Node? Node)[] Parts);

    /// <summary>Takes up what was there in the beginning, which the disk has.</summary>
    /// <param name="copy">A copy of that.</param>
    internal void TakeUp(string copy)
    {
        var files = new Dictionary<string, Node>(StringComparer.Ordinal);
        TakeUp(_root, copy);

        void TakeUp(Node folder, string path)
        {
            foreach (var place in Directory.EnumerateFileSystemEntries(path))
            {
                var isFolder = Directory.Exists(place);
                var node = isFolder ? new Node(isFolder) : files.TryGetValue(Host.Io.HostPath.Identity(place)!, out var known) ? known : files[Host.Io.HostPath.Identity(place)!] = new Node(isFolder: false) { Content = File.ReadAllBytes(place) };
                folder.Names[Path.GetFileName(place)] = node;
                if (isFolder) TakeUp(node, place);
                else node.Settle();
            }
            folder.Settle();
        }
    }

    /// <summary>Whether a path leads into it.</summary>
    internal bool Has(string path) => path.StartsWith(root + "/", StringComparison.Ordinal);

    /// <summary>A file is opened for writing, and made where there is none.</summary>
    internal void Open(string path, bool truncates)
    {
        if (Find(path) is not { } file) Change((Folder(path), Path.GetFileName(path), new Node(isFolder: false)));
        else if (truncates) SetLength(file, 0);
    }

    /// <summary>A folder is made.</summary>
    internal void Make(string path) => Change((Folder(path), Path.GetFileName(path), new Node(isFolder: true)));

    /// <summary>Bytes are written to a file.</summary>
    internal void Write(string path, long offset, byte[] bytes)
    {
        var file = Get(path);
        file.Content = Put(file.Content, offset, bytes);
        file.Pending.Add((offset, bytes));
    }

    /// <summary>A file gets another length.</summary>
    internal void SetLength(string path, long length) => SetLength(Get(path), length);

    /// <summary>What a file holds.</summary>
    internal byte[] Read(string path) => Get(path).Content;

    /// <summary>A file or a folder is flushed.</summary>
    internal void Flush(string path)
    {
        var node = path == root ? _root : Get(path);
        if (!node.IsFolder)
        {
            node.Settle();
            return;
        }
        foreach (var change in _pending.Where(change => change.Parts.Any(part => part.Folder == node)).ToList())
        {
            Apply(change, folder => folder.DurableNames);
            _pending.Remove(change);
        }
    }

    /// <summary>A name is taken away.</summary>
    internal void Remove(string path) => Change((Folder(path), Path.GetFileName(path), null));

    /// <summary>A file gets a second name.</summary>
    internal void Link(string path, string name) => Change((Folder(name), Path.GetFileName(name), Get(path)));

    /// <summary>Something gets another name.</summary>
    internal void Rename(string path, string name) => Change((Folder(path), Path.GetFileName(path), null), (Folder(name), Path.GetFileName(name), Get(path)));

    /// <summary>Puts into an empty folder what may be there after a power loss now.</summary>
    internal void LosePower(string target, Random random)
    {
        var names = new Dictionary<Node, Dictionary<string, Node>>();
        // None of the names, all of them, those that changed first, as file systems with a journal have it, or any.
        var mode = random.Next(4);
        var first = random.Next(_pending.Count + 1);
        for (var i = 0; i < _pending.Count; i++)
            if (mode == 1 || mode == 2 && i < first || mode == 3 && random.Next(2) == 0) Apply(_pending[i], NamesOf);
        // Of the bytes mostly some.
        var kept = random.Next(4) switch { 0 => 0, 1 => 100, _ => random.Next(101) };
        var made = new Dictionary<Node, string>();
        Fill(_root, target);

        void Fill(Node folder, string path)
        {
            foreach (var (name, node) in NamesOf(folder))
            {
                var place = Path.Combine(path, name);
                if (node.IsFolder) Fill(node, Directory.CreateDirectory(place).FullName);
                else if (made.TryGetValue(node, out var other)) Xunit.Assert.True(HostFiles.TryLink(other, place));
                else WriteFile(made[node] = place, Kept(node, kept, random));
            }
        }

        Dictionary<string, Node> NamesOf(Node folder) => names.TryGetValue(folder, out var known) ? known : names[folder] = new Dictionary<string, Node>(folder.DurableNames, StringComparer.Ordinal);
    }

    private static byte[] Kept(Node file, int kept, Random random)
    {
        if (file.Pending.Count == 0) return file.Durable;
        var content = (byte[])file.Durable.Clone();
        foreach (var (offset, bytes) in file.Pending)
        {
            if (bytes is null)
            {
                if (random.Next(100) < kept) Array.Resize(ref content, (int)offset);
                continue;
            }
            for (var at = 0; at < bytes.Length;)
            {
                var length = (int)Math.Min(bytes.Length - at, Sector - (offset + at) % Sector);
                if (random.Next(100) < kept) content = Put(content, offset + at, bytes.AsSpan(at, length));
                at += length;
            }
        }
        return content;
    }

    // With holes, which it mostly is.
    private static void WriteFile(string path, byte[] content)
    {
        using var file = File.OpenHandle(path, FileMode.CreateNew, FileAccess.Write);
        RandomAccess.SetLength(file, content.Length);
        for (var at = 0; at < content.Length; at += Block)
        {
            var piece = content.AsSpan(at, Math.Min(Block, content.Length - at));
            if (piece.ContainsAnyExcept((byte)0)) RandomAccess.Write(file, piece, at);
        }
    }

    private static byte[] Put(byte[] content, long offset, ReadOnlySpan<byte> bytes)
    {
        var end = (int)offset + bytes.Length;
        if (content.Length < end) Array.Resize(ref content, end);
        bytes.CopyTo(content.AsSpan((int)offset));
        return content;
    }

    private static void SetLength(Node file, long length)
    {
        var content = file.Content;
        Array.Resize(ref content, (int)length);
        file.Content = content;
        file.Pending.Add((length, null));
    }

    private void Change(params (Node, string, Node?)[] parts)
    {
        var change = new NameChange(parts);
        Apply(change, folder => folder.Names);
        _pending.Add(change);
    }

    private static void Apply(NameChange change, Func<Node, Dictionary<string, Node>> names)
    {
        foreach (var (folder, name, node) in change.Parts)
            if (node is null) names(folder).Remove(name);
            else names(folder)[name] = node;
    }

    private Node? Find(string path)
    {
        var node = _root;
        foreach (var name in path[(root.Length + 1)..].Split('/'))
            if (!node.Names.TryGetValue(name, out node!)) return null;
        return node;
    }

    private Node Get(string path) => Find(path) ?? throw new InvalidOperationException($"{path} is changed, and was not made");

    private Node Folder(string path) => Path.GetDirectoryName(path) is { } folder && folder != root ? Get(folder) : _root;
}
