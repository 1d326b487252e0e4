// Makes images of a guest's RAM, one for each moment that somebody asks for, while the guest runs but for that moment. What it has touched is
// copied once, while it runs, into a layer that nobody changes; from then on the log of writes says which pages are other (which costs the guest
// the first store to each of them, and no page fault: the host's are dear). As long as those are few, an image is the layers and a copy of these
// pages; when they are more, they become a layer too, while the guest runs. A guest's own memory stays what it is.
using System.Buffers;
using System.Numerics;
using System.Runtime.InteropServices;
using Lamina.Host;

namespace Lamina.Core.Memory;

/// <summary>Makes images of one memory. One thread uses it.</summary>
internal sealed class ImageMaker : IDisposable
{
    /// <summary>As many pages may be left to be copied while the guest stands still.</summary>
    internal const int Few = 512;

    // A guest that writes faster than it is copied stands still for the rest.
    private const int MostRounds = 4;

    private const int Page = MemoryImage.Page, PiecePages = MemoryImage.PiecePages, WordBits = 64;
    private const ulong Piece = MemoryImage.PieceLength;

    private readonly GuestMemory _memory;
    private readonly HostReservation _reservation;
    private readonly PageMap? _map;
    private readonly List<WriteLogReader> _logs = [];
    private readonly List<SharedMemory> _layers = [];

    // Layers that the memory itself was made of are not this one's to close.
    private readonly HashSet<SharedMemory> _others = [];
    private readonly byte[] _pieces;

    // Pages that are other than in the layers, by their numbers in the RAM.
    private readonly ulong[] _written;
    private readonly ulong[] _taken;

    internal ImageMaker(GuestMemory memory, HostReservation reservation, PageMap? map)
    {
        (_memory, _reservation, _map) = (memory, reservation, map);
        var pages = memory.Size / Page;
        _pieces = new byte[MemoryImage.PiecesOf(memory.Size)];
        _written = new ulong[(pages + WordBits - 1) / WordBits];
        _taken = new ulong[_written.Length + 1];
        _pieces.AsSpan().Fill(MemoryImage.Zero);
    }

    /// <summary>Has few pages be left to be copied. The guest runs.</summary>
    /// <param name="mayTake">Says why so many bytes of the host's memory may not be taken; null: they may.</param>
    /// <exception cref="IOException">The host has no memory for it.</exception>
    internal void Prepare(Func<ulong, Exception?>? mayTake)
    {
        if (_logs.Count == 0) Begin();
        Take();
        for (var round = 0; round < MostRounds && Count() > Few; round++)
        {
            // Only the first one makes a layer: nobody has it yet.
            if (round == 0)
            {
                if (mayTake?.Invoke((ulong)Count() * Page) is { } refusal) throw refusal;
                AddLayer();
            }
            CopyPieces(_layers[^1], (byte)(_layers.Count - 1));
            Take();
        }
        SealLast();
    }

