// Keeps the vCPUs of a machine out of generated code while something happens there that must not be seen half done.
// Two ways: Stop holds off generated code only (code is patched, the right to store in place is taken away; instructions
// that handlers have begun go on), WhileParked waits until every vCPU is between two instructions and knows no address
// in generated code (everything is dropped).
using Lamina.Host.Threads;

namespace Lamina.Engines.Translator.Runtime;

/// <summary>Where a vCPU's thread is.</summary>
internal enum VcpuPlace
{
    /// <summary>Between two instructions, or not running at all.</summary>
    Parked,

    /// <summary>In a handler, in C#.</summary>
    Handling,

    /// <summary>In generated code.</summary>
    Guest,
}

internal sealed class World
{
    private readonly List<TranslatorVcpu> _vcpus = [];
    private readonly Lock _parking = new();

    // Who waits for a vCPU to arrive somewhere, and the vCPUs that wait to go on. A vCPU leaves generated code far more often than anybody
    // waits for that, and does it by a plain store.
    private readonly ThreadSignal _arrivals = new(plainChanges: true), _goes = new();
    private volatile int _stopper, _stops;
    private volatile bool _parks, _ended;
    private int _depth;

    /// <summary>The vCPUs; complete before the first of them runs.</summary>
    public IReadOnlyList<TranslatorVcpu> Vcpus => _vcpus;

    /// <summary>Counts how often all were held out of generated code by <see cref="Stop"/>.</summary>
    public int Stops => _stops;

    /// <summary>Whether somebody wants all vCPUs parked: see <see cref="PassBy"/>.</summary>
    public bool Parks => _parks;

    public void Add(TranslatorVcpu vcpu) => _vcpus.Add(vcpu);

    /// <summary>A vCPU is about to enter generated code: waits as long as another thread has stopped it.</summary>
    public void Enter(TranslatorVcpu vcpu)
    {
        vcpu.MoveTo(VcpuPlace.Guest);
        if (_parks || _stopper != 0) EnterWhereAsked(vcpu);
    }

    private void EnterWhereAsked(TranslatorVcpu vcpu)
    {
        while (true)
        {
            // Whoever wants it parked may have asked it out before it took notice of what it had been asked until then.
            if (_parks) vcpu.AskOut();
            if (!IsStopped) return;
            vcpu.MoveTo(VcpuPlace.Handling);
            _goes.WaitUntil(static world => !world.IsStopped, this);
            vcpu.MoveTo(VcpuPlace.Guest);
        }
    }

    /// <summary>A vCPU is where it is out of generated code: those that wait for that look again.</summary>
    public void Arrived() => _arrivals.Signal();

    /// <summary>Holds all vCPUs out of generated code until <see cref="Resume"/>. The caller holds the store's gate throughout.</summary>
    public void Stop()
    {
        if (_depth++ > 0) return;
        _stopper = Environment.CurrentManagedThreadId;
        Interlocked.MemoryBarrier();
        foreach (var vcpu in _vcpus) WaitUntil(vcpu, VcpuPlace.Handling);
    }

    /// <summary>Does something while all vCPUs are out of generated code. The caller holds the store's gate.</summary>
    public void WhileStopped(Action action)
    {
        Stop();
        try
        {
            action();
        }
        finally
        {
            Resume();
        }
    }

    /// <summary>Ends what <see cref="Stop"/> began.</summary>
    public void Resume()
    {
        if (--_depth > 0) return;
        _stops++;
        _stopper = 0;
        Interlocked.MemoryBarrier();
        _goes.Signal();
    }

    /// <summary>Between two instructions of a vCPU: waits here while another thread wants it parked.</summary>
    public void PassBy(TranslatorVcpu vcpu)
    {
        while (_parks)
        {
            vcpu.MoveTo(VcpuPlace.Parked);
            _goes.WaitUntil(static world => !world._parks, this);
            vcpu.MoveTo(VcpuPlace.Handling);
        }
    }

    /// <summary>Whether <see cref="End"/> was called.</summary>
    public bool HasEnded => _ended;

    /// <summary>The vCPUs are about to be given up: returns when nothing is done while they are parked, and from then on nothing is.</summary>
    public void End()
    {
        lock (_parking) _ended = true;
    }

    /// <summary>Does something while all vCPUs are parked, unless they are given up. To be called between two instructions, or from no vCPU's thread.</summary>
    /// <param name="self">The vCPU whose thread this is, if any.</param>
    /// <param name="action">What to do.</param>
    public void WhileParked(TranslatorVcpu? self, Action action)
    {
        self?.MoveTo(VcpuPlace.Parked);
        lock (_parking)
        {
            if (_ended) return;
            _parks = true;
            Interlocked.MemoryBarrier();
            try
            {
                foreach (var vcpu in _vcpus) WaitUntil(vcpu, VcpuPlace.Parked);
                action();
            }
            finally
            {
                _parks = false;
                Interlocked.MemoryBarrier();
                _goes.Signal();
            }
        }
        self?.MoveTo(VcpuPlace.Handling);
        if (self != null) PassBy(self);
    }

    // By another thread than this.
    private bool IsStopped
    {
        get
        {
            var stopper = _stopper;
            return stopper != 0 && stopper != Environment.CurrentManagedThreadId;
        }
    }

    // Asked once: it takes no notice of that before it has moved.
    private void WaitUntil(TranslatorVcpu vcpu, VcpuPlace atMost)
    {
        if (vcpu.Place <= atMost) return;
        vcpu.AskOut();
        if (atMost == VcpuPlace.Handling) _arrivals.WaitUntil(static vcpu => vcpu.Place <= VcpuPlace.Handling, vcpu);
        else _arrivals.WaitUntil(static vcpu => vcpu.Place == VcpuPlace.Parked, vcpu);
    }
}
