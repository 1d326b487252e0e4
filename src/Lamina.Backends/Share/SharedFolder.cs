// A folder of the host's, served by the FUSE protocol. The guest names files by numbers that it was given here and by single
// names: ShareTree says which node a number is, HostNode takes one name at a time and follows no link, so that nothing leads out.
// Files belong to the user who runs the machine. What is done to nodes is in SharedFolder.Nodes.cs, to names in folders in
// SharedFolder.Names.cs, to what is open in SharedFolder.Files.cs; SharedFolder.Saved.cs is its saved state.
using System.Buffers.Binary;
using Lamina.Core.Inspection;
using Lamina.Core.Share;
using Lamina.Host.Io;
using static Lamina.Backends.Share.FuseBytes;

namespace Lamina.Backends.Share;

/// <summary>A shared folder.</summary>
public sealed partial class SharedFolder : IFileShare, IInspected, ICounted
{
    // How often a request is tried again with fewer descriptors kept, where the process has none left.
    private const int MostTries = 4;

    private readonly string _path;
    private readonly HostNode _root;
    private readonly ShareOptions _options;
    private readonly uint _modeMask = HostNode.ModeMask();
    private readonly Lock _gate = new();
    private readonly Dictionary<ulong, OpenFile> _files = [];
    private readonly HashSet<ulong> _lostFiles = [];
    private ShareTree _tree;
    private ulong _nextHandle = 1;
    private long _requests;
    private bool _tellsMounts;

    /// <summary>Opens a folder to share.</summary>
    /// <param name="path">The folder.</param>
    /// <param name="options">How it is shared.</param>
    /// <exception cref="Lamina.Host.HostException">It cannot be opened.</exception>
    public SharedFolder(string path, ShareOptions options)
    {
        (_path, _root, _options) = (path, HostNode.OpenFolder(path), options);
        _tree = new ShareTree(_root, options.Limits);
    }

    /// <inheritdoc/>
    public int LongestMessage => FuseSpec.LongestMessage;

    /// <inheritdoc/>
    public FileShareStatistics Statistics
    {
        get
        {
            lock (_gate) return new FileShareStatistics(_requests, _tree.Count, _tree.Bytes, _files.Count, _tree.Held, _tree.FoundAgain, _tree.Lost);
        }
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node)
    {
        node.Say("path", _path);
        node.Say("read only", _options.ReadOnly);
        node.Say("extended attributes", _options.ExtendedAttributes);
    }

    /// <inheritdoc/>
    public void Count(CounterList counters)
    {
        var figures = Statistics;
        counters.Total("share_requests", figures.Requests, "requests of the guest's");
        counters.Now("share_nodes", figures.Nodes, "files and folders that the guest knows");
        counters.Now("share_node_bytes", figures.NodeBytes, "what knowing them takes", CounterUnit.Bytes);
        counters.Now("share_open_files", figures.OpenFiles, "files that the guest has open");
        counters.Now("share_held_descriptors", figures.HeldNodes, "descriptors that are kept for them");
        counters.Total("share_nodes_found_again", figures.FoundAgain, "files that were found again by their names");
        counters.Total("share_nodes_lost", figures.Lost, "files that were not");
    }

    /// <inheritdoc/>
    public int Answer(ReadOnlySpan<byte> request, Span<byte> reply)
    {
        if (request.Length < FuseSpec.RequestHeader || U32(request, 0) != request.Length) return 0;
        var operation = (FuseOperation)U32(request, 4);
        var id = U64(request, 16);
        var arguments = request[FuseSpec.RequestHeader..];
        lock (_gate)
        {
            _requests++;
            switch (operation)
            {
                case FuseOperation.Forget:
                    if (arguments.Length >= 8) _tree.Forget(id, U64(arguments, 0));
                    return 0;
                case FuseOperation.BatchForget:
                    for (var at = 8; at + 16 <= arguments.Length; at += 16) _tree.Forget(U64(arguments, at), U64(arguments, at + 8));
                    return 0;
                case FuseOperation.Interrupt:
                    // Requests are carried out one after another: what it is about is over.
                    return 0;
                default:
                    break;
            }
            if (reply.Length < FuseSpec.ReplyHeader) return 0;
            var body = reply[FuseSpec.ReplyHeader..];
            // What has a form is put together in zeros; data are not, and may be long.
            body[..Math.Min(body.Length, FuseSpec.LongestForm)].Clear();
            var result = CarryOut(operation, id, arguments, body);
            // Whatever fails for want of a descriptor has not done anything yet.
            for (var tries = 1; result == HostNode.NoDescriptor && tries < MostTries && _tree.LetSomeGo(); tries++) result = CarryOut(operation, id, arguments, body);
            _tree.EndRequest();
            var length = FuseSpec.ReplyHeader + Math.Max(result, 0);
            Put32(reply, 0, (uint)length);
            BinaryPrimitives.WriteInt32LittleEndian(reply[4..], Math.Min(result, 0));
            Put64(reply, 8, U64(request, 8));
            return length;
        }
    }

