// The keyboard controller's ports, commands and bits. Source: IBM PS/2 Hardware Interface Technical Reference, "Keyboard
// and auxiliary device controller".
namespace Lamina.Devices.Chipset.Ps2;

/// <summary>Constants of the keyboard controller of a PC.</summary>
public static class I8042Spec
{
    /// <summary>The data port, and the status (read) and command (write) port. The ports between belong to others.</summary>
    public const ushort DataPort = 0x60, CommandPort = 0x64;

    /// <summary>The ISA interrupts of the keyboard's side and of the auxiliary side, a mouse's.</summary>
    public const int KeyboardIrq = 1, MouseIrq = 12;

    /// <summary>Status: output buffer full, system flag, last write was a command, keyboard not locked, output is the auxiliary's, general time-out.</summary>
    internal const byte OutputFull = 1, SystemFlag = 4, WasCommand = 8, NotLocked = 0x10, AuxiliaryOutput = 0x20, TimedOut = 0x40;

    /// <summary>Configuration byte: interrupts, system flag, ports disabled, scan codes translated to set 1.</summary>
    internal const byte ConfigKeyboardInterrupt = 1, ConfigAuxiliaryInterrupt = 2, ConfigSystem = 4, ConfigKeyboardDisabled = 0x10, ConfigAuxiliaryDisabled = 0x20, ConfigTranslate = 0x40;

    /// <summary>Commands; reading and writing RAM take the address in bits 0 to 4, pulses the lines in bits 0 to 3.</summary>
    internal const byte ReadRam = 0x20, WriteRam = 0x60, RamMask = 0x1f, DisableAuxiliary = 0xa7, EnableAuxiliary = 0xa8, TestAuxiliary = 0xa9,
        SelfTest = 0xaa, TestKeyboard = 0xab, DisableKeyboard = 0xad, EnableKeyboard = 0xae, ReadInputPort = 0xc0,
        ReadOutputPort = 0xd0, WriteOutputPort = 0xd1, WriteKeyboardBuffer = 0xd2, WriteAuxiliaryBuffer = 0xd3,
        WriteAuxiliary = 0xd4, ReadTestInputs = 0xe0, PulseLines = 0xf0;

    /// <summary>Bytes of the controller's RAM; byte 0 is the configuration.</summary>
    internal const int RamLength = 32;

    /// <summary>Answers: self-test passed, interface in order, clock line stuck low (nothing there), resend.</summary>
    internal const byte SelfTestPassed = 0x55, InterfaceGood = 0, ClockStuckLow = 1, Resend = 0xfe;

    /// <summary>Output port: not reset, A20. Input port: keyboard not locked.</summary>
    internal const byte OutputNotReset = 1, OutputA20 = 2, InputNotLocked = 0x80;

    /// <summary>
    /// What a byte takes from a device to the controller: 11 bits at 16 kHz. Programs that read the data port more than once for a byte
    /// (handlers that are chained) rely on its staying there for so long.
    /// </summary>
    internal const long ByteNanoseconds = 690_000;
}
