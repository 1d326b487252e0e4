// An engine without a CPU: each vCPU runs a script of the test, step by step, on the machine's own vCPU thread, with the
// same promises about kicks, halts and states as a real one.
using Lamina.Core.Engine;
using Lamina.Core.Inspection;

namespace Lamina.Tests.Machines.Life;

/// <summary>What a step of a script ends with.</summary>
internal enum FakeStep
{
    Continue,
    Halt,
    TripleFault,
    Fail,
    Throw,
    ThrowOutOfMemory,
}

/// <summary>Makes fake vCPUs that run a script; a script starts again with each state that is set for a start.</summary>
internal sealed class FakeEngine(Func<FakeVcpu, IEnumerable<FakeStep>> script) : IEngine
{
    public string Name => "fake";

    internal List<FakeMachine> Machines { get; } = [];

    public IEngineMachine CreateMachine(EngineMachineOptions options)
    {
        var machine = new FakeMachine(options, script);
        Machines.Add(machine);
        return machine;
    }
}

internal sealed class FakeMachine(EngineMachineOptions options, Func<FakeVcpu, IEnumerable<FakeStep>> script) : IEngineMachine
{
    private long _kept;

    internal List<FakeVcpu> Vcpus { get; } = [];

    internal bool IsDisposed { get; private set; }

    /// <summary>Nothing can be kept.</summary>
    internal bool FailsToConclude { get; set; }

    public void Count(CounterList counters)
    {
        counters.Total("fake_steps", Vcpus.Sum(v => v.Steps), "steps");
        counters.Total("fake_kept", _kept, "steps that were kept");
    }

    public string CpuModel => "x86-64-v1";

    public CpuIdentity CpuIdentity => new([], 0);

    public IVcpu CreateVcpu(VcpuOptions vcpu)
    {
        var created = new FakeVcpu(vcpu, options, script);
        Vcpus.Add(created);
        return created;
    }

    public void Conclude()
    {
        ObjectDisposedException.ThrowIf(IsDisposed, this);
        if (FailsToConclude) throw new InvalidOperationException("a bug");
        foreach (var vcpu in Vcpus) vcpu.GetState(new VcpuState());
        _kept = Vcpus.Sum(v => v.Steps);
    }

    public void Dispose() => IsDisposed = true;
}

internal sealed class FakeVcpu(VcpuOptions options, EngineMachineOptions machine, Func<FakeVcpu, IEnumerable<FakeStep>> script) : IVcpu
{
    private readonly object _gate = new();
    private readonly VcpuState _state = new() { Rip = 0xFFF0 };
    private IEnumerator<FakeStep>? _running;
    private IReadOnlySet<ulong> _breakpoints = new HashSet<ulong>();
    private bool _kicked, _step, _goesOn, _inRun, _skipHalt;

    public int Index => options.Index;

    public string? Failure => "the fake engine was told to fail";

    internal long Steps { get; private set; }

    internal int Starts { get; private set; }

    /// <summary>How often somebody asked for its registers.</summary>
    internal int Looks { get; set; }

    internal bool IsDisposed { get; private set; }

    internal EngineMachineOptions Machine => machine;

    internal void Out(ushort port, byte value) => options.Bus.WritePort(port, [value]);

    internal void Out32(ushort port, uint value) => options.Bus.WritePort(port, BitConverter.GetBytes(value));

    internal byte In(ushort port)
    {
        Span<byte> value = stackalloc byte[1];
        options.Bus.ReadPort(port, value);
        return value[0];
    }

    internal uint In32(ushort port)
    {
        Span<byte> value = stackalloc byte[4];
        options.Bus.ReadPort(port, value);
        return BitConverter.ToUInt32(value);
    }

    internal void WriteByte(ulong address, byte value) => options.Bus.WriteMemory(address, [value]);

    internal uint ReadMmio(ulong address)
    {
        Span<byte> value = stackalloc byte[4];
        options.Bus.ReadMemory(address, value);
        return BitConverter.ToUInt32(value);
    }

    internal void WriteMmio(ulong address, uint value) => options.Bus.WriteMemory(address, BitConverter.GetBytes(value));

