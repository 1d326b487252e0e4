// Ports 0xB2 and 0xB3 of a chipset: advanced power management's control and status. A write to the first raises a system management
// interrupt on a PC that has that mode; here it is two bytes that can be read back, as firmware expects that asks whether a call has
// been carried out. Source: ICH9 data sheet, 13.7.3 (APM_CNT, APM_STS).
using Lamina.Core.Bus;
using Lamina.Core.Inspection;
using Lamina.Core.State;
using Lamina.Core.Units;

namespace Lamina.Devices.Chipset;

/// <summary>Constants of the power management ports.</summary>
public static class ApmPortsSpec
{
    /// <summary>The control port; the status port follows it.</summary>
    public const ushort Port = 0xb2, Length = 2;
}

/// <summary>Advanced power management's two ports.</summary>
public sealed class ApmPorts : IBusDevice, IResettable, ISavedUnit, IInspected
{
    private readonly Lock _gate = new();
    private byte _control, _status;

    /// <summary>Claims the ports.</summary>
    public void MapPorts(Bus ports) => ports.Map(ApmPortsSpec.Port, ApmPortsSpec.Length, this);

    /// <summary>As after power-on.</summary>
    public void Reset()
    {
        lock (_gate) (_control, _status) = (0, 0);
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node) => node.Locked(_gate, () =>
    {
        node.SayHex("control", _control);
        node.SayHex("status", _status);
    });

    /// <inheritdoc/>
    public SavedKind Kind => new("APM ports", 1);

    /// <inheritdoc/>
    public void Save(SavedFields fields) => Exchange(fields);

    /// <inheritdoc/>
    public void Load(SavedFields fields) => Exchange(fields);

    /// <inheritdoc/>
    public AccessResult Read(ulong offset, Span<byte> data)
    {
        lock (_gate)
            for (var i = 0; i < data.Length; i++) data[i] = (int)offset + i == 0 ? _control : _status;
        return AccessResult.Ok;
    }

    /// <inheritdoc/>
    public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
    {
        lock (_gate)
            for (var i = 0; i < data.Length; i++)
                if ((int)offset + i == 0) _control = data[i];
                else _status = data[i];
        return AccessResult.Ok;
    }

    private void Exchange(SavedFields fields)
    {
        lock (_gate)
        {
            fields.Value(1, ref _control);
            fields.Value(2, ref _status);
        }
    }
}
