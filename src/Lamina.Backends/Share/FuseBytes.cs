// How numbers, names and attributes stand in messages.
using System.Buffers.Binary;
using Lamina.Host.Io;

namespace Lamina.Backends.Share;

internal static class FuseBytes
{
    internal static uint U32(ReadOnlySpan<byte> from, int at) => BinaryPrimitives.ReadUInt32LittleEndian(from[at..]);

    internal static ulong U64(ReadOnlySpan<byte> from, int at) => BinaryPrimitives.ReadUInt64LittleEndian(from[at..]);

    internal static void Put32(Span<byte> to, int at, uint value) => BinaryPrimitives.WriteUInt32LittleEndian(to[at..], value);

    internal static void Put64(Span<byte> to, int at, ulong value) => BinaryPrimitives.WriteUInt64LittleEndian(to[at..], value);

    /// <summary>A text up to its NUL. False: it has none.</summary>
    internal static bool Text(ReadOnlySpan<byte> from, out ReadOnlySpan<byte> text)
    {
        var end = from.IndexOf((byte)0);
        text = end < 0 ? default : from[..end];
        return end >= 0;
    }

    /// <summary>struct fuse_attr, but for its flags.</summary>
    internal static void PutAttributes(Span<byte> at, in HostStatus status)
    {
        var (access, change, state) = status.Times;
        ReadOnlySpan<ulong> words = [status.Identity.Inode, status.Size, status.Blocks, (ulong)access.Seconds, (ulong)change.Seconds, (ulong)state.Seconds];
        for (var i = 0; i < words.Length; i++) Put64(at, i * 8, words[i]);
        // Of a device number minor and major lie in pieces: new_encode_dev(), Linux, include/linux/kdev_t.h.
        var device = (status.Device.Minor & 0xff) | status.Device.Major << 8 | (status.Device.Minor & ~0xffu) << 12;
        ReadOnlySpan<uint> halves = [(uint)access.Nanoseconds, (uint)change.Nanoseconds, (uint)state.Nanoseconds, status.Mode, status.Links, status.User, status.Group, device, status.BlockSize];
        for (var i = 0; i < halves.Length; i++) Put32(at, 48 + i * 4, halves[i]);
    }

    /// <summary>A time out of struct fuse_setattr_in; null where it is to stay.</summary>
    internal static HostFileTime? GivenTime(ReadOnlySpan<byte> arguments, uint flag, uint now, int seconds, int nanoseconds)
    {
        var valid = U32(arguments, 0);
        return (valid & flag) == 0 ? null : new HostFileTime((long)U64(arguments, seconds), U32(arguments, nanoseconds), (valid & now) != 0);
    }
}
