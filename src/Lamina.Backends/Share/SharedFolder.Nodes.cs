// Requests about a node itself: what it is, its attributes, opening it.
using Lamina.Host.Io;
using static Lamina.Backends.Share.FuseBytes;

namespace Lamina.Backends.Share;

public sealed partial class SharedFolder
{
    // open(2), inode(7)
    internal const int Append = 0x400;
    private const int AccessMode = 3, Truncate = 0x200, Exclusive = 0x80;
    private const uint SetIds = 0b110_000_000_000, SetGroup = 0b010_000_000_000, GroupExecutes = 0b001_000, Permissions = 0b111_111_111;

    // Extended attributes of users; those of the system and of root would be the host's. xattr(7)
    private static ReadOnlySpan<byte> OfUsers => "user."u8;

    // XATTR_LIST_MAX, Linux, include/uapi/linux/limits.h
    private const int LongestList = 65_536;

    private int Lookup(FuseNode parent, ReadOnlySpan<byte> arguments, Span<byte> body)
    {
        if (!Text(arguments, out var name)) return HostNode.Invalid;
        var result = _tree.Reach(parent, out var folder);
        return result < 0 ? result : Tell(parent, folder, name, body);
    }

    // What lies under a name becomes known to the guest.
    private int Tell(FuseNode parent, HostNode folder, ReadOnlySpan<byte> name, Span<byte> body)
    {
        var result = folder.StatusOf(name, out var status);
        if (result >= 0) result = _tree.Tell(parent, folder, name, status, out var node) is var told && told < 0 ? told : EntryReply(parent, node, status, body);
        return result;
    }

    private int EntryReply(FuseNode parent, FuseNode node, in HostStatus status, Span<byte> body)
    {
        Put64(body, 0, node.Id);
        Put64(body, 16, FuseSpec.CacheSeconds);
        Put64(body, 24, FuseSpec.CacheSeconds);
        PutAttributes(body[40..], status);
        if (_tellsMounts && node.IsFolder && ShareTree.IsMounted(parent, status)) Put32(body[40..], FuseSpec.AttributeFlags, FuseSpec.AttributeSubmount);
        return FuseSpec.EntryReply;
    }

    private int Attributes(FuseNode node, ReadOnlySpan<byte> arguments, Span<byte> body)
    {
        var byHandle = (U32(arguments, 0) & FuseSpec.GetByHandle) != 0 && _files.TryGetValue(U64(arguments, 8), out var open) ? open : null;
        HostStatus status;
        var result = byHandle is null ? _tree.Status(node, out status) : byHandle.File.Status(out status);
        return result < 0 ? result : AttributesReply(status, body);
    }

    private static int AttributesReply(in HostStatus status, Span<byte> body)
    {
        Put64(body, 0, FuseSpec.CacheSeconds);
        PutAttributes(body[16..], status);
        return FuseSpec.AttributesReply;
    }

    private int SetAttributes(FuseNode node, ReadOnlySpan<byte> arguments, Span<byte> body)
    {
        var valid = U32(arguments, 0);
        var open = (valid & FuseSpec.SetByHandle) != 0 ? _files.GetValueOrDefault(U64(arguments, 8)) : null;
        HostNode? host = open?.File;
        if (host is null && _tree.Reach(node, out host) is var failed && failed < 0) return failed;
        var result = 0;
        if ((valid & FuseSpec.SetMode) != 0) result = host.SetMode(U32(arguments, 68));
        if (result >= 0 && (valid & (FuseSpec.SetUser | FuseSpec.SetGroup)) != 0)
        {
            result = host.SetOwner((valid & FuseSpec.SetUser) != 0 ? U32(arguments, 76) : uint.MaxValue, (valid & FuseSpec.SetGroup) != 0 ? U32(arguments, 80) : uint.MaxValue);
            // Who runs the machine may not give files away; archives are unpacked all the same.
            if (result == HostNode.PermissionDenied) result = 0;
        }
        if (result >= 0 && (valid & FuseSpec.SetSize) != 0) result = SetSize(host, open, arguments);
        if (result >= 0 && (valid & FuseSpec.SetDropsIds) != 0) result = DropSetIds(host);
        if (result >= 0 && (valid & (FuseSpec.SetAccess | FuseSpec.SetChange)) != 0)
            result = host.SetTimes(GivenTime(arguments, FuseSpec.SetAccess, FuseSpec.SetAccessNow, 32, 56), GivenTime(arguments, FuseSpec.SetChange, FuseSpec.SetChangeNow, 40, 60));
        if (result >= 0) result = host.Status(out var status) is var found && found < 0 ? found : AttributesReply(status, body);
        return result;
    }

    private static int SetSize(HostNode host, OpenFile? open, ReadOnlySpan<byte> arguments)
    {
        var size = U64(arguments, 16);
        if (size > long.MaxValue) return HostNode.Invalid;
        return open is null ? host.SetLength(size) : open.File.Truncate(size);
    }

