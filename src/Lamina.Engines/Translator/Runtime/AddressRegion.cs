// One address-translation region of a vCPU (see VcpuArea): the flat read and write tables of one address space at one
// kind of privilege, their fill log, and the jump cache. It is a TLB: anything may be dropped from it at any time.
using Lamina.Host;

namespace Lamina.Engines.Translator.Runtime;

internal sealed unsafe class AddressRegion : IDisposable
{
    private const ulong TableBytes = 8ul << Slot.PageNumberBits;
    private const ulong PageNumberMask = (1ul << Slot.PageNumberBits) - 1;
    private const ulong GlobalMark = 1ul << 63;

    private readonly HostReservation _range;
    private readonly byte* _gs;
    private readonly ulong _jumpMiss;
    private readonly List<int> _jumpsSet = [];
    private readonly HashSet<ulong> _codePages = [], _codeLargePages = [];
    private bool _hasLocalCode;

    /// <summary>Reserves a region around a mapping of the vCPU's shared state.</summary>
    public AddressRegion(SharedMemory shared, ulong jumpMiss)
    {
        _jumpMiss = jumpMiss;
        _range = HostReservation.Reserve(2 * TableBytes + Slot.Middle);
        _range.MapAnonymous(0, 2 * TableBytes + Slot.Middle);
        _range.MapShared(TableBytes, Slot.SharedSize, shared, 0, MappingAccess.ReadWrite);
        _gs = (byte*)_range.Address + TableBytes + Slot.Middle;
        new Span<ulong>(JumpCache, Slot.JumpCacheEntries).Fill(_jumpMiss);
    }

    /// <summary>The value for the GS base.</summary>
    public ulong Gs => (ulong)_gs;

    /// <summary>The vCPU's state as mapped here.</summary>
    public VcpuArea* Area => (VcpuArea*)(_gs - Slot.Middle);

    /// <summary>CR3 (with PCID) that a user region belongs to.</summary>
    public ulong Owner { get; set; } = ulong.MaxValue;

    /// <summary>When it was last used, for replacement.</summary>
    public long LastUse { get; set; }

    /// <summary>The modes that the jump cache's blocks were translated for.</summary>
    public Analyse.ModeKey JumpCacheKey { get; private set; }

    /// <summary>How often the jump cache was emptied.</summary>
    public long JumpCacheClears { get; private set; }

    /// <summary>How many entries gave way to others.</summary>
    public long JumpCacheReplaced { get; private set; }

    /// <summary>Notes a linear page that the jump cache may lead to.</summary>
    /// <param name="page">Its number.</param>
    /// <param name="global">Survives <see cref="FlushLocal"/>.</param>
    public void NoteCode(ulong page, bool global)
    {
        if (_codePages.Add(page)) _codeLargePages.Add(page >> 9);
        if (!global) _hasLocalCode = true;
    }

    private ulong* ReadTable => (ulong*)_gs;

    private ulong* WriteTable => (ulong*)(_gs - Slot.Middle);

    private ref ulong LogCount => ref *(ulong*)(_gs + Slot.LogCount);

    private ulong* Log => (ulong*)(_gs + Slot.Log);

    private ulong* JumpCache => (ulong*)(_gs + Slot.JumpCache);

    /// <summary>Enters a page into the tables.</summary>
    /// <param name="linear">Any address in the page.</param>
    /// <param name="addend">Host address minus linear address.</param>
    /// <param name="write">Stores are made in place, too.</param>
    /// <param name="global">Survives <see cref="FlushLocal"/>.</param>
    public void Fill(ulong linear, ulong addend, bool write, bool global)
    {
        if (LogCount >= Slot.LogEntries) FlushAll();
        var page = linear >> 12 & PageNumberMask;
        ReadTable[page] = addend;
        if (write) WriteTable[-1 - (long)page] = addend;
        Log[LogCount++] = page | (global ? GlobalMark : 0);
    }

    /// <summary>Forgets one 4 KiB page, or the 2 MiB around it.</summary>
    public void Invalidate(ulong linear, bool large)
    {
        var page = linear >> 12 & PageNumberMask;
        if (!large)
        {
            ReadTable[page] = 0;
            WriteTable[-1 - (long)page] = 0;
        }
        else
        {
            page &= ~511ul;
            new Span<ulong>(ReadTable + page, 512).Clear();
            new Span<ulong>(WriteTable - 512 - (long)page, 512).Clear();
        }
        if (large ? _codeLargePages.Contains(linear >> 21) : _codePages.Contains(linear >> 12)) ClearJumpCache();
    }

    /// <summary>Forgets everything.</summary>
    public void FlushAll()
    {
        var count = LogCount;
        for (ulong i = 0; i < count; i++) Drop(Log[i] & PageNumberMask);
        LogCount = 0;
        ClearJumpCache();
    }

    /// <summary>Forgets what is not global.</summary>
    public void FlushLocal()
    {
        ulong count = LogCount, kept = 0;
        for (ulong i = 0; i < count; i++)
        {
            var entry = Log[i];
            if ((entry & GlobalMark) != 0) Log[kept++] = entry;
            else Drop(entry & PageNumberMask);
        }
        LogCount = kept;
        if (_hasLocalCode) ClearJumpCache();
    }

    /// <summary>Takes the right to store in place away from every page that maps a host page.</summary>
    public void ProtectHostPage(ulong hostPage)
    {
        var count = LogCount;
        for (ulong i = 0; i < count; i++)
        {
            var page = Log[i] & PageNumberMask;
            var addend = WriteTable[-1 - (long)page];
            if (addend != 0 && addend + LinearOf(page) == hostPage) WriteTable[-1 - (long)page] = 0;
        }
    }

    /// <summary>Takes the right to store in place away from all pages.</summary>
    public void ProtectAll()
    {
        var count = LogCount;
        for (ulong i = 0; i < count; i++) WriteTable[-1 - (long)(Log[i] & PageNumberMask)] = 0;
    }

    /// <summary>Makes the jump cache lead to a landing pad.</summary>
    public void SetJump(ulong linear, ulong pad)
    {
        ref var entry = ref JumpCache[Slot.JumpCacheHash(linear) >> 2];
        if (entry != _jumpMiss) JumpCacheReplaced++;
        else _jumpsSet.Add(Slot.JumpCacheHash(linear) >> 2);
        entry = pad;
    }

    /// <summary>Empties the jump cache if it was for other modes.</summary>
    public void UseKey(Analyse.ModeKey key)
    {
        if (key == JumpCacheKey) return;
        ClearJumpCache();
        JumpCacheKey = key;
    }

    /// <summary>Empties the jump cache.</summary>
    public void ClearJumpCache()
    {
        JumpCacheClears++;
        // Most processes use a small part of it.
        if (_jumpsSet.Count > Slot.JumpCacheEntries / 8) new Span<ulong>(JumpCache, Slot.JumpCacheEntries).Fill(_jumpMiss);
        else
            foreach (var index in _jumpsSet) JumpCache[index] = _jumpMiss;
        _jumpsSet.Clear();
        _codePages.Clear();
        _codeLargePages.Clear();
        _hasLocalCode = false;
    }

    public void Dispose() => _range.Dispose();

    // 48-bit canonical linear address of a page number.
    private static ulong LinearOf(ulong page) => (ulong)((long)(page << 28) >> 16);

    private void Drop(ulong page)
    {
        ReadTable[page] = 0;
        WriteTable[-1 - (long)page] = 0;
    }
}
