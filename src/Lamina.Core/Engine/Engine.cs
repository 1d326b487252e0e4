// The contract between a CPU engine and the rest of the machine. Two engines implement it (translator, KVM);
// the machine cannot tell which one runs. A vCPU belongs to one thread, which calls Run in a loop.
using Lamina.Core.Inspection;
using Lamina.Core.Interrupts;
using Lamina.Core.Logging;
using Lamina.Core.Memory;

namespace Lamina.Core.Engine;

/// <summary>Where a vCPU's accesses go that are neither RAM nor its own local APIC. Called on the vCPU's thread.</summary>
public interface IVcpuBus
{
    /// <summary>IN.</summary>
    void ReadPort(ushort port, Span<byte> data);

    /// <summary>OUT.</summary>
    void WritePort(ushort port, ReadOnlySpan<byte> data);

    /// <summary>A load from guest-physical addresses that are not RAM.</summary>
    void ReadMemory(ulong address, Span<byte> data);

    /// <summary>A store to guest-physical addresses that are not RAM.</summary>
    void WriteMemory(ulong address, ReadOnlySpan<byte> data);
}

/// <summary>Why <see cref="IVcpu.Run"/> returned.</summary>
public enum VcpuExit
{
    /// <summary>Somebody called <see cref="IVcpu.Kick"/>.</summary>
    Kicked,

    /// <summary>The guest can never continue: triple fault. SDM vol. 3, 6.15 (interrupt 8).</summary>
    TripleFault,

    /// <summary>A debugger's breakpoint, watchpoint or single step was reached; RIP is at the next instruction to execute.</summary>
    Debug,

    /// <summary>The engine failed; <see cref="IVcpu.Failure"/> says why.</summary>
    Failed,
}

/// <summary>One virtual CPU.</summary>
public interface IVcpu : IVcpuSignal, ICounted, IDisposable
{
    /// <summary>The index, from 0; also the initial APIC ID.</summary>
    int Index { get; }

    /// <summary>Runs the guest on the calling thread (always the same one) until something needs the machine. HLT is waited for inside.</summary>
    VcpuExit Run();

    /// <summary>
    /// Makes a running or halted vCPU return from <see cref="Run"/> with <see cref="VcpuExit.Kicked"/> soon. Any thread. A kick
    /// that comes before <see cref="Run"/> makes the next one return at once.
    /// </summary>
    void Kick();

    /// <summary>A sentence for <see cref="VcpuExit.Failed"/>.</summary>
    string? Failure { get; }

    /// <summary>Copies the whole architectural state out. Only while <see cref="Run"/> is not running.</summary>
    void GetState(VcpuState state);

    /// <summary>Replaces the whole architectural state. Only while <see cref="Run"/> is not running.</summary>
    /// <returns>
    /// What this vCPU cannot take, a few words each ("CR4 bit 12"): it keeps there what it had, and the state is another one than was
    /// meant. Empty where it took all.
    /// </returns>
    IReadOnlyList<string> SetState(VcpuState state);

    /// <summary>Reads guest memory at a linear address with the vCPU's current paging, as a debugger does: no faults, no accessed bits.</summary>
    bool TryReadLinear(ulong address, Span<byte> data);

    /// <summary>Writes guest memory at a linear address for a debugger, read-only pages too.</summary>
    bool TryWriteLinear(ulong address, ReadOnlySpan<byte> data);

    /// <summary>
    /// Replaces the debugger's breakpoints (linear addresses), its watchpoints (<see cref="Watchpoint.Maximum"/> at most) and the
    /// single-step request. Only while not running. The instruction that runs first afterwards is not stopped at, even where a
    /// breakpoint lies on it. The guest reads its own debug registers as it wrote them; those that the watchpoints take do not fire.
    /// </summary>
    void SetDebug(IReadOnlySet<ulong> breakpoints, IReadOnlyList<Watchpoint> watchpoints, bool singleStep);

