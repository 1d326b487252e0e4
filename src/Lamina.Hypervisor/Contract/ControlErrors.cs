// The codes of errors in answers, and the exceptions that they are on either side.
namespace Lamina.Hypervisor.Contract;

/// <summary>Codes of errors.</summary>
internal static class ControlErrors
{
    /// <summary>The request itself cannot be read, or asks for what there is not.</summary>
    internal const string Request = "request";

    /// <summary>A fault of the program's own.</summary>
    internal const string Internal = "internal";

    /// <summary>The code of a failure.</summary>
    internal static string CodeOf(Exception failure) => failure switch
    {
        ControlRequestException => Request,
        MachineException known => CodeOf(known.Error),
        IOException or UnauthorizedAccessException => CodeOf(MachineError.Host),
        _ => Internal,
    };

    /// <summary>The exception that an answer's error is to the one who asked.</summary>
    internal static MachineException ToException(string code, string message)
    {
        foreach (var error in Enum.GetValues<MachineError>())
            if (CodeOf(error) == code) return new MachineException(error, message);
        return new MachineException(code == Request ? MachineError.Definition : MachineError.Host, message);
    }

    private static string CodeOf(MachineError error) => error switch
    {
        MachineError.Definition => "definition",
        MachineError.File => "file",
        MachineError.Busy => "busy",
        MachineError.State => "state",
        _ => "host",
    };
}

/// <summary>A request that is none; the message is a sentence that says what to ask instead.</summary>
/// <param name="message">The sentence.</param>
internal sealed class ControlRequestException(string message) : Exception(message);
