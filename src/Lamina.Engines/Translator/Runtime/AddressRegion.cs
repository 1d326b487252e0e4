// One address-translation region of a vCPU (see VcpuArea): the flat read and write tables of one address space at one
// kind of privilege, and the log of what was filled in. It is a TLB: anything may be dropped from it at any time.
using Lamina.Engines.Translator.Code;
using Lamina.Host;

namespace Lamina.Engines.Translator.Runtime;

/// <summary>Who a region's entries are for.</summary>
internal enum RegionKind
{
    /// <summary>CPL 3.</summary>
    User,

    /// <summary>CPL 0 to 2 with SMAP in force: no page that users may access.</summary>
    SupervisorClosed,

    /// <summary>CPL 0 to 2 without SMAP, or with RFLAGS.AC set.</summary>
    SupervisorOpen,
}

internal sealed unsafe class AddressRegion : IDisposable
{
    /// <summary>Bytes of addresses that each of a region's two tables takes.</summary>
    public const ulong TableBytes = 8ul << Slot.PageNumberBits;

    private const ulong PageNumberMask = (1ul << Slot.PageNumberBits) - 1;

    // After so many entries it is counted what they take. Machine code fills in no more by itself.
    private const ulong FillsBetweenCounts = 1024;

    // So many are looked through sooner than the tables of 2 MiB are cleared.
    private const ulong FewEntries = 256;

    // A page of a table is for 2 MiB of addresses, a page of the host's page tables for 1 GiB, one of the level above for 512 GiB; the
    // read table and the write table have their own. Entries that are forgotten one by one leave them behind.
    private const int PieceShift = RegionHead.PieceShift, GibShift = 18, TopShift = 27;
    private const long PairBytes = 2 * 4096;

    // SDM vol. 3, table 4-20.
    private const ulong EntryPresent = 1, EntryWritable = 2, EntryUser = 4, EntryAccessed = 0x20;

    private readonly HostReservation _range;
    private readonly byte* _gs;
    private readonly TableBudget _budget;
    private readonly LargePages _large;
    private readonly HashSet<ulong> _pieces = [], _gibs = [], _tops = [];

    // Some of those that are in the sets, by their low bits: most entries are filled in over and over.
    private readonly ulong[] _knownGibs = new ulong[64];
    private ulong _localCounted, _globalCounted;
    private long _taken;

    /// <summary>Reserves a region around a mapping of the vCPU's shared state.</summary>
    /// <param name="shared">The state.</param>
    /// <param name="jumps">The jump cache that code runs with in this region.</param>
    /// <param name="kind">Who it is for.</param>
    /// <param name="number">Its number among the vCPU's regions.</param>
    /// <param name="budget">What the vCPU's regions may take.</param>
    /// <param name="large">The vCPU's map of large pages.</param>
    public AddressRegion(SharedMemory shared, JumpCache jumps, RegionKind kind, int number, TableBudget budget, LargePages large)
    {
        (_budget, _large) = (budget, large);
        Array.Fill(_knownGibs, ulong.MaxValue);
        Jumps = jumps;
        Number = number;
        IsUser = kind == RegionKind.User;
        _range = HostReservation.Reserve(2 * TableBytes + Slot.Middle);
        _gs = (byte*)_range.Address + TableBytes + Slot.Middle;
        try
        {
            _range.MapAnonymous(0, 2 * TableBytes + Slot.Middle);
            _range.MapShared(TableBytes, Slot.SharedSize, shared, 0, MappingAccess.ReadWrite);
            _range.MapShared((ulong)(_gs + Slot.JumpCache - (byte*)_range.Address), Slot.JumpBytes, jumps.Memory, 0, MappingAccess.ReadWrite);
        }
        catch
        {
            _range.Dispose();
            throw;
        }
        var user = kind == RegionKind.User ? EntryUser : 0;
        *Head = new RegionHead
        {
            Number = (ulong)number,
            HintTag = WriteHints.TagOf(number),
            WalkRead = EntryPresent | EntryAccessed | user,
            WalkWrite = EntryPresent | EntryAccessed | EntryWritable | user,
            WalkForbidden = kind == RegionKind.SupervisorClosed ? EntryUser : 0,
            FillLimit = FillsBetweenCounts,
        };
        KnownPieces.Fill(ulong.MaxValue);
    }

