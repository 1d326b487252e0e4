// The two other ways by which a PC's software resets it: port 0x92 (fast reset and A20) and the chipset's reset control
// register at port 0xCF9. The address line A20 is always on: its bit is kept and read back, as on a PC without the mask.
using Lamina.Core.Bus;
using Lamina.Core.Inspection;
using Lamina.Core.State;
using Lamina.Core.Units;

namespace Lamina.Devices.Chipset;

/// <summary>Constants of the reset ports (ICH9 data sheet, registers PORT92 and RST_CNT).</summary>
public static class ResetPortsSpec
{
    /// <summary>System control port A.</summary>
    public const ushort SystemControlPortA = 0x92;

    /// <summary>The reset control register. A machine with PCI owns the port through its configuration address register and passes byte accesses on.</summary>
    public const ushort ResetControlPort = 0xcf9;

    /// <summary>What software (and the FADT's RESET_VALUE) writes to <see cref="ResetControlPort"/> for a hard reset.</summary>
    public const byte ResetControlValue = ResetCpu | SystemReset;

    /// <summary>Port 0x92: reset on a rising edge, A20.</summary>
    internal const byte FastReset = 1, A20 = 2;

    /// <summary>Port 0xCF9: hard instead of soft, reset on a rising edge, power cycle.</summary>
    internal const byte SystemReset = 2, ResetCpu = 4, FullReset = 8;
}

/// <summary>System control port A: one byte-wide register.</summary>
/// <param name="requestReset">Asks for a reset of the machine; called without locks and must not wait for it.</param>
public sealed class SystemControlPortA(Action requestReset) : IBusDevice, IResettable, ISavedUnit, IInspected
{
    private readonly Lock _gate = new();
    private byte _value = ResetPortsSpec.A20;

    /// <summary>Claims the port.</summary>
    public void MapPorts(Bus ports) => ports.Map(ResetPortsSpec.SystemControlPortA, 1, this);

    /// <summary>As after power-on.</summary>
    public void Reset()
    {
        lock (_gate) _value = ResetPortsSpec.A20;
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node) => node.Locked(_gate, () => node.SayHex("value", _value));

    /// <inheritdoc/>
    public SavedKind Kind => new("port 92h", 1);

    /// <inheritdoc/>
    public void Save(SavedFields fields) => Exchange(fields);

    /// <inheritdoc/>
    public void Load(SavedFields fields) => Exchange(fields);

    /// <inheritdoc/>
    public AccessResult Read(ulong offset, Span<byte> data)
    {
        lock (_gate) data.Fill(_value);
        return AccessResult.Ok;
    }

    /// <inheritdoc/>
    public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
    {
        bool reset;
        lock (_gate)
        {
            reset = (data[0] & ~_value & ResetPortsSpec.FastReset) != 0;
            _value = (byte)(data[0] & (ResetPortsSpec.FastReset | ResetPortsSpec.A20));
        }
        if (reset) requestReset();
        return AccessResult.Ok;
    }

    private void Exchange(SavedFields fields)
    {
        lock (_gate) fields.Value(1, ref _value);
    }
}

/// <summary>The reset control register: one byte-wide register.</summary>
/// <param name="requestReset">Asks for a reset of the machine; called without locks and must not wait for it.</param>
public sealed class ResetControl(Action requestReset) : IBusDevice, IResettable, ISavedUnit, IInspected
{
    private readonly Lock _gate = new();
    private byte _value;

    /// <summary>Claims the port, in a machine without PCI.</summary>
    public void MapPorts(Bus ports) => ports.Map(ResetPortsSpec.ResetControlPort, 1, this);

    /// <summary>As after power-on.</summary>
    public void Reset()
    {
        lock (_gate) _value = 0;
    }

    /// <inheritdoc/>
    public void Inspect(InspectNode node) => node.Locked(_gate, () => node.SayHex("value", _value));

    /// <inheritdoc/>
    public SavedKind Kind => new("reset control", 1);

    /// <inheritdoc/>
    public void Save(SavedFields fields) => Exchange(fields);

    /// <inheritdoc/>
    public void Load(SavedFields fields) => Exchange(fields);

    /// <inheritdoc/>
    public AccessResult Read(ulong offset, Span<byte> data)
    {
        lock (_gate) data.Fill(_value);
        return AccessResult.Ok;
    }

    /// <inheritdoc/>
    public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
    {
        bool reset;
        lock (_gate)
        {
            reset = (data[0] & ~_value & ResetPortsSpec.ResetCpu) != 0;
            _value = (byte)(data[0] & (ResetPortsSpec.SystemReset | ResetPortsSpec.ResetCpu | ResetPortsSpec.FullReset));
        }
        if (reset) requestReset();
        return AccessResult.Ok;
    }

    private void Exchange(SavedFields fields)
    {
        lock (_gate) fields.Value(1, ref _value);
    }
}
