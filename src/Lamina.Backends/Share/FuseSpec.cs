// The part of the FUSE protocol that a shared folder speaks: Linux, include/uapi/linux/fuse.h, version 7.37. All numbers
// are little-endian, as both sides are.
namespace Lamina.Backends.Share;

/// <summary>Requests.</summary>
internal enum FuseOperation : uint
{
    Lookup = 1, Forget = 2, GetAttributes = 3, SetAttributes = 4, ReadLink = 5, SymbolicLink = 6, MakeNode = 8, MakeFolder = 9,
    Unlink = 10, RemoveFolder = 11, Rename = 12, Link = 13, Open = 14, Read = 15, Write = 16, FileSystem = 17, Release = 18,
    Sync = 20, SetExtended = 21, GetExtended = 22, ListExtended = 23, RemoveExtended = 24, Flush = 25, Init = 26, OpenFolder = 27,
    ReadFolder = 28, ReleaseFolder = 29, SyncFolder = 30, Create = 35, Interrupt = 36, Destroy = 38, BatchForget = 42, Allocate = 43,
    Rename2 = 45, Seek = 46, SyncFileSystem = 50, CreateNameless = 51,
}

/// <summary>The protocol's numbers.</summary>
internal static class FuseSpec
{
    internal const uint Major = 7, Minor = 37;

    // struct fuse_in_header and fuse_out_header.
    internal const int RequestHeader = 40, ReplyHeader = 16;

    // FUSE_ASYNC_READ, FUSE_ATOMIC_O_TRUNC, FUSE_BIG_WRITES, FUSE_PARALLEL_DIROPS, FUSE_MAX_PAGES, FUSE_SUBMOUNTS
    internal const uint InitFlags = 1 | 1 << 3 | 1 << 5 | 1 << 18 | 1 << 22 | Submounts, Submounts = 1 << 27;

    // FUSE_HANDLE_KILLPRIV_V2: asked for with extended attributes, since the guest otherwise asks for one before each write.
    internal const uint DropsSetIds = 1 << 28;
    internal const int InitReply = 64;

    internal const int LargestWrite = 1 << 20;
    internal const int PageSize = 4096;

    // A write's data follow its header and arguments; a page for these is plenty.
    internal const int LongestMessage = LargestWrite + PageSize;

    internal const int Attributes = 88, EntryReply = 40 + Attributes, AttributesReply = 16 + Attributes, OpenReply = 16, FileSystemReply = 80, ExtendedReply = 8,
        LongestForm = EntryReply + OpenReply;

    // struct fuse_attr, flags; FUSE_ATTR_SUBMOUNT.
    internal const int AttributeFlags = 84;
    internal const uint AttributeSubmount = 1;

    // The guest may go by what it was told for so long, in seconds.
    internal const ulong CacheSeconds = 1;

    // FATTR_*
    internal const uint SetMode = 1, SetUser = 2, SetGroup = 4, SetSize = 8, SetAccess = 16, SetChange = 32, SetByHandle = 64, SetAccessNow = 128, SetChangeNow = 256,
        SetDropsIds = 1 << 11;

    // FUSE_GETATTR_FH, FUSE_FSYNC_FDATASYNC.
    internal const uint GetByHandle = 1, SyncDataOnly = 1;

    // FUSE_WRITE_CACHE: out of a page, whoever changed it and whenever; FUSE_WRITE_KILL_SUIDGID, FUSE_OPEN_KILL_SUIDGID.
    internal const uint WriteFromCache = 1, WriteDropsIds = 4, OpenDropsIds = 1;

    // struct fuse_dirent and struct linux_dirent64.
    internal const int EntryHeader = 24, HostEntryHeader = 19;

    internal const ulong RootNode = 1;
}
