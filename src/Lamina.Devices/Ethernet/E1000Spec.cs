// Numbers of Intel's gigabit Ethernet controllers, by their manuals' names: the PCI/PCI-X Family of Gigabit Ethernet Controllers Software
// Developer's Manual (82540EM; sections are its), and the 82574 GbE Controller Family Datasheet where it says 82574.
namespace Lamina.Devices.Ethernet;

/// <summary>Registers, bits and descriptors.</summary>
internal static class E1000Spec
{
    // 13.4: registers, by their offset in memory.
    internal const int CTRL = 0x0000, STATUS = 0x0008, EECD = 0x0010, EERD = 0x0014, CTRL_EXT = 0x0018, FLA = 0x001c, MDIC = 0x0020, VET = 0x0038;
    internal const int ICR = 0x00c0, ITR = 0x00c4, ICS = 0x00c8, IMS = 0x00d0, IMC = 0x00d8;
    internal const int RCTL = 0x0100, TCTL = 0x0400, RDTR = 0x2820, RADV = 0x282c, TIDV = 0x3820, TADV = 0x382c;
    internal const int RDBAL = 0x2800, RDBAH = 0x2804, RDLEN = 0x2808, RDH = 0x2810, RDT = 0x2818;
    internal const int TDBAL = 0x3800, TDBAH = 0x3804, TDLEN = 0x3808, TDH = 0x3810, TDT = 0x3818;
    internal const int RXCSUM = 0x5000, MTA = 0x5200, RA = 0x5400, VFTA = 0x5600;

    // 82574, 10.2: what it has beside.
    internal const int EIAC = 0x00dc, IAM = 0x00e0, IVAR = 0x00e4, EITR = 0x00e8, EEMNGCTL = 0x1010;
    internal const int PSRCTL = 0x2170, RFCTL = 0x5008, MRQC = 0x5818, SWSM = 0x5b50, RETA = 0x5c00, RSSRK = 0x5c80;

    /// <summary>From a ring's registers to those of the next one's.</summary>
    internal const int RingStride = 0x100;

    // 13.7: statistics. Those of octets are of 64 bits.
    internal const int FirstStatistic = 0x4000, EndOfStatistics = 0x4128;
    internal const int MPC = 0x4010, PRC64 = 0x405c, GPRC = 0x4074, BPRC = 0x4078, MPRC = 0x407c, GPTC = 0x4080, GORCL = 0x4088, GOTCL = 0x4090, RNBC = 0x40a0, RUC = 0x40a4, ROC = 0x40ac;
    internal const int TORL = 0x40c0, TOTL = 0x40c8, TPR = 0x40d0, TPT = 0x40d4, PTC64 = 0x40d8, MPTC = 0x40f0, BPTC = 0x40f4, TSCTC = 0x40f8, TSCTFC = 0x40fc, IAC = 0x4100;

    /// <summary>The windows in bytes (4.1): registers in memory, and IOADDR with IODATA at ports.</summary>
    internal const ulong MemoryLength = 0x20000;
    internal const int RegistersBar = 0, PortsBar = 2, IoAddress = 0, IoData = 4;

    // CTRL (13.4.1).
    internal const uint CtrlFullDuplex = 1, CtrlMasterDisable = 1 << 2, CtrlSetLinkUp = 1 << 6, CtrlSpeed1000 = 2 << 8, CtrlForceSpeed = 1 << 11, CtrlForceDuplex = 1 << 12,
        CtrlReset = 1 << 26, CtrlVlan = 1 << 30, CtrlPhyReset = 1u << 31;

    // STATUS (13.4.2); 82574: whether it may write to memory, which a driver turns off by CTRL.
    internal const uint StatusFullDuplex = 1, StatusLinkUp = 1 << 1, StatusMasterEnabled = 1 << 19;
    internal const int StatusSpeedShift = 6, StatusSpeedDetectedShift = 8;

    // EECD (13.4.3).
    internal const uint EecdClock = 1, EecdSelect = 2, EecdIn = 4, EecdOut = 8, EecdRequest = 1 << 6, EecdGrant = 1 << 7, EecdPresent = 1 << 8, EecdAutoRead = 1 << 9;

    // MDIC (13.4.6).
    internal const uint MdicWrite = 1 << 26, MdicRead = 2 << 26, MdicOperation = 3 << 26, MdicReady = 1 << 28, MdicInterrupt = 1 << 29, MdicError = 1 << 30;

