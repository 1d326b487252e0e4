// What is in the way of something that was asked of a guest's agent, as a sentence. The guest's own words are shown without what
// terminals take for commands.
namespace Lamina.Hypervisor.Agent;

/// <summary>The agent refuses something, does not answer, or says what no agent says.</summary>
public sealed class AgentException : IOException
{
    /// <summary>A failure.</summary>
    /// <param name="message">A sentence.</param>
    /// <param name="exitCode">The exit code of a command that could not be run; null where it was none.</param>
    /// <param name="inner">The cause.</param>
    public AgentException(string message, int? exitCode = null, Exception? inner = null) : base(message, inner) => ExitCode = exitCode;

    /// <summary>The exit code of a command that could not be run, as shells have it; null for other failures.</summary>
    public int? ExitCode { get; }

    internal static AgentException Of(ReadOnlySpan<byte> failed)
    {
        if (failed.IsEmpty) return Nonsense("a failure without a reason");
        var text = System.Text.Encoding.UTF8.GetString(failed[1..]);
        var sentence = new string([.. text.Take(AgentSpec.LongestSentence).Select(letter => char.IsControl(letter) ? '?' : letter)]);
        return new AgentException(sentence, (AgentFailure)failed[0] switch
        {
            AgentFailure.NotFound => AgentSpec.NotFound,
            AgentFailure.NotRunnable => AgentSpec.NotRunnable,
            _ => null,
        });
    }

    internal static AgentException Nonsense(string what) => new($"the guest's agent says what no agent says ({what}); is it of another version?");

    internal static AgentException Gone(Exception? inner = null) => new("the guest's agent hung up; the guest may be powering off", null, inner);
}
