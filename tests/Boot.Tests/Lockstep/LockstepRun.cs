// Two machines with the same guest on two settings of the translator, stop by stop: after each the events on the way there
// must be the same, and so must the whole architectural states; at intervals, and at the end, the memories too.
using System.Globalization;
using System.Text;
using Lamina.Core.Inspection;
using Lamina.Core.Memory;

namespace Lamina.Tests.Boot.Lockstep;

/// <summary>How a lockstep went.</summary>
/// <param name="Stops">How many stops were compared.</param>
/// <param name="End">How the guest ended its machine, or null where the run was cut.</param>
/// <param name="Output">What it printed.</param>
/// <param name="Divergence">The first difference, or null.</param>
/// <param name="Counters">Counters of the second machine's engine.</param>
internal sealed record LockstepResult(long Stops, string? End, string Output, string? Divergence, IReadOnlyList<Counter> Counters);

/// <summary>Runs two machines side by side.</summary>
internal static class LockstepRun
{
    private const int MemoryInterval = 1000, KeptEvents = 24, LookMilliseconds = 1;


    /// <summary>Runs until the guest ends its machine, the machines differ, or the number of stops is reached.</summary>
    /// <param name="plainSpec">One machine.</param>
    /// <param name="optimisedSpec">The other; its memory begins as a copy of the first one's.</param>
    /// <param name="mostStops">The number.</param>
    /// <param name="disturb">Changes the other's memory before it runs, to see whether that is found.</param>
    public static LockstepResult Run(LockstepSpec plainSpec, LockstepSpec optimisedSpec, long mostStops = long.MaxValue, Action<GuestMemory>? disturb = null)
    {
        using var plain = new LockstepMachine(plainSpec);
        using var optimised = new LockstepMachine(optimisedSpec);
        Copy(plain, optimised);
        disturb?.Invoke(optimised.Memory);
        plain.Begin();
        optimised.Begin();
        using var watch = new Timer(_ =>
        {
            plain.Look();
            optimised.Look();
        }, null, LookMilliseconds, LookMilliseconds);
        var last = new Queue<string>();
        var rip = plain.State.Rip;
        for (var stop = 1L; ; stop++)
        {
            var left = plain.Run();
            var right = optimised.Run();
            foreach (var what in left)
            {
                last.Enqueue(string.Create(CultureInfo.InvariantCulture, $"{stop}: {what} → {plain.State.Rip:x}"));
                if (last.Count > KeptEvents) last.Dequeue();
            }
            var difference = left.SequenceEqual(right) ? "" : $"  events: plain {string.Join(", ", left)}; optimised {string.Join(", ", right)}\n";
            if (plain.End != optimised.End) difference += $"  end: plain {plain.End ?? "none"}, optimised {optimised.End ?? "none"}\n";
            difference += StateDifference.Of(plain.State, optimised.State);
            var ends = plain.End != null || optimised.End != null || stop >= mostStops;
            if (difference.Length != 0 || ends || stop % MemoryInterval == 0) difference += StateDifference.Of(plain.Memory, optimised.Memory);
            if (difference.Length != 0) return new LockstepResult(stop, plain.End, plain.Console.Output, Report(plain, optimised, stop, rip, difference, last), optimised.Counters);
            if (ends) return new LockstepResult(stop, plain.End, plain.Console.Output, null, optimised.Counters);
            rip = plain.State.Rip;
        }
    }

    // What is random at boot is the same for both.
    private static void Copy(LockstepMachine from, LockstepMachine to)
    {
        foreach (var range in from.Memory.Ranges)
        {
            const int piece = 1 << 20;
            for (var at = range.Start; at < range.End; at += piece)
            {
                var length = (int)Math.Min(piece, range.End - at);
                if (from.Memory.TrySlice(at, length, out var source) && source.ContainsAnyExcept((byte)0)) to.Memory.TryWrite(at, source);
            }
        }
    }

    private static string Report(LockstepMachine plain, LockstepMachine optimised, long stop, ulong rip, string difference, IEnumerable<string> last)
    {
        var text = new StringBuilder();
        text.AppendLine($"{plain.Name} and {optimised.Name} differ at stop {stop}:").Append(difference);
        text.AppendLine($"code from the stop before, {rip:x}: {plain.Code(rip)}");
        text.AppendLine($"code at plain's RIP, {plain.State.Rip:x}: {plain.Code(plain.State.Rip)}");
        text.AppendLine($"code at optimised's RIP, {optimised.State.Rip:x}: {optimised.Code(optimised.State.Rip)}");
        text.AppendLine("registers: " + string.Join(' ', plain.State.Gpr.Select(value => value.ToString("x", CultureInfo.InvariantCulture))));
        text.AppendLine("last events:").AppendJoin('\n', last.Select(what => "  " + what));
        return text.ToString();
    }
}
