// The ports of IDE channels and of their bus master: "Programming Interface for Bus Master IDE Controller" 1.0, and Intel's data sheet 290550
// (PIIX3), sections 2.2 and 2.3.
namespace Lamina.Devices.Ata.Ide;

internal static class IdeSpec
{
    /// <summary>How many channels there are, and devices on each.</summary>
    internal const int Channels = 2, Drives = 2;

    // Where channels answer, which is fixed: the command block, and of the control block its one register. The next port is a floppy controller's.
    internal const int CommandPorts = 8;
    internal static readonly ushort[] CommandBase = [0x1f0, 0x170], ControlBase = [0x3f6, 0x376];

    // The command block: data, and registers of a byte each. Those that differ by direction have two names.
    internal const int Data = 0, Features = 1, Errors = 1, Count = 2, Low = 3, Middle = 4, High = 5, Device = 6, Command = 7, Status = 7;

    // Bus master: 8 ports for each channel.
    internal const int MasterPorts = 16, MasterPortsOfChannel = 8, MasterCommand = 0, MasterStatus = 2, MasterTable = 4;
    internal const byte Start = 1, ToMemory = 8;
    internal const byte Active = 1, MasterError = 2, Interrupt = 4, CanDma = 0x60;

    // An entry of the table: address, length of which 0 is 64 KiB, and what says that it is the last. A table lies within 64 KiB.
    internal const int EntryLength = 8, MostEntries = 65536 / EntryLength;
    internal const uint LastEntry = 1u << 31, AddressMask = ~1u, LengthMask = 0xfffe;

    // What a cable without drives shows in its eight lower lines: D7, which is BSY in a status, is pulled down for that (ATA/ATAPI-4, 4.3.1), and who waits for BSY
    // to go waits for nothing.
    internal const byte Floating = 0x7f;

    // Configuration space: timing of the two channels, whose bit 15 has them answer; slave timing.
    internal const int Timing = 0x40, SlaveTiming = 0x44;
    internal const ushort Decode = 0x8000;

    // A part of a transfer: no pause or reset waits for more.
    internal const int MostAtOnce = 1 << 20, MostPieces = 2048;

    // What a drive's buffer holds for a host that moves data itself.
    internal const int BufferLength = 65536;
}
