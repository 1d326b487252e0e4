// Random bytes from the host's kernel (getrandom).
using Lamina.Core.Entropy;
using Lamina.Host;

namespace Lamina.Backends.Entropy;

/// <summary>The host's random number generator.</summary>
public sealed class HostEntropy : IEntropySource
{
    /// <inheritdoc/>
    public void Fill(Span<byte> destination) => HostRandom.Fill(destination);
}