    /// <summary>The watchpoint that ended the last <see cref="Run"/> with <see cref="VcpuExit.Debug"/>; null: something else did.</summary>
    Watchpoint? WatchHit { get; }
}

/// <summary>What an engine needs to know to create a vCPU.</summary>
/// <param name="Index">From 0.</param>
/// <param name="Bus">Where its accesses go.</param>
/// <param name="Apic">
/// Its local interrupt controller; the engine calls it for CR8, APIC MSRs, its MMIO page and to acknowledge. Null where the engine
/// has it itself (<see cref="IEngineMachine.Irqchip"/>).
/// </param>
/// <param name="Log">Gets exits and exceptions, one line each, where somebody follows them; or null.</param>
public sealed record VcpuOptions(int Index, IVcpuBus Bus, ILocalInterruptController? Apic, ILog? Log = null);

/// <summary>The CPUs and the address space of one machine on one engine.</summary>
public interface IEngineMachine : ICounted, IDisposable
{
    /// <summary>Creates a vCPU in its RESET state (SDM vol. 3, table 9-1).</summary>
    IVcpu CreateVcpu(VcpuOptions options);

    /// <summary>Doorbells, where the engine can have them; null where it cannot.</summary>
    IEngineDoorbells? Doorbells => null;

    /// <summary>The interrupt controllers that the engine has itself, the local APICs always among them; null where the machine is to have all.</summary>
    IEngineIrqchip? Irqchip => null;

    /// <summary>
    /// The CPU that the guest sees, in the words of <see cref="EngineMachineOptions.CpuModel"/> and with every feature by name: the same on
    /// another host, which gives it or refuses it.
    /// </summary>
    string CpuModel { get; }

    /// <summary>The same CPU with all that CPUID says of it.</summary>
    CpuIdentity CpuIdentity { get; }

    /// <summary>What a saved guest was told of its processor (<see cref="EngineMachineOptions.CpuIdentity"/>; of branch speculation above all) that does not hold on this host or engine, gives it no instruction or register, and is told no longer: names.</summary>
    IReadOnlyList<string> CpuWithheld => [];

    /// <summary>Keeps what is to outlast the machine. Called when its vCPUs will not run again; its counters may be asked for afterwards.</summary>
    void Conclude()
    {
    }
}

/// <summary>What a machine asks of its engine.</summary>
/// <param name="Memory">Guest RAM.</param>
/// <param name="Clock">The machine's clock; the guest's TSC follows it.</param>
/// <param name="VcpuCount">How many vCPUs the machine will have (for CPUID topology).</param>
public sealed record EngineMachineOptions(GuestMemory Memory, Time.IMachineClock Clock, int VcpuCount)
{
    /// <summary>The CPU model: "host", or a level and switches, as docs/run.md has it. An engine refuses what it cannot give with a sentence.</summary>
    public string CpuModel { get; init; } = "host";

    /// <summary>
    /// The CPU that the guest saw when it was saved, and sees again; <see cref="CpuModel"/> says nothing then. An engine refuses what it
    /// cannot give with a sentence. Null for a guest that starts.
    /// </summary>
    public CpuIdentity? CpuIdentity { get; init; }

    /// <summary>The most bits of physical address that the CPU says to have; null for as many as there are. A guest that was saved has what it had.</summary>
    public int? MostPhysicalAddressBits { get; init; }
}

/// <summary>A CPU engine.</summary>
public interface IEngine
{
    /// <summary>"translator" or "kvm".</summary>
    string Name { get; }

    /// <summary>How many open files a vCPU takes of the process.</summary>
    int DescriptorsPerVcpu => 0;

    /// <summary>The most memory of the host that it takes beside the guest's, in bytes, whatever the guest does; what the host's kernel keeps for it is left out.</summary>
    /// <param name="guestBytes">The guest's memory.</param>
    /// <param name="cpus">How many vCPUs the machine has.</param>
    ulong MostBytes(ulong guestBytes, int cpus) => 0;

    /// <summary>Creates the engine's side of a machine.</summary>
    IEngineMachine CreateMachine(EngineMachineOptions options);
}
