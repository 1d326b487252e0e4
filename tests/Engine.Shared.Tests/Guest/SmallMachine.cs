// A machine as small as one can be that still has a PC's interrupt controllers and timer: a few megabytes of memory, one or
// more vCPUs on an engine of the test's choice, a log of port writes, a device in memory. vCPU 0, or the one that is said, runs on the test's thread.
using Lamina.Backends.Time;
using Lamina.Core.Bus;
using Lamina.Core.Engine;
using Lamina.Core.Inspection;
using Lamina.Core.Interrupts;
using Lamina.Core.Memory;
using Lamina.Core.State;
using Lamina.Devices.Chipset;
using Lamina.Engines.X86;
using Xunit;

namespace Lamina.Tests.Engine.Shared.Guest;

internal sealed class SmallMachine : IDisposable
{
    // On a busy host a guest of the translator's may have a tenth of a processor, and pages of the host's are dear under some hypervisors.
    private TimeSpan Patience => TimeSpan.FromSeconds(EngineKind.IsKvm(EngineName) ? 20 : 120);

    private readonly MachineClock _clock = new();
    private readonly Pit8254 _pit;
    private readonly IEngineMachine _machine;
    private readonly Bus _ports = new("port"), _mmio = new("memory");
    private volatile bool _ended;

    internal SmallMachine(string engine, int cpus = 1, string cpuModel = "host", CpuIdentity? cpu = null)
        : this(EngineKind.Create(engine), cpus, cpuModel, cpu)
    {
    }

    internal SmallMachine(IEngine engine, int cpus = 1, string cpuModel = "host", CpuIdentity? cpu = null)
    {
        EngineName = engine.Name;
        Memory = new GuestMemory([new MemoryRange(0, Layout.RamSize)]);
        try
        {
            _machine = engine.CreateMachine(new EngineMachineOptions(Memory, _clock, cpus) { CpuModel = cpuModel, CpuIdentity = cpu });
            Controllers = _machine.Irqchip is { } kernels ? new InterruptControllers(kernels, cpus) : new InterruptControllers(_clock, cpus, physicalAddressBits: 40);
            Controllers.Map(_ports, _mmio);
            _pit = new Pit8254(_clock, Controllers.Router.CreateIsaLine(0));
            _pit.MapPorts(_ports);
            _ports.Map(Layout.EndPort, 1, new PortDevice(this, isEnd: true));
            _ports.Map(Layout.LogPort, 8, new PortDevice(this, isEnd: false));
            _mmio.Map(Layout.EndDevice, 1, new PortDevice(this, isEnd: true));
            _mmio.Map(Layout.Device, RegisterDevice.Length, Device);
            Vcpus = [.. Enumerable.Range(0, cpus).Select(index => _machine.CreateVcpu(new VcpuOptions(index, new VcpuBus(_ports, _mmio), Controllers.LocalApics.ElementAtOrDefault(index))))];
            foreach (var apic in Controllers.LocalApics) apic.Attach(Vcpus[apic.ApicId]);
            Layout.Write(Memory);
        }
        catch
        {
            // Others test in this process, too.
            Dispose();
            throw;
        }
        Ended = () => Vcpu.Kick();
    }

    /// <summary>A machine on each of some engines, and none where one of them cannot be had. It is the last of its vCPUs that runs.</summary>
    internal static SmallMachine[] Each(IEnumerable<string> engines, int cpus = 1, string cpuModel = "host")
    {
        IEngine[] all = [.. engines.Select(EngineKind.Create)];
        return [.. all.Select(engine => new SmallMachine(engine, cpus, cpuModel) { Main = cpus - 1 })];
    }

    internal string EngineName { get; }

    internal GuestMemory Memory { get; }

    /// <summary>What answers to addresses that are no memory.</summary>
    internal Bus Mmio => _mmio;

    internal IReadOnlyList<IVcpu> Vcpus { get; }

    /// <summary>The vCPU that runs on the test's thread: the first, which INIT starts at its reset vector, or another one.</summary>
    internal int Main { get; init; }

