// Power management: says at which ports the ACPI fixed hardware and the SMBus host controller answer, which are devices of their own.
using System.Buffers.Binary;
using Lamina.Core.Bus;
using Lamina.Core.State;
using Lamina.Devices.Pci;
using static Lamina.Devices.Chipset.I440fx.I440fxSpec;

namespace Lamina.Devices.Chipset.I440fx;

/// <summary>Function 3 of the south bridge.</summary>
public sealed class PowerManagement : PciFunction
{
    // What is fixed answers first, wherever software puts these.
    private const int WindowPriority = -1;

    private const ushort PowerMask = 0xffc0, SmBusMask = 0xfff0;

    private readonly IBusWindow _power, _smBus;

    /// <summary>Makes it: neither block answers, unless it is said where the first one does.</summary>
    /// <param name="wires">What it is connected with.</param>
    /// <param name="power">The ACPI fixed hardware.</param>
    /// <param name="smBus">The SMBus host controller.</param>
    /// <param name="powerPorts">
    /// Where the ACPI fixed hardware answers after a reset; 0: nowhere. Tables that were made beforehand name that place, and firmware which finds one there leaves it.
    /// </param>
    public PowerManagement(PciWires wires, AcpiPm power, SmBusHost smBus, ushort powerPorts = 0) : base(I440fxSpec.Power, wires)
    {
        Fix(PciSpec.Status, 0x0280, sizeof(ushort));
        Fix(PowerBase, 1u | powerPorts, sizeof(uint), PowerMask);
        for (var i = PowerBase + 4; i < PowerMiscellaneous; i += 4) Fix(i, 0, sizeof(uint), uint.MaxValue);
        Fix(DeviceActivity, DeviceActivityAtReset, sizeof(uint), uint.MaxValue);
        Fix(PowerMiscellaneous, powerPorts == 0 ? 0u : PowerEnable, 1, writable: PowerEnable);
        Fix(SmBusBase, 1, sizeof(uint), SmBusMask);
        Fix(SmBusConfiguration, 0, 1, writable: 0x0f);
        Fix(SmBusRevision, 0, 1);
        _power = wires.Ports.CreateWindow($"{wires.Name} power management", PowerLength, power, WindowPriority);
        _smBus = wires.Ports.CreateWindow($"{wires.Name} SMBus", SmBusLength, smBus, WindowPriority);
    }

    /// <inheritdoc/>
    public override SavedKind Kind => new("PIIX4 power management", 1);

    /// <inheritdoc/>
    public override void Dispose()
    {
        _power.Dispose();
        _smBus.Dispose();
        base.Dispose();
    }

    /// <inheritdoc/>
    protected override void Written(int offset, int length)
    {
        Place(_power, PowerBase, PowerMask, (Space[PowerMiscellaneous] & PowerEnable) != 0);
        Place(_smBus, SmBusBase, SmBusMask, (Space[SmBusConfiguration] & 1) != 0);
    }

    private void Place(IBusWindow window, int register, ushort mask, bool on)
    {
        if (on) window.TryMove((ulong)(BinaryPrimitives.ReadUInt16LittleEndian(Space[register..]) & mask));
        else window.SwitchOff();
    }
}
