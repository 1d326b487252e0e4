// Requests about what the guest has open.
using System.Buffers.Binary;
using Lamina.Host.Io;
using static Lamina.Backends.Share.FuseBytes;

namespace Lamina.Backends.Share;

public sealed partial class SharedFolder
{
    // lseek(2)
    private const uint SeekData = 3, SeekHole = 4;

    // fallocate(2): keep the size, make a hole, make zeros.
    private const uint AllocateModes = 1 | 2 | 16;

    private int CarryOutOnFile(FuseOperation operation, ReadOnlySpan<byte> arguments, Span<byte> body)
    {
        if (operation == FuseOperation.Flush) return 0;
        var handle = U64(arguments, 0);
        if (!_files.TryGetValue(handle, out var open)) return CarryOutOnLost(operation, handle);
        switch (operation)
        {
            case FuseOperation.Read:
                return open.File.Read(U64(arguments, 8), body[..(int)Math.Min(U32(arguments, 16), (uint)body.Length)]);
            case FuseOperation.Write:
                return Write(open, arguments, body);
            case FuseOperation.ReadFolder:
                return ReadFolder(open.File, U64(arguments, 8), body[..(int)Math.Min(U32(arguments, 16), (uint)body.Length)]);
            case FuseOperation.Sync or FuseOperation.SyncFolder:
                return open.File.Sync((U32(arguments, 8) & FuseSpec.SyncDataOnly) != 0);
            case FuseOperation.Allocate:
                return (U32(arguments, 24) & ~AllocateModes) == 0 ? open.File.Allocate((int)U32(arguments, 24), U64(arguments, 8), U64(arguments, 16)) : HostNode.NotSupported;
            case FuseOperation.Seek:
                return Seek(open.File, arguments, body);
            default:
                _files.Remove(handle);
                _tree.Close(open);
                return 0;
        }
    }

    // What was open when the machine was saved, and could not be opened again.
    private int CarryOutOnLost(FuseOperation operation, ulong handle)
    {
        if (!_lostFiles.Contains(handle)) return HostNode.BadHandle;
        if (operation is not (FuseOperation.Release or FuseOperation.ReleaseFolder)) return HostNode.Stale;
        _lostFiles.Remove(handle);
        return 0;
    }

    private static int Write(OpenFile open, ReadOnlySpan<byte> arguments, Span<byte> body)
    {
        var (size, flags) = (U32(arguments, 16), U32(arguments, 20));
        var offset = U64(arguments, 8);
        if (size > (uint)(arguments.Length - 40) || offset > long.MaxValue) return HostNode.Invalid;
        var data = arguments.Slice(40, (int)size);
        var written = open.Appends && (flags & FuseSpec.WriteFromCache) == 0 ? open.File.Append(data) : open.File.Write(offset, data);
        if (written < 0) return written;
        if ((flags & FuseSpec.WriteDropsIds) != 0) _ = DropSetIds(open.File);
        Put32(body, 0, (uint)written);
        return 8;
    }

    private static int Seek(HostOpenNode file, ReadOnlySpan<byte> arguments, Span<byte> body)
    {
        if (U32(arguments, 16) is not (SeekData or SeekHole)) return HostNode.Invalid;
        var place = file.Seek(U64(arguments, 8), (int)U32(arguments, 16));
        if (place < 0) return (int)place;
        Put64(body, 0, (ulong)place);
        return 8;
    }

    // The kernel's entries, put into the protocol's form. An entry that does not fit is read again next time.
    private static int ReadFolder(HostOpenNode folder, ulong offset, Span<byte> body)
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
}
