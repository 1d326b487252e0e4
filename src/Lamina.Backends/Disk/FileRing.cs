// Requests under way on a file of the host's, by io_uring. A request that does not end as it should (the file ended, a
// signal came, the host reports an error) is carried out once more by the file's own call, from its beginning: what follows
// from each of these is known there, and either ends the same way or has succeeded.
using System.Diagnostics.CodeAnalysis;
using Lamina.Core.Block;
using Lamina.Host.Io;
using Lamina.Host.Io.Ring;

namespace Lamina.Backends.Disk;

/// <summary>A ring over a file.</summary>
internal sealed class FileRing : IBlockRing
{
    /// <summary>How many requests are under way at most; a guest that has more waits for threads.</summary>
    internal const int Depth = 64;

    private readonly IImageFile _file;
    private readonly bool _takesWrites;
    private readonly DiskRing _ring;
    private readonly (object Request, bool IsWrite, ulong Offset, ulong Length)[] _slots = new (object, bool, ulong, ulong)[Depth];
    private readonly Stack<int> _free = new(Enumerable.Range(0, Depth));

    /// <summary>Takes a ring over.</summary>
    /// <param name="file">What the ring reads and writes.</param>
    /// <param name="ring">A ring of <see cref="Depth"/>.</param>
    /// <param name="takesWrites">Whether writes are carried out, too.</param>
    internal FileRing(IImageFile file, DiskRing ring, bool takesWrites) => (_file, _ring, _takesWrites) = (file, ring, takesWrites);

    /// <inheritdoc/>
    public bool HasEnded => _ring.HasEnded;

    /// <inheritdoc/>
    public int WakeDescriptor => _ring.WakeDescriptor;

    /// <inheritdoc/>
    public bool TryBegin(bool isWrite, ulong offset, ReadOnlySpan<IoVector> memory, object request)
    {
        if ((isWrite && !_takesWrites) || memory.Length is 0 or > DiskRing.MostVectors || !_free.TryPop(out var slot)) return false;
        _slots[slot] = (request, isWrite, offset, IoVectors.Length(memory));
        _ring.Begin(isWrite, offset, memory, slot);
        return true;
    }

    /// <inheritdoc/>
    public void Submit() => _ring.Submit();

    /// <inheritdoc/>
    public bool TryEnd([NotNullWhen(true)] out BlockEnding? ending)
    {
        ending = null;
        if (!_ring.TryEnd(out var slot, out var bytes)) return false;
        var (request, isWrite, offset, length) = _slots[slot];
        var failure = bytes >= 0 && (ulong)bytes == length ? null : Repeat(isWrite, offset, _ring.Memory(slot));
        _slots[slot] = default;
        _free.Push(slot);
        ending = new BlockEnding(request, isWrite, failure);
        return true;
    }

    /// <inheritdoc/>
    public void Sleep() => _ring.Sleep();

    /// <inheritdoc/>
    public void Wake() => _ring.Wake();

    /// <inheritdoc/>
    public void Dispose() => _ring.Dispose();

    private IOException? Repeat(bool isWrite, ulong offset, ReadOnlySpan<IoVector> memory)
    {
        try
        {
            if (isWrite) _file.Write(offset, memory);
            else _file.Read(offset, memory);
            return null;
        }
        catch (IOException failure)
        {
            return failure;
        }
    }
}
