// The registers of a VGA adapter and of the extensions that a PC of QEMU's kind has. Sources: the VGA register list of FreeVGA and VGADOC
// (VGA.TXT), as they are told of IBM's; QEMU's docs/specs/standard-vga; the interface of Bochs' VBE extensions, as SeaBIOS
// (vgasrc/bochsvga.c) and Linux (drivers/gpu/drm/tiny/bochs.c) use it.
using Lamina.Devices.Pci;

namespace Lamina.Devices.Display;

/// <summary>Addresses, ports, indices and bits.</summary>
public static class VgaSpec
{
    /// <summary>Ports of the VGA: 0x3B0 to 0x3DF.</summary>
    public const ushort Ports = 0x3b0, PortsLength = 0x30;

    /// <summary>Ports of the extensions: an index of 16 bits, and its register of 16 bits at either of the two next ports.</summary>
    public const ushort ExtensionPorts = 0x1ce, ExtensionPortsLength = 4;

    /// <summary>The window below 1 MiB.</summary>
    public const ulong Window = 0xa_0000, WindowLength = 0x2_0000;

    /// <summary>Video memory in bytes.</summary>
    public const int MemoryLength = 16 << 20;

    /// <summary>The base address register behind which the registers lie.</summary>
    public const int RegistersBar = 2, RegistersLength = 0x1000;

    /// <summary>Who it is.</summary>
    public static readonly PciIdentity Identity = new(0x1234, 0x1111, 0x03_0000) { Revision = 2, Subsystem = (0x1af4, 0x1100) };

    // The registers in memory: EDID, the ports from 0x3C0, the extensions' registers by their numbers, QEMU's own.
    internal const int EdidAt = 0, EdidEnd = 0x400, PortsAt = 0x400, PortsEnd = 0x420, ExtensionsAt = 0x500, ExtensionsEnd = 0x516, OwnAt = 0x600, OwnLength = 8, OwnByteOrder = 4;
    internal const ushort MirroredPorts = 0x3c0;
    internal const uint BigEndian = 0xbebe_bebe, LittleEndian = 0x1e1e_1e1e;

    // What the VGA itself reaches: 64 KiB in each of four planes.
    internal const int Planes = 4, PlaneLength = 64 << 10, VgaLength = Planes * PlaneLength, Bank = 64 << 10;

    // Miscellaneous output: ports 0x3Dx rather than 0x3Bx; the window answers.
    internal const byte MiscColour = 1, MiscMemory = 2, MiscReserved = 0x10;

    // Sequencer.
    internal const int Sequencers = 8, ClockingMode = 1, MapMask = 2, CharacterMap = 3, MemoryMode = 4;
    internal const byte EightDots = 1, HalfClock = 8, ScreenOff = 0x20, Sequential = 4, Chain4 = 8;

    // CRT controller.
    internal const int CrtControllers = 0x19, HorizontalEnd = 1, Overflow = 7, PresetRow = 8, MaximumScanLine = 9, CursorStart = 0xa, CursorEnd = 0xb,
        StartHigh = 0xc, StartLow = 0xd, CursorHigh = 0xe, CursorLow = 0xf, RetraceEnd = 0x11, VerticalEnd = 0x12, Offset = 0x13, UnderlineLocation = 0x14, CrtMode = 0x17, LineCompare = 0x18;
    internal const byte ScanLineMask = 0x1f, DoubleScan = 0x80, CursorOff = 0x20, Protected = 0x80, OverflowLineCompare = 0x10, BytesNotWords = 0x40;

    // Graphics controller.
    internal const int GraphicsControllers = 9, SetReset = 0, EnableSetReset = 1, ColourCompare = 2, Rotate = 3, ReadMap = 4, GraphicsMode = 5, Miscellaneous = 6, ColourDontCare = 7, BitMask = 8;
    internal const byte WriteModeMask = 3, ReadMode1 = 8, OddEvenReads = 0x10, ShiftShift = 5, Graphics = 1, MapShift = 2;

    // Attribute controller: the index has the bit that shows the picture. Only the first 16 registers are the palette.
    internal const int Attributes = 0x15, PaletteRegisters = 16, AttributeMode = 0x10, PlaneEnable = 0x12, Panning = 0x13, ColourSelect = 0x14;
    internal const byte ShowsPicture = 0x20, AttributeIndexMask = 0x1f, NineDotLines = 4, Blinks = 8, PanningResets = 0x20, ColourSelects = 0x80;

    // Input status 1: no picture at this moment; the beam goes back to the top.
    internal const byte StatusNoPicture = 1, StatusRetrace = 8;

    // The timing of 640 x 400 at 70 Hz, whatever the registers say: 449 lines of 31.778 microseconds, of each of which a fifth is dark.
    internal const long LineNanoseconds = 31_778, LineShown = LineNanoseconds * 4 / 5, Lines = 449, LinesShown = 400, RetraceLine = 412;

    // The extensions' registers.
    internal const int Extensions = 11, ExtensionId = 0, Width = 1, Height = 2, Depth = 3, Enable = 4, BankNumber = 5, VirtualWidth = 6, VirtualHeight = 7, OffsetX = 8, OffsetY = 9, MemoryBanks = 10;
    internal const ushort FirstId = 0xb0c0, LastId = 0xb0c5, Enabled = 1, AsksForMost = 2, EightBitPalette = 0x20, Linear = 0x40, KeepsMemory = 0x80;

    /// <summary>The largest picture that the extensions have.</summary>
    public const int MostWidth = 2560, MostHeight = 2048;

    // What of a register's bits there are.
    internal static ReadOnlySpan<byte> SequencerMasks => [0x03, 0x3d, 0x0f, 0x3f, 0x0e, 0, 0, 0];
    internal static ReadOnlySpan<byte> GraphicsMasks => [0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff];
    internal static ReadOnlySpan<byte> AttributeMasks =>
        [0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0x3f, 0xef, 0xff, 0x3f, 0x0f, 0x0f];
}
