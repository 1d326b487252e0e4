// Makes an image of a page's translations. Blocks that run into each other stay behind each other; every chain of them, and
// each cold part, keeps its place relative to cache lines, since jumps that are patched must not cross one. Jumps within the
// page stay linked; those to other pages, and what goes through pads, which know linear addresses, are as if never linked.
using System.Buffers;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Lamina.Engines.Translator.Code;
using Lamina.Engines.X86.Decode;

namespace Lamina.Engines.Translator.Archive;

internal sealed unsafe class PageCollector(CodeBuffer buffer, ByteFingerprint fingerprint, ulong stale)
{
    /// <summary>Where a block goes: what to add to offsets in the buffer, and the chain that it belongs to.</summary>
    private struct Moved
    {
        public int Hot, Cold, ChainStart, ChainEnd;
        public bool Valid;
    }

    private readonly ArrayBufferWriter<byte> _bytes = new();
    private readonly List<StoredBlock> _stored = [];
    private readonly List<Site> _sites = [];
    private readonly List<(int, ushort, bool)> _starts = [];
    private readonly List<Instruction> _systemInstructions = [];
    private readonly List<StoredLoan> _loans = [];
    private readonly List<int> _distances = [];
    private readonly Dictionary<int, int> _unlinked = [];
    private byte[] _code = [];
    private Moved[] _moved = [];

    /// <summary>Makes the image. The caller holds the store's gate.</summary>
    /// <param name="page">A copy of its bytes.</param>
    /// <param name="blocks">Its blocks that run wherever it is mapped, none of which crosses into another page, by growing number.</param>
    /// <param name="image">The image, until the next one is made.</param>
    /// <returns>False: there is nothing in it worth keeping, or it is too large.</returns>
    public bool TryCollect(ReadOnlySpan<byte> page, ReadOnlySpan<Block> blocks, out ReadOnlySpan<byte> image)
    {
        image = default;
        Clear();
        if (_moved.Length < blocks.Length) _moved = new Moved[blocks.Length * 2];
        var valid = 0;
        for (var i = 0; i < blocks.Length; i++)
        {
            _moved[i].Valid = blocks[i].Valid && fingerprint.Of(page, blocks[i]) == blocks[i].Fingerprint;
            if (_moved[i].Valid) valid++;
        }
        // Code that is written anew all the time.
        if (valid == 0 || valid < blocks.Length - valid) return false;
        if (!Lay(blocks, out var hotBytes, out var coldBytes)) return false;
        if (_code.Length < hotBytes + coldBytes) _code = new byte[hotBytes + coldBytes];
        _code.AsSpan(0, hotBytes + coldBytes).Clear();
        for (var i = 0; i < blocks.Length; i++)
            if (!TryStore(blocks, i, PageImage.Origin + hotBytes)) return false;
        var header = new PageImageHeader
        {
            Blocks = _stored.Count,
            Sites = _sites.Count,
            Starts = _starts.Count,
            SystemInstructions = _systemInstructions.Count,
            Loans = _loans.Count,
            Distances = _distances.Count,
            HotBytes = hotBytes,
            ColdBytes = coldBytes,
        };
        _bytes.Write(MemoryMarshal.AsBytes(new ReadOnlySpan<PageImageHeader>(in header)));
        _bytes.Write(page);
        Write(_stored);
        Write(_sites);
        Write(_starts);
        Write(_systemInstructions);
        Write(_loans);
        Write(_distances);
        _bytes.Write(_code.AsSpan(0, hotBytes + coldBytes));
        image = _bytes.WrittenSpan;
        return true;
    }

    private void Write<T>(List<T> list)
        where T : unmanaged => _bytes.Write(MemoryMarshal.AsBytes(CollectionsMarshal.AsSpan(list)));

    private void Clear()
    {
        _bytes.ResetWrittenCount();
        _stored.Clear();
        _sites.Clear();
        _starts.Clear();
        _systemInstructions.Clear();
        _loans.Clear();
        _distances.Clear();
    }

