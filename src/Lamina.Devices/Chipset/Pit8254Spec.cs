// The 8254's ports and bits. Sources: Intel 8254 data sheet (231164); port 0x61 from the ICH9 data sheet, register NMI_SC.
namespace Lamina.Devices.Chipset;

/// <summary>Constants of the interval timer of a PC.</summary>
public static class Pit8254Spec
{
    /// <summary>First port of the timer, its number of ports, and the system control port with channel 2's gate and output.</summary>
    public const ushort Port = 0x40, Length = 4, SystemControlPort = 0x61;

    /// <summary>The ISA interrupt of channel 0.</summary>
    public const int Irq = 0;

    /// <summary>The input clock in hertz (14.31818 MHz / 12).</summary>
    public const ulong Hz = 1_193_182;

    /// <summary>Channels, and the one whose gate and output port 0x61 has.</summary>
    internal const int Channels = 3, Speaker = 2;

    /// <summary>Offset of the control word register.</summary>
    internal const int Control = 3;

    /// <summary>Control word bits 6 and 7: this value makes it a read-back command, whose bits 5 and 4, when zero, latch count and status.</summary>
    internal const int ReadBack = 3;

    /// <summary>Read-back: do not latch the count, the status.</summary>
    internal const byte NoCount = 0x20, NoStatus = 0x10;

    /// <summary>Control word bits 4 and 5: latch, low byte, high byte, low then high.</summary>
    internal const byte AccessLatch = 0, AccessLow = 1, AccessHigh = 2, AccessBoth = 3;

    /// <summary>Status byte: output, null count (data sheet, figure 11).</summary>
    internal const byte StatusOutput = 0x80, StatusNullCount = 0x40;

    /// <summary>Port 0x61: gate of channel 2, speaker, the two NMI enables, refresh, output of channel 2.</summary>
    internal const byte SpeakerGate = 1, SystemWritable = 0xf, Refresh = 0x10, SpeakerOutput = 0x20;

    /// <summary>Half a period of the refresh bit in nanoseconds: it changes with every refresh, each 15.085 µs.</summary>
    internal const long RefreshNanoseconds = 15_085;
}

/// <summary>How a counter counts (8254 data sheet, "Mode definitions").</summary>
public enum PitMode : byte
{
    /// <summary>Mode 0: output rises at the terminal count.</summary>
    TerminalCount = 0,

    /// <summary>Mode 1: a pulse after each gate trigger.</summary>
    OneShot = 1,

    /// <summary>Mode 2: divides by N, low for one tick.</summary>
    RateGenerator = 2,

    /// <summary>Mode 3: a square wave.</summary>
    SquareWave = 3,

    /// <summary>Mode 4: one low tick after the count.</summary>
    SoftwareStrobe = 4,

    /// <summary>Mode 5: the same, started by the gate.</summary>
    HardwareStrobe = 5,
}
