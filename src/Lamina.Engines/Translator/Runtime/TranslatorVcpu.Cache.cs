// What the processor says has changed, and what that makes stale here.
using Lamina.Engines.Translator.Analyse;
using Lamina.Engines.X86;

namespace Lamina.Engines.Translator.Runtime;

internal sealed unsafe partial class TranslatorVcpu
{
    private long _useCount;

    /// <inheritdoc/>
    public void PageInvalidated(ulong linear)
    {
        _flushes++;
        var mark = ((byte*)_largeMap.Address)[linear << 16 >> 37];
        if (mark == 2)
        {
            _supervisor.FlushAll();
            _user.FlushAll();
            return;
        }
        _supervisor.Invalidate(linear, mark != 0);
        _user.Invalidate(linear, mark != 0);
    }

    /// <inheritdoc/>
    public void AddressSpaceChanged(ulong oldCr3, ulong newCr3, bool keepNonGlobal)
    {
        _flushes++;
        _modeStale = true;
        _supervisor.FlushLocal();
        _user = UserRegionFor(newCr3, out var known);
        if (!known) _user.FlushAll();
        else if (!keepNonGlobal) _user.FlushLocal();
    }

    /// <inheritdoc/>
    public void Flush(bool global)
    {
        _flushes++;
        _modeStale = true;
        if (global) _supervisor.FlushAll();
        else _supervisor.FlushLocal();
        foreach (var region in _users)
        {
            if (region == null) continue;
            region.FlushAll();
            if (region != _user) region.Owner = ulong.MaxValue;
        }
    }

    /// <inheritdoc/>
    public void FlushPcid(ushort pcid)
    {
        _flushes++;
        _modeStale = true;
        _supervisor.FlushLocal();
        foreach (var region in _users)
            if (region != null && region.Owner != ulong.MaxValue && (region.Owner & 0xfff) == pcid) region.FlushAll();
    }

    /// <inheritdoc/>
    public void ModeChanged()
    {
        if (!_modeStale && (_cpu->Cr4 & Cr4.SMAP) != 0 && _area->WalkForbidden == 0 && SmapInForce) _supervisor.FlushLocal();
        _modeStale = true;
    }

    /// <inheritdoc/>
    public void SegmentBaseOrLimitChanged()
    {
        if (!_key.IsLong()) _modeStale = true;
    }

    /// <inheritdoc/>
    public void DebugRegistersChanged()
    {
        Flush(global: true);
    }

    /// <inheritdoc/>
    public void RamWritten(ulong physical, int length)
    {
        if (_store.Pages.TouchesCode(physical, length)) _store.Invalidate(physical, (ulong)length);
    }

    /// <summary>Stores to a page must be seen from now on.</summary>
    public void ProtectPage(ulong physical)
    {
        var host = _area->RamBase + physical;
        _supervisor.ProtectHostPage(host);
        foreach (var region in _users) region?.ProtectHostPage(host);
    }

    /// <summary>No address in generated code is valid any more.</summary>
    public void TranslationsDropped()
    {
        _supervisor.ClearJumpCache();
        foreach (var region in _users) region?.ClearJumpCache();
    }

    /// <summary>The region of a user address space: its own if it still has one, else the one that was not used for longest.</summary>
    private AddressRegion UserRegionFor(ulong cr3, out bool known)
    {
        var oldest = 0;
        known = true;
        for (var i = 0; i < _users.Length; i++)
        {
            var region = _users[i];
            if (region == null)
            {
                oldest = i;
                break;
            }
            if (region.Owner == cr3) return Used(region);
            if (region.LastUse < _users[oldest].LastUse) oldest = i;
        }
        known = false;
        var chosen = _users[oldest] ??= new AddressRegion(_shared, _store.Stubs.Addresses.JumpMiss);
        chosen.Owner = cr3;
        return Used(chosen);

        AddressRegion Used(AddressRegion region)
        {
            region.LastUse = ++_useCount;
            return region;
        }
    }
}
