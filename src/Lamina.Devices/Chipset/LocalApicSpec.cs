// The local APIC's registers and bits. Source: Intel SDM vol. 3, chapter 11. Registers are numbered as x2APIC does: an
// xAPIC register lies at 16 times its number in the page, an x2APIC register is MSR 0x800 plus its number (table 11-6).
using Lamina.Core.Interrupts;

namespace Lamina.Devices.Chipset;

/// <summary>Constants of the local APIC.</summary>
public static class LocalApicSpec
{
    /// <summary>Where the register page is after reset, and its size.</summary>
    public const ulong DefaultBase = 0xfee0_0000, PageLength = 0x1000;

    /// <summary>
    /// The frequency in hertz at which the timer counts with a divisor of 1. Where CPUID leaf 15H names a crystal, it must
    /// name this one: kernels take the timer to run on it.
    /// </summary>
    public const ulong TimerHz = 1_000_000_000;

    /// <summary>The model-specific registers: IA32_APIC_BASE, IA32_TSC_DEADLINE and the first and last of x2APIC.</summary>
    public const uint ApicBaseMsr = 0x1b, TscDeadlineMsr = 0x6e0, FirstX2ApicMsr = 0x800, LastX2ApicMsr = 0x8ff;

    /// <summary>The highest APIC ID that a machine may use; 255 is everybody.</summary>
    public const int MaximumId = 254;

    /// <summary>IA32_APIC_BASE (11.4.4, 11.12.1): bootstrap processor, x2APIC mode, global enable; the rest but the base is reserved.</summary>
    internal const ulong BaseBootstrap = 1 << 8, BaseX2Apic = 1 << 10, BaseEnable = 1 << 11;

    /// <summary>Register numbers.</summary>
    internal static class Register
    {
        internal const int Id = 0x02, Version = 0x03, TaskPriority = 0x08, ArbitrationPriority = 0x09, ProcessorPriority = 0x0a,
            EndOfInterrupt = 0x0b, RemoteRead = 0x0c, LogicalDestination = 0x0d, DestinationFormat = 0x0e, SpuriousVector = 0x0f,
            InService = 0x10, TriggerMode = 0x18, Request = 0x20, ErrorStatus = 0x28, CommandLow = 0x30, CommandHigh = 0x31,
            LvtFirst = 0x32, InitialCount = 0x38, CurrentCount = 0x39, DivideConfiguration = 0x3e, SelfIpi = 0x3f;
    }

    /// <summary>32-bit words in each of ISR, TMR and IRR.</summary>
    internal const int WordsPerSet = 8;

    /// <summary>The local vector table's entries in the order of their registers (0x32 to 0x37).</summary>
    internal const int LvtTimer = 0, LvtThermal = 1, LvtPerformance = 2, LvtLint0 = 3, LvtLint1 = 4, LvtError = 5, LvtCount = 6;

    /// <summary>What the version register and the MP table call an integrated APIC (11.4.8).</summary>
    public const byte VersionNumber = 0x14;

    /// <summary>Version register (11.4.8): an integrated APIC, the highest table entry, EOI broadcasts can be suppressed.</summary>
    internal const uint VersionValue = VersionNumber | (LvtCount - 1) << 16 | 1 << 24;

    /// <summary>Table entries (11.5.1, figure 11-8).</summary>
    internal const uint LvtDeliveryStatus = 1 << 12, LvtRemoteIrr = 1 << 14, LvtLevel = 1 << 15, LvtMasked = 1 << 16;

    /// <summary>Where an entry's delivery mode and the timer's mode are.</summary>
    internal const int LvtModeShift = 8, LvtTimerModeShift = 17;

    /// <summary>Timer modes (11.5.1).</summary>
    internal const uint TimerOneShot = 0, TimerPeriodic = 1, TimerTscDeadline = 2;

    /// <summary>Spurious-interrupt vector register (11.9): vector, software enable, focus checking (kept, no effect), EOI broadcast suppression.</summary>
    internal const uint SvrVector = 0xff, SvrEnabled = 1 << 8, SvrFocus = 1 << 9, SvrNoEoiBroadcast = 1 << 12,
        SvrWritable = SvrVector | SvrEnabled | SvrFocus | SvrNoEoiBroadcast;

    /// <summary>Error status register (11.5.3).</summary>
    internal const byte SendIllegalVector = 1 << 5, ReceiveIllegalVector = 1 << 6, IllegalRegister = 1 << 7;

    /// <summary>Destination format register (11.6.2.2): the two models, in bits 28 to 31.</summary>
    internal const uint FlatModel = 0xf, ClusterModel = 0;

    /// <summary>The lowest legal vector (11.5.2).</summary>
    internal const int LowestVector = 16;

    /// <summary>Interrupt command register (11.6.1).</summary>
    internal const uint IcrLogical = 1 << 11, IcrDeliveryStatus = 1 << 12, IcrAssert = 1 << 14, IcrLevel = 1 << 15;

    /// <summary>Shorthands, in ICR bits 18 and 19.</summary>
    internal const int IcrModeShift = 8, IcrShorthandShift = 18, ShorthandSelf = 1, ShorthandAll = 2, ShorthandOthers = 3;

    /// <summary>ICR bits that are reserved in x2APIC mode (11.12.9), in the low half; xAPIC ignores them and the delivery status.</summary>
    internal const uint IcrReserved = 0xfff3_2000;

    /// <summary>The bits of each table entry that can be written.</summary>
    internal static uint LvtWritable(int entry) => entry switch
    {
        LvtTimer => 0x0007_00ff,
        LvtThermal or LvtPerformance => 0x0001_07ff,
        LvtLint0 or LvtLint1 => 0x0001_a7ff,
        _ => 0x0001_00ff,
    };

    /// <summary>The bits of an entry that are read-only rather than reserved.</summary>
    internal static uint LvtReadOnly(int entry) => entry is LvtLint0 or LvtLint1 ? LvtDeliveryStatus | LvtRemoteIrr : LvtDeliveryStatus;

    /// <summary>An entry's delivery mode; the timer and the error entry know only one.</summary>
    internal static InterruptDeliveryMode LvtMode(int entry, uint value) =>
        entry is LvtTimer or LvtError ? InterruptDeliveryMode.Fixed : (InterruptDeliveryMode)(value >> LvtModeShift & 7);

    /// <summary>The timer's divisor (11.5.4, figure 11-10): bits 0, 1 and 3.</summary>
    internal static long Divisor(uint configuration)
    {
        var code = (int)((configuration & 3) | (configuration >> 1 & 4));
        return code == 7 ? 1 : 2L << code;
    }
}
