// All translations of one machine: finds a block for an address and modes, makes it if there is none, and drops what a
// store has made stale. One thread at a time translates or invalidates (the store's gate); running takes no lock. The
// gate comes before the world's stop, never the other way round.
using System.Runtime.InteropServices;
using Lamina.Core.Memory;
using Lamina.Engines.Translator.Analyse;
using Lamina.Engines.Translator.Archive;
using Lamina.Engines.Translator.Code;
using Lamina.Engines.Translator.Emit;
using Lamina.Engines.Translator.Settings;
using Lamina.Engines.X86.Cpuid;
using Lamina.Engines.X86.Decode;

namespace Lamina.Engines.Translator.Runtime;

internal sealed unsafe class TranslationStore : IDisposable
{
    private const int MaxAge = 16, MuchCode = 64 << 20, PageSize = 4096;

    // How many blocks are translated ahead of being reached. What never runs costs time and room.
    private const int MostFollowers = 2;

    // About what an entry of the table of further pads takes.
    private const int PadBytes = 64;

    private readonly GuestMemory _memory;
    private readonly BlockIndex _index;
    private readonly Dictionary<(int, ulong), ulong> _furtherPads = [];
    private readonly GuestBlock _guest;

    // Copies of the page that is being translated and of the one behind it.
    private readonly byte* _pages = (byte*)NativeMemory.AlignedAlloc(2 * PageSize, PageSize);
    private readonly BlockEmitter _emitter;
    private readonly bool _precise;
    private ModeKey _sharedKey;

    public TranslationStore(GuestMemory memory, TranslatorSettings settings, CpuModel model)
    {
        var gsBase = HostGsBase.Of(settings);
        _guest = new GuestBlock(model.InstructionSet);
        var archive = settings.ArchiveFolder is { } folder ? TranslationArchive.Open(folder, settings.ArchiveBytes, ArchiveKey.Of(settings with { GsBase = gsBase }, model.InstructionSet)) : null;
        _memory = memory;
        _precise = settings.Precise;
        Buffer = new CodeBuffer(settings.CodeBufferBytes, movable: archive != null);
        _index = new BlockIndex(Buffer);
        Stubs = new Stubs(Buffer, gsBase);
        Pages = new PhysicalPages(memory.End);
        Rights = new PageRights(this, memory.Writes);
        memory.Follow(Rights);
        memory.Writes.Attach(Rights);
        _emitter = new BlockEmitter(Buffer, Stubs.Addresses, Neighbour);
        if (archive != null) Archivist = new Archivist(this, memory, archive, settings.ArchiveWorthwhileBytes);
    }

    /// <summary>Guards translation and invalidation.</summary>
    public Lock Gate { get; } = new();

    /// <summary>The vCPUs that run the translations.</summary>
    public World World { get; } = new();

    public CodeBuffer Buffer { get; }

    public Stubs Stubs { get; }

    public PhysicalPages Pages { get; }

    /// <summary>What may be done in place, by the memory's map and its log.</summary>
    public PageRights Rights { get; }

    /// <summary>Keeps translations from one run to the next; null: nobody does.</summary>
    public Archivist? Archivist { get; }

    /// <summary>Counts how often everything was dropped: addresses in generated code kept across a change are void.</summary>
    public int Generation { get; private set; }

    /// <summary>Blocks made, instructions in them, blocks made stale.</summary>
    public long BlocksTranslated { get; private set; }

    /// <summary>See <see cref="BlocksTranslated"/>.</summary>
    public long InstructionsTranslated { get; private set; }

    /// <summary>See <see cref="BlocksTranslated"/>.</summary>
    public long BlocksInvalidated { get; private set; }

    /// <summary>Linear addresses at which a debugger wants the vCPU to stop.</summary>
    public IReadOnlySet<ulong> Breakpoints { get; set; } = new HashSet<ulong>();

    /// <summary>Where in pages the guest has instruction breakpoints. The gate guards it.</summary>
    public ArmedSets ArmedSets { get; } = new();

    public Block? Find(in BlockIdentity identity)
    {
        lock (Gate) return _index.Find(identity);
    }

