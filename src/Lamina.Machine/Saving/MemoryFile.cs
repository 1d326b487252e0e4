// The memory of a saved machine: its ranges of RAM one behind the other, each page at its place. Pages that are zero are holes, so
// that the file takes the room of what the guest has touched; nothing is compressed, so that it can be mapped.
using Lamina.Core.Memory;
using Lamina.Host;

namespace Lamina.Saving;

/// <summary>Writes the content of guest memory.</summary>
internal static class MemoryFile
{
    private const int Page = 4096, Chunk = 1 << 20;

    /// <summary>Writes a file that is not there yet, and waits until it is on the disk.</summary>
    /// <exception cref="IOException">The host refuses it.</exception>
    internal static void Write(string path, GuestMemory memory)
    {
        using var file = HostFiles.CreatePrivate(path, FileMode.CreateNew);
        file.SetLength((long)memory.Size);
        ForEachChunk(memory, (address, length, offset) =>
        {
            if (!memory.TrySlice(address, length, out var bytes)) throw new InvalidOperationException("a range of RAM is none");
            // Runs of pages that are not all zero, in as few writes as can be.
            for (var at = 0; at < length;)
            {
                var first = at;
                while (at < length && bytes.Slice(at, Page).ContainsAnyExcept((byte)0)) at += Page;
                if (at > first) RandomAccess.Write(file.SafeFileHandle, bytes[first..at], offset + first);
                else at += Page;
            }
        });
        file.Flush(flushToDisk: true);
    }

    private static void ForEachChunk(GuestMemory memory, Action<ulong, int, long> act)
    {
        long offset = 0;
        foreach (var range in memory.Ranges)
            for (ulong done = 0; done < range.Length;)
            {
                var length = (int)Math.Min(Chunk, range.Length - done);
                act(range.Start + done, length, offset);
                done += (ulong)length;
                offset += length;
            }
    }
}
