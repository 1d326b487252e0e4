// How an interrupt travels: device → line → controllers (PIC, I/O APIC) → local APIC → vCPU.
// Lock order: device, then I/O APIC or PIC, then local APIC, then the vCPU's wake-up. Nobody calls back up this chain
// with a lock held.
namespace Lamina.Core.Interrupts;

/// <summary>One interrupt input of the platform (a GSI), as a device sees it.</summary>
public interface IInterruptLine
{
    /// <summary>Drives the line. Setting the level it has does nothing.</summary>
    void SetLevel(bool asserted);
}

/// <summary>A line that was made for one device, which gives it back by disposing it: what it asserted is asserted no more.</summary>
public interface IInterruptSource : IInterruptLine, IDisposable;

/// <summary>Interrupts that devices send as messages: writes to the local APICs' window, wherever the controllers are.</summary>
public interface IMessageInterrupts
{
    /// <summary>Carries a write out (SDM vol. 3, 11.11). Any thread, with a device's lock held.</summary>
    /// <param name="address">The guest-physical address that the guest gave the device.</param>
    /// <param name="data">The value that it gave it.</param>
    /// <returns>False where it asks for nothing, or nobody accepted it. Devices need not look: a guest that gives them nonsense gets nothing.</returns>
    bool Send(ulong address, uint data);
}

/// <summary>Extends lines with the edge that most ISA devices want.</summary>
public static class InterruptLineExtensions
{
    /// <summary>Asserts and releases: one edge.</summary>
    public static void Pulse(this IInterruptLine line)
    {
        line.SetLevel(true);
        line.SetLevel(false);
    }
}

/// <summary>What a vCPU asks of its local interrupt controller. Called on the vCPU's thread.</summary>
public interface ILocalInterruptController
{
    /// <summary>Whether an interrupt waits that the current priority lets through.</summary>
    bool HasInterrupt { get; }

    /// <summary>Takes the interrupt with the highest priority and returns its vector; -1 where none waits (any more).</summary>
    int Acknowledge();

    /// <summary>The task priority class as CR8 holds it (0 to 15). SDM vol. 3, 11.8.6.</summary>
    byte TaskPriority { get; set; }

    /// <summary>Reads IA32_APIC_BASE (0x1B), IA32_TSC_DEADLINE (0x6E0) or an x2APIC register (0x800 to 0x8FF). False: #GP.</summary>
    bool TryReadMsr(uint index, out ulong value);

    /// <summary>Writes one of the registers of <see cref="TryReadMsr"/>. False: #GP.</summary>
    bool TryWriteMsr(uint index, ulong value);

    /// <summary>The current guest-physical base of the xAPIC page, or null where the xAPIC page does not answer (disabled or x2APIC mode).</summary>
    ulong? MmioBase { get; }

    /// <summary>The xAPIC register page; offsets 0 to 0xFFF. The engine routes the vCPU's own accesses at <see cref="MmioBase"/> here.</summary>
    Bus.IBusDevice Mmio { get; }

    /// <summary>
    /// The vCPU takes an INIT, which stops it: forgets everything but the identity, the base and the mode (SDM vol. 3, 11.4.7.3). What the
    /// vCPU did to the registers before it stopped is forgotten with the rest.
    /// </summary>
    void Init();

    /// <summary>Forgets everything but the identity, as RESET does.</summary>
    void Reset();
}

/// <summary>How a local interrupt controller reaches its vCPU. Any thread may call.</summary>
public interface IVcpuSignal
{
    /// <summary>An interrupt may have become deliverable: look again soon, and wake if halted.</summary>
    void InterruptPending();

    /// <summary>A non-maskable interrupt.</summary>
    void NonMaskableInterrupt();

    /// <summary>INIT: the vCPU stops, tells its local interrupt controller, and waits for start-up.</summary>
    void Init();

    /// <summary>Start-up IPI with a vector (SDM vol. 3, 9.4.4).</summary>
    void StartUp(byte vector);
}
