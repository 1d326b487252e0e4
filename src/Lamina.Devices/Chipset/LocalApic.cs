// A vCPU's local APIC, xAPIC and x2APIC: what it accepts, in which order it hands it to the vCPU, and how a vCPU takes it.
// The registers are in LocalApic.Registers.cs, the timer in LocalApic.Timer.cs. One lock; messages to other local APICs
// and ends of interrupts leave after it was released. HasInterrupt is one volatile field that every change keeps true.
using Lamina.Core.Bus;
using Lamina.Core.Interrupts;
using Lamina.Core.Time;
using static Lamina.Devices.Chipset.LocalApicSpec;

namespace Lamina.Devices.Chipset;

/// <summary>A local APIC (SDM vol. 3, chapter 11).</summary>
public sealed partial class LocalApic : ILocalInterruptController, IDisposable
{
    private readonly Lock _gate = new();
    private readonly IMachineClock _clock;
    private readonly ApicBus _bus;
    private readonly ulong _reservedBase;
    private readonly IDeviceTimer _timer;
    private LocalApicState _state;
    private IVcpuSignal? _signal;
    private volatile bool _hasInterrupt;

    // Update keeps from the vCPU that there is an interrupt until the lock is free; whether there was one to be told of.
    private bool _holdsBack, _heldBack;

    /// <summary>Creates it in its RESET state and joins it to the bus. IDs of one bus count from 0; the first is the bootstrap processor's.</summary>
    /// <param name="id">The APIC ID, 0 to 254; fixed for good.</param>
    /// <param name="clock">Drives the timer.</param>
    /// <param name="bus">The machine's bus of local APICs.</param>
    /// <param name="physicalAddressBits">The CPU's MAXPHYADDR: higher bits of IA32_APIC_BASE are reserved.</param>
    public LocalApic(int id, IMachineClock clock, ApicBus bus, int physicalAddressBits = 52)
    {
        if (id is < 0 or > MaximumId) throw new ArgumentOutOfRangeException(nameof(id), id, $"an APIC ID is from 0 to {MaximumId}; give the machine fewer CPUs");
        (ApicId, _clock, _bus) = (id, clock, bus);
        _reservedBase = (ulong.MaxValue << physicalAddressBits) | ((PageLength - 1) & ~(BaseBootstrap | BaseX2Apic | BaseEnable));
        _timer = clock.CreateTimer(TimerExpired);
        Mmio = new RegisterPage(this);
        Reset();
        bus.Join(this);
    }

    /// <summary>The APIC ID.</summary>
    public int ApicId { get; }

    /// <summary>A copy of the live registers.</summary>
    public LocalApicState State
    {
        get { lock (_gate) return _state; }
    }

    /// <inheritdoc/>
    public bool HasInterrupt => _hasInterrupt;

    /// <inheritdoc/>
    public IBusDevice Mmio { get; }

    /// <inheritdoc/>
    public ulong? MmioBase
    {
        get
        {
            var value = Volatile.Read(ref _state.Base);
            return (value & (BaseEnable | BaseX2Apic)) == BaseEnable ? value & ~(PageLength - 1) : null;
        }
    }

    /// <inheritdoc/>
    public byte TaskPriority
    {
        get => (byte)(Volatile.Read(ref _state.TaskPriority) >> 4);
        set
        {
            lock (_gate)
            {
                _state.TaskPriority = (byte)(value << 4);
                Update();
            }
        }
    }

    /// <summary>The priority below which it would not interrupt, for arbitration of lowest-priority messages (11.6.2.4).</summary>
    internal byte Priority
    {
        get { lock (_gate) return ProcessorPriorityNow; }
    }

    /// <summary>Whether it takes vectors at all: globally and software enabled.</summary>
    internal bool TakesVectors => (Volatile.Read(ref _state.Base) & BaseEnable) != 0 && (Volatile.Read(ref _state.SpuriousVector) & SvrEnabled) != 0;

    private bool GloballyEnabled => (_state.Base & BaseEnable) != 0;

    private bool InX2ApicMode => (_state.Base & BaseX2Apic) != 0;

    private bool SoftwareEnabled => (_state.SpuriousVector & SvrEnabled) != 0;

    /// <summary>PPR (11.8.3.1).</summary>
    private byte ProcessorPriorityNow
    {
        get
        {
            var inService = Math.Max(_state.InService.Highest, 0) & 0xf0;
            return (byte)(_state.TaskPriority >= inService ? _state.TaskPriority : inService);
        }
    }

