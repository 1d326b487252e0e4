// Numbers of the NBD protocol, by the specification of the NetworkBlockDevice project (doc/proto.md of its repository); sections are named as it names them.
// All numbers on the wire are big endian.
namespace Lamina.Backends.Nbd;

/// <summary>The protocol's numbers, and our bounds.</summary>
internal static class NbdSpec
{
    /// <summary>The port where none is said: IANA's.</summary>
    internal const int Port = 10809;

    // "Newstyle negotiation", "Oldstyle negotiation", "Fixed newstyle negotiation", "Request message", "Simple reply message", "Structured reply chunk message".
    internal const ulong Magic = 0x4e42444d41474943, OptionMagic = 0x49484156454f5054, OldMagic = 0x00420281861253, OptionReplyMagic = 0x3e889045565a9;
    internal const uint RequestMagic = 0x25609513, SimpleReplyMagic = 0x67446698, ChunkMagic = 0x668e33ef;

    /// <summary>Lengths of headers in bytes: a request, a simple reply, a chunk.</summary>
    internal const int RequestLength = 28, SimpleReplyLength = 16, ChunkLength = 20;

    /// <summary>Zeros behind the answer to <see cref="NbdOption.ExportName"/> where they were not declined.</summary>
    internal const int Padding = 124;

    /// <summary>"Handshake flags" and "Client flags": the numbers are the same.</summary>
    internal const ushort FixedNewstyle = 1, NoZeroes = 2;

    /// <summary>"Option reply types": all errors have this bit.</summary>
    internal const uint ReplyError = 1u << 31;

    /// <summary>"Structured reply types": all errors have this bit.</summary>
    internal const ushort ChunkError = 1 << 15;

    /// <summary>"Structured reply flags": the last chunk of a reply.</summary>
    internal const ushort Done = 1;

    /// <summary>"base:allocation metadata context": nothing is allocated, and it reads as zeros.</summary>
    internal const uint StateHole = 1, StateZero = 2;

    /// <summary>The metadata context that tells what is allocated.</summary>
    internal const string Allocation = "base:allocation";

    /// <summary>The longest string that there may be, in bytes; "Conventions" (values of strings).</summary>
    internal const int LongestString = 4096;

    /// <summary>The most bytes of a read or write where nothing is said of it, and the most that this server takes; "Size constraints".</summary>
    internal const int MostPayload = 1 << 25;

    /// <summary>The largest minimum block size in bytes that may be advertised; "Size constraints".</summary>
    internal const uint LargestMinimum = 1 << 16;

    /// <summary>The most bytes of an option, and of an answer to one, that are taken. Ours.</summary>
    internal const int MostOptionBytes = 64 << 10;

    /// <summary>The most options of one client, and the most answers to one option. Ours.</summary>
    internal const int MostOptions = 256;

    /// <summary>The most bytes of an error that a server tells: its message and what may stand around it; "Structured reply types".</summary>
    internal const int MostErrorBytes = LongestString + 64;

    /// <summary>How long a handshake may take, in milliseconds. Ours.</summary>
    internal const int HandshakeMilliseconds = 20_000;
}

/// <summary>"Option types".</summary>
internal enum NbdOption : uint
{
    ExportName = 1,
    Abort = 2,
    List = 3,
    StartTls = 5,
    Info = 6,
    Go = 7,
    StructuredReply = 8,
    ListMetaContext = 9,
    SetMetaContext = 10,
}

/// <summary>"Option reply types".</summary>
internal enum NbdReply : uint
{
    Ack = 1,
    Server = 2,
    Info = 3,
    MetaContext = 4,
    Unsupported = NbdSpec.ReplyError + 1,
    Policy = NbdSpec.ReplyError + 2,
    Invalid = NbdSpec.ReplyError + 3,
    TlsRequired = NbdSpec.ReplyError + 5,
    Unknown = NbdSpec.ReplyError + 6,
    TooBig = NbdSpec.ReplyError + 9,
}

/// <summary>"Option types": what NBD_OPT_INFO and NBD_OPT_GO tell.</summary>
internal enum NbdInfo : ushort
{
    Export = 0,
    Name = 1,
    Description = 2,
    BlockSize = 3,
}

/// <summary>"Transmission flags".</summary>
[Flags]
internal enum NbdFlags : ushort
{
    None = 0,
    HasFlags = 1,
    ReadOnly = 2,
    Flush = 4,
    Fua = 8,
    Trim = 32,
    WriteZeroes = 64,
    DontFragment = 128,
    MultiConnection = 256,
}

/// <summary>"Request types".</summary>
internal enum NbdCommand : ushort
{
    Read = 0,
    Write = 1,
    Disconnect = 2,
    Flush = 3,
    Trim = 4,
    WriteZeroes = 6,
    BlockStatus = 7,
}

/// <summary>"Command flags".</summary>
[Flags]
internal enum NbdCommandFlags : ushort
{
    None = 0,
    Fua = 1,
    NoHole = 2,
    DontFragment = 4,
    One = 8,
}

/// <summary>"Structured reply types".</summary>
internal enum NbdChunk : ushort
{
    None = 0,
    Data = 1,
    Hole = 2,
    BlockStatus = 5,
    Error = NbdSpec.ChunkError + 1,
    ErrorAt = NbdSpec.ChunkError + 2,
}

/// <summary>"Error values".</summary>
internal enum NbdError : uint
{
    None = 0,
    NotPermitted = 1,
    Io = 5,
    NoMemory = 12,
    Invalid = 22,
    NoSpace = 28,
    TooLarge = 75,
    NotSupported = 95,
    Shutdown = 108,
}
