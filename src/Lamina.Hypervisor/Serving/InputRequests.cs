// The requests of a user who operates a machine by hand: keys and the mouse.
using Lamina.Core.Input;
using Lamina.Hypervisor.Contract;

namespace Lamina.Hypervisor.Serving;

/// <summary>Keys and the mouse.</summary>
internal static class InputRequests
{
    private static readonly TimeSpan LongestPace = TimeSpan.FromMinutes(1);

    private static readonly (string Name, PointerButtons Button)[] Buttons =
        [("left", PointerButtons.Left), ("right", PointerButtons.Right), ("middle", PointerButtons.Middle), ("back", PointerButtons.Back), ("forward", PointerButtons.Forward)];

    /// <summary>Types strokes, and returns when the guest has read them.</summary>
    internal static async Task TypeAsync(ControlRequest request, Machine machine, CancellationToken cancellationToken)
    {
        var (keys, pace) = (request.Texts("keys") ?? throw new ControlRequestException("\"keys\" needs \"keys\", a list of strokes like \"ctrl-alt-del\""), request.Time("pace"));
        request.RefuseOthers();
        if (pace > LongestPace) throw new ControlRequestException("a \"pace\" is a minute at most");
        var strokes = new List<KeyStroke>(keys.Count);
        foreach (var key in keys)
        {
            var (stroke, problem) = KeyStroke.Read(key);
            strokes.Add(stroke ?? throw new ControlRequestException(problem!));
        }
        await machine.TypeAsync(strokes, pace, cancellationToken).ConfigureAwait(false);
    }

    /// <summary>Moves the mouse.</summary>
    internal static void Move(ControlRequest request, Machine machine)
    {
        var (right, down, wheel, buttons) = (request.Signed("right"), request.Signed("down"), request.Signed("wheel"), request.Texts("buttons") ?? []);
        request.RefuseOthers();
        var pressed = PointerButtons.None;
        foreach (var name in buttons)
        {
            var known = Array.FindIndex(Buttons, button => button.Name == name);
            if (known < 0) throw new ControlRequestException($"a mouse has no button \"{name}\"; there are {string.Join(", ", Buttons.Select(button => button.Name))}");
            pressed |= Buttons[known].Button;
        }
        machine.MovePointer(right, down, wheel, pressed);
    }
}
