// Requests that make, remove and rename what lies in a folder, and those on open files.
using System.Buffers.Binary;
using System.Text;
using Lamina.Host.Io;

namespace Lamina.Backends.Share;

public sealed partial class SharedFolder
{
    // open(2), lseek(2), renameat2(2), mknod(2)
    private const int OpenForWriting = 1, AccessMode = 3, Truncate = 0x200, Exclusive = 0x80;
    private const uint RenameNoReplace = 1, RenameExchange = 2;
    private const uint TypeMask = 0xf000, TypeFile = 0x8000;
    private const uint SeekData = 3, SeekHole = 4;

    // fallocate(2): keep the size, make a hole, make zeros.
    private const uint AllocateModes = 1 | 2 | 16;

    private int CarryOutInFolder(FuseOperation operation, FuseNode node, byte[] path, ReadOnlySpan<byte> arguments, Span<byte> body)
    {
        switch (operation)
        {
            case FuseOperation.MakeFolder:
                return Name(arguments[8..], out var folder) && IsName(folder)
                    ? Made(_folder.CreateFolder(new HostName(path, folder), U32(arguments, 0)), node, path, folder, body) : HostFolder.Invalid;
            case FuseOperation.MakeNode:
                return Name(arguments[16..], out var file) && IsName(file) ? MakeNode(node, path, file, U32(arguments, 0), body) : HostFolder.Invalid;
            case FuseOperation.SymbolicLink:
                return Name(arguments, out var link) && IsName(link) && Name(arguments[(link.Length + 1)..], out var target)
                    ? Made(_folder.CreateLink(new HostName(path, link), target), node, path, link, body) : HostFolder.Invalid;
            case FuseOperation.Link:
                return Name(arguments[8..], out var hard) && IsName(hard) ? HardLink(U64(arguments, 0), node, path, hard, body) : HostFolder.Invalid;
            case FuseOperation.Create:
                return Name(arguments[16..], out var created) && IsName(created) ? Create(node, path, created, arguments, body) : HostFolder.Invalid;
            case FuseOperation.Unlink or FuseOperation.RemoveFolder:
                return Name(arguments, out var gone) && IsName(gone) ? Remove(node, path, gone, operation == FuseOperation.RemoveFolder) : HostFolder.Invalid;
            case FuseOperation.Rename:
                return Rename(node, path, U64(arguments, 0), 0, arguments[8..]);
            case FuseOperation.Rename2:
                return Rename(node, path, U64(arguments, 0), U32(arguments, 8), arguments[16..]);
            default:
                return HostFolder.NotSupported;
        }
    }

    private int Made(int result, FuseNode parent, byte[] path, ReadOnlySpan<byte> name, Span<byte> body) => result < 0 ? result : Lookup(parent, path, name, body);

    // Devices, pipes and sockets of a guest's making have no place in a folder of the host's.
    private int MakeNode(FuseNode parent, byte[] path, ReadOnlySpan<byte> name, uint mode, Span<byte> body)
    {
        if ((mode & TypeMask) is not (0 or TypeFile)) return HostFolder.PermissionDenied;
        var result = _folder.Create(new HostName(path, name), Exclusive, mode, out var file);
        file?.Dispose();
        return Made(result, parent, path, name, body);
    }

    private int Create(FuseNode parent, byte[] path, ReadOnlySpan<byte> name, ReadOnlySpan<byte> arguments, Span<byte> body)
    {
        if (_files.Count >= FuseSpec.MostOpenFiles) return HostFolder.TooManyOpen;
        var result = _folder.Create(new HostName(path, name), (int)U32(arguments, 0), U32(arguments, 4), out var file);
        if (result < 0) return result;
        result = Lookup(parent, path, name, body);
        if (result < 0)
        {
            file!.Dispose();
            return result;
        }
        return result + OpenReply(file!, body[FuseSpec.EntryReply..]);
    }

    private int HardLink(ulong existing, FuseNode parent, byte[] path, ReadOnlySpan<byte> name, Span<byte> body)
    {
        if (_nodes.Find(existing) is not { Parent: { } above } node || FuseNodes.PathOf(above) is not { } folder) return HostFolder.NotFound;
        var result = _folder.HardLink(new HostName(folder, Encoding.Latin1.GetBytes(node.Name)), new HostName(path, name));
        return Made(result, parent, path, name, body);
    }

    private int Remove(FuseNode parent, byte[] path, ReadOnlySpan<byte> name, bool isFolder)
    {
        var result = _folder.Remove(new HostName(path, name), isFolder);
        if (result >= 0) _nodes.Removed(parent, Encoding.Latin1.GetString(name));
        return result;
    }

    private int Rename(FuseNode parent, byte[] path, ulong target, uint flags, ReadOnlySpan<byte> names)
    {
        if ((flags & ~(RenameNoReplace | RenameExchange)) != 0) return HostFolder.Invalid;
        if (!Name(names, out var from) || !IsName(from) || !Name(names[(from.Length + 1)..], out var to) || !IsName(to)) return HostFolder.Invalid;
        if (_nodes.Find(target) is not { } into || FuseNodes.PathOf(into) is not { } folder) return HostFolder.NotFound;
        var result = _folder.Rename(new HostName(path, from), new HostName(folder, to), flags);
        if (result >= 0) _nodes.Renamed((parent, Encoding.Latin1.GetString(from)), (into, Encoding.Latin1.GetString(to)), (flags & RenameExchange) != 0);
        return result;
    }

