// From RIP to code, and from modes to the region and key that code runs with.
using System.Runtime.CompilerServices;
using Lamina.Core.Engine;
using Lamina.Engines.Translator.Analyse;
using Lamina.Engines.Translator.Code;
using Lamina.Engines.X86;

namespace Lamina.Engines.Translator.Runtime;

internal sealed unsafe partial class TranslatorVcpu
{
    private const ulong EntryGlobal = 0x100;

    private ulong LinearRip => _processor.Is64Bit ? _cpu->Rip : (uint)(_cpu->Rip + _cpu->Cs.Base);

    /// <summary>
    /// Whether the next instruction is to be executed by itself. Where instruction breakpoints are armed, one that RF lets pass is, since RF
    /// ends with it, and those in a page whose breakpoints have no number (until all translations are dropped, which is about to be done).
    /// </summary>
    private bool WantsSteps => _stepOnce || _debuggerSteps || _processor.StepsInstructions || _settings.SingleInstructionBlocks
        || (_processor.HasCodeBreakpoints && ((_cpu->SystemFlags & Rflags.RF) != 0 || IsSteppedPage(LinearRip)));

    private bool IsSteppedPage(ulong linear) => _processor.WatchesCodePage(linear) && ArmedOf(linear) == 0;

    // What the key of code at an address has more than others, since instruction breakpoints are armed in its page.
    private ModeKey ArmedOf(ulong linear)
    {
        if (!_processor.HasCodeBreakpoints) return 0;
        for (var n = 0; n < VcpuArea.Watches; n++)
            if (_processor.WatchedCode(n) is { } armed && (armed ^ linear) < PageSize) return _armed[n];
        return 0;
    }

    // Before code at an address it is looked at the debug registers, or at RF: only the way by RIP does that.
    private bool IsArmed(ulong linear) => _processor.HasCodeBreakpoints && (_processor.IsArmed(linear) || IsSteppedPage(linear));

    /// <summary>Makes what is derived from modes fit them.</summary>
    private void UpdateMode()
    {
        _modeStale = false;
        if (_watchesStale) UpdateWatches();
        var single = WantsSteps;
        _key = WithTsc(ModeKeys.Of(_cpu, single));
        _region = _cpu->Cpl == 3 ? _user : SmapInForce ? _closed : _open;
        single = (_key & ModeKey.SingleStep) != 0;
        // Code that is stepped through does not use the jump cache.
        if (!single) _region.Jumps.UseKey(_key);
        var longMode = (_cpu->Efer & Efer.LMA) != 0 && (_cpu->Cr0 & Cr0.PG) != 0;
        _area->FastWalk = !longMode || (_cpu->Efer & Efer.NXE) == 0 ? 0u : _processor.HasDataBreakpoints ? 2u : 1u;
        _area->NotPlainFlags = PrivilegeStubs.NotPlain | (_processor.HasCodeBreakpoints ? Rflags.RF : 0);
        _area->WalkGlobal = (_cpu->Cr4 & Cr4.PGE) != 0 ? EntryGlobal : 0;
        if (!_key.IsLong()) UpdateSegmentLimits();
        UpdatePrivilegeChanges(longMode && !single);
    }

    /// <summary>Says whether machine code may change the privilege level by itself, and what it has to load then.</summary>
    private void UpdatePrivilegeChanges(bool possible)
    {
        var smap = (_cpu->Cr4 & Cr4.SMAP) != 0;
        _area->UserGs = _user.Gs;
        _area->OpenGs = _open.Gs;
        _area->ClosedGs = smap ? _closed.Gs : _open.Gs;
        var supervisor = _processor.LoadFlatPairs(&_area->KernelCode, &_area->KernelStack, &_area->UserCode, &_area->UserStack) && possible
            && (_cpu->Efer & Efer.SCE) != 0 && _closed.Jumps.Key == WithTsc(ModeKeys.Long(_cpu, 0));
        _area->KernelReady = supervisor ? 1u : 0;
        _area->EntryReady = supervisor && (!smap || (_cpu->Sfmask & Rflags.AC) != 0) ? 1u : 0;
        _area->ReturnReady = supervisor && _user.Jumps.Key == WithTsc(ModeKeys.Long(_cpu, 3)) ? 1u : 0;
        _area->DataSegmentsSafe = _processor.DataSegmentsSafe ? 1u : 0;
    }

    private ModeKey WithTsc(ModeKey key) => _hostTsc == null ? key & ~ModeKey.NativeTsc : key;

    /// <summary>Generated code may have changed the region, and with it what it may access; the modes are then what that region's code was made for.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void SyncRegion()
    {
        var number = (int)_area->RegionNumber;
        if (number == _region.Number) return;
        _region = RegionOf(number)!;
        _key = _region.Jumps.Key;
    }

    private bool SmapInForce => (_cpu->Cr4 & Cr4.SMAP) != 0 && (_cpu->SystemFlags & Rflags.AC) == 0;

    private void UpdateSegmentLimits()
    {
        for (var i = 0; i < 6; i++)
        {
            var segment = &_cpu->Es + i;
            _area->ReadLimits[i] = _processor.IsPlainSegment(i, write: false) ? segment->Limit + 1ul : 0;
            _area->WriteLimits[i] = _processor.IsPlainSegment(i, write: true) ? segment->Limit + 1ul : 0;
        }
    }

