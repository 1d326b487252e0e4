// A disk as it must be: every sector is filled with the number of the write that made it, so that what is read says where
// it came from. Knows what may be there after a power loss.
using System.Runtime.InteropServices;
using Lamina.Core.Block;
using Lamina.Host.Io;
using Xunit;

namespace Lamina.Tests.Backends.Disk;

internal static class BlockBackendExtensions
{
    // Reads as an ordinary request, and as one that must not wait, which says the same where it says anything.
    public static byte[] Read(this IBlockBackend disk, ulong offset, int length)
    {
        byte[] content = Read(length, vectors => { disk.Read(offset, CollectionsMarshal.AsSpan(vectors)); return true; })!;
        if (Read(length, vectors => disk.TryReadCached(offset, CollectionsMarshal.AsSpan(vectors))) is { } cached) Assert.Equal(content, cached);
        return content;
    }

    private static byte[]? Read(int length, Func<List<IoVector>, bool> read)
    {
        using var buffer = new HostBuffer(length);
        // In pieces that have nothing to do with clusters.
        var vectors = new List<IoVector>();
        for (var at = 0; at < length;)
        {
            var piece = Math.Min(length - at, vectors.Count % 2 == 0 ? 1536 : 4096);
            vectors.Add(IoVector.Of(buffer, at, piece));
            at += piece;
        }
        return read(vectors) ? buffer.Span.ToArray() : null;
    }

    public static void Write(this IBlockBackend disk, ulong offset, byte[] data)
    {
        using var buffer = new HostBuffer(data.Length);
        data.CopyTo(buffer.Span);
        var half = data.Length / 1024 * 512;
        if (half == 0) disk.Write(offset, [buffer.Vector]);
        else disk.Write(offset, [IoVector.Of(buffer, 0, half), IoVector.Of(buffer, half, data.Length - half)]);
    }
}

internal sealed class DiskModel
{
    private const int Sector = 512;
    private const uint Anything = uint.MaxValue;

    private readonly List<uint>[] _allowed;
    private uint _stamp;

    public DiskModel(ulong length, Func<int, uint>? initial = null)
    {
        _allowed = new List<uint>[length / Sector];
        for (var i = 0; i < _allowed.Length; i++) _allowed[i] = [initial?.Invoke(i) ?? 0];
    }

    public int Sectors => _allowed.Length;

    public static byte[] Filled(int sectors, uint stamp)
    {
        var data = new uint[sectors * Sector / sizeof(uint)];
        data.AsSpan().Fill(stamp);
        return MemoryMarshal.AsBytes(data.AsSpan()).ToArray();
    }

    /// <summary>Data for a write that is about to be made.</summary>
    public byte[] NextWrite(int first, int sectors)
    {
        _stamp++;
        Set(first, sectors, _stamp);
        return Filled(sectors, _stamp);
    }

    public void Zero(int first, int sectors) => Set(first, sectors, 0);

    /// <summary>A discard: the old content, zeros, or the backing file's may be there.</summary>
    public void Discard(int first, int sectors) => Set(first, sectors, Anything);

    /// <summary>A flush has ended.</summary>
    public void Flushed()
    {
        foreach (var allowed in _allowed) allowed.RemoveRange(0, allowed.Count - 1);
    }

    /// <summary>All that was written must be there.</summary>
    public void AssertIs(ReadOnlySpan<byte> content, string when)
    {
        for (var i = 0; i < _allowed.Length; i++) AssertSector(content, i, _allowed[i].GetRange(_allowed[i].Count - 1, 1), when);
    }

    /// <summary>All that was flushed must be there, or what was written over it since.</summary>
    public void AssertMayBe(ReadOnlySpan<byte> content, string when)
    {
        for (var i = 0; i < _allowed.Length; i++) AssertSector(content, i, _allowed[i], when);
    }

    /// <summary>Takes what is there after a discard for what must be there from now on; until a flush, the old content may come back.</summary>
    public void Adopt(ReadOnlySpan<byte> content)
    {
        for (var i = 0; i < _allowed.Length; i++)
            if (_allowed[i][^1] == Anything) _allowed[i][^1] = MemoryMarshal.Read<uint>(content[(i * Sector)..]);
    }

    private void Set(int first, int sectors, uint stamp)
    {
        for (var i = first; i < first + sectors; i++)
            if (_allowed[i][^1] != stamp) _allowed[i].Add(stamp);
    }

    private static void AssertSector(ReadOnlySpan<byte> content, int sector, List<uint> allowed, string when)
    {
        var words = MemoryMarshal.Cast<byte, uint>(content.Slice(sector * Sector, Sector));
        if (allowed.Contains(Anything)) return;
        // A sector is written whole or not at all.
        Assert.True(words.IndexOfAnyExcept(words[0]) < 0, $"{when}: sector {sector} is torn: {words[0]:x} and others");
        Assert.True(allowed.Contains(words[0]), $"{when}: sector {sector} holds {words[0]:x}, not {string.Join(" or ", allowed.Select(stamp => $"{stamp:x}"))}");
    }
}
