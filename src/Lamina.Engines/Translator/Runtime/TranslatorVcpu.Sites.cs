// What generated code leaves for. Each handler makes the architectural state exact (RIP, flags), does what is wanted,
// and says where to go on: at a host address (_resume) or, with _resume zero, at RIP.
using Lamina.Core.Engine;
using Lamina.Core.Logging;
using Lamina.Engines.Translator.Analyse;
using Lamina.Engines.Translator.Code;
using Lamina.Engines.X86;
using Lamina.Engines.X86.Decode;
using Lamina.Engines.X86.Memory;
using Lamina.Engines.X86.Paging;

namespace Lamina.Engines.Translator.Runtime;

internal sealed unsafe partial class TranslatorVcpu
{
    private ulong _storeLinear;
    private StorePlace _storePlace;
    private bool _debugStop;

    /// <summary>Handles an exit. False: triple fault.</summary>
    private bool HandleExit(SiteKind kind)
    {
        _exits[(int)kind]++;
        if (kind == SiteKind.JumpMiss) return HandleJumpMiss();
        if (kind == SiteKind.HostFault) return HandleHostFault();
        ref var left = ref FindSite(kind);
        ref readonly var site = ref left.Site;
        var block = left.Block;
        if (kind == SiteKind.Stale) return HandleStale(block);
        _vectorsExpected = block.LoadsVectors;
        _cpu->Rip = RipOf(block, site.GuestOffset);
        _cpu->ArithmeticFlags = Unpark(site.Parked ? _area->ParkedFlags : _area->HostFlags);
        switch (site.Kind)
        {
            case SiteKind.Read: return HandleRead(site);
            case SiteKind.Write: return HandleWrite(block, ref left);
            case SiteKind.Commit: return HandleCommit(site);
            case SiteKind.Segment: return HandleSegment(site);
            case SiteKind.System: return HandleSystem(block, site);
            case SiteKind.Port: return HandlePort(block, site);
            case SiteKind.Poll:
                _resume = _area->ExitAddress;
                return true;
            case SiteKind.Link or SiteKind.FarLink: return HandleLink(block, site);
            case SiteKind.Step: return HandleStep();
            case SiteKind.BadTarget:
                RaiseBadTarget(site);
                return DeliverFault();
            case SiteKind.Undecodable:
                _processor.RaiseUndecodable(site.Target == (int)DecodeResult.TooLong);
                return DeliverFault();
            default: throw new InvalidOperationException($"unexpected site {site.Kind}");
        }
    }

    private struct RecentSite
    {
        public ulong Address;
        public int Generation;
        public Block Block;
        public Site Site;

        // Of a store that was bounced: whether its instruction may store less than all, and whether that is known.
        public bool MayStoreLess, IsDecoded;
    }

    // The places that generated code left from last, by a hash of the address; one more for what is not kept.
    private readonly RecentSite[] _recentSites = new RecentSite[RecentSites + 1];
    private const int RecentSites = 1024;

    /// <summary>The site and block that generated code left from; no site for <see cref="SiteKind.Stale"/>. It holds until the next exit.</summary>
    private ref RecentSite FindSite(SiteKind kind)
    {
        var address = _area->ExitAddress;
        // A jump that is linked does not leave again.
        ref var recent = ref _recentSites[kind == SiteKind.Link ? RecentSites : (int)(address ^ address >> 10) & (RecentSites - 1)];
        if (kind == SiteKind.Link || recent.Address != address || recent.Generation != _store.Generation)
        {
            var site = LookUpSite(kind, address, out var found);
            recent = new RecentSite { Address = address, Generation = _store.Generation, Block = found, Site = site };
        }
        return ref recent;
    }

    private Site LookUpSite(SiteKind kind, ulong address, out Block block)
    {
        var buffer = _store.Buffer;
        lock (_store.Gate)
        {
            var offset = buffer.OffsetOfExecutable(address);
            block = (kind == SiteKind.Link ? buffer.BlockAt(*(int*)buffer.At(offset)) : buffer.FindBlock(offset - 1))
                ?? throw new InvalidOperationException($"generated code left from {address:x}, which is in no block");
            var index = kind == SiteKind.Stale ? 0 : buffer.FindSite(block, offset);
            if (index < 0) throw new InvalidOperationException($"generated code left by {kind} from a place that is no site");
            return buffer.Sites[index];
        }
    }

    private ulong RipOf(Block block, int offset)
    {
        if ((block.Key & ModeKey.PositionIndependent) != 0)
        {
            var linear = _area->CodePage + (block.Physical & 0xfff) + (ulong)offset;
            return block.Key.IsLong() ? linear : (uint)linear;
        }
        var rip = block.Linear + (ulong)offset - block.CodeBase;
        return block.Key.IsLong() ? rip : (uint)rip;
    }

