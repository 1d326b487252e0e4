// Local APICs that are not the machine's but its engine's: in the host's kernel, beside the CPUs that it runs, so that timers,
// interprocessor interrupts and their ends cost no exit. The I/O APIC, the 8259 pair and the timers of a PC stay the machine's.
namespace Lamina.Core.Interrupts;

/// <summary>Hears of the ends of level-triggered interrupts, as an I/O APIC does.</summary>
public interface IInterruptEndListener
{
    /// <summary>A local APIC ended a level-triggered interrupt.</summary>
    void EndInterrupt(byte vector);
}

/// <summary>The registers of a local APIC wherever it is: what moves from one to another.</summary>
public sealed record LocalApicImage
{
    /// <summary>Bytes of <see cref="Registers"/>.</summary>
    public const int Length = 0x400;

    /// <summary>IA32_APIC_BASE.</summary>
    public required ulong Base { get; init; }

    /// <summary>
    /// The beginning of the xAPIC page as it reads (SDM vol. 3, table 11-1), also in x2APIC mode: the ID in bits 24 to 31, both
    /// halves of the ICR, the timer's current count.
    /// </summary>
    public required byte[] Registers { get; init; }

    /// <summary>IA32_TSC_DEADLINE in the machine's counter; 0 while disarmed.</summary>
    public ulong TscDeadline { get; init; }
}

/// <summary>The local APICs of a machine, one a vCPU, in its engine.</summary>
public interface IEngineLocalApics : IInterruptBus
{
    /// <summary>The 8259 pair's output, LINT0 of the bootstrap processor.</summary>
    IInterruptLine ExternalLine { get; }

    /// <summary>Names who hears of ends of interrupts and who knows the vectors of external ones. Once, before a vCPU runs.</summary>
    void Connect(IInterruptEndListener ends, IExternalInterruptController external);

    /// <summary>Tells what an input of the I/O APIC sends where it is level triggered: only the ends of such messages are told.</summary>
    /// <param name="input">The input, 0 to 23.</param>
    /// <param name="message">The message; null for none.</param>
    void SetRoute(int input, InterruptMessage? message);

    /// <summary>RESET of all of them. Only while no vCPU runs.</summary>
    void Reset();

    /// <summary>Copies the registers of one out. Only while its vCPU does not run.</summary>
    LocalApicImage GetLocalApic(int vcpu);

    /// <summary>Replaces the registers of one. Only while its vCPU does not run.</summary>
    void SetLocalApic(int vcpu, LocalApicImage image);
}
