// The live registers of an I/O APIC, wherever it is: what moves from one to another.
using System.Runtime.CompilerServices;
using Lamina.Core.State;

namespace Lamina.Core.Interrupts;

/// <summary>The redirection entries.</summary>
[InlineArray(Count)]
public struct IoApicEntries
{
    /// <summary>How many: one an input.</summary>
    public const int Count = 24;

    private ulong _first;
}

/// <summary>Everything the I/O APIC remembers.</summary>
public struct IoApicState
{
    /// <summary>The selected indirect register.</summary>
    public byte Select;

    /// <summary>The ID register.</summary>
    public byte Id;

    /// <summary>Asserted inputs, one bit each.</summary>
    public uint Lines;

    /// <summary>The redirection entries.</summary>
    public IoApicEntries Entries;

    /// <summary>Writes it, or reads it.</summary>
    public static void Exchange(SavedFields fields, ref IoApicState state)
    {
        fields.Value(1, ref state.Select);
        fields.Value(2, ref state.Id);
        fields.Value(3, ref state.Lines);
        var entries = ((ReadOnlySpan<ulong>)state.Entries).ToArray();
        fields.Values(4, entries);
        entries.CopyTo((Span<ulong>)state.Entries);
        if (fields.IsLoading) SavedFields.Require(state.Lines >> IoApicEntries.Count == 0, "a line that there is not");
    }
}
