// Where the content of a flash chip outlives the machine that has the chip: given to the chip by whoever builds the machine.
namespace Lamina.Devices.Firmware;

/// <summary>Keeps a flash chip's content. Called by one thread at a time.</summary>
public interface IFlashStore : IDisposable
{
    /// <summary>What it is called, for whoever inspects the chip.</summary>
    string Name { get; }

    /// <summary>Keeps bytes.</summary>
    /// <param name="offset">Where they lie in the chip.</param>
    /// <param name="bytes">They.</param>
    /// <returns>Whether they are kept whatever becomes of this process; else all is as it was, or the host's storage is broken.</returns>
    bool TryWrite(long offset, ReadOnlySpan<byte> bytes);

    /// <summary>Has what was kept be on the host's storage soon, whatever becomes of the host then. Waits for nothing.</summary>
    void Settle();
}
