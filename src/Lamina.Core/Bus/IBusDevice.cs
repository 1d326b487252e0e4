// What answers on a bus, and how it answers.
namespace Lamina.Core.Bus;

/// <summary>How a device answered an access.</summary>
public enum AccessResult
{
    /// <summary>Done.</summary>
    Ok,

    /// <summary>Nothing answers at this offset: reads give all ones, writes are dropped.</summary>
    Unclaimed,

    /// <summary>The register does not take accesses of this size or alignment: as <see cref="Unclaimed"/>.</summary>
    InvalidSize,
}

/// <summary>A device that answers reads and writes at offsets in a range. It does not know where the range is mapped.</summary>
public interface IBusDevice
{
    /// <summary>Reads <c>data.Length</c> bytes (1, 2, 4 or 8) at an offset in the device's range. Any thread may call.</summary>
    AccessResult Read(ulong offset, Span<byte> data);

    /// <summary>Writes <c>data.Length</c> bytes (1, 2, 4 or 8) at an offset in the device's range. Any thread may call.</summary>
    AccessResult Write(ulong offset, ReadOnlySpan<byte> data);
}

/// <summary>
/// A range of addresses behind which a device answers, and which can lie elsewhere at another time (a PCI function's BAR, a power
/// management block). Any thread; what is under way when it moves or is switched off ends as it began.
/// </summary>
public interface IBusWindow : IDisposable
{
    /// <summary>What it is, unique on its bus.</summary>
    string Name { get; }

    /// <summary>How many addresses it has.</summary>
    ulong Length { get; }

    /// <summary>Its first address; null while it is off.</summary>
    ulong? Start { get; }

    /// <summary>Has the device answer from an address on. Where windows lie over each other, the bus's rule says which one answers.</summary>
    /// <returns>False where the window's end would be beyond the last address; it is then off.</returns>
    bool TryMove(ulong start);

    /// <summary>Takes it off the bus: nothing answers in its place but what lay under it.</summary>
    void SwitchOff();
}
