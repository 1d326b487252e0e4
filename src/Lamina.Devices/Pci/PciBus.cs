// Bus 0 of a machine: which function is where, and the way to their configuration spaces. Mechanism 1's ports come here, and so does
// whoever stands in for a firmware.
using Lamina.Core.Inspection;

namespace Lamina.Devices.Pci;

/// <summary>The configuration spaces that a mechanism leads to.</summary>
public interface IPciConfigurationSpace
{
    /// <summary>Reads; where there is no function, all ones.</summary>
    /// <param name="function">Bus in bits 8 to 15, device in 3 to 7, function in 0 to 2.</param>
    /// <param name="offset">The first byte, 0 to 255.</param>
    /// <param name="data">Filled.</param>
    void Read(int function, int offset, Span<byte> data);

    /// <summary>Writes; where there is no function, nothing happens.</summary>
    void Write(int function, int offset, ReadOnlySpan<byte> data);
}

/// <summary>The only bus of a machine. Functions are put on it before it runs.</summary>
public sealed class PciBus : IPciConfigurationSpace, IInspected
{
    /// <summary>How many devices it has room for, and functions each of them.</summary>
    public const int Devices = 32, FunctionsOfDevice = 8;

    private readonly PciFunction?[] _functions = new PciFunction?[Devices * FunctionsOfDevice];

    /// <summary>The number of a function of a device.</summary>
    public static int Number(int device, int function) => device * FunctionsOfDevice + function;

    /// <summary>Puts a function on the bus.</summary>
    /// <exception cref="ArgumentException">Another one is there.</exception>
    public T Add<T>(int device, int function, T what) where T : PciFunction
    {
        ref var place = ref _functions[Number(device, function)];
        if (place is not null) throw new ArgumentException($"there is a PCI function {device}.{function} already", nameof(function));
        place = what;
        return what;
    }

    /// <inheritdoc/>
    public void Read(int function, int offset, Span<byte> data)
    {
        if (Find(function) is { } there) there.ReadSpace(offset, data);
        else data.Fill(0xff);
    }

    /// <inheritdoc/>
    public void Write(int function, int offset, ReadOnlySpan<byte> data) => Find(function)?.WriteSpace(offset, data);

    /// <inheritdoc/>
    public void Inspect(InspectNode node)
    {
        node.Kind = "PCI bus";
        for (var i = 0; i < _functions.Length; i++)
            if (_functions[i] is { } there) node.Say($"{i / FunctionsOfDevice:x2}.{i % FunctionsOfDevice}", there.Kind.Name);
    }

    private PciFunction? Find(int function) => (uint)function < (uint)_functions.Length ? _functions[function] : null;
}
