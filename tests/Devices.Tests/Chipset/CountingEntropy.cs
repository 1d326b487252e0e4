// Random bytes that are the same each time.
using Lamina.Core.Entropy;

namespace Lamina.Tests.Devices.Chipset;

internal sealed class CountingEntropy : IEntropySource
{
    private byte _next = 1;

    public void Fill(Span<byte> destination)
    {
        foreach (ref var value in destination) value = _next++;
    }
}
