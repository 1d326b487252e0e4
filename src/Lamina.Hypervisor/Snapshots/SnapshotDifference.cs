// What is other in one snapshot of a machine than in another one.
using System.Globalization;
using Lamina.Host;
using Lamina.Host.Io;
using Lamina.Hypervisor.Stored;
using Lamina.Saving;

namespace Lamina.Hypervisor.Snapshots;

/// <summary>Compares snapshots.</summary>
public static class SnapshotDifference
{
    private const int Page = HostReservation.PageSize, Piece = SavedMemory.Piece;

    /// <summary>Says what is other, a line each; where nothing is, that.</summary>
    /// <param name="home">The machine.</param>
    /// <param name="before">What is compared with.</param>
    /// <param name="after">What is compared.</param>
    /// <exception cref="MachineException">One cannot be used.</exception>
    /// <exception cref="IOException">One cannot be read.</exception>
    public static IReadOnlyList<string> Between(MachineHome home, Snapshot before, Snapshot after)
    {
        ArgumentNullException.ThrowIfNull(home);
        ArgumentNullException.ThrowIfNull(before);
        ArgumentNullException.ThrowIfNull(after);
        var lines = new List<string>();
        var words = DefinitionDifference.Between(SnapshotStore.DefinitionOf(home, before), SnapshotStore.DefinitionOf(home, after)).Words;
        if (words.Count > 0) lines.Add($"definition: {string.Join(", ", words)}");
        if (MemoryOf(home, before, after) is { } memory) lines.Add(memory);
        if (before.Layer != after.Layer && (before.Layer ?? after.Layer) is not null)
        {
            var (old, now) = (MachineDisks.LayersOf(home, before.Layer), MachineDisks.LayersOf(home, after.Layer));
            var (gone, more) = (Space(home, old.Except(now)), Space(home, now.Except(old)));
            if (more > 0) lines.Add($"disk: {ByteSize.Format(more)} in layers that {before.Name} has not");
            if (gone > 0) lines.Add($"disk: {ByteSize.Format(gone)} in layers that {after.Name} has not");
        }
        return lines.Count > 0 ? lines : [$"{before.Name} and {after.Name} are the same"];
    }

    private static ulong Space(MachineHome home, IEnumerable<string> layers) => layers.Aggregate(0ul, (sum, layer) => sum + (ulong)HostPath.SpaceOf(Path.Combine(home.Folder, layer)));

    private static string? MemoryOf(MachineHome home, Snapshot before, Snapshot after)
    {
        if (!before.HasMemory || !after.HasMemory) return before.HasMemory == after.HasMemory ? null : $"memory: only {(before.HasMemory ? before : after).Name} goes on in the middle of what it did";
        using var old = SnapshotStore.OpenMemory(home, before);
        using var now = SnapshotStore.OpenMemory(home, after);
        var length = Math.Max(old.Length, now.Length);
        var (a, b) = (new byte[Piece], new byte[Piece]);
        long changed = 0;
        for (var piece = 0; (ulong)piece * Piece < length; piece++)
        {
            old.Read(piece, a);
            now.Read(piece, b);
            if (a.AsSpan().SequenceEqual(b)) continue;
            for (var page = 0; page < Piece; page += Page)
                if (!a.AsSpan(page, Page).SequenceEqual(b.AsSpan(page, Page))) changed++;
        }
        return changed == 0 ? null : string.Create(CultureInfo.InvariantCulture, $"memory: {changed} of {length / Page} pages");
    }
}
