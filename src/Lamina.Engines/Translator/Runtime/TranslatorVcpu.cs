// One vCPU on the translator: enters generated code, and sees to why it left. This file: its life and the loop.
// TranslatorVcpu.Sites handles what generated code leaves for, TranslatorVcpu.HostFaults what it faults at, TranslatorVcpu.Cache what the processor says is stale,
// TranslatorVcpu.Lookup finds code, TranslatorVcpu.State is the outside's view.
using Lamina.Core.Engine;
using Lamina.Core.Interrupts;
using Lamina.Core.Logging;
using Lamina.Core.Memory;
using Lamina.Core.Time;
using Lamina.Engines.Translator.Analyse;
using Lamina.Engines.Translator.Code;
using Lamina.Engines.Translator.Settings;
using Lamina.Engines.X86;
using Lamina.Engines.X86.Cpuid;
using Lamina.Engines.X86.Memory;
using Lamina.Host;
using Lamina.Host.Threads;

namespace Lamina.Engines.Translator.Runtime;

internal sealed unsafe partial class TranslatorVcpu : IVcpu, ITranslationCache
{
    private const uint DefaultMxcsr = 0x1f80;

    // A region takes a TiB of addresses, of which a process has 128. A machine of 32 CPUs needs three for each.
    private const int MaximumRegions = 96;

    private readonly GuestMemory _memory;
    private readonly ILocalInterruptController _apic;
    private readonly TranslatorSettings _settings;
    private readonly TranslationStore _store;
    private readonly CpuModel _model;
    private readonly ILog? _log;
    private readonly IHostTscClock? _hostTsc;
    private readonly SharedMemory _shared;
    private readonly HostReservation _view;
    private readonly VcpuArea* _area;
    private readonly CpuContext* _cpu;
    private readonly Processor _processor;
    private readonly WriteHints _writeHints;
    private readonly JumpCache _supervisorJumps;
    private readonly AddressRegion _closed, _open;
    private readonly LostRegion? _lost;
    private readonly AddressRegion?[] _users;
    private readonly TableBudget _tables;
    private readonly GeneratedCodeFaults _faults;
    // Where the thread sleeps while the guest halts. It looks at nothing of the guest's meanwhile: a guest at rest wakes often, and each look costs.
    private readonly ThreadParker _halt = new();
    private readonly ShortSleeps _sleeps = new();
    private readonly Lock _requests = new();
    private readonly TimeLedger? _time;

    private readonly Func<ulong, ulong> _nextPhysical;
    private AddressRegion _user;
    private AddressRegion _region;
    private ModeKey _key;
    private bool _modeStale = true, _watchesStale = true;
    private bool _stepOnce, _midInstruction;

    // What generated code left for was an access to a device, and is over.
    private bool _goesOn;

    // What generated code left from relies on vector state in registers; an instruction has loaded it from the guest's memory, and the host
    // is yet to take it, which makes it what processors read it back as.
    private bool _vectorsExpected, _vectorsRaw;
    private ulong _resume;
    private int _generation;
    private readonly EventLatch _events;
    private bool _disposed;
    private bool _holdsWorld;
    private volatile int _place;

