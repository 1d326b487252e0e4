// What the processor says has changed, and what that makes stale here.
using System.Numerics;
using Lamina.Engines.Translator.Analyse;
using Lamina.Engines.Translator.Code;
using Lamina.Host;

namespace Lamina.Engines.Translator.Runtime;

internal sealed unsafe partial class TranslatorVcpu
{
    private readonly DevicePages _devicePages = new();
    private long _useCount;
    private int _stopsSeen;
    private volatile bool _pagesStale;

    // Bytes of the longest access that generated code makes by itself.
    private const ulong LongestAccess = 64;

    private const ulong PageSize = 4096;

    // What the keys of code in the pages of DR0 to DR3 have more than others, where those are instruction breakpoints.
    private readonly ModeKey[] _armed = new ModeKey[VcpuArea.Watches];

    // What is resumed makes an access at a place that its handler found in RAM.
    private bool _resumesInPlace;

    // What the jump caches counted that are gone.
    private long _releasedReplaced, _releasedClears;

    /// <inheritdoc/>
    public void PageInvalidated(ulong linear) => _ = Invalidate(linear);

    // True: every way to code is as it was.
    private bool Invalidate(ulong linear)
    {
        _flushes++;
        _devicePages.Forget();
        var mark = LargePages[linear];
        if (mark == LargePages.Huge)
        {
            _closed.FlushAll();
            _open.FlushAll();
            _user.FlushAll();
            return false;
        }
        var large = mark != LargePages.None;
        _closed.Invalidate(linear, large);
        _open.Invalidate(linear, large);
        _user.Invalidate(linear, large);
        return InvalidateCode(_closed, linear, large) & InvalidateCode(_user, linear, large);
    }

    // Mostly code stays where it is, and what leads there is dear. A processor may fetch the translation again at once (SDM vol. 3, 4.10.2.3),
    // so that what is found as it was found before may stay. False: it was not.
    private bool InvalidateCode(AddressRegion region, ulong linear, bool large)
    {
        if (!region.Jumps.HasCode(linear, large)) return true;
        if (_processor.TryTranslateUnseen(linear, region.IsUser, out var page) && page.PageSize > PageSize == large
            && region.Jumps.IsRightFor(linear, large, page.PhysicalPage, page.Global)) return true;
        region.Jumps.Invalidate(linear, large);
        return false;
    }

    /// <inheritdoc/>
    public void AddressSpaceChanged(ulong oldCr3, ulong newCr3, bool keepNonGlobal)
    {
        _flushes++;
        _devicePages.Forget();
        _modeStale = true;
        FlushSupervisor(global: false);
        _user.Count();
        _user = UserRegionFor(newCr3, out var known);
        if (!known) _user.FlushAll();
        else if (!keepNonGlobal) _user.FlushLocal();
    }

    /// <inheritdoc/>
    public void Flush(bool global)
    {
        _flushes++;
        _devicePages.Forget();
        _modeStale = true;
        FlushSupervisor(global);
        foreach (var region in _users)
        {
            if (region == null) continue;
            region.FlushAll();
            if (region != _user) region.Owner = ulong.MaxValue;
        }
    }

    /// <inheritdoc/>
    public void WriteProtectionSet()
    {
        _devicePages.Forget();
        _closed.ForgetStores();
        _open.ForgetStores();
    }

    /// <inheritdoc/>
    public void FlushPcid(ushort pcid)
    {
        _flushes++;
        _devicePages.Forget();
        _modeStale = true;
        FlushSupervisor(global: false);
        foreach (var region in _users)
            if (region != null && region.Owner != ulong.MaxValue && (region.Owner & 0xfff) == pcid) region.FlushAll();
    }

    /// <inheritdoc/>
    public void ModeChanged() => _modeStale = true;

    /// <inheritdoc/>
    public void IdentificationChanged() => Answers.Clear();

    private CpuidAnswers Answers => new(_area->Answers);

    /// <inheritdoc/>
    public void SegmentBaseOrLimitChanged()
    {
        if (!_key.IsLong()) _modeStale = true;
        if (!_modeStale) _area->DataSegmentsSafe = _processor.DataSegmentsSafe ? 1u : 0;
    }

    /// <inheritdoc/>
    public void DebugRegistersChanged() => _modeStale = _watchesStale = true;

    // What is watched from now on is in no table, and nothing leads to it but the executor.
    private void UpdateWatches()
    {
        _watchesStale = false;
        for (var n = 0; n < VcpuArea.Watches; n++)
        {
            var data = _processor.WatchedData(n);
            _area->WatchedPages[n] = data is { } address ? AddressRegion.PageOf(address) : ulong.MaxValue;
            _area->WatchedFrom[n] = data.GetValueOrDefault() - LongestAccess + 1;
            _area->WatchedLengths[n] = data is null ? 0 : _processor.WatchedLength(n) + LongestAccess - 1;
            if (data is { } watched)
                foreach (var region in Regions) region.Invalidate(watched, large: false);
            if (_processor.WatchedCode(n) is { } code)
            {
                foreach (var region in Regions) region.Jumps.Invalidate(code, large: false);
                _armed[n] = ArmedKey(code);
            }
        }
    }

    // For the translations of the page of an instruction breakpoint.
    private ModeKey ArmedKey(ulong code)
    {
        Span<ulong> offsets = stackalloc ulong[VcpuArea.Watches];
        var count = 0;
        for (var n = 0; n < VcpuArea.Watches; n++)
            if (_processor.WatchedCode(n) is { } other && (other ^ code) < PageSize) offsets[count++] = other & (PageSize - 1);
        lock (_store.Gate) return _store.ArmedSets.KeyOf(offsets[..count]);
    }

