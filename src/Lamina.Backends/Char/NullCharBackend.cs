// A character device that is connected to nothing.
using Lamina.Core.Char;

namespace Lamina.Backends.Char;

/// <summary>Drops output and has no input.</summary>
public sealed class NullCharBackend : ICharBackend
{
    /// <inheritdoc/>
    public int Write(ReadOnlySpan<byte> data) => data.Length;

    /// <inheritdoc/>
    public void Attach(ICharReceiver receiver)
    {
        // There is never any input.
    }

    /// <inheritdoc/>
    public void ReadyToReceive()
    {
        // There is never any input.
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        // Nothing is held.
    }
}
