// The scan codes of keys: set 2, which keyboards send, and set 1, which the controller makes of it for programs. The table is the
// controller's own; the other way is worked out of it. Source: Microsoft, Keyboard Scan Code Specification 1.3a, appendices A and C.
using Lamina.Core.Input;

namespace Lamina.Devices.Chipset.Ps2;

/// <summary>Scan codes of sets 1 and 2.</summary>
internal static class ScanCodes
{
    internal const byte Extended = 0xe0, Extended1 = 0xe1, BreakPrefix = 0xf0, BreakBit = 0x80;

    // Two keys of set 2 have codes beyond the table: F7, and Print Screen with Alt.
    private const byte F7InSet2 = 0x83, F7InSet1 = 0x41, SysRqInSet2 = 0x84, SysRqInSet1 = 0x54;

    private static ReadOnlySpan<byte> Set1OfSet2 =>
    [
        0xff, 0x43, 0x41, 0x3f, 0x3d, 0x3b, 0x3c, 0x58, 0x64, 0x44, 0x42, 0x40, 0x3e, 0x0f, 0x29, 0x59,
        0x65, 0x38, 0x2a, 0x70, 0x1d, 0x10, 0x02, 0x5a, 0x66, 0x71, 0x2c, 0x1f, 0x1e, 0x11, 0x03, 0x5b,
        0x67, 0x2e, 0x2d, 0x20, 0x12, 0x05, 0x04, 0x5c, 0x68, 0x39, 0x2f, 0x21, 0x14, 0x13, 0x06, 0x5d,
        0x69, 0x31, 0x30, 0x23, 0x22, 0x15, 0x07, 0x5e, 0x6a, 0x72, 0x32, 0x24, 0x16, 0x08, 0x09, 0x5f,
        0x6b, 0x33, 0x25, 0x17, 0x18, 0x0b, 0x0a, 0x60, 0x6c, 0x34, 0x35, 0x26, 0x27, 0x19, 0x0c, 0x61,
        0x6d, 0x73, 0x28, 0x74, 0x1a, 0x0d, 0x62, 0x6e, 0x3a, 0x36, 0x1c, 0x1b, 0x75, 0x2b, 0x63, 0x76,
        0x55, 0x56, 0x77, 0x78, 0x79, 0x7a, 0x0e, 0x7b, 0x7c, 0x4f, 0x7d, 0x4b, 0x47, 0x7e, 0x7f, 0x6f,
        0x52, 0x53, 0x50, 0x4c, 0x4d, 0x48, 0x01, 0x45, 0x57, 0x4e, 0x51, 0x4a, 0x37, 0x49, 0x46, 0x54,
    ];

    /// <summary>What the controller makes of a byte of set 2; others than codes stay as they are.</summary>
    internal static byte Translate(byte set2) => set2 switch
    {
        F7InSet2 => F7InSet1,
        SysRqInSet2 => SysRqInSet1,
        < BreakBit => Set1OfSet2[set2],
        _ => set2,
    };

    /// <summary>Writes what a keyboard sends when a key goes down or up.</summary>
    /// <param name="key">The key.</param>
    /// <param name="pressed">Whether it goes down.</param>
    /// <param name="set">1 or 2.</param>
    /// <param name="modifiers">Which of Ctrl, Alt and Shift are down, for the two keys that heed them.</param>
    /// <param name="bytes">Takes eight bytes at most.</param>
    /// <returns>How many; none where the key says nothing.</returns>
    internal static int Write(KeyCode key, bool pressed, int set, KeyModifiers modifiers, Span<byte> bytes)
    {
        var count = 0;
        if (key == KeyCode.Pause)
        {
            // It says all when it goes down. With Ctrl it is the old keyboards' Break key.
            if (!pressed) return 0;
            var (first, second) = modifiers.HasFlag(KeyModifiers.Ctrl) ? (new KeyCode(0x46, true), (KeyCode?)null) : (new KeyCode(0x1d), new KeyCode(0x45));
            var prefix = second is null ? Extended : Extended1;
            foreach (var down in (bool[])[true, false])
            {
                bytes[count++] = prefix;
                Plain(bytes, first.Code, down);
                if (second is { } further) Plain(bytes, further.Code, down);
            }
            return count;
        }
        if (key == KeyCode.PrintScreen)
        {
            if (modifiers.HasFlag(KeyModifiers.Alt))
            {
                Plain(bytes, SysRqInSet1, pressed);
                return count;
            }
            // A shift key that is not there makes it the keypad's asterisk with Shift, unless one is down already.
            var shifts = !modifiers.HasFlag(KeyModifiers.Ctrl) && !modifiers.HasFlag(KeyModifiers.Shift);
            if (shifts && pressed) Long(bytes, 0x2a, true);
            Long(bytes, key.Code, pressed);
            if (shifts && !pressed) Long(bytes, 0x2a, false);
            return count;
        }
        if (key.Extended) Long(bytes, key.Code, pressed);
        else Plain(bytes, key.Code, pressed);
        return count;

        void Long(Span<byte> bytes, byte code, bool down)
        {
            bytes[count++] = Extended;
            Plain(bytes, code, down);
        }

        void Plain(Span<byte> bytes, byte code, bool down)
        {
            if (set == 1)
            {
                bytes[count++] = (byte)(down ? code : code | BreakBit);
                return;
            }
            if (!down) bytes[count++] = BreakPrefix;
            bytes[count++] = Set2Of(code);
        }
    }

    private static byte Set2Of(byte set1) => set1 switch
    {
        F7InSet1 => F7InSet2,
        SysRqInSet1 => SysRqInSet2,
        _ => (byte)Set1OfSet2.IndexOf(set1),
    };
}

/// <summary>Keys that change what others say.</summary>
[Flags]
internal enum KeyModifiers : byte
{
    None = 0,
    Shift = 1,
    Ctrl = 2,
    Alt = 4,
}
