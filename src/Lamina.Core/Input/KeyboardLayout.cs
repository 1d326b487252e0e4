// What is printed on a keyboard's keys, to type a text into a guest that has this layout. A layout is four rows of keys by their places, and
// what each gives alone, with Shift and with AltGr; a space stands for nothing. A dead key gives its accent when the space bar follows.
// Sources: ISO/IEC 9995-2 for the places; the national arrangements as CLDR's keyboards have them (en-US, en-GB, de, fr).
namespace Lamina.Core.Input;

/// <summary>A national arrangement of keys.</summary>
public sealed class KeyboardLayout
{
    private static readonly KeyCode Shift = new(0x2a), AltGr = new(0x38, true), Space = new(0x39);

    private static readonly KeyCode[][] Rows =
    [
        [new(0x29), .. Places(0x02, 12)],
        [.. Places(0x10, 12)],
        [.. Places(0x1e, 11), new(0x2b)],
        [new(0x56), .. Places(0x2c, 10)],
    ];

    private readonly Dictionary<char, KeyStroke[]> _strokes = [];

    private KeyboardLayout(string name, string dead, string[] plain, string[] shifted, string[] third)
    {
        Name = name;
        Add(plain, dead, []);
        Add(shifted, dead, [Shift]);
        Add(third, dead, [AltGr]);
        foreach (var (character, code) in ((char, byte)[])[(' ', 0x39), ('\n', 0x1c), ('\r', 0x1c), ('\t', 0x0f), ('\b', 0x0e), ('\e', 0x01)]) _strokes[character] = [new KeyStroke(new KeyCode(code))];
    }

    /// <summary>Those that are known; the first is the usual one.</summary>
    public static IReadOnlyList<KeyboardLayout> All { get; } =
    [
        new("us", "", ["`1234567890-=", "qwertyuiop[]", "asdfghjkl;'\\", " zxcvbnm,./"], ["~!@#$%^&*()_+", "QWERTYUIOP{}", "ASDFGHJKL:\"|", " ZXCVBNM<>?"], []),
        new("gb", "", ["`1234567890-=", "qwertyuiop[]", "asdfghjkl;'#", "\\zxcvbnm,./"], ["¬!\"£$%^&*()_+", "QWERTYUIOP{}", "ASDFGHJKL:@~", "|ZXCVBNM<>?"], ["¦   €", "  é   úíó", "á"]),
        new("de", "^´`", ["^1234567890ß´", "qwertzuiopü+", "asdfghjklöä#", "<yxcvbnm,.-"], ["°!\"§$%&/()=?`", "QWERTZUIOPÜ*", "ASDFGHJKLÖÄ'", ">YXCVBNM;:_"], ["  ²³   {[]}\\", "@ €        ~", "", "|      µ"]),
        new("fr", "^¨", ["²&é\"'(-è_çà)=", "azertyuiop^$", "qsdfghjklmù*", "<wxcvbn,;:!"], [" 1234567890°+", "AZERTYUIOP¨£", "QSDFGHJKLM%µ", ">WXCVBN?./§"], ["  ~#{[|`\\^@]}", "  €        ¤"]),
    ];

    /// <summary>Its name, as setxkbmap(1) has it.</summary>
    public string Name { get; }

    /// <summary>The layout of a name; null where there is none.</summary>
    public static KeyboardLayout? Find(string name) => All.FirstOrDefault(layout => string.Equals(layout.Name, name, StringComparison.OrdinalIgnoreCase));

    /// <summary>The strokes that write a text.</summary>
    /// <returns>They, or the first character that no key of the layout gives.</returns>
    public (IReadOnlyList<KeyStroke> Strokes, string? Missing) Write(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        var strokes = new List<KeyStroke>(text.Length);
        foreach (var rune in text.EnumerateRunes())
        {
            if (!rune.IsBmp || !_strokes.TryGetValue((char)rune.Value, out var each)) return ([], rune.ToString());
            strokes.AddRange(each);
        }
        return (strokes, null);
    }

    // What a key gives with fewer fingers is written so.
    private void Add(string[] rows, string dead, KeyCode[] held)
    {
        for (var row = 0; row < rows.Length; row++)
            for (var place = 0; place < rows[row].Length; place++)
            {
                var character = rows[row][place];
                if (character == ' ') continue;
                var stroke = new KeyStroke([.. held, Rows[row][place]]);
                _strokes.TryAdd(character, dead.Contains(character) ? [stroke, new KeyStroke(Space)] : [stroke]);
            }
    }

    private static IEnumerable<KeyCode> Places(byte first, int count) => Enumerable.Range(first, count).Select(code => new KeyCode((byte)code));
}