    /// <summary>Whether the 8259 pair's request reaches the CPU: a virtual wire through LINT0 or the I/O APIC, or straight past a disabled APIC (11.4.3).</summary>
    private bool ExternalRequested =>
        GloballyEnabled
            ? _state.ExternalPending || (_state.Lint0 && (_state.Lvt[LvtLint0] & LvtMasked) == 0
                && LvtMode(LvtLint0, _state.Lvt[LvtLint0]) == InterruptDeliveryMode.External)
            : _state.Lint0;

    /// <summary>Connects the vCPU, which is created after its local APIC.</summary>
    public void Attach(IVcpuSignal signal)
    {
        lock (_gate)
        {
            _signal = signal;
            if (_hasInterrupt) signal.InterruptPending();
        }
    }

    /// <inheritdoc/>
    public int Acknowledge()
    {
        lock (_gate)
        {
            if (!ExternalRequested)
            {
                var vector = _state.Request.Highest;
                if (!GloballyEnabled || vector >> 4 <= ProcessorPriorityNow >> 4) return -1;
                _state.Request.Set(vector, false);
                _state.InService.Set(vector, true);
                Update();
                return vector;
            }
            _state.ExternalPending = false;
            Update();
        }
        // The pair stands above the local APIC in the lock order, and lowers LINT0 from within.
        return _bus.AcknowledgeExternal();
    }

    /// <summary>As after power-up but for the ID, IA32_APIC_BASE and with it the mode (11.4.7.3, 11.12.5.1).</summary>
    public void Init()
    {
        lock (_gate)
        {
            ClearRegisters();
            Update();
        }
    }

    /// <inheritdoc/>
    public void Reset()
    {
        lock (_gate)
        {
            _state.Base = DefaultBase | BaseEnable | (ApicId == 0 ? BaseBootstrap : 0);
            ClearRegisters();
            // A PC's firmware leaves the bootstrap processor with the 8259 pair wired through LINT0; a machine that
            // boots a kernel directly has nobody else to do it.
            if (ApicId == 0) _state.Lvt[LvtLint0] = (uint)InterruptDeliveryMode.External << LvtModeShift;
            Update();
        }
    }

    /// <summary>Drives a pin, LINT0 or LINT1 (11.5.1).</summary>
    /// <param name="pin">0 or 1.</param>
    /// <param name="asserted">Its level.</param>
    internal void SetPin(int pin, bool asserted)
    {
        lock (_gate)
        {
            ref var level = ref pin == 0 ? ref _state.Lint0 : ref _state.Lint1;
            var rose = asserted && !level;
            level = asserted;
            // The pins of a disabled APIC are the CPU's own INTR and NMI (11.4.3).
            if (!GloballyEnabled && pin == 1 && rose) _signal?.NonMaskableInterrupt();
            else if (LintIsLevel(pin)) ServiceLint0();
            else if (rose) DeliverLocal(LvtLint0 + pin);
            Update();
        }
    }

    /// <summary>Whether a logical destination means this local APIC (11.6.2.2, 11.12.10).</summary>
    internal bool MatchesLogical(uint destination)
    {
        lock (_gate)
        {
            if (InX2ApicMode)
                return destination >> 16 == X2ApicLogicalId >> 16 && (destination & X2ApicLogicalId & 0xffff) != 0;
            if (destination > 0xff) return false;
            var mine = _state.LogicalDestination >> 24;
            return (_state.DestinationFormat >> 28) switch
            {
                FlatModel => (mine & destination) != 0,
                ClusterModel => mine >> 4 == destination >> 4 && (mine & destination & 0xf) != 0,
                _ => false,
            };
        }
    }

    /// <summary>Takes a message that was addressed to it; false where it does not accept.</summary>
    internal bool Accept(InterruptDeliveryMode mode, byte vector, bool level)
    {
        bool accepted, tell;
        lock (_gate)
        {
            _holdsBack = true;
            accepted = AcceptLocked(mode, vector, level);
            tell = EndHolding();
        }
        if (tell) _signal?.InterruptPending();
        return accepted;
    }

