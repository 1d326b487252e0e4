// The names of keys, as people write them in "ctrl-alt-del": those of a keyboard with US layout, and the usual other ways to write some.
namespace Lamina.Core.Input;

/// <summary>Names of keys.</summary>
public static class KeyNames
{
    private static readonly Dictionary<string, KeyCode> ByName = Create();

    /// <summary>All names, the usual one of a key before others.</summary>
    public static IReadOnlyCollection<string> All => ByName.Keys;

    /// <summary>The key of a name, in any case; null where there is none.</summary>
    public static KeyCode? Find(string name) => ByName.TryGetValue(name, out var key) ? key : null;

    /// <summary>The usual name of a key; null where it has none.</summary>
    public static string? NameOf(KeyCode key) => ByName.FirstOrDefault(named => named.Value == key).Key;

    private static Dictionary<string, KeyCode> Create()
    {
        var names = new Dictionary<string, KeyCode>(StringComparer.OrdinalIgnoreCase);
        Row(0x01, "esc 1 2 3 4 5 6 7 8 9 0 minus equal backspace tab");
        Row(0x10, "q w e r t y u i o p bracket_left bracket_right enter ctrl");
        Row(0x1e, "a s d f g h j k l semicolon apostrophe grave shift backslash");
        Row(0x2c, "z x c v b n m comma dot slash shift_r kp_multiply alt space caps_lock f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 num_lock scroll_lock");
        Row(0x47, "kp_7 kp_8 kp_9 kp_subtract kp_4 kp_5 kp_6 kp_add kp_1 kp_2 kp_3 kp_0 kp_decimal");
        Row(0x56, "less f11 f12");
        foreach (var (code, words) in ((byte, string)[])
            [(0x1c, "kp_enter"), (0x1d, "ctrl_r"), (0x35, "kp_divide"), (0x38, "alt_r altgr"), (0x47, "home"), (0x48, "up"), (0x49, "page_up pgup"), (0x4b, "left"), (0x4d, "right"),
             (0x4f, "end"), (0x50, "down"), (0x51, "page_down pgdn"), (0x52, "insert ins"), (0x53, "delete del"), (0x5b, "super meta win"), (0x5c, "super_r meta_r win_r"), (0x5d, "menu")])
            foreach (var word in words.Split(' ')) names.Add(word, new KeyCode(code, true));
        names.Add("print", KeyCode.PrintScreen);
        names.Add("pause", KeyCode.Pause);
        foreach (var (other, name) in ((string, string)[])
            [("escape", "esc"), ("return", "enter"), ("ret", "enter"), ("control", "ctrl"), ("spc", "space"), ("period", "dot"), ("bksp", "backspace"), ("sysrq", "print"), ("caps", "caps_lock")])
            names.Add(other, names[name]);
        return names;

        void Row(byte first, string words)
        {
            foreach (var word in words.Split(' ')) names.Add(word, new KeyCode(first++));
        }
    }
}