    public TranslatorVcpu(VcpuOptions options, EngineMachineOptions machine, TranslatorSettings settings, CpuModel model, TranslationStore store)
    {
        Index = options.Index;
        _events = new EventLatch(isBootstrap: Index == 0);
        _memory = machine.Memory;
        _apic = options.Apic ?? throw new ArgumentException("the translator has no local APICs of its own", nameof(options));
        _settings = settings;
        _store = store;
        _model = model;
        _log = options.Log;
        _hostTsc = machine.Clock as IHostTscClock;
        _time = settings.MeasureTime ? new TimeLedger() : null;
        if (sizeof(VcpuArea) > Slot.XsaveOffset) throw new InvalidOperationException("the vCPU's state outgrew its place");
        try
        {
            _shared = SharedMemory.Create("lamina-vcpu", Slot.SharedSize);
            _view = HostReservation.Reserve(Slot.SharedSize);
            _view.MapShared(0, Slot.SharedSize, _shared, 0, MappingAccess.ReadWrite);
            _area = (VcpuArea*)_view.Address;
            _cpu = &_area->Cpu;
            _cpu->XsaveArea = (byte*)_area + Slot.XsaveOffset;
            _writeHints = new WriteHints(store.Pages.Count);
            _supervisorJumps = new JumpCache(store.Stubs.Addresses.JumpEmpty);
            _tables = new TableBudget(_memory.Size, GiveTablesBack);
            LargePages = new LargePages(_tables);
            _closed = new AddressRegion(_shared, _supervisorJumps, RegionKind.SupervisorClosed, 0, _tables, LargePages);
            _open = new AddressRegion(_shared, _supervisorJumps, RegionKind.SupervisorOpen, 1, _tables, LargePages);
            _users = new AddressRegion[UserRegionsOf(machine.VcpuCount, settings)];
            _user = _region = NewUserRegion(0);
            if (HostGsBase.Of(settings) == GsBaseChange.Lost) _area->LostGs = (_lost = new LostRegion(_shared)).Gs;
            _nextPhysical = NextPhysical;
            _area->IndexMask = Slot.CanonicalBits | Slot.JumpCacheMask;
            _area->HostMxcsr = DefaultMxcsr;
            _area->RamBase = (ulong)_memory.HostBase;
            _area->PageInfo = store.Pages.Table;
            _area->BounceStart = ((ulong)&_area->Bounce[0] + VcpuArea.BounceAlignment - 1) & ~(VcpuArea.BounceAlignment - 1ul);
            _area->PageCount = store.Pages.Count;
            _area->LargeMap = LargePages.Table;
            _area->WriteHints = _writeHints.Table;
            _area->SharedPads = store.SharedPads.Table;
            _area->XsaveMask = model.XcrMask | XsaveImage.LegacyComponents;
            _processor = new Processor(new ProcessorOptions
            {
                Index = options.Index,
                Context = _cpu,
                Memory = machine.Memory,
                Bus = options.Bus,
                Apic = _apic,
                Clock = machine.Clock,
                Model = model,
                Cache = this,
                Log = options.Log,
            });
            *(uint*)(_cpu->XsaveArea + 24) = DefaultMxcsr;
            var buffer = store.Buffer;
            _faults = GeneratedCodeFaults.Claim(buffer.ExecutableBase, buffer.ExecutableBase + (ulong)buffer.Capacity, store.Stubs.HostFault, Slot.Faults);
        }
        catch
        {
            GiveBack();
            throw;
        }
    }

    /// <summary>The most bytes of the host that a vCPU takes: tables with the map of large pages, jump caches and logs of its regions, hints of writes.</summary>
    public static ulong MostBytes(ulong guestBytes, int vcpus, TranslatorSettings settings)
    {
        // The supervisor's two regions share a jump cache.
        var users = (ulong)UserRegionsOf(vcpus, settings);
        var regions = (users + 2) * (ulong)(Slot.PrivateSize - Slot.JumpBytes) + (users + 1) * Slot.JumpBytes + Slot.SharedSize;
        return (ulong)TableBudget.MostOf(guestBytes) + regions + (guestBytes >> 12 << WriteHints.PageShift);
    }

    /// <inheritdoc/>
    public int Index { get; }

    /// <inheritdoc/>
    public string? Failure { get; private set; }

    /// <summary>Where it has met large pages.</summary>
    public LargePages LargePages { get; }

    /// <summary>Where its thread is, as far as others need to know.</summary>
    public VcpuPlace Place => (VcpuPlace)_place;

    // Addresses of the host are what many vCPUs are short of.
    private static int UserRegionsOf(int vcpus, TranslatorSettings settings) => Math.Clamp(MaximumRegions / vcpus - (HostGsBase.Of(settings) == GsBaseChange.Lost ? 3 : 2), 1, Math.Min(settings.UserRegions, WriteHints.MostRegions - 2));

    /// <summary>Says where the thread is now, before anything that it does there.</summary>
    public void MoveTo(VcpuPlace place)
    {
        Interlocked.Exchange(ref _place, (int)place);
        if (place != VcpuPlace.Guest) _store.World.Arrived();
    }

    // Out of generated code, at each exit: a plain store, which whoever waits for it makes sure to see (see World). No barrier stands between
    // what the guest stored and what a device is asked for: those whose answers depend on what others do take locks.
    private void LeaveGuest()
    {
        _place = (int)VcpuPlace.Handling;
        _store.World.Arrived();
    }

    /// <summary>Makes generated code leave soon.</summary>
    public void AskOut() => Volatile.Write(ref _cpu->ExitRequest, 1);

    /// <inheritdoc/>
    public VcpuExit Run()
    {
        try
        {
            MoveTo(VcpuPlace.Handling);
            _time?.DoOther();
            if (_lost != null) ThreadGsBase.Set(_lost.Gs);
            // The local APIC may have become another one meanwhile.
            Answers.Clear();
            _processor.NoteTaskPriority();
            return Loop();
        }
        catch (Exception exception) when (exception is not OutOfMemoryException)
        {
            // An invariant of ours does not hold: the machine ends with a report instead of the process with a crash.
            // What the host refuses is no fault of ours: its sentence is all there is to say.
            Failure = $"the translator failed at {_cpu->Cs.Selector:x}:{_cpu->Rip:x}: {(exception is HostException refused ? refused.Message : exception)}";
            return VcpuExit.Failed;
        }
        finally
        {
            ReleaseWorld();
            _processor.PublishTaskPriority();
            MoveTo(VcpuPlace.Parked);
            _time?.Halt();
        }
    }

