// Texts of the other end, for sentences of ours.
using System.Text;

namespace Lamina.Backends.Nbd;

/// <summary>Makes texts harmless.</summary>
internal static class NbdText
{
    private const int Longest = 200;

    /// <summary>A text without the characters that steer terminals, cut where it is long.</summary>
    internal static string Printable(ReadOnlySpan<byte> bytes)
    {
        var text = Encoding.UTF8.GetString(bytes[..Math.Min(bytes.Length, Longest)]);
        return string.Concat(text.Select(character => char.IsControl(character) || character == '\ufffd' ? '?' : character)).Trim();
    }
}
