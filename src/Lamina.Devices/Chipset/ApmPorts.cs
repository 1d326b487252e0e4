// APM control and status (ports 0xB2 and 0xB3). On a PC a write to the first raises a system management interrupt, by which operating systems ask
// firmware to hand power management over to them (ACPI 6.4, 5.2.9: SMI_CMD). There is no management mode here: what the tables name for that is
// done at once, and for the rest they are two bytes that are read back, as firmware expects that asks whether a call has been carried out.
// Source: ICH9 data sheet, 13.7.3 (APM_CNT, APM_STS).
using Lamina.Core.Bus;
using Lamina.Core.Inspection;
using Lamina.Core.State;
using Lamina.Core.Units;

namespace Lamina.Devices.Chipset;

/// <summary>Constants of the power management ports.</summary>
public static class ApmPortsSpec
{
    /// <summary>The control port, which the tables call SMI_CMD; the status port follows it.</summary>
    public const ushort Port = 0xb2, Length = 2;

    /// <summary>What is written to the first one to take power management over, and to give it back.</summary>
    public const byte AcpiEnable = 0xf1, AcpiDisable = 0xf0;
}

/// <summary>Advanced power management's two ports.</summary>
/// <param name="power">What is handed over; null where it is the operating system's from the beginning.</param>
public sealed class ApmPorts(AcpiPm? power = null) : IBusDevice, IResettable, ISavedUnit, IInspected
{
    private readonly Lock _gate = new();
    private readonly byte[] _registers = new byte[ApmPortsSpec.Length];

    /// <summary>Claims the ports.</summary>
    public void MapPorts(Bus ports) => ports.Map(ApmPortsSpec.Port, ApmPortsSpec.Length, this);

    /// <inheritdoc/>
    public SavedKind Kind => new("APM ports", 1);

    /// <inheritdoc/>
    public AccessResult Read(ulong offset, Span<byte> data)
    {
        lock (_gate)
        {
            for (var i = 0; i < data.Length; i++) data[i] = (int)offset + i < _registers.Length ? _registers[(int)offset + i] : (byte)0xff;
        }
        return AccessResult.Ok;
    }

    /// <inheritdoc/>
    public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
    {
        lock (_gate)
        {
            for (var i = 0; i < data.Length && (int)offset + i < _registers.Length; i++) _registers[(int)offset + i] = data[i];
            if (offset == 0 && data[0] is ApmPortsSpec.AcpiEnable or ApmPortsSpec.AcpiDisable) power?.SetAcpiMode(data[0] == ApmPortsSpec.AcpiEnable);
        }
        return AccessResult.Ok;
    }

    /// <inheritdoc/>
    public void Reset()
    {
        lock (_gate) Array.Clear(_registers);
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node) => node.Locked(_gate, () =>
    {
        node.SayHex("control", _registers[0]);
        node.SayHex("status", _registers[1]);
    });

    /// <inheritdoc/>
    public void Save(SavedFields fields) => Exchange(fields);

    /// <inheritdoc/>
    public void Load(SavedFields fields) => Exchange(fields);

    private void Exchange(SavedFields fields)
    {
        lock (_gate) fields.Bytes(1, _registers);
    }
}
