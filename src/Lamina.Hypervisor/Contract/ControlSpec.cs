// The words of the contract between a machine's process and whoever asks it something (docs/control.md): one JSON object a line, both
// ways, which a person can type as well. Names and limits stand here once, for both ends.
namespace Lamina.Hypervisor.Contract;

/// <summary>Names and limits of the control protocol.</summary>
public static class ControlSpec
{
    /// <summary>The protocol's version; a change that an older client would misunderstand raises it.</summary>
    public const int Version = 1;

    /// <summary>The longest request in bytes, with the end of its line.</summary>
    public const int LongestRequest = 64 * 1024;

    /// <summary>The longest answer in bytes that a client takes: a look inside a machine with everything.</summary>
    public const int LongestAnswer = 64 << 20;

    /// <summary>How many programs may be connected at once; one more is hung up on.</summary>
    public const int MostClients = 64;

    /// <summary>The most copies of a machine that one fork makes.</summary>
    public const int MostCopies = 256;

    /// <summary>How many channels go in one message.</summary>
    internal const int ChannelsTogether = 128;

    /// <summary>The name of a request's verb, and of what a client calls it by.</summary>
    public const string Do = "do", Id = "id";

    /// <summary>The names in an answer: what was answered, or which kind of thing was in the way and a sentence.</summary>
    public const string Ok = "ok", Error = "error", Message = "message";

    /// <summary>The names in the answer to a change: what is in force now, and what is from the next start on.</summary>
    public const string InForce = "in-force", AtNextStart = "at-next-start";

    /// <summary>The name of an event's kind.</summary>
    public const string Event = "event";

    /// <summary>What whoever forks says when it takes channels for processes that are to wait; a line.</summary>
    internal static readonly byte[] Channels = [.. "{\"do\":\"channels\"}\n"u8];

    /// <summary>What whoever takes a snapshot or forks says when the images are in their places, or the copies' processes wait; a line.</summary>
    internal static readonly byte[] Commit = [.. "{\"do\":\"commit\"}\n"u8];
}