    public VcpuExit Run()
    {
        lock (_gate)
        {
            if (_inRun) throw new InvalidOperationException("a vCPU was run twice at once");
            _inRun = true;
        }
        try
        {
            return RunSteps();
        }
        finally
        {
            lock (_gate) _inRun = false;
        }
    }

    public void Kick()
    {
        lock (_gate)
        {
            _kicked = true;
            Monitor.PulseAll(_gate);
        }
    }

    public void GetState(VcpuState state)
    {
        CheckParked();
        Looks++;
        Copy(_state, state);
    }

    public IReadOnlyList<string> SetState(VcpuState state)
    {
        CheckParked();
        // A start: the loader's entry is not where the script stands.
        if (state.Rip != _state.Rip || _running is null) (_running, Starts) = (script(this).GetEnumerator(), Starts + 1);
        Copy(state, _state);
        return [];
    }

    public bool TryReadLinear(ulong address, Span<byte> data) => machine.Memory.TryRead(address, data);

    public bool TryWriteLinear(ulong address, ReadOnlySpan<byte> data) => machine.Memory.TryWrite(address, data);

    public Watchpoint? WatchHit { get; private set; }

    internal IReadOnlyList<Watchpoint> Watchpoints { get; private set; } = [];

    public void SetDebug(IReadOnlySet<ulong> breakpoints, IReadOnlyList<Watchpoint> watchpoints, bool singleStep)
    {
        CheckParked();
        (Watchpoints, WatchHit) = (watchpoints, null);
        (_breakpoints, _step, _goesOn) = (breakpoints, singleStep, true);
    }

    public void InterruptPending()
    {
        lock (_gate)
        {
            _skipHalt = true;
            Monitor.PulseAll(_gate);
        }
    }

    public void NonMaskableInterrupt() => InterruptPending();

    public void Init()
    {
    }

    public void StartUp(byte vector)
    {
    }

    public void Dispose() => IsDisposed = true;

    public void Count(CounterList counters) => counters.Total("vcpu_steps", Steps, "steps");

    private VcpuExit RunSteps()
    {
        while (true)
        {
            lock (_gate)
            {
                if (_kicked)
                {
                    _kicked = false;
                    return VcpuExit.Kicked;
                }
            }
            if (_breakpoints.Contains(_state.Rip) && !_goesOn) return VcpuExit.Debug;
            _goesOn = false;
            var step = _running!.MoveNext() ? _running.Current : FakeStep.Halt;
            (_state.Rip, Steps) = (_state.Rip + 1, Steps + 1);
            switch (step)
            {
                case FakeStep.TripleFault: return VcpuExit.TripleFault;
                case FakeStep.Fail: return VcpuExit.Failed;
                case FakeStep.Throw: throw new InvalidOperationException("a bug");
                case FakeStep.ThrowOutOfMemory: throw new OutOfMemoryException("no memory");
                case FakeStep.Halt: WaitForWork(); break;
            }
            // Each step writes the byte at its own RIP, as far as watchpoints are concerned.
            foreach (var watch in Watchpoints)
                if (_state.Rip - watch.Address < (ulong)watch.Length) WatchHit = watch;
            if (_step || WatchHit != null) return VcpuExit.Debug;
        }
    }

    private void WaitForWork()
    {
        lock (_gate)
        {
            while (!_kicked && !_skipHalt) Monitor.Wait(_gate);
            _skipHalt = false;
        }
    }

    private void CheckParked()
    {
        lock (_gate)
            if (_inRun) throw new InvalidOperationException("a vCPU's state was touched while it ran");
    }

    private static void Copy(VcpuState from, VcpuState to)
    {
        from.Gpr.CopyTo(to.Gpr, 0);
        from.Segments.CopyTo(to.Segments, 0);
        (to.Rip, to.Rflags, to.Cr0, to.Cr3, to.Cr4, to.Efer) = (from.Rip, from.Rflags, from.Cr0, from.Cr3, from.Cr4, from.Efer);
        (to.Gdtr, to.Idtr, to.Activity) = (from.Gdtr, from.Idtr, from.Activity);
    }
}