    private BlockIdentity IdentityOf(ulong physical, ulong linear)
    {
        var independent = (_key & ModeKey.PositionIndependent) != 0;
        var armed = (_key & ModeKey.SingleStep) != 0 ? 0 : ArmedOf(linear);
        return new BlockIdentity(physical, independent ? 0 : linear, _processor.Is64Bit ? 0 : _cpu->Cs.Base, _key | armed);
    }

    /// <summary>Makes the next entry go to the code at RIP. False: the fetch faults, and <see cref="Processor.Fault"/> says how.</summary>
    /// <param name="remember">The jump cache is told of it.</param>
    private bool EnterAtRip(bool remember)
    {
        if (_processor.HasCodeBreakpoints && !_processor.CheckFetchBreakpoint()) return false;
        _trapFlagAtEntry = (_cpu->SystemFlags & Rflags.TF) != 0;
        var linear = LinearRip;
        if (FindBlock(linear) is not { } block) return false;
        if (remember) Remember(block, linear);
        Enter(block, linear);
        return true;
    }

    // Where nobody wants to see each instruction, and the next entry may be refused for an exit request. What is armed is never there.
    private bool CanEnterByJumpCache => (_key & ModeKey.SingleStep) == 0 && _breakpoints.Count == 0 && _cpu->InterruptShadow == 0 && !_processor.WatchesCodePage(LinearRip);

    private void EnterByJumpCache()
    {
        _trapFlagAtEntry = false;
        _area->EnterAddress = _store.Stubs.Addresses.Jump;
        _area->Scratch0 = LinearRip;
        _area->ParkedFlags = Park(_cpu->ArithmeticFlags);
        _generation = _store.Generation;
    }

    private void Enter(Block block, ulong linear)
    {
        if ((_key & ModeKey.SingleStep) == 0) _region.Jumps.NoteCode(linear, block, _lastFetchGlobal);
        _vectorsExpected = false;
        _area->EnterAddress = _store.Buffer.Executable(block.HostStart);
        _area->CodePage = linear & ~0xffful;
        _area->HostFlags = Park(_cpu->ArithmeticFlags);
        _generation = _store.Generation;
    }

    private Block? FindBlock(ulong linear)
    {
        if (!_processor.TryFetch(linear, out var translation)) return null;
        var physical = translation.PhysicalPage | linear & 0xfff;
        _lastFetchGlobal = translation.Global;
        if (!_store.Pages.IsMemory(physical)) return NoCode();
        LargePages.Note(linear, translation.PageSize);
        var identity = IdentityOf(physical, linear);
        var block = _store.Find(identity);
        if (block is { CrossesPage: true } && NextPhysical(linear) != block.SecondPage)
        {
            lock (_store.Gate) _store.Invalidate(physical, 1);
            block = null;
        }
        if (block != null) return block;
        lock (_store.Gate)
        {
            // What is there may have changed meanwhile.
            if (!_store.Pages.IsMemory(physical)) return NoCode();
            // Another vCPU may have been faster.
            block = _store.Find(identity) ?? _store.Translate(identity, linear, _nextPhysical);
            _generation = _store.Generation;
        }
        // The bytes behind the page could not be fetched: that fault is the instruction's.
        if (block == null) _ = _processor.TryFetch((linear & ~0xffful) + 4096, out _);
        return block;
    }

    // Nothing answers there but, at most, a device: the bus reads as ones, and FF FF is no instruction.
    private Block? NoCode()
    {
        _processor.RaiseInvalidOpcode();
        return null;
    }

    private bool _lastFetchGlobal, _trapFlagAtEntry;

    private ulong NextPhysical(ulong linear)
    {
        var kept = _lastFetchGlobal;
        var next = (linear & ~0xffful) + 4096;
        if (!_processor.Is64Bit) next = (uint)next;
        var found = _processor.TryFetch(next, out var translation) ? translation.PhysicalPage : ulong.MaxValue;
        _lastFetchGlobal = kept;
        return found;
    }

    /// <summary>Remembers in the jump cache where a linear address leads, unless its page has instruction breakpoints: from other pages one comes there by RIP.</summary>
    private void Remember(Block block, ulong linear)
    {
        if (((_key | block.Key) & (ModeKey.SingleStep | ModeKey.Armed)) != 0) return;
        ulong pad;
        bool shared;
        lock (_store.Gate)
        {
            shared = _region.IsUser && _store.Shares(block);
            pad = _store.PadFor(block, linear, shared);
        }
        _region.Jumps.Set(linear, pad, block, _lastFetchGlobal);
        if (shared) _region.Jumps.KnownPage(linear, block.Physical);
    }

    /// <summary>Arithmetic flags as SETO and LAHF leave them.</summary>
    private static ulong Park(ulong flags) => (flags & 0xd5) << 8 | 0x200 | (flags >> 11 & 1);

    /// <summary>The other way.</summary>
    private static ulong Unpark(ulong parked) => parked >> 8 & 0xd5 | (parked & 1) << 11;
}