    private bool DeliverFault()
    {
        _faultCount++;
        _log.Trace(LogEvent.Fault, $"fault {_processor.Fault} at {_cpu->Cs.Selector:x}:{_cpu->Rip:x}");
        return Deliver(_processor.DeliverFault());
    }

    /// <summary>Goes on within the instruction that left.</summary>
    private void ResumeAt(int offset) => ResumeWithin(_store.Buffer.Executable(offset));

    private void ResumeWithin(ulong address)
    {
        _resume = address;
        _midInstruction = true;
    }

    /// <summary>The same, to make the access in place, which holds as long as nobody takes that right away: see <see cref="IsOvertaken"/>.</summary>
    private void ResumeInPlace(int offset)
    {
        ResumeAt(offset);
        _resumesInPlace = true;
    }

    // ---- memory ----

    private bool HandleRead(in Site site)
    {
        var linear = _area->Scratch0;
        if (!CheckAddress(linear, site)) return HandleReadFault(site, linear);
        var size = site.Size;
        _region.NoteLook(linear);
        if (MustStopBehind(linear, size, write: false)) return StepOver();
        var bounce = BounceFor(linear);
        if (InOnePage(linear, size) && !_processor.WatchesDataPage(linear))
        {
            if (!_devicePages.TryFind(_region, linear, write: false, out var device) || _store.Pages.IsMemory(device))
            {
                if (!_processor.TryTranslate(linear, AccessKind.Read, _cpu->Cpl == 3, out var page)) return HandleReadFault(site, linear);
                if (_store.Pages.IsMemory(page.PhysicalPage))
                {
                    Fill(linear, page, page.Writable && page.Dirty);
                    ResumeInPlace(site.Resume);
                    return true;
                }
                device = page.PhysicalPage;
                NoteDevice(linear, page, write: false);
            }
            _processor.ReadDevicePage(device, linear, new Span<byte>(bounce, size));
        }
        else if (!_processor.TryReadLinear(linear, new Span<byte>(bounce, size))) return HandleReadFault(site, linear);
        _area->Scratch1 = (ulong)bounce - linear;
        _goesOn = true;
        ResumeAt(site.Resume);
        return true;
    }

    /// <summary>The place in the bounce buffer that is aligned as the operand is: an instruction that insists on alignment is pleased, or faults, as it would be there.</summary>
    private byte* BounceFor(ulong linear) => (byte*)(_area->BounceStart + (linear & (VcpuArea.BounceAlignment - 1)));

    private bool HandleReadFault(in Site site, ulong linear)
    {
        if (!TryMaskedWindow(site, linear, AccessKind.Read)) return DeliverOperandFault();
        ResumeAt(site.Resume);
        return true;
    }

    /// <summary>Delivers the fault of a memory operand, unless a pending x87 exception comes before it (SDM vol. 3, table 6-2).</summary>
    private bool DeliverOperandFault()
    {
        if (!_processor.HasPendingX87) return DeliverFault();
        var fault = _processor.Fault;
        if (TryDecodeCurrent(out var instruction) && WaitsForX87(instruction)) _processor.RaisePlain(Vector.X87);
        else _processor.RestoreFault(fault);
        return DeliverFault();
    }

    // All x87 and MMX instructions but FNSTCW and FNSTSW; the others that do not wait are not of the X87 state's Plain ones.
    private static bool WaitsForX87(in Instruction instruction) => instruction.State switch
    {
        StateClass.Mmx => true,
        StateClass.Sse => instruction is { Map: 1, Opcode: 0x2c or 0x2d, MandatoryPrefix: 0 or 0x66 }, // CVT(T)PS2PI, CVT(T)PD2PI
        StateClass.X87 => (instruction.Opcode, instruction.ModRm >> 3 & 7) is not ((0xd9, 7) or (0xdd, 7)),
        _ => false,
    };

    /// <summary>Whether an access hits a breakpoint, which is reported behind its instruction: that has to be alone.</summary>
    private bool MustStopBehind(ulong linear, int size, bool write) => (_key & ModeKey.SingleStep) == 0 && _processor.IsWatched(linear, size, write);

