// What keyboards and mice are told and answer. Sources: IBM PS/2 Hardware Interface Technical Reference, "Keyboard (101- and 102-key)" and
// "Mouse"; for the wheel and the further buttons, Microsoft's IntelliMouse: how a driver knocks, and packets of four bytes.
namespace Lamina.Devices.Chipset.Ps2;

/// <summary>Constants of devices behind the controller.</summary>
internal static class Ps2Spec
{
    /// <summary>Answers: command taken, self-test passed, echo, send it again; the bytes by which a keyboard is known.</summary>
    internal const byte Acknowledge = 0xfa, TestPassed = 0xaa, Echo = 0xee, Resend = 0xfe, KeyboardId1 = 0xab, KeyboardId2 = 0x83;

    /// <summary>Commands of both.</summary>
    internal const byte Identify = 0xf2, Enable = 0xf4, Disable = 0xf5, Defaults = 0xf6, Again = 0xfe, Reset = 0xff;

    /// <summary>Commands of a keyboard.</summary>
    internal const byte SetLights = 0xed, EchoCommand = 0xee, ScanCodeSet = 0xf0, Typematic = 0xf3, FirstOfSet3 = 0xf7, LastOfSet3 = 0xfd, FirstOfSet3WithKey = 0xfb;

    /// <summary>Commands of a mouse.</summary>
    internal const byte Scaling1 = 0xe6, Scaling2 = 0xe7, Resolution = 0xe8, StatusRequest = 0xe9, StreamMode = 0xea, ReadData = 0xeb,
        ResetWrap = 0xec, Wrap = 0xee, RemoteMode = 0xf0, SampleRate = 0xf3;

    /// <summary>Kinds of mice: without a wheel, with one, with one and five buttons.</summary>
    internal const byte PlainMouse = 0, WheelMouse = 3, FiveButtonMouse = 4;

    /// <summary>A mouse's packet: always one, signs and overflows of the movements; bits 0 to 2 are the buttons.</summary>
    internal const byte AlwaysOne = 8, RightIsNegative = 0x10, UpIsNegative = 0x20;

    /// <summary>In the fourth byte of a mouse with five buttons: the fourth and the fifth.</summary>
    internal const byte FourthButton = 0x10, FifthButton = 0x20;

    /// <summary>The first byte of a status: remote mode, enabled, scaling 2:1.</summary>
    internal const byte StatusRemote = 0x40, StatusEnabled = 0x20, StatusScaling2 = 0x10;

    /// <summary>What a mouse has after power-on: 100 samples a second, 4 counts a millimetre.</summary>
    internal const byte DefaultRate = 100, DefaultResolution = 2;
}
