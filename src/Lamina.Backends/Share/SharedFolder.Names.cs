// Requests that make, remove and rename what lies in a folder.
using Lamina.Host.Io;
using static Lamina.Backends.Share.FuseBytes;

namespace Lamina.Backends.Share;

public sealed partial class SharedFolder
{
    // renameat2(2)
    private const uint RenameNoReplace = 1, RenameExchange = 2;

    private int MakeFolder(FuseNode parent, ReadOnlySpan<byte> arguments, Span<byte> body)
    {
        if (!Text(arguments[8..], out var name)) return HostNode.Invalid;
        var result = _tree.Reach(parent, out var folder);
        if (result >= 0) result = folder.CreateFolder(name, U32(arguments, 0));
        return result < 0 ? result : Made(parent, folder, name, U32(arguments, 0), body);
    }

    private int MakeNode(FuseNode parent, ReadOnlySpan<byte> arguments, Span<byte> body)
    {
        if (!Text(arguments[16..], out var name)) return HostNode.Invalid;
        var result = _tree.Reach(parent, out var folder);
        if (result >= 0) result = folder.CreateNode(name, U32(arguments, 0));
        return result < 0 ? result : Made(parent, folder, name, U32(arguments, 0), body);
    }

    private int SymbolicLink(FuseNode parent, ReadOnlySpan<byte> arguments, Span<byte> body)
    {
        if (!Text(arguments, out var name) || !Text(arguments[(name.Length + 1)..], out var target)) return HostNode.Invalid;
        var result = _tree.Reach(parent, out var folder);
        if (result >= 0) result = folder.CreateLink(name, target);
        return result < 0 ? result : Tell(parent, folder, name, body);
    }

    private int HardLink(FuseNode parent, ReadOnlySpan<byte> arguments, Span<byte> body)
    {
        if (!Text(arguments[8..], out var name)) return HostNode.Invalid;
        if (_tree.Find(U64(arguments, 0)) is not { } node) return HostNode.NotFound;
        var result = _tree.Reach(node, out var existing);
        if (result < 0) return result;
        result = _tree.Reach(parent, out var folder);
        if (result >= 0) result = folder.Link(existing, name);
        return result < 0 ? result : Tell(parent, folder, name, body);
    }

    private int Create(FuseNode parent, ReadOnlySpan<byte> arguments, Span<byte> body)
    {
        if (!Text(arguments[16..], out var name)) return HostNode.Invalid;
        if (_files.Count >= _options.Limits.OpenFiles) return HostNode.TooManyOpen;
        var result = _tree.Reach(parent, out var folder);
        if (result < 0) return result;
        var (flags, mode) = ((int)U32(arguments, 0), U32(arguments, 4));
        result = folder.Create(name, flags, mode, out var file);
        if (result >= 0) Widen(file!, mode);
        else if (result == HostNode.Exists && (flags & Exclusive) == 0) result = OpenExisting(folder, name, flags, out file);
        return result < 0 ? result : Opened(parent, folder, name, file!, arguments, body);
    }

    private int CreateNameless(FuseNode parent, ReadOnlySpan<byte> arguments, Span<byte> body)
    {
        if (_files.Count >= _options.Limits.OpenFiles) return HostNode.TooManyOpen;
        var result = _tree.Reach(parent, out var folder);
        if (result < 0) return result;
        var mode = U32(arguments, 4);
        result = folder.CreateNameless((int)U32(arguments, 0), mode, out var file);
        if (result < 0) return result;
        Widen(file!, mode);
        return Opened(parent, folder, [], file!, arguments, body);
    }

    // Somebody else has made it since the guest looked. A folder is never created by being opened (open(2), EISDIR).
    private static int OpenExisting(HostNode folder, ReadOnlySpan<byte> name, int flags, out HostOpenNode? file)
    {
        file = null;
        var result = folder.Find(name, out var node, out var status);
        if (result < 0) return result;
        using (node) return status.IsFolder ? HostNode.AFolder : node!.Open(flags, out file);
    }

