// What a guest whose screen is a serial port has shown, without the sequences that move the cursor: firmware sends them wherever its timer
// finds the cursor, in the middle of words, too.
using System.Text.RegularExpressions;

namespace Lamina.Tests.Boot.Support;

/// <summary>A serial port as a screen.</summary>
/// <param name="machine">Whose it is.</param>
/// <param name="before">What was shown there by a machine that this one goes on with.</param>
internal sealed partial class SerialScreen(Machine machine, string before = "")
{
    private int _seen;

    /// <summary>All that was shown.</summary>
    internal string Text => before + machine.Serial.Text;

    /// <summary>Waits until it shows a text behind what was waited for before; returns what it showed up to there.</summary>
    internal async Task<string> WaitAsync(string text, CancellationToken cancellation)
    {
        using var poll = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (true)
        {
            var plain = CursorMove().Replace(Text, "");
            if (plain.IndexOf(text, Math.Min(_seen, plain.Length), StringComparison.Ordinal) is >= 0 and var found)
            {
                var shown = plain[_seen..(found + text.Length)];
                _seen = found + text.Length;
                return shown;
            }
            try
            {
                await poll.WaitForNextTickAsync(cancellation);
            }
            catch (OperationCanceledException e)
            {
                throw new TimeoutException($"the screen never showed \"{text}\"; its last lines:\n{plain[Math.Max(0, plain.Length - 3000)..]}", e);
            }
        }
    }

    // A sequence that has not come to its end yet is none of it either.
    [GeneratedRegex(@"\e(\[[0-9;?]*([A-Za-z]|$)|c|$)")]
    private static partial Regex CursorMove();
}
