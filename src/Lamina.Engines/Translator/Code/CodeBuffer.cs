// Generated code: a memory file mapped twice, so that no page is writable and executable at once. Code is appended; what
// is stale stays until the whole buffer is started over. What runs often grows from the bottom; what rarely does (the
// cold part of each block) lies apart, in chunks from the top down, so that caches hold one without the other. The former
// is put into huge pages (a compiler runs code from 5,000 small pages, more than a processor keeps translations of). Beside
// the bytes it keeps what is needed to make sense of an address in them: blocks, sites, instruction starts, borrowed registers.
using Lamina.Engines.X86.Decode;
using Lamina.Host;

namespace Lamina.Engines.Translator.Code;

internal sealed unsafe class CodeBuffer : IDisposable
{
    public const int CacheLine = 64, ColdChunk = 1 << 20;

    private const int HotStep = 1 << 18, ColdStep = 1 << 16, GranuleShift = 8;

    // How many bytes a list may have for each of the code: most entries stand for some bytes of it, but a block of many NOPs
    // takes no more than the five that every block has.
    private const ulong MostListBytes = 128;

    // About what an entry of the table of borrowed registers takes.
    private const int BorrowedBytes = 80;

    // About what a block takes besides its code: the object, and its places in the lists and tables of blocks.
    private const int BlockBytes = 288;

    private readonly SharedMemory _memory;
    private readonly HostReservation _writable, _executable;
    private readonly byte* _base;
    private readonly List<Block> _blocks = [];
    private readonly Dictionary<int, (byte Register, byte Slot)[]> _borrowed = [];
    // For each granule of the buffer the number plus one of the first block of which a part begins in it, or 0.
    private readonly HostReservation _granules;
    private readonly int* _firstInGranule;
    private int _used, _populated, _floor, _coldFloor, _coldUsed, _coldPopulated, _coldEnd;

    // What comes behind the populated part of the hot code, being populated by another thread: a huge page takes milliseconds.
    private Task<int>? _ahead;

    /// <summary>Reserves room.</summary>
    /// <param name="capacity">For so many bytes.</param>
    /// <param name="movable">Code will be taken out, and put back elsewhere.</param>
    public CodeBuffer(int capacity, bool movable = false)
    {
        capacity &= ~(HostReservation.PageSize - 1);
        Capacity = capacity;
        _granules = HostReservation.Reserve((ulong)(capacity >> GranuleShift) * sizeof(int));
        _granules.MapAnonymous(0, _granules.Length);
        _firstInGranule = (int*)_granules.Address;
        _memory = SharedMemory.Create("lamina-code", (ulong)capacity);
        _writable = HostReservation.Reserve((ulong)capacity, HostReservation.HugePageSize);
        _executable = HostReservation.Reserve((ulong)capacity, HostReservation.HugePageSize);
        _writable.MapShared(0, (ulong)capacity, _memory, 0, MappingAccess.ReadWrite);
        _executable.MapShared(0, (ulong)capacity, _memory, 0, MappingAccess.ReadExecute);
        _base = (byte*)_writable.Address;
        _coldUsed = _coldEnd = _coldFloor = capacity;
        Sites = new GrowingList<Site>(MostListBytes * (ulong)capacity);
        Instructions = new GrowingList<(int Host, ushort Guest, bool Parked)>(MostListBytes * (ulong)capacity);
        SystemInstructions = new GrowingList<Instruction>(MostListBytes * (ulong)capacity);
        Distances = movable ? new CodeDistances(_base, MostListBytes * (ulong)capacity) : null;
    }

    /// <summary>Size in bytes.</summary>
    public int Capacity { get; }

    /// <summary>Bytes taken.</summary>
    public int Used => _used + Capacity - _coldFloor;

    /// <summary>
    /// Bytes that describe the code. Compilers' code takes about as much as that; of other code, a few bytes of which stand for many
    /// instructions, a guest may make as much as it likes.
    /// </summary>
    public long Described { get; private set; }

    /// <summary>The most that <see cref="Described"/> may be: half as much again as the code. All is dropped then, as where there is no room for code.</summary>
    public long MostDescribed => MostDescribedOf(Capacity);

    /// <summary>The same for a buffer of a size.</summary>
    public static long MostDescribedOf(int capacity) => capacity * 3L / 2;

    /// <summary>First executable address.</summary>
    public ulong ExecutableBase => (ulong)_executable.Address;

    /// <summary>Sites of all blocks, by growing return address within a block.</summary>
    public GrowingList<Site> Sites { get; }