    // CTRL_EXT, 82574 10.2.2.5: reading ICR masks by IAM; a message by the table does.
    internal const uint CtrlExtMaskByRead = 1 << 27, CtrlExtMaskByMessage = 1 << 24;

    // ICR and its like (13.4.17); 82574 has a bit for each ring, one for all others, and one that says that a cause was asserted.
    internal const uint TransmitWrittenBack = 1, TransmitQueueEmpty = 1 << 1, LinkChanged = 1 << 2, ReceiveThreshold = 1 << 4, ReceiveOverrun = 1 << 6, ReceiveTimer = 1 << 7, MdicDone = 1 << 9,
        ReceiveQueue = 1 << 20, TransmitQueue = 1 << 22, Other = 1 << 24, Asserted = 1u << 31;
    internal const uint Causes = 0x01f3_fff7, CausesBeforeQueues = 0x0000_fff7, OtherCauses = LinkChanged | ReceiveOverrun | MdicDone | 1 << 16 | 1 << 17 | 1 << 18, QueueCauses = 0x01f0_0000;

    // RCTL (13.4.22).
    internal const uint ReceiveEnable = 1 << 1, UnicastPromiscuous = 1 << 3, MulticastPromiscuous = 1 << 4, LongPackets = 1 << 5, PacketSplit = 1 << 10, AcceptBroadcast = 1 << 15, VlanFilter = 1 << 18, BufferSizeExtension = 1 << 25, StripCrc = 1 << 26;
    internal const int ReceiveThresholdShift = 8, MulticastOffsetShift = 12, BufferSizeShift = 16, FlexibleSizeShift = 27;

    // TCTL (13.4.33).
    internal const uint TransmitEnable = 1 << 1, PadShortPackets = 1 << 3;

    // RXCSUM (13.4.37), RFCTL (82574, 10.2.5.16), MRQC (82574, 10.2.5.18).
    internal const uint IpChecksum = 1 << 8, TransportChecksum = 1 << 9, NoPacketChecksum = 1 << 13, ExtendedStatus = 1 << 15, RssEnable = 1;
    internal const int RssFieldsShift = 16;

    // RAH (13.5.2): the entry counts; which address it is of. Entries of RA, MTA, VFTA.
    internal const uint AddressValid = 1u << 31, AddressSelect = 3 << 16;
    internal const int Addresses = 16, MulticastWords = 128, VlanWords = 128;

    internal const int DescriptorLength = 16, SplitDescriptorLength = 32;

    // Bits of descriptors: the command's of what is sent (3.3.3, 3.3.6, 3.3.7) in the third double word, options and status in the fourth.
    internal const uint EndOfPacket = 1 << 24, InsertChecksum = 1 << 26, Segment = 1 << 26, ReportStatus = 1 << 27 | 1 << 28, Extension = 1 << 29, VlanTag = 1 << 30, DelayInterrupt = 1u << 31;
    internal const uint ContextTcp = 1 << 24, ContextIpv4 = 1 << 25, DescriptorType = 0xf << 20, DataType = 1 << 20, LengthMask = 0xf_ffff, DescriptorDone = 1, InsertIpChecksum = 1 << 8, InsertTransportChecksum = 1 << 9;

    // Status and errors of what is received (3.2.3); an extended descriptor has the errors from bit 24 on, and bits of its own (82574, 7.1.5).
    internal const uint ReceivedDone = 1, ReceivedEnd = 1 << 1, ReceivedIgnoreSums = 1 << 2, ReceivedVlan = 1 << 3, ReceivedUdpSum = 1 << 4, ReceivedTransportSum = 1 << 5, ReceivedIpSum = 1 << 6, ReceivedInexact = 1 << 7,
        ReceivedIpIdentification = 1 << 9, ErrorTransport = 1 << 5, ErrorIp = 1 << 6;
    internal const ushort HeaderWasSplit = 1 << 15;

    // A frame in memory has its check sequence, unless that is stripped, and is no shorter than this without.
    internal const int CrcLength = 4, ShortestFrame = 60;

    // The longest frame with its check sequence, a tag included: where long ones are not wanted, and where they are.
    internal const int LongestUsual = 1522, LongestWanted = 16384;
}