    private bool HandleWrite(Block block, ref RecentSite left)
    {
        ref readonly var site = ref left.Site;
        var linear = _area->Scratch0;
        // What machine code may have prepared did not come about if its copy faulted.
        _area->BounceFirstBytes = 0;
        if (!CheckAddress(linear, site)) return HandleWriteFault(site, linear);
        var size = site.Size;
        _region.NoteLook(linear);
        if (MustStopBehind(linear, size, write: true)) return StepOver();
        if (InOnePage(linear, size))
        {
            if (!_devicePages.TryFind(_region, linear, write: true, out var found) || _store.Pages.IsRam(found))
            {
                if (!_processor.TryTranslate(linear, AccessKind.Write, _cpu->Cpl == 3, out var page)) return HandleWriteFault(site, linear);
                found = page.PhysicalPage;
                var physical = found | linear & 0xfff;
                if (_store.Pages.IsRam(physical) && !_processor.WatchesDataPage(linear))
                {
                    if (_store.Rights.TryOpen(physical) || (!IsOwnPage(block, physical) && _store.Rights.TryTakeFromCode(physical)))
                    {
                        Fill(linear, page, write: true);
                        ResumeInPlace(site.Resume);
                        return true;
                    }
                    if (block.InstructionCount > 1 && PhysicalPages.DependsOn(block, physical, size)) return StepOver();
                }
                if (!_store.Pages.IsMemory(physical)) NoteDevice(linear, page, write: true);
            }
            // Found once: another CPU may take the page's rights away before the store is made, as it may behind a processor's TLB.
            _storePlace = new StorePlace(linear, found, 0);
        }
        else if (!_processor.TryPlaceStore(linear, size, out _storePlace))
        {
            return HandleWriteFault(site, linear);
        }
        else if (block.InstructionCount > 1 && CrossingTouches(block, linear, size))
        {
            return StepOver();
        }
        // A device answers to each access by itself; it may take locks, and may change what lies where.
        if (site.Reads && _store.World.Vcpus.Count > 1 && IsInRam(_storePlace, size) && IsLocked()) HoldWorld();
        var bounce = BounceFor(linear);
        if (site.Reads && !_processor.TryReadLinear(linear, new Span<byte>(bounce, size))) return DeliverFault();
        _storeLinear = linear;
        _masked = null;
        if (!site.Reads) PreparePartialStore(ref left, linear);
        _area->Scratch1 = (ulong)bounce - linear;
        _goesOn = true;
        ResumeAt(site.Copy);
        return true;
    }

    // What a block changes of its own page it may run next.
    private static bool IsOwnPage(Block block, ulong physical) => (physical ^ block.Physical) < PageSize || (physical & ~(PageSize - 1)) == block.SecondPage;

    private bool IsInRam(in StorePlace place, int size) =>
        _store.Pages.IsRam(place.FirstPage) && (InOnePage(place.Linear, size) || _store.Pages.IsRam(place.SecondPage));

    private bool IsLocked() =>
        TryDecodeCurrent(out var instruction) && ((instruction.Traits & InstructionTraits.Lock) != 0 || instruction.Id == InstructionId.Xchg);

    private bool HandleWriteFault(in Site site, ulong linear)
    {
        if (!TryMaskedWindow(site, linear, AccessKind.Write)) return DeliverOperandFault();
        ResumeAt(site.Copy);
        return true;
    }

    private bool HandleCommit(in Site site)
    {
        if (_masked != null) CommitMasked();
        else _processor.StoreAt(_storePlace, 0, new ReadOnlySpan<byte>(BounceFor(_storeLinear), site.Size));
        // Flags are the instruction's results by now, in the host's flags or still parked; both go on as they are.
        _goesOn = true;
        ResumeWithin(_area->ExitAddress);
        return true;
    }

    private bool CrossingTouches(Block block, ulong linear, int size)
    {
        var first = (int)(4096 - (linear & 0xfff));
        return (_processor.TryTranslate(linear, AccessKind.Write, _cpu->Cpl == 3, out var page) && PhysicalPages.DependsOn(block, page.PhysicalPage | linear & 0xfff, first))
            || (_processor.TryTranslate(linear + (ulong)first, AccessKind.Write, _cpu->Cpl == 3, out page) && PhysicalPages.DependsOn(block, page.PhysicalPage, size - first));
    }

    /// <summary>Executes the current instruction alone: it changes code, maybe that of its own block behind it.</summary>
    private bool StepOver()
    {
        _stepOnce = true;
        _modeStale = true;
        _resume = 0;
        return true;
    }

    /// <summary>An instruction ran natively in a block of its own.</summary>
    private bool HandleStep()
    {
        _cpu->SystemFlags &= ~Rflags.RF;
        return FinishStep();
    }

