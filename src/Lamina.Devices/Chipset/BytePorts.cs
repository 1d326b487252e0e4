// A window of byte-wide registers, for devices that answer at more than one range. The device itself has one Read and one
// Write per window; this only splits wider accesses into byte cycles, lowest address first, as the ISA bus does.
using Lamina.Core.Bus;

namespace Lamina.Devices.Chipset;

/// <summary>One range of byte-wide registers of a device.</summary>
/// <param name="read">Reads the register at an offset in the window.</param>
/// <param name="write">Writes the register at an offset in the window.</param>
internal sealed class BytePorts(Func<int, byte> read, Action<int, byte> write) : IBusDevice
{
    /// <inheritdoc/>
    public AccessResult Read(ulong offset, Span<byte> data)
    {
        for (var i = 0; i < data.Length; i++) data[i] = read((int)offset + i);
        return AccessResult.Ok;
    }

    /// <inheritdoc/>
    public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
    {
        for (var i = 0; i < data.Length; i++) write((int)offset + i, data[i]);
        return AccessResult.Ok;
    }
}
