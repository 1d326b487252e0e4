// The one exception of the library's face: something the user, the host or a file did that stops a machine from being
// built or from going on. What a guest does wrong is never an exception.
namespace Lamina;

/// <summary>A machine cannot be built or cannot go on; the message is one sentence that says why and what to do.</summary>
public sealed class MachineException(string message, Exception? inner = null) : Exception(message, inner);
