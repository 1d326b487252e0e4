// The floppy disk controller 82077AA (Intel's data sheet 290166): registers, commands and results.
namespace Lamina.Devices.Floppy;

internal static class FloppySpec
{
    internal const ushort Ports = 0x3f0, DirectionPort = 0x3f7;
    internal const int PortsLength = 6, DmaChannel = 2, Drives = 2, SectorSize = 512, SizeCode = 2;

    // Registers, from the first port on; the last one is at a port of its own.
    internal const int Output = 2, Tape = 3, MainStatus = 4, Fifo = 5;

    // Digital output: no reset, DMA and interrupt gate, motors from bit 4 on.
    internal const byte NotReset = 0x04, Gate = 0x08, DriveMask = 3;

    // Main status: a byte may be moved; to the host; a command is under way; drives that seek in bits 0 to 3. Data rate select: software reset.
    internal const byte Request = 0x80, ToHost = 0x40, InCommand = 0x10, SoftReset = 0x80, RateMask = 3;

    // Status 0: ended abnormally, no such command, the drive is not ready (polling), seek ended, no track 0.
    internal const byte Abnormal = 0x40, Invalid = 0x80, Polled = 0xc0, SeekEnd = 0x20, NoTrack0 = 0x10;

    // Status 1: past the end of the cylinder, no data in time, no such sector, write protected, no address mark; status 2: wrong cylinder. Status 3.
    internal const byte PastEnd = 0x80, Overrun = 0x10, NoData = 0x04, Protected = 0x02, NoMark = 0x01, WrongCylinder = 0x10;
    internal const byte DriveProtected = 0x40, DriveReady = 0x28, AtTrack0 = 0x10;

    // Of a command's first byte: both sides; what names it.
    internal const byte BothSides = 0x80, CommandMask = 0x1f;
    internal const byte VersionValue = 0x90, Locks = 0x80;
}

/// <summary>Commands, by the low bits of their first byte.</summary>
internal enum FloppyCommand : byte
{
    Specify = 0x03,
    SenseDrive = 0x04,
    WriteData = 0x05,
    ReadData = 0x06,
    Recalibrate = 0x07,
    SenseInterrupt = 0x08,
    ReadId = 0x0a,
    FormatTrack = 0x0d,
    DumpRegisters = 0x0e,
    Seek = 0x0f,
    Version = 0x10,
    PerpendicularMode = 0x12,
    Configure = 0x13,
    Lock = 0x14,
    Verify = 0x16,
}
