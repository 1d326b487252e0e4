// Random bytes from the host's kernel (getrandom).
using System.Security.Cryptography;
using Lamina.Core.Entropy;

namespace Lamina.Backends.Entropy;

/// <summary>The host's random number generator.</summary>
public sealed class HostEntropy : IEntropySource
{
    /// <inheritdoc/>
    public void Fill(Span<byte> destination) => RandomNumberGenerator.Fill(destination);
}