    internal IVcpu Vcpu => Vcpus[Main];

    internal IEngineMachine Machine => _machine;

    /// <summary>What the engine and its vCPUs count by a name, in all.</summary>
    /// <param name="name">The counter's name.</param>
    /// <param name="of">Which of several of that name; null for all.</param>
    internal long Count(string name, string? of = null)
    {
        var counters = new CounterList();
        _machine.Count(counters);
        foreach (var vcpu in Vcpus) vcpu.Count(counters);
        var found = counters.All.Where(counter => counter.Name == name && (of is null || counter.Of == of)).ToArray();
        Assert.NotEmpty(found);
        return found.Sum(counter => counter.Value);
    }

    internal InterruptControllers Controllers { get; }

    internal RegisterDevice Device { get; } = new();

    /// <summary>What was written to the ports of the log, in order, from any vCPU.</summary>
    internal List<uint> PortLog { get; } = [];

    /// <summary>Called on the vCPU's thread at a write to the end port.</summary>
    internal Action Ended { get; set; }

    /// <summary>Called on the vCPU's thread at each write to the log's ports.</summary>
    internal Action<uint>? Logged { get; set; }

    internal void Load(ulong address, ReadOnlySpan<byte> bytes) => Assert.True(Memory.TryWrite(address, bytes));

    internal T Read<T>(ulong address) where T : unmanaged
    {
        Assert.True(Memory.TryRead(address, out T value));
        return value;
    }

    /// <summary>A state in one of the modes, at <see cref="Layout.Code"/>, interrupts off.</summary>
    internal VcpuState Start(GuestMode mode)
    {
        var state = new VcpuState();
        Vcpu.GetState(state);
        Modes.Enter(state, mode);
        return state;
    }

    /// <summary>Runs vCPU 0 from a state to the end of its program, and gives the state there.</summary>
    internal VcpuState Run(VcpuState from)
    {
        Take(from);
        return Run();
    }

    /// <summary>Has vCPU 0 take a state up, by way of the bytes that a saved machine keeps of it.</summary>
    internal void Take(VcpuState state)
    {
        var saved = new SavedVcpu(Vcpu);
        var bytes = SavedFields.Write(saved.Kind.Version, fields => SavedVcpu.Exchange(fields, state));
        SavedFields.Read(bytes, saved.Kind.Version, saved.Load);
    }

    /// <summary>Goes on to the end of the program.</summary>
    internal VcpuState Run()
    {
        var exit = RunTo();
        // The CPU was asked to leave by the watchdog, asleep with its interrupts on: what should have woken it came before it slept.
        if (exit == VcpuExit.Kicked && !_ended && EngineKind.IsKvm(EngineName) && State() is { Activity: VcpuActivity.Halted } asleep && (asleep.Rflags & Rflags.IF) != 0)
            EngineKind.SkipInQemu("lets interrupts in between STI and HLT, because VMRUN forgets the interrupt shadow (before QEMU 9.1)");
        Assert.True(exit == VcpuExit.Kicked && _ended, $"the program did not come to its end: {exit} {Vcpu.Failure} at {State().Rip:x}");
        return State();
    }

    /// <summary>Runs vCPU 0 from a state to the end of its program, while things are done on other threads.</summary>
    internal void Run(VcpuState from, params Action[] beside)
    {
        var tasks = beside.Select(action => Task.Run(action)).ToArray();
        Run(from);
        Task.WhenAll(tasks).GetAwaiter().GetResult();
    }

    /// <summary>Waits until a guest has counted on, twice: what it does the second time it began after now.</summary>
    internal void WaitForMore(ulong counter)
    {
        var from = Read<uint>(counter);
        Assert.True(SpinWait.SpinUntil(() => Read<uint>(counter) - from >= 2, Patience), $"the guest does not count on at 0x{counter:x}");
    }

    /// <summary>Whether the program came to its end in the last run.</summary>
    internal bool HasEnded => _ended;

