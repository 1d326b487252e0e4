// The ACPI fixed hardware's registers, and what the tables must say of them. Source: ACPI 6.5, 4.8 (fixed hardware),
// 5.2.9 (FADT).
namespace Lamina.Devices.Chipset;

/// <summary>
/// Constants of the ACPI fixed hardware. A writer of tables uses them so:
/// <list type="bullet">
/// <item>ordinary FADT: PM1a_EVT_BLK = <see cref="BasePort"/> + <see cref="EventOffset"/>, length <see cref="EventLength"/>;
/// PM1a_CNT_BLK = + <see cref="ControlOffset"/>, length <see cref="ControlLength"/>; PM_TMR_BLK = + <see cref="TimerOffset"/>,
/// length <see cref="TimerLength"/>, flag TMR_VAL_EXT; GPE0_BLK = + <see cref="GeneralOffset"/>, length
/// <see cref="GeneralLength"/>; SMI_CMD, PM1b, PM2 and GPE1 blocks zero: the machine is always in
/// ACPI mode; flags FIX_RTC and SLP_BUTTON set (neither is in the fixed hardware), PWR_BUTTON clear (it is);</item>
/// <item>hardware-reduced FADT: SLEEP_CONTROL_REG = + <see cref="SleepControlOffset"/>, SLEEP_STATUS_REG = +
/// <see cref="SleepStatusOffset"/>, both system I/O and 8 bits wide;</item>
/// <item>RESET_REG = + <see cref="ResetOffset"/>, system I/O, 8 bits, RESET_VALUE = <see cref="ResetValue"/>, flag RESET_REG_SUP;</item>
/// <item>SCI_INT = <see cref="SciGsi"/>, and in the MADT an interrupt source override that makes it level triggered;</item>
/// <item>DSDT: <c>Name (\_S5, Package () { SleepTypeOff, SleepTypeOff, 0, 0 })</c> with <see cref="SleepTypeOff"/>.</item>
/// </list>
/// </summary>
public static class AcpiPmSpec
{
    /// <summary>The first of the block's ports, and their number.</summary>
    public const ushort BasePort = 0x600, Length = 20;

    /// <summary>PM1a event block: status and enable, 16 bits each.</summary>
    public const int EventOffset = 0, EventLength = 4;

    /// <summary>PM1a control block.</summary>
    public const int ControlOffset = 4, ControlLength = 2;

    /// <summary>Power management timer, 32 bits.</summary>
    public const int TimerOffset = 8, TimerLength = 4;

    /// <summary>Sleep control and status registers of hardware-reduced ACPI, and the reset register; 8 bits each.</summary>
    public const int SleepControlOffset = 12, SleepStatusOffset = 13, ResetOffset = 14;

    /// <summary>General-purpose event block 0: status and enable, 16 bits each; and how many events that is.</summary>
    public const int GeneralOffset = 16, GeneralLength = 4, GeneralEvents = 16;

    /// <summary>What is written to the reset register.</summary>
    public const byte ResetValue = 1;

    /// <summary>The GSI of the system control interrupt.</summary>
    public const int SciGsi = 9;

    /// <summary>SLP_TYP of S5.</summary>
    public const byte SleepTypeOff = 5;

    /// <summary>The timer's frequency in hertz (4.8.2.1).</summary>
    public const ulong TimerHz = 3_579_545;

    /// <summary>PM1 status and enable (4.8.3.1): timer, global lock, power button; RTC alarm, which nothing here raises but drivers enable and read back; status only: wake.</summary>
    internal const ushort TimerBit = 1, GlobalBit = 0x20, PowerButtonBit = 0x100, RtcBit = 0x400, WakeStatus = 0x8000,
        StatusMask = TimerBit | GlobalBit | PowerButtonBit | RtcBit | WakeStatus, EnableMask = TimerBit | GlobalBit | PowerButtonBit | RtcBit;

    /// <summary>PM1 control (4.8.3.2): SCI enable, bus master reload; sleep type and enable in the high byte.</summary>
    internal const byte SciEnable = 1, BusMasterReload = 2, SleepTypeShift = 2, SleepTypeMask = 7, SleepEnable = 0x20;

    /// <summary>The timer's highest bit: each change of it sets the timer status (4.8.3.3).</summary>
    internal const int TimerHighestBit = 31;
}