    // Where everything goes.
    private bool Lay(ReadOnlySpan<Block> blocks, out int hotBytes, out int coldBytes)
    {
        hotBytes = coldBytes = 0;
        var hot = PageImage.Origin;
        for (var first = 0; first < blocks.Length;)
        {
            var last = first;
            for (; blocks[last].Follower != null; last++)
                if (last + 1 == blocks.Length || blocks[last + 1].Number != blocks[last].Number + 1) return false;
            var (start, end) = (blocks[first].HostStart, blocks[last].HostEnd);
            hot = LikeIn(hot, start);
            for (; first <= last; first++) (_moved[first].Hot, _moved[first].ChainStart, _moved[first].ChainEnd) = (hot - start, start, end);
            hot += end - start;
            if (hot > PageImage.MostCode) return false;
        }
        // What lies at the very end of one part does not lie in the other.
        hotBytes = (hot + CodeBuffer.CacheLine & -CodeBuffer.CacheLine) - PageImage.Origin;
        var coldStart = PageImage.Origin + hotBytes;
        var cold = coldStart;
        for (var i = 0; i < blocks.Length; i++)
        {
            cold = LikeIn(cold, blocks[i].ColdStart);
            _moved[i].Cold = cold - blocks[i].ColdStart;
            if (_moved[i].Valid) cold += blocks[i].ColdEnd - blocks[i].ColdStart;
            if (cold - coldStart > PageImage.MostCode) return false;
        }
        coldBytes = cold - coldStart;
        return true;
    }

    // The next place that lies in its cache line as another does.
    private static int LikeIn(int at, int other) => at + (other - at & CodeBuffer.CacheLine - 1);

    private bool TryStore(ReadOnlySpan<Block> blocks, int index, int coldStart)
    {
        var block = blocks[index];
        ref readonly var moved = ref _moved[index];
        _unlinked.Clear();
        var stored = new StoredBlock
        {
            Key = (uint)block.Key,
            LiveIn = (uint)block.LiveIn,
            HotStart = block.HostStart + moved.Hot,
            HotEnd = block.HostEnd + moved.Hot,
            ColdStart = block.ColdStart + moved.Cold,
            ColdEnd = (moved.Valid ? block.ColdEnd : block.ColdStart) + moved.Cold,
            FirstSite = _sites.Count,
            FirstStart = _starts.Count,
            FirstDistance = _distances.Count,
            Follower = block.Follower ?? StoredBlock.NoFollower,
            Offset = (int)(block.Physical & 0xfff),
            Length = block.Length,
            InstructionCount = block.InstructionCount,
            FirstLookStart = block.First.Start,
            FirstLookLength = block.First.Length,
            SecondLookStart = block.Second.Start,
            SecondLookLength = block.Second.Length,
            Valid = moved.Valid ? 1 : 0,
        };
        // What lies between two blocks of a chain belongs to the second.
        var from = block.HostStart == moved.ChainStart ? block.HostStart : blocks[index - 1].HostEnd;
        Copy(from, block.HostEnd, moved.Hot);
        if (moved.Valid)
        {
            Copy(block.ColdStart, block.ColdEnd, moved.Cold);
            StoreSites(block, moved);
            StoreStarts(block, moved);
        }
        if (!TryStoreDistances(blocks, block, moved, coldStart)) return false;
        stored.SiteCount = _sites.Count - stored.FirstSite;
        stored.StartCount = _starts.Count - stored.FirstStart;
        stored.DistanceCount = _distances.Count - stored.FirstDistance;
        _stored.Add(stored);
        return true;
    }

    private void Copy(int start, int end, int delta) =>
        new ReadOnlySpan<byte>(buffer.At(start), end - start).CopyTo(_code.AsSpan(start + delta - PageImage.Origin));

    private ref int Field(int at) => ref Unsafe.As<byte, int>(ref _code[at - PageImage.Origin]);

    private static int Map(int offset, in Moved moved) => offset + (offset >= moved.ChainStart && offset <= moved.ChainEnd ? moved.Hot : moved.Cold);

