// A folder of the host's, served by the FUSE protocol. The guest names files by numbers that it was given here and by single
// names; HostFolder keeps every one of them inside the folder. Files belong to the user who runs the machine.
using System.Buffers.Binary;
using System.Text;
using Lamina.Core.Share;
using Lamina.Host.Io;

namespace Lamina.Backends.Share;

/// <summary>A shared folder.</summary>
public sealed partial class SharedFolder : IFileShare
{
    private readonly HostFolder _folder;
    private readonly bool _readOnly;
    private readonly Lock _gate = new();
    private readonly Dictionary<ulong, HostFolderFile> _files = [];
    private FuseNodes _nodes = new();
    private ulong _nextHandle = 1;

    /// <summary>Opens a folder to share.</summary>
    /// <param name="path">The folder.</param>
    /// <param name="readOnly">Whether the guest may only read.</param>
    /// <exception cref="Lamina.Host.HostException">It cannot be opened.</exception>
    public SharedFolder(string path, bool readOnly) => (_folder, _readOnly) = (HostFolder.Open(path), readOnly);

    /// <inheritdoc/>
    public int LongestMessage => FuseSpec.LongestMessage;

    /// <inheritdoc/>
    public int Answer(ReadOnlySpan<byte> request, Span<byte> reply)
    {
        if (request.Length < FuseSpec.RequestHeader || BinaryPrimitives.ReadUInt32LittleEndian(request) != request.Length) return 0;
        var operation = (FuseOperation)BinaryPrimitives.ReadUInt32LittleEndian(request[4..]);
        var unique = BinaryPrimitives.ReadUInt64LittleEndian(request[8..]);
        var node = BinaryPrimitives.ReadUInt64LittleEndian(request[16..]);
        var arguments = request[FuseSpec.RequestHeader..];
        lock (_gate)
        {
            switch (operation)
            {
                case FuseOperation.Forget:
                    if (arguments.Length >= 8) _nodes.Forget(node, U64(arguments, 0));
                    return 0;
                case FuseOperation.BatchForget:
                    for (var at = 8; at + 16 <= arguments.Length; at += 16) _nodes.Forget(U64(arguments, at), U64(arguments, at + 8));
                    return 0;
                case FuseOperation.Interrupt:
                    // Requests are carried out one after another: what it is about is over.
                    return 0;
                default:
                    break;
            }
            if (reply.Length < FuseSpec.ReplyHeader) return 0;
            var body = reply[FuseSpec.ReplyHeader..];
            body.Clear();
            var result = CarryOut(operation, node, arguments, body);
            var length = FuseSpec.ReplyHeader + Math.Max(result, 0);
            BinaryPrimitives.WriteUInt32LittleEndian(reply, (uint)length);
            BinaryPrimitives.WriteInt32LittleEndian(reply[4..], Math.Min(result, 0));
            BinaryPrimitives.WriteUInt64LittleEndian(reply[8..], unique);
            return length;
        }
    }

    /// <inheritdoc/>
    public void Reset()
    {
        lock (_gate)
        {
            foreach (var file in _files.Values) file.Dispose();
            _files.Clear();
            _nodes = new FuseNodes();
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Reset();
        _folder.Dispose();
    }

    // The length of the reply's body, or the negative of an error number.
    private int CarryOut(FuseOperation operation, ulong id, ReadOnlySpan<byte> arguments, Span<byte> body)
    {
        var (needed, room, writes) = Shape(operation);
        if (arguments.Length < needed || body.Length < room) return HostFolder.Invalid;
        if (writes && _readOnly) return HostFolder.ReadOnly;
        if (operation == FuseOperation.Init) return Init(arguments, body);
        if (ByHandle(operation)) return CarryOutOnFile(operation, arguments, body);
        if (_nodes.Find(id) is not { } node || FuseNodes.PathOf(node) is not { } path) return ByOpenFile(operation, arguments, body) ?? HostFolder.NotFound;
        return operation switch
        {
            FuseOperation.Lookup => Name(arguments, out var name) ? Lookup(node, path, name, body) : HostFolder.Invalid,
            FuseOperation.GetAttributes => ByOpenFile(operation, arguments, body) ?? Attributes(path, body),
            FuseOperation.SetAttributes => SetAttributes(path, arguments, body),
            FuseOperation.ReadLink => _folder.ReadLink(path, body[..Math.Min(body.Length, FuseSpec.PageSize)]),
            FuseOperation.Open or FuseOperation.OpenFolder => Open(path, arguments, body),
            FuseOperation.FileSystem => FileSystem(path, body),
            FuseOperation.Destroy => 0,
            _ => CarryOutInFolder(operation, node, path, arguments, body),
        };
    }

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
        FuseOperation.Init => (16, FuseSpec.InitReply, false),
        FuseOperation.Create => (17, FuseSpec.EntryReply + FuseSpec.OpenReply, true),
        FuseOperation.Allocate => (32, 0, true),
        FuseOperation.Seek => (24, 8, false),
        _ => (0, 0, false),
    };

    private static bool ByHandle(FuseOperation operation) => operation is FuseOperation.Read or FuseOperation.Write or FuseOperation.Release
        or FuseOperation.ReleaseFolder or FuseOperation.Sync or FuseOperation.SyncFolder or FuseOperation.Flush or FuseOperation.ReadFolder
        or FuseOperation.Allocate or FuseOperation.Seek;

