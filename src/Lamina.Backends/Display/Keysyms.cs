// Keys by what stands on them, for clients that say nothing else: the symbols of X11 (keysymdef.h) as they lie on a keyboard of the United
// States, as XT scan codes. A client that has another keyboard says scan codes (QEMU extended key events), or is to have the guest's layout.
namespace Lamina.Backends.Display;

/// <summary>From symbols to keys.</summary>
internal static class Keysyms
{
    // As RFB says that E0 stands before a code.
    private const int Extended = 0x80;

    // The rows of the keyboard, without and with shift, from the scan code of their first key on.
    private static readonly (string Plain, string Shifted, int First)[] Rows =
    [
        ("1234567890-=", "!@#$%^&*()_+", 0x02), ("qwertyuiop[]", "QWERTYUIOP{}", 0x10), ("asdfghjkl;'`", "ASDFGHJKL:\"~", 0x1e), ("\\zxcvbnm,./", "|ZXCVBNM<>?", 0x2b), (" ", " ", 0x39),
    ];

    private static readonly (int First, int[] Keys)[] Others =
    [
        (0xff08, [0x0e, 0x0f]), (0xff0d, [0x1c]), (0xff13, [0x46 | Extended, 0x46, 0x54]), (0xff1b, [0x01]),
        // Home, left, up, right, down, page up, page down, end.
        (0xff50, [0x47 | Extended, 0x4b | Extended, 0x48 | Extended, 0x4d | Extended, 0x50 | Extended, 0x49 | Extended, 0x51 | Extended, 0x4f | Extended]),
        // Print, insert; menu; num lock.
        (0xff61, [0x37 | Extended]), (0xff63, [0x52 | Extended]), (0xff67, [0x5d | Extended]), (0xff7f, [0x45]),
        // The keypad: enter; home to insert and delete; * + and - . /; 0 to 9.
        (0xff8d, [0x1c | Extended]), (0xff95, [0x47, 0x4b, 0x48, 0x4d, 0x50, 0x49, 0x51, 0x4f, 0x4c, 0x52, 0x53]), (0xffaa, [0x37, 0x4e, 0x53, 0x4a, 0x53, 0x35 | Extended]),
        (0xffb0, [0x52, 0x4f, 0x50, 0x51, 0x4b, 0x4c, 0x4d, 0x47, 0x48, 0x49]),
        // F1 to F12.
        (0xffbe, [0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x40, 0x41, 0x42, 0x43, 0x44, 0x57, 0x58]),
        // Shift, control, caps lock; meta, alt and super, left and right.
        (0xffe1, [0x2a, 0x36, 0x1d, 0x1d | Extended, 0x3a]), (0xffe7, [0x38, 0x38 | Extended, 0x38, 0x38 | Extended, 0x5b | Extended, 0x5c | Extended]),
        (0xffff, [0x53 | Extended]), (0xfe03, [0x38 | Extended]), (0xfe20, [0x0f]),
    ];

    private static readonly Dictionary<uint, int> Keys = Make();

    /// <summary>The key of a symbol; 0 where there is none.</summary>
    internal static int Find(uint symbol) => Keys.GetValueOrDefault(symbol);

    private static Dictionary<uint, int> Make()
    {
        var keys = new Dictionary<uint, int>();
        foreach (var (plain, shifted, first) in Rows)
            for (var i = 0; i < plain.Length; i++)
            {
                keys[plain[i]] = first + i;
                keys[shifted[i]] = first + i;
            }
        foreach (var (first, codes) in Others)
            for (var i = 0; i < codes.Length; i++) keys[(uint)(first + i)] = codes[i];
        return keys;
    }
}
