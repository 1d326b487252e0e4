// Packets of CD and DVD drives: SFF-8020i, MMC-3 (T10/1363-D) and SPC-2 (T10/1236-D), whose sections are named.
namespace Lamina.Devices.Ata.Packet;

internal static class PacketSpec
{
    /// <summary>What every data track of a CD and every DVD is read in, in bytes.</summary>
    internal const int DiscSector = 2048;

    // MMC-3, 4.2.3.5: frames of a second, and where block 0 lies.
    internal const int FramesOfSecond = 75, FirstFrame = 150;

    // More sectors than a CD has room for make a DVD: 80 minutes and a bit.
    internal const uint MostCdSectors = 81 * 60 * FramesOfSecond;

    // MMC-3, 5.3 to 5.4: profiles.
    internal const ushort CdRom = 0x0008, DvdRom = 0x0010;

    // MMC-3, 4.1.4: track 1 is data, whose position is told (ADR 1, control 4); the lead-out's number.
    internal const byte DataTrack = 0x14, LeadOut = 0xaa;

    // MMC-3, 6.8 (GET EVENT STATUS NOTIFICATION): media events.
    internal const byte MediaClass = 4, NoEvent = 0, EjectAsked = 1, NewMedium = 2, MediumGone = 3;

    internal const byte TrayOpen = 1, MediumThere = 2;

    // Mode pages.
    internal const byte ErrorPage = 0x01, CapabilitiesPage = 0x2a, AllPages = 0x3f;
}

/// <summary>Operation codes.</summary>
internal enum PacketOpcode : byte
{
    TestUnitReady = 0x00,
    RequestSense = 0x03,
    Inquiry = 0x12,
    ModeSense6 = 0x1a,
    StartStopUnit = 0x1b,
    PreventAllow = 0x1e,
    ReadFormatCapacities = 0x23,
    ReadCapacity = 0x25,
    Read10 = 0x28,
    Seek = 0x2b,
    Verify10 = 0x2f,
    SynchronizeCache = 0x35,
    ReadSubChannel = 0x42,
    ReadToc = 0x43,
    GetConfiguration = 0x46,
    GetEventStatus = 0x4a,
    ReadDiscInformation = 0x51,
    ReadTrackInformation = 0x52,
    ModeSense10 = 0x5a,
    Read12 = 0xa8,
    ReadCdMsf = 0xb9,
    SetCdSpeed = 0xbb,
    MechanismStatus = 0xbd,
    ReadCd = 0xbe,
}

/// <summary>Why a packet was refused: sense key, additional sense code and its qualifier (SPC-2, 7.23.2).</summary>
internal readonly record struct Sense(byte Key, byte Code, byte Qualifier)
{
    internal static readonly Sense None = new(0, 0, 0);
    internal static readonly Sense NoMedium = new(2, 0x3a, 0), NoMediumTrayOpen = new(2, 0x3a, 2);
    internal static readonly Sense ReadFailed = new(3, 0x11, 0);
    internal static readonly Sense UnknownCommand = new(5, 0x20, 0), OutOfRange = new(5, 0x21, 0), WrongField = new(5, 0x24, 0), WrongMode = new(5, 0x64, 0);
    internal static readonly Sense RemovalPrevented = new(5, 0x53, 2), NotSaved = new(5, 0x39, 0);
    internal static readonly Sense MediumChanged = new(6, 0x28, 0);
}
