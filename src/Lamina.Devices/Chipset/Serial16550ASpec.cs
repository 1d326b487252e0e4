// The 16550A's registers and bits. Source: National Semiconductor PC16550D data sheet (June 1995), section 8.
namespace Lamina.Devices.Chipset;

/// <summary>Constants of the 16550A and of the places where a PC has it.</summary>
public static class Serial16550ASpec
{
    /// <summary>How many ports one UART takes.</summary>
    public const int Length = 8;

    /// <summary>Where a PC has COM1 to COM4.</summary>
    public const ushort Com1 = 0x3f8, Com2 = 0x2f8, Com3 = 0x3e8, Com4 = 0x2e8;

    /// <summary>The ISA interrupts of COM1 (and COM3) and of COM2 (and COM4).</summary>
    public const int Com1Irq = 4, Com2Irq = 3;

    /// <summary>Bytes in the receiver's FIFO.</summary>
    public const int FifoLength = 16;

    /// <summary>The reference oscillator in hertz; a bit lasts 16 × divisor of its cycles.</summary>
    public const ulong OscillatorHz = 1_843_200;

    /// <summary>What lies at the offsets; RBR/THR and IER give way to the divisor while LCR bit 7 is set (8.0, table II).</summary>
    internal const int Data = 0, InterruptEnable = 1, InterruptIdentification = 2, LineControl = 3,
        ModemControl = 4, LineStatus = 5, ModemStatus = 6, Scratch = 7;

    /// <summary>IER, 8.7.</summary>
    internal const byte EnableReceived = 1, EnableTransmitterEmpty = 2, EnableLineStatus = 4, EnableModemStatus = 8, EnableMask = 0xf;

    /// <summary>IIR, 8.6, table V; the highest priority first.</summary>
    internal const byte CauseLineStatus = 6, CauseReceived = 4, CauseTimeout = 12, CauseTransmitterEmpty = 2, CauseModemStatus = 0,
        CauseNone = 1, FifosEnabled = 0xc0;

    /// <summary>FCR, 8.5.</summary>
    internal const byte FifoEnable = 1, ResetReceiver = 2, ResetTransmitter = 4, FifoKept = 0xc9;

    /// <summary>LCR, 8.1.</summary>
    internal const byte WordLength = 3, StopBits = 4, ParityEnable = 8, Break = 0x40, DivisorLatch = 0x80;

    /// <summary>MCR, 8.8.</summary>
    internal const byte Dtr = 1, Rts = 2, Out1 = 4, Out2 = 8, Loopback = 0x10, ModemControlMask = 0x1f;

    /// <summary>LSR, 8.4.</summary>
    internal const byte DataReady = 1, Overrun = 2, BreakInterrupt = 0x10, HoldingEmpty = 0x20, TransmitterEmpty = 0x40, FifoError = 0x80;

    /// <summary>MSR, 8.9: the deltas in bits 0 to 3, the inputs in bits 4 to 7.</summary>
    internal const byte DeltaCts = 1, DeltaDsr = 2, TrailingRi = 4, DeltaDcd = 8, DeltaMask = 0xf,
        Cts = 0x10, Dsr = 0x20, Ri = 0x40, Dcd = 0x80;

    /// <summary>Receiver trigger levels by FCR bits 6 and 7 (8.5).</summary>
    internal static int TriggerLevel(byte fifoControl) => (fifoControl >> 6) switch { 0 => 1, 1 => 4, 2 => 8, _ => 14 };
}