    /// <summary>Translates a block, and those that it falls through to, which then lie right behind it.</summary>
    /// <param name="identity">Which.</param>
    /// <param name="linear">Its linear address (position-independent identities do not have it).</param>
    /// <param name="nextPhysical">Guest-physical address of the linear page that follows an address, asked for only if the first instruction crosses; ~0 where it cannot be fetched.</param>
    /// <returns>Null: the first instruction crosses into a page that cannot be fetched.</returns>
    public Block? Translate(in BlockIdentity identity, ulong linear, Func<ulong, ulong> nextPhysical)
    {
        var followers = MostFollowers;
        CopyPage(identity.Physical, 0);
        if (TryAdoptPage(identity) && _index.Find(identity) is { } adopted) return adopted;
        var first = TranslateOne(identity, linear, nextPhysical, followers);
        for (var block = first; block?.Follower is { } distance;)
        {
            linear += (ulong)(long)distance;
            var next = BlockIdentity.Of(block) with { Physical = block.Physical + (ulong)(long)distance, Linear = (block.Key & ModeKey.PositionIndependent) != 0 ? 0 : linear };
            if (_guest.MayContinue) followers--;
            block = TranslateOne(next, linear, nextPhysical, followers);
        }
        return first;
    }

    // What is translated is a copy: another vCPU, or a device, may change the page meanwhile, and what was decoded has to be what
    // is emitted. A page that was marked before it was copied is one whose later stores make the blocks stale.
    private void CopyPage(ulong physical, int place)
    {
        AnnounceCode(physical);
        _memory.Require(physical & ~0xffful, PageSize);
        new ReadOnlySpan<byte>((byte*)_memory.HostBase + (physical & ~0xffful), PageSize).CopyTo(new Span<byte>(_pages + place * PageSize, PageSize));
    }

    // What the archive has of the page that was copied.
    private bool TryAdoptPage(in BlockIdentity identity) =>
        Archivist != null && Archivist.Keeps(identity.Key) && Breakpoints.Count == 0 && Pages.IsToBeSought(identity.Physical)
        && Archivist.TryAdopt(identity.Physical & ~0xffful, new ReadOnlySpan<byte>(_pages, PageSize), Adopt);

    private void Adopt(Block block)
    {
        _index.Add(block);
        Pages.Add(block);
    }

    private Block? TranslateOne(in BlockIdentity identity, ulong linear, Func<ulong, ulong> nextPhysical, int followers)
    {
        var source = new CodeSource { Page = _pages, Offset = (int)(identity.Physical & 0xfff) };
        var limit = (identity.Key & ModeKey.SingleStep) != 0 ? 1 : GuestBlock.MaxInstructions;
        _guest.Read(source, identity.Key, limit);
        var second = ulong.MaxValue;
        if (_guest.End == BlockEnd.NeedsNextPage)
        {
            second = nextPhysical(linear);
            if (second == ulong.MaxValue || !Pages.IsMemory(second)) return null;
            CopyPage(second, 1);
            source.NextPage = _pages + PageSize;
            _guest.Read(source, identity.Key, limit);
            if (!_guest.CrossesPage) second = ulong.MaxValue;
        }
        StopAtBreakpoints(identity, linear);
        var block = new Block { Physical = identity.Physical, Linear = linear, CodeBase = identity.CodeBase, Key = identity.Key, SecondPage = second };
        if (_guest.End != BlockEnd.Undecodable) FlagLiveness.Analyse(_guest, source, identity.Key, _precise || (identity.Key & ModeKey.Armed) != 0, out block.First, out block.Second);
        block.Follower = followers > 0 ? FollowerOf(identity, linear, source) : null;
        _emitter.Emit(_guest, identity, linear, block);
        if (Archivist != null && second == ulong.MaxValue) block.Fingerprint = Archivist.Fingerprint.Of(new ReadOnlySpan<byte>(_pages, PageSize), block);
        Buffer.Add(block);
        _index.Add(block);
        BlocksTranslated++;
        InstructionsTranslated += block.InstructionCount;
        Pages.Add(block);
        return block;
    }

    // The code that is to be translated right away, to lie behind a block's: the side of a conditional jump that compilers take
    // for the likelier one, where a call returns to, where a jump goes. What is there already is jumped to.
    private int? FollowerOf(in BlockIdentity identity, ulong linear, in CodeSource source)
    {
        if ((identity.Key & ModeKey.SingleStep) != 0 || Breakpoints.Count > 0 || _guest.CrossesPage || !Buffer.HasRoom(2 * BlockEmitter.MaxBlockBytes)) return null;
        if (_guest.LikelyNext is not { } distance || source.Offset + distance is not (>= 0 and < 4096) || distance == 0) return null;
        if (ArmedSets.Has(identity.Key, identity.Physical + (ulong)distance)) return null;
        var next = source.Offset + (int)distance;
        return InstructionDecoder.Decode(new ReadOnlySpan<byte>(source.Page + next, Math.Min(4096 - next, 16)), identity.Key.CodeSize(), _guest.InstructionSet, out _) == DecodeResult.Ok
            && Neighbour(identity, linear, (int)distance) == null ? (int)distance : null;
    }

