// Numbers of the NVM Express Base Specification 1.4: registers (3.1), commands (5, 6), status codes (4.6.1), data structures.
namespace Lamina.Devices.Nvme;

/// <summary>Constants of NVM Express.</summary>
internal static class NvmeSpec
{
    /// <summary>PCI: the number that is set aside for a virtual controller, and its class: mass storage, non-volatile memory, NVM Express.</summary>
    internal const ushort Vendor = 0x1b36, Device = 0x0010, SubsystemVendor = 0x1af4, Subsystem = 0x1100;
    internal const uint ClassCode = 0x010802;

    /// <summary>Registers (3.1).</summary>
    internal const int Capabilities = 0x00, VersionRegister = 0x08, MaskSet = 0x0c, MaskClear = 0x10, Configuration = 0x14, StatusRegister = 0x1c,
        AdminAttributes = 0x24, AdminSubmission = 0x28, AdminCompletion = 0x30, EndOfRegisters = 0x38;

    /// <summary>The first doorbell; each has four bytes, a submission queue's before its completion queue's (3.1.24).</summary>
    internal const int Doorbells = 0x1000, DoorbellLength = 4;

    /// <summary>The window of the registers and doorbells in bytes, and the base address registers of it and of the table of messages.</summary>
    internal const ulong WindowLength = 0x4000;
    internal const int RegistersBar = 0, MessagesBar = 4;

    internal const uint Version = 0x0001_0400;

    /// <summary>Bits of CC: enabled, shutdown asked for; the fields that must be as they are here (3.1.5).</summary>
    internal const uint Enable = 1, CommandSetMask = 7 << 4, PageSizeMask = 0xf << 7, ArbitrationMask = 7 << 11, ShutdownMask = 3 << 14,
        ConfigurationWritable = Enable | CommandSetMask | PageSizeMask | ArbitrationMask | ShutdownMask | 0xff << 16;

    /// <summary>CC: the sizes of a queue's entries, as powers of two, where a driver sets them.</summary>
    internal const int SubmissionEntryShift = 16, CompletionEntryShift = 20, SubmissionEntryPower = 6, CompletionEntryPower = 4;

    /// <summary>Bits of CSTS: ready, fatal, shutdown complete (3.1.6).</summary>
    internal const uint Ready = 1, Fatal = 2, ShutdownComplete = 2 << 2;

    /// <summary>Bytes of an entry; the memory page.</summary>
    internal const int CommandLength = 64, CompletionLength = 16, PageLength = 4096;

    /// <summary>The most entries of a queue, the most queues beside the admin's, the longest transfer as a power of two of pages.</summary>
    internal const int MostEntries = 1024, MostQueues = 16, LongestTransferPower = 8, LongestTransfer = PageLength << LongestTransferPower;

    /// <summary>Requests for events that are kept at once, of which one fewer is told (5.2).</summary>
    internal const int MostEventRequests = 4;

    /// <summary>
    /// CAP: entries of a queue less one, queues are contiguous, half seconds until it is ready, the NVM command set. Memory pages are of 4 KiB and no
    /// other size, doorbells four bytes apart.
    /// </summary>
    internal const ulong CapabilitiesValue = (MostEntries - 1) | 1ul << 16 | 15ul << 24 | 1ul << 37;

    /// <summary>The one namespace, and the number that stands for all.</summary>
    internal const uint Namespace = 1, AllNamespaces = 0xffff_ffff;
}

/// <summary>Commands to the controller (5).</summary>
internal enum AdminOpcode : byte
{
    DeleteSubmissionQueue = 0x00,
    CreateSubmissionQueue = 0x01,
    GetLogPage = 0x02,
    DeleteCompletionQueue = 0x04,
    CreateCompletionQueue = 0x05,
    Identify = 0x06,
    Abort = 0x08,
    SetFeatures = 0x09,
    GetFeatures = 0x0a,
    AsynchronousEventRequest = 0x0c,
    DoorbellBufferConfig = 0x7c,
}

/// <summary>Commands to a namespace (6).</summary>
internal enum NvmOpcode : byte
{
    Flush = 0x00,
    Write = 0x01,
    Read = 0x02,
    WriteZeroes = 0x08,
    DatasetManagement = 0x09,
}

/// <summary>How a command ended: the code in bits 0 to 7, its type in bits 8 to 10, and "do not retry" (4.6.1).</summary>
internal enum NvmeStatus : ushort
{
    Success = 0,
    InvalidOpcode = 0x4001,
    InvalidField = 0x4002,
    DataTransferError = 0x4004,
    InternalError = 0x0006,
    InvalidNamespace = 0x400b,
    InvalidPrpOffset = 0x4013,
    LbaOutOfRange = 0x4080,
    InvalidCompletionQueue = 0x4100,
    InvalidQueue = 0x4101,
    InvalidQueueSize = 0x4102,
    EventLimitExceeded = 0x4105,
    InvalidVector = 0x4108,
    InvalidLogPage = 0x4109,
    InvalidQueueDeletion = 0x410c,
    WriteFault = 0x0280,
    AttemptedWriteToReadOnly = 0x4182,
    UnrecoveredReadError = 0x0281,
}

/// <summary>What can be set (5.21.1).</summary>
internal enum NvmeFeature : byte
{
    Arbitration = 0x01,
    PowerManagement = 0x02,
    TemperatureThreshold = 0x04,
    ErrorRecovery = 0x05,
    VolatileWriteCache = 0x06,
    NumberOfQueues = 0x07,
    InterruptCoalescing = 0x08,
    InterruptVector = 0x09,
    WriteAtomicity = 0x0a,
    EventConfiguration = 0x0b,
}
