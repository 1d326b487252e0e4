// What a terminal sends for the keys of its keyboard, as strokes of a PC's: characters by a layout, control characters, and the sequences of
// xterm and of Linux' console (ECMA-48; ctlseqs, "PC-Style Function Keys"; console_codes(4)).
using System.Globalization;
using System.Text;
using Lamina.Core.Input;

namespace Lamina.Cli.TextScreens;

/// <summary>Reads keys.</summary>
/// <param name="layout">The layout that the guest has.</param>
internal sealed class TerminalKeys(KeyboardLayout layout)
{
    // No key is longer.
    private const int LongestSequence = 16;

    private readonly Decoder _characters = Encoding.UTF8.GetDecoder();
    private string _pending = "";

    /// <summary>The strokes of what was typed. What stands for no key is left out; what has no end yet is kept.</summary>
    internal IReadOnlyList<KeyStroke> Read(ReadOnlySpan<byte> typed)
    {
        var characters = new char[typed.Length + 1];
        var text = _pending + new string(characters, 0, _characters.GetChars(typed, characters, flush: false));
        var strokes = new List<KeyStroke>();
        _pending = "";
        for (var at = 0; at < text.Length;)
        {
            if (text[at] != '\e')
            {
                strokes.AddRange(Of(text[at++]));
                continue;
            }
            if (at + 1 == text.Length || text[at + 1] == '\e')
            {
                Add("esc");
                at++;
                continue;
            }
            if (text[at + 1] is not ('[' or 'O'))
            {
                strokes.AddRange(Of(text[at + 1]).Select(stroke => With(stroke, "alt")));
                at += 2;
                continue;
            }
            var end = EndOf(text, at);
            if (end < 0 && text.Length - at <= LongestSequence)
            {
                _pending = text[at..];
                break;
            }
            if (end > 0 && NameOf(text[at..end]) is { } name) Add(name);
            at = end > 0 ? end : text.Length;
        }
        return strokes;

        void Add(string name) => strokes.Add(KeyStroke.Read(name).Stroke!);
    }

    // Behind the sequence; below 0 where it has no end.
    private static int EndOf(string text, int at)
    {
        // Linux' console has F1 to F5 as [[A to [[E.
        if (text.Length - at > 2 && text[at + 1] == '[' && text[at + 2] == '[') return text.Length - at > 3 ? at + 4 : -1;
        for (var i = at + 2; i < text.Length; i++)
            if (text[i] is >= '@' and <= '~' || text[i] < ' ') return i + 1;
        return -1;
    }

    private static string? NameOf(string sequence)
    {
        if (sequence.StartsWith("\e[[", StringComparison.Ordinal)) return sequence[3] is >= 'A' and <= 'E' ? $"f{sequence[3] - 'A' + 1}" : null;
        var numbers = sequence[2..^1].Split(';').Select(number => int.TryParse(number, NumberStyles.None, CultureInfo.InvariantCulture, out var read) ? read : 1).ToArray();
        var key = sequence[^1] switch
        {
            'A' => "up",
            'B' => "down",
            'C' => "right",
            'D' => "left",
            'E' => "kp_5",
            'F' => "end",
            'H' => "home",
            'P' => "f1",
            'Q' => "f2",
            'R' => "f3",
            'S' => "f4",
            'Z' => "shift-tab",
            'M' when sequence[1] == 'O' => "kp_enter",
            '~' => numbers[0] switch
            {
                1 or 7 => "home",
                2 => "insert",
                3 => "delete",
                4 or 8 => "end",
                5 => "page_up",
                6 => "page_down",
                >= 11 and <= 15 and var number => $"f{number - 10}",
                >= 17 and <= 21 and var number => $"f{number - 11}",
                23 or 24 => $"f{numbers[0] - 12}",
                _ => null,
            },
            _ => null,
        };
        // The last number is 1 and a bit for each key that is held.
        var held = numbers.Length > 1 ? numbers[^1] - 1 : 0;
        return key is null ? null : $"{((held & 4) != 0 ? "ctrl-" : "")}{((held & 2) != 0 ? "alt-" : "")}{((held & 1) != 0 && key != "shift-tab" ? "shift-" : "")}{key}";
    }

    private IReadOnlyList<KeyStroke> Of(char character) => character switch
    {
        '\r' or '\t' or '\b' => layout.Write(character.ToString()).Strokes,
        '\x7f' => layout.Write("\b").Strokes,
        '\0' => [KeyStroke.Read("ctrl-space").Stroke!],
        // Control characters are those of a letter or a sign, 64 higher.
        < ' ' => [.. layout.Write(((char)(character < '\e' ? character + 'a' - 1 : character + '@')).ToString()).Strokes.Select(stroke => With(stroke, "ctrl"))],
        _ => layout.Write(character.ToString()).Strokes,
    };

    private static KeyStroke With(KeyStroke stroke, string name) => KeyNames.Find(name) is { } key && !stroke.Keys.Contains(key) ? new KeyStroke([key, .. stroke.Keys]) : stroke;
}
