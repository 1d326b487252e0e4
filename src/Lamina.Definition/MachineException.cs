// The one exception of the library's face: something the user, the host or a file did that stops a machine from being
// built or from going on, with a code that the command line, a service and programs tell apart. What a guest does wrong is never
// an exception.
namespace Lamina.Definition;

/// <summary>What kind of thing is in the way.</summary>
public enum MachineError
{
    /// <summary>The definition: a value that no machine can have, or values that do not go together.</summary>
    Definition,

    /// <summary>A file that the definition names: it is missing, may not be read, or is not what it should be.</summary>
    File,

    /// <summary>The host lacks or refuses something.</summary>
    Host,

    /// <summary>Another machine or program uses it.</summary>
    Busy,

    /// <summary>The machine is not in a state in which this can be done.</summary>
    State,
}

/// <summary>A machine cannot be built or cannot go on; the message is one sentence that says why and what to do.</summary>
public sealed class MachineException : Exception
{
    /// <summary>A failure of a kind.</summary>
    public MachineException(MachineError error, string message, Exception? inner = null) : base(message, inner) => Error = error;

    /// <summary>A definition that cannot be.</summary>
    public MachineException(string message, Exception? inner = null) : this(MachineError.Definition, message, inner)
    {
    }

    /// <summary>The kind.</summary>
    public MachineError Error { get; }
}
