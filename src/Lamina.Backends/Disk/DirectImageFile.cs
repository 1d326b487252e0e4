// A file that is read and written past the host's page cache (O_DIRECT, open(2)): what is aligned goes straight through,
// the rest by way of an aligned buffer, a write with reading first where it begins or ends within a block.
using System.Diagnostics.CodeAnalysis;
using Lamina.Core.Block;
using Lamina.Core.Inspection;
using Lamina.Host.Io;

namespace Lamina.Backends.Disk;

/// <summary>Aligns what a direct file is asked for.</summary>
internal sealed class DirectImageFile(IImageFile file) : IImageFile, IInspected
{
    // What every file system of Linux is content with; many would take 512.
    private const int Alignment = 4096;
    /// <summary>Bytes of the piece that is aligned for the host.</summary>
    internal const int BounceLength = 1 << 20;

    private readonly HostBuffer _bounce = new(BounceLength);
    private readonly Lock _gate = new();

    // Unaligned writes are made with the lock held alone; aligned ones share it, so that none is undone by a block that
    // was read before it.
    private readonly SharedOrder _order = new();

    /// <inheritdoc/>
    public string Name => file.Name;

    /// <inheritdoc/>
    public string Identity => file.Identity;

    /// <inheritdoc/>
    public ulong Length => file.Length;

    /// <inheritdoc/>
    public int SectorSize => file.SectorSize;

    /// <inheritdoc/>
    public void Inspect(InspectNode node)
    {
        if (file is IInspected more) more.Inspect(node);
    }

    /// <inheritdoc/>
    public void EndWriting() => file.EndWriting();

    /// <inheritdoc/>
    public void Read(ulong offset, Span<byte> into)
    {
        lock (_gate)
        {
            while (into.Length > 0)
            {
                var skip = (int)(offset % Alignment);
                var length = Math.Min(into.Length, BounceLength - skip);
                file.Read(offset - (uint)skip, [Bounce(RoundUp(skip + length))]);
                _bounce.Span.Slice(skip, length).CopyTo(into);
                into = into[length..];
                offset += (uint)length;
            }
        }
    }

    /// <inheritdoc/>
    public void Read(ulong offset, ReadOnlySpan<IoVector> into)
    {
        if (IsAligned(offset, into))
        {
            file.Read(offset, into);
            return;
        }
        foreach (var vector in into)
        {
            Read(offset, vector.Span);
            offset += (uint)vector.Length;
        }
    }

    /// <inheritdoc/>
    public bool TryReadCached(ulong offset, ReadOnlySpan<IoVector> into) => false;

    /// <inheritdoc/>
    public void Write(ulong offset, ReadOnlySpan<byte> from)
    {
        _order.EnterAlone();
        try
        {
            lock (_gate) WriteBounced(offset, from);
        }
        finally
        {
            _order.ExitAlone();
        }
    }

    /// <inheritdoc/>
    public void Write(ulong offset, ReadOnlySpan<IoVector> from)
    {
        if (!IsAligned(offset, from))
        {
            foreach (var vector in from)
            {
                Write(offset, vector.Span);
                offset += (uint)vector.Length;
            }
            return;
        }
        _order.EnterShared();
        try
        {
            file.Write(offset, from);
        }
        finally
        {
            _order.ExitShared();
        }
    }

    /// <inheritdoc/>
    public void Sync() => file.Sync();

    /// <inheritdoc/>
    public void SetLength(ulong length) => file.SetLength(length);

    /// <inheritdoc/>
    public bool TryZero(ulong offset, ulong length, bool release)
    {
        _order.EnterShared();
        try
        {
            return file.TryZero(offset, length, release);
        }
        finally
        {
            _order.ExitShared();
        }
    }

    /// <inheritdoc/>
    public void Discard(ulong offset, ulong length) => file.Discard(offset, length);

    /// <inheritdoc/>
    public (bool IsHole, ulong End) Extent(ulong offset) => file.Extent(offset);

    /// <inheritdoc/>
    public IBlockRing? OpenRing() => file.OpenRing() is { } ring ? new AlignedRing(ring, _order) : null;

    /// <inheritdoc/>
    public void Dispose()
    {
        file.Dispose();
        _bounce.Dispose();
    }

    private void WriteBounced(ulong offset, ReadOnlySpan<byte> from)
    {
        var end = offset + (uint)from.Length;
        var lengthBefore = file.Length;
        while (from.Length > 0)
        {
            var skip = (int)(offset % Alignment);
            var length = Math.Min(from.Length, BounceLength - skip);
            var whole = RoundUp(skip + length);
            if (skip != 0 || whole != length) file.Read(offset - (uint)skip, [Bounce(whole)]);
            from[..length].CopyTo(_bounce.Span[skip..]);
            file.Write(offset - (uint)skip, [Bounce(whole)]);
            from = from[length..];
            offset += (uint)length;
        }
        // The last block was written whole; a file that ended in it keeps its length.
        if (end % Alignment != 0 && RoundUp(end) > lengthBefore) file.SetLength(Math.Max(end, lengthBefore));
    }

    private IoVector Bounce(int length) => IoVector.Of(_bounce, 0, length);

    private static bool IsAligned(ulong offset, ReadOnlySpan<IoVector> vectors)
    {
        if (offset % Alignment != 0) return false;
        foreach (var vector in vectors)
            if (!vector.IsAligned(Alignment)) return false;
        return true;
    }

    private static int RoundUp(int length) => (length + Alignment - 1) & -Alignment;

    private static ulong RoundUp(ulong length) => (length + Alignment - 1) & ~(ulong)(Alignment - 1);

    /// <summary>A ring for what is aligned, which has its place in the order from begin to end.</summary>
    private sealed class AlignedRing(IBlockRing ring, SharedOrder order) : IBlockRing
    {
        public bool HasEnded => ring.HasEnded;

        public int WakeDescriptor => ring.WakeDescriptor;

        public bool TryBegin(bool isWrite, ulong offset, ReadOnlySpan<IoVector> memory, object request)
        {
            if (!IsAligned(offset, memory) || (isWrite && !order.TryEnterShared())) return false;
            if (ring.TryBegin(isWrite, offset, memory, request)) return true;
            if (isWrite) order.ExitShared();
            return false;
        }

        public void Submit() => ring.Submit();

        public bool TryEnd([NotNullWhen(true)] out BlockEnding? ending)
        {
            if (!ring.TryEnd(out ending)) return false;
            if (ending.IsWrite) order.ExitShared();
            return true;
        }

        public void Sleep() => ring.Sleep();

        public void Wake() => ring.Wake();

        public void Dispose() => ring.Dispose();
    }
}
