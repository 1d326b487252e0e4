// The memory of a saved machine: its ranges of RAM one behind the other, each page at its place. Pages that are zero are holes, so
// that the file takes the room of what the guest has touched; nothing is compressed, so that it can be mapped.
using Lamina.Core.Memory;
using Lamina.Host;
using Microsoft.Win32.SafeHandles;

namespace Lamina.Saving;

/// <summary>Writes the content of guest memory.</summary>
internal static class MemoryFile
{
    private const int Page = 4096, Chunk = 1 << 20;

    /// <summary>Writes a file that is not there yet, and waits until it is on the disk.</summary>
    /// <param name="path">The file.</param>
    /// <param name="memory">What it is to hold; nobody writes to it.</param>
    /// <exception cref="IOException">The host refuses it.</exception>
    internal static void Write(string path, GuestMemory memory) => Write(path, memory.Ranges, memory.Size, (address, length) =>
        memory.TrySlice(address, length, out var bytes) ? bytes : throw new InvalidOperationException("a range of RAM is none"));

    /// <summary>The same of a moment that is over.</summary>
    /// <param name="path">The file.</param>
    /// <param name="memory">What it is to hold.</param>
    /// <exception cref="IOException">The host refuses it.</exception>
    internal static void Write(string path, FrozenMemory memory)
    {
        var piece = new byte[Chunk];
        Write(path, memory.Ranges, memory.Size, (address, length) =>
        {
            if (!memory.MayHold(address, (ulong)length)) return [];
            var bytes = piece.AsSpan(0, length);
            memory.Read(address, bytes);
            return bytes;
        });
    }

    // A piece that is empty is all zeros.
    private static void Write(string path, IReadOnlyList<MemoryRange> ranges, ulong size, Reader read)
    {
        using var file = HostFiles.CreatePrivate(path, FileMode.CreateNew);
        file.SetLength((long)size);
        long offset = 0;
        foreach (var range in ranges)
            for (ulong done = 0; done < range.Length;)
            {
                var length = (int)Math.Min(Chunk, range.Length - done);
                WritePages(file.SafeFileHandle, read(range.Start + done, length), offset);
                done += (ulong)length;
                offset += length;
            }
        file.Flush(flushToDisk: true);
    }

    // Runs of pages that are not all zero, in as few writes as can be.
    private static void WritePages(SafeFileHandle file, ReadOnlySpan<byte> bytes, long offset)
    {
        for (var at = 0; at < bytes.Length;)
        {
            var first = at;
            while (at < bytes.Length && bytes.Slice(at, Page).ContainsAnyExcept((byte)0)) at += Page;
            if (at > first) RandomAccess.Write(file, bytes[first..at], offset + first);
            else at += Page;
        }
    }

    private delegate ReadOnlySpan<byte> Reader(ulong address, int length);
}
