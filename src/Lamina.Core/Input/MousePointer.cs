// A mouse that is moved by pointing: by the difference from where was pointed to before. A guest that accelerates its pointer, or stops it
// at an edge, has it elsewhere after a while, as with any mouse that is used so.
namespace Lamina.Core.Input;

/// <summary>Points with a mouse.</summary>
public sealed class MousePointer(IPointerInput mouse) : IScreenPointer
{
    private readonly Lock _gate = new();
    private (int X, int Y)? _before;

    /// <inheritdoc/>
    public void Point(int x, int y, int width, int height, PointerButtons buttons, int wheel)
    {
        lock (_gate)
        {
            var (fromX, fromY) = _before ?? (x, y);
            _before = (x, y);
            mouse.Move(x - fromX, y - fromY, wheel, buttons);
        }
    }
}
