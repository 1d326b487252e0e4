// The mouse of a machine in the hand of a test: slowly, as a hand moves it, so that the guest takes each step for one.
using Lamina.Core.Input;

namespace Lamina.Tests.Boot.Support;

internal static class Mouse
{
    private static readonly TimeSpan Step = TimeSpan.FromMilliseconds(12), Click = TimeSpan.FromMilliseconds(100);

    /// <summary>Moves it by one step.</summary>
    internal static async Task MoveAsync(Machine machine, int right, int down, CancellationToken cancellation)
    {
        machine.MovePointer(right, down, 0, PointerButtons.None);
        await Task.Delay(Step, cancellation);
    }

    /// <summary>Presses the left button and lets it go.</summary>
    internal static async Task ClickAsync(Machine machine, CancellationToken cancellation)
    {
        foreach (var buttons in (PointerButtons[])[PointerButtons.Left, PointerButtons.None])
        {
            machine.MovePointer(0, 0, 0, buttons);
            await Task.Delay(Click, cancellation);
        }
    }
}
