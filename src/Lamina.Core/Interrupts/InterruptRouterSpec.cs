// How a PC wires its interrupts, whoever has the controllers: the machine or its engine.
namespace Lamina.Core.Interrupts;

/// <summary>
/// Constants of a PC's interrupt wiring, and what the MADT must say of it: one interrupt source override for
/// <see cref="TimerIrq"/> → <see cref="TimerGsi"/> with flags 0, and one for the SCI → its GSI with <see cref="LevelHighFlags"/>.
/// </summary>
public static class InterruptRouterSpec
{
    /// <summary>GSIs 0 to 23.</summary>
    public const int Gsis = IoApicEntries.Count;

    /// <summary>ISA interrupts 0 to 15.</summary>
    public const int IsaIrqs = 16;

    /// <summary>The GSI that only carries the 8259 pair's output (ExtINT).</summary>
    public const int ExternalGsi = 0;

    /// <summary>The ISA timer interrupt, which is another GSI.</summary>
    public const int TimerIrq = 0, TimerGsi = 2;

    /// <summary>MPS INTI flags of an active-high, level-triggered interrupt (ACPI 6.5, table 5.26).</summary>
    public const ushort LevelHighFlags = 0xd;

    /// <summary>The GSI of an ISA interrupt.</summary>
    public static int GsiOf(int isaIrq) => isaIrq == TimerIrq ? TimerGsi : isaIrq;

    /// <summary>The 8259 pair's input that a GSI reaches as well as the I/O APIC's of its number; null where it does not.</summary>
    public static int? PicInputOf(int gsi) => gsi switch
    {
        TimerGsi => TimerIrq,
        > ExternalGsi and < IsaIrqs => gsi,
        _ => null,
    };
}
