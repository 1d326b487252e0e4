// Registers, command lists and frames of AHCI 1.3 (Intel, "Serial ATA Advanced Host Controller Interface"; sections 3 to 5) and Serial ATA 2.6 (10.3).
namespace Lamina.Devices.Ata.Ahci;

internal static class AhciSpec
{
    internal const int Ports = 6, Slots = 32;

    // 3: where registers lie.
    internal const int PortsAt = 0x100, PortLength = 0x80;
    internal const ulong Length = 0x1000;

    // 3.1: of the controller.
    internal const int Capabilities = 0x00, Control = 0x04, InterruptStatus = 0x08, Implemented = 0x0c, Version = 0x10;

    // 64-bit addresses, a queue, command list override, 3 Gbit/s, no legacy registers; slots and ports less one.
    internal const uint CapabilitiesValue = 1u << 31 | 1u << 30 | 1u << 24 | 2u << 20 | 1u << 18 | (Slots - 1) << 8 | (Ports - 1);
    internal const uint VersionValue = 0x0001_0300, ImplementedValue = (1u << Ports) - 1;
    internal const uint Enabled = 1u << 31, InterruptsOn = 2, Reset = 1;

    // 3.3: of a port.
    internal const int ListBase = 0x00, ListBaseHigh = 0x04, FisBase = 0x08, FisBaseHigh = 0x0c, Status = 0x10, Enable = 0x14, Command = 0x18;
    internal const int TaskFile = 0x20, Signature = 0x24, LinkStatus = 0x28, LinkControl = 0x2c, LinkError = 0x30, Active = 0x34, Issue = 0x38;
    internal const uint ListMask = ~0x3ffu, FisMask = ~0xffu;

    // 3.3.5: what happened: frames by their kinds, the link, and errors. Those of the link show another register's bits.
    internal const uint RegisterFrame = 1, PioFrame = 1 << 1, BitsFrame = 1 << 3, PortChange = 1 << 6, ReadyChange = 1 << 22, Overflow = 1 << 24, BusError = 1 << 29, TaskFileError = 1 << 30;
    internal const uint EnableMask = 0xfdc0_00ff, ClearMask = 0xfd80_00af;

    // 3.3.7.
    internal const uint Start = 1, SpinUp = 2, PowerOn = 4, Override = 8, ReceiveFrames = 1 << 4, FramesRunning = 1 << 14, ListRunning = 1 << 15, IsPacket = 1 << 24;
    internal const uint CommandWritable = Start | ReceiveFrames | IsPacket | 1 << 25;
    internal const int CurrentShift = 8;

    // 3.3.10 to 3.3.12: a device that speaks 3 Gbit/s; the link is begun anew; it was; the device is there again.
    internal const uint LinkUp = 0x123, DetectMask = 15, Detect = 1, Offline = 4, LinkControlMask = 0xfff, Exchanged = 1 << 26, ReadyAgain = 1 << 16;

    // 4.2.2: a command header.
    internal const int HeaderLength = 32, HeaderCount = 4, HeaderTable = 8;
    internal const uint HeaderFrameMask = 31, HeaderPacket = 1 << 5, HeaderWrites = 1 << 6, HeaderClearBusy = 1 << 10;
    internal const int HeaderEntriesShift = 16;

    // 4.2.3: a command table; an entry says its length less one in 22 bits.
    internal const int PacketAt = 0x40, EntriesAt = 0x80, EntryLength = 16, EntryCount = 12;
    internal const uint EntryLengthMask = 0x3f_ffff;
    internal const ulong TableMask = ~0x7ful;

    // 4.2.1: where received frames go.
    internal const int PioFrameAt = 0x20, RegisterFrameAt = 0x40, BitsFrameAt = 0x58;

    // Serial ATA 2.6, 10.3: frames by their first byte, and bits of the second.
    internal const byte HostFrame = 0x27, DeviceFrame = 0x34, PioSetup = 0x5f, DeviceBits = 0xa1;
    internal const byte IsCommand = 0x80, Interrupts = 0x40, ToHost = 0x20;
    internal const int HostFrameLength = 20, DeviceFrameLength = 20, BitsFrameLength = 8, LeastFrameDwords = 5;

    // No device, or none that has spoken yet.
    internal const uint NoTaskFile = 0x7f;

    // A part of a transfer.
    internal const int MostAtOnce = 1 << 20, MostPieces = 2048;
}