    // A file that was created, as an entry and as something open.
    private int Opened(FuseNode parent, HostNode folder, ReadOnlySpan<byte> name, HostOpenNode file, ReadOnlySpan<byte> arguments, Span<byte> body)
    {
        var result = file.Status(out var status);
        FuseNode? node = null;
        if (result >= 0) result = _tree.Tell(parent, folder, name, status, out node);
        if (result < 0)
        {
            file.Dispose();
            return result;
        }
        var open = new OpenFile(node!, file, (int)U32(arguments, 0));
        return EntryReply(parent, node!, status, body) + OpenReply(open, U32(arguments, 12), body[FuseSpec.EntryReply..]);
    }

    // What was made becomes known to the guest, with the permissions that it asked for.
    private int Made(FuseNode parent, HostNode folder, ReadOnlySpan<byte> name, uint mode, Span<byte> body)
    {
        if ((mode & _modeMask) != 0 && folder.Find(name, out var made, out _) >= 0)
        {
            using (made) Widen(made!, mode);
        }
        return Tell(parent, folder, name, body);
    }

    // The guest has applied its own mask; that of this process is none of its business.
    private void Widen(HostNode made, uint mode)
    {
        var missing = mode & _modeMask & Permissions;
        if (missing != 0 && made.Status(out var status) >= 0 && (missing & ~status.Mode) != 0) _ = made.SetMode(status.Mode | missing);
    }

    private int Remove(FuseNode parent, ReadOnlySpan<byte> arguments, bool isFolder)
    {
        if (!Text(arguments, out var name)) return HostNode.Invalid;
        var result = _tree.Reach(parent, out var folder);
        if (result < 0) return result;
        result = Catch(parent, folder, name, out var losing);
        if (result < 0) return result;
        result = folder.Remove(name, isFolder);
        if (result >= 0 && losing is not null) _tree.TakeName(losing);
        return result;
    }

    private int Rename(FuseNode parent, ulong target, uint flags, ReadOnlySpan<byte> names)
    {
        if ((flags & ~(RenameNoReplace | RenameExchange)) != 0) return HostNode.Invalid;
        if (!Text(names, out var from) || !Text(names[(from.Length + 1)..], out var to)) return HostNode.Invalid;
        if (_tree.Find(target) is not { } into) return HostNode.NotFound;
        var result = _tree.Reach(parent, out var folder);
        if (result < 0) return result;
        result = _tree.Reach(into, out var newFolder);
        if (result < 0) return result;
        result = Catch(into, newFolder, to, out var other);
        if (result < 0) return result;
        var moved = folder.StatusOf(from, out var status) >= 0 ? _tree.Known(parent, status) : null;
        result = folder.Rename(from, newFolder, to, flags);
        // Two names of one file stay as they are (rename(2)).
        if (result < 0 || moved == other) return result;
        if (other is not null && (flags & RenameExchange) != 0) _tree.Place(other, parent, from);
        else if (other is not null) _tree.TakeName(other);
        if (moved is not null) _tree.Place(moved, into, to);
        return result;
    }

    // The node that is about to lose the name by which it is found, or null. Somebody in the guest may use it on: it is held.
    private int Catch(FuseNode parent, HostNode folder, ReadOnlySpan<byte> name, out FuseNode? losing)
    {
        losing = null;
        var result = folder.Find(name, out var host, out var status);
        // What is not there, or cannot be looked at, is refused by what follows.
        if (result < 0) return result == HostNode.NoDescriptor ? result : 0;
        if (_tree.Known(parent, status) is { } node && node.Parent == parent && name.SequenceEqual(node.Name)) losing = node;
        if (losing is { Ready: null }) _tree.Hold(losing, host!);
        else host!.Dispose();
        return 0;
    }
}
