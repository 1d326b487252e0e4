// Between a machine's translations and the archive: takes from there what was made of a page before, and puts there what is
// new. A page is the unit: jumps within it are direct, so its blocks come and go together.
using System.Runtime.InteropServices;
using Lamina.Core.Memory;
using Lamina.Engines.Translator.Analyse;
using Lamina.Engines.Translator.Archive;
using Lamina.Engines.Translator.Code;

namespace Lamina.Engines.Translator.Runtime;

internal sealed unsafe class Archivist : IDisposable
{
    private readonly TranslationStore _store;
    private readonly GuestMemory _memory;
    private readonly TranslationArchive _archive;
    private readonly PageAdopter _adopter;
    private readonly int _worthwhile;
    private readonly Lock _saving = new();
    private byte[] _image = new byte[1 << 16];

    /// <summary>Works for a store; the archive is its own from now on.</summary>
    /// <param name="store">Whose translations these are.</param>
    /// <param name="memory">The guest's memory.</param>
    /// <param name="archive">Where they are kept.</param>
    /// <param name="worthwhile">How many bytes of new code there have to be for something to be put there.</param>
    public Archivist(TranslationStore store, GuestMemory memory, TranslationArchive archive, int worthwhile)
    {
        (_store, _memory, _archive, _worthwhile) = (store, memory, archive, worthwhile);
        _adopter = new PageAdopter(store.Buffer, Fingerprint);
    }

    /// <summary>What blocks' bytes come to in this machine.</summary>
    public ByteFingerprint Fingerprint { get; } = new();

    /// <summary>Pages and blocks that were taken from the archive, and bytes.</summary>
    public long PagesAdopted { get; private set; }

    /// <summary>See <see cref="PagesAdopted"/>.</summary>
    public long BlocksAdopted { get; private set; }

    /// <summary>See <see cref="PagesAdopted"/>.</summary>
    public long BytesRead { get; private set; }

    /// <summary>Pages that were put there.</summary>
    public long PagesAdded { get; private set; }

    /// <summary>Whether a block is of the kind that is kept: one that can run wherever its page is mapped. Kernels lie elsewhere at each boot.</summary>
    public static bool Keeps(ModeKey key) => (key & (ModeKey.PositionIndependent | ModeKey.SingleStep | ModeKey.Armed)) == ModeKey.PositionIndependent;

    /// <summary>Takes what there is of a page. The caller holds the store's gate.</summary>
    /// <param name="physical">Guest-physical address of the page.</param>
    /// <param name="page">A copy of the page's bytes, made after the page was marked.</param>
    /// <param name="adopt">Takes the blocks.</param>
    public bool TryAdopt(ulong physical, ReadOnlySpan<byte> page, Action<Block> adopt)
    {
        var bytes = _archive.Read(PageHash.Of(page), ref _image);
        if (!PageImage.TryRead(bytes, out var image) || !page.SequenceEqual(image.Page)) return false;
        if (!_store.HasRoomBeside(Math.Max(image.Header.HotBytes, image.Header.ColdBytes) + 2 * CodeBuffer.CacheLine)) return false;
        _adopter.Adopt(image, physical, adopt);
        PagesAdopted++;
        BlocksAdopted += image.Blocks.Length;
        BytesRead += bytes.Length;
        return true;
    }

    /// <summary>Puts what is new into the archive, if it is much. Guests go on meanwhile, but for moments.</summary>
    public void Save()
    {
        lock (_saving)
        {
            int generation;
            Dictionary<ulong, List<Block>> pages;
            lock (_store.Gate)
            {
                // Where a debugger stops, blocks end that would not.
                if (_store.Breakpoints.Count > 0) return;
                generation = _store.Generation;
                pages = FindPages();
            }
            var written = new List<Block>();
            if (pages.Count == 0 || !_archive.TryAdd(_store.Gate, writer => Write(writer, pages, generation, written))) return;
            foreach (var block in written) block.Adopted = true;
            PagesAdded += written.Select(block => block.Physical >> 12).Distinct().Count();
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _archive.Dispose();

    // The pages of which there is more than was taken from the archive; none where all that is not much.
    private Dictionary<ulong, List<Block>> FindPages()
    {
        var pages = new Dictionary<ulong, List<Block>>();
        var fresh = 0L;
        for (var i = 0; i < _store.Buffer.BlockCount; i++)
        {
            var block = _store.Buffer.BlockAt(i);
            if (block.CrossesPage || !Keeps(block.Key)) continue;
            var page = block.Physical & ~0xffful;
            if (!pages.TryGetValue(page, out var blocks)) pages[page] = blocks = [];
            blocks.Add(block);
            if (IsFresh(block)) fresh += block.HostEnd - block.HostStart + block.ColdEnd - block.ColdStart;
        }
        if (fresh < _worthwhile) return [];
        // Where little of a page is new, all of it is not written again.
        foreach (var (page, blocks) in pages)
        {
            var count = blocks.Count(IsFresh);
            if (count == 0 || count < blocks.Count / 8) _ = pages.Remove(page);
        }
        return pages;
    }

    private static bool IsFresh(Block block) => block.Valid && !block.Adopted;

    private bool Write(SegmentWriter writer, Dictionary<ulong, List<Block>> pages, int generation, List<Block> written)
    {
        var collector = new PageCollector(_store.Buffer, Fingerprint, _store.Stubs.Addresses.Stale);
        var page = new byte[PageImage.PageSize];
        var added = new HashSet<ulong>();
        foreach (var (physical, blocks) in pages)
        {
            if (writer.Failed || _archive.IsFull(writer)) break;
            // Page by page: who needs the gate meanwhile does not wait for long.
            lock (_store.Gate)
            {
                if (_store.Generation != generation || !_memory.TryRequire(physical, (ulong)page.Length)) break;
                new ReadOnlySpan<byte>((byte*)_memory.HostBase + physical, page.Length).CopyTo(page);
                var hash = PageHash.Of(page);
                if (_archive.CountBlocks(hash) >= blocks.Count || !added.Add(hash)) continue;
                if (!collector.TryCollect(page, CollectionsMarshal.AsSpan(blocks), out var image)) continue;
                writer.Add(hash, image, blocks.Count);
                written.AddRange(blocks);
            }
        }
        // Of what looked new much may be there already, or not be worth keeping.
        return written.Count > 0 && writer.Length >= (ulong)_worthwhile;
    }
}
