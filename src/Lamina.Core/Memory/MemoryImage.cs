// A guest's RAM of one moment, in memory that several processes map: nobody can change it. It consists of layers, each a sealed memfd as long
// as the RAM, of which every piece of 64 KiB is in one, or in none where it is zero; and of pages that were written since the last of them was
// made, which are few and are copied by whoever takes the image up. ImageMaker makes it, MemoryBacking.OfImage maps it.
using System.Runtime.InteropServices;
using Lamina.Host;

namespace Lamina.Core.Memory;

/// <summary>A guest's RAM of one moment. It owns nothing: whoever made its memory keeps it.</summary>
public sealed class MemoryImage
{
    /// <summary>The length of a piece in bytes.</summary>
    public const int PieceLength = 64 * 1024;

    /// <summary>The most layers.</summary>
    public const int MostLayers = 16;

    internal const int Page = HostReservation.PageSize, PiecePages = PieceLength / Page;

    /// <summary>What stands for a layer where a piece is in none: it is zero.</summary>
    internal const byte Zero = byte.MaxValue;

    private readonly byte[] _pieces;

    internal MemoryImage(ulong length, IReadOnlyList<SharedMemory> layers, ReadOnlySpan<byte> pieces, SharedMemory rest, ulong restAt, int restPages)
    {
        (Length, Layers, _pieces) = (length, layers, pieces.ToArray());
        (Rest, RestAt, RestPages) = (rest, restAt, restPages);
    }

    /// <summary>Length of the RAM in bytes, its ranges one behind the other.</summary>
    public ulong Length { get; }

    /// <summary>The layers.</summary>
    public IReadOnlyList<SharedMemory> Layers { get; }

    /// <summary>How many pages were written since.</summary>
    public int RestPages { get; }

    /// <summary>In which layer each piece is, <see cref="Zero"/> for none.</summary>
    internal ReadOnlySpan<byte> Pieces => _pieces;

    /// <summary>Where those pages are: their numbers, four bytes each, and behind them, at the next page, their bytes.</summary>
    public SharedMemory Rest { get; }

    /// <summary>Where in it, in bytes.</summary>
    internal ulong RestAt { get; }

    /// <summary>The numbers of the pages that are in no layer.</summary>
    /// <exception cref="HostException">It has none such.</exception>
    internal int[] ReadRestNumbers()
    {
        var numbers = new int[RestPages];
        if (Rest.Read(RestAt, MemoryMarshal.AsBytes(numbers.AsSpan())) != numbers.Length * sizeof(int)) throw new HostException("the image of the memory ends early");
        foreach (var number in numbers)
            if (number < 0 || (ulong)number >= Length / Page) throw new HostException("the image of the memory has pages that there are not");
        return numbers;
    }

    /// <summary>How many pieces a RAM has.</summary>
    internal static int PiecesOf(ulong length) => (int)((length + PieceLength - 1) / PieceLength);

    /// <summary>Where the pages' bytes are behind their numbers.</summary>
    internal static ulong BytesAt(ulong at, int pages) => (at + (ulong)pages * sizeof(int) + Page - 1) & ~(ulong)(Page - 1);

    /// <summary>What describes it to another process, beside its memory.</summary>
    public byte[] Encode()
    {
        var head = MemoryMarshal.AsBytes<ulong>([Length, RestAt, (ulong)RestPages]);
        return [.. head, .. _pieces];
    }

    /// <summary>An image as another process describes it. Nothing in it is trusted.</summary>
    /// <param name="content">What <see cref="Encode"/> gave.</param>
    /// <param name="layers">Its layers, which nobody can change any more.</param>
    /// <param name="rest">What holds the pages that are in none.</param>
    /// <exception cref="HostException">It is none.</exception>
    public static MemoryImage Decode(ReadOnlySpan<byte> content, IReadOnlyList<SharedMemory> layers, SharedMemory rest)
    {
        ArgumentNullException.ThrowIfNull(layers);
        ArgumentNullException.ThrowIfNull(rest);
        const int Head = 3 * sizeof(ulong);
        const string None = "what another process gives is no image of a memory";
        if (content.Length < Head || layers.Count > MostLayers) throw new HostException(None);
        var (length, at, pages) = (Number(content, 0), Number(content, 1), Number(content, 2));
        if (length == 0 || length % Page != 0 || length / Page >= int.MaxValue || content.Length != Head + PiecesOf(length)) throw new HostException(None);
        // The first bounds keep the last sum within its type.
        if (pages > length / Page || at > rest.Length || at % Page != 0 || BytesAt(at, (int)pages) + pages * Page > rest.Length) throw new HostException(None);
        foreach (var layer in layers)
            if (layer.Length < length) throw new HostException(None);
        foreach (var piece in content[Head..])
            if (piece != Zero && piece >= layers.Count) throw new HostException(None);
        return new MemoryImage(length, layers, content[Head..], rest, at, (int)pages);
    }

    private static ulong Number(ReadOnlySpan<byte> content, int index) => MemoryMarshal.Read<ulong>(content[(index * sizeof(ulong))..]);
}
