// Registers, commands and identity of ATA devices. Sections are those of ATA/ATAPI-6 (T13/1410D) unless another standard is named.
namespace Lamina.Devices.Ata;

internal static class AtaSpec
{
    /// <summary>The unit of what ATA disks are read and written in where nothing else is said, and of every prepared answer, in bytes.</summary>
    internal const int SectorSize = 512;

    /// <summary>A command packet, in bytes (9.9: IDENTIFY PACKET DEVICE says 12).</summary>
    internal const int PacketLength = 12;

    // 7.15: status. Error is ERR of disks and CHK of packet devices.
    internal const byte Busy = 0x80, Ready = 0x40, Fault = 0x20, SeekComplete = 0x10, DataRequest = 0x08, Error = 0x01;

    // 7.9: error of disks.
    internal const byte Uncorrectable = 0x40, IdNotFound = 0x10, Abort = 0x04;

    // 9.10: the diagnostic code after a reset says that the device is whole; bit 7 that device 1 is not.
    internal const byte Passed = 0x01;

    // 7.8: device control.
    internal const byte HighOrder = 0x80, SoftReset = 0x04, NoInterrupts = 0x02;

    // 7.7: device. By block address, and which of two.
    internal const byte ByAddress = 0x40, DeviceOne = 0x10, AddressBits = 0x0f;

    // 9.1: what count and address hold after a reset.
    internal const ushort SignatureCount = 1;
    internal const ulong DiskSignature = 0x00_0001, PacketSignature = 0xeb_1401;

    // 7.12: interrupt reason, in the count register of packet devices.
    internal const byte ReasonCommand = 1, ReasonToHost = 2;

    // 8.12: command PACKET: its data come by DMA.
    internal const byte PacketByDma = 1;

    // The most sectors of one block of READ and WRITE MULTIPLE.
    internal const int MostMultiple = 16;

    // 6.2: sectors that 28 bits reach; the default translation of old software's cylinders, heads and sectors (6.2.1).
    internal const ulong Addressable28 = 0x0fff_ffff, Addressable48 = 1ul << 48;
    internal const int Heads = 16, TrackSectors = 63, MostCylinders = 16383;

    // 8.37: SET FEATURES.
    internal const byte EnableWriteCache = 0x02, SetTransferMode = 0x03, DisableLookAhead = 0x55, DisableDefaults = 0x66, DisableWriteCache = 0x82, EnableLookAhead = 0xaa, EnableDefaults = 0xcc;

    // 8.37.8: transfer modes by class, in bits 3 to 7.
    internal const int ModeClassShift = 3, PioMode = 0, PioFlowMode = 1, MultiwordMode = 4, UltraMode = 8;
    internal const byte MostPioMode = 4, MostMultiwordMode = 2, MostUltraMode = 5;

    // ACS-2, 7.10: ranges of DATA SET MANAGEMENT, of 48 bits of address and 16 of length.
    internal const byte Trim = 1;
    internal const int RangeLength = 8, MostRangeBlocks = 8;
}

/// <summary>Commands. Chapter 8; NCQ and DATA SET MANAGEMENT are of ACS-2.</summary>
internal enum AtaOpcode : byte
{
    DataSetManagement = 0x06,
    DeviceReset = 0x08,
    Recalibrate = 0x10,
    ReadSectors = 0x20,
    ReadSectorsOnce = 0x21,
    ReadSectorsExt = 0x24,
    ReadDmaExt = 0x25,
    ReadNativeMaxExt = 0x27,
    ReadMultipleExt = 0x29,
    WriteSectors = 0x30,
    WriteSectorsOnce = 0x31,
    WriteSectorsExt = 0x34,
    WriteDmaExt = 0x35,
    WriteMultipleExt = 0x39,
    WriteDmaDurableExt = 0x3d,
    ReadVerify = 0x40,
    ReadVerifyOnce = 0x41,
    ReadVerifyExt = 0x42,
    ReadQueued = 0x60,
    WriteQueued = 0x61,
    Seek = 0x70,
    ExecuteDiagnostic = 0x90,
    InitializeParameters = 0x91,
    Packet = 0xa0,
    IdentifyPacketDevice = 0xa1,
    ReadMultiple = 0xc4,
    WriteMultiple = 0xc5,
    SetMultiple = 0xc6,
    ReadDma = 0xc8,
    ReadDmaOnce = 0xc9,
    WriteDma = 0xca,
    WriteDmaOnce = 0xcb,
    WriteMultipleDurableExt = 0xce,
    StandbyImmediate = 0xe0,
    IdleImmediate = 0xe1,
    Standby = 0xe2,
    Idle = 0xe3,
    CheckPowerMode = 0xe5,
    Sleep = 0xe6,
    FlushCache = 0xe7,
    FlushCacheExt = 0xea,
    IdentifyDevice = 0xec,
    SetFeatures = 0xef,
    ReadNativeMax = 0xf8,
}