    private VcpuExit Loop()
    {
        while (true)
        {
            if (!_midInstruction)
            {
                _store.World.PassBy(this);
                if (_store.IsNearlyFull) _store.World.WhileParked(this, _store.DropIfNearlyFull);
            }
            // In the middle of an instruction its effects may be half there: it is finished first; the request stays.
            if (!_midInstruction && (_cpu->ExitRequest != 0 || (_area->InterruptWaits != 0 && (_cpu->SystemFlags & Rflags.IF) != 0) || (_events.HasNmi && _cpu->NmiBlocked == 0)))
            {
                if (HandleEvents() is { } exit) return exit;
            }
            if (_events.Activity != VcpuActivity.Running)
            {
                _time?.Halt();
                MoveTo(VcpuPlace.Parked);
                _sleeps.Park(_halt);
                MoveTo(VcpuPlace.Handling);
                _time?.DoOther();
                Volatile.Write(ref _cpu->ExitRequest, 1);
                continue;
            }
            // What waits behind an interrupt shadow comes right after the one instruction that it covers.
            if (!_midInstruction && _cpu->InterruptShadow != 0 && (_area->InterruptWaits != 0 || _events.HasNmi)) StepOver();
            if (_modeStale || (_resume == 0 && WantsSteps != ((_key & ModeKey.SingleStep) != 0))) UpdateMode();
            var loadsVectors = _vectorsRaw || _key.HasVectorsLoaded();
            if (_resume == 0 || _generation != _store.Generation)
            {
                if (ShouldStopForDebugger()) return VcpuExit.Debug;
                var byJumpCache = CanEnterByJumpCache;
                if (byJumpCache && _region.Jumps.MayKnow(LinearRip)) EnterByJumpCache();
                else if (!EnterAtRip(remember: byJumpCache))
                {
                    if (!Deliver(_processor.DeliverFault())) return VcpuExit.TripleFault;
                    continue;
                }
            }
            else
            {
                _area->EnterAddress = _resume;
                loadsVectors |= _vectorsExpected;
            }
            _area->VectorsLoaded = loadsVectors ? 1u : 0;
            if (_cpu->InterruptShadow != 0)
            {
                // Whatever runs now is the instruction that the shadow covers; look again at the next poll.
                _cpu->InterruptShadow = 0;
                Volatile.Write(ref _cpu->ExitRequest, 1);
            }
            if (_hostTsc != null) _area->HostTscOffset = (ulong)_hostTsc.TscOffset + _cpu->TscOffset;
            if (RunGuest() is { } left) return left;
        }
    }

    /// <summary>
    /// Runs generated code until it leaves, and sees to why: again and again while that was an access alone. All by one call from a method
    /// that does not return meanwhile: generated code leaves by another way than it came, and what processors predict of returns is wrong
    /// for each method that returns after it.
    /// </summary>
    private VcpuExit? RunGuest()
    {
        var enter = _store.Stubs.Enter;
        while (true)
        {
            _midInstruction = _goesOn = false;
            if (!EnterWorld()) return null;
            _vectorsRaw = false;
            _time?.Enter();
            var kind = (SiteKind)enter(_region.Gs);
            _time?.Leave(kind);
            LeaveGuest();
            _resume = 0;
            SyncRegion();
            var held = _holdsWorld;
            var alive = HandleExit(kind);
            // The locked instruction that the others were held out for is over, or did not come about.
            if (held || _resume == 0) ReleaseWorld();
            if (!alive) return VcpuExit.TripleFault;
            if (Failure != null) return VcpuExit.Failed;
            if (_debugStop)
            {
                _debugStop = false;
                return VcpuExit.Debug;
            }
            if (!GoesOn()) return null;
            enter = _store.Stubs.EnterAgain;
        }
    }

    /// <summary>
    /// Whether what generated code left for was an access alone, after which it goes on where it was without a look at all that may have
    /// changed between: nothing has, and nobody asks for this vCPU. Kernels wait for devices in such accesses.
    /// </summary>
    private bool GoesOn()
    {
        if (!_goesOn || _resume == 0 || _modeStale || _vectorsRaw || _generation != _store.Generation) return false;
        if (!_midInstruction && (_cpu->ExitRequest != 0 || _cpu->InterruptShadow != 0 || _store.World.Parks)) return false;
        _area->EnterAddress = _resume;
        _area->VectorsLoaded = _key.HasVectorsLoaded() || _vectorsExpected ? 1u : 0;
        return true;
    }