    // What runs as its owner stops doing so when somebody changes it (chown(2)); the kernel lets root keep it.
    private static int DropSetIds(HostNode host)
    {
        var result = host.Status(out var status);
        if (result < 0 || !status.IsFile || (status.Mode & SetIds) == 0) return result;
        // Without permission to execute the bit of the group meant mandatory locks.
        return (status.Mode & SetIds) == SetGroup && (status.Mode & GroupExecutes) == 0 ? 0 : host.SetMode(status.Mode & ~SetIds);
    }

    private int Open(FuseNode node, ReadOnlySpan<byte> arguments, Span<byte> body)
    {
        var flags = (int)U32(arguments, 0);
        if (_options.ReadOnly && (flags & (AccessMode | Truncate)) != 0) return HostNode.ReadOnly;
        if (_files.Count >= _options.Limits.OpenFiles) return HostNode.TooManyOpen;
        var result = _tree.Reach(node, out var host);
        if (result >= 0) result = host.Open(flags, out var file) is var failed && failed < 0 ? failed : OpenReply(new OpenFile(node, file!, flags), U32(arguments, 4), body);
        return result;
    }

    private int OpenReply(OpenFile open, uint flags, Span<byte> body)
    {
        if ((flags & FuseSpec.OpenDropsIds) != 0) _ = DropSetIds(open.File);
        _tree.AddOpen(open);
        Put64(body, 0, _nextHandle);
        _files[_nextHandle++] = open;
        return FuseSpec.OpenReply;
    }

    private int FileSystem(FuseNode node, Span<byte> body)
    {
        var result = _tree.Reach(node, out var host);
        if (result < 0) return result;
        result = host.FileSystem(out var system);
        if (result < 0) return result;
        ReadOnlySpan<ulong> counts = [system.Blocks, system.Free, system.Available, system.Files, system.FreeFiles];
        for (var i = 0; i < counts.Length; i++) Put64(body, i * 8, counts[i]);
        Put32(body, 40, (uint)system.BlockSize);
        Put32(body, 44, (uint)system.LongestName);
        Put32(body, 48, (uint)system.FragmentSize);
        return FuseSpec.FileSystemReply;
    }

    private int SyncFileSystem(FuseNode node)
    {
        var result = _tree.Reach(node, out var host);
        if (result < 0) return result;
        result = host.Open(0, out var open);
        if (result < 0) return result;
        using (open) return open!.SyncFileSystem();
    }

    // Without the option as on virtiofsd without its own: not there at all, and the guest's kernel does not ask again.
    private int CarryOutOnExtended(FuseOperation operation, FuseNode node, ReadOnlySpan<byte> arguments, Span<byte> body)
    {
        if (!_options.ExtendedAttributes) return HostNode.NotImplemented;
        if (operation == FuseOperation.ListExtended) return ListExtended(node, U32(arguments, 0), body);
        if (!Text(arguments[(operation == FuseOperation.RemoveExtended ? 0 : 8)..], out var name)) return HostNode.Invalid;
        if (!name.StartsWith(OfUsers)) return HostNode.NotSupported;
        var result = _tree.Reach(node, out var host);
        if (result < 0) return result;
        if (operation == FuseOperation.RemoveExtended) return host.RemoveAttribute(name);
        var size = U32(arguments, 0);
        var rest = arguments[(8 + name.Length + 1)..];
        if (operation == FuseOperation.SetExtended) return size <= (uint)rest.Length ? host.SetAttribute(name, rest[..(int)size], (int)U32(arguments, 4)) : HostNode.Invalid;
        if (size != 0) return host.GetAttribute(name, body[..(int)Math.Min(size, (uint)body.Length)]);
        var length = host.GetAttribute(name, []);
        return length < 0 ? length : SizeReply(length, body);
    }

    private int ListExtended(FuseNode node, uint size, Span<byte> body)
    {
        var result = _tree.Reach(node, out var host);
        if (result < 0) return result;
        var names = new byte[LongestList];
        var count = host.ListAttributes(names);
        if (count < 0) return count;
        var kept = 0;
        for (var at = 0; at < count;)
        {
            var name = names.AsSpan(at, names.AsSpan(at, count - at).IndexOf((byte)0) + 1);
            at += name.Length;
            if (!name.StartsWith(OfUsers)) continue;
            name.CopyTo(names.AsSpan(kept));
            kept += name.Length;
        }
        if (size == 0) return SizeReply(kept, body);
        if ((uint)kept > Math.Min(size, (uint)body.Length)) return HostNode.TooSmall;
        names.AsSpan(0, kept).CopyTo(body);
        return kept;
    }

    // For a value itself a guest has no more room than it asks for.
    private static int SizeReply(int size, Span<byte> body)
    {
        if (body.Length < FuseSpec.ExtendedReply) return HostNode.Invalid;
        Put32(body, 0, (uint)size);
        return FuseSpec.ExtendedReply;
    }
}