    /// <summary>Host start and guest offset of all instructions, in order, and whether flags were parked before each.</summary>
    public GrowingList<(int Host, ushort Guest, bool Parked)> Instructions { get; }

    /// <summary>Copies of the instructions that System sites hand to the executor.</summary>
    public GrowingList<Instruction> SystemInstructions { get; }

    /// <summary>Where the code has displacements, if it is movable.</summary>
    public CodeDistances? Distances { get; }

    /// <summary>Where the next code goes that belongs to no block, and is never moved.</summary>
    public Assembler Begin() => AssemblerAt((_used + 15) & ~15, null);

    /// <summary>Where the next block's code goes. Its first five bytes lie within a word of eight.</summary>
    /// <param name="continues">What was emitted last runs into it.</param>
    public Assembler BeginBlock(bool continues) => AssemblerAt(continues ? _used : (_used + 15) & ~15, Distances);

    private Assembler AssemblerAt(int offset, CodeDistances? distances) => new(_base + offset, (long)_executable.Address - (long)_base, distances);

    public int End(byte* cursor)
    {
        _used = OffsetOf(cursor);
        while (_used > _populated - HotStep / 4 && _populated + HotStep <= _coldFloor)
        {
            _populated += _ahead?.GetAwaiter().GetResult() ?? PopulateHot(_populated);
            _ahead = null;
        }
        // Not for the little that a quiet machine needs.
        if (_ahead == null && _used > _populated - HostReservation.HugePageSize / 2 && _populated > HostReservation.HugePageSize && _populated + HotStep <= _coldFloor)
        {
            var at = _populated;
            _ahead = Task.Run(() => PopulateHot(at));
        }
        return _used;
    }

    // A huge page where one begins and the host gives one, else some small ones. The cold part may grow into it meanwhile: that
    // is populated twice then, which harms nothing.
    private int PopulateHot(int at)
    {
        const int HugePage = HostReservation.HugePageSize;
        if (at % HugePage == 0 && at + HugePage <= _coldFloor)
        {
            Populate(at, HostReservation.PageSize);
            if (_writable.Collapse((ulong)at, HugePage) && _executable.Collapse((ulong)at, HugePage)) return HugePage;
        }
        Populate(at, HotStep);
        return HotStep;
    }

    private void Populate(int offset, int length)
    {
        _writable.Populate((ulong)offset, (ulong)length, write: true);
        _executable.Populate((ulong)offset, (ulong)length, write: false);
    }

    /// <summary>Takes room for code that comes from elsewhere, and for its cold part, each from a cache line's start.</summary>
    public (int Hot, int Cold) Take(int hotBytes, int coldBytes)
    {
        var hot = (_used + CacheLine - 1) & -CacheLine;
        var cold = (OffsetOf(BeginCold(coldBytes + CacheLine)) + CacheLine - 1) & -CacheLine;
        _coldUsed = cold + coldBytes;
        _ = End(_base + hot + hotBytes);
        return (hot, cold);
    }

    /// <summary>Whether there is room for code and a cold part of so many bytes each.</summary>
    public bool HasRoom(int bytes) => _coldFloor - _used > bytes + 16 + (_coldEnd - _coldUsed > bytes ? 0 : ColdChunk);

    /// <summary>Where the cold part of the block that is being emitted goes.</summary>
    /// <param name="most">The most bytes it takes.</param>
    public byte* BeginCold(int most)
    {
        if (_coldEnd - _coldUsed <= most)
        {
            _coldEnd = _coldFloor;
            _coldUsed = _coldPopulated = _coldFloor = _coldEnd - ColdChunk;
        }
        for (; _coldPopulated <= _coldUsed + most && _coldPopulated < _coldEnd; _coldPopulated += ColdStep) Populate(_coldPopulated, ColdStep);
        return _base + _coldUsed;
    }

    public int EndCold(byte* cursor) => _coldUsed = OffsetOf(cursor);

    public int OffsetOf(byte* cursor) => (int)(cursor - _base);

    public byte* At(int offset) => _base + offset;

    public ulong Executable(int offset) => ExecutableBase + (ulong)offset;

    /// <summary>Whether an executable address lies in the buffer.</summary>
    public bool Contains(ulong address) => address - ExecutableBase < (ulong)Capacity;

    public int OffsetOfExecutable(ulong address) => (int)(address - ExecutableBase);

    /// <summary>What was written so far (stubs) survives <see cref="Clear"/>.</summary>
    public void KeepAllSoFar() => _floor = _used;

    /// <summary>Where the stubs end.</summary>
    public int Floor => _floor;