    /// <inheritdoc/>
    public void Reset()
    {
        lock (_gate)
        {
            foreach (var open in _files.Values) open.File.Dispose();
            _files.Clear();
            _lostFiles.Clear();
            _tree.Dispose();
            _tree = new ShareTree(_root, _options.Limits);
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Reset();
        _root.Dispose();
    }

    // The length of the reply's body, or the negative of an error number.
    private int CarryOut(FuseOperation operation, ulong id, ReadOnlySpan<byte> arguments, Span<byte> body)
    {
        var (needed, room, writes) = Shape(operation);
        if (arguments.Length < needed || body.Length < room) return HostNode.Invalid;
        if (writes && _options.ReadOnly) return HostNode.ReadOnly;
        if (ByHandle(operation)) return CarryOutOnFile(operation, arguments, body);
        switch (operation)
        {
            case FuseOperation.Init:
                return Init(arguments, body);
            case FuseOperation.Destroy:
                Reset();
                return 0;
            default:
                return _tree.Find(id) is { } node ? CarryOutOnNode(operation, node, arguments, body) : HostNode.NotFound;
        }
    }

    private int CarryOutOnNode(FuseOperation operation, FuseNode node, ReadOnlySpan<byte> arguments, Span<byte> body) => operation switch
    {
        FuseOperation.Lookup => Lookup(node, arguments, body),
        FuseOperation.GetAttributes => Attributes(node, arguments, body),
        FuseOperation.SetAttributes => SetAttributes(node, arguments, body),
        FuseOperation.ReadLink => _tree.Reach(node, out var link) is var failed && failed < 0 ? failed : link.ReadLink(body[..Math.Min(body.Length, FuseSpec.PageSize)]),
        FuseOperation.Open or FuseOperation.OpenFolder => Open(node, arguments, body),
        FuseOperation.FileSystem => FileSystem(node, body),
        FuseOperation.SyncFileSystem => SyncFileSystem(node),
        FuseOperation.GetExtended or FuseOperation.SetExtended or FuseOperation.ListExtended or FuseOperation.RemoveExtended => CarryOutOnExtended(operation, node, arguments, body),
        FuseOperation.MakeFolder => MakeFolder(node, arguments, body),
        FuseOperation.MakeNode => MakeNode(node, arguments, body),
        FuseOperation.SymbolicLink => SymbolicLink(node, arguments, body),
        FuseOperation.Link => HardLink(node, arguments, body),
        FuseOperation.Create => Create(node, arguments, body),
        FuseOperation.CreateNameless => CreateNameless(node, arguments, body),
        FuseOperation.Unlink or FuseOperation.RemoveFolder => Remove(node, arguments, operation == FuseOperation.RemoveFolder),
        FuseOperation.Rename => Rename(node, U64(arguments, 0), 0, arguments[8..]),
        FuseOperation.Rename2 => Rename(node, U64(arguments, 0), U32(arguments, 8), arguments[16..]),
        _ => HostNode.NotImplemented,
    };

    // What a request must have at least, what its reply needs, and whether it changes something.
    private static (int Arguments, int Body, bool Writes) Shape(FuseOperation operation) => operation switch
    {
        FuseOperation.Lookup => (1, FuseSpec.EntryReply, false),
        FuseOperation.GetAttributes => (16, FuseSpec.AttributesReply, false),
        FuseOperation.SetAttributes => (88, FuseSpec.AttributesReply, true),
        FuseOperation.SymbolicLink => (2, FuseSpec.EntryReply, true),
        FuseOperation.MakeNode => (17, FuseSpec.EntryReply, true),
        FuseOperation.MakeFolder => (9, FuseSpec.EntryReply, true),
        FuseOperation.Unlink or FuseOperation.RemoveFolder => (1, 0, true),
        FuseOperation.Rename => (10, 0, true),
        FuseOperation.Rename2 => (18, 0, true),
        FuseOperation.Link => (9, FuseSpec.EntryReply, true),
        FuseOperation.Open or FuseOperation.OpenFolder => (8, FuseSpec.OpenReply, false),
        FuseOperation.Read or FuseOperation.ReadFolder => (40, 0, false),
        FuseOperation.Write => (40, 8, true),
        FuseOperation.FileSystem => (0, FuseSpec.FileSystemReply, false),
        FuseOperation.Release or FuseOperation.ReleaseFolder => (24, 0, false),
        FuseOperation.Sync or FuseOperation.SyncFolder => (16, 0, false),
        FuseOperation.SetExtended => (9, 0, true),
        FuseOperation.GetExtended => (9, 0, false),
        FuseOperation.ListExtended => (8, 0, false),
        FuseOperation.RemoveExtended => (1, 0, true),
        FuseOperation.Init => (16, FuseSpec.InitReply, false),
        FuseOperation.Create or FuseOperation.CreateNameless => (17, FuseSpec.EntryReply + FuseSpec.OpenReply, true),
        FuseOperation.Allocate => (32, 0, true),
        FuseOperation.Seek => (24, 8, false),
        _ => (0, 0, false),
    };

    private static bool ByHandle(FuseOperation operation) => operation is FuseOperation.Read or FuseOperation.Write or FuseOperation.Release
        or FuseOperation.ReleaseFolder or FuseOperation.Sync or FuseOperation.SyncFolder or FuseOperation.Flush or FuseOperation.ReadFolder
        or FuseOperation.Allocate or FuseOperation.Seek;

    private int Init(ReadOnlySpan<byte> arguments, Span<byte> body)
    {
        if (U32(arguments, 0) != FuseSpec.Major) return HostNode.Invalid;
        // A guest that begins anew knows nothing of before.
        Reset();
        var offered = U32(arguments, 12);
        _tellsMounts = (offered & FuseSpec.Submounts) != 0;
        Put32(body, 0, FuseSpec.Major);
        Put32(body, 4, Math.Min(U32(arguments, 4), FuseSpec.Minor));
        Put32(body, 8, U32(arguments, 8));
        Put32(body, 12, offered & (_options.ExtendedAttributes ? FuseSpec.InitFlags | FuseSpec.DropsSetIds : FuseSpec.InitFlags));
        Put32(body, 20, FuseSpec.LargestWrite);
        Put32(body, 24, 1);
        BinaryPrimitives.WriteUInt16LittleEndian(body[28..], FuseSpec.LargestWrite / FuseSpec.PageSize);
        return FuseSpec.InitReply;
    }
}
