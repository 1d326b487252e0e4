// The host's side of a guest's keyboard and pointer: whoever shows the guest's screen passes on here what its user does.
namespace Lamina.Core.Input;

/// <summary>What a guest lights on its keyboard.</summary>
[Flags]
public enum KeyboardLights
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>Scroll Lock.</summary>
    ScrollLock = 1,

    /// <summary>Num Lock.</summary>
    NumLock = 2,

    /// <summary>Caps Lock.</summary>
    CapsLock = 4,
}

/// <summary>A guest's keyboard. It may be used by several threads; nothing of it waits.</summary>
public interface IKeyboardInput
{
    /// <summary>A key goes down, or is down for so long that it repeats. What the guest has no room for is dropped.</summary>
    void Press(KeyCode key);

    /// <summary>A key goes up.</summary>
    void Release(KeyCode key);

    /// <summary>Whether the guest wants keys, and has read all that there were.</summary>
    bool IsReady { get; }

    /// <summary>What the guest lights.</summary>
    KeyboardLights Lights { get; }
}

/// <summary>The buttons of a pointing device.</summary>
[Flags]
public enum PointerButtons
{
    /// <summary>None.</summary>
    None = 0,

    /// <summary>The left one.</summary>
    Left = 1,

    /// <summary>The right one.</summary>
    Right = 2,

    /// <summary>The middle one, or the wheel pressed.</summary>
    Middle = 4,

    /// <summary>The fourth: backwards.</summary>
    Back = 8,

    /// <summary>The fifth: forwards.</summary>
    Forward = 16,
}

/// <summary>A guest's mouse. It may be used by several threads; nothing of it waits.</summary>
public interface IPointerInput
{
    /// <summary>It moves, its buttons change, its wheel turns.</summary>
    /// <param name="right">Steps to the right; negative to the left.</param>
    /// <param name="down">Steps downwards; negative upwards.</param>
    /// <param name="wheel">Clicks of the wheel towards the user; negative away.</param>
    /// <param name="buttons">The buttons that are down from now on.</param>
    void Move(int right, int down, int wheel, PointerButtons buttons);
}

/// <summary>Who points at places of a guest's screen. Any thread; nothing of it waits.</summary>
public interface IScreenPointer
{
    /// <summary>The pointer is somewhere, with some buttons down.</summary>
    /// <param name="x">From the left, 0 to <paramref name="width"/> - 1.</param>
    /// <param name="y">From the top.</param>
    /// <param name="width">Pixels across of the screen that it points at.</param>
    /// <param name="height">Lines of it.</param>
    /// <param name="buttons">The buttons that are down.</param>
    /// <param name="wheel">By how many clicks the wheel was turned since the last time, towards the user counting above 0.</param>
    void Point(int x, int y, int width, int height, PointerButtons buttons, int wheel);
}
