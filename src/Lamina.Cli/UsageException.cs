// The user's words cannot be used: the program ends with exit code 2.
namespace Lamina.Cli;

/// <summary>The command line, or something it names, cannot be used; the message says why and what to do.</summary>
internal sealed class UsageException(string message) : Exception(message);