    /// <summary>Reports what is due between instructions. RF is as the instruction left it: IRET may have set it for the next one.</summary>
    private bool FinishStep()
    {
        if (_stepOnce)
        {
            _stepOnce = false;
            _modeStale = true;
        }
        _resume = 0;
        WatchHit = _processor.TakeWatchHit();
        if (_debuggerSteps || WatchHit != null) _debugStop = true;
        return _processor.CheckTraps(_trapFlagAtEntry) || DeliverFault();
    }

    private static bool InOnePage(ulong linear, int size) => (linear & 0xfff) + (ulong)size <= 4096;

    private bool CheckAddress(ulong linear, in Site site)
    {
        if (site.Alignment != 0 && (linear & (site.Alignment - 1u)) != 0)
        {
            _processor.RaiseNonCanonical(SegmentIndex.Ds);
            return false;
        }
        if (_processor.Is64Bit && (!Canonical(linear) || !Canonical(linear + site.Size - 1)))
        {
            _processor.RaiseNonCanonical(SegmentOfCurrent(site.Kind == SiteKind.Write));
            return false;
        }
        if (!_processor.Is64Bit && (uint)linear + (ulong)site.Size > 1ul << 32 && WrapsFlatSegment(site.Kind == SiteKind.Write)) return false;
        if ((_key & ModeKey.AlignmentCheck) != 0 && (linear & ((ulong)AlignmentOf(site.Size) - 1)) != 0)
        {
            _processor.RaiseAlignment();
            return false;
        }
        return true;

        static int AlignmentOf(int size) => size is 2 or 4 or 8 ? size : size == 10 ? 8 : 1;
    }

    // A flat segment ends at 4 GiB; one with a base may well go on at zero.
    private bool WrapsFlatSegment(bool write)
    {
        var segment = SegmentOfCurrent(write);
        if (!_key.IsFlat(segment)) return false;
        _processor.RaiseNonCanonical(segment);
        return true;
    }

    private static bool Canonical(ulong address) => (ulong)((long)(address << 16) >> 16) == address;

    /// <summary>The segment that the instruction at RIP accesses memory by: decides between #GP and #SS.</summary>
    private int SegmentOfCurrent(bool write)
    {
        if (!TryDecodeCurrent(out var instruction)) return SegmentIndex.Ds;
        var stack = instruction.Id switch
        {
            InstructionId.Leave or InstructionId.Ret or InstructionId.CallRelative or InstructionId.PushImmediate or InstructionId.Pushf => true,
            InstructionId.Push or InstructionId.CallIndirect => write || !instruction.HasMemory,
            InstructionId.Pop => !write,
            InstructionId.Popf => true,
            _ => false,
        };
        return stack ? SegmentIndex.Ss : instruction.Segment;
    }

    private bool TryDecodeCurrent(out Instruction instruction)
    {
        Span<byte> bytes = stackalloc byte[16];
        var linear = LinearRip;
        instruction = default;
        if (!_processor.TryFetch(linear, out var page) || !_store.Pages.IsMemory(page.PhysicalPage)) return false;
        var here = Math.Min(16, 4096 - (int)(linear & 0xfff));
        _memory.Require(page.PhysicalPage, 1);
        new ReadOnlySpan<byte>((byte*)_memory.HostBase + (page.PhysicalPage | linear & 0xfff), here).CopyTo(bytes);
        var length = here;
        if (here < 16 && _processor.TryFetch(linear + (ulong)here, out page) && _store.Pages.IsMemory(page.PhysicalPage))
        {
            _memory.Require(page.PhysicalPage, 1);
            new ReadOnlySpan<byte>((byte*)_memory.HostBase + page.PhysicalPage, 16 - here).CopyTo(bytes[here..]);
            length = 16;
        }
        return InstructionDecoder.Decode(bytes[..length], _key.CodeSize(), _model.InstructionSet, out instruction) == DecodeResult.Ok;
    }

    // A page that is no memory: large ones are marked as those of memory are.
    private void NoteDevice(ulong linear, in Translation page, bool write)
    {
        if (!_processor.Is64Bit) linear = (uint)linear;
        LargePages.Note(linear, page.PageSize);
        _devicePages.Note(_region, linear, write, page.PhysicalPage);
    }

    private void Fill(ulong linear, in Translation page, bool write)
    {
        _slowFills++;
        if (!_processor.Is64Bit) linear = (uint)linear;
        var addend = _area->RamBase + page.PhysicalPage - (linear & ~0xffful);
        write = write && !_store.Pages.IsWatched(page.PhysicalPage);
        _region.Fill(linear, addend, write, page.Global);
        // Behind it, since it may have all given back; where this has, the entry went with the rest.
        LargePages.Note(linear, page.PageSize);
        _area->Scratch1 = addend;
        if (!write) return;
        _writeHints.Note(page.PhysicalPage, _region.Number, AddressRegion.PageOf(linear));
        // Another thread may have the page watched meanwhile: either it sees the hint, or the mark is seen here.
        Interlocked.MemoryBarrier();
        if (_store.Pages.IsWatched(page.PhysicalPage)) _region.Protect(AddressRegion.PageOf(linear), _area->RamBase + page.PhysicalPage);
    }

