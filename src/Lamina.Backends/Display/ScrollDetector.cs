// Whether a part of a picture is what was elsewhere in the one before, higher or lower: text that scrolls. Lines of pixels are compared by a
// sum of each, in one pass over what changed; the lines of which there is only one tell by how much, and the longest stretch of lines that
// moved by as much is it.
using System.Runtime.InteropServices;
using Lamina.Core.Display;

namespace Lamina.Backends.Display;

/// <summary>Finds what scrolled.</summary>
internal static class ScrollDetector
{
    /// <summary>The least that is worth it, in pixels across, and in lines.</summary>
    internal const int LeastWidth = 64, LeastHeight = 16;

    /// <summary>Finds the largest stretch of lines that moved.</summary>
    /// <param name="before">What was shown.</param>
    /// <param name="now">What is, of the same size.</param>
    /// <param name="parts">The parts in which they differ.</param>
    /// <returns>Where it is now, and the line where it was; null where nothing scrolled.</returns>
    internal static (ScreenPart Part, int FromY)? Find(ScreenPicture before, ScreenPicture now, List<ScreenPart> parts)
    {
        var box = Changed(before, now, parts);
        if (box.Width < LeastWidth || box.Height < 2 * LeastHeight) return null;
        var (old, current) = (new ulong[box.Height], new ulong[box.Height]);
        for (var y = 0; y < box.Height; y++) (old[y], current[y]) = (Sum(Line(before, box, y)), Sum(Line(now, box, y)));
        if (MostUsual(old, current) is not { } by) return null;

        var (best, bestLength, start) = (0, 0, -1);
        for (var y = 0; y <= box.Height; y++)
        {
            var moved = y < box.Height && y + by >= 0 && y + by < box.Height && current[y] == old[y + by] && Line(now, box, y).SequenceEqual(Line(before, box, y + by));
            if (moved && start < 0) start = y;
            if (moved || start < 0) continue;
            if (y - start > bestLength) (best, bestLength) = (start, y - start);
            start = -1;
        }
        return bestLength < LeastHeight ? null : (box with { Y = box.Y + best, Height = bestLength }, box.Y + best + by);
    }

    /// <summary>Does to a picture what a client does to its own.</summary>
    internal static void Apply(ScreenPicture picture, ScreenPart part, int fromY)
    {
        // From the side to which it moves.
        for (var i = 0; i < part.Height; i++)
        {
            var y = fromY > part.Y ? i : part.Height - 1 - i;
            picture.Pixels.AsSpan(((fromY + y) * picture.Width) + part.X, part.Width).CopyTo(picture.Pixels.AsSpan(((part.Y + y) * picture.Width) + part.X));
        }
    }

    // The rectangle around all pixels that differ. Parts are of squares, which reach beyond it.
    private static ScreenPart Changed(ScreenPicture before, ScreenPicture now, List<ScreenPart> parts)
    {
        if (parts.Count == 0) return default;
        var (left, right) = (now.Width, 0);
        var (top, bottom) = (parts.Min(part => part.Y), parts.Max(part => part.Y + part.Height));
        for (var y = top; y < bottom; y++)
        {
            var old = before.Pixels.AsSpan(y * now.Width, now.Width);
            var current = now.Pixels.AsSpan(y * now.Width, now.Width);
            var first = old.CommonPrefixLength(current);
            if (first == now.Width) continue;
            left = Math.Min(left, first);
            var last = now.Width;
            while (last > right && old[last - 1] == current[last - 1]) last--;
            right = Math.Max(right, last);
        }
        return new ScreenPart(left, top, Math.Max(0, right - left), bottom - top);
    }

    // By how many lines most of those that there is one of have moved: from a line to where it was.
    private static int? MostUsual(ulong[] old, ulong[] current)
    {
        // -1: there are several.
        var places = new Dictionary<ulong, int>();
        for (var y = 0; y < old.Length; y++) places[old[y]] = places.ContainsKey(old[y]) ? -1 : y;
        var votes = new Dictionary<int, int>();
        for (var y = 0; y < current.Length; y++)
            if (places.TryGetValue(current[y], out var was) && was >= 0 && was != y) votes[was - y] = votes.GetValueOrDefault(was - y) + 1;
        return votes.Count == 0 ? null : votes.MaxBy(vote => vote.Value).Key;
    }

    private static ReadOnlySpan<uint> Line(ScreenPicture picture, ScreenPart box, int line) => picture.Pixels.AsSpan(((box.Y + line) * picture.Width) + box.X, box.Width);

    // Any sum will do: lines are compared where sums are the same.
    private static ulong Sum(ReadOnlySpan<uint> line)
    {
        const ulong Odd = 0x9e37_79b9_7f4a_7c15;
        var sum = (ulong)line.Length;
        foreach (var pair in MemoryMarshal.Cast<uint, ulong>(line)) sum = (sum ^ pair) * Odd;
        return (sum ^ line[^1]) * Odd ^ sum >> 32;
    }
}