    private int CarryOutOnFile(FuseOperation operation, ReadOnlySpan<byte> arguments, Span<byte> body)
    {
        if (operation == FuseOperation.Flush) return 0;
        var handle = U64(arguments, 0);
        if (!_files.TryGetValue(handle, out var file)) return HostFolder.BadHandle;
        switch (operation)
        {
            case FuseOperation.Read:
                return file.Read(U64(arguments, 8), body[..(int)Math.Min(U32(arguments, 16), (uint)body.Length)]);
            case FuseOperation.Write:
                return Write(file, arguments, body);
            case FuseOperation.ReadFolder:
                return ReadFolder(file, U64(arguments, 8), body[..(int)Math.Min(U32(arguments, 16), (uint)body.Length)]);
            case FuseOperation.Sync or FuseOperation.SyncFolder:
                return file.Sync((U32(arguments, 8) & FuseSpec.SyncDataOnly) != 0);
            case FuseOperation.Allocate:
                return (U32(arguments, 24) & ~AllocateModes) == 0 ? file.Allocate((int)U32(arguments, 24), U64(arguments, 8), U64(arguments, 16)) : HostFolder.Invalid;
            case FuseOperation.Seek:
                return Seek(file, arguments, body);
            default:
                _files.Remove(handle);
                file.Dispose();
                return 0;
        }
    }

    private static int Write(HostFolderFile file, ReadOnlySpan<byte> arguments, Span<byte> body)
    {
        var size = U32(arguments, 16);
        if (size > (uint)(arguments.Length - 40)) return HostFolder.Invalid;
        var written = file.Write(U64(arguments, 8), arguments.Slice(40, (int)size));
        if (written < 0) return written;
        Put32(body, 0, (uint)written);
        return 8;
    }

    private static int Seek(HostFolderFile file, ReadOnlySpan<byte> arguments, Span<byte> body)
    {
        if (U32(arguments, 16) is not (SeekData or SeekHole)) return HostFolder.Invalid;
        var place = file.Seek(U64(arguments, 8), (int)U32(arguments, 16));
        if (place < 0) return (int)place;
        Put64(body, 0, (ulong)place);
        return 8;
    }

    // The kernel's entries, put into the protocol's form. An entry that does not fit is read again next time.
    private static int ReadFolder(HostFolderFile folder, ulong offset, Span<byte> body)
    {
        Span<byte> raw = stackalloc byte[FuseSpec.PageSize];
        var filled = 0;
        while (true)
        {
            var count = folder.ReadEntries(offset, raw);
            if (count < 0) return filled > 0 ? filled : count;
            if (count == 0) return filled;
            for (var at = 0; at < count;)
            {
                var entry = raw[at..count];
                var length = BinaryPrimitives.ReadUInt16LittleEndian(entry[16..]);
                var name = entry[FuseSpec.HostEntryHeader..length];
                name = name[..name.IndexOf((byte)0)];
                var size = (FuseSpec.EntryHeader + name.Length + 7) & ~7;
                if (size > body.Length - filled) return filled;
                var target = body[filled..];
                target[..size].Clear();
                offset = U64(entry, 8);
                Put64(target, 0, U64(entry, 0));
                Put64(target, 8, offset);
                Put32(target, 16, (uint)name.Length);
                Put32(target, 20, entry[18]);
                name.CopyTo(target[FuseSpec.EntryHeader..]);
                filled += size;
                at += length;
            }
        }
    }

    private static int AttributesReply(in HostStatus status, Span<byte> body)
    {
        Put64(body, 0, FuseSpec.CacheSeconds);
        PutAttributes(body[16..], status);
        return FuseSpec.AttributesReply;
    }

    // struct fuse_attr
    private static void PutAttributes(Span<byte> at, in HostStatus status)
    {
        var (access, change, state) = status.Times;
        ulong[] words = [status.Identity.Inode, status.Size, status.Blocks, (ulong)access.Seconds, (ulong)change.Seconds, (ulong)state.Seconds];
        for (var i = 0; i < words.Length; i++) Put64(at, i * 8, words[i]);
        uint[] halves = [(uint)access.Nanoseconds, (uint)change.Nanoseconds, (uint)state.Nanoseconds, status.Mode, status.Links, status.User, status.Group, 0, status.BlockSize];
        for (var i = 0; i < halves.Length; i++) Put32(at, 48 + i * 4, halves[i]);
    }

    private static HostFileTime? Time(uint valid, uint flag, uint now, ReadOnlySpan<byte> arguments, int seconds, int nanoseconds) =>
        (valid & flag) == 0 ? null : new HostFileTime((long)U64(arguments, seconds), U32(arguments, nanoseconds), (valid & now) != 0);

    // A text up to its NUL.
    private static bool Name(ReadOnlySpan<byte> from, out ReadOnlySpan<byte> name)
    {
        var end = from.IndexOf((byte)0);
        name = end < 0 ? default : from[..end];
        return end >= 0;
    }

    private static bool IsName(ReadOnlySpan<byte> name) =>
        name.Length is > 0 and <= FuseSpec.LongestName && !name.Contains((byte)'/') && !name.SequenceEqual("."u8) && !name.SequenceEqual(".."u8);

    private static byte[] Join(byte[] folder, ReadOnlySpan<byte> name) => folder.Length == 0 ? name.ToArray() : [.. folder, (byte)'/', .. name];

    private static uint U32(ReadOnlySpan<byte> from, int at) => BinaryPrimitives.ReadUInt32LittleEndian(from[at..]);

    private static ulong U64(ReadOnlySpan<byte> from, int at) => BinaryPrimitives.ReadUInt64LittleEndian(from[at..]);

    private static void Put32(Span<byte> to, int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(to[at..], value);

    private static void Put64(Span<byte> to, int at, ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(to[at..], value);
}