    /// <summary>Forgets all blocks; their memory goes back to the host.</summary>
    public void Clear()
    {
        FinishAhead();
        var kept = (ulong)(_floor + HostReservation.PageSize - 1) & ~(ulong)(HostReservation.PageSize - 1);
        _memory.Discard(kept, (ulong)Capacity - kept);
        _used = _floor;
        _populated = 0;
        _coldUsed = _coldEnd = _coldFloor = Capacity;
        _blocks.Clear();
        _granules.Discard(0, _granules.Length);
        Sites.Clear();
        Instructions.Clear();
        SystemInstructions.Clear();
        Distances?.Clear();
        _borrowed.Clear();
        Described = 0;
    }

    /// <summary>Takes a block that was emitted; tells it its number.</summary>
    public void Add(Block block)
    {
        block.Number = _blocks.Count;
        _blocks.Add(block);
        NoteStart(block.HostStart);
        NoteStart(block.ColdStart);
        Described = Sites.Bytes + Instructions.Bytes + SystemInstructions.Bytes + (Distances?.Bytes ?? 0) + (long)_blocks.Count * BlockBytes
            + (long)_borrowed.Count * BorrowedBytes;

        void NoteStart(int offset)
        {
            ref var first = ref _firstInGranule[offset >> GranuleShift];
            if (first == 0) first = block.Number + 1;
        }
    }

    /// <summary>How many blocks there are: the number of the one that is being emitted.</summary>
    public int BlockCount => _blocks.Count;

    /// <summary>A block by its number.</summary>
    public Block BlockAt(int number) => _blocks[number];

    /// <summary>The instruction being emitted borrows a guest's host register into a temporary slot (0: Temporary1, 1: Temporary2).</summary>
    public void NoteBorrowed(int register, int slot) => NoteBorrowed(Instructions.Count - 1, register, slot);

    /// <summary>As above, for an instruction that was not just emitted.</summary>
    public void NoteBorrowed(int key, int register, int slot)
    {
        _borrowed[key] = _borrowed.TryGetValue(key, out var known) ? [.. known, ((byte)register, (byte)slot)] : [((byte)register, (byte)slot)];
    }

    /// <summary>Registers that an instruction has borrowed.</summary>
    public ReadOnlySpan<(byte Register, byte Slot)> BorrowedBy(int instruction) => _borrowed.TryGetValue(instruction, out var known) ? known : [];

    /// <summary>The block whose code, cold or not, contains an offset; null if there is none.</summary>
    public Block? FindBlock(int offset)
    {
        var granule = offset >> GranuleShift;
        while (granule >= 0 && _firstInGranule[granule] == 0) granule--;
        if (granule < 0) return null;
        var cold = offset >= _coldFloor;
        var number = _firstInGranule[granule] - 1;
        // What begins before the first one that begins here is in the one before it, if in any.
        if (RangeOf(number, cold).Start > offset && number > 0) number--;
        for (; number < _blocks.Count; number++)
        {
            var (start, end) = RangeOf(number, cold);
            if (offset < end) return offset >= start ? _blocks[number] : null;
        }
        return null;
    }

    private (int Start, int End) RangeOf(int number, bool cold)
    {
        var block = _blocks[number];
        return cold ? (block.ColdStart, block.ColdEnd) : (block.HostStart, block.HostEnd);
    }

    /// <summary>The index in <see cref="Sites"/> of a block's site with a return address; -1 if there is none.</summary>
    public int FindSite(Block block, int returnOffset)
    {
        int low = block.FirstSite, high = block.FirstSite + block.SiteCount - 1;
        while (low <= high)
        {
            var middle = (low + high) >>> 1;
            var at = Sites[middle].Return;
            if (returnOffset < at) high = middle - 1;
            else if (returnOffset > at) low = middle + 1;
            else return middle;
        }
        return -1;
    }

    /// <summary>The index in <see cref="Instructions"/> of the instruction whose code contains an offset of a block; -1 if none.</summary>
    public int FindInstruction(Block block, int offset)
    {
        var found = -1;
        for (var i = block.FirstInstruction; i < block.FirstInstruction + block.StartCount && Instructions[i].Host <= offset; i++) found = i;
        return found;
    }

    private void FinishAhead()
    {
        if (_ahead != null) Task.WaitAny(_ahead);
        _ahead = null;
    }

    public void Dispose()
    {
        FinishAhead();
        Sites.Dispose();
        Instructions.Dispose();
        SystemInstructions.Dispose();
        Distances?.Dispose();
        _granules.Dispose();
        _executable.Dispose();
        _writable.Dispose();
        _memory.Dispose();
    }
}
