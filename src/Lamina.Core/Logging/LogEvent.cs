// What lines of a log are about. The numbers stay for good: programs filter by them.
namespace Lamina.Core.Logging;

/// <summary>What a line is about. Its number and its name are the event's in logs that have such.</summary>
public enum LogEvent
{
    /// <summary>The guest runs for the first time, or goes on where a saved machine stood.</summary>
    Started = 100,

    /// <summary>The guest stands still.</summary>
    Paused = 101,

    /// <summary>The guest runs again.</summary>
    Resumed = 102,

    /// <summary>The guest begins again from its boot files.</summary>
    Reset = 103,

    /// <summary>The power button was pressed.</summary>
    PowerButton = 104,

    /// <summary>The machine was written down.</summary>
    Saved = 105,

    /// <summary>The guest's kernel reported that it has crashed.</summary>
    GuestPanic = 106,

    /// <summary>The machine has ended.</summary>
    Ended = 107,

    /// <summary>The host has less memory than the machine may take.</summary>
    HostMemory = 108,

    /// <summary>The virtual CPUs have another share of the host's processors than was asked for.</summary>
    CpuShare = 109,

    /// <summary>A vCPU left the guest for a port or for memory that is a device's.</summary>
    Access = 200,

    /// <summary>A vCPU takes an interrupt.</summary>
    Interrupt = 201,

    /// <summary>A guest's instruction faulted.</summary>
    Fault = 202,

    /// <summary>A vCPU waits for an interrupt.</summary>
    Halt = 203,

    /// <summary>A vCPU gave up.</summary>
    TripleFault = 204,

    /// <summary>A model-specific register was read, written or refused.</summary>
    Msr = 205,

    /// <summary>An access that no device took as it was.</summary>
    Unanswered = 206,

    /// <summary>A restored guest's CPU is not all that it was.</summary>
    CpuModel = 207,

    /// <summary>A guest's driver broke its device until it resets it.</summary>
    DriverBroke = 300,

    /// <summary>The guest got an error of a disk.</summary>
    DiskError = 301,

    /// <summary>The host has no space for a disk, or has some again.</summary>
    DiskSpace = 302,

    /// <summary>Something about a disk's image.</summary>
    DiskImage = 303,

    /// <summary>Output of a console was lost.</summary>
    OutputLost = 304,

    /// <summary>The other end of a network card came, went or failed.</summary>
    Network = 305,

    /// <summary>Something about a shared folder.</summary>
    Share = 306,

    /// <summary>The file of a socket is gone.</summary>
    Socket = 307,

    /// <summary>What the guest's firmware tells, or asks for wrongly.</summary>
    Firmware = 308,
}
