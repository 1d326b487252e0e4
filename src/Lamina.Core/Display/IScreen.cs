// A guest's screen, for whoever looks at it: a picture for a file, a viewer over the network, a test that waits for a text. The screen
// does nothing by itself; looking costs something, and not looking nothing.
namespace Lamina.Core.Display;

/// <summary>A screen. Any thread, while the guest runs or stands still; when the machine has ended, all of it throws <see cref="ObjectDisposedException"/>.</summary>
public interface IScreen
{
    /// <summary>What is on it: black where the guest has it blank.</summary>
    /// <param name="reuse">A picture that nobody needs any more, whose memory may become the new one's; or null.</param>
    ScreenPicture Look(ScreenPicture? reuse = null);

    /// <summary>The characters on it; null where it shows graphics, or is blank.</summary>
    ScreenText? Read();

    /// <summary>Its mode in some words: "text 80x25", "graphics 1024x768, 32 bits".</summary>
    string Mode { get; }

    /// <summary>Begins to follow it.</summary>
    IScreenWatch Watch();
}

/// <summary>Somebody who follows a screen. One thread at a time.</summary>
public interface IScreenWatch : IDisposable
{
    /// <summary>Whether the screen may show something else than when this was asked last; the first time it does. Costs little where nothing has changed.</summary>
    bool HasChanged();
}