    /// <summary>The block at a distance from another in the same page, if it may be jumped to directly.</summary>
    private Block? Neighbour(in BlockIdentity identity, ulong linear, int distance)
    {
        if (Breakpoints.Count > 0 || ArmedSets.Has(identity.Key, identity.Physical + (ulong)(long)distance)) return null;
        var target = linear + (ulong)(long)distance;
        if (!identity.Key.IsLong()) target = (uint)target;
        var block = _index.Find(identity with { Physical = identity.Physical + (ulong)(long)distance, Linear = (identity.Key & ModeKey.PositionIndependent) != 0 ? 0 : target });
        return block is { CrossesPage: false } ? block : null;
    }

    /// <summary>Landing pads of user code for all address spaces.</summary>
    public SharedPads SharedPads { get; } = new();

    /// <summary>
    /// Whether a user's block may have its pad in <see cref="SharedPads"/>, which do not tell modes apart: they are for those
    /// that 64-bit user code has first. The caller holds the gate.
    /// </summary>
    public bool Shares(Block block)
    {
        if (block.CrossesPage || !block.Key.IsLong()) return false;
        if (_sharedKey == 0) _sharedKey = block.Key;
        return block.Key == _sharedKey;
    }

    /// <summary>Executable address of the landing pad for a block at a linear address.</summary>
    /// <param name="block">The block.</param>
    /// <param name="linear">Where it runs.</param>
    /// <param name="share">Other address spaces may use the pad, too.</param>
    public ulong PadFor(Block block, ulong linear, bool share = false)
    {
        var pad = FindOrMakePad(block, linear);
        if (share && Buffer.Contains(pad)) SharedPads.Set(linear, block.Physical, Buffer.OffsetOfExecutable(pad));
        return pad;
    }

    private ulong FindOrMakePad(Block block, ulong linear)
    {
        if (block.Pad == 0)
        {
            block.PadLinear = linear;
            return block.Pad = LandingPad.Emit(Buffer, block, linear, Stubs.Addresses);
        }
        if (block.PadLinear == linear) return block.Pad;
        if (!_furtherPads.TryGetValue((block.HostStart, linear), out var pad))
        {
            pad = LandingPad.Emit(Buffer, block, linear, Stubs.Addresses);
            _furtherPads[(block.HostStart, linear)] = pad;
        }
        return pad;
    }

    /// <summary>Offset in the code buffer of a detour (see <see cref="LandingPad.EmitDetour"/>); 0 where there is no room.</summary>
    public int DetourTo(Block block, ulong linear, bool parked)
    {
        var at = LandingPad.EmitDetour(Buffer, block, linear, parked);
        return at == 0 ? 0 : Buffer.OffsetOfExecutable(at);
    }

    /// <summary>Offset in the code buffer of a far link (see <see cref="LandingPad.EmitFarLink"/>); 0 where there is no room.</summary>
    public int FarLinkTo(Block target, ulong linear, ulong fromPage, int slow) =>
        LandingPad.EmitFarLink(Buffer, fromPage, target, linear, PadFor(target, linear), Buffer.Executable(slow));

    /// <summary>A range of guest memory was written, so that all see it: makes the blocks that depend on it stale.</summary>
    public void NoteWritten(ulong physical, ulong length)
    {
        if (length == 0) return;
        // The bytes are seen before the marks are looked at; who translates sets the mark before it reads the bytes.
        if (!Pages.AnyCode(physical, length)) return;
        lock (Gate)
        {
            if (Pages.TouchesCode(physical, length)) Invalidate(physical, length);
        }
    }

    /// <summary>Makes the blocks that depend on a range of guest memory stale. The caller holds the gate.</summary>
    public void Invalidate(ulong physical, ulong length) =>
        World.WhileStopped(() => Pages.Invalidate(physical, length, Retire));

