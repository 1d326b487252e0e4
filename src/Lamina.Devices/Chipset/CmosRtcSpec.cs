// The real-time clock's ports, registers and bits. Sources: Motorola MC146818A data sheet; ICH9 data sheet (RTC registers) for the
// ports; the places of the memory sizes in CMOS RAM are the AT BIOS's convention (Ralf Brown's CMOS list).
namespace Lamina.Devices.Chipset;

/// <summary>Constants of the real-time clock and CMOS RAM of a PC.</summary>
public static class CmosRtcSpec
{
    /// <summary>The index port; the data port follows it.</summary>
    public const ushort Port = 0x70;

    /// <summary>Ports taken.</summary>
    public const ushort Length = 2;

    /// <summary>The ISA interrupt.</summary>
    public const int Irq = 8;

    /// <summary>Bytes of RAM, the clock's registers included.</summary>
    public const int RamLength = 128;

    /// <summary>The register with the century, as the FADT's CENTURY field must name it.</summary>
    public const byte CenturyRegister = 0x32;

    /// <summary>The register that tells firmware why it was started (shutdown status).</summary>
    public const byte ShutdownStatus = 0x0f;

    /// <summary>The clock's registers.</summary>
    internal const int Seconds = 0, SecondsAlarm = 1, Minutes = 2, MinutesAlarm = 3, Hours = 4, HoursAlarm = 5,
        Weekday = 6, DayOfMonth = 7, Month = 8, Year = 9, A = 10, B = 11, C = 12, D = 13;

    /// <summary>Register A: update in progress, divider, rate.</summary>
    internal const byte UpdateInProgress = 0x80, Divider = 0x70, DividerReset = 0x60, DividerNormal = 0x20, Rate = 0xf;

    /// <summary>Register B.</summary>
    internal const byte Set = 0x80, PeriodicEnable = 0x40, AlarmEnable = 0x20, UpdateEnable = 0x10, SquareWave = 8, Binary = 4, Hours24 = 2;

    /// <summary>Register C; its three causes have the places of their enables in B.</summary>
    internal const byte InterruptRequest = 0x80, Periodic = 0x40, Alarm = 0x20, Update = 0x10;

    /// <summary>Register D: RAM and time are valid (the battery is good).</summary>
    internal const byte Valid = 0x80;

    /// <summary>An alarm register from this value on matches everything.</summary>
    internal const byte AlarmAny = 0xc0;

    /// <summary>Hours in 12-hour mode: afternoon.</summary>
    internal const byte Afternoon = 0x80;

    /// <summary>UIP rises 244 µs before an update, which takes 1984 µs (table 6, 32.768 kHz); in 100 ns ticks.</summary>
    internal const long UpdateTicks = (244 + 1984) * TimeSpan.TicksPerMicrosecond;

    /// <summary>The oscillator in hertz.</summary>
    internal const int OscillatorHz = 32_768;

    /// <summary>The frequency of the periodic interrupt by register A's rate (table 5, 32.768 kHz); 0 for none.</summary>
    internal static ulong PeriodicHz(byte registerA)
    {
        var rate = registerA & Rate;
        return rate == 0 ? 0 : (ulong)OscillatorHz >> ((rate <= 2 ? rate + 7 : rate) - 1);
    }
}
