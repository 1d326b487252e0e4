// What is other in one picture than in another, as rectangles: squares of 16 pixels that differ, those beside each other as one, and equal
// ones below each other as one.
using Lamina.Core.Display;

namespace Lamina.Backends.Display;

/// <summary>A part of a picture.</summary>
internal readonly record struct ScreenPart(int X, int Y, int Width, int Height);

/// <summary>Finds differences.</summary>
internal static class ScreenDifference
{
    /// <summary>The parts in which two pictures of one size differ.</summary>
    internal static List<ScreenPart> Between(ScreenPicture before, ScreenPicture now)
    {
        const int Tile = RfbSpec.Tile;
        var (parts, open, row) = (new List<ScreenPart>(), new List<int>(), new List<ScreenPart>());
        for (var y = 0; y < now.Height; y += Tile)
        {
            var height = Math.Min(Tile, now.Height - y);
            row.Clear();
            for (var x = 0; x < now.Width; x += Tile)
            {
                var width = Math.Min(Tile, now.Width - x);
                if (IsSame(before, now, new ScreenPart(x, y, width, height))) continue;
                if (row is [.., var left] && left.X + left.Width == x) row[^1] = left with { Width = left.Width + width };
                else row.Add(new ScreenPart(x, y, width, height));
            }
            // Those of the row above that go on.
            var next = new List<int>(row.Count);
            foreach (var part in row)
            {
                var above = open.FindIndex(index => parts[index].X == part.X && parts[index].Width == part.Width);
                if (above >= 0)
                {
                    parts[open[above]] = parts[open[above]] with { Height = parts[open[above]].Height + part.Height };
                    next.Add(open[above]);
                }
                else
                {
                    parts.Add(part);
                    next.Add(parts.Count - 1);
                }
            }
            open = next;
        }
        return parts;
    }

    private static bool IsSame(ScreenPicture before, ScreenPicture now, ScreenPart part)
    {
        for (var y = part.Y; y < part.Y + part.Height; y++)
        {
            var at = (y * now.Width) + part.X;
            if (!before.Pixels.AsSpan(at, part.Width).SequenceEqual(now.Pixels.AsSpan(at, part.Width))) return false;
        }
        return true;
    }
}
