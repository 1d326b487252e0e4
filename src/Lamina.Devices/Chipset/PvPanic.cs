// The pvpanic port: a guest's kernel tells that it has crashed. Source: QEMU's specification of the device
// (docs/specs/pvpanic). The DSDT names it with _HID "QEMU0001" and its port in _CRS.
using Lamina.Core.Bus;

namespace Lamina.Devices.Chipset;

/// <summary>What a guest tells, and what the device says it understands.</summary>
[Flags]
public enum PvPanicEvents : byte
{
    /// <summary>Nothing.</summary>
    None = 0,

    /// <summary>The guest's kernel crashed and leaves it to the host.</summary>
    Panicked = 1,

    /// <summary>It crashed and deals with it itself (it has loaded a crash kernel): to be recorded only.</summary>
    CrashLoaded = 2,

    /// <summary>The guest shuts down in good order.</summary>
    ShutDown = 4,
}

/// <summary>Constants of pvpanic.</summary>
public static class PvPanicSpec
{
    /// <summary>The port.</summary>
    public const ushort Port = 0x505;

    /// <summary>The ACPI hardware ID.</summary>
    public const string HardwareId = "QEMU0001";

    /// <summary>All events of the specification.</summary>
    public const PvPanicEvents Supported = PvPanicEvents.Panicked | PvPanicEvents.CrashLoaded | PvPanicEvents.ShutDown;
}

/// <summary>A pvpanic device: one byte-wide port.</summary>
/// <param name="told">Called with the events of each write, unknown ones left out; without locks; must not block.</param>
public sealed class PvPanic(Action<PvPanicEvents> told) : IBusDevice
{
    /// <summary>Claims the port.</summary>
    public void MapPorts(Bus ports) => ports.Map(PvPanicSpec.Port, 1, this);

    /// <inheritdoc/>
    public AccessResult Read(ulong offset, Span<byte> data)
    {
        data.Fill((byte)PvPanicSpec.Supported);
        return AccessResult.Ok;
    }

    /// <inheritdoc/>
    public AccessResult Write(ulong offset, ReadOnlySpan<byte> data)
    {
        var events = (PvPanicEvents)data[0] & PvPanicSpec.Supported;
        if (events != PvPanicEvents.None) told(events);
        return AccessResult.Ok;
    }
}
