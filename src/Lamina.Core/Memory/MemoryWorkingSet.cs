// Which memory a guest touches first when it goes on from a saved state: guests that go on from one state, or from two of one machine, touch much the
// same. Whoever knows it has it fetched at once, which costs a fraction of what it costs page by page. Runs of pages of the RAM, whose ranges are
// counted one behind the other: the first page, and how many, with the highest bit set where they were written; four bytes each.
using System.Buffers.Binary;
using Lamina.Host;

namespace Lamina.Core.Memory;

/// <summary>How memory is fetched.</summary>
internal enum MemoryFetch
{
    /// <summary>The host begins to read what a file holds of it.</summary>
    Begin,

    /// <summary>It is there to be read.</summary>
    Read,

    /// <summary>It is there to be written.</summary>
    Write,
}

/// <summary>Working sets.</summary>
public static class MemoryWorkingSet
{
    /// <summary>The most bytes that describe one.</summary>
    public const int MostBytes = 1 << 20;

    private const uint Written = 1u << 31;
    private const int RunBytes = 2 * sizeof(uint);
    private const ulong Page = HostReservation.PageSize;

    /// <summary>What was touched of a memory; empty where the host does not tell.</summary>
    public static byte[] Of(GuestMemory memory) => Of(memory, MostBytes);

    /// <summary>The same, of no more than so many bytes: what lies further up is left out.</summary>
    internal static byte[] Of(GuestMemory memory, int mostBytes)
    {
        ArgumentNullException.ThrowIfNull(memory);
        if (memory.OwnPages() is not { } own || memory.TouchedPages() is not { } touched) return [];
        var runs = new List<byte>();
        Span<byte> run = stackalloc byte[RunBytes];
        for (var first = 0; first < touched.Length && runs.Count + RunBytes <= mostBytes;)
        {
            var count = 1;
            while (first + count < touched.Length && touched[first + count] == touched[first] && own[first + count] == own[first]) count++;
            if (touched[first])
            {
                BinaryPrimitives.WriteUInt32LittleEndian(run, (uint)first);
                BinaryPrimitives.WriteUInt32LittleEndian(run[sizeof(uint)..], (uint)count | (own[first] ? Written : 0));
                runs.AddRange(run);
            }
            first += count;
        }
        return [.. runs];
    }

    /// <summary>Has the host fetch one. What is beyond the memory is passed over.</summary>
    /// <param name="memory">The memory, which the guest does not use yet.</param>
    /// <param name="set">What <see cref="Of(GuestMemory)"/> gave, or anything.</param>
    public static void Fetch(GuestMemory memory, ReadOnlySpan<byte> set)
    {
        ArgumentNullException.ThrowIfNull(memory);
        set = set[..Math.Min(set.Length, MostBytes)];
        var pages = memory.Size / Page;
        // All that is to be read from a disk is on its way before anything is waited for.
        foreach (var isFirst in (bool[])[true, false])
            for (var at = 0; at + RunBytes <= set.Length; at += RunBytes)
            {
                var (first, count) = ((ulong)BinaryPrimitives.ReadUInt32LittleEndian(set[at..]), BinaryPrimitives.ReadUInt32LittleEndian(set[(at + sizeof(uint))..]));
                var length = Math.Min(count & ~Written, pages - Math.Min(first, pages));
                if (length > 0) memory.Fetch(first * Page, length * Page, isFirst ? MemoryFetch.Begin : (count & Written) != 0 ? MemoryFetch.Write : MemoryFetch.Read);
            }
    }
}