    /// <summary>The value for the GS base.</summary>
    public ulong Gs => (ulong)_gs;

    /// <summary>Its number among the vCPU's regions.</summary>
    public int Number { get; }

    /// <summary>For CPL 3.</summary>
    public bool IsUser { get; }

    /// <summary>The jump cache that code runs with here.</summary>
    public JumpCache Jumps { get; }

    /// <summary>CR3 (with PCID) that a user region belongs to.</summary>
    public ulong Owner { get; set; } = ulong.MaxValue;

    /// <summary>When it was last used, for replacement.</summary>
    public long LastUse { get; set; }

    private ulong* ReadTable => (ulong*)_gs;

    private ulong* WriteTable => (ulong*)(_gs - Slot.Middle);

    private RegionHead* Head => (RegionHead*)(_gs + Slot.Head);

    private Span<ulong> KnownPieces => new(Head->KnownPieces, RegionHead.KnownPieceCount);

    private ulong* Log => (ulong*)(_gs + Slot.Log);

    /// <summary>Enters a page into the tables.</summary>
    /// <param name="linear">Any address in the page.</param>
    /// <param name="addend">Host address minus linear address.</param>
    /// <param name="write">Stores are made in place, too.</param>
    /// <param name="global">Survives <see cref="FlushLocal"/>.</param>
    public void Fill(ulong linear, ulong addend, bool write, bool global)
    {
        if (Head->LocalCount + Head->GlobalCount >= Slot.LogEntries) ForgetPages();
        else if (Head->LocalCount + Head->GlobalCount >= Head->FillLimit) Count();
        var page = PageOf(linear);
        ReadTable[page] = addend;
        if (write) WriteTable[-1 - (long)page] = addend;
        if (global) Log[Slot.LogEntries - ++Head->GlobalCount] = page;
        else Log[Head->LocalCount++] = page;
    }

    /// <summary>Forgets one 4 KiB page, or the 2 MiB around it. The jump cache is not touched.</summary>
    public void Invalidate(ulong linear, bool large)
    {
        NoteLook(linear);
        var page = PageOf(linear);
        if (!large)
        {
            // The tables are written to whether anything was there or not.
            if (NotePiece(page)) Drop(page);
            return;
        }
        Count();
        if (Head->LocalCount + Head->GlobalCount == 0 || !_pieces.Contains(page >> PieceShift)) return;
        if (Head->LocalCount + Head->GlobalCount <= FewEntries)
        {
            DropPiece(page >> PieceShift);
            return;
        }
        page &= ~511ul;
        new Span<ulong>(ReadTable + page, 512).Clear();
        new Span<ulong>(WriteTable - 512 - (long)page, 512).Clear();
    }

    // Where the log is short it says what there is to drop; all of it has been counted.
    private void DropPiece(ulong piece)
    {
        var (local, global) = (0ul, 0ul);
        for (ulong i = 0; i < Head->LocalCount; i++)
        {
            if (Log[i] >> PieceShift == piece) Drop(Log[i]);
            else Log[local++] = Log[i];
        }
        for (ulong i = 1; i <= Head->GlobalCount; i++)
        {
            var entry = Log[Slot.LogEntries - i];
            if (entry >> PieceShift == piece) Drop(entry);
            else Log[Slot.LogEntries - ++global] = entry;
        }
        (Head->LocalCount, Head->GlobalCount) = (local, global);
        RestartCount();
    }

    /// <summary>Counts what was filled in since the last time. To be called before the vCPU leaves the region for another one.</summary>
    public void Count()
    {
        var (local, global) = (Head->LocalCount, Head->GlobalCount);
        for (; _localCounted < local; _localCounted++)
            if (!NotePiece(Log[_localCounted])) return;
        for (; _globalCounted < global; _globalCounted++)
            if (!NotePiece(Log[Slot.LogEntries - 1 - _globalCounted])) return;
        SetLimit();
    }

    /// <summary>The tables were looked into at an address, and nothing was found: the host's page tables may have grown all the same.</summary>
    public void NoteLook(ulong linear) => _ = NoteGib(PageOf(linear));