    /// <inheritdoc/>
    public void RamWritten(ulong physical, int length)
    {
        Interlocked.MemoryBarrier();
        _memory.Writes.Mark(physical, (ulong)length);
        _store.NoteWritten(physical, (ulong)length);
    }

    /// <summary>Pages' addresses are void, all of them: they are forgotten before generated code runs again. While all are stopped.</summary>
    public void ForgetPages() => _pagesStale = true;

    /// <summary>Waits until generated code may be entered. False: what it was to do there is to be done anew, from the instruction's beginning.</summary>
    private bool EnterWorld()
    {
        while (true)
        {
            _store.World.Enter(this);
            if (_stopsSeen == _store.World.Stops) break;
            MoveTo(VcpuPlace.Handling);
            if (IsOvertaken()) return false;
        }
        _resumesInPlace = false;
        return true;
    }

    /// <summary>
    /// All were stopped since this vCPU was in generated code last. Then rights that a handler found may be gone; before the access is
    /// made with them they are found anew, as after a TLB's invalidation by another processor.
    /// </summary>
    private bool IsOvertaken()
    {
        _stopsSeen = _store.World.Stops;
        if (_pagesStale)
        {
            // Whoever sets it again stops all once more.
            _pagesStale = false;
            _devicePages.Forget();
            Interlocked.MemoryBarrier();
            _closed.ForgetPages();
            _open.ForgetPages();
            foreach (var region in _users) region?.ForgetPages();
        }
        if (!_resumesInPlace) return false;
        _resumesInPlace = false;
        _resume = 0;
        return true;
    }

    /// <summary>Stores to a page must be seen from now on.</summary>
    public void ProtectPage(ulong physical)
    {
        var host = _area->RamBase + physical;
        var hints = _writeHints.Of(physical);
        if (hints[0] == WriteHints.Many)
        {
            _closed.ProtectAll(host);
            _open.ProtectAll(host);
            foreach (var region in _users) region?.ProtectAll(host);
        }
        else
        {
            foreach (var hint in hints)
            {
                var (page, regions) = WriteHints.Read(hint);
                for (; regions != 0; regions &= regions - 1) RegionOf(BitOperations.TrailingZeroCount(regions))?.Protect(page, host);
            }
        }
        hints.Clear();
    }

    /// <summary>No address in generated code is valid any more.</summary>
    public void TranslationsDropped()
    {
        // Sets of instruction breakpoints get new numbers.
        _modeStale = _watchesStale = true;
        _closed.Jumps.Release();
        _user.Jumps.Release();
        // Those that are wanted again come back empty, as they would be now, but without the memory that they had.
        for (var i = 0; i < _users.Length; i++)
        {
            if (_users[i] is not { } region || region == _user) continue;
            Release(region);
            _users[i] = null;
        }
    }

    // Jump caches say nothing that is less true then, but how large their pages are nobody knows any more.
    private void GiveTablesBack()
    {
        foreach (var region in Regions)
        {
            region.GiveBack();
            region.Jumps.ForgetSizes();
        }
        LargePages.GiveBack();
        _devicePages.Forget();
        _writeHints.Clear();
    }

    private void Release(AddressRegion region)
    {
        _releasedReplaced += region.Jumps.Replaced;
        _releasedClears += region.Jumps.Clears;
        region.Jumps.Dispose();
        region.Dispose();
    }

    private void FlushSupervisor(bool global)
    {
        if (global)
        {
            _closed.FlushAll();
            _open.FlushAll();
        }
        else
        {
            _closed.FlushLocal();
            _open.FlushLocal();
        }
    }

    private IEnumerable<AddressRegion> Regions => _users.OfType<AddressRegion>().Prepend(_open).Prepend(_closed);

    private AddressRegion? RegionOf(int number) => number switch { 0 => _closed, 1 => _open, _ => _users[number - 2] };

    private AddressRegion NewUserRegion(int index)
    {
        var jumps = new JumpCache(_store.Stubs.Addresses.JumpEmpty);
        try
        {
            return _users[index] = new AddressRegion(_shared, jumps, RegionKind.User, index + 2, _tables, LargePages);
        }
        catch
        {
            jumps.Dispose();
            throw;
        }
    }

    // Null where the host gives no more (open files, mappings): then those that are there have to do.
    private AddressRegion? TryNewUserRegion(int index)
    {
        try
        {
            return NewUserRegion(index);
        }
        catch (HostException)
        {
            return null;
        }
    }

    /// <summary>The region of a user address space: its own if it still has one, else the one that was not used for longest.</summary>
    private AddressRegion UserRegionFor(ulong cr3, out bool known)
    {
        var oldest = 0;
        known = true;
        for (var i = 0; i < _users.Length; i++)
        {
            if (_users[i] is { } region && region.Owner == cr3) return Used(region);
            if (LastUse(i) < LastUse(oldest)) oldest = i;
        }
        known = false;
        var chosen = _users[oldest] ?? TryNewUserRegion(oldest) ?? _users.OfType<AddressRegion>().MinBy(region => region.LastUse)!;
        chosen.Owner = cr3;
        return Used(chosen);

        long LastUse(int index) => _users[index]?.LastUse ?? -1;

        AddressRegion Used(AddressRegion region)
        {
            region.LastUse = ++_useCount;
            return region;
        }
    }
}