    private bool HandleSegment(in Site site)
    {
        if (!_processor.TryLinearize(site.Target, (uint)_area->Scratch0, site.Size, !site.Reads, out var linear)) return DeliverOperandFault();
        _area->Scratch0 = linear;
        ResumeAt(site.Resume);
        return true;
    }

    // ---- control ----

    private bool HandleJumpMiss()
    {
        _cpu->ArithmeticFlags = Unpark(_area->ParkedFlags);
        var linear = _area->Scratch0;
        _cpu->Rip = _processor.Is64Bit ? linear : (uint)(linear - _cpu->Cs.Base);
        _resume = 0;
        if (_cpu->ExitRequest != 0 || IsArmed(linear)) return true;
        if (ShouldStopForDebugger())
        {
            _debugStop = true;
            return true;
        }
        if (FindBlock(linear) is not { } block) return DeliverFault();
        Remember(block, linear);
        Enter(block, linear);
        _resume = _area->EnterAddress;
        return true;
    }

    // SDM vol. 2, JMP, CALL, RET: #GP(0) of the branch, the stack pointer as it was.
    private void RaiseBadTarget(in Site branch)
    {
        _cpu->Gpr[GprIndex.Rsp] -= (ulong)branch.Target;
        _resume = 0;
        _processor.RaiseNonCanonical(SegmentIndex.Cs);
    }

    private bool HandleStale(Block block)
    {
        _cpu->Rip = RipOf(block, 0);
        // A pad for a block that did not want the flags left them parked.
        _cpu->ArithmeticFlags = Unpark(block.LiveIn == Flags.None ? _area->ParkedFlags : _area->HostFlags);
        _resume = 0;
        if (_cpu->ExitRequest != 0) return true;
        var linear = LinearRip;
        if (IsArmed(linear)) return true;
        var generation = _store.Generation;
        if (FindBlock(linear) is not { } fresh) return DeliverFault();
        if (generation == _store.Generation) _store.Redirect(block, fresh);
        Remember(fresh, linear);
        Enter(fresh, linear);
        _resume = _area->EnterAddress;
        return true;
    }

    private bool HandleLink(Block block, in Site site)
    {
        var field = site.Resume;
        var linear = (_key & ModeKey.PositionIndependent) != 0
            ? _area->CodePage + (block.Physical & 0xfff) + (ulong)(long)site.Target
            : block.Linear + (ulong)(long)site.Target;
        if (!_processor.Is64Bit) linear = (uint)linear;
        _cpu->Rip = _processor.Is64Bit ? linear : (uint)(linear - _cpu->Cs.Base);
        _resume = 0;
        if (IsArmed(linear)) return true;
        if (ShouldStopForDebugger())
        {
            _debugStop = true;
            return true;
        }
        var generation = _store.Generation;
        if (FindBlock(linear) is not { } target) return DeliverFault();
        if (generation == _store.Generation && target.Valid)
        {
            var destination = LinkDestination(block, site, target, linear);
            if (destination != 0) Volatile.Write(ref *(int*)_store.Buffer.At(field), destination - (field + 4));
        }
        Enter(target, linear);
        _resume = _area->EnterAddress;
        return true;
    }

    /// <summary>Where a direct jump to a block is to go: to the block itself within a page, else to what checks the way. 0: leave it as it is.</summary>
    private int LinkDestination(Block block, in Site site, Block target, ulong linear)
    {
        // What is armed now was not always, and will not be: only blocks that end before the same breakpoints lead to one another.
        if (((target.Key ^ block.Key) & ModeKey.Armed) != 0) return 0;
        if (site.Kind == SiteKind.FarLink)
        {
            // Nothing in the jump cache leads there.
            if ((target.Key & ModeKey.Armed) != 0) return 0;
            Remember(target, linear);
            lock (_store.Gate) return _store.FarLinkTo(target, linear, _area->CodePage, site.Return);
        }
        // A page that went away under us is fetched from elsewhere now.
        if ((target.Physical ^ block.Physical) >= 4096) return 0;
        if (!target.CrossesPage && !(site.Parked && target.LiveIn != Flags.None)) return target.HostStart;
        Remember(target, linear);
        lock (_store.Gate) return _store.DetourTo(target, linear, site.Parked);
    }
}