    private bool AcceptLocked(InterruptDeliveryMode mode, byte vector, bool level)
    {
        if (!GloballyEnabled) return false;
        switch (mode)
        {
            case InterruptDeliveryMode.Fixed or InterruptDeliveryMode.LowestPriority:
                return SoftwareEnabled && AcceptVector(vector, level);
            case InterruptDeliveryMode.Nmi:
                _signal?.NonMaskableInterrupt();
                return true;
            case InterruptDeliveryMode.Init:
                _signal?.Init();
                return true;
            case InterruptDeliveryMode.StartUp:
                _signal?.StartUp(vector);
                return true;
            case InterruptDeliveryMode.External:
                _state.ExternalPending = true;
                Update();
                return true;
            default:
                return false;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _timer.Dispose();

    private uint X2ApicLogicalId => (uint)(ApicId >> 4 << 16 | 1 << (ApicId & 0xf));

    private bool AcceptVector(byte vector, bool level)
    {
        if (vector < LowestVector)
        {
            RaiseError(ReceiveIllegalVector);
            return false;
        }
        _state.Request.Set(vector, true);
        _state.TriggerMode.Set(vector, level);
        Update();
        return true;
    }

    /// <summary>The state after power-up (11.4.7.1); pins keep their levels.</summary>
    private void ClearRegisters()
    {
        _state = new LocalApicState
        {
            Base = _state.Base,
            Lint0 = _state.Lint0,
            Lint1 = _state.Lint1,
            DestinationFormat = uint.MaxValue,
            SpuriousVector = SvrVector,
            TimerDue = long.MaxValue,
        };
        for (var i = 0; i < LvtCount; i++) _state.Lvt[i] = LvtMasked;
        _timer.Cancel();
    }

    /// <summary>One event of a local source.</summary>
    private void DeliverLocal(int entry)
    {
        var value = _state.Lvt[entry];
        if ((value & LvtMasked) != 0 || !GloballyEnabled) return;
        switch (LvtMode(entry, value))
        {
            case InterruptDeliveryMode.Fixed:
                AcceptVector((byte)value, level: false);
                break;
            case InterruptDeliveryMode.Nmi:
                _signal?.NonMaskableInterrupt();
                break;
            case InterruptDeliveryMode.Init:
                _signal?.Init();
                break;
        }
    }

    /// <summary>Whether a pin delivers its vector by level: only LINT0 can (11.5.1, trigger mode).</summary>
    private bool LintIsLevel(int pin) =>
        pin == 0 && (_state.Lvt[LvtLint0] & LvtLevel) != 0 && LvtMode(LvtLint0, _state.Lvt[LvtLint0]) == InterruptDeliveryMode.Fixed;

    private void ServiceLint0()
    {
        ref var entry = ref _state.Lvt[LvtLint0];
        if (!_state.Lint0 || !LintIsLevel(0) || (entry & (LvtMasked | LvtRemoteIrr)) != 0 || !GloballyEnabled) return;
        if (AcceptVector((byte)entry, level: true)) entry |= LvtRemoteIrr;
    }

    private void RaiseError(byte error)
    {
        // An error that waits already raises nothing again; so an error entry with an illegal vector ends here.
        if ((_state.PendingErrors & error) != 0) return;
        _state.PendingErrors |= error;
        DeliverLocal(LvtError);
    }

    /// <summary>Ends the interrupt in service with the highest priority; returns its vector where the I/O APIC must hear of it, or -1 (11.8.5).</summary>
    private int EndHighest()
    {
        var vector = _state.InService.Highest;
        if (vector < 0) return -1;
        _state.InService.Set(vector, false);
        var level = _state.TriggerMode.Contains(vector);
        if (level && (byte)_state.Lvt[LvtLint0] == vector)
        {
            _state.Lvt[LvtLint0] &= ~LvtRemoteIrr;
            ServiceLint0();
        }
        Update();
        return level && (_state.SpuriousVector & SvrNoEoiBroadcast) == 0 ? vector : -1;
    }

    /// <summary>Works out <see cref="HasInterrupt"/> and tells the vCPU when it becomes true. A vCPU that was told looks for itself until it is false.</summary>
    private void Update()
    {
        var has = ExternalRequested || (GloballyEnabled && _state.Request.Highest >> 4 > ProcessorPriorityNow >> 4);
        if (has == _hasInterrupt) return;
        _hasInterrupt = has;
        if (_holdsBack) _heldBack = has;
        else if (has) _signal?.InterruptPending();
    }

    /// <summary>
    /// With the lock, which is let go of next: whether the vCPU is to be told then. Woken from HLT by another thread it asks for the interrupt
    /// at once, and would sleep again for this lock if that thread had it still.
    /// </summary>
    private bool EndHolding()
    {
        var tell = _heldBack;
        _holdsBack = _heldBack = false;
        return tell;
    }
}
