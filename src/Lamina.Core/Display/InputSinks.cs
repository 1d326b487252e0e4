// Where keys and the pointer of whoever looks at a screen go: a keyboard, a mouse or a tablet of the machine. Both take what they can and
// hold nobody up.
namespace Lamina.Core.Display;

/// <summary>The lamps of a keyboard.</summary>
[Flags]
public enum KeyboardLamps
{
    /// <summary>All are dark.</summary>
    None = 0,

    /// <summary>Scroll lock.</summary>
    ScrollLock = 1,

    /// <summary>Num lock.</summary>
    NumLock = 2,

    /// <summary>Caps lock.</summary>
    CapsLock = 4,
}

/// <summary>A keyboard. Any thread.</summary>
public interface IKeyboardSink
{
    /// <summary>Which lamps the guest has lit.</summary>
    KeyboardLamps Lamps { get; }

    /// <summary>A key goes down or up.</summary>
    /// <param name="key">Its XT scan code (set 1) as it goes down, 1 to 127; with <see cref="Extended"/> where E0 stands before it.</param>
    /// <param name="isDown">Whether it goes down.</param>
    void Press(int key, bool isDown);

    /// <summary>The bit of keys with E0 before their scan code.</summary>
    const int Extended = 0x80;
}

/// <summary>The buttons of a pointer.</summary>
[Flags]
public enum PointerButtons
{
    /// <summary>None is down.</summary>
    None = 0,

    /// <summary>The left one.</summary>
    Left = 1,

    /// <summary>The middle one.</summary>
    Middle = 2,

    /// <summary>The right one.</summary>
    Right = 4,
}

/// <summary>A mouse or a tablet. Any thread.</summary>
public interface IPointerSink
{
    /// <summary>The pointer is somewhere, with some buttons down.</summary>
    /// <param name="x">From the left, 0 to <paramref name="width"/> - 1. A mouse takes the difference from the last time.</param>
    /// <param name="y">From the top.</param>
    /// <param name="width">Pixels across of the screen that it points at.</param>
    /// <param name="height">Lines of it.</param>
    /// <param name="buttons">The buttons that are down.</param>
    /// <param name="wheel">By how many steps the wheel was turned since the last time, towards the user counting above 0.</param>
    void Point(int x, int y, int width, int height, PointerButtons buttons, int wheel);
}

/// <summary>A keyboard and a pointer that lead nowhere: of a machine that has none.</summary>
public sealed class NoInput : IKeyboardSink, IPointerSink
{
    /// <inheritdoc/>
    public KeyboardLamps Lamps => KeyboardLamps.None;

    /// <inheritdoc/>
    public void Press(int key, bool isDown)
    {
    }

    /// <inheritdoc/>
    public void Point(int x, int y, int width, int height, PointerButtons buttons, int wheel)
    {
    }
}