    private void StoreSites(Block block, in Moved moved)
    {
        for (var i = block.FirstSite; i < block.FirstSite + block.SiteCount; i++)
        {
            var site = buffer.Sites[i];
            if (site.Kind is SiteKind.Link or SiteKind.FarLink) _unlinked[site.Resume] = site.UnlinkedTarget;
            site.Return = Map(site.Return, moved);
            if (site.Resume != 0) site.Resume = Map(site.Resume, moved);
            if (site.Copy != 0) site.Copy = Map(site.Copy, moved);
            if (site.Kind == SiteKind.System)
            {
                _systemInstructions.Add(buffer.SystemInstructions[site.Target]);
                site.Target = _systemInstructions.Count - 1;
            }
            _sites.Add(site);
        }
    }

    private void StoreStarts(Block block, in Moved moved)
    {
        for (var i = block.FirstInstruction; i < block.FirstInstruction + block.StartCount; i++)
        {
            foreach (var (register, slot) in buffer.BorrowedBy(i)) _loans.Add(new StoredLoan { Start = _starts.Count, Register = register, Slot = slot });
            var (host, guest, parked) = buffer.Instructions[i];
            _starts.Add((Map(host, moved), guest, parked));
        }
    }

    private bool TryStoreDistances(ReadOnlySpan<Block> blocks, Block block, in Moved moved, int coldStart)
    {
        for (var i = block.FirstDistance; i < block.FirstDistance + block.DistanceCount; i++)
        {
            var field = buffer.Distances![i];
            // Nothing of a stale block runs but what leads to its entry.
            var runs = moved.Valid || field >= moved.ChainStart && field < block.HostStart;
            if (runs && !TryStoreDistance(blocks, block, field, moved, coldStart)) return false;
        }
        if (!moved.Valid) StoreStaleEntry(block.HostStart + moved.Hot);
        return true;
    }

    private bool TryStoreDistance(ReadOnlySpan<Block> blocks, Block block, int field, in Moved moved, int coldStart)
    {
        var at = Map(field, moved);
        // A vCPU may be linking this very jump.
        var target = field + sizeof(int) + Volatile.Read(ref *(int*)buffer.At(field));
        if (_unlinked.TryGetValue(field, out var unlinked) && target != unlinked && FindEntry(blocks, target) < 0) target = unlinked;
        if (target < buffer.Floor)
        {
            Field(at) = target;
            Note(at, DistanceKind.Stub);
            return true;
        }
        int mapped;
        if (target >= moved.ChainStart && target <= moved.ChainEnd) mapped = target + moved.Hot;
        else if (FindEntry(blocks, target) is var entry and >= 0) mapped = target + _moved[entry].Hot;
        else if (target >= block.ColdStart && target <= block.ColdEnd) mapped = target + moved.Cold;
        else return false;
        var same = at < coldStart == mapped < coldStart;
        Field(at) = same ? mapped - (at + sizeof(int)) : mapped;
        Note(at, same ? DistanceKind.Same : DistanceKind.Other);
        return true;
    }

    private void Note(int at, DistanceKind kind) => _distances.Add(at | (int)kind << PageImage.OffsetBits);

    // As TranslationStore makes blocks stale.
    private void StoreStaleEntry(int at)
    {
        _code[at - PageImage.Origin] = 0xe8;
        Field(at + 1) = buffer.OffsetOfExecutable(stale);
        Note(at + 1, DistanceKind.Stub);
    }

    /// <summary>The block that begins at an offset of the buffer, or -1.</summary>
    private static int FindEntry(ReadOnlySpan<Block> blocks, int offset)
    {
        int low = 0, high = blocks.Length - 1;
        while (low <= high)
        {
            var middle = (low + high) >>> 1;
            var start = blocks[middle].HostStart;
            if (offset < start) high = middle - 1;
            else if (offset > start) low = middle + 1;
            else return middle;
        }
        return -1;
    }
}
