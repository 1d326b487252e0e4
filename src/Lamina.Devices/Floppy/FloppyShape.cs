// What a floppy disk is by its length: sides, tracks, sectors, the rate at which it is read, and the type of the drive for it, as CMOS RAM has it.
namespace Lamina.Devices.Floppy;

/// <summary>A floppy disk's shape.</summary>
/// <param name="Cylinders">How many there are.</param>
/// <param name="Sectors">Sectors of a track, of 512 bytes; there are two sides.</param>
/// <param name="Rate">The data rate, as the controller is told it: 0 for 500 kbit/s, 2 for 250, 3 for 1000.</param>
/// <param name="DriveType">The type of drive: 1 to 5 for 360K, 1.2M, 720K, 1.44M and 2.88M.</param>
public sealed record FloppyShape(int Cylinders, int Sectors, byte Rate, byte DriveType)
{
    private const int Sides = 2, SectorSize = 512;

    private static readonly FloppyShape[] All = [new(40, 9, 2, 1), new(80, 15, 0, 2), new(80, 9, 2, 3), new(80, 18, 0, 4), new(80, 36, 3, 5)];

    /// <summary>Its length in bytes.</summary>
    public ulong Length => (ulong)(Cylinders * Sides * Sectors * SectorSize);

    /// <summary>The shape of a length; null where no floppy disk has it.</summary>
    public static FloppyShape? Of(ulong bytes) => Array.Find(All, shape => shape.Length == bytes);
}