    private int Init(ReadOnlySpan<byte> arguments, Span<byte> body)
    {
        if (U32(arguments, 0) != FuseSpec.Major) return HostFolder.Invalid;
        // A guest that begins anew knows nothing of before.
        Reset();
        Put32(body, 0, FuseSpec.Major);
        Put32(body, 4, Math.Min(U32(arguments, 4), FuseSpec.Minor));
        Put32(body, 8, U32(arguments, 8));
        Put32(body, 12, U32(arguments, 12) & FuseSpec.InitFlags);
        Put32(body, 20, FuseSpec.LargestWrite);
        Put32(body, 24, 1);
        BinaryPrimitives.WriteUInt16LittleEndian(body[28..], FuseSpec.LargestWrite / FuseSpec.PageSize);
        return FuseSpec.InitReply;
    }

    private int Lookup(FuseNode parent, byte[] folder, ReadOnlySpan<byte> name, Span<byte> body)
    {
        if (!IsName(name)) return HostFolder.Invalid;
        if (_nodes.Count >= FuseSpec.MostNodes) return HostFolder.NoMemory;
        var path = Join(folder, name);
        var result = _folder.Status(path, out var status);
        if (result < 0) return result;
        var node = _nodes.Tell(parent, Encoding.Latin1.GetString(name), status.Identity);
        Put64(body, 0, node.Id);
        Put64(body, 16, FuseSpec.CacheSeconds);
        Put64(body, 24, FuseSpec.CacheSeconds);
        PutAttributes(body[40..], status);
        return FuseSpec.EntryReply;
    }

    private int Attributes(byte[] path, Span<byte> body)
    {
        var result = _folder.Status(path, out var status);
        return result < 0 ? result : AttributesReply(status, body);
    }

    // A file that was removed while it was open is known by its handle alone.
    private int? ByOpenFile(FuseOperation operation, ReadOnlySpan<byte> arguments, Span<byte> body)
    {
        if (operation is not (FuseOperation.GetAttributes or FuseOperation.SetAttributes)) return null;
        var isSet = operation == FuseOperation.SetAttributes;
        if ((U32(arguments, 0) & (isSet ? FuseSpec.SetByHandle : FuseSpec.GetByHandle)) == 0 || !_files.TryGetValue(U64(arguments, 8), out var file)) return null;
        var result = isSet && (U32(arguments, 0) & FuseSpec.SetSize) != 0 ? SetSize([], U32(arguments, 0), arguments) : 0;
        if (result >= 0) result = file.Status(out var status) is var found && found < 0 ? found : AttributesReply(status, body);
        return result;
    }

    private int SetAttributes(byte[] path, ReadOnlySpan<byte> arguments, Span<byte> body)
    {
        var valid = U32(arguments, 0);
        var result = 0;
        if ((valid & FuseSpec.SetMode) != 0) result = _folder.SetMode(path, U32(arguments, 68));
        if (result >= 0 && (valid & (FuseSpec.SetUser | FuseSpec.SetGroup)) != 0)
        {
            result = _folder.SetOwner(path, (valid & FuseSpec.SetUser) != 0 ? U32(arguments, 76) : uint.MaxValue, (valid & FuseSpec.SetGroup) != 0 ? U32(arguments, 80) : uint.MaxValue);
            // Who runs the machine may not give files away; archives are unpacked all the same.
            if (result == HostFolder.PermissionDenied) result = 0;
        }
        if (result >= 0 && (valid & FuseSpec.SetSize) != 0) result = SetSize(path, valid, arguments);
        if (result >= 0 && (valid & (FuseSpec.SetAccess | FuseSpec.SetChange)) != 0)
            result = _folder.SetTimes(path, Time(valid, FuseSpec.SetAccess, FuseSpec.SetAccessNow, arguments, 32, 56), Time(valid, FuseSpec.SetChange, FuseSpec.SetChangeNow, arguments, 40, 60));
        return result < 0 ? result : Attributes(path, body);
    }

    private int SetSize(byte[] path, uint valid, ReadOnlySpan<byte> arguments)
    {
        var size = U64(arguments, 16);
        if (size > long.MaxValue) return HostFolder.Invalid;
        if ((valid & FuseSpec.SetByHandle) != 0 && _files.TryGetValue(U64(arguments, 8), out var open)) return open.SetLength(size);
        var result = _folder.Open(path, OpenForWriting, out var file);
        if (result < 0) return result;
        using (file) return file!.SetLength(size);
    }

    private int Open(byte[] path, ReadOnlySpan<byte> arguments, Span<byte> body)
    {
        var flags = (int)U32(arguments, 0);
        if (_readOnly && (flags & (AccessMode | Truncate)) != 0) return HostFolder.ReadOnly;
        if (_files.Count >= FuseSpec.MostOpenFiles) return HostFolder.TooManyOpen;
        var result = _folder.Open(path, flags, out var file);
        return result < 0 ? result : OpenReply(file!, body);
    }

    private int OpenReply(HostFolderFile file, Span<byte> body)
    {
        Put64(body, 0, _nextHandle);
        _files[_nextHandle++] = file;
        return FuseSpec.OpenReply;
    }

    private int FileSystem(byte[] path, Span<byte> body)
    {
        var result = _folder.FileSystem(path, out var system);
        if (result < 0) return result;
        ulong[] counts = [system.Blocks, system.Free, system.Available, system.Files, system.FreeFiles];
        for (var i = 0; i < counts.Length; i++) Put64(body, i * 8, counts[i]);
        Put32(body, 40, (uint)system.BlockSize);
        Put32(body, 44, (uint)system.LongestName);
        Put32(body, 48, (uint)system.FragmentSize);
        return FuseSpec.FileSystemReply;
    }
}
