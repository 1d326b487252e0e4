// What of a guest's RAM is an image's that is mapped here, or of several files': pieces that are made zero are no longer.
using Lamina.Host;

namespace Lamina.Core.Memory;

/// <summary>An image as one memory has it.</summary>
/// <param name="length">Length in bytes.</param>
/// <param name="layers">The layers, each as long.</param>
/// <param name="pieces">In which layer each piece is, <see cref="MemoryImage.Zero"/> for none.</param>
internal sealed class MappedImage(ulong length, IReadOnlyList<SharedMemory> layers, ReadOnlySpan<byte> pieces)
{
    private const ulong Piece = MemoryImage.PieceLength;

    // Changed with the memory's gate held.
    private readonly byte[] _pieces = pieces.ToArray();

    internal MappedImage(MemoryImage image) : this(image.Length, image.Layers, image.Pieces)
    {
    }

    /// <summary>Length in bytes.</summary>
    internal ulong Length => length;

    /// <summary>The layers.</summary>
    internal IReadOnlyList<SharedMemory> Layers => layers;

    /// <summary>In which layer each piece is that was not made zero.</summary>
    internal ReadOnlySpan<byte> Pieces => _pieces;

    /// <summary>Whether a part may be anything but zero where this process has not written.</summary>
    internal bool HoldsData(ulong at, ulong length)
    {
        for (var piece = at / Piece; piece * Piece < at + length; piece++)
            if (_pieces[piece] != MemoryImage.Zero) return true;
        return false;
    }

    /// <summary>Whole pieces are zero from now on.</summary>
    internal void SetZero(ulong at, ulong length) => _pieces.AsSpan((int)(at / Piece), (int)(length / Piece)).Fill(MemoryImage.Zero);

    /// <summary>A part in runs of pieces of one layer; null: of none.</summary>
    internal IEnumerable<(ulong At, ulong Length, SharedMemory? Layer)> Runs(ulong at, ulong length)
    {
        for (var (end, start) = (at + length, at); start < end;)
        {
            var layer = _pieces[start / Piece];
            var behind = start / Piece + 1;
            while (behind * Piece < end && _pieces[behind] == layer) behind++;
            var stop = Math.Min(behind * Piece, end);
            yield return (start, stop - start, layer == MemoryImage.Zero ? null : Layers[layer]);
            start = stop;
        }
    }
}
