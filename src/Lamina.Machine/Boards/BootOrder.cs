// From which drives firmware is to boot, and in which order: disks, then floppy disks, then CDs, each kind in the order in which the guest finds it; or CDs, or network cards, first,
// where that is said. What cannot be booted is passed over by the firmware.
using Lamina.Parts;

namespace Lamina.Boards;

/// <summary>Makes boot orders.</summary>
internal static class BootOrder
{
    /// <summary>The paths by which firmware knows what to boot from, the first one first.</summary>
    /// <param name="machine">The machine.</param>
    /// <param name="devices">Its devices that are parts, in the order in which they are added to the board.</param>
    /// <param name="board">The board.</param>
    internal static IReadOnlyList<string> Of(MachineDefinition machine, IReadOnlyList<DeviceDefinition> devices, IBoard board)
    {
        var taken = new Dictionary<string, int>();
        var drives = new List<(int Order, string Path)>();
        foreach (var device in devices)
        {
            var bus = PartCatalog.BusOf(device);
            var among = PartCatalog.TakesPlace(device) ? "" : $"{bus}";
            var place = taken.GetValueOrDefault(among);
            taken[among] = place + 1;
            if (device is NetworkDevice && machine.Boot.From == BootMedium.Network && board.NetworkBootPathOf(place) is { } card) drives.Add((0, card));
            int? order = device switch { DiskDevice => 1, FloppyDevice => 2, CdromDevice => machine.Boot.From == BootMedium.Cdrom ? 0 : 3, _ => null };
            if (order is { } known) drives.Add((known, board.BootPathOf(bus, place)));
        }
        return [.. drives.OrderBy(drive => drive.Order).Select(drive => drive.Path)];
    }
}