    /// <summary>Gives back all that the tables take of the host, and forgets it.</summary>
    public void GiveBack()
    {
        // Mapped anew: discarded pages leave the host's page tables in place.
        _range.MapAnonymous(0, TableBytes);
        _range.MapAnonymous(TableBytes + Slot.Middle, TableBytes);
        _budget.Return(_taken);
        _taken = 0;
        _pieces.Clear();
        _gibs.Clear();
        _tops.Clear();
        KnownPieces.Fill(ulong.MaxValue);
        Array.Fill(_knownGibs, ulong.MaxValue);
        (Head->LocalCount, Head->GlobalCount) = (0, 0);
        RestartCount();
    }

    /// <summary>Forgets everything, the jump cache too.</summary>
    public void FlushAll()
    {
        ForgetPages();
        Jumps.Clear();
    }

    /// <summary>Forgets what is not global, in the jump cache too.</summary>
    public void FlushLocal()
    {
        Count();
        for (ulong i = 0; i < Head->LocalCount; i++) Drop(Log[i]);
        Head->LocalCount = 0;
        RestartCount();
        Jumps.ClearLocal();
    }

    /// <summary>Takes the right to store in place away from a linear page if it maps a host page.</summary>
    /// <param name="page">Number of the linear page.</param>
    /// <param name="hostPage">Host address.</param>
    public void Protect(ulong page, ulong hostPage)
    {
        ref var addend = ref WriteTable[-1 - (long)page];
        if (addend != 0 && addend + LinearOf(page) == hostPage) addend = 0;
    }

    /// <summary>Takes the right to store in place away from every page.</summary>
    public void ForgetStores()
    {
        for (ulong i = 0; i < Head->LocalCount; i++) WriteTable[-1 - (long)Log[i]] = 0;
        for (ulong i = 1; i <= Head->GlobalCount; i++) WriteTable[-1 - (long)Log[Slot.LogEntries - i]] = 0;
    }

    /// <summary>Takes the right to store in place away from every page that maps a host page.</summary>
    public void ProtectAll(ulong hostPage)
    {
        for (ulong i = 0; i < Head->LocalCount; i++) Protect(Log[i], hostPage);
        for (ulong i = 1; i <= Head->GlobalCount; i++) Protect(Log[Slot.LogEntries - i], hostPage);
    }

    public void Dispose()
    {
        _budget.Return(_taken);
        _range.Dispose();
    }

    /// <summary>The number of a linear page, as the tables are indexed.</summary>
    public static ulong PageOf(ulong linear) => linear >> 12 & PageNumberMask;

    // 48-bit canonical linear address of a page number.
    private static ulong LinearOf(ulong page) => (ulong)((long)(page << 28) >> 16);

    /// <summary>Forgets all pages. Code is found where it was.</summary>
    public void ForgetPages()
    {
        Count();
        for (ulong i = 0; i < Head->LocalCount; i++) Drop(Log[i]);
        for (ulong i = 1; i <= Head->GlobalCount; i++) Drop(Log[Slot.LogEntries - i]);
        Head->LocalCount = Head->GlobalCount = 0;
        RestartCount();
    }

    private void RestartCount()
    {
        (_localCounted, _globalCounted) = (Head->LocalCount, Head->GlobalCount);
        SetLimit();
    }

    private void SetLimit() => Head->FillLimit = Math.Min(Head->LocalCount + Head->GlobalCount + FillsBetweenCounts, Slot.LogEntries);

    // False: that was too much, and nothing is left.
    private bool NotePiece(ulong page)
    {
        var piece = page >> PieceShift;
        ref var known = ref Head->KnownPieces[(int)piece & (RegionHead.KnownPieceCount - 1)];
        if (known == piece) return true;
        known = piece;
        return NoteGib(page) && (!_pieces.Add(piece) || Take());
    }

    private bool NoteGib(ulong page)
    {
        var gib = page >> GibShift;
        ref var known = ref _knownGibs[(int)gib & (_knownGibs.Length - 1)];
        if (known == gib) return true;
        known = gib;
        return !_gibs.Add(gib) || (Take() && (!_tops.Add(page >> TopShift) || Take()) && _large.TryCount(gib));
    }

    private bool Take()
    {
        _taken += PairBytes;
        return _budget.Take(PairBytes);
    }

    private void Drop(ulong page)
    {
        ReadTable[page] = 0;
        WriteTable[-1 - (long)page] = 0;
    }
}
