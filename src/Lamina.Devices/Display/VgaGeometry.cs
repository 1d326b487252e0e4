// What the VGA's registers say of the picture's shape: how many dots and lines, what a line of memory is, where it begins. Whatever they
// say is a picture of a bounded size.
using static Lamina.Devices.Display.VgaSpec;

namespace Lamina.Devices.Display;

/// <summary>The kinds of picture that a VGA makes of its memory.</summary>
internal enum VgaKind
{
    /// <summary>Characters, by a font in plane 2.</summary>
    Text,

    /// <summary>A bit of each plane a pixel.</summary>
    Planes,

    /// <summary>Two bits a pixel, of bytes that alternate between two planes: CGA's.</summary>
    TwoBits,

    /// <summary>A byte a pixel, which is two dots.</summary>
    Bytes,
}

/// <summary>The shape of a picture.</summary>
internal readonly record struct VgaGeometry
{
    internal VgaGeometry(VgaRegisters registers)
    {
        var (crt, controller) = (registers.Crt, registers.GraphicsController);
        Kind = (controller[Miscellaneous] & Graphics) == 0 ? VgaKind.Text : (controller[GraphicsMode] >> ShiftShift & 3) switch
        {
            0 => VgaKind.Planes,
            1 => VgaKind.TwoBits,
            _ => VgaKind.Bytes,
        };
        IsBlank = !registers.ShowsPicture || (registers.Sequencer[ClockingMode] & ScreenOff) != 0;
        Columns = crt[HorizontalEnd] + 1;
        CharacterWidth = Kind == VgaKind.Text && (registers.Sequencer[ClockingMode] & EightDots) == 0 ? 9 : 8;
        // With half the clock each dot is as wide as two.
        DotWidth = (registers.Sequencer[ClockingMode] & HalfClock) != 0 && Columns <= 64 ? 2 : 1;
        Height = (crt[VerticalEnd] | (crt[Overflow] & 2) << 7 | (crt[Overflow] & 0x40) << 3) + 1;
        RowHeight = (crt[MaximumScanLine] & ScanLineMask) + 1;
        Repeats = (crt[MaximumScanLine] & DoubleScan) != 0 ? 2 : 1;
        Stride = crt[Offset] * 2;
        Start = (crt[StartHigh] << 8 | crt[StartLow]) + (crt[PresetRow] >> 5 & 3);
        SplitLine = crt[LineCompare] | (crt[Overflow] & OverflowLineCompare) << 4 | (crt[MaximumScanLine] & 0x40) << 3;
        FirstRowLine = Math.Min(crt[PresetRow] & ScanLineMask, RowHeight - 1);
    }

    internal VgaKind Kind { get; }

    internal bool IsBlank { get; }

    /// <summary>Characters across, or groups of eight dots.</summary>
    internal int Columns { get; }

    internal int CharacterWidth { get; }

    internal int DotWidth { get; }

    /// <summary>Dots across, up to 256 times 9, or 64 times 18.</summary>
    internal int Width => Columns * CharacterWidth * DotWidth;

    /// <summary>Lines, up to 1024.</summary>
    internal int Height { get; }

    /// <summary>How many lines of the screen a row of characters has, or a line of memory.</summary>
    internal int RowHeight { get; }

    /// <summary>How often each line is shown.</summary>
    internal int Repeats { get; }

    /// <summary>Lines of characters that are shown.</summary>
    internal int Rows => Math.Max(1, Height / (RowHeight * Repeats));

    /// <summary>From one row to the next, in words of four bytes, one of each plane.</summary>
    internal int Stride { get; }

    /// <summary>The first word.</summary>
    internal int Start { get; }

    /// <summary>The line behind which what is shown begins with the first word of all.</summary>
    internal int SplitLine { get; }

    /// <summary>The line of the first row that is at the top.</summary>
    internal int FirstRowLine { get; }
}
