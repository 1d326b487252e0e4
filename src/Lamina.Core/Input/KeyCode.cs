// A key of a PC's keyboard by its place, whatever is printed on it. The number is the one that the key sends in scan code set 1, which is
// how remote screens name keys as well (the RFB protocol's "QEMU Extended Key Event Message"). Sources: IBM PS/2 Hardware Interface
// Technical Reference, "Keyboard scan codes"; Microsoft, Keyboard Scan Code Specification 1.3a.
namespace Lamina.Core.Input;

/// <summary>A key.</summary>
/// <param name="Code">Its make code in set 1, 1 to 0x7f.</param>
/// <param name="Extended">Whether E0 comes before it: keys that the first keyboards with 84 keys did not have.</param>
public readonly record struct KeyCode(byte Code, bool Extended = false)
{
    /// <summary>The highest make code.</summary>
    public const byte Last = 0x7f;

    private const byte ExtendedBit = 0x80;

    /// <summary>Pause, which sends a sequence of its own.</summary>
    public static KeyCode Pause => new(0x46, true);

    /// <summary>Print Screen, which sends a sequence of its own.</summary>
    public static KeyCode PrintScreen => new(0x37, true);

    /// <summary>A key by the number that it has in RFB: the make code, and 0x80 more where E0 comes before it. Null where there is no such key.</summary>
    public static KeyCode? FromRfb(uint number) => number is > 0 and <= 0xff && (number & Last) != 0 ? new KeyCode((byte)(number & Last), (number & ExtendedBit) != 0) : null;
}
