// The protocol between the host and a guest's agent (docs/agent.md): numbers and limits, as src/Lamina.Machine/Images/Agent/agent.h
// has them, too. The guest is hostile: whatever it says beyond them ends the conversation.
namespace Lamina.Hypervisor.Agent;

/// <summary>Numbers of the agent's protocol.</summary>
public static class AgentSpec
{
    /// <summary>The protocol's version.</summary>
    public const int Version = 1;

    /// <summary>The port of the guest's socket device at which the agent listens.</summary>
    public const uint Port = 19553;

    /// <summary>The longest payload of a frame.</summary>
    public const int MostPayload = 64 * 1024;

    /// <summary>How many bytes of one stream may be under way without having been taken.</summary>
    public const int Window = 256 * 1024;

    /// <summary>How many characters of a sentence of the guest's are shown.</summary>
    public const int LongestSentence = 500;

    /// <summary>The exit code of a command that the guest cannot run, and of one that it does not have, as shells have them.</summary>
    public const int NotRunnable = 126, NotFound = 127;
}

/// <summary>The first byte of a frame; the payload's length follows in three, the lowest first.</summary>
internal enum AgentFrame : byte
{
    /// <summary>The host's requests, one a connection.</summary>
    Run = (byte)'x', Power = (byte)'p', Clock = (byte)'k', Reseed = (byte)'r', Freeze = (byte)'f', Addresses = (byte)'a', Ping = (byte)'n',

    /// <summary>What the host says to a process.</summary>
    Input = (byte)'i', Signal = (byte)'s', Size = (byte)'w', Credit = (byte)'c',

    /// <summary>What the guest says.</summary>
    Hello = (byte)'H', Started = (byte)'S', Output = (byte)'O', Errors = (byte)'E', Taken = (byte)'C', Ended = (byte)'X', Done = (byte)'K', Failed = (byte)'F',
}

/// <summary>Why the agent refuses a request; the first byte of <see cref="AgentFrame.Failed"/>.</summary>
internal enum AgentFailure : byte
{
    /// <summary>The agent does not understand it.</summary>
    BadRequest = 1,

    /// <summary>There is no such command.</summary>
    NotFound = 2,

    /// <summary>The command cannot be run, by this user or in this folder.</summary>
    NotRunnable = 3,

    /// <summary>The guest's kernel refuses it.</summary>
    Refused = 4,
}