    /// <summary>Goes on until somebody kicks, or the program does not go on by itself.</summary>
    internal VcpuExit RunTo()
    {
        _ended = false;
        using var watchdog = new Timer(_ => Vcpu.Kick(), null, Patience, Timeout.InfiniteTimeSpan);
        return Vcpu.Run();
    }

    /// <summary>Lets the host's time go on while the guest's stands. Only while no vCPU runs.</summary>
    internal void PauseFor(TimeSpan time)
    {
        _clock.Pause();
        Thread.Sleep(time);
        _clock.Resume();
    }

    /// <summary>Sends the main vCPU an interrupt.</summary>
    internal bool Interrupt(byte vector) => Send(Main, InterruptDeliveryMode.Fixed, vector);

    /// <summary>Sends a vCPU a message, as another vCPU or a device would.</summary>
    internal bool Send(int vcpu, InterruptDeliveryMode mode, byte vector = 0) =>
        ((IInterruptBus?)Machine.Irqchip ?? Controllers.Bus!).Deliver(new InterruptMessage((uint)vcpu, Logical: false, mode, vector, Level: false));

    /// <summary>The registers of the main vCPU's local APIC.</summary>
    internal LocalApicImage LocalApic
    {
        get => Machine.Irqchip?.GetLocalApic(Main) ?? Controllers.LocalApics[Main].Save();
        set
        {
            if (Machine.Irqchip is { } kernels) kernels.SetLocalApic(Main, value);
            else Controllers.LocalApics[Main].Load(value);
        }
    }

    internal VcpuState State()
    {
        var state = new VcpuState();
        Vcpu.GetState(state);
        return state;
    }

    public void Dispose()
    {
        _clock.Pause();
        _pit?.Dispose();
        _machine?.Conclude();
        _machine?.Dispose();
        Controllers?.Dispose();
        Memory.Dispose();
        _clock.Dispose();
    }

    private sealed class PortDevice(SmallMachine machine, bool isEnd) : IBusDevice
    {
        private byte _next;

        // Each read gives another value, so that a lost or doubled read shows.
        public AccessResult Read(ulong offset, Span<byte> data)
        {
            for (var n = 0; n < data.Length; n++) data[n] = (byte)(0x11 * ++_next);
            return AccessResult.Ok;
        }

        public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
        {
            if (isEnd)
            {
                machine._ended = true;
                machine.Ended();
                return AccessResult.Ok;
            }
            var value = 0u;
            for (var n = data.Length - 1; n >= 0; n--) value = value << 8 | data[n];
            lock (machine.PortLog) machine.PortLog.Add((uint)data.Length << 28 ^ value);
            machine.Logged?.Invoke(value);
            return AccessResult.Ok;
        }
    }

    private sealed class VcpuBus(Bus ports, Bus memory) : IVcpuBus
    {
        public void ReadPort(ushort port, Span<byte> data) => ports.Read(port, data);

        public void WritePort(ushort port, ReadOnlySpan<byte> data) => ports.Write(port, data);

        public void ReadMemory(ulong address, Span<byte> data) => memory.Read(address, data);

        public void WriteMemory(ulong address, ReadOnlySpan<byte> data) => memory.Write(address, data);
    }
}

/// <summary>Registers that keep what is written, and a log of how they were accessed.</summary>
internal sealed class RegisterDevice : IBusDevice
{
    internal const ulong Length = 0x100;

    private readonly byte[] _bytes = new byte[Length];

    /// <summary>Offset, length and direction of each access.</summary>
    internal List<(ulong Offset, int Length, bool Write)> Accesses { get; } = [];

    internal ReadOnlySpan<byte> Bytes => _bytes;

    public AccessResult Read(ulong offset, Span<byte> data)
    {
        Accesses.Add((offset, data.Length, false));
        _bytes.AsSpan((int)offset, data.Length).CopyTo(data);
        return AccessResult.Ok;
    }

    public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
    {
        Accesses.Add((offset, data.Length, true));
        data.CopyTo(_bytes.AsSpan((int)offset));
        return AccessResult.Ok;
    }
}