    /// <summary>Interrupts, NMIs, INIT, start-up and kicks, in the order of their priority (SDM vol. 3, table 6-2).</summary>
    private VcpuExit? HandleEvents()
    {
        Volatile.Write(ref _cpu->ExitRequest, 0);
        Thread.MemoryBarrier();
        if (_events.TryTakeKick())
        {
            // What else was asked for together with the kick is looked at when the vCPU runs again.
            Volatile.Write(ref _cpu->ExitRequest, 1);
            return VcpuExit.Kicked;
        }
        if (_events.HasReset) AcceptReset();
        // Here one is taken when its instruction ends. A state that comes from elsewhere may have one that is to be taken first.
        if (!_processor.CheckTraps(singleStep: false) && !DeliverFault()) return VcpuExit.TripleFault;
        var exit = _cpu->InterruptShadow == 0 && _events.Activity != VcpuActivity.WaitForStartUp ? TakeEvent() : null;
        // The local APIC tells when it begins to have an interrupt, not that it still has one: whatever was done here, who may let one
        // in later must know of it.
        _area->InterruptWaits = HasInterrupt ? 1u : 0;
        return exit;
    }

    private bool HasInterrupt
    {
        get
        {
            if (_events.Interrupt >= 0) return true;
            if (!_apic.HasInterrupt) return false;
            _processor.PublishTaskPriority();
            return _apic.HasInterrupt;
        }
    }

    private VcpuExit? TakeEvent()
    {
        if (_cpu->NmiBlocked == 0 && _events.TryTakeNmi()) return Interrupt(Vector.Nmi, InterruptKind.Nmi);
        if ((_cpu->SystemFlags & Rflags.IF) == 0 || !HasInterrupt) return null;
        var vector = _events.Interrupt;
        _events.Interrupt = -1;
        if (vector < 0) vector = _apic.Acknowledge();
        return vector < 0 ? null : Interrupt(vector, InterruptKind.External);
    }

    private VcpuExit? Interrupt(int vector, InterruptKind kind)
    {
        _interrupts++;
        _log.Trace(LogEvent.Interrupt, $"interrupt {vector} at {_cpu->Cs.Selector:x}:{_cpu->Rip:x}");
        _resume = 0;
        return Deliver(_processor.DeliverInterrupt(vector, kind)) ? null : VcpuExit.TripleFault;
    }

    /// <summary>Sees a delivery through: a fault during it is delivered in turn. False: triple fault.</summary>
    private bool Deliver(Outcome outcome)
    {
        _resume = 0;
        _events.Activity = VcpuActivity.Running; // HLT is over: by an interrupt, or by its own trap where it is stepped
        while (outcome == Outcome.Fault) outcome = _processor.DeliverFault();
        return outcome != Outcome.Shutdown;
    }

    // ---- from other threads ----

    /// <inheritdoc/>
    public void Kick()
    {
        _events.AskKick();
        RequestExit();
    }

    /// <inheritdoc/>
    public void InterruptPending() => RequestExit();

    /// <inheritdoc/>
    public void NonMaskableInterrupt()
    {
        _events.AskNmi();
        RequestExit();
    }

    /// <inheritdoc/>
    public void Init()
    {
        _events.AskInit();
        RequestExit();
    }

    /// <inheritdoc/>
    public void StartUp(byte vector)
    {
        _events.AskStartUp(vector);
        RequestExit();
    }

    private void RequestExit()
    {
        // The gate keeps the state in memory meanwhile.
        lock (_requests)
        {
            if (_disposed) return;
            Volatile.Write(ref _cpu->ExitRequest, 1);
            Thread.MemoryBarrier();
            _halt.Unpark();
        }
    }

    /// <summary>Holds the other vCPUs out of generated code, so that an instruction which cannot be done in place is atomic all the same.</summary>
    private void HoldWorld()
    {
        _store.Gate.Enter();
        _store.World.Stop();
        _holdsWorld = true;
    }

    private void ReleaseWorld()
    {
        if (!_holdsWorld) return;
        _holdsWorld = false;
        _store.World.Resume();
        _store.Gate.Exit();
    }

    private void AcceptReset()
    {
        var (init, page) = _events.TakeReset();
        if (init) _processor.Init();
        if (page >= 0) _processor.StartUp((byte)page);
        _resume = 0;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (_requests)
        {
            if (_disposed) return;
            _disposed = true;
        }
        _store.World.End();
        GiveBack();
    }

    // What the host has given for it; of one that could not be made, as much as it had by then.
    private void GiveBack()
    {
        _faults?.Dispose();
        _processor?.Dispose();
        foreach (var region in _users ?? [])
            if (region != null) Release(region);
        _supervisorJumps?.Dispose();
        _closed?.Dispose();
        _open?.Dispose();
        _lost?.Dispose();
        _writeHints?.Dispose();
        LargePages?.Dispose();
        _window.Dispose();
        _view?.Dispose();
        _shared?.Dispose();
    }
}
