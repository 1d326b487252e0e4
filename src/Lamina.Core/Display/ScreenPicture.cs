// What is on a screen at one moment: every pixel of it.
namespace Lamina.Core.Display;

/// <summary>A picture.</summary>
/// <param name="Width">Pixels across, at least 1.</param>
/// <param name="Height">Lines, at least 1.</param>
/// <param name="Pixels">Line by line from the top, each pixel 0x00RRGGBB.</param>
public sealed record ScreenPicture(int Width, int Height, uint[] Pixels)
{
    /// <summary>The most pixels across and lines that any screen has, whatever a guest says.</summary>
    public const int MostWidth = 4608, MostHeight = 2048;
}