    /// <summary>Lets who still jumps to a stale block go on to its successor. Code that changes all the time is not followed.</summary>
    public void Redirect(Block stale, Block fresh)
    {
        lock (Gate)
        {
            var same = stale.Physical == fresh.Physical && stale.Key == fresh.Key && stale.CodeBase == fresh.CodeBase
                && (stale.Linear == fresh.Linear || (stale.Key & ModeKey.PositionIndependent) != 0);
            var getsFlags = stale.LiveIn != Flags.None || fresh.LiveIn == Flags.None;
            if (!same || !getsFlags || stale.Valid || !fresh.Valid || fresh.CrossesPage) return;
            fresh.Age = Math.Max(fresh.Age, stale.Age + 1);
            if (fresh.Age < MaxAge) PatchEntry(stale, 0xe9, Buffer.Executable(fresh.HostStart));
        }
    }

    /// <summary>Whether all translations have to be dropped before long.</summary>
    public bool IsNearlyFull => !HasRoomBeside(0) || Described > Buffer.MostDescribed || ArmedSets.IsFull;

    /// <summary>Bytes that describe the translations.</summary>
    public long Described => Buffer.Described + (long)_furtherPads.Count * PadBytes;

    /// <summary>Whether there is room for so many bytes of code, and a cold part as large, besides what there must always be.</summary>
    public bool HasRoomBeside(int bytes) => Buffer.HasRoom(bytes + BlockEmitter.MaxBlockBytes * 2 * (World.Vcpus.Count + 1));

    /// <summary>Drops all translations if that is still necessary. To be called while all vCPUs are parked.</summary>
    public void DropIfNearlyFull()
    {
        if (!IsNearlyFull) return;
        Archivist?.Save();
        var used = Buffer.Used;
        DropAll();
        // What described the translations is garbage now, more than the code itself: the collector would let it lie while as much
        // again is made. That takes seconds at least; smaller buffers fill faster, and leave less behind.
        if (used >= MuchCode) GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
    }

    /// <summary>Puts what is new into the archive and drops all translations. To be called from no vCPU's thread.</summary>
    public void GiveBack()
    {
        Archivist?.Save();
        World.WhileParked(self: null, DropAll);
    }

    /// <summary>Drops all translations. To be called while all vCPUs are parked.</summary>
    public void DropAll()
    {
        Buffer.Clear();
        _index.Clear();
        _furtherPads.Clear();
        SharedPads.Clear();
        Pages.Clear();
        ArmedSets.Clear();
        Generation++;
        foreach (var vcpu in World.Vcpus) vcpu.TranslationsDropped();
    }

    public void Dispose()
    {
        _memory.Writes.Detach(Rights);
        _memory.Unfollow(Rights);
        Archivist?.Dispose();
        Buffer.Dispose();
        Pages.Dispose();
        SharedPads.Dispose();
        NativeMemory.AlignedFree(_pages);
    }

    // Before the bytes of a page are read for the first time: from now on stores to it are seen.
    private void AnnounceCode(ulong physical)
    {
        if (Pages.Mark(physical)) Protect(physical & ~0xffful);
    }

    private void Protect(ulong page) => World.WhileStopped(() =>
    {
        foreach (var vcpu in World.Vcpus) vcpu.ProtectPage(page);
    });

    // The entry becomes a call that leaves; whoever jumps there finds out that the block is stale.
    private void Retire(Block block)
    {
        BlocksInvalidated++;
        _index.Remove(block);
        PatchEntry(block, 0xe8, Stubs.Addresses.Stale);
    }

    // One aligned store: nobody is in generated code but, where a stale entry is sent on, between whole instructions of it.
    // The first five bytes of a block lie within a word (see CodeBuffer.Begin), so that they change at once.
    private void PatchEntry(Block block, byte opcode, ulong target)
    {
        var at = (ulong*)Buffer.At(block.HostStart & ~7);
        var shift = (block.HostStart & 7) * 8;
        var displacement = (uint)(target - (Buffer.Executable(block.HostStart) + 5));
        Volatile.Write(ref *at, *at & ~(0xff_ffff_fffful << shift) | ((ulong)displacement << 8 | opcode) << shift);
    }

    // A block ends before a breakpoint; one that begins at one is left to the dispatcher, which stops before entering.
    private void StopAtBreakpoints(in BlockIdentity identity, ulong linear)
    {
        if (Breakpoints.Count == 0 && (identity.Key & ModeKey.Armed) == 0) return;
        for (var i = 1; i < _guest.Count; i++)
        {
            var distance = (ulong)_guest.Offsets[i];
            if (!Breakpoints.Contains(linear + distance) && !ArmedSets.Has(identity.Key, identity.Physical + distance)) continue;
            _guest.Truncate(i);
            return;
        }
    }
}
