// A watchpoint as GDB sets it ("Z2" to "Z4", GDB manual, E.2), and the debug registers that it takes. Who keeps them is GdbTarget.
using Lamina.Core.Engine;

namespace Lamina.Debugging;

/// <summary>Memory that GDB watches.</summary>
/// <param name="Type">2: writes, 3: reads, 4: both. x86 watches no reads alone: type 3 stops at both, and GDB looks whether the value changed.</param>
/// <param name="Address">A linear address.</param>
/// <param name="Length">In bytes.</param>
internal sealed record GdbWatch(int Type, ulong Address, ulong Length)
{
    /// <summary>What a stop at it is called in a stop reply (E.3).</summary>
    internal string Reason => Type switch { 2 => "watch", 3 => "rwatch", _ => "awatch" };

    /// <summary>The aligned pieces of 1, 2, 4 or 8 bytes that it is made of; null where they are none, too many or beyond the last address.</summary>
    internal IReadOnlyList<Watchpoint>? Split()
    {
        if (Length is 0 or > 8 * Watchpoint.Maximum || Address > ulong.MaxValue - (Length - 1)) return null;
        var pieces = new List<Watchpoint>();
        for (var at = 0ul; at < Length;)
        {
            var size = 8;
            while ((Address + at) % (ulong)size != 0 || at + (ulong)size > Length) size /= 2;
            pieces.Add(new Watchpoint(Address + at, size, Type == 2 ? WatchKind.Write : WatchKind.Access));
            at += (ulong)size;
        }
        return pieces.Count <= Watchpoint.Maximum ? pieces : null;
    }
}
