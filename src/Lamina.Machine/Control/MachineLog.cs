// Where all that a machine has to say comes together: what its user must be told, and what is only of interest to who follows it
// closely. A report has the name of the part that it is about. From here it goes to the program's hooks and to those who watch events.
namespace Lamina.Control;

/// <summary>The log of one machine. Any thread.</summary>
/// <param name="hooks">The program's.</param>
/// <param name="events">Those who watch.</param>
internal sealed class MachineLog(MachineHooks hooks, EventSource events)
{
    /// <summary>Tells the user something.</summary>
    /// <param name="part">The name of the part that it is about; empty where it is not one's.</param>
    /// <param name="sentence">A sentence.</param>
    internal void Report(string part, string sentence)
    {
        hooks.Report?.Invoke(sentence);
        events.Tell(new MachineEvent.Reported(part, sentence));
    }

    /// <summary>What a part calls to tell the user something.</summary>
    internal Action<string> ReportsOf(string part) => sentence => Report(part, sentence);

    /// <summary>Takes a line of the trace, which names by itself what it is about; null where nobody follows it, so that no line is made.</summary>
    internal Action<string>? Traces => hooks.Trace;
}
