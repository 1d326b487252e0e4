// What is wrong with the other end of an NBD connection.
namespace Lamina.Backends.Nbd;

/// <summary>The other end is gone, refuses, or does not keep to the protocol; the message is a sentence.</summary>
/// <param name="message">The sentence.</param>
/// <param name="inner">What it came of.</param>
public class NbdException(string message, Exception? inner = null) : IOException(message, inner);

/// <summary>A server answers a request with an error.</summary>
/// <param name="message">The sentence.</param>
/// <param name="error">The error.</param>
internal sealed class NbdRefusedException(string message, NbdError error) : NbdException(message)
{
    /// <summary>The error.</summary>
    internal NbdError Error { get; } = error;
}
