// APM control and status (ports 0xB2 and 0xB3), by which operating systems ask firmware's management mode to hand power management over
// to them (FADT: SMI_CMD). There is no management mode: the two requests that the tables name are done at once.
using Lamina.Core.Bus;
using Lamina.Core.Inspection;
using Lamina.Core.State;
using Lamina.Core.Units;
using static Lamina.Devices.Chipset.I440fx.I440fxSpec;

namespace Lamina.Devices.Chipset.I440fx;

/// <summary>The two ports.</summary>
/// <param name="power">What is handed over.</param>
public sealed class SmiPorts(AcpiPm power) : IBusDevice, IResettable, ISavedUnit, IInspected
{
    private const int Length = 2;

    private readonly Lock _gate = new();
    private readonly byte[] _registers = new byte[Length];

    /// <summary>Claims the ports.</summary>
    public void MapPorts(Bus ports) => ports.Map(SmiCommandPort, Length, this);

    /// <inheritdoc/>
    public SavedKind Kind => new("APM ports", 1);

    /// <inheritdoc/>
    public AccessResult Read(ulong offset, Span<byte> data)
    {
        lock (_gate)
        {
            for (var i = 0; i < data.Length; i++) data[i] = (int)offset + i < Length ? _registers[(int)offset + i] : (byte)0xff;
        }
        return AccessResult.Ok;
    }

    /// <inheritdoc/>
    public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
    {
        lock (_gate)
        {
            for (var i = 0; i < data.Length && (int)offset + i < Length; i++) _registers[(int)offset + i] = data[i];
            if (offset == 0 && data[0] is AcpiEnable or AcpiDisable) power.SetAcpiMode(data[0] == AcpiEnable);
        }
        return AccessResult.Ok;
    }

    /// <inheritdoc/>
    public void Reset()
    {
        lock (_gate) Array.Clear(_registers);
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node) => node.Locked(_gate, () => node.SayHex("command", _registers[0]));

    /// <inheritdoc/>
    public void Save(SavedFields fields) => Exchange(fields);

    /// <inheritdoc/>
    public void Load(SavedFields fields) => Exchange(fields);

    private void Exchange(SavedFields fields)
    {
        lock (_gate) fields.Bytes(1, _registers);
    }
}