    /// <summary>The image of this moment, in which nobody writes to the memory.</summary>
    /// <param name="rest">Gets the pages that are in no layer.</param>
    /// <param name="at">Where in it: a multiple of the page size.</param>
    /// <returns>It, and where in <paramref name="rest"/> there is room again.</returns>
    /// <exception cref="IOException">The host has no memory for it.</exception>
    internal (MemoryImage Image, ulong Behind) Cut(SharedMemory rest, ulong at)
    {
        Take();
        var numbers = new List<int>(Count());
        for (var word = 0; word < _written.Length; word++)
            for (var bits = _written[word]; bits != 0; bits &= bits - 1) numbers.Add(word * WordBits + BitOperations.TrailingZeroCount(bits));
        var bytesAt = MemoryImage.BytesAt(at, numbers.Count);
        rest.Write(at, MemoryMarshal.AsBytes(CollectionsMarshal.AsSpan(numbers)));
        const int Together = 256;
        var buffer = ArrayPool<byte>.Shared.Rent(Together * Page);
        try
        {
            for (var done = 0; done < numbers.Count; done += Together)
            {
                var count = Math.Min(Together, numbers.Count - done);
                for (var i = 0; i < count; i++) Slice((ulong)numbers[done + i] * Page, Page).CopyTo(buffer.AsSpan(i * Page));
                rest.Write(bytesAt + (ulong)done * Page, buffer.AsSpan(0, count * Page));
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
        return (new MemoryImage(_memory.Size, [.. _layers], _pieces, rest, at, numbers.Count), bytesAt + (ulong)numbers.Count * Page);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        foreach (var log in _logs) log.Dispose();
        foreach (var layer in _layers.Where(layer => !_others.Contains(layer))) layer.Dispose();
    }

    // From here on the log tells; what there is by now is found out from the page tables.
    private void Begin()
    {
        try
        {
            foreach (var range in _memory.Ranges) _logs.Add(_memory.Writes.Open(range));
        }
        catch
        {
            foreach (var log in _logs) log.Dispose();
            _logs.Clear();
            throw;
        }
        if (_memory.Image is { } image)
        {
            _layers.AddRange(image.Layers);
            _others.UnionWith(image.Layers);
            image.Pieces.CopyTo(_pieces);
        }
        foreach (var (range, at) in Ranges())
        {
            var own = Look(range, at, static (map, address, pages) => map.ReadOwn(address, pages));
            for (var i = 0; i < own.Length; i++)
                if (own[i]) Set(at / Page + (ulong)i);
        }
        if (_memory.Image is not null) return;
        // What a file holds of which the memory is a copy.
        for (var piece = 0; piece < _pieces.Length; piece++)
            if (_memory.HoldsUntouched((ulong)piece * Piece, Math.Min(Piece, _memory.Size - (ulong)piece * Piece))) SetPiece(piece);
    }

    private void AddLayer()
    {
        if (_layers.Count == MemoryImage.MostLayers)
        {
            // All becomes one.
            for (var piece = 0; piece < _pieces.Length; piece++)
                if (_pieces[piece] != MemoryImage.Zero) SetPiece(piece);
            foreach (var layer in _layers.Where(layer => !_others.Contains(layer))) layer.Dispose();
            _layers.Clear();
            _others.Clear();
        }
        _layers.Add(SharedMemory.Create("lamina-memory", _memory.Size));
    }

    private void SealLast()
    {
        if (_layers.Count > 0 && !_others.Contains(_layers[^1])) _layers[^1].Seal();
    }

    // Where a page was written, the whole piece is copied. What is written meanwhile the log tells.
    private void CopyPieces(SharedMemory layer, byte index)
    {
        var isThere = new bool[PiecePages];
        for (var piece = 0; piece < _pieces.Length; piece++)
        {
            if (Bits(piece) == 0) continue;
            ClearBits(piece);
            var at = (ulong)piece * Piece;
            var length = (int)Math.Min(Piece, _memory.Size - at);
            var holds = _memory.HoldsUntouched(at, (ulong)length);
            if (!holds && !IsThere(at, isThere.AsSpan(0, length / Page)))
            {
                _pieces[piece] = MemoryImage.Zero;
                continue;
            }
            if (holds) _memory.PopulateRead(at, (ulong)length);
            CopyPiece(layer, index, piece, at, length);
        }
    }

    private void CopyPiece(SharedMemory layer, byte index, int piece, ulong at, int length)
    {
        // Pages that are zero are none in a layer that has nothing there yet.
        var isFresh = _pieces[piece] != index;
        var holdsAny = false;
        for (var done = 0; done < length;)
        {
            var run = Slice(at + (ulong)done, length - done);
            var count = 0;
            while (count < run.Length && (!isFresh || run.Slice(count, Page).ContainsAnyExcept((byte)0))) count += Page;
            if (count > 0)
            {
                layer.Write(at + (ulong)done, run[..count]);
                holdsAny = true;
            }
            done += Math.Max(count, Page);
        }
        _pieces[piece] = holdsAny ? index : MemoryImage.Zero;
    }

    private bool IsThere(ulong at, Span<bool> pages)
    {
        var (address, within) = _memory.Locate(at);
        if (_map is null || within < (ulong)pages.Length * Page) return true;
        try
        {
            _map.Read(_memory.HostBase + (nint)address, pages);
            return pages.Contains(true);
        }
        catch (IOException)
        {
            return true;
        }
    }

    // Where the host does not tell, all pages are taken to be.
    private bool[] Look(MemoryRange range, ulong at, Action<PageMap, nint, Span<bool>> read)
    {
        var pages = new bool[range.Length / Page];
        try
        {
            if (_map is null) Array.Fill(pages, true);
            else read(_map, _memory.HostBase + (nint)range.Start, pages);
        }
        catch (IOException)
        {
            Array.Fill(pages, true);
        }
        return pages;
    }

    private Span<byte> Slice(ulong at, int most)
    {
        var (address, within) = _memory.Locate(at);
        return _reservation.Slice(address, (int)Math.Min((ulong)most, within));
    }

    private IEnumerable<(MemoryRange Range, ulong At)> Ranges()
    {
        ulong at = 0;
        foreach (var range in _memory.Ranges)
        {
            yield return (range, at);
            at += range.Length;
        }
    }

    private void Take()
    {
        ulong at = 0;
        foreach (var log in _logs)
        {
            log.Take(_taken);
            var first = at / Page;
            for (var word = 0; word < log.Words; word++)
            {
                if (_taken[word] == 0) continue;
                if (first % WordBits == 0) _written[(int)(first / WordBits) + word] |= _taken[word];
                else
                    for (var bits = _taken[word]; bits != 0; bits &= bits - 1) Set(first + (ulong)(word * WordBits + BitOperations.TrailingZeroCount(bits)));
            }
            at += log.Range.Length;
        }
    }

    private int Count()
    {
        var count = 0;
        foreach (var word in _written) count += BitOperations.PopCount(word);
        return count;
    }

    private void Set(ulong page) => _written[page / WordBits] |= 1ul << (int)(page % WordBits);

    // Behind the end there are none.
    private void SetPiece(int piece)
    {
        var (first, last) = ((ulong)piece * PiecePages, Math.Min((ulong)(piece + 1) * PiecePages, _memory.Size / Page));
        for (var page = first; page < last; page++) Set(page);
    }

    private ulong Bits(int piece) => _written[piece / (WordBits / PiecePages)] & MaskOf(piece);

    private void ClearBits(int piece) => _written[piece / (WordBits / PiecePages)] &= ~MaskOf(piece);

    private static ulong MaskOf(int piece) => ((1ul << PiecePages) - 1) << (piece % (WordBits / PiecePages) * PiecePages);
}
