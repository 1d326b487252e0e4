// A boot that is saved, thrown away and gone on with at random moments of it, until the guest shows a prompt.
using Xunit;

namespace Lamina.Tests.Boot.Support;

/// <summary>A boot in pieces.</summary>
/// <param name="Machine">The machine of its last piece, which runs; the caller's to dispose of.</param>
/// <param name="Run">Its run.</param>
/// <param name="Screen">What all of them have shown.</param>
internal sealed record SavedBoot(Machine Machine, Task<MachineResult> Run, SerialScreen Screen)
{
    private const string Shell = "~ # ";

    /// <summary>Boots, and waits for the prompt.</summary>
    /// <param name="definition">The machine.</param>
    /// <param name="folder">Takes what is saved.</param>
    /// <param name="moments">How often, at most.</param>
    /// <param name="quick">How many of the first moments come quickly, while the firmware is at work.</param>
    /// <param name="cancellation">Ends the wait.</param>
    /// <param name="prompt">What the guest shows at its end.</param>
    internal static async Task<SavedBoot> RunAsync(MachineDefinition definition, string folder, int moments, int quick, CancellationToken cancellation, string prompt = Shell)
    {
        var random = new Random(1162);
        var machine = Machine.Create(definition);
        try
        {
            var run = machine.RunAsync(cancellation);
            var shown = "";
            for (var moment = 0; moment < moments && !shown.Contains(prompt, StringComparison.Ordinal); moment++)
            {
                await Task.Delay(random.Next(1, moment < quick ? 150 : 1000), cancellation);
                await machine.PauseAsync(cancellation);
                var place = Path.Combine(folder, $"saved-{moment}");
                await machine.SaveAsync(place, cancellation);
                shown += machine.Serial.Text;
                await machine.DisposeAsync();
                Assert.Equal(MachineEnd.Stopped, (await run).End);
                machine = Machine.Restore(place);
                run = machine.RunAsync(cancellation);
            }
            var screen = new SerialScreen(machine, shown);
            await screen.WaitAsync(prompt, cancellation);
            return new SavedBoot(machine, run, screen);
        }
        catch
        {
            await machine.DisposeAsync();
            throw;
        }
    }
}
