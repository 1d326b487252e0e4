// Interrupt controllers that are not the machine's but its engine's: in the host's kernel, beside the CPUs that it runs, so that
// timers, interprocessor interrupts and their ends cost no exit. Either the local APICs alone, or all of them; the timers of a PC stay
// the machine's.
using Lamina.Core.State;

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

    /// <summary>Errors that ESR does not show before it is written again; none where the controller does not tell.</summary>
    public byte PendingErrors { get; init; }

    /// <summary>An ExtINT message waits for its vector to be asked of the 8259 pair; never where the controller does not tell.</summary>
    public bool ExternalPending { get; init; }

    /// <summary>Writes it, or reads it.</summary>
    public static void Exchange(SavedFields fields, ref LocalApicImage image)
    {
        var (basis, registers, deadline, errors, external) = (image.Base, image.Registers, image.TscDeadline, image.PendingErrors, image.ExternalPending);
        fields.Value(1, ref basis);
        fields.Bytes(2, registers.AsSpan());
        fields.Value(3, ref deadline);
        fields.Value(4, ref errors);
        fields.Value(5, ref external);
        image = new LocalApicImage { Base = basis, Registers = registers, TscDeadline = deadline, PendingErrors = errors, ExternalPending = external };
    }
}

/// <summary>The registers of the other interrupt controllers wherever they are.</summary>
/// <param name="IoApic">The I/O APIC.</param>
/// <param name="Master">The 8259 that the CPUs hear.</param>
/// <param name="Slave">The 8259 at its input 2.</param>
public sealed record IrqchipImage(IoApicState IoApic, Pic8259State Master, Pic8259State Slave);

/// <summary>The local APICs of a machine, one a vCPU, in its engine.</summary>
public interface IEngineIrqchip : IInterruptBus
{
    /// <summary>RESET of all that the engine has. Only while no vCPU runs.</summary>
    void Reset();

    /// <summary>Copies the registers of one local APIC out. Only while its vCPU does not run.</summary>
    LocalApicImage GetLocalApic(int vcpu);

    /// <summary>Replaces the registers of one local APIC. Only while its vCPU does not run.</summary>
    void SetLocalApic(int vcpu, LocalApicImage image);
}

/// <summary>The engine has the local APICs alone; the I/O APIC and the 8259 pair are the machine's.</summary>
public interface IEngineLocalApics : IEngineIrqchip
{
    /// <summary>The 8259 pair's output, LINT0 of the bootstrap processor.</summary>
    IInterruptLine ExternalLine { get; }

    /// <summary>Names who hears of ends of interrupts and who knows the vectors of external ones. Once, before a vCPU runs.</summary>
    void Connect(IInterruptEndListener ends, IExternalInterruptController external);

    /// <summary>Tells what an input of the I/O APIC sends where it is level triggered: only the ends of such messages are told.</summary>
    /// <param name="input">The input, 0 to 23.</param>
    /// <param name="message">The message; null for none.</param>
    void SetRoute(int input, InterruptMessage? message);
}

/// <summary>The engine has all interrupt controllers, with the registers where a PC has them.</summary>
public interface IEngineWholeIrqchip : IEngineIrqchip
{
    /// <summary>Drives a GSI, and with it the input of the 8259 pair that <see cref="InterruptRouterSpec.PicInputOf"/> names. Any thread.</summary>
    /// <param name="gsi">1 to 23.</param>
    /// <param name="asserted">Its level.</param>
    void SetLine(int gsi, bool asserted);

    /// <summary>Copies the registers of I/O APIC and 8259 pair out. Only while no vCPU runs.</summary>
    IrqchipImage Save();

    /// <summary>Replaces the registers of I/O APIC and 8259 pair. Only while no vCPU runs.</summary>
    void Load(IrqchipImage image);
}
