// Where devices take random numbers from. They never make their own: the host's generator stands behind this.
namespace Lamina.Core.Entropy;

/// <summary>A source of cryptographically strong random bytes.</summary>
public interface IEntropySource
{
    /// <summary>Fills the whole span. Any thread may call.</summary>
    void Fill(Span<byte> destination);
}
